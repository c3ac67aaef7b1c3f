"""Lambda's strict layer refuses and hides what Lambda does."""

from __future__ import annotations

from typing import Any

import pytest

from gameday.world import World, functions, seam
from gameday.world.content import Place
from tests.gameday.world.conftest import Refused

NAME = "order-export"


@pytest.fixture
def client(world: World, member: str) -> Any:
    """Return Lambda of the member account, with one function that has a version."""
    functions.build_function(Place(member, world.region, 1), NAME)
    made = world.client(member, "lambda")
    made.publish_version(FunctionName=NAME)
    return made


def test_policies_are_those_of_one_qualifier(client: Any, refused: Refused) -> None:
    """A statement of an alias is not in the function's own policy: who looks there only, misses it."""
    client.create_alias(FunctionName=NAME, Name="live", FunctionVersion="1")
    client.add_permission(
        FunctionName=NAME, Qualifier="live", StatementId="a", Action="lambda:InvokeFunction", Principal="*"
    )

    assert refused(client.get_policy, FunctionName=NAME) == "ResourceNotFoundException"
    assert "live" in client.get_policy(FunctionName=NAME, Qualifier="live")["Policy"]
    assert (
        refused(client.remove_permission, FunctionName=NAME, StatementId="a") == "ResourceNotFoundException"
    )


def test_a_sid_is_used_once(client: Any, refused: Refused) -> None:
    """Adding twice is a conflict, not a second statement."""
    given = {"FunctionName": NAME, "StatementId": "a", "Action": "lambda:InvokeFunction", "Principal": "*"}
    client.add_permission(**given)

    assert refused(client.add_permission, **given) == "ResourceConflictException"


def test_no_reservation_below_what_is_provisioned(client: Any, refused: Refused) -> None:
    """Zero reserved needs the provisioned concurrency to go first; and back in the other order."""
    given = {"FunctionName": NAME, "Qualifier": "1"}
    zero = {"FunctionName": NAME, "ReservedConcurrentExecutions": 0}
    client.put_provisioned_concurrency_config(**given, ProvisionedConcurrentExecutions=2)

    assert refused(client.put_function_concurrency, **zero) == "InvalidParameterValueException"
    client.delete_provisioned_concurrency_config(**given)
    client.put_function_concurrency(**zero)
    again = {**given, "ProvisionedConcurrentExecutions": 2}
    assert refused(client.put_provisioned_concurrency_config, **again) == "InvalidParameterValueException"


def test_a_mapping_takes_time_and_refuses_meanwhile(
    world: World, member: str, client: Any, refused: Any
) -> None:
    """Disabled is not what the answer says, but what a later look finds."""
    queue = seam.backend("sqs", member, world.region).create_queue("orders")
    ident = client.create_event_source_mapping(FunctionName=NAME, EventSourceArn=queue.queue_arn)["UUID"]
    answer = client.update_event_source_mapping(UUID=ident, Enabled=False)

    assert answer["State"] == "Disabling"
    assert refused(client.update_event_source_mapping, UUID=ident, Enabled=True) == "ResourceInUseException"
    world.advance(functions.SWITCHING_S)
    assert client.list_event_source_mappings()["EventSourceMappings"][0]["State"] == "Disabled"


def test_other_code_than_was_seen_is_not_published(client: Any, refused: Refused) -> None:
    """The digest guards against a swap between the look and the call."""
    given = {"FunctionName": NAME, "CodeSha256": "bm90IGl0"}

    assert refused(client.publish_version, **given) == "InvalidParameterValueException"


def test_functions_are_in_the_state(world: World, member: str, client: Any) -> None:
    """A scorer sees the reservation."""
    client.put_function_concurrency(FunctionName=NAME, ReservedConcurrentExecutions=0)
    shown = world.state()["accounts"][member]["regions"][world.region]["functions"][NAME]

    assert shown["reserved_concurrency"] == 0
    assert list(shown["versions"]) == ["1"]
