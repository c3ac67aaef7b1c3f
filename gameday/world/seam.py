"""Every place where the world reaches into moto. Nothing else in the world imports moto.

``SEAMS`` names what is relied on; a contract test compares it with the installed moto, so that a moved
seam fails a test and not a drill. ``installed()`` puts the corrections in force.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import os
from collections.abc import Iterator, Mapping
from typing import Any, Final

import moto.core.errors
import moto.kms.models
from botocore.session import Session
from moto.backends import get_backend
from moto.core.base_backend import BackendDict
from moto.core.exceptions import ServiceException
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.request import Request, determine_request_protocol
from moto.core.routing import get_service_router
from moto.core.serialize import get_serializer_class
from moto.ec2.models import ec2_backends
from moto.ec2.models.elastic_block_store import Snapshot
from moto.ec2.models.elastic_network_interfaces import NetworkInterface
from moto.ec2.models.instances import Instance, InstanceState
from moto.ec2.utils import generic_filter, random_snapshot_id
from moto.iam.models import iam_backends
from moto.kms.models import kms_backends
from moto.kms.utils import generate_private_key
from moto.moto_api._internal import mock_random
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from moto.s3.models import s3_backends
from moto.securityhub.models import Finding as HubFinding

__all__ = [
    "ACCOUNT_HEADER",
    "PROTOCOL_PARSERS",
    "SEAMS",
    "DomainDispatcherApplication",
    "HubFinding",
    "InstanceState",
    "MotoRequestHandler",
    "Request",
    "ServiceException",
    "Snapshot",
    "backend",
    "chosen_id",
    "create_backend_app",
    "determine_request_protocol",
    "ec2",
    "ec2_regions",
    "generic_filter",
    "get_serializer_class",
    "get_service_router",
    "iam",
    "iam_accounts",
    "installed",
    "instances",
    "is_region",
    "kms",
    "kms_regions",
    "random_snapshot_id",
    "s3",
    "s3_accounts",
    "used",
]  # fmt: skip

ACCOUNT_HEADER: Final = "HTTP_X_MOTO_ACCOUNT_ID"
"""WSGI name of the header by which moto is told whose request this is."""

SEAMS: Final[Mapping[str, str]] = {
    "moto.backends:get_backend": "(name)",
    "moto.core.request:determine_request_protocol": "(service_model, content_type)",
    "moto.core.routing:get_service_router": "(service_name)",
    "moto.core.routing:ServiceOperationRouter.match": "(self, request)",
    "moto.core.serialize:get_serializer_class": "(service_name, protocol)",
    "moto.core.serialize:ResponseSerializer.serialize": "(self, result)",
    "moto.core.responses:BaseResponse.get_current_account": "(self)",
    "moto.core.errors:warn": "(message, category, stacklevel, source)",
    "moto.moto_server.werkzeug_app:DomainDispatcherApplication.__call__": "(self, environ, start_response)",
    "moto.moto_server.werkzeug_app:create_backend_app": "(service)",
    "moto.settings:ec2_load_default_amis": "()",
    "moto.ec2.utils:generic_filter": "(filters, objects)",
    "moto.ec2.models.instances:random_instance_id": "()",
    "moto.ec2.models.elastic_network_interfaces:random_eni_id": "()",
    "moto.ec2.models.elastic_ip_addresses:ElasticAddressBackend.associate_address": (
        "(self, instance, eni, address, allocation_id, reassociate)"
    ),
    "moto.ec2.models.elastic_ip_addresses:ElasticAddressBackend.describe_addresses": (
        "(self, allocation_ids, public_ips, filters)"
    ),
    "moto.ec2.models.elastic_ip_addresses:ElasticAddressBackend.disassociate_address": (
        "(self, address, association_id)"
    ),
    "moto.ec2.models.vpcs:random_vpc_id": "()",
    "moto.ec2.models.subnets:random_subnet_id": "()",
    "moto.ec2.models.security_groups:random_security_group_id": "()",
    "moto.ec2.models.elastic_block_store:random_volume_id": "()",
    "moto.ec2.models.elastic_block_store:Snapshot.__init__": (
        "(self, ec2_backend, snapshot_id, volume, description, encrypted, kms_key_id, owner_id, from_ami)"
    ),
    "moto.ec2.models.elastic_network_interfaces:NetworkInterface.group_set": "property",
    "moto.ec2.models.instances:Instance.prep_nics": (
        "(self, nic_spec, private_ip, associate_public_ip, security_groups, ipv6_address_count)"
    ),
    "moto.autoscaling.models:AutoScalingBackend.attach_instances": "(self, group_name, instance_ids)",
    "moto.autoscaling.models:AutoScalingBackend.create_auto_scaling_group": (
        "(self, name, availability_zones, desired_capacity, max_size, min_size, launch_config_name, "
        "launch_template, vpc_zone_identifier, default_cooldown, health_check_period, health_check_type, "
        "load_balancers, target_group_arns, placement_group, termination_policies, tags, capacity_rebalance, "
        "new_instances_protected_from_scale_in, instance_id, mixed_instances_policy)"
    ),
    "moto.autoscaling.models:AutoScalingBackend.create_launch_configuration": (
        "(self, name, image_id, key_name, kernel_id, ramdisk_id, security_groups, user_data, instance_type, "
        "instance_monitoring, instance_profile_name, spot_price, ebs_optimized, associate_public_ip_address, "
        "block_device_mappings, instance_id, metadata_options, classic_link_vpc_id, "
        "classic_link_vpc_security_groups)"
    ),
    "moto.autoscaling.models:AutoScalingBackend.describe_auto_scaling_instances": "(self, instance_ids)",
    "moto.autoscaling.models:FakeAutoScalingGroup.replace_autoscaling_group_instances": (
        "(self, count_needed, propagated_tags)"
    ),
    "moto.elbv2.models:ELBv2Backend.notify_terminate_instances": "(self, instance_ids)",
    "moto.ec2.models.flow_logs:FlowLogsBackend.create_flow_logs": (
        "(self, resource_type, resource_ids, traffic_type, deliver_logs_permission_arn, log_destination_type,"
        " log_destination, log_group_name, log_format, max_aggregation_interval)"
    ),
    "moto.iam.models:IAMBackend.create_access_key": "(self, user_name, prefix, status)",
    "moto.iam.models:User.to_csv": "(self)",
    "moto.secretsmanager.models:FakeSecret.reset_default_version": "(self, secret_version, version_id)",
    "moto.secretsmanager.models:SecretsManagerBackend.create_secret": (
        "(self, name, secret_string, secret_binary, description, tags, kms_key_id, client_request_token,"
        " replica_regions, force_overwrite)"
    ),
    "moto.ssoadmin.models:SSOAdminBackend.create_permission_set": (
        "(self, name, description, instance_arn, session_duration, relay_state, tags)"
    ),
    "moto.ssoadmin.models:SSOAdminBackend.create_account_assignment": (
        "(self, instance_arn, target_id, target_type, permission_set_arn, principal_type, principal_id)"
    ),
    "moto.kms.models:generate_private_key": "(key_spec)",
    "moto.kms.models:KmsBackend.any_id_to_key_id": "(self, key_id)",
    "moto.securityhub.models:Finding.__init__": "(self, finding_id, finding_data)",
    "moto.cloudtrail.models:Trail.description": "(self, include_region)",
    "moto.cloudtrail.models:Trail.get_event_selectors": "(self)",
    "moto.rds.models:RDSBackend.create_db_cluster_snapshot": (
        "(self, db_cluster_identifier, db_cluster_snapshot_identifier, snapshot_type, tags)"
    ),
    "moto.rds.models:RDSBackend.describe_db_clusters": "(self, db_cluster_identifier, filters)",
    "moto.rds.models:RDSBackend.describe_db_instances": "(self, db_instance_identifier, filters)",
    "moto.rds.models:DBSnapshot.__init__": (
        "(self, backend, database, snapshot_id, snapshot_type, tags, original_created_at, kms_key_id, kwargs)"
    ),
    "moto.rds.models:DBClusterSnapshot.__init__": (
        "(self, backend, cluster, snapshot_id, snapshot_type, tags, kms_key_id, kwargs)"
    ),
}

_CHOSEN: Final = {
    "instance": "moto.ec2.models.instances.random_instance_id",
    "network-interface": "moto.ec2.models.elastic_network_interfaces.random_eni_id",
    "vpc": "moto.ec2.models.vpcs.random_vpc_id",
    "subnet": "moto.ec2.models.subnets.random_subnet_id",
    "security-group": "moto.ec2.models.security_groups.random_security_group_id",
    "volume": "moto.ec2.models.elastic_block_store.random_volume_id",
}


def ec2(account: str, region: str) -> Any:
    """Return moto's EC2 of an account and Region."""
    return ec2_backends[account][region]


