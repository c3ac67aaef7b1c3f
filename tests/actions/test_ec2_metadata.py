"""Metadata options: only what is named is set, and pending is not applied."""

from __future__ import annotations

from typing import Any

import pytest

from irrunner.actions.contract import Act, Refused, Settled, Waiting
from irrunner.actions.ec2.metadata import MetadataParams, MetadataState, SetMetadataOptions

INSTANCE = "i-0123456789abcdef0"
ACTION = SetMetadataOptions()
TOKENS = MetadataParams(instance_id=INSTANCE, http_tokens="required")
BOTH = MetadataParams(instance_id=INSTANCE, http_tokens="required", http_endpoint="disabled")


def state_of(*, applied: bool = True, gone: bool = False, **value: str) -> MetadataState:
    """Return what is seen."""
    return MetadataState(
        target=INSTANCE,
        value=value,
        gone=gone,
        instance_id=INSTANCE,
        instance_state="running",
        applied=applied,
    )


def test_only_what_differs_is_set() -> None:
    """The endpoint is disabled already: it is left out of the call."""
    decision = ACTION.decide(BOTH, state_of(HttpEndpoint="disabled", HttpTokens="optional"))

    assert isinstance(decision, Act)
    (call,) = decision.calls
    assert call.params == {"InstanceId": INSTANCE, "HttpTokens": "required"}


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        (state_of(HttpTokens="required"), Settled),
        (state_of(HttpTokens="required", applied=False), Waiting),
        (state_of(HttpTokens="optional", gone=True), Refused),
    ],
)
def test_decides_by_what_is_applied(state: MetadataState, kind: type) -> None:
    """AWS accepts before it applies."""
    assert isinstance(ACTION.decide(TOKENS, state), kind)


def test_a_stopped_host_is_not_waited_for() -> None:
    """Options of a host that does not run may stay pending until it is started."""
    stopped = state_of(HttpTokens="required", applied=False).model_copy(update={"instance_state": "stopped"})

    assert isinstance(ACTION.decide(TOKENS, stopped), Settled)


def test_says_what_required_tokens_do_not_do() -> None:
    """A process on the host can ask for a token."""
    tokens = ACTION.decide(TOKENS, state_of(HttpTokens="required"))
    closed = ACTION.decide(BOTH, state_of(HttpTokens="required", HttpEndpoint="disabled"))

    assert isinstance(tokens, Settled)
    assert isinstance(closed, Settled)
    assert (len(tokens.warnings), len(closed.warnings)) == (2, 1)
    assert "session token" in tokens.warnings[1]


def test_undo_sets_what_was_there() -> None:
    """Each option goes back by itself."""
    before = state_of(HttpEndpoint="enabled", HttpTokens="optional")
    after = state_of(HttpEndpoint="disabled", HttpTokens="required")
    (call,) = ACTION.undo_calls(BOTH, before, after, after, frozenset(after.footprint()))

    assert call.params == {"InstanceId": INSTANCE, "HttpEndpoint": "enabled", "HttpTokens": "optional"}


def test_undo_leaves_what_was_never_told() -> None:
    """Where AWS did not say what the option was, nothing can be put back."""
    before = state_of().model_copy(update={"value": {"HttpTokens": None}})
    after = state_of(HttpTokens="required")

    assert ACTION.undo_calls(TOKENS, before, after, after, frozenset(after.footprint())) == ()


@pytest.mark.parametrize("values", [{}, {"http_endpoint": "enabled"}, {"http_tokens": "optional"}])
def test_nothing_is_opened(values: dict[str, Any]) -> None:
    """It is no way to open metadata, and a step that does nothing is a mistake."""
    with pytest.raises(ValueError, match=r"http_|Input should be"):
        MetadataParams.model_validate({"instance_id": INSTANCE, **values})
