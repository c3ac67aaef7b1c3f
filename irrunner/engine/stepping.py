"""Bind a step to the world: parameters, narrowed sessions, look contexts and ports."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from irrunner.actions.contract import AnyAction, LocalReads, LookContext, Model, ReadApi
from irrunner.actions.registry import Registry
from irrunner.actions.sending import Port, Ports
from irrunner.aws.api import Cloud, CloudApi
from irrunner.aws.operations import ReadOnlyApi, ReadOnlyPort
from irrunner.aws.redact import redact_text
from irrunner.clock import Clock
from irrunner.engine.compiled import Compiler
from irrunner.engine.loaded import RunFacts
from irrunner.errors import Defect, InvalidCall, IRRunnerError, SettingsError
from irrunner.settings import Settings

EVIDENCE_PREFIXES = ("aws.ebs.", "aws.ssm.", "evidence.", "forensics.")
"""Actions that preserve: measured apart from containment, on threads of their own."""
SIMULATED_POLL_S = 0.1
LOCAL_PREFIXES = ("notify.", "evidence.", "ticket.")
LONGEST_DEFECT = 400


@dataclass(frozen=True, slots=True)
class Services:
    """What every run shares; made once per process, passed, never global."""

    compiler: Compiler
    cloud: Cloud
    settings: Settings
    clock: Clock
    local: Callable[[str], Port]
    """Makes the local port (notifications, tickets) of a run."""
    deliver: Callable[[], int] = int
    """Delivers what is due in the outbox, and returns how much of it was taken."""

    @property
    def registry(self) -> Registry:
        """The actions."""
        return self.compiler.registry

    def pace(self, poll_s: float) -> float:
        """Return how long to wait for AWS: the simulated organisation has a clock of its own."""
        return min(poll_s, SIMULATED_POLL_S) if self.cloud.caller().simulated else poll_s


def params_of(action: AnyAction, values: Mapping[str, Any], *, planning: bool = False) -> Model:
    """Return the typed parameters.

    Args:
        action: The action.
        values: Rendered values.
        planning: Whether tokens of things that do not exist yet are allowed.

    Raises:
        InvalidCall: If a value is not of its type; names the parameter, not the value.
    """
    try:
        params: Model = action.Params.model_validate(dict(values), context={"planning": planning})
    except ValidationError as problem:
        lines = [
            f"{'.'.join(str(part) for part in error['loc'])}: {error['msg']}"
            for error in problem.errors(include_url=False, include_input=False)
        ]
        raise InvalidCall(f"{action.id}: {'; '.join(lines)}") from None
    return params


def pattern_values(params: Model) -> dict[str, str]:
    """Return the scalar parameters as text, for the braces of permission patterns."""
    values = params.model_dump(mode="json")
    return {name: str(value) for name, value in values.items() if isinstance(value, str | int)}


@dataclass(slots=True)
class Binding:
    """One step instance bound to accounts. Sessions are made at first use."""

    services: Services
    facts: RunFacts
    action: AnyAction
    params: Model
    path: str
    started: datetime
    steps: Mapping[str, Any]
    planned: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    undoing: bool = False
    """Whether the permissions of undo are needed: the session of a step that acts has none of them."""
    _target: CloudApi | None = None
    _forensics: CloudApi | None = None
    _forensics_tried: bool = False
    _management: CloudApi | None = None
    _management_tried: bool = False

    def _session_values(self) -> dict[str, str]:
        where = self.facts.where
        place = {"partition": where.partition, "account": where.account_id, "region": where.region}
        return {**pattern_values(self.params), **place}

    def _permissions(self, scope: str) -> tuple[Any, ...]:
        return tuple(
            permission
            for permission in self.action.permissions
            if permission.scope == scope and (self.undoing or permission.use != "undo")
        )

    def target(self) -> CloudApi:
        """Return the session in the incident's account, or none where the action needs none.

        Our role there may be what the attacker took away: what acts from the management or the forensic
        account must go through all the same.
        """
        needed = self._permissions("target")
        if not needed:
            return _NoCloud()
        if self._target is None:
            where = self.facts.where
            self._target = self.services.cloud.member(
                where.account_id, where.region, run_id=self.facts.run_id,
                permissions=needed, values=self._session_values(),
            )  # fmt: skip
        return self._target

    def forensics(self) -> CloudApi | None:
        """Return the session in the forensic account, or None where none is configured."""
        needed = self._permissions("forensics")
        if needed and not self._forensics_tried:
            self._forensics_tried = True
            where = self.facts.where
            values = {**self._session_values(), "account": where.forensic_account_id or "*"}
            try:
                self._forensics = self.services.cloud.forensics(
                    where.forensic_region or where.region, run_id=self.facts.run_id,
                    permissions=needed, values=values,
                )  # fmt: skip
            except SettingsError:
                self._forensics = None
        return self._forensics

    def management(self) -> CloudApi | None:
        """Return the session in the organisation's management account, or None where there is none."""
        needed = self._permissions("management")
        if needed and not self._management_tried:
            self._management_tried = True
            where = self.facts.where
            values = {name: v for name, v in self._session_values().items() if name != "account"}
            try:
                self._management = self.services.cloud.management(
                    where.region, run_id=self.facts.run_id, permissions=needed, values=values
                )
            except SettingsError:
                self._management = None
        return self._management

    def ports(self) -> Ports:
        """Return the ports for sending; a purely local action opens no session."""
        local = self.services.local(self.facts.run_id)
        if self.action.id.startswith(LOCAL_PREFIXES):
            return Ports(_NoCloud(), None, local)
        return Ports(self.target(), self.forensics(), local, self.management())

    def look_context(self) -> LookContext:
        """Return the context of a look now."""
        facts = self.facts
        api: ReadApi
        forensics: ReadApi | None = None
        management: ReadApi | None = None
        local: LocalReads | None = None
        home = ""
        if self.action.id.startswith(LOCAL_PREFIXES):
            api = _NoCloud()
            local = ReadOnlyPort(self.services.local(facts.run_id))
        else:
            api = ReadOnlyApi(self.target())
            session = self.forensics()
            forensics = ReadOnlyApi(session) if session is not None else None
            organisation = self.management()
            management = ReadOnlyApi(organisation) if organisation is not None else None
            home = self.services.cloud.caller().arn
        return LookContext(
            api=api, forensics=forensics, where=facts.where, now=self.services.clock.now(),
            started=self.started, run_id=facts.run_id, marker=f"{facts.run_id}/{self.path}",
            drill=facts.drill, settings=self.services.settings, planned=self.planned, steps=self.steps,
            management=management, local=local, home_arn=home,
        )  # fmt: skip


