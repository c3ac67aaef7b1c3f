"""One simulated organisation: built from a seed or an event, served on loopback, observed, disturbed."""

from __future__ import annotations

import contextlib
import tempfile
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import yaml

from gameday.world import content, from_event, seam
from gameday.world.acts import perform
from gameday.world.calls import Call, CallLog
from gameday.world.clock import WorldClock
from gameday.world.content import InstanceSpec, Place
from gameday.world.control import routes
from gameday.world.dispatch import Dispatch
from gameday.world.faults import Fault, FaultPlan
from gameday.world.identity import Principal, Sessions
from gameday.world.organisation import (
    FORENSICS_ROLE,
    RESPONDER_ROLE,
    Credentials,
    Organisation,
    found,
    furnish,
)
from gameday.world.schedule import Schedule
from gameday.world.server import Application, Server
from gameday.world.state import canonical_state
from irrunner.actions.contract import AnyAction
from irrunner.clock import Clock, SystemClock
from irrunner.findings.model import Finding
from irrunner.findings.parse import parse_events

DEFAULT_REGION: Final = "us-east-1"
SNAPSHOT_S: Final = 3.0
_OBSERVING_S: Final = 10 * 365 * 86_400

_ONE_AT_A_TIME: Final = threading.Lock()
"""moto's state is the process's: a second world would be the first one."""


