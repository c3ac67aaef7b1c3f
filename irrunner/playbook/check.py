"""Checks of a whole playbook beyond its form: ids, actions, parameters, approvals, callees, order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase

from pydantic import BaseModel, ValidationError

from irrunner.actions.registry import Registry
from irrunner.findings.guardduty_types import guardduty_types
from irrunner.findings.matching import type_matches
from irrunner.playbook.check_expressions import check_expressions
from irrunner.playbook.document import Draft
from irrunner.playbook.expressions import Typing
from irrunner.playbook.model import (
    Approve,
    Expr,
    FindingTrigger,
    Place,
    Playbook,
    Run,
    Step,
    Text,
    Uses,
    Value,
    WaitUntil,
)
from irrunner.playbook.order import check_order
from irrunner.playbook.problems import Problem, did_you_mean
from irrunner.playbook.shapes import STRING, fields_of, fits
from irrunner.playbook.sites import Visit, expressions_in, visits_of
from irrunner.playbook.types import INPUT_TYPES, admit
from irrunner.vocabulary import Risk

MAX_LOOPS = 2
UNAPPROVED = "destructive-unapproved"
ORGANISATION_WIDE = ("aws.organizations.deny-*",)
"""What can be undone, but stops a whole account or more: people are asked, as before what is destructive."""


def check(draft: Draft, registry: Registry) -> Iterator[Problem]:
    """Yield every problem of a playbook that was read; its callees are loaded and checked.

    Args:
        draft: The playbook.
        registry: The actions.
    """
    visits = visits_of(draft.playbook)
    yield from _check_triggers(draft)
    yield from _check_ids(draft)
    for visit in visits:
        yield from _check_step(draft, registry, visit)
    alike = tuple(_too_alike(draft))
    yield from alike
    if alike:
        return
    typing = Typing(draft.playbook, registry)
    yield from check_expressions(draft, registry, typing)

    def promised(visit: Visit) -> frozenset[str]:
        return frozenset(path[1] for path in typing.promised(visit.inner) if path[0] == "steps" and path[1:])

    yield from check_order(draft, visits, promised)


def _check_triggers(draft: Draft) -> Iterator[Problem]:
    """A misspelled finding type never starts anything; AWS adds types, so it is only a warning."""
    types = guardduty_types()
    known = (*sorted(types.active), *types.retired)
    for trigger in draft.playbook.triggers:
        if isinstance(trigger, FindingTrigger) and trigger.source == "guardduty":
            for glob in trigger.types:
                if not any(type_matches(glob, name) for name in known):
                    message = f"no known GuardDuty finding type is like {glob!r}{did_you_mean(glob, known)}"
                    yield Problem(draft.place(trigger.place, "types"), "bad-value", message, "warning")


def _check_ids(draft: Draft) -> Iterator[Problem]:
    first: dict[str, Place] = {}
    for step in draft.playbook.walk():
        if step.id in first:
            place = draft.place(step.place, "id")
            message = f"step {step.id!r} is already at line {first[step.id].line}; choose another id"
            yield Problem(place, "duplicate-id", message)
        first.setdefault(step.id, step.place)


def _too_alike(draft: Draft) -> Iterator[Problem]:
    """Yield ids that protobuf cannot tell apart. Source: protobuf language guide, "JSON mapping"."""
    playbook = draft.playbook
    steps = {step.id: draft.place(step.place, "id") for step in playbook.walk()}
    inputs = {each.name: each.place for each in playbook.inputs.values()}
    outputs = {name: expr.place for name, expr in playbook.outputs.items()}
    for places in (steps, inputs, outputs):
        seen: dict[str, str] = {}
        for name, place in places.items():
            first = seen.setdefault(_camel(name), name)
            if first != name:
                yield Problem(place, "bad-id", f"{name!r} is too like {first!r}; choose another id")


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(part.capitalize() for part in others)


def _check_step(draft: Draft, registry: Registry, visit: Visit) -> Iterator[Problem]:
    step, kind = visit.step, visit.step.kind
    yield from _check_loop(draft, visit)
    if isinstance(kind, Uses | WaitUntil):
        yield from _check_action(draft, registry, step, kind)
    if isinstance(kind, Uses):
        yield from _check_approved(draft, registry, visit, kind)
    elif isinstance(kind, Run):
        yield from _check_call(draft, registry, visit, kind)
    elif isinstance(kind, Approve) and kind.minimum > 1 and visit.inner.loops:
        message = "an approval by several people inside a `for_each` asks them for every item; move it before"
        yield Problem(step.place, "approval-in-loop", message, "warning")


def _check_loop(draft: Draft, visit: Visit) -> Iterator[Problem]:
    step = visit.step
    if step.for_each is None:
        return
    if len(visit.inner.loops) > MAX_LOOPS:
        message = f"`for_each` inside {MAX_LOOPS} others; nest at most {MAX_LOOPS}, or `run` a playbook"
        yield Problem(draft.place(step.place, "for_each"), "for-each-nesting", message)
    name, taken = step.for_each.name, visit.view.locals
    if name in taken and visit.view.loops:
        message = f"`as: {name}` hides the {name!r} of the loop around; choose another name"
        yield Problem(draft.place(step.place, "as"), "duplicate-id", message)
    if step.for_each.items == ():
        message = "a list without items: the step never runs; write items or remove it"
        yield Problem(draft.place(step.place, "for_each"), "unreachable-step", message)


def _check_action(draft: Draft, registry: Registry, step: Step, kind: Uses | WaitUntil) -> Iterator[Problem]:
    place = draft.place(step.place, "uses")
    if kind.action not in registry:
        if kind.action:
            known = [action.id for action in registry]
            hint = did_you_mean(kind.action, known) or "; `irrunner actions` lists them"
            yield Problem(place, "unknown-action", f"there is no action {kind.action!r}{hint}")
        return
    action = registry.get(kind.action)
    yield from _check_params(draft, step, kind.params, action.Params, place)
    acts = any(permission.use == "act" for permission in action.permissions)
    if isinstance(kind, Uses) and kind.expires_after_s and not action.may_expire:
        message = f"{kind.action} cannot expire: only a block may come off by itself; remove `expires_after`"
        yield Problem(draft.place(step.place, "expires_after"), "bad-value", message)
    if isinstance(kind, WaitUntil) and (acts or action.risk is not Risk.NONE):
        message = f"{kind.action} changes something; `wait` polls with an action that only reads"
        yield Problem(place, "wait-must-read", message)


def _check_params(
    draft: Draft, step: Step, params: Mapping[str, Value], model: type[BaseModel], place: Place
) -> Iterator[Problem]:
    fields = model.model_fields
    for name in params:
        if name not in fields:
            hint = did_you_mean(name, fields) or f"; parameters are {', '.join(fields) or 'none'}"
            where = draft.place(step.place, f"with.{name}")
            yield Problem(where, "unknown-parameter", f"there is no parameter {name!r}{hint}")
    missing = [name for name, field in fields.items() if field.is_required() and name not in params]
    for name in missing:
        yield Problem(place, "missing-parameter", f"parameter {name!r} is missing; write it under `with`")
    literals = {name: params[name] for name in fields if name in params and _is_literal(params[name])}
    for name, message in _literal_errors(model, literals):
        yield Problem(draft.place(step.place, f"with.{name}"), "parameter-type", message)
    for name, value in params.items():
        if name in fields and isinstance(value, Text) and not fits(STRING, fields_of(model)[name]):
            message = (
                f"parameter {name!r} wants {fields_of(model)[name]}, not text; write one expression alone"
            )
            yield Problem(draft.place(step.place, f"with.{name}"), "parameter-type", message)


def _is_literal(value: Value) -> bool:
    return not isinstance(value, Text) and next(expressions_in(value), None) is None


def _literal_errors(model: type[BaseModel], literals: Mapping[str, Value]) -> Iterator[tuple[str, str]]:
    """Yield parameter and message of literals that the action's model refuses."""
    try:
        model.model_validate(literals)
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_context=False):
            name = str(detail["loc"][0]) if detail["loc"] else ""
            if name in literals:
                yield name, f"parameter {name!r}: {detail['msg'][:300]}"


