"""The root mapping of a playbook file to a :class:`~irrunner.playbook.model.Playbook` draft."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from irrunner.actions.registry import Registry
from irrunner.findings.pattern_checks import pattern_problems
from irrunner.playbook import words
from irrunner.playbook.model import (
    EventTrigger,
    Expr,
    FindingTrigger,
    Input,
    Place,
    Playbook,
    PlaybookTest,
    Text,
)
from irrunner.playbook.nodes import Mapping as MappingNode
from irrunner.playbook.nodes import Node, Sequence
from irrunner.playbook.problems import Problem, did_you_mean
from irrunner.playbook.reader import Fields
from irrunner.playbook.steps import NEVER, StepReader
from irrunner.playbook.types import INPUT_TYPES, admit, normal_type

MAX_PRIORITY = 1000


@dataclass(frozen=True, slots=True)
class Draft:
    """A playbook as read, not checked yet."""

    playbook: Playbook
    places: Mapping[tuple[Place, str], Place]
    broken: frozenset[str]
    """Ids of steps that could not be read."""

    def place(self, owner: Place, part: str) -> Place:
        """Return the place of a part of what stands at ``owner``, or the owner's."""
        return self.places.get((owner, part), owner)


def read_document(root: Node, text: str, registry: Registry, problems: list[Problem]) -> Draft:
    """Read the root of a playbook file.

    Args:
        root: The composed document.
        text: The file as read.
        registry: The actions, for the shapes of parameters.
        problems: Gets every problem of form.
    """
    reader = StepReader(problems, registry)
    playbook = _playbook(reader, root, text)
    return Draft(playbook, reader.places, frozenset(reader.broken))


def _playbook(reader: StepReader, root: Node, text: str) -> Playbook:
    fields = reader.fields(root, "a playbook", words.PLAYBOOK_KEYS)
    place = root.place
    if isinstance(root, MappingNode):
        reader.need(fields, "schema", reader.one_of([words.SCHEMA]), "", place)
    reader.note(place, fields)
    steps = reader.need(fields, "steps", reader.sequence, (), place) if fields else ()
    if "steps" in fields and _is_empty_list(fields["steps"][1]):
        reader.problem(fields["steps"][1].place, "bad-value", "a playbook without steps; write at least one")
    return Playbook(
        **_head(reader, fields, place),
        **_policy(reader, fields),
        triggers=_triggers(reader, fields),
        inputs=_inputs(reader, fields),
        outputs=_outputs(reader, fields),
        steps=steps,
        on_failure=reader.get(fields, "on_failure", reader.sequence, ()),
        finally_=reader.get(fields, "finally", reader.sequence, ()),
        tests=_tests(reader, fields),
        place=place,
        text=text,
        sha256=hashlib.sha256(text.encode()).hexdigest(),
    )


def _is_empty_list(node: Node) -> bool:
    return isinstance(node, Sequence) and not node.items


def _head(reader: StepReader, fields: Fields, place: Place) -> dict[str, Any]:
    def matched(pattern: re.Pattern[str], what: str) -> Callable[[Node], str]:
        return lambda node: _matched(reader, node, pattern, what)

    def all_matched(pattern: re.Pattern[str], what: str) -> Callable[[Node], tuple[str, ...]]:
        read = matched(pattern, what)
        return lambda node: tuple(read(item) for item in reader.items(node, "it"))

    return {
        "id": reader.need(
            fields, "id", matched(words.PLAYBOOK_ID, "an id like ec2-instance-compromise"), "", place
        ),
        "version": reader.need(fields, "version", matched(words.VERSION, "a version like 1.0.0"), "", place),
        "title": reader.need(fields, "title", reader.text, "", place),
        "owner": reader.get(fields, "owner", reader.text, ""),
        "description": reader.get(fields, "description", reader.text, ""),
        "references": reader.get(fields, "references", all_matched(words.REFERENCE, "a URL"), ()),
        "techniques": reader.get(
            fields, "techniques", all_matched(words.TECHNIQUE, "an ATT&CK technique like T1078.004"), ()
        ),
    }


def _matched(reader: StepReader, node: Node, pattern: re.Pattern[str], what: str) -> str:
    text = reader.text(node)
    if text and not pattern.fullmatch(text):
        reader.problem(node.place, "bad-value", f"{text[:70]!r} is not {what}")
    return text


def _policy(reader: StepReader, fields: Fields) -> dict[str, Any]:
    order = reader.get(fields, "order", reader.one_of(words.ORDERS), words.ORDERS[0])
    return {
        "limits": _named(reader, fields, "limits", words.LIMITS, reader.integer(1, 100_000)),
        "objectives": _named(reader, fields, "objectives", words.OBJECTIVES, reader.duration),
        "order": cast("Literal['evidence-first', 'contain-first']", order),
        "priority": reader.get(fields, "priority", reader.integer(-MAX_PRIORITY, MAX_PRIORITY), 0),
        "deadline_s": reader.get(fields, "deadline", reader.duration, words.DEADLINE_S),
        "reopen_after_s": reader.get(fields, "reopen_after", reader.duration, words.REOPEN_AFTER_S),
    }


def _named(
    reader: StepReader, fields: Fields, name: str, known: tuple[str, ...], read: Callable[[Node], Any]
) -> dict[str, Any]:
    if name not in fields:
        return {}
    inner = reader.fields(fields[name][1], f"`{name}`", known)
    return {key: read(node) for key, (_, node) in inner.items()}


