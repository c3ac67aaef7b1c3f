"""Images of memory: which tool writes which, and how a good one is told from a bad one.

An image passes where its object is about as large as the host's memory and begins as its format does. That
is no proof that it can be analysed, but it finds the usual failures: an empty or cut file, an error page.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from irrunner.actions.contract import LookContext, Model, ReadApi
from irrunner.actions.ssm.commands import stored
from irrunner.errors import ActionError

SMALLEST_SHARE: Final = 0.9
"""Of the instance's memory: firmware and devices keep some of it."""
HEADER_BYTES: Final = 4
MIB: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Format:
    """What a tool writes."""

    platform: Literal["Linux", "Windows"]
    ending: str
    header: str
    """Its first bytes in hexadecimal; empty: a raw image, which begins with whatever is in memory."""


FORMATS: Final[Mapping[str, Format]] = {
    "avml": Format("Linux", "lime", "454d694c"),
    "lime": Format("Linux", "lime", "454d694c"),
    "winpmem": Format("Windows", "raw", ""),
}
"""Tool to format.

Source: LiME, "LiME Memory Range Header Version 1" (magic 0x4C694D45, little endian); AVML, README (images are
written in LiME's format unless compression is asked for).
"""


class Image(Model):
    """An image in the evidence bucket."""

    key: str
    size: int = 0
    """0: it is not there."""
    header: str | None = None
    """First bytes in hexadecimal; None: they could not be read."""
    version_id: str = ""
    """The version that was looked at: whatever the host writes to the key later is another one."""


def memory_of(api: ReadApi, instance_type: str) -> int:
    """Return the bytes of memory of an instance type."""
    (found,) = api.call("ec2:DescribeInstanceTypes", InstanceTypes=[instance_type])["InstanceTypes"]
    return int(found["MemoryInfo"]["SizeInMiB"]) * MIB


def image_at(ctx: LookContext, key: str) -> Image:
    """Return what is at a key: its size by a listing, its first bytes and version by a ranged read."""
    sizes = {each.key: each.size for each in stored(ctx, key)}
    if not sizes.get(key):
        return Image(key=key)
    header, version_id = _header(ctx, key)
    return Image(key=key, size=sizes[key], header=header, version_id=version_id)


def _header(ctx: LookContext, key: str) -> tuple[str | None, str]:
    """Read the first bytes; a bucket under a key that we may not use leaves them unknown."""
    if ctx.forensics is None:
        return None, ""
    wanted = f"bytes=0-{HEADER_BYTES - 1}"
    try:
        answer = ctx.forensics.call("s3:GetObject", Bucket=ctx.where.evidence_bucket, Key=key, Range=wanted)
        with answer["Body"] as body:
            return bytes(body.read(HEADER_BYTES)).hex(), str(answer.get("VersionId", ""))
    except ActionError:
        return None, ""


def fault_of(image: Image, kind: str, memory_bytes: int) -> str:
    """Return why an image is not good, empty where it is."""
    if image.size < memory_bytes * SMALLEST_SHARE:
        return f"the image has {image.size // MIB} MiB, the instance {memory_bytes // MIB} MiB of memory"
    expected = FORMATS[kind].header
    if expected and image.header not in (None, expected):
        return f"the image begins with {image.header}, not with {expected}"
    return ""


def doubt_of(image: Image, kind: str) -> tuple[str, ...]:
    """Return what was not checked of a good image."""
    if not FORMATS[kind].header:
        return ("a raw image has no header: only its size was checked",)
    if image.header is None:
        return ("the image's header could not be read: only its size was checked",)
    return ()
