"""Checks of expressions: they compile, their types fit, and what they mention is in sight."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from irrunner.actions.registry import Registry
from irrunner.errors import ExpressionFailed
from irrunner.playbook.celtree import Analysis, Known, Reference
from irrunner.playbook.document import Draft
from irrunner.playbook.expressions import Typing
from irrunner.playbook.language import CompileFailed, Program
from irrunner.playbook.model import Expr, Place, Run, Step, Uses, WaitUntil
from irrunner.playbook.problems import Problem
from irrunner.playbook.records import input_shape
from irrunner.playbook.shapes import (
    ANY,
    BOOL,
    EMBEDDABLE,
    STRING,
    Shape,
    fields_of,
    fits,
    list_of,
)
from irrunner.playbook.sites import Site

_CONDITIONS = frozenset({"when", "until", "guard", "trigger"})
_OUTPUT_KINDS = frozenset({"string", "int", "double", "bool", "any"})
STEP_PATH = 2
"""Length of ``("steps", id)``."""


@dataclass(frozen=True, slots=True)
class _Context:
    draft: Draft
    registry: Registry
    typing: Typing
    order: Mapping[str, int]
    """Step id to its position in the file."""
    loops: Mapping[str, str]
    """Step inside a ``for_each`` to the step that repeats it."""
    forgiving: frozenset[str]
    """Steps after whose failure the run goes on."""


def check_expressions(draft: Draft, registry: Registry, typing: Typing) -> Iterator[Problem]:
    """Yield the problems of every expression of a playbook."""
    steps = tuple(draft.playbook.walk())
    order = {step.id: position for position, step in enumerate(steps)}
    forgiving = frozenset(step.id for step in steps if step.on_failure != "stop")
    context = _Context(draft, registry, typing, order, _loops(draft), forgiving)
    yield from _check_aliases(typing)
    for site in typing.sites:
        if site.expr.source and site.expr.place.file:
            yield from _check_site(context, site)


def _check_aliases(typing: Typing) -> Iterator[Problem]:
    """An expression that a YAML alias repeats is compiled once: its loop variables must be of one type."""
    first: dict[Expr, Site] = {}
    for site in typing.sites:
        other = first.setdefault(site.expr, site)
        if other is site or not site.view.locals:
            continue
        here, there = dict(typing.variables(site)), dict(typing.variables(other))
        for name in sorted(site.view.locals.keys() & other.view.locals.keys()):
            if here[name] != there[name]:
                message = (
                    f"an alias repeats this expression where {name!r} is {here[name]}, not {there[name]};"
                    " write it out"
                )
                yield Problem(site.expr.place, "yaml-alias", message)


def _loops(draft: Draft) -> dict[str, str]:
    loops: dict[str, str] = {}
    for step in draft.playbook.walk():
        if step.for_each is not None:
            inner = [child for sequence in step.children() for child in sequence]
            while inner:
                child = inner.pop()
                loops.setdefault(child.id, step.id)
                inner.extend(each for sequence in child.children() for each in sequence)
    return loops


def _check_site(context: _Context, site: Site) -> Iterator[Problem]:
    try:
        program = context.typing.compile(site)
    except CompileFailed as failed:
        yield from _complaints(context, site, failed)
        return
    analysis = program.analysis
    known = context.typing.promised(site.view)
    for reference in analysis.references:
        yield from _check_reference(context, site, reference, known)
        yield from _check_items(context, site, reference, analysis)
    yield from _check_type(context, site, _narrowed(analysis, known))
    yield from _check_constant(context, site, program)


def _complaints(context: _Context, site: Site, failed: CompileFailed) -> Iterator[Problem]:
    for complaint in failed.complaints:
        broken = {complaint.name, f"inputs.{complaint.name}"} & context.draft.broken
        if not (complaint.name and broken):
            place = _inside(site.expr, complaint.line, complaint.column)
            yield Problem(place, complaint.rule, complaint.message + _loop_hint(site, complaint.name))


def _loop_hint(site: Site, name: str) -> str:
    loop = site.owner.for_each if site.owner is not None else None
    if site.part != "when" or loop is None or name not in {loop.name, "index"}:
        return ""
    return "; `when` is asked once, before the loop: filter its list instead"


def _inside(expr: Expr, line: int, column: int) -> Place:
    """Return the place of a line and column of an expression, exact where it stands on one line."""
    place = expr.place
    if line == 1:
        return Place(place.file, place.line, place.column + column - 1)
    return Place(place.file, place.line + line - 1, column)


def _at(site: Site, offset: int) -> Place:
    before = site.expr.source[:offset]
    line = before.count("\n")
    return _inside(site.expr, line + 1, offset - before.rfind("\n"))


def _check_reference(context: _Context, site: Site, reference: Reference, known: Known) -> Iterator[Problem]:
    root, *fields = reference.path
    if root != "steps":
        return
    place = _at(site, reference.offset)
    if not fields:
        yield Problem(place, "expression-name", "`steps` alone is no value; name a step: steps.<id>")
        return
    name = fields[0]
    view = site.view
    if name in view.certain or name in context.draft.broken:
        return
    if name in view.possible:
        sure = ("steps", name) in reference.known | known
        if not sure and not (reference.tested and len(reference.path) == STEP_PATH):
            message = f"step {name!r} may not have run here; write has(steps.{name}) ? ... : ..."
            yield Problem(place, "reference-guard", message)
        return
    yield _out_of_sight(context, site, name, place)


def _check_items(
    context: _Context, site: Site, reference: Reference, analysis: Analysis
) -> Iterator[Problem]:
    """Outputs of an item that failed would be read as protobuf's defaults: an empty text, a zero."""
    if reference.path[:1] != ("steps",) or reference.path[STEP_PATH:] != ("items",):
        return
    name = reference.path[1]
    may_have_failed = site.view.failing or name in context.forgiving
    if (
        may_have_failed
        and "outputs" in analysis.fields
        and not (analysis.tests or "outcome" in analysis.fields)
    ):
        message = (
            f"an item of {name!r} that failed has no outputs; look at its outcome first:"
            " .filter(i, i.outcome == 'applied' || i.outcome == 'already_done')"
        )
        yield Problem(_at(site, reference.offset), "reference-guard", message)


