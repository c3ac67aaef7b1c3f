"""``aws.ec2.tag-instance``: write tags on an instance; never in the way of anything."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from irrunner.actions.contract import (
    Act,
    Action,
    Call,
    Decision,
    LookContext,
    Model,
    Permission,
    Settled,
    State,
    Where,
)
from irrunner.actions.ec2.instances import (
    API_REFERENCE,
    DESCRIBE_INSTANCES,
    INSTANCE,
    OneInstance,
    describe_instance,
    instance_arn,
    tags_of,
)
from irrunner.actions.ids import TagKey, TagValue
from irrunner.actions.registry import action
from irrunner.vocabulary import Phase, Risk, UndoPolicy


class TagParams(OneInstance):
    """Parameters."""

    tags: dict[TagKey, TagValue] = Field(min_length=1, max_length=50)


class TagState(State):
    """The values of the tags in question; None where the instance has no such tag."""

    instance_id: str
    tags: dict[str, str | None]

    def footprint(self) -> dict[str, str | None]:
        """Return tag to value."""
        return {f"{self.instance_id}/tag/{key}": value for key, value in self.tags.items()}


class TagOutputs(Model):
    """Outputs."""

    instance_id: str
    tags: dict[str, str]


def _pairs(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _write(instance_id: str, tags: Mapping[str, str], before: Mapping[str, str | None]) -> Call:
    return Call(
        "ec2:CreateTags",
        {"Resources": [instance_id], "Tags": _pairs(tags)},
        target=instance_id,
        summary=f"Tag {instance_id} with {', '.join(tags)}",
        before={key: before.get(key) for key in tags},
        after=dict(tags),
        optional=True,
    )


def _remove(instance_id: str, tags: Mapping[str, str]) -> Call:
    return Call(
        "ec2:DeleteTags",
        {"Resources": [instance_id], "Tags": _pairs(tags)},
        target=instance_id,
        summary=f"Take the tags {', '.join(tags)} off {instance_id}",
        before=dict(tags),
        optional=True,
    )


@action(
    "aws.ec2.tag-instance",
    title="Write tags on an instance",
    phase=Phase.CONTAINMENT,
    risk=Risk.NONE,
    permissions=(
        DESCRIBE_INSTANCES,
        Permission("ec2:CreateTags", INSTANCE, use="act"),
        Permission("ec2:CreateTags", INSTANCE, use="undo"),
        Permission("ec2:DeleteTags", INSTANCE, use="undo"),
    ),
    undo=UndoPolicy.RESTORE,
    undo_note="Sets the tags back to their recorded values and takes off those that were not there.",
    sources=(f"{API_REFERENCE}/API_CreateTags.html", f"{API_REFERENCE}/API_DeleteTags.html"),
)
class TagInstance(Action[TagParams, TagState]):
    """Tags are for people and dashboards: whoever may write them can forge them, so we never rely on them."""

    Params = TagParams
    Outputs = TagOutputs
    StateModel = TagState

    def look(self, ctx: LookContext, params: TagParams) -> TagState:
        """Read the tags in question."""
        present = tags_of(describe_instance(ctx.api, params.instance_id))
        return TagState(instance_id=params.instance_id, tags={key: present.get(key) for key in params.tags})

    def decide(self, params: TagParams, state: TagState) -> Decision:
        """Write those that differ."""
        missing = {key: value for key, value in params.tags.items() if state.tags.get(key) != value}
        if missing:
            return Act((_write(state.instance_id, missing, state.tags),))
        return Settled(TagOutputs(instance_id=state.instance_id, tags=dict(params.tags)))

    def targets(self, params: TagParams, where: Where) -> tuple[str, ...]:
        """Return the instance."""
        return (instance_arn(where, params.instance_id),)

    def undo_calls(
        self, params: TagParams, before: TagState, after: TagState, now: TagState, keys: frozenset[str]
    ) -> tuple[Call, ...]:
        """Restore tags that had a value; delete, by key and value, those that were not there."""
        mine = [key for key in before.tags if f"{before.instance_id}/tag/{key}" in keys]
        had = {key: value for key in mine if (value := before.tags[key]) is not None}
        new = {key: value for key in mine if key not in had and (value := after.tags[key]) is not None}
        calls = [_write(before.instance_id, had, now.tags)] if had else []
        calls += [_remove(before.instance_id, new)] if new else []
        return tuple(calls)