def ec2_regions(account: str) -> list[str]:
    """Return the Regions in which anything was done in EC2, without touching others."""
    return sorted(dict.keys(ec2_backends[account])) if account in dict.keys(ec2_backends) else []


def instances(account: str, region: str) -> dict[str, Any]:
    """Return the instances of an account and Region by id."""
    if region not in ec2_regions(account):
        return {}
    reservations = ec2(account, region).reservations.values()
    return {instance.id: instance for reservation in reservations for instance in reservation.instances}


def is_region(name: str) -> bool:
    """Return whether EC2 has such a Region."""
    return bool(name) and name in _regions()


@functools.cache
def _regions() -> frozenset[str]:
    session = Session()
    return frozenset(
        region
        for partition in session.get_available_partitions()
        for region in session.get_available_regions("ec2", partition_name=partition)
    )


def iam(account: str, partition: str = "aws") -> Any:
    """Return moto's IAM of an account."""
    return iam_backends[account][partition]


def iam_accounts() -> list[str]:
    """Return the accounts that have an IAM."""
    return sorted(dict.keys(iam_backends))


def kms(account: str, region: str) -> Any:
    """Return moto's KMS of an account and Region."""
    return kms_backends[account][region]


def kms_regions(account: str) -> list[str]:
    """Return the Regions in which the account has used KMS."""
    return sorted(dict.keys(kms_backends[account])) if account in dict.keys(kms_backends) else []


