"""The world that an event speaks of: its instance, key, user, role, session, bucket, account and Region."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from gameday.world import clusters, containers, content, functions, guardduty, seam
from gameday.world.content import InstanceSpec, Place
from gameday.world.identity import Sessions
from gameday.world.scaling_groups import GROUP_TAG
from irrunner.findings.identity import GENERATED
from irrunner.findings.model import Finding, FindingResource

_ACCOUNT: Final = re.compile(r"[0-9]{12}")
_NAME: Final = re.compile(r"[\w+=,.@-]{1,64}", re.ASCII)
_ID: Final = re.compile(r"[a-z]{1,10}-[0-9A-Za-z-]{1,40}")
_KEY: Final = re.compile(r"\w{16,128}", re.ASCII)
_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_FUNCTION: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_CLUSTER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
_PROFILE: Final = re.compile(r"arn:aws[\w-]*:iam::[0-9]{12}:instance-profile/[\w+=,.@/-]+")
_GROUP: Final = re.compile(r"[^:\x00-\x1f]{1,255}")
_IPV6: Final = re.compile(r'"ipv6Addresses":\s*\[\s*"', re.IGNORECASE)


def account_of(finding: Finding) -> str | None:
    """Return the finding's account if it can be one."""
    return finding.account_id if _ACCOUNT.fullmatch(finding.account_id) else None


def region_of(finding: Finding, otherwise: str) -> str:
    """Return the finding's Region if there is such a Region."""
    return finding.region if seam.is_region(finding.region) else otherwise


def build(finding: Finding, place: Place, sessions: Sessions) -> dict[str, Any]:
    """Build what a finding speaks of; what is garbled in it is left out.

    Returns:
        Names to ids, those of the primary resource winning.
    """
    built: dict[str, Any] = {"account_id": place.account, "region": place.region}
    for resource in finding.resources or (finding.resource,):
        for name, value in _build_resource(finding, resource, place, sessions).items():
            built.setdefault(name, value)
    return built


def scaling_groups(finding: Finding) -> dict[str, str]:
    """Return the instances that a finding speaks of, and the Auto Scaling group that each is a member of."""
    groups = {
        resource.instance_id: resource.tags.get(GROUP_TAG, "")
        for resource in finding.resources or (finding.resource,)
        if _ID.fullmatch(resource.instance_id)
    }
    return {instance_id: name for instance_id, name in groups.items() if _GROUP.fullmatch(name)}


def guardduty_view(finding: Finding, place: Place) -> Mapping[str, Any]:
    """Return the finding as GuardDuty's API shows it in the world."""
    resource = finding.resource
    detector = guardduty.detector_id(place.account, place.region)
    return {
        "Id": finding.id or "unknown",
        "Arn": f"arn:aws:guardduty:{place.region}:{place.account}:detector/{detector}/finding/{finding.id}",
        "AccountId": place.account,
        "Region": place.region,
        "Partition": "aws",
        "SchemaVersion": "2.0",
        "Type": finding.type,
        "Title": finding.title,
        "Description": finding.description,
        "Severity": finding.severity,
        "CreatedAt": finding.created_at,
        "UpdatedAt": finding.updated_at,
        "Resource": {
            "ResourceType": resource.kind,
            "InstanceDetails": {"InstanceId": resource.instance_id} if resource.instance_id else None,
            "AccessKeyDetails": {
                "AccessKeyId": resource.access_key_id,
                "PrincipalId": resource.principal_id,
                "UserName": resource.user_name,
                "UserType": resource.user_type,
            },
        },
        "Service": {
            "Archived": finding.archived,
            "Count": finding.count,
            "DetectorId": detector,
            "ResourceRole": finding.resource_role,
            "ServiceName": "guardduty",
        },
    }


def _build_resource(
    finding: Finding, resource: FindingResource, place: Place, sessions: Sessions
) -> dict[str, Any]:
    built: dict[str, Any] = {}
    if _ID.fullmatch(resource.instance_id):
        built |= _instance(finding, resource, place)
    elif _is_role(resource):
        profile = content.build_profile(place, resource.role_name)
        built |= {"role_name": resource.role_name, "instance_profile_arn": profile.arn}
    if _KEY.fullmatch(resource.access_key_id):
        built |= _credentials(resource, place, sessions)
    elif _is_user(resource):
        built |= content.build_user(place, resource.user_name)
    if _FUNCTION.fullmatch(resource.function_name):
        built |= functions.build_function(place, resource.function_name)
    if resource.kind == "eks-cluster" and _CLUSTER.fullmatch(resource.cluster_name):
        built |= clusters.build_cluster(place, resource.cluster_name)
    if resource.kind == "ecs-cluster" and _CLUSTER.fullmatch(resource.cluster_name):
        built |= containers.build_service(place, resource.cluster_name, "service")
    for name in filter(_BUCKET.fullmatch, resource.bucket_names):
        built["bucket_names"] = [
            *built.get("bucket_names", []),
            *content.build_bucket(place, name)["bucket_names"],
        ]
    return built


def _instance(finding: Finding, resource: FindingResource, place: Place) -> dict[str, Any]:
    if resource.instance_id in seam.instances(place.account, place.region):
        return {}
    spec = InstanceSpec(
        instance_id=resource.instance_id,
        network_interface_ids=tuple(filter(_ID.fullmatch, resource.network_interface_ids)),
        vpc_id=_valid(_ID, resource.vpc_id),
        subnet_id=_valid(_ID, resource.subnet_id),
        profile_arn=_valid(_PROFILE, resource.instance_profile_arn),
        role_name=_valid(_NAME, resource.role_name),
        tags={key: value for key, value in resource.tags.items() if not key.lower().startswith("aws:")},
        ipv6=bool(_IPV6.search(json.dumps(finding.raw, default=str))),
    )
    return content.build_instance(place, spec)


def _credentials(resource: FindingResource, place: Place, sessions: Sessions) -> dict[str, Any]:
    temporary = resource.access_key_id.startswith("ASIA")
    session_name = _valid(_NAME, resource.principal_id.partition(":")[2]) or "session"
    if _is_role(resource):
        role = content.build_role(place, resource.role_name)
        who = content.role_session(place, role, session_name)
    elif _may_be_user(resource) and (resource.user_name or not temporary):
        user_name = _valid(_NAME, resource.user_name) or "key-owner"
        if not temporary:
            return content.build_user(place, user_name, resource.access_key_id)
        content.build_user(place, user_name)
        who = content.user_session(place, user_name)
    else:
        return {}
    content.circulate(sessions, who, resource.access_key_id)
    return {f"{who.kind}_name": who.name, "access_key_id": resource.access_key_id}


def _is_user(resource: FindingResource) -> bool:
    named = _valid(_NAME, resource.user_name)
    return bool(named) and not resource.role_name and _may_be_user(resource)


def _may_be_user(resource: FindingResource) -> bool:
    return resource.user_type in {"IAMUser", ""} or resource.user_type.startswith(GENERATED)


def _is_role(resource: FindingResource) -> bool:
    return bool(_valid(_NAME, resource.role_name))


def _valid(form: re.Pattern[str], text: str) -> str:
    return text if form.fullmatch(text) else ""
