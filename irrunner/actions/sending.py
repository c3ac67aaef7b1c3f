"""Send planned calls: resolve their tokens, in order, and keep what was sent.

The only place from which a mutating call leaves the house.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import jmespath

from irrunner.actions.contract import Call, Read, Scope, Token
from irrunner.aws.error_codes import class_of_code
from irrunner.clock import Clock, iso
from irrunner.errors import ActionError, InvalidCall, OutcomeUnknown


class Port(Protocol):
    """Anything that takes calls: a CloudApi, or the local port of notifications and evidence."""

    def call(self, operation: str, /, **params: Any) -> Mapping[str, Any]:
        """Call one operation."""


class RegionalPort(Port, Protocol):
    """A port that knows Regions."""

    def in_region(self, region: str) -> RegionalPort:
        """Return the same port in another Region."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Where calls go, by scope."""

    target: RegionalPort
    forensics: RegionalPort | None
    local: Port
    management: RegionalPort | None = None

    def of(self, scope: Scope, region: str | None) -> Port:
        """Return the port of a scope and Region.

        Raises:
            InvalidCall: If there is no forensic or management account.
        """
        if scope == "local":
            return self.local
        port = {"target": self.target, "forensics": self.forensics, "management": self.management}[scope]
        if port is None:
            raise InvalidCall(f"no account for {scope}", hint=f"set {scope}.account_id in irrunner.yaml")
        return port.in_region(region) if region else port


@dataclass(frozen=True, slots=True)
class SentCall:
    """What the journal keeps of a call: never its parameters, which the plan and the state describe."""

    operation: str
    target: str
    scope: Scope
    at: str
    request_id: str = ""
    error: str = ""

    def as_dict(self) -> dict[str, str]:
        """Return JSON-able data."""
        return {
            "operation": self.operation,
            "target": self.target,
            "scope": self.scope,
            "at": self.at,
            "request_id": self.request_id,
            "error": self.error,
        }


def resolve(value: Any, tokens: Mapping[str, Any]) -> Any:
    """Return the value with its :class:`Token` leaves replaced.

    Raises:
        InvalidCall: If a token has no value yet.
    """
    if isinstance(value, Token):
        if value.name not in tokens:
            raise InvalidCall(f"the plan's token {value} has no value: an action forgot to bind it")
        return tokens[value.name]
    if isinstance(value, Mapping):
        return {key: resolve(item, tokens) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [resolve(item, tokens) for item in value]
    return value


def resolve_text(text: str, tokens: Mapping[str, Any]) -> str:
    """Return the text with ``<token>`` replaced where it is known."""
    for name, value in tokens.items():
        text = text.replace(f"<{name}>", str(value))
    return text


def code_of(problem: ActionError) -> str:
    """Return AWS's code of a failure, else ours."""
    return str(problem.detail.get("aws_code", problem.code))


def _require_processed(call: Call, answer: Mapping[str, Any]) -> None:
    """Fail where AWS answered 200 and did not do it.

    Raises:
        ActionError: Of the class of the first code.
    """
    codes = jmespath.search(call.unprocessed, answer) if call.unprocessed else None
    if codes:
        code = str(codes[0])
        raise (class_of_code(code) or InvalidCall)(
            f"{call.operation} {call.target}: AWS did not process it: {code}", aws_code=code
        )


def is_final(problem: ActionError) -> bool:
    """Return whether the call has failed for good: its answer was not lost, and it was not held back."""
    return not isinstance(problem, OutcomeUnknown) and "retry_after_s" not in problem.detail


@dataclass(slots=True)
class Sender:
    """Sends the calls of one step attempt."""

    ports: Ports
    clock: Clock
    sent: list[SentCall] = field(default_factory=list)
    answers: list[Mapping[str, Any]] = field(default_factory=list)
    """Answers of calls that went through, for actions that cannot be looked up."""

    def send(self, calls: Sequence[Call]) -> None:
        """Send calls in order; stop at the first failure that is neither tolerated nor optional.

        Raises:
            ActionError: As mapped by the seam; what was sent before it stays in ``sent``. Also where all
                calls were optional, and all of them failed.
        """
        tokens: dict[str, Any] = {}
        passed_over = [problem for call in calls if (problem := self._try(call, tokens))]
        if passed_over and len(passed_over) == len(calls):
            unknown = (problem for problem in passed_over if isinstance(problem, OutcomeUnknown))
            raise next(unknown, passed_over[0])

    def _try(self, call: Call, tokens: dict[str, Any]) -> ActionError | None:
        """Send a call unless it is needless; return the failure of an optional one."""
        try:
            self._prepare_and_send(call, tokens)
        except ActionError as problem:
            if call.optional:
                return problem
            if call.fallbacks and is_final(problem):
                raise self._fallen_back(call, tokens, problem) from problem
            raise
        return None

    def _prepare_and_send(self, call: Call, tokens: dict[str, Any]) -> None:
        port = self.ports.of(call.scope, call.region)
        for read in call.reads:
            tokens.update(self._read(port, read, tokens))
        if call.skip_if_empty is None or tokens.get(call.skip_if_empty):
            self._send_one(port, call, tokens)

    def _read(self, port: Port, read: Read, tokens: Mapping[str, Any]) -> dict[str, Any]:
        answer = port.call(read.operation, **resolve(read.params, tokens))
        return {name: jmespath.search(path, answer) for name, path in read.bind.items()}

    def _send_one(self, port: Port, call: Call, tokens: dict[str, Any]) -> None:
        target = resolve_text(call.target, tokens)
        at = iso(self.clock.now())
        try:
            answer = port.call(call.operation, **resolve(call.params, tokens))
            _require_processed(call, answer)
        except ActionError as problem:
            code = code_of(problem)
            self.sent.append(SentCall(call.operation, target, call.scope, at, error=code))
            if code in call.tolerate:
                return
            raise
        request_id = str(answer.get("ResponseMetadata", {}).get("RequestId", ""))
        self.answers.append(answer)
        tokens.update({name: jmespath.search(path, answer) for name, path in call.yields.items()})
        target = resolve_text(call.target, tokens)
        self.sent.append(SentCall(call.operation, target, call.scope, at, request_id))

    def _fallen_back(self, call: Call, tokens: dict[str, Any], problem: ActionError) -> ActionError:
        """Try the ways out, and return the failure with what became of them."""
        tried = next((way for way in call.fallbacks if self._goes_through(way, tokens)), None)
        if tried is None:
            end = f"and no way back was open: set {resolve_text(call.target, tokens)} right by hand, at once"
        else:
            end = "so instead: " + "; ".join(resolve_text(step.summary, tokens) for step in tried)
        return type(problem)(f"{problem.message}; {end}", hint=problem.hint, **problem.detail)

    def _goes_through(self, way: Sequence[Call], tokens: dict[str, Any]) -> bool:
        try:
            for call in way:
                self._prepare_and_send(call, tokens)
        except ActionError:
            return False
        return True
