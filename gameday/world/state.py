"""The canonical state of the cloud: what a scorer compares, sorted, without times or association ids."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote

from gameday.world import locks, seam
from gameday.world.organisation import Organisation
from gameday.world.sections import GLOBAL, REGIONAL, Section


def canonical_state(organisation: Organisation) -> dict[str, Any]:
    """Return the state of all accounts.

    Returns:
        ``{"accounts": {id: {"name", "regions": {region: {"instances", "network_interfaces",
        "security_groups", "volumes", "snapshots", "kms_keys"}}, "users", "roles", "instance_profiles",
        "buckets"}}}``; each resource under its id or name.
    """
    return {
        "accounts": {
            account: {"name": name, **_account(account)}
            for account, name in sorted(organisation.names().items())
        }
    }


def _account(account: str) -> dict[str, Any]:
    iam = seam.iam(account)
    return {
        "regions": _regions(account),
        "users": {user.name: _user(user) for user in _sorted(iam.users.values(), "name")},
        "roles": {role.name: _role(role) for role in _sorted(iam.roles.values(), "name")},
        "instance_profiles": {
            profile.name: {"arn": profile.arn, "roles": sorted(role.name for role in profile.roles)}
            for profile in _sorted(iam.instance_profiles.values(), "name")
        },
        "buckets": {name: _bucket(bucket) for name, bucket in sorted(seam.s3(account).buckets.items())},
        **_sections(GLOBAL, account, "aws"),
    }


def _sections(sections: Iterable[Section], account: str, region: str) -> dict[str, Any]:
    """Return what the sections show of a Region (or of the partition), where they show anything."""
    shown = {
        section.name: section.show(seam.backend(section.service, account, region))
        for section in sections
        if region in seam.used(section.service, account)
    }
    return {name: dict(sorted(content.items())) for name, content in shown.items() if content}


def _regions(account: str) -> dict[str, Any]:
    """Show the Regions that hold something: one that was only read is as before."""
    others = {region for section in REGIONAL for region in seam.used(section.service, account)}
    shown = {
        region: _region(account, region)
        for region in sorted({*seam.ec2_regions(account), *seam.kms_regions(account), *others})
    }
    return {region: content for region, content in shown.items() if any(content.values())}


def _region(account: str, region: str) -> dict[str, Any]:
    keys = seam.kms(account, region).keys.values() if region in seam.kms_regions(account) else []
    shown: dict[str, Any] = {
        "kms_keys": {key.arn: _key(key) for key in _sorted(keys, "arn")},
        "instances": {},
        "network_interfaces": {},
        "security_groups": {},
        "volumes": {},
        "snapshots": {},
        **_sections(REGIONAL, account, region),
    }
    if region in seam.ec2_regions(account):
        backend = seam.ec2(account, region)
        instances = [i for reservation in backend.reservations.values() for i in reservation.instances]
        groups = [
            g for in_vpc in backend.groups.values() for g in in_vpc.values() if g.vpc_id in backend.vpcs
        ]
        shown |= {
            "instances": {i.id: _instance(i) for i in _sorted(instances, "id")},
            "network_interfaces": {e.id: _interface(e) for e in _sorted(backend.enis.values(), "id")},
            "security_groups": {g.id: _group(g) for g in _sorted(groups, "id") if not _untouched(backend, g)},
            "volumes": {v.id: _volume(v) for v in _sorted(backend.volumes.values(), "id")},
            "snapshots": {s.id: _snapshot(s) for s in _sorted(backend.snapshots.values(), "id")},
        }
    return shown


def _instance(instance: Any) -> dict[str, Any]:
    profile = instance.iam_instance_profile or {}
    return {
        "state": instance.state,
        "vpc_id": instance.vpc_id,
        "subnet_id": instance.subnet_id,
        "network_interface_ids": [eni.id for _, eni in sorted(instance.nics.items())],
        "security_group_ids": sorted(group.id for group in instance.security_groups),
        "instance_profile_arn": profile.get("Arn"),
        "disable_api_termination": bool(instance.disable_api_termination),
        "disable_api_stop": bool(instance.disable_api_stop),
        "shutdown_behavior": instance.instance_initiated_shutdown_behavior,
        "metadata_options": {
            "http_endpoint": instance.metadata_options.http_endpoint,
            "http_tokens": instance.metadata_options.http_tokens,
        },
        "block_devices": {
            name: {"volume_id": device.volume_id, "delete_on_termination": bool(device.delete_on_termination)}
            for name, device in sorted(instance.get_block_device_mapping)
        },
        "tags": _tags(instance),
    }


def _interface(eni: Any) -> dict[str, Any]:
    return {
        "instance_id": eni.instance.id if eni.instance else None,
        "device_index": eni.device_index,
        "vpc_id": eni.vpc_id,
        "subnet_id": eni.subnet_id,
        "security_group_ids": sorted(group.id for group in eni.group_set),
        "private_ip": eni.private_ip_address,
        "public_ip": eni.public_ip,
        "ipv6_addresses": sorted(eni.ipv6_addresses),
        "source_dest_check": bool(eni.source_dest_check),
        "requester_managed": bool(eni.requester_managed),
        "tags": _tags(eni),
    }


def _group(group: Any) -> dict[str, Any]:
    return {
        "name": group.name,
        "vpc_id": group.vpc_id,
        "ingress": sorted((_rule(rule) for rule in group.ingress_rules), key=_canonical),
        "egress": sorted((_rule(rule) for rule in group.egress_rules), key=_canonical),
        "tags": _tags(group),
    }


def _rule(rule: Any) -> dict[str, Any]:
    shown = {
        "protocol": rule.ip_protocol,
        "from_port": rule.from_port,
        "to_port": rule.to_port,
        "cidr_ipv4": rule.ip_range.get("CidrIp"),
        "cidr_ipv6": rule.ip_range.get("CidrIpv6"),
        "group_id": rule.source_group.get("GroupId"),
        "prefix_list_id": rule.prefix_list_id,
    }
    return {name: value for name, value in shown.items() if value is not None}


def _volume(volume: Any) -> dict[str, Any]:
    return {
        "size_gib": volume.size,
        "encrypted": bool(volume.encrypted),
        "kms_key_id": volume.kms_key_id,
        "instance_id": volume.attachment.instance.id if volume.attachment else None,
        "tags": _tags(volume),
    }


def _snapshot(snapshot: Any) -> dict[str, Any]:
    lock = locks.lock_of(snapshot)
    return {
        "state": snapshot.status,
        "state_message": getattr(snapshot, "state_message", None),
        "volume_id": snapshot.volume_id,
        "size_gib": snapshot.volume_size,
        "encrypted": bool(snapshot.encrypted),
        "kms_key_id": snapshot.kms_key_id,
        "copied_from": getattr(snapshot, "copied_from", None),
        "shared_with": sorted(
            snapshot.create_volume_permission_userids | snapshot.create_volume_permission_groups
        ),
        "lock_mode": lock.mode if lock else None,
        "description": snapshot.description,
        "tags": _tags(snapshot),
    }


def _key(key: Any) -> dict[str, Any]:
    return {
        "aliases": sorted(key.aliases),
        "state": key.key_state,
        "manager": key.key_manager,
        "grants": sorted(
            (
                {"grantee": g.grantee_principal, "operations": sorted(g.operations)}
                for g in key.grants.values()
            ),
            key=_canonical,
        ),
        "policy": _document(key.policy),
    }


def _user(user: Any) -> dict[str, Any]:
    return {
        "access_keys": {key.access_key_id: key.status for key in _sorted(user.access_keys, "access_key_id")},
        "has_password": user.password is not None,
        **_policies(user),
    }


def _role(role: Any) -> dict[str, Any]:
    return {"arn": role.arn, "trust": _document(role.assume_role_policy_document), **_policies(role)}


def _policies(owner: Any) -> dict[str, Any]:
    return {
        "inline_policies": {name: _document(text) for name, text in sorted(owner.policies.items())},
        "attached_policies": sorted(owner.managed_policies),
        "tags": {tag["Key"]: tag["Value"] for tag in owner.tags or []},
    }


def _bucket(bucket: Any) -> dict[str, Any]:
    block = bucket.public_access_block
    versioning = bucket.versioning_status
    return {
        "objects": len(bucket.keys),
        "policy": _document(bucket.policy.decode() if isinstance(bucket.policy, bytes) else bucket.policy),
        "public_access_block": block.to_config_dict() if block else None,
        **({"versioning": versioning} if versioning else {}),
    }


def _document(text: str | None) -> Any:
    try:
        return json.loads(unquote(text)) if text else None
    except ValueError:
        return text


def _tags(resource: Any) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in sorted(resource.get_tags(), key=_canonical)}


def _untouched(backend: Any, group: Any) -> bool:
    """Say whether this is the default group of a VPC that came with the Region, and unused."""
    is_default = group.is_default and backend.vpcs[group.vpc_id].is_default
    return bool(is_default) and not any(group in eni.group_set for eni in backend.enis.values())


def _sorted(resources: Any, by: str) -> list[Any]:
    return sorted(resources, key=lambda resource: str(getattr(resource, by)))


def _canonical(value: Mapping[str, Any]) -> str:
    return json.dumps(value, sort_keys=True, default=str)
