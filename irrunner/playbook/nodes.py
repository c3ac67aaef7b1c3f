"""YAML text to a tree of nodes with positions, within bounds, without the traps of YAML 1.1.

Nodes are composed here from libyaml's events, iteratively: a file nested a million deep costs an error,
not a stack. Tags, merge keys, several documents and alias bombs are refused; duplicate keys are
problems. What a plain scalar means is :mod:`irrunner.playbook.scalars`' matter.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import yaml

from irrunner.playbook.model import Place
from irrunner.playbook.problems import Problem, did_you_mean

MAX_BYTES = 1 << 20
MAX_DEPTH = 50
MAX_NODES = 50_000
"""Nodes after aliases are followed: what a reader of the tree may have to visit."""


@dataclass(slots=True)
class Scalar:
    """A scalar: its text, and whether it was written without quotes (only then it may be no text)."""

    place: Place
    text: str
    plain: bool
    raw: str
    """As it stands in the file, quotes and all: to find the column of something inside."""
    size: int = 1
    height: int = 0


@dataclass(slots=True)
class Sequence:
    """A list."""

    place: Place
    items: list[Node] = field(default_factory=list)
    size: int = 1
    height: int = 1


@dataclass(slots=True)
class Mapping:
    """A mapping with text keys, in the order of the file."""

    place: Place
    entries: dict[str, tuple[Scalar, Node]] = field(default_factory=dict)
    size: int = 1
    height: int = 1

    def written_keys(self) -> Iterator[Scalar]:
        """Yield the keys with their places."""
        for key, _ in self.entries.values():
            yield key


Node: TypeAlias = "Scalar | Sequence | Mapping"

KIND_NAMES = {Scalar: "a value", Sequence: "a list", Mapping: "a mapping"}


_HIDDEN = re.compile("[\x85\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""Line breaks of YAML 1.1 that no editor shows, and controls that turn the direction of text: what a
reviewer reads must be what runs.

Source: YAML 1.2.2, section 5.4; Unicode TR 36, section 3.1 ("bidirectional text spoofing").
"""