def _out_of_sight(context: _Context, site: Site, name: str, place: Place) -> Problem:
    owner = site.owner
    position = context.order[owner.id] if owner is not None else len(context.order)
    if name in context.loops and context.loops[name] not in site.view.loops:
        loop = context.loops[name]
        message = f"step {name!r} is repeated by {loop!r}; use steps.{loop}.items"
        return Problem(place, "reference-loop", message)
    if context.order.get(name, -1) >= position:
        what = "itself" if owner is not None and name == owner.id else "a later step"
        message = f"step {name!r} is {what}; it has no outputs yet: move it before this one"
        return Problem(place, "reference-order", message)
    message = f"step {name!r} is on another branch; use it after the branches have joined"
    return Problem(place, "reference-branch", message)


def _narrowed(analysis: Analysis, known: Known) -> Shape:
    """Return the shape where conditions have made sure of some paths."""
    return replace(analysis.shape, optional=bool(analysis.nulls - known))


def _check_type(context: _Context, site: Site, given: Shape) -> Iterator[Problem]:
    if site.inside_text:
        if given.kind != "any" and (given.kind not in EMBEDDABLE or given.optional):
            yield Problem(site.expr.place, "expression-embed", _embed_message(given))
        return
    if site.part == "output":
        if not _is_output(given):
            message = f"an output is a string, int, double, bool, or a list or map of them, not {given}"
            yield Problem(site.expr.place, "output-type", message)
        return
    wanted = _wanted(context, site)
    if not fits(given, wanted):
        yield Problem(site.expr.place, "expression-type", _type_message(site, given, wanted))


def _embed_message(given: Shape) -> str:
    if given.optional:
        return "a value that may be null cannot stand inside text; write has(x) ? x : ..."
    return f"a {given} cannot stand inside text; only string, int and bool: use json()"


def _is_output(shape: Shape) -> bool:
    return (shape.element or shape).kind in _OUTPUT_KINDS and shape.kind != "any"


def _type_message(site: Site, given: Shape, wanted: Shape) -> str:
    what = "the condition" if site.part in _CONDITIONS else f"`{'.'.join(map(str, (site.part, *site.path)))}`"
    message = f"{what} wants {wanted}, but this is {given}"
    return f"{message}; write has(x) ? x : ..." if given.optional and not wanted.optional else message


def _wanted(context: _Context, site: Site) -> Shape:
    if site.part in _CONDITIONS:
        return BOOL
    if site.part == "for_each":
        return ANY if site.path else list_of(ANY)
    if site.part == "message":
        return STRING
    name, *rest = site.path
    if site.part == "from":
        return _nullable(input_shape(context.draft.playbook.inputs[str(name)].type, nullable=True))
    return _within(_parameters(context, site.owner).get(str(name), ANY), rest)


def _nullable(shape: Shape) -> Shape:
    return Shape(shape.kind, optional=True, element=shape.element)


def _parameters(context: _Context, step: Step | None) -> Mapping[str, Shape]:
    """Return the shapes of what a step's ``with`` may give."""
    kind = step.kind if step is not None else None
    if isinstance(kind, Uses | WaitUntil) and kind.action in context.registry:
        return fields_of(context.registry.get(kind.action).Params)
    if isinstance(kind, Run) and kind.playbook in context.draft.playbook.callees:
        inputs = context.draft.playbook.callees[kind.playbook].inputs.values()
        return {each.name: input_shape(each.type, nullable=False) for each in inputs}
    return {}


def _within(shape: Shape, path: list[str | int]) -> Shape:
    for _ in path:
        shape = shape.element or ANY
    return shape


def _check_constant(context: _Context, site: Site, program: Program) -> Iterator[Problem]:
    """A condition that mentions nothing is always or never true: what it guards, or what follows, is dead."""
    if site.part not in {"when", "guard"} or program.analysis.references:
        return
    try:
        holds = context.typing.language.run(program, {}, site.expr)
    except ExpressionFailed as failed:
        yield Problem(site.expr.place, "expression-type", failed.message.removeprefix(f"{site.expr.place}: "))
        return
    says = (
        "always true; leave it out or write what it depends on" if holds else "never true; remove the steps"
    )
    yield Problem(site.expr.place, "unreachable-step", f"this condition is {says}")
