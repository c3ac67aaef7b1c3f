"""What became of an incident, read from the world's own state and never from the runner's report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

State = Mapping[str, Any]
"""As :func:`gameday.world.state.canonical_state` returns it."""

ISOLATION_GROUPS: Final = "irrunner-"
"""Names of the groups that isolation makes begin so."""


@dataclass(frozen=True, slots=True)
class Scene:
    """Where to look: the places and the ids of what an incident is about."""

    account: str
    region: str
    forensics: str
    resources: Mapping[str, Any]
    """Names to ids: ``instance_id role_name user_name access_key_id``."""


@dataclass(frozen=True, slots=True)
class View:
    """A state, seen from a scene."""

    state: State
    scene: Scene

    @property
    def account(self) -> State:
        """Return the incident's account."""
        return _mapping(self.state["accounts"][self.scene.account])

    @property
    def region(self) -> State:
        """Return the incident's Region in that account."""
        return _mapping(self.account["regions"].get(self.scene.region))

    def named(self, kind: str, name: str) -> State:
        """Return one resource of the account or Region; empty if it is not there."""
        holder = self.region if kind in self.region else self.account
        return _mapping(_mapping(holder.get(kind)).get(self.scene.resources.get(name, "")))


def _mapping(value: Any) -> State:
    return value if isinstance(value, Mapping) else {}


def instance_state(view: View) -> str:
    """Return ``running stopping stopped terminated``, or ``gone``."""
    return str(view.named("instances", "instance_id").get("state", "gone"))


def interfaces(view: View) -> dict[str, list[str]]:
    """Return the instance's interfaces and the groups of each."""
    instance_id = view.scene.resources.get("instance_id")
    return {
        name: list(entry["security_group_ids"])
        for name, entry in _mapping(view.region.get("network_interfaces")).items()
        if entry["instance_id"] == instance_id and instance_id
    }


def isolated(view: View) -> bool:
    """Return whether every interface of the instance is only in groups without any rule."""
    groups = _mapping(view.region.get("security_groups"))
    found = interfaces(view)
    return bool(found) and all(_ruleless(groups, names) for names in found.values())


def _ruleless(groups: State, names: list[str]) -> bool:
    return bool(names) and not any(groups[name]["ingress"] or groups[name]["egress"] for name in names)


def profile(view: View) -> str:
    """Return ``present`` or ``none``: whether the instance can get credentials."""
    return "present" if view.named("instances", "instance_id").get("instance_profile_arn") else "none"


def protected(view: View) -> bool:
    """Return whether neither a terminate call nor its end would take the instance and its volumes away."""
    found = view.named("instances", "instance_id")
    devices = _mapping(found.get("block_devices")).values()
    kept = all(not device["delete_on_termination"] for device in devices)
    return bool(found.get("disable_api_termination")) and kept


def snapshots(view: View) -> int:
    """Return how many complete snapshots of the instance's volumes there are."""
    devices = _mapping(view.named("instances", "instance_id").get("block_devices")).values()
    volumes = {device["volume_id"] for device in devices}
    found = _mapping(view.region.get("snapshots")).values()
    return sum(entry["volume_id"] in volumes and entry["state"] == "completed" for entry in found)


def forensic_copies(view: View) -> int:
    """Return how many complete snapshots the forensic account holds under a key of its own."""
    regions = view.state["accounts"][view.scene.forensics]["regions"].values()
    found = [entry for region in regions for entry in region["snapshots"].values()]
    own = f":{view.scene.forensics}:key/"
    return sum(entry["state"] == "completed" and own in str(entry["kms_key_id"]) for entry in found)


def sessions_revoked(view: View) -> bool:
    """Return whether the role denies sessions by the time at which they were issued."""
    return any(
        "aws:TokenIssueTime" in _mapping(_mapping(statement.get("Condition")).get("DateLessThan"))
        for statement in _denials(view.named("roles", "role_name"))
    )


def key(view: View) -> str:
    """Return the access key's ``Active`` or ``Inactive``, or ``gone``."""
    keys = _mapping(view.named("users", "user_name").get("access_keys"))
    return str(keys.get(view.scene.resources.get("access_key_id", ""), "gone"))


def user_quarantined(view: View) -> bool:
    """Return whether the user is denied everything."""
    return any(
        statement.get("Action") == "*" and statement.get("Resource") == "*" and not statement.get("Condition")
        for statement in _denials(view.named("users", "user_name"))
    )


def _denials(owner: State) -> list[State]:
    documents = _mapping(owner.get("inline_policies")).values()
    found: list[State] = []
    for document in documents:
        statements = _mapping(document).get("Statement", [])
        found += statements if isinstance(statements, list) else [statements]
    return [statement for statement in found if statement.get("Effect") == "Deny"]


def tags(view: View) -> State:
    """Return the instance's tags."""
    return _mapping(view.named("instances", "instance_id").get("tags"))


FACTS: Final[Mapping[str, Callable[[View], Any]]] = MappingProxyType({
    "instance": instance_state,
    "isolated": isolated,
    "profile": profile,
    "protected": protected,
    "snapshots": snapshots,
    "forensic_copies": forensic_copies,
    "sessions_revoked": sessions_revoked,
    "key": key,
    "user_quarantined": user_quarantined,
})  # fmt: skip
"""Name of a fact to how it is read."""


def differences(before: State, after: State, *, strict: bool = False) -> list[str]:
    """Return which resources differ, as paths, less what an undo keeps on purpose.

    Kept on purpose: evidence (new snapshots), and the groups of isolation, for the next time; an interface
    that is still in one of them differs itself.

    Args:
        before: A canonical state.
        after: A later one.
        strict: Whether what is kept on purpose is a difference, too.
    """
    found = _differences("", before, after)
    return sorted(path for path, added in found if strict or added is None or not _kept(path, added))


def _differences(path: str, before: Any, after: Any) -> Iterator[tuple[str, Any]]:
    """Yield the path of each difference, and what is there now where nothing was."""
    if before == after:
        return
    if not (isinstance(before, Mapping) and isinstance(after, Mapping)):
        yield path, None
        return
    for name in before.keys() | after.keys():
        inner = f"{path}/{name}" if path else name
        if name in before and name in after:
            yield from _differences(inner, before[name], after[name])
        else:
            yield inner, after.get(name)


def _kept(path: str, added: Any) -> bool:
    kind = path.split("/")[-2:-1]
    if kind == ["snapshots"]:
        return True
    return kind == ["security_groups"] and str(added["name"]).startswith(ISOLATION_GROUPS)
