"""One action at a time on the simulated organisation, by real narrowed sessions, on a clock that we move."""

from __future__ import annotations

import re
import socket
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from botocore.session import Session

from gameday.world.calls import Call as Received
from gameday.world.organisation import evidence_bucket
from gameday.world.world import World
from irrunner.actions.contract import AnyAction, Call, LookContext, Model, State, Where
from irrunner.actions.registry import Registry
from irrunner.actions.runtime import Begun, Done, StepRun
from irrunner.actions.sending import Ports, Sender, SentCall
from irrunner.actions.undo import UndoRun
from irrunner.aws.cloud import BotoCloud
from irrunner.aws.operations import ReadOnlyApi, ReadOnlyPort
from irrunner.settings import Channel, Forensics, Settings, Tracker
from irrunner.testing import FakeApi, ManualClock

RUN_ID = "019b7c2e-0000-7000-8000-000000000001"
MOST_TURNS = 400
TOKEN = re.compile(r"<[^<>]+>")
REACHED_NOTHING = "lost-before-effect"


class Killed(BaseException):
    """The process dies here."""


@dataclass
class Dying:
    """A port behind which the process dies before the call after ``alive`` changes."""

    inner: Any
    counter: list[int]
    alive: int

    def call(self, operation: str, /, **params: Any) -> Mapping[str, Any]:
        """Send, or die."""
        if self.counter[0] >= self.alive:
            raise Killed
        self.counter[0] += 1
        answer: Mapping[str, Any] = self.inner.call(operation, **params)
        return answer

    def in_region(self, region: str) -> Dying:
        """Return the same port elsewhere."""
        return Dying(self.inner.in_region(region), self.counter, self.alive)


@dataclass(frozen=True)
class Ended:
    """An attempt that has ended."""

    run: StepRun
    begun: Begun
    done: Done


@dataclass
class Bench:
    """Runs actions in the world's first member account."""

    world: World
    clock: ManualClock
    cloud: BotoCloud
    settings: Settings
    where: Where
    registry: Registry
    local: FakeApi = field(default_factory=lambda: listening())  # noqa: PLW0108 - it is defined below

    @property
    def account(self) -> str:
        """Return the member account."""
        return self.where.account_id

    @property
    def resources(self) -> dict[str, Any]:
        """Return what the world was built with."""
        return self.world.resources

    def client(self, service: str, account: str = "") -> Any:
        """Return an administrator's client in the member (or another) account; its calls are not ours."""
        return self.world.client(account or self.account, service)

    def scope_of(self, account: str) -> str:
        """Return the scope in which a call in an account was made."""
        own = {self.account: "target", self.world.organisation.management: "management"}
        return own.get(account, "forensics")

    def params(self, action: AnyAction, values: Mapping[str, Any]) -> Model:
        """Return typed parameters."""
        params: Model = action.Params.model_validate(dict(values))
        return params

    def attempt(
        self,
        action: AnyAction,
        values: Mapping[str, Any],
        *,
        started: datetime | None = None,
        alive: int = -1,
    ) -> StepRun:
        """Return an attempt; ``alive``: how many changes it sends before the process dies."""
        params = self.params(action, values)
        context, ports = self._bound(action, values, started or self.clock.now())
        if alive >= 0:
            counter = [0]
            forensics = Dying(ports.forensics, counter, alive) if ports.forensics else None
            management = Dying(ports.management, counter, alive) if ports.management else None
            local = Dying(ports.local, counter, alive)
            ports = Ports(Dying(ports.target, counter, alive), forensics, local, management)
        deadline = self.clock.now() + timedelta(seconds=action.timeout_s)
        return StepRun(action, params, context, Sender(ports, self.clock), self.clock, deadline)

    def run(self, action: AnyAction, values: Mapping[str, Any]) -> Ended:
        """Run an attempt to its end."""
        attempt = self.attempt(action, values)
        begun = attempt.begin()
        return Ended(attempt, begun, self.finish(attempt))

    def undo(self, action: AnyAction, values: Mapping[str, Any], before: State, after: State) -> UndoRun:
        """Return the undo of what an attempt did."""
        context, ports = self._bound(action, values, self.clock.now())
        sender = Sender(ports, self.clock)
        deadline = self.clock.now() + timedelta(seconds=action.timeout_s)
        params = self.params(action, values)
        return UndoRun(action, params, before, after, context, sender, self.clock, deadline)

    def finish(self, attempt: StepRun | UndoRun) -> Done:
        """Advance to the end."""
        for _ in range(MOST_TURNS):
            progress = attempt.advance()
            if isinstance(progress, Done):
                return progress
            self.clock.advance(progress.poll_s)
        raise AssertionError(f"no end after {MOST_TURNS} turns: {progress}")

    def received(self) -> list[Received]:
        """Return the changes that irrunner's sessions asked for."""
        return [call for call in self.world.calls(mutating=True) if "/irrunner-" in call.principal]

    def effects(self) -> Counter[str]:
        """Return how often each operation took effect."""
        return Counter(
            call.operation for call in self.received() if call.error is None and call.fault != REACHED_NOTHING
        )

    def _bound(self, action: AnyAction, values: Mapping[str, Any], started: datetime) -> tuple[Any, Ports]:
        texts = {name: value for name, value in values.items() if isinstance(value, str)}
        given: dict[str, Any] = {"run_id": RUN_ID, "permissions": action.permissions, "values": texts}
        target = self.cloud.member(self.account, self.where.region, **given)
        scopes = {permission.scope for permission in action.permissions}
        forensics = management = None
        if "forensics" in scopes:
            forensics = self.cloud.forensics(str(self.where.forensic_region), **given)
        if "management" in scopes:
            management = self.cloud.management(self.where.region, **given)

        def context() -> LookContext:
            return LookContext(
                api=ReadOnlyApi(target), forensics=ReadOnlyApi(forensics) if forensics else None,
                where=self.where, now=self.clock.now(), started=started, run_id=RUN_ID,
                marker=f"{RUN_ID}/step", drill=True, settings=self.settings, local=ReadOnlyPort(self.local),
                management=ReadOnlyApi(management) if management else None,
            )  # fmt: skip

        return context, Ports(target, forensics, self.local, management)


