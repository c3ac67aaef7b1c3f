"""What is in the accounts: instances with interfaces, volumes and a role; users with keys; buckets."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from gameday.world import ec2, keys, seam
from gameday.world.identity import Principal, Sessions, role_named
from gameday.world.organisation import create_role

_ENCRYPTION: Final = ("none", "customer", "aws/ebs")
_DEVICES: Final = ("/dev/sda1", *(f"/dev/sd{letter}" for letter in "fghijklmnop"))
_EC2_TRUST: Final = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
)
_PROTECTED_PATHS: Final = {
    "AWSReservedSSO_": "/aws-reserved/sso.amazonaws.com/",
    "AWSServiceRoleFor": "/aws-service-role/simulated.amazonaws.com/",
}


@dataclass(frozen=True, slots=True)
class Place:
    """An account and Region, and the chance that decides details there."""

    account: str
    region: str
    seed: int


@dataclass(frozen=True, slots=True)
class InstanceSpec:
    """An instance to build; what is empty is chosen."""

    instance_id: str = ""
    network_interface_ids: tuple[str, ...] = ()
    interfaces: int = 1
    """How many interfaces there are at least."""
    vpc_id: str = ""
    subnet_id: str = ""
    image_id: str = "ami-0123456789abcdef0"
    profile_arn: str = ""
    role_name: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    ipv6: bool = False
    volumes: tuple[str, ...] = ()
    """Encryption of each volume (``none customer aws/ebs``); empty: one of each, ordered by the seed."""
    profile: bool = True
    """Whether it has an instance profile."""


def build_instance(place: Place, spec: InstanceSpec) -> dict[str, Any]:
    """Build an instance with its network, volumes of mixed encryption, profile and role.

    Returns:
        The ids of what was built, by name.
    """
    backend = seam.ec2(place.account, place.region)
    vpc_id, subnet_id = _network(backend, place, spec)
    groups = [
        _group(backend, vpc_id, "web", (443, "0.0.0.0/0")),
        _group(backend, vpc_id, "admin", (22, "10.0.0.0/8")),
    ]
    enis = _interfaces(backend, subnet_id, groups, spec)
    instance = _launch(backend, place, spec, enis)
    built = _give_profile(backend, place, spec, instance) if spec.profile else {}
    return built | {
        "instance_id": instance.id,
        "network_interface_ids": [eni.id for eni in enis],
        "security_group_ids": [group.id for group in groups],
        "volume_ids": [device.volume_id for _, device in instance.get_block_device_mapping],
        "vpc_id": vpc_id,
        "subnet_id": subnet_id,
    }


def _give_profile(backend: Any, place: Place, spec: InstanceSpec, instance: Any) -> dict[str, str]:
    profile = build_profile(place, spec.role_name, spec.profile_arn)
    backend.associate_iam_instance_profile(instance.id, iam_instance_profile_arn=profile.arn)
    ec2.show_profile(instance, profile)
    return {"instance_profile_arn": profile.arn, "role_name": profile.roles[0].name}


def build_user(place: Place, user_name: str, access_key_id: str = "") -> dict[str, Any]:
    """Build a user with an active key.

    Args:
        place: Account.
        user_name: Its name.
        access_key_id: A chosen id; empty: a new one.
    """
    iam = seam.iam(place.account)
    user = iam.users.get(user_name) or iam.create_user(place.region, user_name)
    user.put_policy("work", _allow("s3:*", "ec2:Describe*", "iam:*"))
    if access_key_id in {key.access_key_id for key in user.access_keys}:
        return {"user_name": user_name, "access_key_id": access_key_id}
    key = iam.create_access_key(user_name)
    if access_key_id:
        iam.access_keys.pop(key.access_key_id)
        key.access_key_id = access_key_id
        iam.access_keys[access_key_id] = key
    return {"user_name": user_name, "access_key_id": key.access_key_id}


def build_role(place: Place, role_name: str) -> Any:
    """Return a role that instances can have, built if it is missing."""
    known = role_named(seam.iam(place.account), role_name)
    if known is not None:
        return known
    path = next((path for prefix, path in _PROTECTED_PATHS.items() if role_name.startswith(prefix)), "/")
    role = create_role(place.account, role_name, _EC2_TRUST, path=path)
    role.put_policy("work", _allow("s3:GetObject", "s3:ListBucket", "s3:PutObject"))
    return role


def service_role(place: Place, role_name: str, service: str) -> Any:
    """Return a role that a service (``lambda.amazonaws.com``) assumes, built if it is missing."""
    trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    known = role_named(seam.iam(place.account), role_name)
    return known or create_role(place.account, role_name, document)


def build_profile(place: Place, role_name: str = "", profile_arn: str = "") -> Any:
    """Return an instance profile with a role in it, built if it is missing; what is empty is chosen."""
    iam = seam.iam(place.account)
    name = profile_arn.rpartition("/")[2] or role_name or "web-role"
    if name in iam.instance_profiles:
        return iam.instance_profiles[name]
    role = build_role(place, role_name or name)
    path = profile_arn.partition(":instance-profile")[2].removesuffix(name) or "/"
    return iam.create_instance_profile(name, path, [role.name])


def role_session(place: Place, role: Any, session_name: str) -> Principal:
    """Return who a session of a role is."""
    return Principal(
        account=place.account,
        arn=f"arn:aws:sts::{place.account}:assumed-role/{role.name}/{session_name}",
        kind="role",
        name=role.name,
        user_id=f"{role.id}:{session_name}",
    )


def user_session(place: Place, user_name: str) -> Principal:
    """Return who a session of a user is."""
    user = seam.iam(place.account).get_user(user_name)
    return Principal(place.account, user.arn, "user", user_name, user.id)


def circulate(sessions: Sessions, who: Principal, access_key_id: str) -> None:
    """Put live temporary credentials into circulation: those that a finding speaks of, any token."""
    iam = seam.iam(who.account)
    owner = iam.get_user(who.name) if who.kind == "user" else iam.get_role(who.name)
    sessions.open(who, issuer_arn=owner.arn, duration_s=21_600, access_key_id=access_key_id, any_token=True)


def build_bucket(place: Place, name: str) -> dict[str, Any]:
    """Build a bucket."""
    s3 = seam.s3(place.account)
    if name not in s3.buckets:
        s3.create_bucket(name, place.region)
    return {"bucket_names": [name]}


def _network(backend: Any, place: Place, spec: InstanceSpec) -> tuple[str, str]:
    if spec.vpc_id in backend.vpcs:
        vpc = backend.vpcs[spec.vpc_id]
    else:
        with seam.chosen_id("vpc", spec.vpc_id):
            vpc = backend.create_vpc("10.20.0.0/16", amazon_provided_ipv6_cidr_block=spec.ipv6)
    known = [item.id for zone in backend.subnets.values() for item in zone.values() if item.vpc_id == vpc.id]
    if spec.subnet_id in known or (known and not spec.subnet_id):
        return vpc.id, spec.subnet_id or known[0]
    blocks = vpc.get_cidr_block_association_set(ipv6=True)
    ipv6_block = blocks[0]["cidr_block"].replace("/56", "/64") if blocks else None
    with seam.chosen_id("subnet", spec.subnet_id):
        subnet = backend.create_subnet(
            vpc.id,
            f"10.20.{len(known)}.0/24",
            ipv6_cidr_block=ipv6_block,
            availability_zone=f"{place.region}a",
        )
    return vpc.id, subnet.id


def _group(backend: Any, vpc_id: str, name: str, ingress: tuple[int, str]) -> Any:
    known = backend.get_security_group_from_name(name, vpc_id)
    if known is not None:
        return known
    group = backend.create_security_group(name, f"group {name}", vpc_id=vpc_id)
    port, cidr = ingress
    backend.authorize_security_group_ingress(group.id, "tcp", str(port), str(port), [{"CidrIp": cidr}])
    return group


def _interfaces(backend: Any, subnet_id: str, groups: Iterable[Any], spec: InstanceSpec) -> list[Any]:
    count = max(spec.interfaces, len(spec.network_interface_ids), 1)
    group_ids = [group.id for group in groups]
    enis = []
    for index in range(count):
        with seam.chosen_id("network-interface", *spec.network_interface_ids[index : index + 1]):
            eni = backend.create_network_interface(
                subnet_id,
                None,
                group_ids=group_ids[: 2 - index % 2],
                description="Primary network interface" if index == 0 else f"interface {index}",
                delete_on_termination=True,
                ipv6_address_count=1 if spec.ipv6 else 0,
            )
        enis.append(eni)
    enis[0].public_ip_auto_assign = True
    enis[0].start()
    return enis


def _launch(backend: Any, place: Place, spec: InstanceSpec, enis: Iterable[Any]) -> Any:
    with seam.chosen_id("instance", spec.instance_id):
        reservation = backend.run_instances(
            spec.image_id,
            1,
            None,
            [],
            instance_type="m5.large",
            is_instance_type_default=True,
            region_name=place.region,
            nics=[{"NetworkInterfaceId": eni.id, "DeviceIndex": index} for index, eni in enumerate(enis)],
            block_device_mappings=_mappings(place, spec.volumes),
            tags={"instance": dict(spec.tags) or {"Name": "web-1"}},
        )
    return reservation.instances[0]


def _mappings(place: Place, volumes: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return the volumes; none given: one of each encryption, in an order that the seed chooses."""
    order = list(volumes or _ENCRYPTION)
    if not volumes:
        random.Random(f"volumes {place.seed}").shuffle(order)  # noqa: S311 - repeatability is the point
    customer = keys.resolve(place.account, place.region, "alias/app-data") or keys.create(
        place.account, place.region, alias="alias/app-data"
    )
    arns = {"customer": customer.arn, "aws/ebs": keys.default_ebs_key(place.account, place.region).arn}
    return [
        {
            "DeviceName": device,
            "Ebs": {
                "VolumeSize": 8 * (index + 1),
                "VolumeType": "gp3",
                "Encrypted": encryption != "none",
                "KmsKeyId": arns.get(encryption),
                "DeleteOnTermination": index == 0,
            },
        }
        for index, (device, encryption) in enumerate(zip(_DEVICES, order, strict=False))
    ]


def _allow(*actions: str) -> str:
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})
