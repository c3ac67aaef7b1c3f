"""Systems Manager: agents that listen or not, commands that take their time, and what hosts write to S3.

A host writes with its own role, as the real agent does: without an instance profile, or where the bucket's
policy does not name it, the command ends and nothing arrives.

Source: Systems Manager API reference (SendCommand, ListCommands, ListCommandInvocations,
DescribeInstanceInformation); user guide, "Understanding command statuses".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from gameday.world import seam
from gameday.world.authz.evaluate import Asked, Caller, Policies, evaluate
from gameday.world.authz.gate import identity_policies
from gameday.world.refusals import Refusal
from gameday.world.services import Realm, Scene, StrictLayer

_PLATFORMS: Final = {"AWS-RunShellScript": "Linux", "AWS-RunPowerShellScript": "Windows"}
_PARAMETERS: Final = {"commands", "executionTimeout", "workingDirectory"}
_PLUGINS: Final = {"Linux": "awsrunShellScript", "Windows": "awsrunPowerShellScript"}
_COMMENT_CHARACTERS: Final = 100
_TIMEOUTS_S: Final = range(30, 2_592_001)
_BEGINS_S: Final = 1.0
_TAKES_S: Final = 6.0
_PAGE: Final = 50
_ASSIGNED: Final = re.compile(r"^\$?(EVIDENCE_BUCKET|EvidenceBucket|IMAGE_KEY|ImageKey)='([^']*)'$")
_HEADS: Final = {"good": b"EMiL", "wrong-header": b"\0\0\0\0", "short": b"EMiL", "none": b""}
_NOT_UPLOADED: Final = 45


@dataclass(frozen=True, slots=True)
class Host:
    """What the SSM agent of an instance does."""

    ping: str = "Online"
    """``Online ConnectionLost Inactive Absent``."""
    platform: str = "Linux"
    image: str = "good"
    """What captures of its memory give, by attempt, with commas: ``good wrong-header short none``."""
    exit_code: int = 0
    """Of every command."""


@dataclass(frozen=True, slots=True)
class Writer:
    """An instance that writes to S3."""

    realm: Realm
    account: str
    region: str
    instance_id: str


def set_host(account: str, region: str, instance_id: str, **about: Any) -> None:
    """Say what an instance's agent does from now on."""
    _kept(account, region)["hosts"][instance_id] = Host(**about)


def shown_commands(backend: Any) -> dict[str, Any]:
    """Return the commands that were sent, in order."""
    commands = vars(backend).get("world", {}).get("commands", {})
    names = ("DocumentName", "InstanceIds", "Comment", "Status")
    return {
        f"{number:04}": {name: command[name] for name in names}
        for number, command in enumerate(commands.values())
    }


def describe_instance_information(scene: Scene) -> Mapping[str, Any]:
    """Describe the instances whose agent has ever registered."""
    wanted = _only(scene, "Filters", "Key", "Values", {"InstanceIds"}).get("InstanceIds")
    found = []
    for instance_id in sorted(seam.instances(scene.account, scene.region)):
        host = _host(scene.account, scene.region, instance_id)
        if host.ping == "Absent" or (wanted is not None and instance_id not in wanted):
            continue
        found.append(
            {
                "InstanceId": instance_id,
                "PingStatus": host.ping,
                "PlatformType": host.platform,
                "LastPingDateTime": scene.realm.clock.now(),
                "AgentVersion": "3.3.0.0",
                "ResourceType": "EC2Instance",
            }
        )
    return _page(scene, "InstanceInformationList", found)


def send_command(scene: Scene) -> Mapping[str, Any]:
    """Take a command; it is delivered, runs and ends by the world's time."""
    params = scene.params
    _check(scene)
    commands = _kept(scene.account, scene.region)["commands"]
    command_id = f"00000000-0000-4000-8000-{len(commands):012}"
    now = scene.realm.clock.now()
    command = {
        "CommandId": command_id,
        "DocumentName": params["DocumentName"],
        "InstanceIds": list(params["InstanceIds"]),
        "Comment": params.get("Comment", ""),
        "Parameters": params.get("Parameters", {}),
        "OutputS3BucketName": params.get("OutputS3BucketName", ""),
        "OutputS3KeyPrefix": params.get("OutputS3KeyPrefix", ""),
        "RequestedDateTime": now,
        "Status": "Pending",
        "StatusDetails": "Pending",
        "ended": None,
        "exit": 0,
    }
    commands[command_id] = command
    _schedule(scene, command, now, int(params.get("TimeoutSeconds", 3600)))
    return {"Command": _shown(command)}


