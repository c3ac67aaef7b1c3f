"""``aws.ec2.collect-instance-evidence``: what AWS knows of an instance, before anybody changes it."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from forensics.evidence_files import (
    JSON,
    TEXT,
    FilesOutputs,
    FilesState,
    Source,
    StoreFiles,
    as_json,
    files_of,
)
from forensics.sink import SINK_PERMISSIONS
from irrunner.actions.contract import LookContext, Model, Permission, ReadApi
from irrunner.actions.ids import InstanceId
from irrunner.actions.registry import action
from irrunner.errors import InvalidCall, TargetNotFound
from irrunner.vocabulary import Phase, Risk, UndoPolicy

USER_DATA: Final = "user-data.bin"
_INSTANCE: Final = "arn:{partition}:ec2:{region}:{account}:instance/{instance_id}"
_FILTERED: Final = ("DescribeNetworkInterfaces", "DescribeSecurityGroups", "DescribeSecurityGroupRules",
    "DescribeRouteTables", "DescribeNetworkAcls", "DescribeSubnets", "DescribeVpcs", "DescribeVolumes",
    "DescribeIamInstanceProfileAssociations", "DescribeInstances", "DescribeInstanceStatus",
    "DescribeInstanceAttribute",
)  # fmt: skip


class CollectInstanceEvidenceParams(Model):
    """Parameters of ``aws.ec2.collect-instance-evidence``."""

    instance_id: InstanceId


class CollectInstanceEvidenceOutputs(FilesOutputs):
    """Outputs of ``aws.ec2.collect-instance-evidence``."""

    user_data_sha256: str | None
    """User data may hold secrets: its bytes are in the evidence bucket, here is only its hash."""


@action(
    "aws.ec2.collect-instance-evidence",
    title="Store what AWS knows of an instance as evidence",
    phase=Phase.ANALYSIS,
    risk=Risk.NONE,
    permissions=(
        *(Permission(f"ec2:{name}") for name in _FILTERED),
        Permission("ec2:GetConsoleOutput", _INSTANCE),
        Permission("ec2:GetConsoleScreenshot", _INSTANCE),
        *SINK_PERMISSIONS,
    ),
    undo=UndoPolicy.NEVER,
    undo_note="The files are evidence, which undo never deletes; the instance is only read.",
    timeout_s=300.0,
    evidence=True,
    sources=(
        "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_GetConsoleOutput.html",
        "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_GetConsoleScreenshot.html",
        "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstanceAttribute.html",
        "https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html",
    ),
)
class CollectInstanceEvidence(StoreFiles[CollectInstanceEvidenceParams]):
    """Read the console, the network, the disks, the profile and the user data; store each as a file."""

    Params = CollectInstanceEvidenceParams
    Outputs = CollectInstanceEvidenceOutputs

    def required(self, ctx: LookContext, params: CollectInstanceEvidenceParams) -> None:
        """Make sure that the instance exists."""
        instance_of(ctx.api, params.instance_id)

    def materials(self, ctx: LookContext, params: CollectInstanceEvidenceParams) -> tuple[Source, ...]:
        """Return the files, what is lost first (a stop ends the console) first."""
        readers: tuple[tuple[str, str, Callable[[ReadApi, str], bytes | None]], ...] = (
            ("console-screenshot.jpg", "image/jpeg", _screenshot),
            ("console-output.txt", TEXT, _console),
            ("instance.json", JSON, lambda api, name: as_json(instance_of(api, name))),
            ("attributes.json", JSON, _attributes),
            ("network.json", JSON, _network),
            ("volumes.json", JSON, _volumes),
            ("profile.json", JSON, _profile),
            (USER_DATA, "application/octet-stream", _user_data),
        )
        lineage = {"instance": params.instance_id}
        return tuple(
            Source(name, partial(read, ctx.api, params.instance_id), media_type, lineage)
            for name, media_type, read in readers
        )

    def outputs(self, params: CollectInstanceEvidenceParams, state: FilesState) -> Model:
        """Return the files, and the hash of the user data."""
        known = {item.name: item.sha256 for item in state.files if not item.missing}
        return CollectInstanceEvidenceOutputs(**files_of(state), user_data_sha256=known.get(USER_DATA))


def instance_of(api: ReadApi, instance_id: str) -> Mapping[str, Any]:
    """Describe an instance.

    Raises:
        TargetNotFound: If there is none.
    """
    answer = api.call("ec2:DescribeInstances", InstanceIds=[instance_id])
    for group in answer.get("Reservations") or ():
        for instance in group["Instances"]:
            found: Mapping[str, Any] = instance
            return found
    raise TargetNotFound(f"no instance {instance_id}")


def _console(api: ReadApi, instance_id: str) -> bytes | None:
    """Return the newest console output; types that keep none but that of the last boot give that."""
    try:
        answer = api.call("ec2:GetConsoleOutput", InstanceId=instance_id, Latest=True)
    except InvalidCall:
        answer = api.call("ec2:GetConsoleOutput", InstanceId=instance_id)
    text = answer.get("Output") or ""
    return str(text).encode("utf-8", "surrogateescape") or None


def _screenshot(api: ReadApi, instance_id: str) -> bytes | None:
    image = api.call("ec2:GetConsoleScreenshot", InstanceId=instance_id, WakeUp=False).get("ImageData")
    return base64.b64decode(image) if image else None


def _attributes(api: ReadApi, instance_id: str) -> bytes:
    names = ("disableApiTermination", "disableApiStop", "instanceInitiatedShutdownBehavior")
    seen = {
        name: api.call("ec2:DescribeInstanceAttribute", InstanceId=instance_id, Attribute=name).get(
            name[0].upper() + name[1:]
        )
        for name in names
    }
    status = api.pages(
        "ec2:DescribeInstanceStatus", "InstanceStatuses", InstanceIds=[instance_id], IncludeAllInstances=True
    )
    return as_json({"attributes": seen, "status": status})


def _network(api: ReadApi, instance_id: str) -> bytes:
    """Return interfaces and everything that decides about their traffic, of their subnets and networks."""
    interfaces = api.pages(
        "ec2:DescribeNetworkInterfaces",
        "NetworkInterfaces",
        Filters=[{"Name": "attachment.instance-id", "Values": [instance_id]}],
    )
    vpcs = sorted({item["VpcId"] for item in interfaces if item.get("VpcId")})
    groups = sorted({group["GroupId"] for item in interfaces for group in item.get("Groups") or ()})
    seen: dict[str, Any] = {"NetworkInterfaces": interfaces}
    of_network = {
        "SecurityGroups": ("group-id", groups), "SecurityGroupRules": ("group-id", groups),
        "RouteTables": ("vpc-id", vpcs), "NetworkAcls": ("vpc-id", vpcs), "Subnets": ("vpc-id", vpcs),
        "Vpcs": ("vpc-id", vpcs),
    }  # fmt: skip
    for name, (by, values) in of_network.items():
        filters = [{"Name": by, "Values": values}]
        seen[name] = api.pages(f"ec2:Describe{name}", name, Filters=filters) if values else []
    return as_json(seen)


def _volumes(api: ReadApi, instance_id: str) -> bytes:
    filters = [{"Name": "attachment.instance-id", "Values": [instance_id]}]
    return as_json({"Volumes": api.pages("ec2:DescribeVolumes", "Volumes", Filters=filters)})


def _profile(api: ReadApi, instance_id: str) -> bytes:
    filters = [{"Name": "instance-id", "Values": [instance_id]}]
    path = "IamInstanceProfileAssociations"
    return as_json({path: api.pages(f"ec2:Describe{path}", path, Filters=filters)})


def _user_data(api: ReadApi, instance_id: str) -> bytes | None:
    answer = api.call("ec2:DescribeInstanceAttribute", InstanceId=instance_id, Attribute="userData")
    encoded = (answer.get("UserData") or {}).get("Value")
    return base64.b64decode(encoded) if encoded else None
