"""The table: for every action, what to arrange, and how its target may vanish or change meanwhile."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from gameday.world import seam
from tests.contracts.bench import Bench

Values: TypeAlias = Mapping[str, Any]
OVER_S = 3600.0
"""Longer than any asynchronous state of the world."""


def _nothing(bench: Bench, values: Values) -> None:
    del bench, values


@dataclass(frozen=True)
class Row:
    """One action in one situation.

    Args:
        action: Its id.
        arrange: Prepares the world and returns the parameters.
        vanish: Lets the target disappear.
        drift: Lets somebody else change what the action has set; None where undo changes nothing.
        name: Tells rows of one action apart.
        operations: Changes that it may ask for, each of which is struck by faults.
        optional: Those of them whose failure fails nothing.
    """

    action: str
    arrange: Callable[[Bench], Values]
    vanish: Callable[[Bench, Values], None]
    operations: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    drift: Callable[[Bench, Values], None] | None = None
    name: str = ""

    def __str__(self) -> str:
        """Return the test's id."""
        return f"{self.action}{f'-{self.name}' if self.name else ''}"


def instance(bench: Bench) -> Values:
    """The instance of the world, with two interfaces and three disks."""
    return {"instance_id": bench.resources["instance_id"]}


def tagged(bench: Bench) -> Values:
    """The instance, one of whose tags has a value already."""
    tags = {"Name": "quarantined", "Incident": "IR-1"}
    return {**instance(bench), "tags": tags}


def isolated(bench: Bench) -> Values:
    """The instance after its isolation; those calls do not count."""
    values = instance(bench)
    bench.run(bench.registry.get("aws.ec2.isolate-instance"), values)
    return values


def stop_protected(bench: Bench) -> Values:
    """The instance, protected from stop."""
    values = instance(bench)
    bench.client("ec2").modify_instance_attribute(
        InstanceId=values["instance_id"], DisableApiStop={"Value": True}
    )
    return values


def snapshots(bench: Bench) -> Values:
    """Snapshots of all disks, which are not completed yet."""
    made = [
        bench.client("ec2").create_snapshot(VolumeId=volume)["SnapshotId"]
        for volume in bench.resources["volume_ids"]
    ]
    return {"snapshot_ids": made}


def key_kind(bench: Bench, volume: Mapping[str, Any]) -> str:
    """Return the row of the KMS table that a volume is in."""
    if not volume["Encrypted"]:
        return "unencrypted"
    described = bench.client("kms").describe_key(KeyId=volume["KmsKeyId"])["KeyMetadata"]
    return "customer" if described["KeyManager"] == "CUSTOMER" else "aws/ebs"


def snapshot_under(kind: str) -> Callable[[Bench], Values]:
    """A completed snapshot of the disk under a kind of key."""

    def arrange(bench: Bench) -> Values:
        ec2 = bench.client("ec2")
        volumes = ec2.describe_volumes(VolumeIds=bench.resources["volume_ids"])["Volumes"]
        chosen = next(volume for volume in volumes if key_kind(bench, volume) == kind)
        made = ec2.create_snapshot(VolumeId=chosen["VolumeId"])["SnapshotId"]
        bench.clock.advance(OVER_S)
        return {"snapshot_id": made}

    return arrange


def key(bench: Bench) -> Values:
    """Alice's access key."""
    listed = bench.client("iam").list_access_keys(UserName="alice")["AccessKeyMetadata"]
    return {"access_key_id": listed[0]["AccessKeyId"], "user_name": "alice"}


def user(bench: Bench) -> Values:
    """Alice."""
    return {"user_name": "alice"}


def role(bench: Bench) -> Values:
    """The role of the instance."""
    return {"role_name": bench.resources["role_name"], **instance(bench)}


def erase_instance(bench: Bench, values: Values) -> None:
    """An hour after its end AWS does not know an instance any more; its interfaces went with it."""
    backend = seam.ec2(bench.account, bench.where.region)
    for number, reservation in list(backend.reservations.items()):
        for found in reservation.instances:
            if found.id == values["instance_id"]:
                for nic in found.nics.values():
                    backend.enis.pop(nic.id, None)
                del backend.reservations[number]


def erase_snapshots(bench: Bench, values: Values) -> None:
    """Somebody deletes the snapshots."""
    for snapshot_id in values.get("snapshot_ids") or [values["snapshot_id"]]:
        del seam.ec2(bench.account, bench.where.region).snapshots[snapshot_id]


def erase_key(bench: Bench, values: Values) -> None:
    """Somebody deletes the key."""
    bench.world.act("delete-access-key", account=bench.account, **values)


def erase_user(bench: Bench, values: Values) -> None:
    """Somebody deletes the user."""
    del seam.iam(bench.account).users[values["user_name"]]


def erase_role(bench: Bench, values: Values) -> None:
    """Somebody deletes the role."""
    iam = seam.iam(bench.account)
    found = next(ident for ident, known in iam.roles.items() if known.name == values["role_name"])
    del iam.roles[found]


