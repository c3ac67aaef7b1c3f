"""JSON Schema (draft 2020-12) of playbook files, for editors: completion and first checks while typing.

The loader is the judge; the schema is looser (an expression may stand wherever a value may) and never
refuses what the loader admits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from irrunner.actions.contract import AnyAction
from irrunner.actions.registry import Registry
from irrunner.playbook import words
from irrunner.playbook.shapes import Shape, fields_of
from irrunner.playbook.types import INPUT_TYPES
from irrunner.vocabulary import Phase

Json: TypeAlias = dict[str, Any]
DIALECT = "https://json-schema.org/draft/2020-12/schema"
EXPRESSION: Json = {"type": "string", "pattern": r"\$\{\{"}
TEXT: Json = {"type": ["string", "number", "boolean"]}
DURATION: Json = {"type": "string", "pattern": r"^\s*[0-9]+(\.[0-9]+)?(ms|s|m|h|d)\s*$"}
STEPS: Json = {"type": "array", "items": {"$ref": "#/$defs/step"}}
TEXTS: Json = {"anyOf": [{"type": "array", "items": TEXT}, TEXT]}
_JSON_TYPES: Mapping[str, str] = {"string": "string", "int": "integer", "double": "number", "bool": "boolean"}


def playbook_schema(registry: Registry) -> Json:
    """Return the schema of playbooks that use the actions of a registry."""
    return {
        "$schema": DIALECT,
        "title": "irrunner playbook",
        **_mapping(_playbook_properties(), required=("schema", "id", "version", "title", "steps")),
        "$defs": {"step": _step(registry), **{action.id: _parameters(action) for action in registry}},
    }


def _mapping(properties: Json, required: Iterable[str] = ()) -> Json:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def _anchored(pattern: str) -> Json:
    return {"type": "string", "pattern": f"^({pattern})$"}


def _words(known: Iterable[str]) -> Json:
    return {"type": "string", "enum": list(known)}


def _list(items: Json) -> Json:
    return {"type": "array", "items": items}


def _playbook_properties() -> Json:
    names = {"propertyNames": {"pattern": f"^{words.STEP_ID.pattern}$"}}
    return {
        "schema": {"const": words.SCHEMA},
        "id": _anchored(words.PLAYBOOK_ID.pattern),
        "version": _anchored(words.VERSION.pattern),
        "title": TEXT,
        "owner": TEXT,
        "description": TEXT,
        "references": _list(_anchored(words.REFERENCE.pattern)),
        "techniques": _list(_anchored(words.TECHNIQUE.pattern)),
        "triggers": _list({"anyOf": [_finding_trigger(), _event_trigger()]}),
        "inputs": {"type": "object", "additionalProperties": _input(), **names},
        "outputs": {"type": "object", "additionalProperties": EXPRESSION},
        "limits": _mapping({name: {"type": "integer", "minimum": 1} for name in words.LIMITS}),
        "objectives": _mapping(dict.fromkeys(words.OBJECTIVES, DURATION)),
        "order": _words(words.ORDERS),
        "priority": {"type": "integer"},
        "deadline": DURATION,
        "reopen_after": DURATION,
        "steps": {**STEPS, "minItems": 1},
        "on_failure": STEPS,
        "finally": STEPS,
        "tests": _list(_mapping({name: {} for name in words.TEST_KEYS}, required=("name", "expect"))),
    }


def _finding_trigger() -> Json:
    finding = _mapping({"source": _words(words.SOURCES), "types": TEXTS}, required=("source", "types"))
    return _mapping({"finding": finding, "when": EXPRESSION}, required=("finding",))


def _event_trigger() -> Json:
    return _mapping(
        {"event": {"type": "object", "minProperties": 1}, "when": EXPRESSION}, required=("event",)
    )


def _input() -> Json:
    spaced = {"type": "string", "pattern": " "}  # `map<string, string>`: blanks do not count
    type_name = {"anyOf": [_words(INPUT_TYPES), spaced]}
    properties = {"type": type_name, "from": EXPRESSION, "default": {}, "description": TEXT}
    return _mapping(properties, required=("type",))


def _step(registry: Registry) -> Json:
    """Return the schema of a step: all keys, exactly one kind, and ``with`` by the action."""
    actions = [action.id for action in registry]
    return {
        **_mapping(_step_properties(actions), required=("id",)),
        "oneOf": [{"required": [kind]} for kind in words.KIND_KEYS],
        "allOf": [_with_of(action_id) for action_id in actions],
    }


def _with_of(action_id: str) -> Json:
    return {
        "if": {"properties": {"uses": {"const": action_id}}, "required": ["uses"]},
        "then": {"properties": {"with": {"$ref": f"#/$defs/{action_id}"}}},
    }


def _step_properties(actions: list[str]) -> Json:
    count = {"type": "integer", "minimum": 1}
    return {
        "id": _anchored(words.STEP_ID.pattern),
        "title": TEXT,
        "phase": _words(phase.value for phase in Phase),
        "when": EXPRESSION,
        "for_each": {"anyOf": [EXPRESSION, {"type": "array"}]},
        "as": _anchored(words.STEP_ID.pattern),
        "at_most": count,
        "on_failure": {"anyOf": [_words(("stop", "continue")), STEPS]},
        "timeout": DURATION,
        "retry": _mapping({"attempts": count, "backoff": DURATION}),
        "uses": _words(actions),
        "with": {"type": "object"},
        "exempt": TEXT,
        "expires_after": DURATION,
        "then": STEPS,
        "otherwise": STEPS,
        "approve": _approve(count),
        "parallel": _list(
            {"anyOf": [STEPS, _mapping({"steps": STEPS}, ("steps",)), {"$ref": "#/$defs/step"}]}
        ),
        "choose": _list(_mapping({"when": EXPRESSION, "steps": STEPS}, ("when", "steps"))),
        "wait": {"anyOf": [DURATION, _wait_until(actions)]},
        "run": _anchored(words.PLAYBOOK_ID.pattern),
        "manual": _mapping({"instruction": TEXT, "by": TEXTS, "within": DURATION}, ("instruction", "by")),
    }


def _approve(count: Json) -> Json:
    properties = {"message": TEXT, "from": TEXTS, "within": DURATION, "escalate": TEXTS, "minimum": count}
    return _mapping(properties, required=("message", "from"))


def _wait_until(actions: list[str]) -> Json:
    properties = {
        "until": EXPRESSION,
        "uses": _words(actions),
        "with": {"type": "object"},
        "every": DURATION,
        "timeout": DURATION,
    }
    return _mapping(properties, required=("until", "uses"))


def _parameters(action: AnyAction) -> Json:
    fields = action.Params.model_fields
    properties = {
        name: {**_value(shape), "description": fields[name].description or ""}
        for name, shape in fields_of(action.Params).items()
    }
    required = [name for name, field in fields.items() if field.is_required()]
    return {"title": action.title, **_mapping(properties, required)}


def _value(shape: Shape) -> Json:
    """Return the schema of a value or of an expression that gives it."""
    options: list[Json] = [EXPRESSION, *([{"type": "null"}] if shape.optional else [])]
    if shape.kind == "string":
        options.append(TEXT)
    elif shape.kind in _JSON_TYPES:
        options.append({"type": _JSON_TYPES[shape.kind]})
    elif shape.kind == "list":
        options.append(_list(_value(shape.element) if shape.element else {}))
    elif shape.kind == "map":
        options.append(
            {"type": "object", "additionalProperties": _value(shape.element) if shape.element else {}}
        )
    else:
        return {}
    return {"anyOf": options}