class World:
    """A simulated AWS organisation.

    Use as a context manager; one at a time in a process::

        with World.build(seed=1) as world:
            ec2 = world.client(world.organisation.members[0], "ec2")
    """

    def __init__(
        self,
        *,
        seed: int,
        findings: tuple[Finding, ...],
        members: int,
        region: str,
        clock: Clock,
        snapshot_s: float,
        port: int,
        directory: Path | None,
        actions: tuple[AnyAction, ...] | None,
    ) -> None:
        self._actions = actions
        self._findings, self._members, self._port, self._directory = findings, members, port, directory
        self.seed = seed
        self.region = from_event.region_of(findings[0], region) if findings else region
        self.clock = WorldClock(clock)
        self.schedule = Schedule()
        self.sessions = Sessions(self.clock, seed)
        self.snapshot_s = snapshot_s
        self.findings: list[Mapping[str, Any]] = []
        self.resources: dict[str, Any] = {}
        self.organisation: Organisation = self._found()
        self._log = CallLog()
        self.faults = FaultPlan()
        self._stack = contextlib.ExitStack()

    @classmethod
    def build(
        cls,
        *,
        seed: int = 1,
        event: bytes | str | Mapping[str, Any] | None = None,
        findings: tuple[Finding, ...] = (),
        members: int = 2,
        region: str = DEFAULT_REGION,
        clock: Clock | None = None,
        snapshot_s: float = SNAPSHOT_S,
        port: int = 0,
        directory: Path | None = None,
        actions: Iterable[AnyAction] | None = None,
    ) -> Self:
        """Describe a world; it exists from ``with`` on.

        Args:
            seed: Same seed, same ids.
            event: What the world shall contain, as JSON in any shape that irrunner reads.
            findings: The same, parsed already. Neither: a web server and a user with a key.
            members: Number of member accounts, at least.
            region: Where things are, unless a finding says otherwise.
            clock: What the world's time follows; default: the machine's.
            snapshot_s: World seconds from a snapshot's beginning to its completion.
            port: Of the server; 0: a free one.
            directory: For the configuration and the runner's store; None: a temporary one.
            actions: The roles of irrunner get exactly the permissions of these; None: they may do everything.

        Raises:
            FindingMalformed: If the event is none.
        """
        return cls(
            seed=seed,
            findings=findings if event is None else tuple(parse_events(event)),
            members=members,
            region=region,
            clock=clock or SystemClock(),
            snapshot_s=snapshot_s,
            port=port,
            directory=directory,
            actions=None if actions is None else tuple(actions),
        )

    def __enter__(self) -> Self:
        if not _ONE_AT_A_TIME.acquire(blocking=False):
            raise RuntimeError("another World is open in this process; moto's state is global")
        with contextlib.ExitStack() as stack:
            stack.callback(_ONE_AT_A_TIME.release)
            stack.enter_context(seam.installed(self.seed))
            self._credentials: Credentials = furnish(self.organisation, self._regions(), self._actions)
            self._populate()
            self._dispatch = Dispatch(self, self._log, self.faults)
            self._server = Server(Application(self._dispatch, routes(self)), self._port)
            self._server.start()
            stack.callback(self._server.stop)
            self._config = self._configure(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def endpoint_url(self) -> str:
        """Return where the world is served."""
        return self._server.url

    @property
    def env(self) -> dict[str, str]:
        """Return the environment of a caller: endpoint, base credentials, Region, configuration."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": self._credentials.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self._credentials.secret_access_key,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "IRRUNNER_CONFIG": str(self._config),
        }

    def ready(self) -> dict[str, Any]:
        """Return the ready line of ``irrunner gameday world serve``."""
        return {
            "endpoint_url": self.endpoint_url,
            "env": self.env,
            "accounts": self.organisation.as_json(),
            "resources": self.resources,
        }

    def client(self, account: str, service: str, region: str | None = None) -> Any:
        """Return a boto3 client with an administrator's session in an account.

        Its calls are in the call log, under the session name ``observer``.
        """
        import boto3  # noqa: PLC0415 - only tests and scorers need it
        from botocore.config import Config  # noqa: PLC0415

        session = self.sessions.open(
            self._observer(account),
            issuer_arn=f"arn:aws:iam::{account}:role/observer",
            duration_s=_OBSERVING_S,
        )
        return boto3.client(
            service,
            region_name=region or self.region,
            endpoint_url=self.endpoint_url,
            aws_access_key_id=session.access_key_id,
            aws_secret_access_key=session.secret_access_key,
            aws_session_token=session.token,
            config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
        )

    def calls(self, *, mutating: bool = False) -> list[Call]:
        """Return the API calls received so far, in order."""
        return self._log.all(mutating=mutating)

    def state(self) -> dict[str, Any]:
        """Return the canonical state of the cloud, after everything that is due has happened."""
        with self._dispatch.lock:
            self.schedule.run_until(self.clock.now())
            return canonical_state(self.organisation)

    def fault(self, operation: str, kind: str, **details: Any) -> None:
        """Put a fault in force; see :class:`gameday.world.faults.Fault`."""
        self.faults.add(Fault.model_validate({"operation": operation, "kind": kind, **details}))

    def clear_faults(self) -> None:
        """Take all faults away."""
        self.faults.clear()

    def advance(self, seconds: float) -> None:
        """Move the world's time forward."""
        self.clock.advance(seconds)

    def act(self, act: str, **details: Any) -> dict[str, Any]:
        """Let somebody else change the world, past the API; see :mod:`gameday.world.acts`."""
        with self._dispatch.lock:
            return perform(act, details)

    def _found(self) -> Organisation:
        named = [account for finding in self._findings if (account := from_event.account_of(finding))]
        return found(self.seed, named, self._members)

    def _regions(self) -> list[str]:
        return sorted(
            {self.region, *(from_event.region_of(finding, self.region) for finding in self._findings)}
        )

    def _populate(self) -> None:
        if not self._findings:
            self.resources = self._default_content()
        for finding in self._findings:
            account = from_event.account_of(finding) or self.organisation.members[0]
            place = Place(account, from_event.region_of(finding, self.region), self.seed)
            built = from_event.build(finding, place, self.sessions)
            self.resources = built | self.resources
            if finding.source == "guardduty":
                self.findings.append(from_event.guardduty_view(finding, place))

    def _default_content(self) -> dict[str, Any]:
        place = Place(self.organisation.members[0], self.region, self.seed)
        spec = InstanceSpec(interfaces=2, ipv6=True, role_name="web-role", tags={"Name": "web-1"})
        return {
            "account_id": place.account,
            "region": place.region,
            **content.build_instance(place, spec),
            **content.build_user(place, "alice"),
        }

    def _observer(self, account: str) -> Principal:
        return Principal(
            account=account,
            arn=f"arn:aws:sts::{account}:assumed-role/observer/observer",
            kind="role",
            name="observer",
            user_id="AROAOBSERVER:observer",
            administrator=True,
        )

    def _configure(self, stack: contextlib.ExitStack) -> Path:
        directory = self._directory or Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="irrunner-world-"))
        )
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / "irrunner.yaml"
        settings = {
            "responder_role": RESPONDER_ROLE,
            "forensics": {"account_id": self.organisation.forensics, "role": FORENSICS_ROLE},
            "drill": {"allow": True},
            "store": str(directory / "irrunner.db"),
        }
        path.write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
        return path
