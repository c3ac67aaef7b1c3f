"""What an Auto Scaling group does by itself: it looks at its members and replaces the unhealthy.

Termination protection is no hindrance to it: it concerns the API. A member must run, and, where the health
counts that load balancers find, one of its interfaces must let something in.

Source: EC2 Auto Scaling user guide, "Health checks for instances in an Auto Scaling group"; EC2 user guide,
"Change instance termination protection", considerations.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from gameday.world import seam
from gameday.world.content import Place
from gameday.world.load_balancers import register_everywhere
from gameday.world.services import Realm

SERVICE: Final = "autoscaling"
GROUP_TAG: Final = "aws:autoscaling:groupName"
"""Tag by which AWS says of which group an instance is a member."""
LOOK_S: Final = 10.0
"""World seconds between two looks of a group at its members."""
PATIENCE: Final = 3
"""Looks in a row at which a member must be unhealthy until it is replaced."""
_LARGEST: Final = 4
_IMAGE: Final = "ami-0123456789abcdef0"


def watch(realm: Realm, account: str, region: str) -> None:
    """Let the groups of an account and Region look at their members from now on."""
    backend = seam.backend(SERVICE, account, region)
    if not hasattr(backend, "unhealthy_looks"):
        backend.unhealthy_looks = {}
        _look_again(realm, backend, realm.clock.now() + timedelta(seconds=LOOK_S))


def make_group(realm: Realm, place: Place, name: str, instance_id: str) -> None:
    """Make an instance the only member of a group, which cannot do without one, and asks load balancers."""
    backend = seam.backend(SERVICE, place.account, place.region)
    instance = seam.ec2(place.account, place.region).get_instance(instance_id)
    if backend.describe_auto_scaling_instances([instance_id]):
        return
    if name in backend.autoscaling_groups:
        backend.attach_instances(name, [instance_id])
        return
    backend.create_launch_configuration(
        name=name, image_id=_IMAGE, key_name=None, kernel_id="", ramdisk_id="", security_groups=[],
        user_data=None, instance_type="m5.large", instance_monitoring=False, instance_profile_name=None,
        spot_price=None, ebs_optimized=False, associate_public_ip_address=False, block_device_mappings=[],
    )  # fmt: skip
    group = backend.create_auto_scaling_group(
        name=name, availability_zones=[], desired_capacity=0, max_size=_LARGEST, min_size=0,
        launch_config_name=name, launch_template={}, vpc_zone_identifier=instance.subnet_id,
        default_cooldown=None, health_check_period=None, health_check_type="ELB", load_balancers=[],
        target_group_arns=[], placement_group=None, termination_policies=[], tags=[],
    )  # fmt: skip
    backend.attach_instances(name, [instance_id])
    group.min_size = 1
    watch(realm, place.account, place.region)


def fill(group: Any) -> None:
    """Launch what is missing in service, as the group's launch configuration says."""
    suspended = {process["ProcessName"] for process in group.suspended_processes}
    there = {"InService", "Pending"}
    serving = sum(member.lifecycle_state in there for member in group.instance_states)
    missing = int(group.desired_capacity or 0) - serving
    if missing > 0 and "Launch" not in suspended:
        before = {member.instance_id for member in group.instance_states}
        group.replace_autoscaling_group_instances(missing, group.get_propagated_tags())
        for member in group.instance_states:
            if member.instance_id not in before:
                register_everywhere(group, member.instance_id)


def _look_again(realm: Realm, backend: Any, due: datetime) -> None:
    def look() -> None:
        for group in list(backend.autoscaling_groups.values()):
            for member in list(group.instance_states):
                _look_at(backend, group, member)
        _look_again(realm, backend, due + timedelta(seconds=LOOK_S))

    realm.schedule.at(due, look)


def _look_at(backend: Any, group: Any, member: Any) -> None:
    """Count the looks at which a member in service is unhealthy; end it when there were enough."""
    suspended = {process["ProcessName"] for process in group.suspended_processes}
    counts = backend.unhealthy_looks
    key = member.instance_id
    if member.lifecycle_state != "InService" or "HealthCheck" in suspended or not _unhealthy(group, member):
        counts.pop(key, None)
        return
    counts[key] = counts.get(key, 0) + 1
    if counts[key] < PATIENCE:
        return
    member.health_status = "Unhealthy"
    if suspended.isdisjoint({"ReplaceUnhealthy", "Terminate"}):
        counts.pop(key)
        _end(group, member, launch="Launch" not in suspended)


def _unhealthy(group: Any, member: Any) -> bool:
    if member.instance.state != "running":
        return True
    return "ELB" in str(group.health_check_type) and not any(
        rules.ingress_rules or rules.is_default  # the default group lets its own members in
        for eni in member.instance.nics.values()
        for rules in eni.group_set
    )


def _end(group: Any, member: Any, *, launch: bool) -> None:
    """Terminate a member, and launch another, unless that is suspended."""
    group.instance_states = [other for other in group.instance_states if other is not member]
    if member.instance.state != "terminated":
        member.instance.terminate()
    seam.backend("elbv2", group.account_id, group.region).notify_terminate_instances([member.instance_id])
    if launch:
        fill(group)
