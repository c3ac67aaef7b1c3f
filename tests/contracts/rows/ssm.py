"""Inside an instance: what Systems Manager asks of it."""

from __future__ import annotations

from typing import Literal

from gameday.world import ssm
from irrunner.settings import MemoryTool
from tests.contracts.bench import Bench
from tests.contracts.row import Row, Values
from tests.contracts.rows.ec2 import erase_instance, instance


def windows(bench: Bench) -> Values:
    """The instance, as if it ran Windows."""
    values = instance(bench)
    ssm.set_host(bench.account, bench.where.region, values["instance_id"], platform="Windows")
    return values


def with_tools(bench: Bench) -> Values:
    """The instance, and two tools for its memory."""
    bench.settings = bench.settings.model_copy(update={"memory": (tool("avml"), tool("lime"))})
    return instance(bench)


def windows_with_tool(bench: Bench) -> Values:
    """A Windows host, and its tool."""
    bench.settings = bench.settings.model_copy(update={"memory": (tool("avml"), tool("winpmem"))})
    return windows(bench)


def tool(kind: Literal["avml", "lime", "winpmem"]) -> MemoryTool:
    """A tool."""
    return MemoryTool(kind=kind, bucket="irrunner-tools", key=f"{kind}/1.0/{kind}", sha256="0" * 64)


SEND = ("ssm:SendCommand",)

ROWS = (
    Row("aws.ssm.capture-memory", with_tools, erase_instance, SEND),
    Row("aws.ssm.capture-memory", windows_with_tool, erase_instance, SEND, name="windows"),
    Row("aws.ssm.collect-live-triage", instance, erase_instance, SEND),
    Row("aws.ssm.collect-live-triage", windows, erase_instance, SEND, name="windows"),
)
