"""One API call, from the wire to the wire: who calls, what strikes it, what is refused, done and kept."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from werkzeug.test import run_wsgi_app

from gameday.world import cloudtrail_lookup, seam
from gameday.world.authz import gate
from gameday.world.calls import CallLog, is_mutating, plain
from gameday.world.faults import Fault, FaultPlan
from gameday.world.identity import Principal, authenticate
from gameday.world.layers import LAYERS
from gameday.world.protocol import (
    ApiRequest,
    Environ,
    answer,
    error_code,
    give_body,
    parse_request,
    take_body,
)
from gameday.world.refusals import Refusal, Reply, denied, error_reply, throttled
from gameday.world.services import Answer, Effect, Realm, Rule, Scene
from irrunner.clock import iso

_MOTO_FAILS_WITH: Final = (LookupError, AttributeError, TypeError, ValueError, AssertionError, RuntimeError)


class ConnectionLost(ConnectionError):
    """The caller gets no answer."""


@dataclass(slots=True)
class Dispatch:
    """Takes every API call of the world, one at a time (moto is not made for threads)."""

    realm: Realm
    calls: CallLog
    faults: FaultPlan
    lock: threading.RLock = field(default_factory=threading.RLock)
    _moto: Any = field(default_factory=lambda: seam.DomainDispatcherApplication(seam.create_backend_app))
    _tokens: dict[tuple[str, ...], tuple[str, Reply]] = field(default_factory=dict)
    _seen: dict[str, Reply] = field(default_factory=dict)
    _rules: dict[str, list[Rule]] = field(default_factory=dict)
    _answers: dict[str, Answer] = field(default_factory=dict)
    _effects: dict[str, Effect] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for layer in LAYERS:
            self._answers.update(layer.answers)
            self._effects.update(layer.effects)
            for operation, rules in layer.rules.items():
                self._rules.setdefault(operation, []).extend(rules)

    def __call__(self, environ: Environ) -> Reply:
        """Answer a request.

        Raises:
            ConnectionLost: If a fault says that the caller shall get no answer.
        """
        body = take_body(environ)
        try:
            request = parse_request(environ, body)
        except Refusal as refusal:
            return error_reply(refusal, "query")
        caller = self._caller(request)
        account = caller.account if isinstance(caller, Principal) else ""
        fault = self.faults.strike(request.action, account)
        if fault and fault.delay_s:
            time.sleep(fault.delay_s)
        with self.lock:
            reply = self._outcome(environ, request, caller, fault)
            self._record(request, caller, reply, fault)
        if reply is None or (fault and fault.kind == "effect-then-lost"):
            raise ConnectionLost(request.action)
        return reply

    def _caller(self, request: ApiRequest) -> Principal | Refusal:
        try:
            return authenticate(self.realm.sessions, self.realm.clock, request)
        except Refusal as refusal:
            return refusal

    def _outcome(
        self, environ: Environ, request: ApiRequest, caller: Principal | Refusal, fault: Fault | None
    ) -> Reply | None:
        """Return the answer, or None where the request was lost before any effect."""
        if fault and fault.kind == "lost-before-effect":
            return None
        if isinstance(caller, Refusal):
            return error_reply(caller, request.protocol)
        try:
            if fault:
                _strike(fault, request, caller)
            reply = self._serve(environ, Scene(self.realm, caller, request))
        except Refusal as refusal:
            return error_reply(refusal, request.protocol)
        if fault and fault.kind == "corrupt-body":
            return replace(reply, body=bytes([reply.body[0] ^ 1]) + reply.body[1:]) if reply.body else reply
        return self._perhaps_stale(request, reply, fault, caller.account)

    def _serve(self, environ: Environ, scene: Scene) -> Reply:
        self.realm.schedule.run_until(self.realm.clock.now())
        gate.require(scene.principal, scene.request, self.realm.organisation)
        remembered = self._remembered(scene)
        if remembered:
            return remembered
        for rule in self._rules.get(scene.request.action, ()):
            _guarded(rule, scene)
        if scene.request.service == "ec2" and scene.params.get("DryRun"):
            raise Refusal("DryRunOperation", "Request would have succeeded, but DryRun flag is set.", 412)
        reply = self._own_answer(scene) or self._ask_moto(environ, scene)
        self._remember(scene, reply)
        return reply

    def _own_answer(self, scene: Scene) -> Reply | None:
        own = self._answers.get(scene.request.action)
        result = _guarded(own, scene) if own else None
        return None if result is None else answer(scene.request, result)

    def _ask_moto(self, environ: Environ, scene: Scene) -> Reply:
        body = environ["wsgi.input"].getvalue()
        asked = environ | {seam.ACCOUNT_HEADER: scene.account}
        if scene.request.action == "s3:CopyObject":  # moto asks of a copy what AWS asks of an upload alone
            asked["HTTP_X_AMZ_SDK_CHECKSUM_ALGORITHM"] = "SHA256"
        give_body(asked, body)
        try:
            chunks, status, headers = run_wsgi_app(self._moto, asked, buffered=True)
        except NotImplementedError as problem:
            raise Refusal(
                "InvalidAction", f"{scene.request.action} is not simulated: {problem}", 501
            ) from problem
        except _MOTO_FAILS_WITH as problem:
            raise Refusal(
                "InternalFailure", f"{scene.request.action}: {type(problem).__name__}: {problem}", 500
            ) from problem
        code, content = int(status.split()[0]), b"".join(chunks)
        error = error_code(code, content)
        if error is None and scene.request.action in self._effects:
            self._effects[scene.request.action](scene)
        return Reply(code, content, tuple((str(name), str(value)) for name, value in headers), error)

    def _remembered(self, scene: Scene) -> Reply | None:
        known = self._tokens.get(_token(scene))
        if known is None:
            return None
        if known[0] != _digest(scene.params):
            raise Refusal(
                "IdempotentParameterMismatch",
                "The client token was used with other parameters in an earlier request.",
            )
        return known[1]

    def _remember(self, scene: Scene, reply: Reply) -> None:
        if reply.error is None and is_mutating(scene.request.action) and scene.params.get("ClientToken"):
            self._tokens[_token(scene)] = (_digest(scene.params), reply)

    def _perhaps_stale(self, request: ApiRequest, reply: Reply, fault: Fault | None, account: str) -> Reply:
        key = f"{request.action} {request.region} {request.access_key_id} {_digest(request.params)}"
        if fault and fault.kind == "stale-read":
            return self._seen.get(key, reply)
        if self.faults.watches_reads_of(request.action, account):
            self._seen[key] = reply
        return reply

    def _record(
        self, request: ApiRequest, caller: Principal | Refusal, reply: Reply | None, fault: Fault | None
    ) -> None:
        principal = caller if isinstance(caller, Principal) else None
        self.calls.add(
            request.action,
            time=iso(self.realm.clock.now()),
            account=principal.account if principal else "",
            region=request.region,
            principal=principal.arn if principal else request.access_key_id,
            params=request.params,
            error=reply.error if reply else None,
            fault=fault.kind if fault else None,
            access_key_id=request.access_key_id,
            made=cloudtrail_lookup.made_by(request.action, reply),
        )


def _strike(fault: Fault, request: ApiRequest, principal: Principal) -> None:
    if fault.kind == "throttle":
        raise throttled(request.protocol)
    if fault.kind == "deny":
        raise denied(request.protocol, principal.arn, request.action)
    if fault.kind == "error":
        raise Refusal(fault.code, fault.message, fault.status)


def _guarded(part: Any, scene: Scene) -> Any:
    try:
        return part(scene)
    except seam.ServiceException as refused:
        raise Refusal(str(refused.code), str(refused.message)) from refused


def _token(scene: Scene) -> tuple[str, ...]:
    token = str(scene.params.get("ClientToken", ""))
    return (scene.account, scene.region, scene.request.action, token)


def _digest(params: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(plain(params), sort_keys=True).encode()).hexdigest()
