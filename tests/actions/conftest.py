"""Actions against moto: a thin CloudApi on boto3, and a driver that runs an action as the engine would."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import boto3
import jmespath
import pytest
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import ClientError
from moto import mock_aws

from irrunner.actions.contract import AnyAction, LookContext, Model, State, Where
from irrunner.actions.runtime import Done, Later, StepRun
from irrunner.actions.sending import Ports, Sender, SentCall
from irrunner.actions.undo import UndoRun
from irrunner.aws.errors import classify
from irrunner.aws.operations import is_read
from irrunner.settings import Settings
from irrunner.testing import FakeApi, ManualClock

REGION = "eu-central-1"
ACCOUNT = "123456789012"
WHERE = Where("aws", ACCOUNT, REGION, None, None, None)
MOST_TURNS = 200


@dataclass
class MotoApi:
    """A CloudApi on boto3 in one Region; keeps the mutating calls, and can be told to fail or meddle."""

    region: str = REGION
    sent: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    before: Callable[[str, dict[str, Any]], None] | None = None
    """Called before each call: an attacker, or a fault (raise an ActionError)."""
    clients: dict[str, Any] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        """Return a boto3 client, for arranging."""
        if service not in self.clients:
            config = Config(retries={"total_max_attempts": 1}, parameter_validation=True)
            self.clients[service] = boto3.client(service, region_name=self.region, config=config)
        return self.clients[service]

    def call(self, operation: str, /, **params: Any) -> Mapping[str, Any]:
        """Call one operation."""
        if self.before:
            self.before(operation, params)
        service, name = operation.split(":")
        if not is_read(operation):
            self.sent.append((operation, params))
        try:
            answer: Mapping[str, Any] = getattr(self.client(service), xform_name(name))(**params)
        except ClientError as problem:
            raise classify(problem, operation) from problem
        return answer

    def pages(self, operation: str, path: str, /, **params: Any) -> list[Any]:
        """Call a paginated read; moto's pages are larger than any test."""
        return list(jmespath.search(path, self.call(operation, **params)) or [])

    def in_region(self, region: str) -> MotoApi:
        """Return the same account in another Region."""
        return MotoApi(region, self.sent, self.before)

    def operations(self) -> list[str]:
        """Return the mutating operations that were sent, in order."""
        return [operation for operation, _ in self.sent]


@dataclass(frozen=True)
class Driven:
    """What became of a driven action."""

    done: Done
    before: State
    calls: tuple[Any, ...]
    """Forecast before anything was sent."""
    sent: list[SentCall]


@dataclass
class Driver:
    """Runs actions to their end on a manual clock."""

    clock: ManualClock
    settings: Settings = field(default_factory=Settings)
    marker: str = "run-1/step"
    forensics: Any = None
    where: Where = WHERE
    local: Any = field(default_factory=lambda: FakeApi({}))
    steps: Mapping[str, Any] = field(default_factory=dict)
    reads: Any = None
    """The local port of looks."""
    home_arn: str = ""

    def context(self, api: Any) -> LookContext:
        """Return what a look may use."""
        return LookContext(
            api=api,
            forensics=self.forensics,
            where=self.where,
            now=self.clock.now(),
            started=self.clock.now(),
            run_id="run-1",
            marker=self.marker,
            drill=False,
            settings=self.settings,
            steps=self.steps,
            local=self.reads,
            home_arn=self.home_arn,
        )

    def start(self, action: AnyAction, params: Model, api: Any, *, within_s: float = 600) -> StepRun:
        """Return an attempt that has not begun."""
        sender = Sender(Ports(api, self.forensics, self.local), self.clock)
        deadline = self.clock.now() + timedelta(seconds=within_s)
        return StepRun(action, params, lambda: self.context(api), sender, self.clock, deadline)

    def run(self, action: AnyAction, params: Model, api: Any, *, within_s: float = 600) -> Driven:
        """Begin and advance until done."""
        attempt = self.start(action, params, api, within_s=within_s)
        begun = attempt.begin()
        return Driven(self._finish(attempt), begun.before, begun.calls, attempt.sender.sent)

    def undo(self, action: AnyAction, params: Model, driven: Driven, api: Any) -> Done:
        """Undo what was driven."""
        assert driven.done.after is not None
        sender = Sender(Ports(api, self.forensics, self.local), self.clock)
        deadline = self.clock.now() + timedelta(seconds=600)
        attempt = UndoRun(
            action,
            params,
            driven.before,
            driven.done.after,
            lambda: self.context(api),
            sender,
            self.clock,
            deadline,
        )
        return self._finish(attempt)

    def _finish(self, attempt: StepRun | UndoRun) -> Done:
        for _ in range(MOST_TURNS):
            progress = attempt.advance()
            if not isinstance(progress, Later):
                return progress
            self.clock.advance(progress.poll_s)
        raise AssertionError(f"no end after {MOST_TURNS} turns: {progress}")


@pytest.fixture
def clock() -> ManualClock:
    """A clock that moves when told."""
    return ManualClock()


@pytest.fixture
def driver(clock: ManualClock) -> Driver:
    """Runs actions to their end."""
    return Driver(clock)


@pytest.fixture
def moto_api(monkeypatch: pytest.MonkeyPatch) -> Iterator[MotoApi]:
    """An empty account of moto."""
    monkeypatch.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
    with mock_aws():
        yield MotoApi()


@dataclass(frozen=True)
class Host:
    """A running instance with two interfaces in one VPC, each in a group of its own."""

    instance_id: str
    vpc_id: str
    subnet_id: str
    groups: Mapping[str, tuple[str, ...]]
    """Interface to its groups, as launched."""


def launch(api: MotoApi, **more: Any) -> Host:
    """Launch a host. Groups are given by interface: moto adds an instance's own groups to each of them."""
    ec2 = api.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
    first, second = (
        ec2.create_security_group(GroupName=name, Description=name, VpcId=vpc)["GroupId"]
        for name in ("web", "admin")
    )
    specs = [
        {"DeviceIndex": index, "SubnetId": subnet, "Groups": [group]}
        for index, group in enumerate((first, second))
    ]
    launched = ec2.run_instances(
        ImageId="ami-12345678",
        MinCount=1,
        MaxCount=1,
        InstanceType="t3.micro",
        NetworkInterfaces=specs,
        **more,
    )["Instances"][0]
    groups = {
        interface["NetworkInterfaceId"]: tuple(group["GroupId"] for group in interface["Groups"])
        for interface in launched["NetworkInterfaces"]
    }
    return Host(launched["InstanceId"], vpc, subnet, groups)


@pytest.fixture
def host(moto_api: MotoApi) -> Host:
    """A running instance with two interfaces."""
    return launch(moto_api)


@pytest.fixture
def launch_host(moto_api: MotoApi) -> Callable[..., Host]:
    """Launches a host with further parameters of RunInstances."""
    return lambda **more: launch(moto_api, **more)
