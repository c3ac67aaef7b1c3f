"""What others (attackers, administrators, tests) do to the cloud, past the API and the call log."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from gameday.world import content, seam
from gameday.world.content import Place
from gameday.world.identity import role_named


def perform(act: str, details: dict[str, Any]) -> dict[str, Any]:
    """Do something to the cloud.

    Args:
        act: A name in :data:`ACTS`.
        details: Its keyword arguments.

    Raises:
        ValueError: If there is no such act.
        TypeError: If its details are wrong.
    """
    if act not in ACTS:
        raise ValueError(f"no act {act!r}; there are: {', '.join(sorted(ACTS))}")
    return ACTS[act](**details) or {}


def set_interface_groups(
    account: str, region: str, network_interface_id: str, security_group_ids: list[str]
) -> None:
    """Put an interface into other groups."""
    backend = seam.ec2(account, region)
    backend.modify_network_interface_attribute(network_interface_id, security_group_ids)


def attach_interface(account: str, region: str, instance_id: str) -> dict[str, Any]:
    """Attach a new interface to an instance."""
    backend = seam.ec2(account, region)
    instance = backend.get_instance(instance_id)
    groups = [group.id for group in instance.security_groups]
    eni = backend.create_network_interface(
        instance.subnet_id, None, group_ids=groups, description="added later"
    )
    instance.attach_eni(eni, max(instance.nics) + 1)
    return {"network_interface_id": eni.id}


def mark_requester_managed(account: str, region: str, network_interface_id: str) -> None:
    """Let an interface belong to an AWS service."""
    seam.ec2(account, region).get_network_interface(network_interface_id).requester_managed = True


def allow_ingress(account: str, region: str, security_group_id: str, cidr: str, port: int) -> None:
    """Open a group."""
    backend = seam.ec2(account, region)
    backend.authorize_security_group_ingress(
        security_group_id, "tcp", str(port), str(port), [{"CidrIp": cidr}]
    )


def set_tags(account: str, region: str, resource_id: str, tags: dict[str, str]) -> None:
    """Tag any EC2 resource."""
    seam.ec2(account, region).create_tags([resource_id], tags)


def mint_access_key(account: str, region: str, user_name: str) -> dict[str, Any]:
    """Make another key for a user."""
    return content.build_user(Place(account, region, 0), user_name)


def set_access_key_status(account: str, user_name: str, access_key_id: str, status: str) -> None:
    """Switch a key on or off."""
    seam.iam(account).update_access_key(user_name, access_key_id, status)


def delete_access_key(account: str, user_name: str, access_key_id: str) -> None:
    """Delete a key."""
    seam.iam(account).delete_access_key(access_key_id, user_name)


def set_role_policy(account: str, role_name: str, policy_name: str, document: str | None) -> None:
    """Write or delete an inline policy of a role."""
    role = role_named(seam.iam(account), role_name)
    if role is None:
        raise ValueError(f"no role {role_name}")
    if document is None:
        role.delete_policy(policy_name)
    else:
        role.put_policy(policy_name, document)


def disable_key(account: str, region: str, key_id: str) -> None:
    """Disable a KMS key."""
    key = seam.kms(account, region).describe_key(key_id)
    key.enabled, key.key_state = False, "Disabled"


def terminate_instance(account: str, region: str, instance_id: str) -> None:
    """Terminate an instance, whatever protects it."""
    seam.ec2(account, region).get_instance(instance_id).terminate()


ACTS: Final[dict[str, Callable[..., dict[str, Any] | None]]] = {
    "set-interface-groups": set_interface_groups,
    "attach-interface": attach_interface,
    "mark-requester-managed": mark_requester_managed,
    "allow-ingress": allow_ingress,
    "set-tags": set_tags,
    "mint-access-key": mint_access_key,
    "set-access-key-status": set_access_key_status,
    "delete-access-key": delete_access_key,
    "set-role-policy": set_role_policy,
    "disable-key": disable_key,
    "terminate-instance": terminate_instance,
}
