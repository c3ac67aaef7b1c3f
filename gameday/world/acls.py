"""Network ACLs as AWS keeps them: born closed, numbered, bounded by a quota.

Source: EC2 API reference (CreateNetworkAclEntry, DeleteNetworkAclEntry, ReplaceNetworkAclAssociation,
"Error codes"); VPC user guide, "Amazon VPC quotas" (default denies count).
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_network
from typing import Any, Final

from gameday.world import seam
from gameday.world.refusals import Refusal
from gameday.world.services import Scene, StrictLayer

ENTRIES_QUOTA: Final = 20
LAST_NUMBER: Final = 32766
_DEFAULT_DENY: Final = (32767, "deny", "0.0.0.0/0", None)
_BORN: Final = {(100, "allow", "0.0.0.0/0", None), _DEFAULT_DENY}
"""Entries of a default ACL, in each direction."""


def check_known_acls(scene: Scene) -> None:
    """Name the first ACL that does not exist; moto speaks of route tables."""
    for acl_id in scene.params.get("NetworkAclIds") or []:
        _acl(scene, acl_id)


def check_new_entry(scene: Scene) -> None:
    """Refuse numbers out of range, blocks that are none, and entries beyond the quota."""
    acl, params = _acl(scene, scene.params["NetworkAclId"]), scene.params
    if not 1 <= int(params["RuleNumber"]) <= LAST_NUMBER:
        raise Refusal("InvalidParameterValue", f"Invalid rule number {params['RuleNumber']}")
    block = params.get("CidrBlock") or params.get("Ipv6CidrBlock") or ""
    try:
        ip_network(block)
    except ValueError as problem:
        raise Refusal("InvalidParameterValue", f"CIDR block {block} is malformed") from problem
    facing = [entry for entry in acl.network_acl_entries if entry.egress == bool(params["Egress"])]
    if int(params["RuleNumber"]) in {entry.rule_number for entry in facing}:
        return  # moto refuses it
    if len(facing) >= ENTRIES_QUOTA:
        raise Refusal(
            "NetworkAclEntryLimitExceeded",
            f"The maximum number of entries for network ACL {acl.id} has been reached.",
        )


def check_entry_exists(scene: Scene) -> None:
    """Refuse to delete an entry that is not there, or the last one, which every ACL has."""
    acl, number = _acl(scene, scene.params["NetworkAclId"]), int(scene.params["RuleNumber"])
    egress = bool(scene.params["Egress"])
    known = any(e.rule_number == number and e.egress == egress for e in acl.network_acl_entries)
    if not known or number > LAST_NUMBER:
        raise Refusal(
            "InvalidNetworkAclEntry.NotFound",
            f"The entry with rule number {number} does not exist in network ACL {acl.id}",
        )


def check_association(scene: Scene) -> None:
    """Refuse associations that are none any more, and ACLs of another VPC."""
    acl = _acl(scene, scene.params["NetworkAclId"])
    association_id = scene.params["AssociationId"]
    acls = seam.ec2(scene.account, scene.region).network_acls.values()
    now = next((known for known in acls if association_id in known._associations), None)  # noqa: SLF001 - moto keeps them nowhere else
    if now is None:
        raise Refusal(
            "InvalidAssociationID.NotFound", f"The association ID '{association_id}' does not exist"
        )
    if now.vpc_id != acl.vpc_id:
        raise Refusal(
            "InvalidParameterValue", f"{acl.id} and the subnet of {association_id} belong to different VPCs"
        )


def close_new_acl(scene: Scene) -> None:
    """Let new ACLs be born with the entry that denies what no other allows."""
    backend = seam.ec2(scene.account, scene.region)
    for acl in backend.network_acls.values():
        if not acl.network_acl_entries:
            for egress in (False, True):
                backend.create_network_acl_entry(
                    acl.id, 32767, "-1", "deny", egress, "0.0.0.0/0", None, None, None, None, None
                )


def show_acls(backend: Any) -> Mapping[str, Any]:
    """Show the ACLs that are not as a VPC brings them; made ones by their name, for ids are chance."""
    return {_named(acl): _shown(acl) for acl in backend.network_acls.values() if not _untouched(acl)}


def _named(acl: Any) -> str:
    names = [tag["value"] for tag in acl.get_tags() if tag["key"] == "Name"]
    return f"{acl.vpc_id}/{names[0]}" if names else str(acl.id)


def _shown(acl: Any) -> dict[str, Any]:
    return {
        "vpc_id": acl.vpc_id,
        "default": bool(acl.default),
        "subnet_ids": sorted(str(found.subnet_id) for found in acl.associations),
        "entries": sorted(
            (
                f"{'egress' if entry.egress else 'ingress'} {entry.rule_number:05} {entry.rule_action}"
                f" {entry.protocol} {entry.cidr_block or entry.ipv6_cidr_block}"
            )
            for entry in acl.network_acl_entries
        ),
        "tags": {tag["key"]: tag["value"] for tag in acl.get_tags()},
    }


def _untouched(acl: Any) -> bool:
    return bool(acl.default) and all(
        {_key(entry) for entry in acl.network_acl_entries if entry.egress == egress} == _BORN
        for egress in (False, True)
    )


def _key(entry: Any) -> tuple[Any, ...]:
    return entry.rule_number, entry.rule_action, entry.cidr_block, entry.ipv6_cidr_block


def _acl(scene: Scene, acl_id: str) -> Any:
    known = seam.ec2(scene.account, scene.region).network_acls.get(acl_id)
    if known is None:
        raise Refusal("InvalidNetworkAclID.NotFound", f"The networkAcl ID '{acl_id}' does not exist")
    return known


LAYER: Final = StrictLayer(
    rules={
        "ec2:DescribeNetworkAcls": (check_known_acls,),
        "ec2:CreateNetworkAclEntry": (check_new_entry,),
        "ec2:DeleteNetworkAclEntry": (check_entry_exists,),
        "ec2:ReplaceNetworkAclAssociation": (check_association,),
    },
    effects={"ec2:CreateNetworkAcl": close_new_acl},
)
