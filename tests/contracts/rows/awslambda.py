"""Lambda functions: throttle, disable triggers, publish, describe."""

from __future__ import annotations

from typing import Any

from gameday.world import functions, seam
from gameday.world.content import Place
from tests.contracts.bench import Bench
from tests.contracts.row import Row, Values

NAME = "order-export"


def function(bench: Bench) -> Values:
    """A function without triggers, reservations or versions."""
    functions.build_function(Place(bench.account, bench.where.region, 7), NAME)
    return {"function_name": NAME}


def reserved(bench: Bench) -> Values:
    """A function with reserved and provisioned concurrency."""
    values = function(bench)
    client = bench.client("lambda")
    client.publish_version(FunctionName=NAME)
    client.create_alias(FunctionName=NAME, Name="live", FunctionVersion="1")
    client.put_function_concurrency(FunctionName=NAME, ReservedConcurrentExecutions=20)
    for qualifier in ("1", "live"):
        client.put_provisioned_concurrency_config(
            FunctionName=NAME, Qualifier=qualifier, ProvisionedConcurrentExecutions=5
        )
    return values


def triggered(bench: Bench) -> Values:
    """A function with mappings of queues, one of which is off, and statements of two qualifiers."""
    values = function(bench)
    client = bench.client("lambda")
    client.publish_version(FunctionName=NAME)
    client.create_alias(FunctionName=NAME, Name="live", FunctionVersion="1")
    map_queue(bench, "orders", NAME)
    map_queue(bench, "returns", f"{NAME}:1")
    map_queue(bench, "samples", NAME)
    off = map_queue(bench, "idle", NAME)
    off.enabled = False
    statement = {"FunctionName": NAME, "Action": "lambda:InvokeFunction"}
    source = f"arn:aws:s3:::uploads-{bench.account}"
    client.add_permission(
        **statement, StatementId="bucket", Principal="s3.amazonaws.com", SourceArn=source,
        SourceAccount=bench.account,
    )  # fmt: skip
    client.add_permission(**statement, StatementId="topic", Principal="sns.amazonaws.com")
    client.add_permission(**statement, StatementId="partner", Principal="444455556666", Qualifier="live")
    return values


def map_queue(bench: Bench, queue: str, function_name: str) -> Any:
    """Let a queue trigger a function."""
    made = seam.backend("sqs", bench.account, bench.where.region).create_queue(queue)
    backend = seam.backend("lambda", bench.account, bench.where.region)
    return backend.create_event_source_mapping(
        {"EventSourceArn": made.queue_arn, "FunctionName": function_name}
    )


def erase_function(bench: Bench, values: Values) -> None:
    """Somebody deletes the function."""
    seam.backend("lambda", bench.account, bench.where.region).delete_function(values["function_name"])


def reserve_one(bench: Bench, values: Values) -> None:
    """Somebody lets one invocation through."""
    seam.backend("lambda", bench.account, bench.where.region).put_function_concurrency(NAME, 1)


def trust_another(bench: Bench, values: Values) -> None:
    """Somebody lets another account invoke the function."""
    bench.client("lambda").add_permission(
        FunctionName=NAME, Action="lambda:InvokeFunction", StatementId="back", Principal="777788889999"
    )


ROWS = (
    Row("aws.lambda.describe-function", triggered, erase_function),
    Row("aws.lambda.publish-version", function, erase_function, operations=("lambda:PublishVersion",)),
    Row(
        "aws.lambda.throttle-function", function, erase_function,
        operations=("lambda:PutFunctionConcurrency",), drift=reserve_one,
    ),
    Row(
        "aws.lambda.throttle-function", reserved, erase_function, name="provisioned",
        operations=("lambda:DeleteProvisionedConcurrencyConfig", "lambda:PutFunctionConcurrency"),
        drift=reserve_one,
    ),
    Row(
        "aws.lambda.disable-triggers", triggered, erase_function,
        operations=("lambda:RemovePermission", "lambda:UpdateEventSourceMapping"), drift=trust_another,
    ),
)  # fmt: skip