def _check_approved(draft: Draft, registry: Registry, visit: Visit, kind: Uses) -> Iterator[Problem]:
    place = draft.place(visit.step.place, "exempt")
    if kind.exempt is not None and not kind.exempt.strip():
        yield Problem(place, "bad-value", "`exempt` wants a reason")
    grave = _gravity(kind, registry)
    if grave and not visit.view.approved:
        message = f"{kind.action} {grave}: put it into the `then` of an `approve`, or write `exempt: reason`"
        yield Problem(draft.place(visit.step.place, "uses"), UNAPPROVED, message)


def _gravity(kind: Uses, registry: Registry) -> str:
    """Return why somebody must be asked before an action; empty where nobody need be."""
    if kind.exempt or kind.action not in registry:
        return ""
    if registry.get(kind.action).risk is Risk.DESTRUCTIVE:
        return "is destructive"
    wide = any(fnmatchcase(kind.action, glob) for glob in ORGANISATION_WIDE)
    return "binds a whole account" if wide else ""


def unapproved(playbook: Playbook, registry: Registry) -> Iterator[Step]:
    """Yield the steps that want an approval and that a playbook, and those it runs, do without one."""
    for visit in visits_of(playbook):
        kind = visit.step.kind
        if visit.view.approved:
            continue
        if isinstance(kind, Uses) and _gravity(kind, registry):
            yield visit.step
        elif isinstance(kind, Run) and kind.playbook in playbook.callees:
            yield from unapproved(playbook.callees[kind.playbook], registry)


