"""The incident that a playbook's test plays: what is built for it, and the event that tells of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from gameday.finding_events import (
    Detection,
    Subject,
    instance_event,
    instance_session_event,
    user_key_event,
)
from gameday.observe import Scene
from gameday.playbook_test_schema import FindingSpec, InstanceContent, WorldContent
from gameday.world import InstanceSpec, Place, World, build_instance, build_user, keys
from gameday.world.scaling_groups import GROUP_TAG, make_group

ROLE: Final = "orders-web"
USER: Final = "release-bot"
ENCRYPTION: Final = MappingProxyType({"plain": "none", "customer-key": "customer", "default-key": "aws/ebs"})
EVENTS: Final = MappingProxyType({
    "instance": instance_event, "user-key": user_key_event, "instance-session": instance_session_event,
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Incident:
    """What was built, where to look at it, and the event as it arrives."""

    scene: Scene
    event: bytes
    """Empty where there is none."""


def build_incident(world: World, content: WorldContent, finding: FindingSpec | None) -> Incident:
    """Build the content of a test in an open world, and the event about it.

    Args:
        world: With its default content, which the incident must leave alone.
        content: What the test asks for.
        finding: What GuardDuty says; None: nothing, and there is no event.
    """
    place = Place(world.organisation.members[0], world.region, world.seed)
    built = build_instance(place, _spec(content.instance)) | build_user(place, USER)
    if group := content.instance.tags.get(GROUP_TAG):
        make_group(world, place, group, built["instance_id"])
    if content.shared_role:
        _share_role(place, built)
    for name in content.gone:
        TAKEN_AWAY[name](world, built, place)
    scene = Scene(place.account, place.region, world.organisation.forensics, built)
    event = _event(world, _subject(place, built, content.instance), finding) if finding else b""
    return Incident(scene, event)


def _event(world: World, subject: Subject, finding: FindingSpec) -> bytes:
    detection = Detection(
        finding.type, finding.severity, "", finding.role, finding.domain, finding.sample, finding.archived
    )
    return json.dumps(EVENTS[finding.resource](subject, detection, world.clock.now())).encode()


def _spec(content: InstanceContent) -> InstanceSpec:
    return InstanceSpec(
        interfaces=content.interfaces,
        ipv6=content.ipv6,
        role_name=ROLE,
        profile=content.profile,
        volumes=tuple(ENCRYPTION[name] for name in content.volumes),
        tags={"Name": "orders-web-1", **content.tags},
    )


def _share_role(place: Place, built: Mapping[str, Any]) -> None:
    spec = InstanceSpec(
        vpc_id=built["vpc_id"],
        subnet_id=built["subnet_id"],
        role_name=ROLE,
        profile_arn=built.get("instance_profile_arn", ""),
        tags={"Name": "orders-web-2"},
    )
    build_instance(place, spec)


def _subject(place: Place, built: Mapping[str, Any], content: InstanceContent) -> Subject:
    return Subject(
        account=place.account,
        region=place.region,
        instance_id=built["instance_id"],
        network_interfaces=tuple({"id": name} for name in built["network_interface_ids"]),
        vpc_id=built["vpc_id"],
        subnet_id=built["subnet_id"],
        instance_profile_arn=built.get("instance_profile_arn", ""),
        role_name=built.get("role_name", ""),
        user_name=built["user_name"],
        access_key_id=built["access_key_id"],
        tags={"Name": "orders-web-1", **content.tags},
    )


def _terminate(world: World, built: Mapping[str, Any], place: Place) -> None:
    instance_id = built["instance_id"]
    world.act("terminate-instance", account=place.account, region=place.region, instance_id=instance_id)


def _delete_key(world: World, built: Mapping[str, Any], place: Place) -> None:
    key = {"user_name": built["user_name"], "access_key_id": built["access_key_id"]}
    world.act("delete-access-key", account=place.account, **key)


def _disable_key(world: World, built: Mapping[str, Any], place: Place) -> None:
    del built
    key = keys.resolve(place.account, place.region, "alias/app-data")
    if key is not None:
        world.act("disable-key", account=place.account, region=place.region, key_id=key.id)


TAKEN_AWAY: Final[Mapping[str, Callable[[World, Mapping[str, Any], Place], None]]] = MappingProxyType({
    "instance": _terminate, "access-key": _delete_key, "customer-key": _disable_key,
})  # fmt: skip