@dataclass(frozen=True)
class Line:
    """What worlds of one process share, because it is dear: a port, and the clients that speak to it."""

    port: int
    session: Session
    clients: list[Any] = field(default_factory=list)

    def cloud(self, settings: Settings, clock: ManualClock) -> BotoCloud:
        """Return a cloud with sessions of its own and the shared clients."""
        cloud = BotoCloud(settings, clock, session=self.session)
        if not self.clients:
            self.clients.append(cloud._clients)
        cloud._clients = self.clients[0]
        return cloud


def listening() -> FakeApi:
    """Return a local port whose chat listens, and whose tracker knows each key that it was told."""
    told: set[str] = set()

    def tell(**params: Any) -> Mapping[str, Any]:
        told.add(params["Key"])
        return {}

    def get(**params: Any) -> Mapping[str, Any]:
        known = params["Key"] in told
        named = {"Reference": "SEC-1" if known else "", "Url": "", "Problem": ""}
        return {"Status": "delivered" if known else "absent", **named}

    tells = dict.fromkeys(("ticket:Create", "ticket:Update", "ticket:Close"), tell)
    return FakeApi({"notify:Send": lambda **_: {"Sent": True}, "ticket:GetDelivery": get, **tells})


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def opened(registry: Registry, line: Line, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """Open a fresh world of always the same content, ids and address."""
    clock = ManualClock()
    with World.build(seed=7, clock=clock, port=line.port) as world:
        for name, value in world.env.items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("AWS_PROFILE", raising=False)
        forensic, region = world.organisation.forensics, world.region
        settings = Settings(
            forensics=Forensics(account_id=forensic),
            regions=(region,),
            channels={"oncall": Channel(url="env:ONCALL_URL")},
            tickets={"jira": Tracker(kind="webhook", url="https://tickets.example.com", token="env:TOKEN")},
        )
        bucket = evidence_bucket(world.organisation, region)
        account = world.resources["account_id"]
        where = Where("aws", account, region, forensic, region, None, evidence_bucket=bucket)
        yield Bench(world, clock, line.cloud(settings, clock), settings, where, registry)


def claimed(calls: Iterable[Call | SentCall]) -> Counter[tuple[str, str]]:
    """Return (operation, target) pairs."""
    return Counter((call.operation, call.target) for call in calls)


def matches(planned: Counter[tuple[str, str]], sent: Counter[tuple[str, str]]) -> bool:
    """Whether what was sent is what was planned: a token stands for any target."""
    exact = Counter({pair: count for pair, count in planned.items() if not TOKEN.search(pair[1])})
    if exact - sent:
        return False
    tokens = Counter[str]()
    for (operation, _), count in (planned - exact).items():
        tokens[operation] += count
    rest = Counter[str]()
    for (operation, _), count in (sent - exact).items():
        rest[operation] += count
    return tokens == rest
