"""Nodes to steps: every step kind and every modifier."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal, TypeAlias, cast

from irrunner.actions.registry import Registry
from irrunner.playbook import words
from irrunner.playbook.model import (
    Approve,
    Branch,
    Choose,
    Expr,
    ForEach,
    Manual,
    Parallel,
    Place,
    Retry,
    Run,
    Step,
    StepKind,
    Uses,
    Value,
    Wait,
    WaitUntil,
)
from irrunner.playbook.nodes import Mapping as MappingNode
from irrunner.playbook.nodes import Node, Scalar, Sequence
from irrunner.playbook.problems import Problem
from irrunner.playbook.reader import Fields, Reader
from irrunner.playbook.shapes import ANY, Shape, fields_of
from irrunner.vocabulary import Phase

NEVER = Expr("false", Place("", 0, 0))
"""Stands for an expression that could not be read; its problem is reported already."""
OnFailure: TypeAlias = "Literal['stop', 'continue'] | tuple[Step, ...]"


class StepReader(Reader):
    """Reads steps; knows the actions, so that a parameter declared as text keeps its text."""

    def __init__(self, problems: list[Problem], registry: Registry) -> None:
        super().__init__(problems)
        self._registry = registry
        self.broken: set[str] = set()
        """Ids of steps that could not be read: references to them are no second problem."""
        self._unnamed = 0

    def sequence(self, node: Node) -> tuple[Step, ...]:
        """Read a list of steps."""
        if not isinstance(node, Sequence):
            self.items(node, "steps")
            return ()
        steps = [self.step(item) for item in node.items]
        return tuple(step for step in steps if step is not None)

    def step(self, node: Node) -> Step | None:
        """Read one step; None where it is too broken to be one."""
        fields = self.fields(node, "a step", words.STEP_KEYS)
        if not fields:
            if isinstance(node, MappingNode):
                self.problem(
                    node.place, "step-kind", f"an empty step; write one of {', '.join(words.KIND_KEYS)}"
                )
            return None
        identity = self.need(fields, "id", self._id, "", node.place)
        kind_name = self._kind_name(node, fields)
        if kind_name is None:
            self.broken.add(identity)
            self._read_inner(fields)
            return None
        if not identity:  # its rest is checked all the same, under an id too long to be anybody's
            self._unnamed += 1
            identity = f"unnamed_step_{self._unnamed:064}"
        self.note(node.place, fields)
        self._misplaced(fields, kind_name)
        return self._step(identity, kind_name, node, fields)

    def _step(self, identity: str, kind_name: str, node: Node, fields: Fields) -> Step:
        place = node.place
        kind = READERS[kind_name](self, fields, place)
        return Step(
            id=identity,
            kind=kind,
            place=place,
            phase=self._phase(fields) or self._declared_phase(kind),
            title=self.get(fields, "title", self.text, ""),
            when=self.get(fields, "when", self.guard, None),
            for_each=self._for_each(fields, place),
            timeout_s=self.get(fields, "timeout", self.duration, None),
            retry=self.get(fields, "retry", self._retry, None),
            on_failure=self.get(fields, "on_failure", self._on_failure, "stop"),
        )

    def _id(self, node: Node) -> str:
        return self.identifier(node, words.CEL_WORDS)

    def identifier(self, node: Node, taken: frozenset[str]) -> str:
        """Read an id that CEL can name."""
        name = self.text(node)
        if not name:
            return ""
        if not words.STEP_ID.fullmatch(name):
            message = (
                f"{name[:70]!r} is no id: a small letter, then small letters, digits and `_`, at most 63"
            )
            self.problem(node.place, "bad-id", message)
            return ""
        if name in taken:
            self.problem(node.place, "bad-id", f"{name!r} means something in expressions; choose another id")
            return ""
        return name

    def _kind_name(self, node: Node, fields: Fields) -> str | None:
        kinds = [name for name in words.KIND_KEYS if name in fields]
        if len(kinds) == 1:
            return kinds[0]
        what = f"{' and '.join(kinds)} in one step" if kinds else "a step that does nothing"
        self.problem(node.place, "step-kind", f"{what}; write exactly one of {', '.join(words.KIND_KEYS)}")
        return None

    def _read_inner(self, fields: Fields) -> None:
        """Read the inner steps of a broken step, for their problems; their ids count as broken."""
        for name in ("then", "otherwise"):
            for step in self.get(fields, name, self.sequence, ()):
                self.broken.add(step.id)

    def _misplaced(self, fields: Fields, kind_name: str) -> None:
        allowed = {*words.MODIFIERS, kind_name, *words.KIND_KEYS[kind_name]}
        for name, (key, _) in fields.items():
            if name not in allowed:
                owners = ", ".join(kind for kind, keys in words.KIND_KEYS.items() if name in keys)
                self.problem(key.place, "unknown-key", f"{name!r} belongs to {owners}, not to `{kind_name}`")

    def guard(self, node: Node) -> Expr:
        """Read a condition; a broken one is never true."""
        return self.expression(node) or NEVER

    def _phase(self, fields: Fields) -> Phase | None:
        word = self.get(fields, "phase", self.one_of(phase.value for phase in Phase), "")
        return Phase(word) if word else None

    def _declared_phase(self, kind: StepKind) -> Phase | None:
        """Return the phase of the step's action, for a step that writes none."""
        if isinstance(kind, Uses) and kind.action in self._registry:
            return self._registry.get(kind.action).phase
        return None

    def _for_each(self, fields: Fields, place: Place) -> ForEach | None:
        if "for_each" not in fields:
            for name in {"as", "at_most"} & fields.keys():
                self.problem(place, "missing-key", f"{name!r} without `for_each`; write both")
            return None
        items = self.value(fields["for_each"][1])
        if not isinstance(items, Expr | tuple):
            message = "`for_each` is one expression or a list of values"
            self.problem(fields["for_each"][1].place, "wrong-type", message)
            items = ()
        name = self.get(fields, "as", lambda node: self.identifier(node, words.LOOP_WORDS), "item")
        at_most = self.get(fields, "at_most", self.integer(1, words.MAX_AT_MOST), words.AT_MOST)
        return ForEach(items, name or "item", at_most)

    def _retry(self, node: Node) -> Retry:
        fields = self.fields(node, "`retry`", words.RETRY_KEYS)
        attempts = self.get(fields, "attempts", self.integer(1, 20), Retry().attempts)
        return Retry(attempts, self.get(fields, "backoff", self.duration, Retry().backoff_s))

    def _on_failure(self, node: Node) -> OnFailure:
        if isinstance(node, Scalar):
            return cast("Literal['stop', 'continue']", self.one_of(("stop", "continue"))(node))
        return self.sequence(node)

    def params(self, fields: Fields, place: Place, action: str) -> Mapping[str, Value]:
        """Read ``with`` of an action, each parameter by its declared shape."""
        shapes: Mapping[str, Shape] = {}
        if action in self._registry:
            shapes = fields_of(self._registry.get(action).Params)
        return self.values(fields, place, shapes)

    def values(self, fields: Fields, place: Place, shapes: Mapping[str, Shape]) -> Mapping[str, Value]:
        """Read ``with``: a mapping of values."""
        if "with" not in fields:
            return {}
        node = fields["with"][1]
        if not isinstance(node, MappingNode):
            self.fields(node, "`with`", ())
            return {}
        self.note(place, node.entries, "with.")
        return {name: self.value(item, shapes.get(name, ANY)) for name, (_, item) in node.entries.items()}

    def preserves(self, action: str) -> bool:
        """Return whether an action preserves evidence."""
        return action in self._registry and self._registry.get(action).evidence

    def groups(self, node: Node) -> tuple[str, ...]:
        """Read names (groups of people, finding types); none at all is a problem."""
        names = self.texts(node)
        if not names:
            self.problem(node.place, "bad-value", "nothing is named; write at least one")
        return names


