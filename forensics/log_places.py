"""``aws.logs.locate``: where the logs of a resource are, or that nobody writes any."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Self

from pydantic import Field, model_validator

from forensics.evidence_files import PASSED_OVER
from forensics.instance_evidence import instance_of
from irrunner.actions.contract import (
    Action,
    Decision,
    LookContext,
    Model,
    Permission,
    ReadApi,
    Settled,
    State,
    Where,
)  # fmt: skip
from irrunner.actions.ids import InstanceId, VpcId
from irrunner.actions.registry import action
from irrunner.vocabulary import Phase, Risk, UndoPolicy

PATH_DAYS: Final = "%Y/%m/%d"
HIVE_DAYS: Final = "year=%Y/month=%m/day=%d"
NAME_DAYS: Final = "%Y-%m-%d"
_ARN_PARTS: Final = 6


class LocateParams(Model):
    """Parameters of ``aws.logs.locate``: at least one of them."""

    instance_id: InstanceId | None = None
    """Its network's logs, and those of the load balancers in it."""
    vpc_id: VpcId | None = None
    bucket: str | None = Field(default=None, min_length=3, max_length=63)

    @model_validator(mode="after")
    def _one_is_named(self) -> Self:
        if not (self.instance_id or self.vpc_id or self.bucket):
            raise ValueError("name instance_id, vpc_id or bucket: whose logs?")
        return self


class LogPlace(Model):
    """Where one kind of log of one resource is written."""

    kind: str
    """``vpc-flow-logs``, ``resolver-query-logs``, ``elb-access-logs``, ``s3-access-logs``, ``cloudtrail``."""
    resource: str
    bucket: str | None = None
    prefix: str = ""
    """Of the objects, up to the day."""
    day_format: str = ""
    """How the day follows the prefix, for ``aws.logs.export``; empty: it does not."""
    log_group: str | None = None
    stream: str | None = None
    """ARN of a Firehose delivery stream."""
    traffic: str = ""
    """For flow logs: ``ALL``, ``ACCEPT`` or ``REJECT``."""


class LocateState(State):
    """The places, and what could not be asked."""

    places: tuple[LogPlace, ...]
    without: tuple[str, ...]
    """Kinds of which nobody writes a log, with the resource."""
    unknown: tuple[str, ...]


class LocateOutputs(Model):
    """Outputs of ``aws.logs.locate``."""

    places: list[LogPlace]
    without: list[str]
    """``vpc-flow-logs of vpc-1``: what happened there is not written down."""


@action(
    "aws.logs.locate",
    title="Find where the logs of a resource are written",
    phase=Phase.ANALYSIS,
    risk=Risk.NONE,
    permissions=tuple(
        Permission(name)
        for name in (
            "ec2:DescribeInstances", "ec2:DescribeFlowLogs",
            "route53resolver:ListResolverQueryLogConfigAssociations",
            "route53resolver:GetResolverQueryLogConfig", "elasticloadbalancing:DescribeLoadBalancers",
            "elasticloadbalancing:DescribeLoadBalancerAttributes", "s3:GetBucketLogging",
            "cloudtrail:DescribeTrails",
        )
    ),
    undo=UndoPolicy.NEVER,
    undo_note="Reads only: there is nothing to put back.",
    sources=(
        "https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-s3-path.html",
        "https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/resolver-query-logs.html",
        "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-access-logs.html",
        "https://docs.aws.amazon.com/AmazonS3/latest/userguide/ServerLogs.html",
    ),
)  # fmt: skip
class Locate(Action[LocateParams, LocateState]):
    """Ask each service that writes logs; one that cannot be asked is named and hinders no other."""

    Params = LocateParams
    Outputs = LocateOutputs
    StateModel = LocateState

    def look(self, ctx: LookContext, params: LocateParams) -> LocateState:
        """Ask for flow logs, Resolver query logs, load balancers, bucket logging and trails."""
        vpcs, interfaces = {params.vpc_id} - {None}, set[str]()
        if params.instance_id:
            instance = instance_of(ctx.api, params.instance_id)
            vpcs |= {instance.get("VpcId")} - {None}
            interfaces |= {params.instance_id, str(instance.get("SubnetId"))}
            interfaces |= {item["NetworkInterfaceId"] for item in instance.get("NetworkInterfaces") or ()}
        named = sorted(str(vpc) for vpc in vpcs)
        asked: list[tuple[str, str, Callable[[], list[LogPlace]]]] = [
            ("cloudtrail", ctx.where.account_id, lambda: _trails(ctx)),
        ]
        for vpc in named:
            asked += [
                ("vpc-flow-logs", vpc, lambda vpc=vpc: _flow_logs(ctx, {vpc, *interfaces})),  # type: ignore[misc]
                ("resolver-query-logs", vpc, lambda vpc=vpc: _resolver(ctx, vpc)),  # type: ignore[misc]
                ("elb-access-logs", vpc, lambda vpc=vpc: _balancers(ctx, vpc)),  # type: ignore[misc]
            ]
        if params.bucket:
            bucket = params.bucket
            asked.append(("s3-access-logs", bucket, lambda: _bucket(ctx.api, bucket)))
        return _answered(asked)

    def decide(self, params: LocateParams, state: LocateState) -> Decision:
        """Tell what was found."""
        outputs = LocateOutputs(places=list(state.places), without=list(state.without))
        absent = tuple(f"nobody writes {kind}" for kind in state.without)
        return Settled(outputs, (*absent, *state.unknown))

    def targets(self, params: LocateParams, where: Where) -> tuple[str, ...]:
        """Return nothing: reads only."""
        return ()


