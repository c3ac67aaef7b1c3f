"""A playbook as a runbook in Markdown: what starts it, what it does, what it may, how it is undone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from irrunner.actions.registry import Registry
from irrunner.playbook.model import (
    Approve,
    Branch,
    Choose,
    EventTrigger,
    Expr,
    FindingTrigger,
    Manual,
    Parallel,
    Playbook,
    Run,
    Step,
    Text,
    Uses,
    Value,
    Wait,
    WaitUntil,
)
from irrunner.playbook.scalars import duration_text
from irrunner.vocabulary import Phase

INDENT = "   "


def prose(playbook: Playbook, registry: Registry) -> str:
    """Return the runbook of a playbook.

    Args:
        playbook: A checked playbook.
        registry: Its actions.
    """
    sections = (
        _head(playbook),
        _starts(playbook),
        _inputs(playbook),
        _sequence_section("What it does", playbook.steps, registry),
        _sequence_section("If it fails", playbook.on_failure, registry),
        _sequence_section("In the end, always", playbook.finally_, registry),
        _approvals(playbook),
        _permissions(playbook, registry),
        _undo(playbook, registry),
    )
    return "\n\n".join("\n".join(section) for section in map(tuple, sections) if section) + "\n"


def _head(playbook: Playbook) -> Iterator[str]:
    yield f"# {_plain(playbook.title).strip()}"
    yield ""
    yield f"Playbook `{playbook.id}` {playbook.version}" + (
        f", owned by {_plain(playbook.owner)}." if playbook.owner else "."
    )
    if playbook.description:
        yield from ("", _plain(playbook.description).strip())
    goals = [f"{name} within {duration_text(target)}" for name, target in playbook.objectives.items()]
    if goals:
        yield from ("", f"Objectives: {', '.join(goals)}.")
    bounds = [f"the run ends after {duration_text(playbook.deadline_s)}"]
    bounds += [f"it changes at most {count} {name}" for name, count in playbook.limits.items()]
    yield from ("", f"Bounds: {', '.join(bounds)}.")
    links = [f"<{link}>" for link in playbook.references]
    if playbook.techniques or links:
        yield from ("", f"See {', '.join((*playbook.techniques, *links))}.")


def _starts(playbook: Playbook) -> Iterator[str]:
    yield from ("## What starts it", "")
    if not playbook.triggers:
        yield "Nothing by itself: a person runs it, or another playbook."
    for trigger in playbook.triggers:
        yield f"- {_trigger(trigger)}" + (f", if {_code(trigger.when)}" if trigger.when else "")


def _trigger(trigger: FindingTrigger | EventTrigger) -> str:
    if isinstance(trigger, FindingTrigger):
        return f"a {trigger.source} finding of type {' or '.join(f'`{glob}`' for glob in trigger.types)}"
    return f"an event with {', '.join(f'`{name}`' for name in trigger.pattern)} as in its pattern"


def _inputs(playbook: Playbook) -> Iterator[str]:
    if not playbook.inputs:
        return
    yield from ("## What it needs to know", "", "| input | type | from | default |", "|---|---|---|---|")
    for each in playbook.inputs.values():
        source = _code(each.source) if each.source else "given"
        default = "none, required" if each.required else f"`{each.default}`"
        cells = (cell.replace("|", "\\|") for cell in (f"`{each.name}`", f"`{each.type}`", source, default))
        yield f"| {' | '.join(cells)} |"


def _sequence_section(title: str, steps: tuple[Step, ...], registry: Registry) -> Iterator[str]:
    if not steps:
        return
    yield from (f"## {title}", "")
    current: Phase | None = None
    for number, step in enumerate(steps, start=1):
        if step.phase is not None and step.phase is not current:
            yield from ("", f"### {step.phase.value.replace('_', ' ').capitalize()}", "")
            current = step.phase
        yield from _step(step, f"{number}.", registry)


def _step(step: Step, mark: str, registry: Registry) -> Iterator[str]:
    sentence = f"{_conditions(step)}{_sentence(step, registry)}{_modifiers(step)}"
    yield f"{mark} **{_plain(step.title or step.id)}**: {sentence}"
    for title, inner in _inner(step):
        yield f"{INDENT}- {title}:"
        for child in inner:
            yield from (f"{INDENT * 2}{line}" for line in _step(child, "-", registry))


def _conditions(step: Step) -> str:
    words = f"if {_code(step.when)}, " if step.when else ""
    if step.for_each:
        items = step.for_each.items
        source = _code(items) if isinstance(items, Expr) else ", ".join(map(_value, items))
        words += f"for each `{step.for_each.name}` of {source} ({step.for_each.at_most} at once), "
    return words


def _sentence(step: Step, registry: Registry) -> str:
    kind = step.kind
    if isinstance(kind, Uses):
        return _uses(kind, registry)
    if isinstance(kind, Approve | Manual):
        return _people(kind)
    if isinstance(kind, Wait | WaitUntil):
        return _wait(kind)
    if isinstance(kind, Run):
        return f"run playbook `{kind.playbook}`{_params(kind.inputs)}"
    return "at the same time" if isinstance(kind, Parallel) else "the first that holds"


def _people(kind: Approve | Manual) -> str:
    within = duration_text(kind.within_s)
    if isinstance(kind, Approve):
        return f"ask {' or '.join(kind.approvers)} within {within}: {_value(kind.message)}"
    return f"{' or '.join(kind.by)} does by hand within {within}, and confirms: {_value(kind.instruction)}"


def _wait(kind: Wait | WaitUntil) -> str:
    if isinstance(kind, Wait):
        return f"wait {duration_text(kind.for_s)}"
    every, most = duration_text(kind.every_s), duration_text(kind.timeout_s)
    return f"look with `{kind.action}` every {every}, for at most {most}, until {_code(kind.until)}"


def _uses(kind: Uses, registry: Registry) -> str:
    action = registry.get(kind.action)
    exempt = f" Not asked for, because: {_plain(kind.exempt)}." if kind.exempt else ""
    told = f"{action.title.rstrip('.')} (`{kind.action}`, {action.risk} risk){_params(kind.params)}."
    return f"{told}{exempt}{_expiry(kind)}"


def _expiry(kind: Uses) -> str:
    if not kind.expires_after_s:
        return ""
    return f" Taken off again by itself after {duration_text(kind.expires_after_s)}."


def _params(params: Mapping[str, Value]) -> str:
    given = ", ".join(f"{name} = {_value(value)}" for name, value in params.items())
    return f" with {given}" if given else ""


def _modifiers(step: Step) -> str:
    words = [f" At most {duration_text(step.timeout_s)}."] if step.timeout_s else []
    if step.retry:
        words.append(f" {step.retry.attempts} attempts.")
    if step.on_failure == "continue":
        words.append(" If it fails, the run goes on.")
    return "".join(words)


def _inner(step: Step) -> Iterator[tuple[str, tuple[Step, ...]]]:
    kind = step.kind
    if isinstance(kind, Approve):
        yield "approved", kind.then
        if kind.otherwise:
            yield "denied or not answered", kind.otherwise
    elif isinstance(kind, Parallel):
        for number, steps in enumerate(kind.branches, start=1):
            yield f"branch {number}", steps
    elif isinstance(kind, Choose):
        yield from ((_guard(branch), branch.steps) for branch in kind.branches)
        if kind.otherwise:
            yield "otherwise", kind.otherwise
    if isinstance(step.on_failure, tuple):
        yield "if it fails", step.on_failure


def _guard(branch: Branch) -> str:
    return f"if {_code(branch.when)}"


def _approvals(playbook: Playbook) -> Iterator[str]:
    asked = [(step, step.kind) for step in playbook.walk() if isinstance(step.kind, Approve)]
    if not asked:
        return
    yield from (
        "## Who is asked",
        "",
        "Nobody answering in time is a denial: the run goes on without it.",
        "",
    )
    for step, kind in asked:
        then = ", ".join(_plain(inner.title or inner.id) for inner in kind.then)
        more = f", then {' and '.join(kind.escalate)} are told" if kind.escalate else ""
        people = f"{kind.minimum} of {', '.join(kind.approvers)}"
        yield f"- `{step.id}`: {people} within {duration_text(kind.within_s)}{more}; for {then}"


def _actions(playbook: Playbook) -> tuple[str, ...]:
    found = {
        kind.action for kind in (step.kind for step in playbook.walk()) if isinstance(kind, Uses | WaitUntil)
    }
    return tuple(sorted(found.union(*(_actions(callee) for callee in playbook.callees.values()))))


def _permissions(playbook: Playbook, registry: Registry) -> Iterator[str]:
    needed = sorted(
        {
            (permission.scope, permission.action, permission.resource)
            for action in _actions(playbook)
            for permission in registry.get(action).permissions
            if permission.use != "undo"
        }
    )
    if needed:
        yield from ("## What it may do", "", "| account | IAM action | resource |", "|---|---|---|")
        yield from (f"| {scope} | {action} | `{resource}` |" for scope, action, resource in needed)


def _undo(playbook: Playbook, registry: Registry) -> Iterator[str]:
    yield from ("## How it is undone", "", "`irrunner undo RUN`, after the run has ended:", "")
    for name in _actions(playbook):
        action = registry.get(name)
        yield f"- `{name}`: {action.undo}. {action.undo_note}"


def _plain(text: str) -> str:
    """Return text that is only text in Markdown: on one line, no HTML; blanks at its ends are kept as one."""
    return re.sub(r"\s+", " ", text).replace("&", "&amp;").replace("<", "&lt;")


def _code(expr: Expr) -> str:
    return f"`{' '.join(expr.source.split())}`"


def _value(value: Value | Text) -> str:
    if isinstance(value, Expr):
        return _code(value)
    if isinstance(value, Text):
        return "".join(_plain(part) if isinstance(part, str) else _code(part) for part in value.parts)
    if isinstance(value, tuple):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name}: {_value(item)}" for name, item in value.items()) + "}"
    return "nothing" if value is None else _plain(str(value))
