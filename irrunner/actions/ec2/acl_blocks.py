"""Blocks in network ACLs: what is asked for, what is seen, and which number an entry gets. No I/O."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal

from pydantic import Field, model_validator

from irrunner.actions.addresses import AddressBlock, network, overlaps
from irrunner.actions.contract import Model, State
from irrunner.actions.ec2.acls import ALL_PROTOCOLS, Acl, AclEntry, blocking, direction
from irrunner.actions.ids import InstanceId, SubnetId, is_token

DEFAULT_QUOTA: Final = 20
LARGEST_QUOTA: Final = 40
LAST_NUMBER: Final = 32766
DIRECTIONS: Final = {"both": (False, True), "ingress": (False,), "egress": (True,)}
"""Choice to the value of ``Egress`` of the entries."""


class BlockAddressParams(Model):
    """Parameters. Subnets, an instance (whose subnets are meant), or both."""

    address: AddressBlock
    subnet_ids: tuple[SubnetId, ...] = Field(default=(), max_length=50)
    instance_id: InstanceId | None = None
    directions: Literal["both", "ingress", "egress"] = "both"
    first_number: int = Field(default=1, ge=1, le=LAST_NUMBER)
    """The numbers from first to last are ours to take; only those below the lowest allow entry are used."""
    last_number: int = Field(default=99, ge=1, le=LAST_NUMBER)
    entries_quota: int = Field(default=DEFAULT_QUOTA, ge=1, le=LARGEST_QUOTA)
    """Entries that an ACL may have in one direction, where AWS has raised it for the account."""
    allow_internal: bool = False

    @model_validator(mode="after")
    def _names_a_place(self) -> BlockAddressParams:
        if not self.subnet_ids and self.instance_id is None:
            raise ValueError("name subnet_ids or instance_id")
        if self.first_number > self.last_number:
            raise ValueError("first_number is beyond last_number")
        return self


class BlockAddressState(State):
    """The ACLs of the subnets and those that hold the block, and the address ranges of the networks.

    An undo must find its entries where the instance or the subnet is gone, or behind another ACL by now: so
    every ACL that denies exactly this block is kept in view.
    """

    block: str
    account_id: str
    asked_subnet_ids: tuple[str, ...]
    acls: tuple[Acl, ...]
    own_blocks: tuple[str, ...]
    missing: str = ""
    """What does not exist any more, if so."""
    protected: str = ""
    """An ACL or subnet among them that the configuration protects; the parameters may not name it."""

    @property
    def guarding(self) -> tuple[Acl, ...]:
        """Return the ACLs of the subnets that were asked for."""
        return tuple(acl for acl in self.acls if set(acl.subnets) & set(self.asked_subnet_ids))

    def footprint(self) -> dict[str, int | None]:
        """Return, for each ACL and direction, the first entry that denies exactly this block."""
        return {
            f"{acl.network_acl_id}/{direction(egress=egress)}/{self.block}": self.denying(acl, egress=egress)
            for acl in self.acls
            for egress in DIRECTIONS["both"]
        }

    def denying(self, acl: Acl, *, egress: bool) -> int | None:
        """Return the number of the first entry that denies exactly this block, all protocols."""
        return next(
            (entry.number for entry in acl.facing(egress=egress) if _denies(entry, self.block)),
            None,
        )


class NoNumber(Exception):
    """There is no number for the entry."""


def places(params: BlockAddressParams, state: BlockAddressState) -> Iterator[tuple[Acl, bool, int | None]]:
    """Yield each ACL and direction, and the number of the entry that blocks there, if one does."""
    for acl in state.guarding:
        for egress in DIRECTIONS[params.directions]:
            known = (
                None if is_token(state.block) else blocking(acl.facing(egress=egress), network(state.block))
            )
            yield acl, egress, known


def holds(acl: Acl, block: str) -> bool:
    """Return whether an ACL denies exactly this block, in either direction."""
    return any(_denies(entry, block) for entry in acl.entries)


def _denies(entry: AclEntry, block: str) -> bool:
    return not entry.allow and entry.protocol == ALL_PROTOCOLS and entry.block == block


def free_number(params: BlockAddressParams, acl: Acl, *, egress: bool) -> int:
    """Return the first number of the pool that is free and below whatever lets the block through.

    Raises:
        NoNumber: If there is none; says what to do.
    """
    entries, facing = acl.facing(egress=egress), direction(egress=egress)
    if len(entries) >= params.entries_quota:
        raise NoNumber(
            f"{acl.network_acl_id} has {len(entries)} {facing} entries, and the quota is "
            f"{params.entries_quota}: delete one, or merge blocks into a wider CIDR; where AWS has raised "
            f"the quota, say so with entries_quota (at most {LARGEST_QUOTA}); a firewall takes thousands "
            "(aws.network-firewall.block-addresses)"
        )
    taken = {entry.number for entry in entries}
    through = [entry.number for entry in entries if entry.allow and _meets(entry.block, params.address)]
    below = min([*through, params.last_number + 1])
    number = next((n for n in range(params.first_number, below) if n not in taken), None)
    if number is None:
        raise NoNumber(
            f"{acl.network_acl_id} has no free {facing} number from {params.first_number} to "
            f"{min(below - 1, params.last_number)} (its lowest allow entry is "
            f"{min(through) if through else 'none'}): renumber its entries, or give another "
            "first_number and last_number"
        )
    return number


def _meets(entry: str, block: str) -> bool:
    return is_token(block) or overlaps(network(entry), network(block))
