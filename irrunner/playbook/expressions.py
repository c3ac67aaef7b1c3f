"""Evaluate the expressions of a playbook: scopes of a run in, plain data out."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from irrunner.actions.registry import Registry
from irrunner.errors import ExpressionFailed
from irrunner.findings.model import Finding
from irrunner.playbook.celtree import Known
from irrunner.playbook.language import CompileFailed, Language, Program, Variables
from irrunner.playbook.model import Expr, Playbook, Text, Value, WaitUntil
from irrunner.playbook.records import FINDING, INPUTS, RUN, RUN_FAILING, STEPS, finding_records, records_of
from irrunner.playbook.shapes import ANY, INT, Shape
from irrunner.playbook.sites import ON_FINDING, Local, Site, View, sites_of

ROUNDS = 4
"""Times that shapes of ``for_each`` items are read from expressions that mention other items."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What an expression sees at one place of a run. Plain data.

    Args:
        inputs: Bound inputs by name.
        finding: The finding that started the run, if one did.
        steps: Outputs of steps that succeeded, by id; of a ``for_each`` step
            ``{"items": [{"item", "outcome", "outputs"}]}``; of a ``run`` step the callee's outputs.
        locals: The ``as`` name, ``index`` and ``poll``, where they are in sight.
        run: ``id drill account_id region error failed_step``.
    """

    inputs: Mapping[str, Any] = field(default_factory=dict)
    finding: Finding | None = None
    steps: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    locals: Mapping[str, Any] = field(default_factory=dict)
    run: Mapping[str, Any] = field(default_factory=dict)


@cache
def finding_language() -> Language:
    """Return the language of expressions that see only a finding: triggers, and ``from`` of inputs."""
    return Language(finding_records())


def evaluate_on_finding(expr: Expr, finding: Finding) -> Any:
    """Return the value of an expression that sees only a finding.

    Raises:
        ExpressionFailed: If it does not compile or fails.
    """
    try:
        program = finding_language().compile(expr.source, (("finding", FINDING),))
    except CompileFailed as failed:
        raise ExpressionFailed(f"{expr.place}: {failed}") from failed
    return finding_language().run(program, {"finding": finding}, expr)


class Typing:
    """A playbook's language: records with the shapes of loop items, and compilation at sites."""

    def __init__(self, playbook: Playbook, registry: Registry) -> None:
        self._registry = registry
        self._playbook = playbook
        self.sites = sites_of(playbook)
        self._by_expr = {site.expr: site for site in reversed(self.sites)}
        callees = {name: output_shapes(callee, registry) for name, callee in playbook.callees.items()}
        items = self._literal_items()
        self.language = Language(records_of(playbook, registry, items, callees))
        for _ in range(ROUNDS):
            found = {**items, **self._item_shapes()}
            if found == items:
                break
            items = found
            self.language = Language(records_of(playbook, registry, items, callees))

    def _literal_items(self) -> dict[str, Shape]:
        return {
            step.id: _literal_shape(step.for_each.items)
            for step in self._playbook.walk()
            if step.for_each is not None and isinstance(step.for_each.items, tuple)
        }

    def _item_shapes(self) -> dict[str, Shape]:
        shapes = {}
        for site in self.sites:
            if site.part == "for_each" and site.owner is not None and not site.path and not site.inside_text:
                try:
                    shape = self.compile(site).analysis.shape
                except CompileFailed:
                    continue
                shapes[site.owner.id] = shape.element or ANY
        return shapes

    def variables(self, site: Site) -> Variables:
        """Return the variables that an expression sees at a site, with their shapes."""
        if site.roots == ON_FINDING:
            return (("finding", FINDING),)
        run = RUN_FAILING if site.view.failing else RUN
        found = {"finding": FINDING, "inputs": INPUTS, "steps": STEPS, "run": run}
        found |= {name: self._local(local) for name, local in site.view.locals.items()}
        return tuple(sorted(found.items(), key=lambda item: item[0]))

    def _local(self, local: Local) -> Shape:
        if local.kind == "index":
            return INT
        steps = self.language.messages.fields(STEPS.name)
        shape = steps.get(local.step.id, ANY)
        if local.step.for_each is None:
            return shape if isinstance(local.step.kind, WaitUntil) else ANY
        item = self.language.messages.fields(f"Item_{local.step.id}")
        return item["item"] if local.kind == "item" else item["outputs"]

    def compile(self, site: Site) -> Program:
        """Compile a site's expression. Raises CompileFailed."""
        return self.language.compile(site.expr.source, self.variables(site))

    def promised(self, view: View) -> Known:
        """Return the paths that the conditions around a place make sure of."""
        known: Known = frozenset()
        for guard in view.guards:
            site = self._by_expr.get(guard)
            if site is not None:
                with suppress(CompileFailed):  # reported where the condition stands
                    known |= self.compile(site).analysis.implies
        return known


