"""Read nodes as what a field wants, and collect a problem for each that is not.

A reader never stops at the first problem: what cannot be read becomes None or a default, so that one
pass shows everything that is wrong with a file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias, TypeVar

from irrunner.playbook.model import Expr, Place, Text, Value
from irrunner.playbook.nodes import KIND_NAMES, Mapping, Node, Scalar, Sequence
from irrunner.playbook.problems import Problem, did_you_mean
from irrunner.playbook.scalars import is_null, resolve, seconds
from irrunner.playbook.shapes import ANY, Shape
from irrunner.playbook.templates import OPEN, template

T = TypeVar("T")
D = TypeVar("D")
Fields: TypeAlias = dict[str, tuple[Scalar, Node]]
MAX_SECONDS = 30 * 86400.0
DURATION_HINT = "write it as 500ms, 30s, 2m, 24h or 3d"


class Reader:
    """Nodes to values; problems on the side."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        self.places: dict[tuple[Place, str], Place] = {}
        """Place of a named part (``with.instance_id``) of the thing that stands at a place."""

    def problem(self, place: Place, rule: str, message: str) -> None:
        """Add a problem."""
        self.problems.append(Problem(place, rule, message))

    def fields(self, node: Node, what: str, known: Iterable[str]) -> Fields:
        """Return the entries of a mapping; unknown keys are problems and are left out."""
        if not isinstance(node, Mapping):
            self._wrong(node, f"{what} is a mapping")
            return {}
        names = tuple(known)
        for key in node.written_keys():
            if key.text not in names:
                hint = did_you_mean(key.text, names)
                self.problem(
                    key.place, "unknown-key", f"{what} has no key {key.text!r}{hint or self._all(names)}"
                )
        return {name: entry for name, entry in node.entries.items() if name in names}

    @staticmethod
    def _all(names: tuple[str, ...]) -> str:
        return f"; it has {', '.join(names)}"

    def note(self, owner: Place, fields: Fields, prefix: str = "") -> None:
        """Remember the places of an owner's fields for checks that come later."""
        for name, (_, node) in fields.items():
            self.places[owner, prefix + name] = node.place

    def get(self, fields: Fields, name: str, read: Callable[[Node], T], default: D) -> T | D:
        """Read one optional field; nothing written is the default."""
        entry = fields.get(name)
        return default if entry is None else read(entry[1])

    def need(self, fields: Fields, name: str, read: Callable[[Node], T], default: D, place: Place) -> T | D:
        """Read one required field."""
        if name not in fields:
            self.problem(place, "missing-key", f"the key {name!r} is missing; write it")
        return self.get(fields, name, read, default)

    def text(self, node: Node) -> str:
        """Return the raw text of a scalar: ``012345670123`` and ``1.10`` stay as they are written."""
        if isinstance(node, Scalar) and not is_null(node):
            return node.text
        self._wrong(node, "text is wanted")
        return ""

    def template(self, node: Node) -> str | Expr | Text:
        """Return text with its expressions."""
        return template(node, self.problems) if self.text(node) and isinstance(node, Scalar) else ""

    def message(self, node: Node) -> Text | str:
        """Return text with its expressions, an expression alone being text too."""
        value = self.template(node)
        return Text((value,), value.place) if isinstance(value, Expr) else value

    def expression(self, node: Node) -> Expr | None:
        """Return the one expression that the field is."""
        value = self.template(node)
        if isinstance(value, Expr):
            return value
        if value != "":
            self.problem(node.place, "expression-wanted", f"write one expression: `{OPEN} ... }}}}`")
        return None

    def integer(self, low: int, high: int) -> Callable[[Node], int]:
        """Return a reader of integers within bounds."""

        def read(node: Node) -> int:
            value = resolve(node) if isinstance(node, Scalar) else None
            if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
                return value
            self.problem(node.place, "wrong-type", f"an integer from {low} to {high:,} is wanted")
            return low

        return read

    def duration(self, node: Node) -> float:
        """Return a duration in seconds: positive, at most 30 days."""
        value = seconds(node.text) if isinstance(node, Scalar) else None
        if value is None:
            self.problem(node.place, "bad-duration", f"no duration; {DURATION_HINT}")
        elif not 0 < value <= MAX_SECONDS:
            self.problem(node.place, "bad-duration", "a duration is more than zero and at most 30d")
        else:
            return value
        return 1.0

    def one_of(self, words: Iterable[str]) -> Callable[[Node], str]:
        """Return a reader of one word out of several; the first stands for a wrong one."""
        known = tuple(words)

        def read(node: Node) -> str:
            word = self.text(node)
            if word in known:
                return word
            if word:
                hint = did_you_mean(word, known) or f"; write one of {', '.join(known)}"
                self.problem(node.place, "bad-value", f"{word!r} is not known here{hint}")
            return known[0]

        return read

    def texts(self, node: Node) -> tuple[str, ...]:
        """Return a list of texts; one text alone is a list of one."""
        if isinstance(node, Sequence):
            return tuple(self.text(item) for item in node.items)
        word = self.text(node)
        return (word,) if word else ()

    def items(self, node: Node, what: str) -> list[Node]:
        """Return the nodes of a list."""
        if isinstance(node, Sequence):
            return node.items
        self._wrong(node, f"{what} is a list")
        return []

    def value(self, node: Node, shape: Shape = ANY) -> Value:
        """Return plain data with expressions in it; where the shape wants text, scalars stay text."""
        if isinstance(node, Sequence):
            return tuple(self.value(item, shape.element or ANY) for item in node.items)
        if isinstance(node, Mapping):
            element = shape.element or ANY
            return {name: self.value(item, element) for name, (_, item) in node.entries.items()}
        if OPEN in node.text:
            return template(node, self.problems)
        if shape.kind == "string" and not is_null(node):
            return node.text
        return resolve(node)

    def plain(self, node: Node) -> Any:
        """Return plain data, nothing in it being an expression."""
        if isinstance(node, Sequence):
            return [self.plain(item) for item in node.items]
        if isinstance(node, Mapping):
            return {name: self.plain(item) for name, (_, item) in node.entries.items()}
        return resolve(node)

    def _wrong(self, node: Node, wanted: str) -> None:
        found = "nothing" if isinstance(node, Scalar) and is_null(node) else KIND_NAMES[type(node)]
        self.problem(node.place, "wrong-type", f"{wanted}; here is {found}")
