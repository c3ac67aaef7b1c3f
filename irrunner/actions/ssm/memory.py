"""``aws.ssm.capture-memory``: keep what is in a running host's memory, before isolation or a stop loses it.

The host fetches a tool from S3, runs it only if its SHA-256 is the configured one, and uploads the image, all
with its own role. A presigned URL would be a credential in SSM's history, and cannot take more than 5 GB; the
role's right to write is no secret, and the image is never to be trusted anyway.
"""

from __future__ import annotations

from typing import Final

from irrunner.actions.contract import (
    Act,
    Action,
    Broken,
    Call,
    Decision,
    LookContext,
    Model,
    Permission,
    PlannedOutputs,
    Refused,
    Settled,
    State,
    Waiting,
    Where,
)
from irrunner.actions.ec2.instances import OneInstance, describe_instance, instance_arn, state_of
from irrunner.actions.registry import action
from irrunner.actions.ssm.commands import (
    API,
    GUIDE,
    OWN,
    PERMISSIONS,
    UNTRUSTED,
    Agent,
    Sent,
    agent_of,
    comment_of,
    prefix_of,
    script,
    send,
    sent_command,
)
from irrunner.actions.ssm.images import FORMATS, Image, doubt_of, fault_of, image_at, memory_of
from irrunner.vocabulary import Phase, Risk, UndoPolicy

WITHIN_S: Final = 3_000
"""For one tool; the step has time for two."""
EXITS: Final = {
    40: "the host has no AWS CLI (or AWS Tools for PowerShell)",
    41: "the host's disk has less room than the host has memory",
    42: "the host's role cannot read the tool",
    43: "the tool's SHA-256 is not the configured one: it was not run",
    44: "the tool failed",
    45: "the host's role cannot write to the evidence bucket",
}
"""What the scripts exit with."""


class Tool(Model):
    """A tool as the configuration names it: an ``irrunner.settings.MemoryTool``, journalled."""

    kind: str
    bucket: str
    key: str
    sha256: str


class Attempt(Model):
    """One tool on one host."""

    tool: Tool
    comment: str
    image: Image
    sent: Sent | None = None


class MemoryState(State):
    """The host, and how far each tool for its platform is."""

    instance_id: str
    instance_state: str
    agent: Agent
    bucket: str
    """Empty: no forensic account."""
    memory_bytes: int
    attempts: tuple[Attempt, ...] = ()


class MemoryOutputs(Model):
    """Outputs."""

    instance_id: str
    captured: bool
    trusted: bool
    """Always false: a rootkit may have hidden from the tool, or changed the image."""
    reason: str
    """Why nothing was captured; empty where it was."""
    tool: str
    command_id: str
    bucket: str
    key: str
    version_id: str
    """Of the image that was checked; empty where its header could not be read."""
    size_bytes: int