def _uses(reader: StepReader, fields: Fields, place: Place) -> Uses:
    action = reader.text(fields["uses"][1])
    exempt = reader.get(fields, "exempt", reader.text, None)
    expires_after_s = reader.get(fields, "expires_after", reader.duration, None)
    params, evidence = reader.params(fields, place, action), reader.preserves(action)
    return Uses(action, params, exempt, expires_after_s, evidence)


def _approve(reader: StepReader, fields: Fields, place: Place) -> Approve:
    node = fields["approve"][1]
    inner = reader.fields(node, "`approve`", words.APPROVE_KEYS)
    reader.note(place, inner, "approve.")
    then = reader.need(fields, "then", reader.sequence, (), place)
    if not then and "then" in fields:
        reader.problem(fields["then"][1].place, "bad-value", "`then` is empty; write what is approved")
    return Approve(
        message=reader.need(inner, "message", reader.message, "", node.place),
        approvers=reader.need(inner, "from", reader.groups, (), node.place),
        within_s=reader.get(inner, "within", reader.duration, words.APPROVE_WITHIN_S),
        escalate=reader.get(inner, "escalate", reader.groups, ()),
        minimum=reader.get(inner, "minimum", reader.integer(1, 5), 1),
        then=then,
        otherwise=reader.get(fields, "otherwise", reader.sequence, ()),
    )


