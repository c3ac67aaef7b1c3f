"""The shape of one entry of a playbook's ``tests:``, and every problem of it with its place.

::

    - name: a mining instance is contained
      world: {instance: {interfaces: 2, tags: {Environment: production}}}
      finding: {type: "CryptoCurrency:EC2/BitcoinTool.B!DNS", severity: 8.0, resource: instance}
      faults: [{operation: "ec2:CreateSnapshots", kind: throttle}]
      approvals: {ask_stop: deny}
      expect:
        status: succeeded
        steps: {isolate: applied, stop: skipped}
        state: {isolated: true, profile: none, forensic_copies: 3}
        order: ["ec2:CreateSnapshots", "ec2:ModifyNetworkInterfaceAttribute"]
        never: ["ec2:TerminateInstances"]
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from gameday.world import Fault
from irrunner.playbook.model import Place, Playbook, PlaybookTest
from irrunner.playbook.nodes import Mapping, Node, Sequence, compose
from irrunner.playbook.problems import Problem
from irrunner.vocabulary import Outcome, RunStatus

RULE = "test-shape"
Resource = Literal["instance", "user-key", "instance-session"]
Decision = Literal["approve", "deny", "expire"]
Encryption = Literal["plain", "customer-key", "default-key"]
Gone = Literal["instance", "access-key", "customer-key"]


class Part(BaseModel):
    """Frozen, and unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class FindingSpec(Part):
    """A GuardDuty finding about what the test's world holds."""

    type: str = Field(min_length=1)
    resource: Resource
    severity: float = Field(default=8.0, ge=0.0, le=10.0)
    role: Literal["ACTOR", "TARGET", ""] = "ACTOR"
    sample: bool = False
    archived: bool = False
    domain: str = ""


class InstanceContent(Part):
    """The instance of the incident."""

    interfaces: int = Field(default=2, ge=1, le=8)
    volumes: tuple[Encryption, ...] = Field(
        default=("plain", "customer-key", "default-key"), min_length=1, max_length=12
    )
    profile: bool = True
    ipv6: bool = True
    tags: dict[str, str] = Field(default_factory=dict)


class WorldContent(Part):
    """What there is, beside a bystander: an instance and a user that nothing may touch."""

    instance: InstanceContent = InstanceContent()
    shared_role: bool = False
    """Whether another instance uses the same role."""
    gone: tuple[Gone, ...] = ()
    """What the finding speaks of and what is not there (or of no use) any more."""


class ExpectedState(Part):
    """Facts read from the cloud, not from the run; see :data:`gameday.observe.FACTS`."""

    instance: Literal["running", "stopping", "stopped", "terminated", "gone"] | None = None
    isolated: bool | None = None
    profile: Literal["present", "none"] | None = None
    protected: bool | None = None
    snapshots: int | None = Field(default=None, ge=0)
    forensic_copies: int | None = Field(default=None, ge=0)
    sessions_revoked: bool | None = None
    key: Literal["Active", "Inactive", "gone"] | None = None
    user_quarantined: bool | None = None
    unchanged: bool | None = None
    """Whether nothing at all is different from before the run."""


class Expectations(Part):
    """What must result; at least one of them."""

    status: RunStatus | None = None
    """``no_playbook`` where nothing may be done."""
    playbook: str | None = None
    """Id of the playbook that runs, where it is another one, or ``person``."""
    reason: str | None = None
    """Why a person decides: ``no-playbook finding-incomplete sample-finding``."""
    steps: dict[str, Outcome] = Field(default_factory=dict)
    """Step id (or its whole path) to its outcome; every instance of the step must have it. A step that the
    run never reached counts as ``skipped``."""
    state: ExpectedState = ExpectedState()
    order: tuple[str, ...] = ()
    """Operations whose first successful calls must come in this order."""
    calls: dict[str, Annotated[int, Field(ge=0)]] = Field(default_factory=dict)
    """Operation to the number of calls of it that had an effect."""
    never: tuple[str, ...] = ()
    """Operations (globs) that must not even be tried."""

    @model_validator(mode="after")
    def _expects_something(self) -> Self:
        state = self.state.model_dump(exclude_none=True)
        others = self.model_dump(exclude={"state"}, exclude_none=True)
        if not state and not any(others.values()):
            raise ValueError("a test that expects nothing proves nothing")
        return self


class TestSpec(Part):
    """One entry of ``tests:``."""

    __test__ = False

    description: str = ""
    finding: FindingSpec | None = None
    event: dict[str, Any] | None = None
    """A whole event as it is received; its resources are built from it."""
    inputs: dict[str, str] | None = None
    """Inputs of a run without a finding; ``world.NAME`` is the id of what is built (``world.role_name``)."""
    world: WorldContent = WorldContent()
    faults: tuple[Fault, ...] = ()
    approvals: dict[str, Decision] = Field(default_factory=dict)
    """Gate (step id or path) to what people say; a gate that is not named stays open."""
    expect: Expectations

    @model_validator(mode="after")
    def _has_one_cause(self) -> Self:
        causes = (self.finding, self.event, self.inputs)
        if sum(cause is not None for cause in causes) != 1:
            raise ValueError("give one of `finding`, `event` and `inputs`")
        if self.event is not None and self.world != WorldContent():
            raise ValueError("`world` goes with `finding` and `inputs`; an `event` brings its own")
        return self


def read_tests(playbook: Playbook) -> tuple[list[tuple[PlaybookTest, TestSpec]], list[Problem]]:
    """Return the tests of a playbook, and every problem of those that cannot be read.

    Args:
        playbook: With tests as its loader left them: plain data.
    """
    root, _ = compose(playbook.text, playbook.place.file)
    tests, problems = [], []
    for index, test in enumerate(playbook.tests):
        try:
            tests.append((test, TestSpec.model_validate(dict(test.body))))
        except ValidationError as problem:
            for error in problem.errors(include_url=False, include_input=False):
                place = place_of(root, ("tests", index, *error["loc"])) or test.place
                name = ".".join(str(part) for part in error["loc"])
                message = str(error["msg"]).removeprefix("Value error, ")
                problems.append(Problem(place, RULE, f"{name}: {message}" if name else message))
    return tests, problems


def place_of(root: Node | None, keys: tuple[str | int, ...]) -> Place | None:
    """Return the place of the deepest node that the keys lead to."""
    node, place = root, root.place if root else None
    for key in keys:
        if isinstance(node, Mapping) and key in node.entries:
            written, node = node.entries[str(key)]
            place = written.place
        elif isinstance(node, Sequence) and isinstance(key, int) and key < len(node.items):
            node = node.items[key]
            place = node.place
        else:
            break
    return place
