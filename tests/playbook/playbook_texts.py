"""Actions and texts for tests of the language."""

from __future__ import annotations

from textwrap import dedent, indent
from typing import Any, Literal

from pydantic import Field

from irrunner.actions.contract import Action, Decision, LookContext, Model, Permission, Settled, State, Where
from irrunner.actions.registry import Registry, action
from irrunner.vocabulary import Phase, Risk, UndoPolicy

NOTE = "nothing is changed, so nothing is undone"


class _Base(Action[Any, Any]):
    StateModel = State

    def look(self, ctx: LookContext, params: Any) -> State:
        """See nothing."""
        return State()

    def decide(self, params: Any, state: State) -> Decision:
        """Do nothing."""
        return Settled(self.Outputs())

    def targets(self, params: Any, where: Where) -> tuple[str, ...]:
        """Change nothing."""
        return ()


class InstanceParams(Model):
    """Parameters."""

    instance_id: str
    label: str | None = None
    count: int = 1
    ratio: float = 1.0
    force: bool = False
    names: tuple[str, ...] = ()
    tags: dict[str, str] = Field(default_factory=dict)


class Volume(Model):
    """A nested output."""

    volume_id: str
    size_gib: int


class Facts(Model):
    """Outputs of every shape."""

    vpc_id: str = ""
    role_name: str | None = None
    cores: int = 0
    load: float = 0.0
    running: bool = False
    volume_ids: tuple[str, ...] = ()
    volumes: tuple[Volume, ...] = ()
    tags: dict[str, str] = Field(default_factory=dict)
    anything: Any = None


def make(action_id: str, *, risk: Risk = Risk.NONE, acts: bool = False) -> type[Action[Any, Any]]:
    """Return an action class of this id."""
    use: Literal["look", "act"] = "act" if acts else "look"
    body = {"Params": InstanceParams, "Outputs": Facts, "undo_calls": lambda *_: ()}
    cls = type(action_id.replace(".", "_").replace("-", "_"), (_Base,), body)
    return action(
        action_id, title=f"Do {action_id}", phase=Phase.ANALYSIS, risk=risk, undo=UndoPolicy.NEVER,
        permissions=(Permission("ec2:DescribeInstances", use=use),), undo_note=NOTE,
        evidence=action_id == "aws.ssm.capture-memory",
    )(cls)  # fmt: skip


def small_registry() -> Registry:
    """Actions whose ids the rules of order know, and a destructive one."""
    return Registry((
        make("test.read"),
        make("test.destroy", risk=Risk.DESTRUCTIVE, acts=True),
        make("aws.ebs.snapshot-instance"), make("aws.ebs.await-snapshots"), make("aws.ebs.copy-to-forensics"),
        make("aws.ec2.isolate-instance"), make("aws.ec2.stop-instance"), make("aws.ec2.terminate-instance"),
        make("aws.ec2.remove-instance-profile"), make("aws.iam.revoke-role-sessions"),
        make("aws.iam.deactivate-access-key"), make("aws.iam.quarantine-user"),
        make("aws.autoscaling.enter-standby"), make("aws.autoscaling.suspend-processes"),
        make("aws.elb.deregister-instance"), make("aws.elbv2.deregister-instance"),
        make("aws.ssm.capture-memory"), make("aws.ssm.collect-live-triage"),
    ))  # fmt: skip


HEAD = "schema: irrunner/v1\nid: test-playbook\nversion: 1.0.0\ntitle: A test\n"
READ = "uses: test.read, with: {instance_id: i-1}"


def playbook_text(body: str) -> str:
    """Return a playbook whose steps, or whole rest, are the body; ``READ`` stands for a harmless action."""
    text = dedent(body).strip("\n").replace("READ", READ) + "\n"
    return HEAD + (text if not text.startswith("-") else "steps:\n" + indent(text, "  "))