def _parallel(reader: StepReader, fields: Fields, place: Place) -> Parallel:
    del place
    node = fields["parallel"][1]
    branches = tuple(_branch(reader, item) for item in reader.items(node, "`parallel`"))
    if isinstance(node, Sequence) and not (node.items and all(map(_has_content, node.items))):
        reader.problem(
            node.place, "bad-value", "a `parallel` without branches, or an empty branch; write steps"
        )
    return Parallel(tuple(branch for branch in branches if branch))


def _has_content(node: Node) -> bool:
    return not isinstance(node, Sequence) or bool(node.items)


def _branch(reader: StepReader, node: Node) -> tuple[Step, ...]:
    """Read a branch: a list of steps, ``{steps: [...]}``, or one step."""
    if isinstance(node, MappingNode) and "steps" not in node.entries:
        step = reader.step(node)
        return () if step is None else (step,)
    if isinstance(node, MappingNode):
        fields = reader.fields(node, "a branch", ("steps",))
        return reader.get(fields, "steps", reader.sequence, ())
    return reader.sequence(node)


def _choose(reader: StepReader, fields: Fields, place: Place) -> Choose:
    del place
    branches = []
    for node in reader.items(fields["choose"][1], "`choose`"):
        inner = reader.fields(node, "a branch of `choose`", ("when", "steps"))
        when = reader.need(inner, "when", reader.guard, NEVER, node.place)
        branches.append(Branch(when, reader.need(inner, "steps", reader.sequence, (), node.place)))
    if not branches:
        reader.problem(
            fields["choose"][1].place, "bad-value", "a `choose` without branches; write at least one"
        )
    return Choose(tuple(branches), reader.get(fields, "otherwise", reader.sequence, ()))


def _wait(reader: StepReader, fields: Fields, place: Place) -> Wait | WaitUntil:
    node = fields["wait"][1]
    if isinstance(node, Scalar):
        return Wait(reader.duration(node))
    inner = reader.fields(node, "`wait`", words.WAIT_KEYS)
    reader.note(place, inner)
    action = reader.need(inner, "uses", reader.text, "", node.place)
    return WaitUntil(
        action=action,
        params=reader.params(inner, place, action),
        until=reader.need(inner, "until", reader.guard, NEVER, node.place),
        every_s=reader.get(inner, "every", reader.duration, words.POLL_EVERY_S),
        timeout_s=reader.get(inner, "timeout", reader.duration, words.POLL_TIMEOUT_S),
    )


def _run(reader: StepReader, fields: Fields, place: Place) -> Run:
    return Run(reader.text(fields["run"][1]), reader.values(fields, place, {}))


def _manual(reader: StepReader, fields: Fields, place: Place) -> Manual:
    del place
    node = fields["manual"][1]
    inner = reader.fields(node, "`manual`", words.MANUAL_KEYS)
    return Manual(
        instruction=reader.need(inner, "instruction", reader.message, "", node.place),
        by=reader.need(inner, "by", reader.groups, (), node.place),
        within_s=reader.get(inner, "within", reader.duration, words.MANUAL_WITHIN_S),
    )


READERS: Mapping[str, Callable[[StepReader, Fields, Place], StepKind]] = MappingProxyType({
    "uses": _uses, "approve": _approve, "parallel": _parallel, "choose": _choose, "wait": _wait,
    "run": _run, "manual": _manual,
})  # fmt: skip