@action(
    "aws.ssm.capture-memory",
    title="Capture the memory of a running host into the evidence bucket",
    phase=Phase.ANALYSIS,
    risk=Risk.DISRUPTIVE,
    permissions=(
        *PERMISSIONS,
        Permission("ec2:DescribeInstanceTypes"),
        Permission("s3:GetObject", "arn:{partition}:s3:::*", scope="forensics", conditions=OWN),
    ),
    undo=UndoPolicy.NEVER,
    undo_note="The tool removes its files from the host itself, and evidence is never deleted.",
    timeout_s=7200.0,
    consistency_s=30.0,
    evidence=True,
    sources=(
        f"{API}/API_SendCommand.html",
        f"{API}/API_ListCommandInvocations.html",
        f"{GUIDE}/monitor-commands.html",
        "https://docs.aws.amazon.com/AmazonS3/latest/userguide/PresignedUrlUploadObject.html",
        "https://docs.aws.amazon.com/AmazonS3/latest/userguide/upload-objects.html",
    ),
)
class CaptureMemory(Action[OneInstance, MemoryState]):
    """Try the configured tools in order until one leaves an image that passes."""

    Params = OneInstance
    Outputs = MemoryOutputs
    StateModel = MemoryState

    def look(self, ctx: LookContext, params: OneInstance) -> MemoryState:
        """Read host, agent, commands, and what is in the bucket."""
        instance = describe_instance(ctx.api, params.instance_id)
        agent = agent_of(ctx.api, instance)
        configured = [Tool(**tool.model_dump()) for tool in ctx.settings.memory]
        tools = [tool for tool in configured if FORMATS[tool.kind].platform == agent.platform]
        attempts = []
        for number, tool in enumerate(tools):
            comment = comment_of(ctx, f"{number} {tool.kind} {tool.sha256}")
            sent = sent_command(ctx, params.instance_id, agent.platform, comment)
            key = f"{prefix_of(ctx)}memory-{number}-{tool.kind}.{FORMATS[tool.kind].ending}"
            image = image_at(ctx, key) if sent else Image(key=key)
            attempts.append(Attempt(tool=tool, comment=comment, image=image, sent=sent))
        return MemoryState(
            instance_id=params.instance_id,
            instance_state=state_of(instance),
            agent=agent,
            bucket=(ctx.where.evidence_bucket or "") if ctx.forensics else "",
            memory_bytes=memory_of(ctx.api, str(instance["InstanceType"])),
            attempts=tuple(attempts),
        )

    def decide(self, params: OneInstance, state: MemoryState) -> Decision:
        """Follow the tool that works; take the next where one has failed."""
        if not state.bucket:
            return Refused(
                "there is no evidence bucket: set forensics.account_id", code="forensics-not-configured"
            )
        failures: list[str] = []
        for attempt in state.attempts:
            if attempt.sent is None:
                return self._begin(state, attempt, failures)
            decision = self._follow(state, attempt, attempt.sent)
            if not isinstance(decision, Broken):
                return decision
            failures.append(f"{attempt.tool.kind}: {decision.reason}")
        if failures:
            return Broken("; ".join(failures), code="memory-not-captured")
        return self._passed_over(state) or _skipped(
            state, "no tool for its platform under memory: in irrunner.yaml", "memory-tool-not-configured"
        )

    def _begin(self, state: MemoryState, attempt: Attempt, failures: list[str]) -> Decision:
        passed = self._passed_over(state)
        if passed is None:
            return Act((_capture(state, attempt),))
        if failures:
            return Broken("; ".join([*failures, passed.reason]), code="memory-not-captured")
        return passed

    def _passed_over(self, state: MemoryState) -> Refused | None:
        if state.instance_state != "running":
            return _skipped(state, f"it is {state.instance_state}", "instance-not-running")
        if state.agent.silence:
            return _skipped(state, state.agent.silence, state.agent.code)
        return None

    def _follow(self, state: MemoryState, attempt: Attempt, sent: Sent) -> Decision:
        if sent.running:
            return Waiting(f"{attempt.tool.kind} is at work ({sent.status})", poll_s=10.0)
        if sent.status != "Success":
            how = EXITS.get(sent.exit_code, f"ended as {sent.detail or sent.status}, exit {sent.exit_code}")
            return Broken(how)
        fault = fault_of(attempt.image, attempt.tool.kind, state.memory_bytes)
        if not fault:
            return Settled(_outputs(state, attempt), (UNTRUSTED, *doubt_of(attempt.image, attempt.tool.kind)))
        if attempt.image.size == 0 and not sent.settled:
            return Waiting("the image is on the way to the evidence bucket")
        return Broken(fault)

    def foresee(self, params: OneInstance, state: MemoryState, step: str) -> PlannedOutputs:
        """Return where the first tool's image will be."""
        decision = self.decide(params, state)
        if isinstance(decision, Refused):
            told = decision.outputs.model_dump(mode="json") if decision.outputs else {}
            return PlannedOutputs(told)
        first = state.attempts[0] if state.attempts else None
        tokens = {name: f"<from {step}.{name}>" for name in ("command_id", "version_id")}
        unknown = {**tokens, "size_bytes": state.memory_bytes}
        return PlannedOutputs(_outputs(state, first).model_dump(mode="json") | unknown)

    def targets(self, params: OneInstance, where: Where) -> tuple[str, ...]:
        """Return the instance."""
        return (instance_arn(where, params.instance_id),)


def _capture(state: MemoryState, attempt: Attempt) -> Call:
    platform, tool = state.agent.platform, attempt.tool
    values = {
        "KIND": tool.kind,
        "TOOL_BUCKET": tool.bucket,
        "TOOL_KEY": tool.key,
        "TOOL_SHA256": tool.sha256,
        "EVIDENCE_BUCKET": state.bucket,
        "IMAGE_KEY": attempt.image.key,
    }
    if platform == "Windows":
        values = {name.title().replace("_", ""): value for name, value in values.items()}
    return send(
        state.instance_id, platform, attempt.comment, script("capture_memory", platform, values),
        title=f"Capture memory with {tool.kind} on", within_s=WITHIN_S, output={},
        part=attempt.image.key.rpartition("/")[2],
    )  # fmt: skip


def _skipped(state: MemoryState, reason: str, code: str) -> Refused:
    why = f"{state.instance_id}: memory is not captured: {reason}; keep its disks (aws.ebs.snapshot-instance)"
    return Refused(why, nothing_to_do=True, code=code, outputs=_outputs(state, None, reason))


def _outputs(state: MemoryState, attempt: Attempt | None, reason: str = "") -> MemoryOutputs:
    return MemoryOutputs(
        instance_id=state.instance_id,
        captured=not reason,
        trusted=False,
        reason=reason,
        tool=attempt.tool.kind if attempt else "",
        command_id=attempt.sent.command_id if attempt and attempt.sent else "",
        bucket=state.bucket,
        key=attempt.image.key if attempt else "",
        version_id=attempt.image.version_id if attempt else "",
        size_bytes=attempt.image.size if attempt else 0,
    )