def _check(scene: Scene) -> None:
    """Refuse what Systems Manager refuses."""
    params = scene.params
    document = params.get("DocumentName")
    if document not in _PLATFORMS:
        raise Refusal("InvalidDocument", f"document {document} does not exist")
    given = params.get("Parameters") or {}
    lines = [line for values in given.values() for line in values]
    if set(given) - _PARAMETERS or not given.get("commands") or any("{{" in line for line in lines):
        raise Refusal("InvalidParameters", "parameters do not fit the document")
    too_long = len(params.get("Comment", "")) > _COMMENT_CHARACTERS
    if too_long or int(params.get("TimeoutSeconds", 3600)) not in _TIMEOUTS_S:
        raise Refusal("ValidationException", "1 validation error detected: comment or timeoutSeconds")
    for instance_id in params.get("InstanceIds") or [""]:
        known = instance_id in seam.instances(scene.account, scene.region)
        host = _host(scene.account, scene.region, instance_id) if known else Host(ping="Absent")
        if host.ping == "Absent":
            raise Refusal(
                "InvalidInstanceId", f"Instances [[{instance_id}]] not in a valid state for account"
            )
        if host.platform != _PLATFORMS[document]:
            raise Refusal("UnsupportedPlatformType", f"{document} does not run on {host.platform}")


def _schedule(scene: Scene, command: dict[str, Any], now: datetime, timeout_s: int) -> None:
    realm, account, region = scene.realm, scene.account, scene.region
    host = _host(account, region, command["InstanceIds"][0])

    def status(name: str, detail: str) -> None:
        command.update(Status=name, StatusDetails=detail)

    def end() -> None:
        command["ended"] = now + timedelta(seconds=_TAKES_S)
        command["exit"] = _carry_out(realm, account, region, command)
        status(*(("Failed", "Failed") if command["exit"] else ("Success", "Success")))

    if host.ping != "Online":
        due = now + timedelta(seconds=timeout_s)
        realm.schedule.at(due, lambda: status("TimedOut", "DeliveryTimedOut"))
        return
    realm.schedule.at(now + timedelta(seconds=_BEGINS_S), lambda: status("InProgress", "InProgress"))
    realm.schedule.at(now + timedelta(seconds=_TAKES_S), end)


def _carry_out(realm: Realm, account: str, region: str, command: dict[str, Any]) -> int:
    """Do on the host what the command says, as far as it leaves something in S3; return the exit code."""
    instance_id = command["InstanceIds"][0]
    host, writer = _host(account, region, instance_id), Writer(realm, account, region, instance_id)
    lines = command["Parameters"]["commands"]
    assigned = {
        match[1].lower().replace("_", ""): match[2] for line in lines if (match := _ASSIGNED.match(line))
    }
    exit_code = host.exit_code
    if not exit_code and "imagekey" in assigned:
        image = _image(host, _captures(account, region, instance_id))
        size = _memory(account, region, instance_id) // (100 if image == "short" else 1)
        place = (assigned["evidencebucket"], assigned["imagekey"])
        written = image == "none" or _upload(writer, place, _HEADS[image], size)
        exit_code = 0 if written else _NOT_UPLOADED
    if command["OutputS3BucketName"]:
        plugin = _PLUGINS[_PLATFORMS[command["DocumentName"]]]
        key = (
            f"{command['OutputS3KeyPrefix']}/{command['CommandId']}/{instance_id}/{plugin}/0.{plugin}/stdout"
        )
        said = b"===== time =====\n"
        _upload(
            Writer(realm, account, region, instance_id), (command["OutputS3BucketName"], key), said, len(said)
        )
    return exit_code


def _captures(account: str, region: str, instance_id: str) -> int:
    """Count captures of a host's memory; return the number of this one, from 0."""
    counts = _kept(account, region)["captures"]
    counts[instance_id] = counts.get(instance_id, -1) + 1
    return int(counts[instance_id])


def _image(host: Host, attempt: int) -> str:
    images = host.image.split(",")
    return images[min(attempt, len(images) - 1)]


def _memory(account: str, region: str, instance_id: str) -> int:
    kind = seam.instances(account, region)[instance_id].instance_type
    (found,) = seam.ec2(account, region).describe_instance_types([kind])
    return int(found["MemoryInfo"]["SizeInMiB"]) << 20


