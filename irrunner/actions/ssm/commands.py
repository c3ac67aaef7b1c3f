"""Commands on a host by Systems Manager: who listens, what was sent, what became of it, what it left in S3.

A command that was sent is found again by its comment, which names run and step, so a crash between sending
and its answer is settled by looking: ListCommands returns the comment of every command of the last 30 days.
It may lag (nothing is sent anew for 30 seconds), and were a command sent twice after all, it would read twice
and write the same key, of which the bucket keeps both versions.

Nothing of a finding ever stands in a command's text: texts are files of this package, and values before them
are settings and ids of strict form. SSM resolves ``{{ }}`` in parameters, so no value may hold braces.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from importlib.resources import files
from typing import Any, Final, Literal

from irrunner.actions.contract import Call, LookContext, Model, Permission, ReadApi
from irrunner.actions.ec2.instances import DESCRIBE_INSTANCES, INSTANCE
from irrunner.errors import InvalidCall
from irrunner.journal.records import digest

API: Final = "https://docs.aws.amazon.com/systems-manager/latest/APIReference"
GUIDE: Final = "https://docs.aws.amazon.com/systems-manager/latest/userguide"
DOCUMENTS: Final[Mapping[str, str]] = {"Linux": "AWS-RunShellScript", "Windows": "AWS-RunPowerShellScript"}
ENDINGS: Final[Mapping[str, str]] = {"Linux": "sh", "Windows": "ps1"}
RUNNING: Final = frozenset({"Pending", "InProgress", "Delayed", "Cancelling"})
DELIVERY_S: Final = 120
UPLOAD_S: Final = 120
"""How long after a command's end its objects may take to be seen."""
MOST_OBJECTS: Final = 20
OWN: Final = {"StringEquals": {"aws:ResourceAccount": "{account}"}}
PERMISSIONS: Final = (
    DESCRIBE_INSTANCES,
    Permission("ssm:DescribeInstanceInformation"),
    Permission("ssm:ListCommands"),
    Permission("ssm:ListCommandInvocations"),
    *(
        Permission("ssm:SendCommand", f"arn:{{partition}}:ssm:{{region}}::document/{name}", use="act")
        for name in DOCUMENTS.values()
    ),
    Permission("ssm:SendCommand", INSTANCE, use="act"),
    Permission("ssm:SendCommand", "arn:{partition}:s3:::*", use="act"),  # the bucket of the output
    Permission("s3:ListBucket", "arn:{partition}:s3:::*", scope="forensics", conditions=OWN),
)
UNTRUSTED: Final = "what a compromised host says of itself may be a lie: compare it with its disks"
_VALUE: Final = re.compile(r"[A-Za-z0-9._/-]{1,500}")
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]+")


class Agent(Model):
    """The SSM agent of an instance."""

    ping: Literal["Online", "ConnectionLost", "Inactive", "Absent"]
    platform: str = ""
    """``Linux Windows MacOS``."""

    @property
    def silence(self) -> str:
        """Return why no command can reach it; empty where one can."""
        if self.ping == "Absent":
            return "no SSM agent has ever registered (no agent, no role, or no way to its endpoints)"
        return "" if self.ping == "Online" else f"its SSM agent does not answer ({self.ping})"

    @property
    def code(self) -> str:
        """Return the code of that reason."""
        return "ssm-agent-absent" if self.ping == "Absent" else "ssm-agent-offline"


class Sent(Model):
    """A command that was sent."""

    command_id: str
    status: str
    """``Pending InProgress Delayed Success Cancelled TimedOut Failed Cancelling``."""
    detail: str = ""
    """What SSM says beyond the status: ``DeliveryTimedOut``, ``Undeliverable`` ..."""
    exit_code: int = 0
    settled: bool = False
    """It ended so long ago that everything it left must be visible."""

    @property
    def running(self) -> bool:
        """Whether it may still succeed."""
        return self.status in RUNNING


class StoredObject(Model):
    """An object in the evidence bucket."""

    key: str
    size: int


def agent_of(api: ReadApi, instance: Mapping[str, Any]) -> Agent:
    """Return whether an instance's agent listens, as SSM saw it last; without one, EC2 tells the platform."""
    found = api.pages(
        "ssm:DescribeInstanceInformation",
        "InstanceInformationList",
        Filters=[{"Key": "InstanceIds", "Values": [instance["InstanceId"]]}],
    )
    if not found:
        windows = str(instance.get("Platform") or "").lower() == "windows"
        return Agent(ping="Absent", platform="Windows" if windows else "Linux")
    return Agent(ping=found[0]["PingStatus"], platform=str(found[0].get("PlatformType", "")))


def comment_of(ctx: LookContext, part: str = "") -> str:
    """Return the comment by which a command is found again; SSM takes 100 characters."""
    return f"irrunner:run={ctx.run_id}/{digest(f'{ctx.marker} {part}')[:32]}"


