"""Tests of the JSON Schema."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from irrunner.actions.registry import Registry, load_registry
from irrunner.playbook import words
from irrunner.playbook.loader import examine
from irrunner.playbook.schema import DIALECT, playbook_schema
from irrunner.playbook.steps import READERS
from tests.playbook.playbook_texts import playbook_text

EXAMPLE = Path(__file__).parent / "architecture_example.yaml"


def test_every_key_is_in_the_schema(registry: Registry) -> None:
    """The schema has every key of a playbook and of a step, every action, and is JSON."""
    schema = json.loads(json.dumps(playbook_schema(registry)))

    assert schema["$schema"] == DIALECT
    assert set(words.PLAYBOOK_KEYS) == set(schema["properties"])
    assert set(words.STEP_KEYS) == set(schema["$defs"]["step"]["properties"])
    assert {action.id for action in registry} <= set(schema["$defs"])


def test_every_kind_has_a_reader() -> None:
    """The loader reads each step kind that the words list."""
    assert set(words.KIND_KEYS) == set(READERS)


def test_example_validates() -> None:
    """The schema is sound by the dialect's own schema, and admits the example of the design."""
    jsonschema = pytest.importorskip("jsonschema")
    schema = playbook_schema(load_registry())

    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(yaml.safe_load(EXAMPLE.read_text()))


@pytest.mark.parametrize(
    "body",
    [
        "- {id: a, wait: 5s, run: x}",
        "- {id: a, uses: test.raed}",
        "- {id: a, uses: test.read, with: {nope: 1}}",
        "- {id: A, wait: 5s}",
        "colour: red\nsteps: [{id: a, wait: 5s}]",
    ],
)
def test_mistakes_are_seen(registry: Registry, body: str) -> None:
    """An editor sees wrong kinds, actions, parameters, ids and keys."""
    jsonschema = pytest.importorskip("jsonschema")
    validator = jsonschema.Draft202012Validator(playbook_schema(registry))

    assert not validator.is_valid(yaml.safe_load(playbook_text(body)))


@pytest.mark.parametrize(
    "body",
    [
        "inputs: {a: {type: 'map<string, string>'}}\nsteps: [{id: a, wait: 5s}]",
        "deadline: ' 30s '\nsteps: [{id: a, wait: 5s}]",
    ],
)
def test_what_the_loader_admits_is_never_refused(registry: Registry, body: str) -> None:
    """Blanks that do not count for the loader do not count for an editor."""
    jsonschema = pytest.importorskip("jsonschema")
    validator = jsonschema.Draft202012Validator(playbook_schema(registry))

    assert examine(playbook_text(body), "f.yaml", registry)[1] == []
    assert validator.is_valid(yaml.safe_load(playbook_text(body)))