class _NoCloud:
    """The incident's account, for actions that do nothing there."""

    def call(self, operation: str, /, **params: Any) -> Mapping[str, Any]:
        del params
        raise InvalidCall(f"{operation}: the action declares no permission in the incident's account")

    def pages(self, operation: str, path: str, /, **params: Any) -> list[Any]:
        del path
        return list(self.call(operation, **params))

    def in_region(self, region: str) -> _NoCloud:
        del region
        return self


@contextmanager
def defects(action_id: str) -> Iterator[None]:
    """Turn what nobody foresaw in an action into a failure of its step: the rest of the run must go on.

    Raises:
        Defect: For an exception that is not ours; its text may quote data, so credentials are taken out.
    """
    try:
        yield
    except IRRunnerError:
        raise
    except Exception as problem:
        text = redact_text(f"{type(problem).__name__}: {problem}")[:LONGEST_DEFECT]
        raise Defect(f"{action_id}: {text}", hint="this is a fault of ours: please report it") from problem


def error_of(problem: IRRunnerError) -> dict[str, Any]:
    """Return an error as the journal and ``--json`` keep it."""
    detail = {name: value for name, value in problem.detail.items() if isinstance(value, str | int | float)}
    return {"code": problem.code, "message": problem.message, "hint": problem.hint, "detail": detail}