class _Refused(Exception):
    """The file cannot be read on; carries the problem."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


def compose(text: str, file: str) -> tuple[Node | None, list[Problem]]:
    """Compose the single document of a playbook file.

    Args:
        text: The whole file.
        file: Its name, for places.

    Returns:
        The root node (None when the file cannot be read at all) and the problems found.
    """
    text = text.removeprefix("\ufeff")
    start = Place(file, 1, 1)
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        return None, [Problem(start, "yaml-encoding", f"not UTF-8 text at character {error.start + 1}")]
    if size > MAX_BYTES:
        return None, [too_large(size, file)]
    if hidden := _HIDDEN.search(text):
        return None, [_hidden_problem(text, hidden.start(), file)]
    composer = _Composer(text, file)
    try:
        root = composer.compose()
    except _Refused as refused:
        return None, [*composer.problems, refused.problem]
    except yaml.YAMLError as error:
        return None, [*composer.problems, _syntax_problem(error, text, file)]
    if root is None:
        composer.problems.append(Problem(start, "yaml-empty", "the file is empty; write a playbook into it"))
    return root, composer.problems


def too_large(size: int, file: str) -> Problem:
    """Return the problem of a file of this many bytes."""
    message = f"{size:,} bytes; a playbook has at most {MAX_BYTES:,}: split it and use `run`"
    return Problem(Place(file, 1, 1), "yaml-size", message)


def _hidden_problem(text: str, position: int, file: str) -> Problem:
    line = re.split(r"\r\n|\r|\n", text[:position])
    message = (
        f"the character U+{ord(text[position]):04X} hides what is written; remove it, or write it as \\u"
    )
    return Problem(Place(file, len(line), len(line[-1]) + 1), "yaml-encoding", message)


def _syntax_problem(error: yaml.YAMLError, text: str, file: str) -> Problem:
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        place = Place(file, mark.line + 1, mark.column + 1) if mark else Place(file, 1, 1)
        return Problem(place, "yaml-syntax", _explain(error, text, place))
    if isinstance(error, yaml.reader.ReaderError):
        position = error.position if isinstance(error.position, int) else 0
        before = text[:position]
        place = Place(file, before.count("\n") + 1, position - (before.rfind("\n") + 1) + 1)
        return Problem(place, "yaml-encoding", f"{error.reason}; remove the character")
    return Problem(Place(file, 1, 1), "yaml-syntax", str(error).replace("\n", " "))


def _explain(error: yaml.MarkedYAMLError, text: str, place: Place) -> str:
    lines = text.split("\n")
    line = lines[place.line - 1] if place.line <= len(lines) else ""
    if "\t" in line[: len(line) - len(line.lstrip())] or line[place.column - 1 : place.column] == "\t":
        return "a tab in the indentation; YAML wants spaces"
    parts = (error.context, error.problem)
    return ", ".join(part for part in parts if part) + "; check indentation, quotes and colons here"


@dataclass(slots=True)
class _Open:
    """A collection that is being read, with the key that waits for its value."""

    node: Sequence | Mapping
    anchor: str | None
    key: Scalar | None = None


class _Composer:
    """One pass over the events of one file."""

    def __init__(self, text: str, file: str) -> None:
        self._text = text
        self._file = file
        self._open: list[_Open] = []
        self._anchors: dict[str, Node | None] = {}
        self._root: Node | None = None
        self.problems: list[Problem] = []

    def compose(self) -> Node | None:
        documents = 0
        for event in yaml.parse(self._text, Loader=yaml.CSafeLoader):
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise _Refused(
                        Problem(
                            self._place(event),
                            "yaml-documents",
                            "a second document begins here; a file holds one playbook",
                        )
                    )
            elif isinstance(event, yaml.NodeEvent):
                self._node(event)
            elif isinstance(event, yaml.CollectionEndEvent):
                self._close()
        return self._root

    def _place(self, event: Any) -> Place:
        return Place(self._file, event.start_mark.line + 1, event.start_mark.column + 1)

    def _node(self, event: Any) -> None:
        place = self._place(event)
        if isinstance(event, yaml.AliasEvent):
            self._attach(self._aliased(event.anchor, place))
            return
        if event.tag is not None and not (isinstance(event, yaml.ScalarEvent) and event.tag == "!"):
            self.problems.append(
                Problem(place, "yaml-tag", f"the tag {event.tag!r} is not allowed; write the value alone")
            )
        if isinstance(event, yaml.ScalarEvent):
            self._scalar(event, place)
        else:
            self._collection(event, place)

    def _scalar(self, event: Any, place: Place) -> None:
        raw = self._text[event.start_mark.index : event.end_mark.index]
        node = Scalar(place, event.value, bool(event.implicit[0]), raw)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        self._attach(node)

    def _collection(self, event: Any, place: Place) -> None:
        self._bound_depth(1, place)
        node: Sequence | Mapping
        node = Sequence(place) if isinstance(event, yaml.SequenceStartEvent) else Mapping(place)
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        self._open.append(_Open(node, event.anchor))

    def _close(self) -> None:
        closed = self._open.pop()
        if closed.anchor is not None:
            self._anchors[closed.anchor] = closed.node
        self._attach(closed.node)

    def _aliased(self, anchor: Any, place: Place) -> Node:
        if anchor not in self._anchors:
            hint = did_you_mean(anchor, self._anchors)
            raise _Refused(Problem(place, "yaml-alias", f"no anchor &{anchor} before this alias{hint}"))
        node = self._anchors[anchor]
        if node is None:
            raise _Refused(Problem(place, "yaml-alias", f"*{anchor} stands inside its own anchor"))
        self._bound_depth(node.height, place)
        return node

    def _bound_depth(self, height: int, place: Place) -> None:
        if len(self._open) + height > MAX_DEPTH:
            message = f"nested more than {MAX_DEPTH} deep; split the playbook and use `run`"
            raise _Refused(Problem(place, "yaml-depth", message))

    def _attach(self, node: Node) -> None:
        """Put a finished node where it belongs; sizes add up so that aliases cannot multiply."""
        if not self._open:
            self._root = node
            return
        parent = self._open[-1]
        parent.node.size += node.size
        parent.node.height = max(parent.node.height, node.height + 1)
        if parent.node.size > MAX_NODES:
            message = f"more than {MAX_NODES:,} values once aliases are followed; write less"
            raise _Refused(Problem(node.place, "yaml-alias", message))
        if isinstance(parent.node, Sequence):
            parent.node.items.append(node)
        elif parent.key is None:
            parent.key = self._key(node)
        else:
            self._entry(parent.node, parent.key, node)
            parent.key = None

    def _key(self, node: Node) -> Scalar:
        if isinstance(node, Scalar):
            return node
        self.problems.append(Problem(node.place, "wrong-type", "a key is text, not a list or a mapping"))
        return Scalar(node.place, f"\0{node.place}", plain=False, raw="")

    def _entry(self, mapping: Mapping, key: Scalar, value: Node) -> None:
        if key.text == "<<" and key.plain:
            message = "merge keys are not allowed; write the keys out"
            self.problems.append(Problem(key.place, "yaml-merge-key", message))
        elif key.text in mapping.entries:
            first = mapping.entries[key.text][0].place
            message = f"{key.text!r} is already written at line {first.line}; remove one"
            self.problems.append(Problem(key.place, "yaml-duplicate-key", message))
        elif not key.text.startswith("\0"):
            mapping.entries[key.text] = (key, value)
