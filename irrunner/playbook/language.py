"""CEL: compile, check and run expressions over records. The only module that imports ``cel_expr_python``.

``cel-expr-python`` answers a run-time error as a value whose plain form is a truthy string; here it is
raised, with its place, so that a failing condition can never count as true. CEL terminates, has no side
effects and cannot reach Python; data enters it only as typed messages.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from irrunner.errors import ExpressionFailed
from irrunner.playbook.celtree import Analysis, Path, Reference, analyse
from irrunner.playbook.complaints import Complaint, complaints_of, runtime_message
from irrunner.playbook.messages import PACKAGE, Messages, Only, Record
from irrunner.playbook.model import Expr
from irrunner.playbook.shapes import ANY, Shape

if TYPE_CHECKING:
    from cel_expr_python import cel

Variables: TypeAlias = tuple[tuple[str, Shape], ...]
Need: TypeAlias = tuple[Path, int]
"""A path that must have a value, and how much of its beginning ``has()`` lets be missing."""


class CompileFailed(Exception):
    """An expression does not compile; internal to the checks."""

    def __init__(self, complaints: tuple[Complaint, ...]) -> None:
        super().__init__("; ".join(complaint.message for complaint in complaints))
        self.complaints = complaints


@dataclass(frozen=True, slots=True)
class Program:
    """A compiled expression and what must be filled in before it runs."""

    compiled: cel.Expression
    analysis: Analysis
    variables: Variables
    """Only those that it mentions."""
    only: Mapping[str, Only]
    required: tuple[Need, ...]
    """What must have a value: no protobuf default may stand for what is missing."""


class Language:
    """The records of one playbook, and expressions over them."""

    def __init__(self, records: Iterable[Record]) -> None:
        self.messages = Messages(records)
        self._environments: dict[Variables, cel.Env] = {}
        self._programs: dict[tuple[str, Variables], Program] = {}

    def compile(self, source: str, variables: Variables) -> Program:
        """Compile and check an expression, once.

        Raises:
            CompileFailed: With every complaint of CEL, reworded.
        """
        key = (source, variables)
        if key not in self._programs:
            self._programs[key] = self._compile(source, variables)
        return self._programs[key]

    def _compile(self, source: str, variables: Variables) -> Program:
        environment = self._environment(variables)
        try:
            compiled = environment.compile(source)
            analysis = analyse(compiled.serialize())
        except RuntimeError as error:
            names = [name for name, _ in variables]
            raise CompileFailed(complaints_of(str(error), names, self.messages.fields)) from None
        except ValueError as error:
            raise CompileFailed((Complaint(1, 1, "expression-syntax", f"the expression {error}"),)) from None
        return self._program(compiled, analysis, variables)

    def _environment(self, variables: Variables) -> cel.Env:
        environment = self._environments.get(variables)
        if environment is None:
            from cel_expr_python import cel  # noqa: PLC0415 - 30 ms that only expressions pay

            environment = cel.NewEnv(
                descriptor_pool=self.messages.pool,
                variables={name: _cel_type(shape) for name, shape in variables},
                functions=[_json_function(self.messages)],
            )
            self._environments[variables] = environment
        return environment

    def _program(self, compiled: cel.Expression, analysis: Analysis, variables: Variables) -> Program:
        only = _only(analysis.references)
        mentioned = tuple((name, shape) for name, shape in variables if name in only)
        shapes = dict(mentioned)
        required = {
            need
            for reference in analysis.references
            for need in self._required(reference, shapes.get(reference.path[0], ANY))
        }
        return Program(compiled, analysis, mentioned, only, tuple(sorted(required)))

    def _required(self, reference: Reference, shape: Shape) -> Iterable[Need]:
        """Yield the parts of a reference that must be there, as deep as records go."""
        path, guarded = reference.path, 0
        depth = len(path) - 1 if reference.tested else len(path)
        for end in range(2, depth + 1):
            if shape.kind != "message" or shape.name not in self.messages:
                return
            shape = self.messages.fields(shape.name).get(path[end - 1], ANY)
            if path[:end] in reference.known:
                guarded = end
            elif not shape.optional:
                yield path[:end], guarded
            elif shape.kind == "message" and end < depth:
                yield path[:end], guarded
                return
            else:
                return

    def run(self, program: Program, values: Mapping[str, Any], expr: Expr) -> Any:
        """Evaluate a program.

        Args:
            program: What :meth:`compile` returned.
            values: Plain value of each variable.
            expr: For the place in errors.

        Raises:
            ExpressionFailed: If CEL answers an error, or what it needs is not there.
        """
        for path, guarded in program.required:
            _need(path, guarded, values, expr)
        try:
            data = {
                name: self._value(shape, values.get(name), program.only[name])
                for name, shape in program.variables
            }
        except (TypeError, ValueError, AttributeError) as error:
            raise ExpressionFailed(f"{expr.place}: a value is not of its declared type: {error}") from error
        answer = _answer(program, data, expr)
        if answer.type().name() == "ERROR":
            raise ExpressionFailed(f"{expr.place}: {runtime_message(str(answer.plain_value()))}")
        return self.messages.plain(answer.plain_value())

    def _value(self, shape: Shape, value: Any, only: Only) -> Any:
        if shape.kind == "message" and value is not None:
            return self.messages.make(shape.name, value, only)
        if shape.kind == "list":
            return [self._value(shape.element or ANY, item, None) for item in value]
        return value


def _answer(program: Program, data: Mapping[str, Any], expr: Expr) -> cel.Value:
    try:
        return program.compiled.eval(data=data)
    except RuntimeError as error:  # the iteration budget
        raise ExpressionFailed(f"{expr.place}: {runtime_message(str(error))}") from error


def _need(path: Path, guarded: int, values: Mapping[str, Any], expr: Expr) -> None:
    """Raise if a path has no value, unless that is so within its guarded beginning."""
    current: Any = values
    for depth, name in enumerate(path, start=1):
        current = current.get(name) if isinstance(current, Mapping) else getattr(current, name, None)
        if current is None:
            if depth <= guarded:
                return
            dotted = ".".join(path)
            raise ExpressionFailed(f"{expr.place}: {dotted} is not known", missing=dotted)


def _only(references: Iterable[Reference]) -> dict[str, Only]:
    """Return which fields the references need, as a tree by variable."""
    tree: dict[str, Any] = {}
    for reference in references:
        _plant(tree, reference.path, whole=not reference.tested)
    return tree


def _plant(tree: dict[str, Any], path: tuple[str, ...], *, whole: bool) -> None:
    for name in path[:-1]:
        tree = tree.setdefault(name, {})
        if tree is None:
            return
    if whole:
        tree[path[-1]] = None
    else:
        tree.setdefault(path[-1], {})


def _cel_type(shape: Shape) -> cel.Type:
    from cel_expr_python import cel  # noqa: PLC0415 - lazy, see above

    if shape.kind == "list":
        return cel.Type.List(_cel_type(shape.element or ANY))
    if shape.kind == "map":
        return cel.Type.Map(cel.Type.STRING, _cel_type(shape.element or ANY))
    if shape.kind == "message":
        return cel.Type(f"{PACKAGE}.{shape.name}")
    simple = {
        "string": cel.Type.STRING,
        "int": cel.Type.INT,
        "double": cel.Type.DOUBLE,
        "bool": cel.Type.BOOL,
    }
    return cel.Type.DYN if shape.optional else simple.get(shape.kind, cel.Type.DYN)


def _json_function(messages: Messages) -> cel.FunctionDecl:
    """Return ``json(x)``: the canonical JSON text of a list, a map or a number."""
    from cel_expr_python import cel  # noqa: PLC0415 - lazy, see above

    def text(value: Any) -> str:
        return json.dumps(messages.plain(value), ensure_ascii=False, sort_keys=True, separators=(",", ":"))

    kinds = {
        "list": cel.Type.List(cel.Type.DYN), "map": cel.Type.Map(cel.Type.DYN, cel.Type.DYN),
        "double": cel.Type.DOUBLE, "int": cel.Type.INT, "bool": cel.Type.BOOL, "string": cel.Type.STRING,
    }  # fmt: skip
    overloads = [
        cel.Overload(
            f"json_{name}", return_type=cel.Type.STRING, parameters=[kind], is_member=False, impl=text
        )
        for name, kind in kinds.items()
    ]
    return cel.FunctionDecl("json", overloads)
