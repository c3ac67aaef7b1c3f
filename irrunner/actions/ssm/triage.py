"""``aws.ssm.collect-live-triage``: ask a running host what runs on it, before anybody touches it."""

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
    DOCUMENTS,
    GUIDE,
    PERMISSIONS,
    UNTRUSTED,
    Agent,
    Sent,
    StoredObject,
    agent_of,
    comment_of,
    prefix_of,
    script,
    send,
    sent_command,
    stored,
)
from irrunner.vocabulary import Phase, Risk, UndoPolicy

WITHIN_S: Final = 1_200
"""All parts of the script together; each of them may take 30 seconds."""


class TriageState(State):
    """The host, the command that asks it, and what it has answered."""

    instance_id: str
    instance_state: str
    agent: Agent
    comment: str
    bucket: str
    """Empty: no forensic account."""
    prefix: str
    sent: Sent | None = None
    objects: tuple[StoredObject, ...] = ()


class TriageOutputs(Model):
    """Outputs."""

    instance_id: str
    captured: bool
    trusted: bool
    """Always false: the host may be the attacker's."""
    reason: str
    """Why nothing was captured; empty where it was."""
    command_id: str
    platform: str
    bucket: str
    prefix: str
    objects: list[str]
    """Keys in the bucket: standard output and error of the command."""


@action(
    "aws.ssm.collect-live-triage",
    title="Collect processes, connections, users and changed files from a running host",
    phase=Phase.ANALYSIS,
    risk=Risk.NONE,
    permissions=PERMISSIONS,
    undo=UndoPolicy.NEVER,
    undo_note="The commands only read, and evidence is never deleted.",
    timeout_s=1800.0,
    consistency_s=30.0,
    evidence=True,
    sources=(
        f"{API}/API_SendCommand.html",
        f"{API}/API_ListCommands.html",
        f"{API}/API_DescribeInstanceInformation.html",
        f"{GUIDE}/monitor-commands.html",
    ),
)
class CollectLiveTriage(Action[OneInstance, TriageState]):
    """Send one read-only script, wait for it, and find its output in the evidence bucket."""

    Params = OneInstance
    Outputs = TriageOutputs
    StateModel = TriageState

    def look(self, ctx: LookContext, params: OneInstance) -> TriageState:
        """Read host, agent, command and bucket."""
        instance = describe_instance(ctx.api, params.instance_id)
        agent = agent_of(ctx.api, instance)
        comment, prefix = comment_of(ctx), prefix_of(ctx)
        sent = sent_command(ctx, params.instance_id, agent.platform, comment)
        return TriageState(
            instance_id=params.instance_id,
            instance_state=state_of(instance),
            agent=agent,
            comment=comment,
            bucket=(ctx.where.evidence_bucket or "") if ctx.forensics else "",
            prefix=prefix,
            sent=sent,
            objects=stored(ctx, f"{prefix}{sent.command_id}/{params.instance_id}/") if sent else (),
        )

    def decide(self, params: OneInstance, state: TriageState) -> Decision:
        """Ask a host that listens; follow what was asked."""
        if not state.bucket:
            return Refused(
                "there is no evidence bucket: set forensics.account_id", code="forensics-not-configured"
            )
        if state.sent is None:
            return self._ask(state)
        return self._follow(state, state.sent)

    def _ask(self, state: TriageState) -> Decision:
        reason, code = state.agent.silence, state.agent.code
        if state.instance_state != "running":
            reason, code = f"it is {state.instance_state}", "instance-not-running"
        elif not reason and state.agent.platform not in DOCUMENTS:
            reason, code = f"no commands for {state.agent.platform}", "platform-not-supported"
        if reason:
            why = f"{state.instance_id}: {reason}; keep its disks instead (aws.ebs.snapshot-instance)"
            return Refused(why, nothing_to_do=True, code=code, outputs=_outputs(state, reason))
        return Act((_triage(state),))

    def _follow(self, state: TriageState, sent: Sent) -> Decision:
        if sent.running:
            return Waiting(f"the host answers ({sent.status})")
        if sent.status != "Success":
            return Broken(
                f"command {sent.command_id} ended as {sent.detail or sent.status}, exit code {sent.exit_code}"
            )
        if state.objects:
            return Settled(_outputs(state), (UNTRUSTED,))
        if not sent.settled:
            return Waiting("its output is on the way to the evidence bucket")
        return Broken(
            f"command {sent.command_id} succeeded, and nothing is in {state.bucket}/{state.prefix}: the "
            "instance's role and the bucket's policy must allow s3:PutObject there",
            code="evidence-not-delivered",
        )

    def foresee(self, params: OneInstance, state: TriageState, step: str) -> PlannedOutputs:
        """Return where the output will be."""
        decision = self.decide(params, state)
        if isinstance(decision, Refused) and decision.outputs:
            return PlannedOutputs(decision.outputs.model_dump(mode="json"))
        if isinstance(decision, Refused):
            return PlannedOutputs({})
        unknown = {"command_id": f"<from {step}.command_id>", "objects": [f"<from {step}.objects[0]>"]}
        return PlannedOutputs(_outputs(state).model_dump(mode="json") | unknown)

    def targets(self, params: OneInstance, where: Where) -> tuple[str, ...]:
        """Return the instance."""
        return (instance_arn(where, params.instance_id),)


def _triage(state: TriageState) -> Call:
    platform = state.agent.platform
    output = {"OutputS3BucketName": state.bucket, "OutputS3KeyPrefix": state.prefix.rstrip("/")}
    return send(
        state.instance_id, platform, state.comment, script("live_triage", platform),
        title="Run read-only triage commands on", within_s=WITHIN_S, output=output,
    )  # fmt: skip


def _outputs(state: TriageState, reason: str = "") -> TriageOutputs:
    return TriageOutputs(
        instance_id=state.instance_id,
        captured=not reason,
        trusted=False,
        reason=reason,
        command_id=state.sent.command_id if state.sent else "",
        platform=state.agent.platform,
        bucket=state.bucket,
        prefix=state.prefix,
        objects=[each.key for each in state.objects],
    )