def _upload(writer: Writer, place: tuple[str, str], head: bytes, size: int) -> bool:
    """Write an object with the role of an instance, if role and bucket allow; huge ones in size alone."""
    bucket_name, key = place
    owner = _owner(writer.realm, bucket_name)
    role = _role(writer.account, writer.region, writer.instance_id)
    if not owner or role is None:
        return False
    bucket = seam.s3(owner).buckets[bucket_name]
    policy = bucket.policy.decode() if isinstance(bucket.policy, bytes) else bucket.policy
    session = f"arn:aws:sts::{writer.account}:assumed-role/{role.name}/{writer.instance_id}"
    context = {
        "aws:principalorgid": (writer.realm.organisation.id,),
        "aws:principalarn": (role.arn,),
        "aws:principalaccount": (writer.account,),
    }
    asked = Asked(
        "s3:PutObject",
        f"arn:aws:s3:::{bucket_name}/{key}",
        Caller(writer.account, session, role.arn),
        context,
    )
    bearing = Policies(identity_policies(role), resource=policy, resource_account=owner)
    if not evaluate(asked, bearing).allowed:
        return False
    written = seam.s3(owner).put_object(bucket_name, key, head)
    written.contentsize = size
    return True


def _owner(realm: Realm, bucket_name: str) -> str:
    accounts = realm.organisation.names()
    return next((account for account in accounts if bucket_name in seam.s3(account).buckets), "")


def _role(account: str, region: str, instance_id: str) -> Any | None:
    instance = seam.instances(account, region).get(instance_id)
    arn = ((instance.iam_instance_profile if instance else None) or {}).get("Arn")
    profiles = [profile for profile in seam.iam(account).instance_profiles.values() if profile.arn == arn]
    return profiles[0].roles[0] if profiles and profiles[0].roles else None


def list_commands(scene: Scene) -> Mapping[str, Any]:
    """List commands, the newest first, as AWS does."""
    wanted = _only(scene, "Filters", "key", "value", {"DocumentName"}).get("DocumentName")
    instance_id, command_id = scene.params.get("InstanceId"), scene.params.get("CommandId")
    found = [
        _shown(command)
        for command in reversed(_kept(scene.account, scene.region)["commands"].values())
        if (not wanted or command["DocumentName"] == wanted)
        and (not instance_id or instance_id in command["InstanceIds"])
        and (not command_id or command_id == command["CommandId"])
    ]
    return _page(scene, "Commands", found)


def list_command_invocations(scene: Scene) -> Mapping[str, Any]:
    """List what became of commands on instances."""
    command = _kept(scene.account, scene.region)["commands"].get(scene.params.get("CommandId"))
    if command is None or command["Status"] == "Pending":  # its invocations come a moment later
        return {"CommandInvocations": []}
    plugin = {"Name": _PLUGINS[_PLATFORMS[command["DocumentName"]]], "Status": command["Status"]}
    if command["ended"]:
        plugin |= {"ResponseCode": command["exit"], "ResponseFinishDateTime": command["ended"]}
    shown = {
        "CommandId": command["CommandId"],
        "InstanceId": command["InstanceIds"][0],
        "Comment": command["Comment"],
        "DocumentName": command["DocumentName"],
        "RequestedDateTime": command["RequestedDateTime"],
        "Status": command["Status"],
        "StatusDetails": command["StatusDetails"],
        "CommandPlugins": [plugin],
    }
    return _page(scene, "CommandInvocations", [shown])


def _shown(command: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in command.items() if name not in {"ended", "exit"}}


def _only(scene: Scene, field: str, key: str, value: str, known: set[str]) -> dict[str, Any]:
    """Return filters by name; those that are not simulated are refused."""
    given = {each[key]: each[value] for each in scene.params.get(field) or ()}
    if set(given) - known:
        raise Refusal("InvalidFilterKey", f"filters not simulated: {sorted(set(given) - known)}")
    return given


def _page(scene: Scene, name: str, items: Sequence[Any]) -> dict[str, Any]:
    start = int(scene.params.get("NextToken") or 0)
    size = int(scene.params.get("MaxResults") or _PAGE)
    page: dict[str, Any] = {name: list(items[start : start + size])}
    return page | ({"NextToken": str(start + size)} if start + size < len(items) else {})


def _host(account: str, region: str, instance_id: str) -> Host:
    """Return what an agent does: one on a running instance with a role listens, unless somebody said else."""
    known: Host | None = _kept(account, region)["hosts"].get(instance_id)
    if known is not None:
        return known
    running = seam.instances(account, region)[instance_id].state == "running"
    return Host(ping="Online" if running else "ConnectionLost")


def _kept(account: str, region: str) -> dict[str, Any]:
    """Return what the world keeps beside moto's own state of Systems Manager, gone with it."""
    backend = seam.backend("ssm", account, region)
    kept: dict[str, Any] = vars(backend).setdefault("world", {"hosts": {}, "commands": {}, "captures": {}})
    return kept


LAYER: Final = StrictLayer(
    answers={
        "ssm:DescribeInstanceInformation": describe_instance_information,
        "ssm:SendCommand": send_command,
        "ssm:ListCommands": list_commands,
        "ssm:ListCommandInvocations": list_command_invocations,
    }
)