def _check_call(draft: Draft, registry: Registry, visit: Visit, kind: Run) -> Iterator[Problem]:
    step, callee = visit.step, draft.playbook.callees.get(kind.playbook)
    if callee is None:
        return
    place = draft.place(step.place, "run")
    if not visit.view.approved:
        for inner in unapproved(callee, registry):
            message = (
                f"{kind.playbook!r} does {inner.id!r} ({inner.place}), which wants an approval:"
                " run it inside the `then` of an `approve`"
            )
            yield Problem(place, UNAPPROVED, message)
    yield from _check_call_inputs(draft, step, kind, callee, place)


def _check_call_inputs(
    draft: Draft, step: Step, kind: Run, callee: Playbook, place: Place
) -> Iterator[Problem]:
    for name, value in kind.inputs.items():
        where = draft.place(step.place, f"with.{name}")
        if name not in callee.inputs:
            hint = did_you_mean(name, callee.inputs) or f"; inputs are {', '.join(callee.inputs) or 'none'}"
            yield Problem(where, "unknown-parameter", f"{callee.id!r} has no input {name!r}{hint}")
        elif (message := _input_error(callee.inputs[name].type, value)) is not None:
            yield Problem(where, "parameter-type", f"input {name!r} {message}")
    for name, each in callee.inputs.items():
        if each.required and name not in kind.inputs:
            yield Problem(place, "missing-parameter", f"input {name!r} is missing; write it under `with`")


def _input_error(type_name: str, value: Value) -> str | None:
    if isinstance(value, Expr):
        return None
    if isinstance(value, Text):
        return None if INPUT_TYPES[type_name].shape.kind == "string" else f"wants a {type_name}, not text"
    if next(expressions_in(value), None) is not None:
        return None
    try:
        admit(type_name, value)
    except ValueError as error:
        return str(error)
    return None