def prefix_of(ctx: LookContext) -> str:
    """Return where a step's objects are in the evidence bucket: ``<run>/<step>/``, of harmless characters.

    An item of a ``for_each`` may come from a finding: what is not plain is told by its digest.
    """
    step = ctx.marker.removeprefix(f"{ctx.run_id}/")
    plain = _UNSAFE.sub("-", step)[:80].strip(".-") or "step"
    return f"{ctx.run_id}/{plain if plain == step else f'{plain}-{digest(step)[:12]}'}/"


def sent_command(ctx: LookContext, instance_id: str, platform: str, comment: str) -> Sent | None:
    """Return the command of a comment, or None where it was never sent."""
    document = DOCUMENTS.get(platform)
    if document is None:
        return None
    commands = ctx.api.pages(
        "ssm:ListCommands",
        "Commands",
        InstanceId=instance_id,
        Filters=[{"key": "DocumentName", "value": document}],
    )
    mine = [command for command in commands if command.get("Comment") == comment]
    return _invocation(ctx, instance_id, mine[0]) if mine else None


def _invocation(ctx: LookContext, instance_id: str, command: Mapping[str, Any]) -> Sent:
    command_id = str(command["CommandId"])
    found = ctx.api.pages(
        "ssm:ListCommandInvocations",
        "CommandInvocations",
        CommandId=command_id,
        InstanceId=instance_id,
        Details=True,
    )
    if not found:  # just sent: its invocation is not there yet
        return Sent(command_id=command_id, status="Pending")
    plugins = found[0].get("CommandPlugins") or [{}]
    ended = plugins[0].get("ResponseFinishDateTime") or command["RequestedDateTime"]
    return Sent(
        command_id=command_id,
        status=str(found[0]["Status"]),
        detail=str(found[0].get("StatusDetails", "")),
        exit_code=int(plugins[0].get("ResponseCode", 0)),
        settled=ctx.now - _instant(ended) > timedelta(seconds=UPLOAD_S),
    )


def _instant(value: Any) -> datetime:
    return value if isinstance(value, datetime) else datetime.fromisoformat(str(value))


def stored(ctx: LookContext, prefix: str) -> tuple[StoredObject, ...]:
    """Return what is in the evidence bucket under a prefix: the first of it, by key.

    The host may write there as much as it likes and under any name: it must not make us read for ever, nor
    fill the journal. So there is one page, and keys that Systems Manager or we would not choose are left out.
    """
    if ctx.forensics is None or ctx.where.evidence_bucket is None:
        return ()
    answer = ctx.forensics.call(
        "s3:ListObjectsV2", Bucket=ctx.where.evidence_bucket, Prefix=prefix, MaxKeys=MOST_OBJECTS
    )
    found = [each for each in answer.get("Contents") or () if _VALUE.fullmatch(str(each["Key"]))]
    return tuple(StoredObject(key=str(each["Key"]), size=int(each["Size"])) for each in found)


def script(name: str, platform: str, values: Mapping[str, str] | None = None) -> list[str]:
    """Return the lines of a command: assignments of checked values, then a file of this package.

    Args:
        name: ``live_triage``.
        platform: ``Linux`` or ``Windows``.
        values: Names to settings and ids; never anything of a finding.

    Raises:
        InvalidCall: If a value has characters that a shell or SSM could understand.
    """
    wrong = [name for name, value in (values or {}).items() if not _VALUE.fullmatch(value)]
    if wrong:
        raise InvalidCall(f"not fit for a command: {', '.join(wrong)}", hint="use plain names in settings")
    sign = "$" if platform == "Windows" else ""
    assigned = [f"{sign}{name}='{value}'" for name, value in (values or {}).items()]
    text = (files(__package__ or "") / f"{name}.{ENDINGS[platform]}").read_text(encoding="utf-8")
    return [*assigned, *text.splitlines()]


def send(
    instance_id: str, platform: str, comment: str, lines: list[str], *, title: str, within_s: int,
    output: Mapping[str, str], part: str = "",
) -> Call:  # fmt: skip
    """Return the call that sends a command to one instance.

    Args:
        instance_id: The instance.
        platform: ``Linux`` or ``Windows``.
        comment: By which it is found again.
        lines: Of the script.
        title: What it does, for people.
        within_s: How long it may run.
        output: Where SSM puts what it prints (``OutputS3BucketName`` ...).
        part: Tells the commands of one action apart: each is an effect of its own.
    """
    return Call(
        "ssm:SendCommand",
        {
            "InstanceIds": [instance_id],
            "DocumentName": DOCUMENTS[platform],
            "Parameters": {"commands": lines, "executionTimeout": [str(within_s)]},
            "TimeoutSeconds": DELIVERY_S,
            "Comment": comment,
            **output,
        },
        target=f"{instance_id}/{part}" if part else instance_id,
        summary=f"{title} {instance_id}",
        reversible=False,
    )