def _triggers(reader: StepReader, fields: Fields) -> tuple[FindingTrigger | EventTrigger, ...]:
    if "triggers" not in fields:
        return ()
    read = [_trigger(reader, node) for node in reader.items(fields["triggers"][1], "`triggers`")]
    return tuple(trigger for trigger in read if trigger is not None)


def _trigger(reader: StepReader, node: Node) -> FindingTrigger | EventTrigger | None:
    fields = reader.fields(node, "a trigger", ("finding", "event", "when"))
    when = reader.get(fields, "when", reader.guard, None)
    if ("finding" in fields) == ("event" in fields):
        reader.problem(node.place, "bad-value", "a trigger is either `finding` or `event`; write one of them")
        return None
    if "event" in fields:
        return EventTrigger(_pattern(reader, fields["event"][1]), when, node.place)
    inner = reader.fields(fields["finding"][1], "`finding`", ("source", "types"))
    reader.note(node.place, inner)
    source = reader.need(inner, "source", reader.one_of(words.SOURCES), "", node.place)
    types = reader.need(inner, "types", reader.groups, (), node.place)
    return FindingTrigger(source, types, when, node.place)


def _pattern(reader: StepReader, node: Node) -> Mapping[str, object]:
    if not isinstance(node, MappingNode) or not node.entries:
        reader.problem(node.place, "wrong-type", "an event pattern is a mapping with at least one field")
        return {}
    pattern = reader.plain(node)
    places = dict(_pattern_places(node, ""))
    for path, message in pattern_problems(pattern):
        where = f"{path}: " if path else ""
        reader.problem(places.get(path, node.place), "event-pattern", f"{where}{message}")
    return cast("Mapping[str, object]", pattern)


def _pattern_places(node: Node, path: str) -> Iterator[tuple[str, Place]]:
    """Yield where each part of a pattern stands, by the paths of :func:`pattern_problems`."""
    yield path, node.place
    if isinstance(node, MappingNode):
        for name, (_, value) in node.entries.items():
            yield from _pattern_places(value, f"{path}.{name}" if path else name)
    elif isinstance(node, Sequence):
        for index, item in enumerate(node.items):
            yield from _pattern_places(item, f"{path}[{index}]")


def _inputs(reader: StepReader, fields: Fields) -> dict[str, Input]:
    if "inputs" not in fields:
        return {}
    node = fields["inputs"][1]
    if not isinstance(node, MappingNode):
        reader.fields(node, "`inputs`", ())
        return {}
    inputs = {}
    for key, value in node.entries.values():
        name = reader.identifier(key, words.CEL_WORDS)
        if name:
            inputs[name] = _input(reader, name, key.place, value)
        else:
            reader.broken.add(f"inputs.{key.text}")
    return inputs


def _input(reader: StepReader, name: str, place: Place, node: Node) -> Input:
    fields = reader.fields(node, f"input {name!r}", words.INPUT_KEYS)
    reader.note(place, fields)
    type_name = normal_type(reader.need(fields, "type", reader.text, "string", node.place))
    if type_name not in INPUT_TYPES:
        hint = did_you_mean(type_name, INPUT_TYPES) or f"; types are {', '.join(INPUT_TYPES)}"
        reader.problem(
            reader.places.get((place, "type"), place), "input-type", f"no type {type_name!r}{hint}"
        )
        type_name = "string"
    return Input(
        name=name,
        type=type_name,
        place=place,
        source=reader.get(fields, "from", reader.expression, None),
        default=_default(reader, type_name, fields),
        required="default" not in fields,
        description=reader.get(fields, "description", reader.text, ""),
    )


def _default(reader: StepReader, type_name: str, fields: Fields) -> Any:
    """Read a default: plain data of the input's type, or null, which makes the input optional."""
    if "default" not in fields:
        return None
    node = fields["default"][1]
    value = reader.value(node, INPUT_TYPES[type_name].shape)
    if value is None:
        return None
    if isinstance(value, Expr | Text):
        reader.problem(node.place, "input-default", "a default is a value, not an expression; use `from`")
        return None
    try:
        return admit(type_name, value)
    except ValueError as error:
        reader.problem(node.place, "input-default", f"{error}")
        return None


def _outputs(reader: StepReader, fields: Fields) -> dict[str, Expr]:
    if "outputs" not in fields:
        return {}
    node = fields["outputs"][1]
    if not isinstance(node, MappingNode):
        reader.fields(node, "`outputs`", ())
        return {}
    outputs = {}
    for key, value in node.entries.values():
        name = reader.identifier(key, words.CEL_LITERALS)
        expression = reader.expression(value)
        if name:
            outputs[name] = expression or NEVER
    return outputs


def _tests(reader: StepReader, fields: Fields) -> tuple[PlaybookTest, ...]:
    if "tests" not in fields:
        return ()
    return tuple(_test(reader, node) for node in reader.items(fields["tests"][1], "`tests`"))


def _test(reader: StepReader, node: Node) -> PlaybookTest:
    fields = reader.fields(node, "a test", words.TEST_KEYS)
    name = reader.need(fields, "name", reader.text, "", node.place)
    body = {key: reader.plain(value) for key, (_, value) in fields.items() if key != "name"}
    if "expect" not in fields:
        reader.problem(
            node.place, "missing-key", "a test without `expect` proves nothing; write what must result"
        )
    return PlaybookTest(name, body, node.place)