def _answered(asked: Iterable[tuple[str, str, Callable[[], list[LogPlace]]]]) -> LocateState:
    places, without, unknown, failed, count = list[LogPlace](), [], [], None, 0
    for kind, resource, ask in asked:
        count += 1
        try:
            found = ask()
        except PASSED_OVER as problem:
            failed = problem
            unknown.append(f"cannot tell whether there are {kind} of {resource}: {problem.message}")
            continue
        places += found
        if not found:
            without.append(f"{kind} of {resource}")
    if failed is not None and len(unknown) == count:
        raise failed
    return LocateState(places=tuple(places), without=tuple(without), unknown=tuple(unknown))


def _place(kind: str, resource: str, destination: str, daily: str, **more: Any) -> LogPlace:
    """Return a place from a destination's ARN: bucket with prefix, log group or delivery stream."""
    parts = destination.split(":", _ARN_PARTS - 1)
    service, name = (parts[2], parts[-1]) if len(parts) == _ARN_PARTS else ("", destination)
    if service == "logs":
        return LogPlace(
            kind=kind, resource=resource, log_group=name.removeprefix("log-group:").removesuffix(":*"), **more
        )
    if service == "firehose":
        return LogPlace(kind=kind, resource=resource, stream=destination, **more)
    bucket, _, folder = name.partition("/")
    prefix = "/".join(part for part in (folder.strip("/"), daily) if part)
    return LogPlace(kind=kind, resource=resource, bucket=bucket, prefix=prefix, day_format=PATH_DAYS, **more)


def _home(ctx: LookContext, service: str) -> str:
    return f"AWSLogs/{ctx.where.account_id}/{service}/{ctx.where.region}/"


def _flow_logs(ctx: LookContext, resources: set[str]) -> list[LogPlace]:
    wanted = sorted(name for name in resources if name.startswith(("vpc-", "subnet-", "eni-")))
    filters = [{"Name": "resource-id", "Values": wanted}]
    logs = ctx.api.pages("ec2:DescribeFlowLogs", "FlowLogs", Filters=filters)
    return [_flow_log(ctx, item) for item in logs]


def _flow_log(ctx: LookContext, item: Mapping[str, Any]) -> LogPlace:
    place = _place(
        "vpc-flow-logs",
        item["ResourceId"],
        item.get("LogDestination") or f"arn:aws:logs:::{item.get('LogGroupName')}",
        _home(ctx, "vpcflowlogs"),
        traffic=item.get("TrafficType") or "",
    )
    if not (item.get("DestinationOptions") or {}).get("HiveCompatiblePartitions"):
        return place
    hive = f"aws-account-id={ctx.where.account_id}/aws-service=vpcflowlogs/aws-region={ctx.where.region}/"
    prefix = place.prefix.replace(_home(ctx, "vpcflowlogs"), f"AWSLogs/{hive}")
    return place.model_copy(update={"prefix": prefix, "day_format": HIVE_DAYS})


def _resolver(ctx: LookContext, vpc: str) -> list[LogPlace]:
    found = ctx.api.pages(
        "route53resolver:ListResolverQueryLogConfigAssociations",
        "ResolverQueryLogConfigAssociations",
        Filters=[{"Name": "ResourceId", "Values": [vpc]}],
    )
    places = []
    for item in found:
        if item.get("ResourceId") != vpc:
            continue
        answer = ctx.api.call(
            "route53resolver:GetResolverQueryLogConfig",
            ResolverQueryLogConfigId=item["ResolverQueryLogConfigId"],
        )
        destination = answer["ResolverQueryLogConfig"]["DestinationArn"]
        daily = f"AWSLogs/{ctx.where.account_id}/vpcdnsquerylogs/{vpc}/"
        places.append(_place("resolver-query-logs", vpc, destination, daily))
    return places


def _balancers(ctx: LookContext, vpc: str) -> list[LogPlace]:
    """Return the access logs of a network's load balancers; those that write none are no places."""
    places = []
    for item in ctx.api.pages("elbv2:DescribeLoadBalancers", "LoadBalancers"):
        if item.get("VpcId") != vpc:
            continue
        arn = item["LoadBalancerArn"]
        answer = ctx.api.call("elbv2:DescribeLoadBalancerAttributes", LoadBalancerArn=arn)
        values = {entry["Key"]: entry.get("Value") or "" for entry in answer.get("Attributes") or ()}
        if values.get("access_logs.s3.enabled") == "true":
            folder = values.get("access_logs.s3.prefix", "")
            where = f"arn:aws:s3:::{values.get('access_logs.s3.bucket')}/{folder}"
            places.append(_place("elb-access-logs", arn, where, _home(ctx, "elasticloadbalancing")))
    return places


def _bucket(api: ReadApi, bucket: str) -> list[LogPlace]:
    logging: Mapping[str, Any] = api.call("s3:GetBucketLogging", Bucket=bucket).get("LoggingEnabled") or {}
    if not logging:
        return []
    partitioned = (logging.get("TargetObjectKeyFormat") or {}).get("PartitionedPrefix") is not None
    return [
        LogPlace(
            kind="s3-access-logs",
            resource=bucket,
            bucket=logging["TargetBucket"],
            prefix=logging.get("TargetPrefix") or "",
            day_format="" if partitioned else NAME_DAYS,
        )
    ]


def _trails(ctx: LookContext) -> list[LogPlace]:
    trails = ctx.api.call("cloudtrail:DescribeTrails", includeShadowTrails=True).get("trailList") or ()
    return [
        _place(
            "cloudtrail",
            trail.get("TrailARN") or trail["Name"],
            f"arn:aws:s3:::{trail['S3BucketName']}/{trail.get('S3KeyPrefix') or ''}",
            _home(ctx, "CloudTrail"),
        )
        for trail in trails
        if trail.get("S3BucketName")
    ]