def s3(account: str, partition: str = "aws") -> Any:
    """Return moto's S3 of an account."""
    return s3_backends[account][partition]


def backend(service: str, account: str, region: str) -> Any:
    """Return moto's state of a service; one that was not touched yet is made.

    Args:
        service: moto's name, which is botocore's (``autoscaling``, ``lambda``, ``network-firewall``).
        account: Account id.
        region: Region, or the partition (``aws``) of a global service.
    """
    known: Any = get_backend(service)  # type: ignore[call-overload]  # moto lists its names as literals
    return known[account][region]


def used(service: str, account: str) -> list[str]:
    """Return the Regions (or partitions) in which an account has used a service, without touching others."""
    accounts: Any = get_backend(service)  # type: ignore[call-overload]  # as above
    return sorted(dict.keys(accounts[account])) if account in dict.keys(accounts) else []


def s3_accounts() -> list[str]:
    """Return the accounts that have used S3."""
    return sorted(dict.keys(s3_backends))


@contextlib.contextmanager
def chosen_id(kind: str, *ids: str) -> Iterator[None]:
    """Let the next resources of a kind be born with these ids (re-keying afterwards breaks references).

    Args:
        kind: ``instance network-interface vpc subnet security-group volume``.
        ids: In the order of creation; after them, moto's own choice again.
    """
    module_name, _, name = _CHOSEN[kind].rpartition(".")
    module = importlib.import_module(module_name)
    own = getattr(module, name)
    waiting = iter([chosen for chosen in ids if chosen])
    with _replaced(module, name, lambda: next(waiting, None) or own()):
        yield


@contextlib.contextmanager
def installed(seed: int) -> Iterator[None]:
    """Reset moto, seed its ids, and correct what it gets wrong, until the block ends.

    - Security groups belong to interfaces: an instance's groups are those of its primary interface.
    - No catalogue of public images: it costs start-up time and fills the snapshots.
    - Symmetric keys need no RSA key pair (50 ms each).
    - A warning of moto's own serialiser about codes missing in botocore's models is not the drill's business.
    """
    with contextlib.ExitStack() as stack:
        for owner, name, value in _CORRECTIONS:
            stack.enter_context(_replaced(owner, name, value))
        stack.enter_context(_environment("MOTO_EC2_LOAD_DEFAULT_AMIS", "false"))
        _reset()
        mock_random.seed(seed)
        stack.callback(_reset)
        yield


def _reset() -> None:
    """Empty moto, whatever services make of each other while they are reset (Auto Scaling makes an EC2)."""
    used: list[Any] = list(BackendDict._instances)  # type: ignore[misc]  # noqa: SLF001 - the seam
    BackendDict.reset()
    for service in used:
        service.clear()


@contextlib.contextmanager
def _replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    absent = object()
    before = vars(owner).get(name, absent)
    setattr(owner, name, value)
    try:
        yield
    finally:
        if before is absent:
            delattr(owner, name)
        else:
            setattr(owner, name, before)


@contextlib.contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def _silent(*_args: object, **_kwargs: object) -> None:
    """Say nothing."""


def _private_key(key_spec: str) -> Any:
    return None if key_spec == "SYMMETRIC_DEFAULT" else generate_private_key(key_spec)


def _own_groups(interface: Any) -> list[Any]:
    return list(interface._group_set)  # noqa: SLF001 - the seam


def _primary_groups(instance: Any) -> list[Any]:
    primary = instance.__dict__.get("nics", {}).get(0)
    return instance.__dict__.get("_groups", []) if primary is None else _own_groups(primary)


def _set_primary_groups(instance: Any, groups: list[Any]) -> None:
    instance.__dict__["_groups"] = list(groups)
    primary = instance.__dict__.get("nics", {}).get(0)
    if primary is not None:
        primary._group_set = list(groups)  # noqa: SLF001 - the seam


_CORRECTIONS: Final[tuple[tuple[Any, str, Any], ...]] = (
    (moto.core.errors, "warn", _silent),
    (moto.kms.models, "generate_private_key", _private_key),
    (NetworkInterface, "group_set", property(_own_groups)),
    (Instance, "security_groups", property(_primary_groups, _set_primary_groups)),
)
