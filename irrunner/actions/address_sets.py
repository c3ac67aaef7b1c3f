"""Sets of addresses that firewalls block: ours are added, and only ours are taken out again.

A set is written as a whole, with the token of the look: where somebody else wrote it meanwhile, AWS refuses
the token, and the runtime looks again. The footprint has one key for each address, so that what others add
is no drift, and stays.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from irrunner.actions.addresses import canonical, network, refuse_block
from irrunner.actions.contract import (
    Act,
    Action,
    Call,
    Decision,
    Model,
    PlannedOutputs,
    Refused,
    Settled,
    State,
)
from irrunner.actions.ids import is_token
from irrunner.errors import ActionIncomplete


class SetUse(Model):
    """A rule that uses the set."""

    rule: str
    """Where it is, for people: ``web ACL edge, rule block-list``."""
    effect: str
    """Its action in small letters: ``block``, ``drop``, ``allow``; ``unknown`` where it cannot be told."""


class AddressSetState(State):
    """The set as it is now, and who uses it."""

    target: str
    """ARN of the set or of what it is part of."""
    wanted: tuple[str, ...]
    addresses: tuple[str, ...]
    """All that are in it, as AWS wrote them."""
    token: str
    """Proves to AWS that nobody wrote it since this look."""
    uses: tuple[SetUse, ...]

    def footprint(self) -> dict[str, bool]:
        """Return, for each address of ours, whether it is in the set."""
        return {f"{self.target}/{block}": self.holds(block) for block in self.wanted}

    def holds(self, block: str) -> bool:
        """Return whether an address is in the set, as it is written."""
        return block in {canonical(each) for each in self.addresses}


class AddressSetOutputs(Model):
    """Outputs."""

    target: str
    addresses: tuple[str, ...]
    """Those that were asked for; others in the set are not told."""


P = TypeVar("P", bound=Model)
A = TypeVar("A", bound=AddressSetState)

LETS_IN = frozenset({"allow", "pass"})
KEEPS_OUT = frozenset({"block", "drop", "reject", "captcha", "challenge"})


class BlockInSet(Action[P, A]):
    """Base of actions that add addresses to a set."""

    def update(self, state: A, addresses: tuple[str, ...], summary: str) -> Call:
        """Return the call that makes these the addresses of the set."""
        raise ActionIncomplete(type(self).__qualname__)

    def refusal(self, params: P, state: A) -> str | None:
        """Return why the addresses cannot be in this set, if so."""
        del params, state
        return None

    def decide(self, params: P, state: A) -> Decision:
        """Add what is missing, in one call."""
        refusal = self._refusal(params, state)
        if refusal:
            return Refused(refusal)
        missing = tuple(block for block in state.wanted if not state.holds(block))
        if missing:
            summary = f"Block {', '.join(missing)} in {state.target}"
            return Act((self.update(state, (*state.addresses, *missing), summary),))
        return Settled(_outputs(state), tuple(_warnings(state)))

    def foresee(self, params: P, state: A, step: str) -> PlannedOutputs:
        """Return the outputs: all is known."""
        del step
        if self._refusal(params, state):
            return PlannedOutputs({})
        return PlannedOutputs(_outputs(state).model_dump(mode="json"))

    def undo_calls(self, params: P, before: A, after: A, now: A, keys: frozenset[str]) -> tuple[Call, ...]:
        """Take ours out; what others added meanwhile stays."""
        ours = {block for block in now.wanted if f"{now.target}/{block}" in keys}
        if not ours:
            return ()
        left = tuple(each for each in now.addresses if canonical(each) not in ours)
        return (self.update(now, left, f"Unblock {', '.join(sorted(ours))} in {now.target}"),)

    def _refusal(self, params: P, state: A) -> str | None:
        allow_internal = bool(getattr(params, "allow_internal", False))
        reasons = (refuse_block(block, allow_internal=allow_internal) for block in state.wanted)
        found = next((reason for reason in reasons if reason), None)
        letting = next((use for use in state.uses if use.effect in LETS_IN), None)
        if found is None and letting is not None:
            return (
                f"{state.target} is used to let addresses in ({letting.rule}: {letting.effect}): adding one "
                "would open the door; name a set that a rule blocks by"
            )
        return found or self.refusal(params, state)


def sorted_blocks(addresses: Iterable[str]) -> tuple[str, ...]:
    """Return addresses once each, sorted."""
    return tuple(sorted(set(addresses)))


def versions(state: AddressSetState) -> set[int]:
    """Return the IP versions of the addresses that are wanted."""
    return {network(block).version for block in state.wanted if not is_token(block)}


def _outputs(state: AddressSetState) -> AddressSetOutputs:
    return AddressSetOutputs(target=state.target, addresses=state.wanted)


def _warnings(state: AddressSetState) -> Iterable[str]:
    effects = sorted({use.effect for use in state.uses})
    if not state.uses:
        yield f"no rule was found that uses {state.target}: the addresses are in it, and nothing is blocked"
    elif not KEEPS_OUT & set(effects):
        yield f"the rules that use {state.target} only {', '.join(effects)}: nothing is blocked by it"