def _literal_shape(items: tuple[Value, ...]) -> Shape:
    kinds: dict[type, Shape] = {str: Shape("string"), bool: Shape("bool"), int: INT, float: Shape("double")}
    found = {Shape("string") if isinstance(item, Text) else kinds.get(type(item), ANY) for item in items}
    return found.pop() if len(found) == 1 else ANY


def output_shapes(playbook: Playbook, registry: Registry) -> dict[str, Shape]:
    """Return the shapes of a checked playbook's outputs."""
    typing = Typing(playbook, registry)
    return {
        str(site.path[0]): typing.compile(site).analysis.shape
        for site in typing.sites
        if site.part == "output"
    }


class Evaluator:
    """Evaluates the expressions of one playbook; each is compiled once."""

    def __init__(self, playbook: Playbook, registry: Registry) -> None:
        self._playbook = playbook
        self._registry = registry
        self._typing: Typing | None = None
        self._programs: dict[tuple[Expr, frozenset[str]], Program] = {}

    def evaluate(self, expr: Expr, scope: Scope) -> Any:
        """Return an expression's value as plain data.

        Args:
            expr: An expression of this playbook.
            scope: What it sees.

        Raises:
            ExpressionFailed: If it fails; the message begins with its place.
        """
        key = (expr, frozenset(scope.locals))
        program = self._programs.get(key)
        if program is None:
            program = self._programs[key] = self._compile(expr, scope.locals)
        values = {
            "inputs": scope.inputs, "finding": scope.finding, "steps": scope.steps, "run": scope.run,
            **scope.locals,
        }  # fmt: skip
        for name, _ in program.variables:
            if values.get(name) is None and name in {"finding", "inputs", "steps", "run"}:
                raise ExpressionFailed(f"{expr.place}: this run has no {name}", missing=name)
        return self._known_typing().language.run(program, values, expr)

    def render(self, value: Value, scope: Scope) -> Any:
        """Return a value with its expressions evaluated; text is joined once and never read again.

        Raises:
            ExpressionFailed: If an expression fails, or something else than string, int or bool would
                stand inside a text.
        """
        if isinstance(value, Expr):
            return self.evaluate(value, scope)
        if isinstance(value, Text):
            return "".join(
                part if isinstance(part, str) else self._embedded(part, scope) for part in value.parts
            )
        if isinstance(value, tuple | list):
            return [self.render(item, scope) for item in value]
        if isinstance(value, Mapping):
            return {name: self.render(item, scope) for name, item in value.items()}
        return value

    def outputs(self, scope: Scope) -> dict[str, Any]:
        """Return the playbook's declared outputs. Raises ExpressionFailed."""
        return {name: self.evaluate(expr, scope) for name, expr in self._playbook.outputs.items()}

    def _embedded(self, expr: Expr, scope: Scope) -> str:
        value = self.evaluate(expr, scope)
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, str | int):
            return str(value)
        kind = "null" if value is None else type(value).__name__
        raise ExpressionFailed(f"{expr.place}: a {kind} cannot stand inside text; use json()")

    def _known_typing(self) -> Typing:
        if self._typing is None:
            self._typing = Typing(self._playbook, self._registry)
        return self._typing

    def _compile(self, expr: Expr, names: Mapping[str, Any]) -> Program:
        typing = self._known_typing()
        for site in typing.sites:
            if site.expr == expr and site.view.locals.keys() <= names.keys():
                try:
                    return typing.compile(site)
                except CompileFailed as failed:
                    raise ExpressionFailed(f"{expr.place}: {failed}") from failed
        raise ExpressionFailed(f"{expr.place}: no expression of playbook {self._playbook.id!r} stands here")