def move_interface(bench: Bench, values: Values) -> None:
    """Somebody puts an interface into the default group of its network."""
    backend = seam.ec2(bench.account, bench.where.region)
    default = backend.get_default_security_group(bench.resources["vpc_id"])
    bench.world.act(
        "set-interface-groups",
        account=bench.account,
        region=bench.where.region,
        network_interface_id=bench.resources["network_interface_ids"][0],
        security_group_ids=[default.id],
    )


def change_tag(bench: Bench, values: Values) -> None:
    """Somebody writes another value."""
    bench.world.act(
        "set-tags",
        account=bench.account,
        region=bench.where.region,
        resource_id=values["instance_id"],
        tags={"Name": "mine"},
    )


def terminate(bench: Bench, values: Values) -> None:
    """Somebody ends the instance."""
    bench.world.act(
        "terminate-instance",
        account=bench.account,
        region=bench.where.region,
        instance_id=values["instance_id"],
    )


def other_profile(bench: Bench, values: Values) -> None:
    """Somebody gives the instance another profile."""
    iam, ec2 = bench.client("iam"), bench.client("ec2")
    iam.create_instance_profile(InstanceProfileName="other")
    iam.add_role_to_instance_profile(InstanceProfileName="other", RoleName=bench.resources["role_name"])
    ec2.associate_iam_instance_profile(InstanceId=values["instance_id"], IamInstanceProfile={"Name": "other"})


def other_policy(kind: str, policy_name: str) -> Callable[[Bench, Values], None]:
    """Somebody writes another document under our policy's name."""
    statement = {"Effect": "Deny", "Action": "s3:*", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})

    def write(bench: Bench, values: Values) -> None:
        names = {f"{kind.title()}Name": values[f"{kind}_name"]}
        put = getattr(bench.client("iam"), f"put_{kind}_policy")
        put(PolicyName=policy_name, PolicyDocument=document, **names)

    return write


MODIFY_INTERFACE = "ec2:ModifyNetworkInterfaceAttribute"
COPY = ("ec2:CopySnapshot", "ec2:ModifySnapshotAttribute")
COPY_ENCRYPTED = (*COPY, "kms:CreateGrant", "kms:RevokeGrant")

ROWS = (
    Row("aws.ec2.describe-instance", instance, erase_instance),
    Row(
        "aws.ec2.isolate-instance", instance, erase_instance,
        operations=(
            "ec2:CreateSecurityGroup", "ec2:RevokeSecurityGroupEgress", "ec2:AuthorizeSecurityGroupIngress",
            "ec2:AuthorizeSecurityGroupEgress", "ec2:CreateTags", MODIFY_INTERFACE,
        ),
        optional=("ec2:CreateTags",), drift=move_interface,
    ),
    Row(
        "aws.ec2.release-instance", isolated, erase_instance,
        operations=(MODIFY_INTERFACE, "ec2:DeleteTags"), optional=("ec2:DeleteTags",), drift=move_interface,
    ),
    Row(
        "aws.ec2.protect-instance", instance, erase_instance,
        operations=("ec2:ModifyInstanceAttribute",),
    ),
    Row(
        "aws.ec2.tag-instance", tagged, erase_instance, operations=("ec2:CreateTags",), drift=change_tag,
    ),
    Row(
        "aws.ec2.stop-instance", stop_protected, erase_instance,
        operations=("ec2:ModifyInstanceAttribute", "ec2:StopInstances"),
    ),
    Row(
        "aws.ec2.remove-instance-profile", instance, erase_instance,
        operations=("ec2:DisassociateIamInstanceProfile",), drift=other_profile,
    ),
    Row("aws.ebs.snapshot-instance", instance, erase_instance, operations=("ec2:CreateSnapshots",)),
    Row("aws.ebs.await-snapshots", snapshots, erase_snapshots),
    *(
        Row("aws.ebs.copy-to-forensics", snapshot_under(kind), erase_snapshots, operations, name=kind)
        for kind, operations in (
            ("unencrypted", COPY), ("customer", COPY_ENCRYPTED), ("aws/ebs", COPY_ENCRYPTED)
        )
    ),
    Row("aws.iam.deactivate-access-key", key, erase_key, operations=("iam:UpdateAccessKey",)),
    Row(
        "aws.iam.quarantine-user", user, erase_user,
        operations=("iam:PutUserPolicy",), drift=other_policy("user", "irrunner-quarantine"),
    ),
    Row("aws.iam.describe-role-users", role, erase_role),
    Row(
        "aws.iam.revoke-role-sessions", role, erase_role,
        operations=("iam:PutRolePolicy",), drift=other_policy("role", "irrunner-revoke-older-sessions"),
    ),
    Row("aws.sts.whoami", lambda _: {}, _nothing),
)  # fmt: skip

LOCAL: Mapping[str, Values] = {
    "notify.send": {"channel": "oncall", "title": "contained", "body": "i-1 is cut off"},
    "evidence.record": {"kind": "disk-snapshot", "description": "the disk", "references": ["snap-1"]},
}
"""Actions that call no AWS API, and their parameters."""
