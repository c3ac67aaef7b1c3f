"""Tests of splitting text at ``${{ }}``."""

from __future__ import annotations

import pytest

from irrunner.playbook.model import Expr, Text
from irrunner.playbook.nodes import Mapping, Scalar, compose
from irrunner.playbook.problems import Problem
from irrunner.playbook.templates import MAX_EXPRESSION, template


def split(yaml_text: str) -> tuple[str | Expr | Text, list[Problem]]:
    """Return the template of ``a: <text>``."""
    root, _ = compose(f"a: {yaml_text}\n", "f.yaml")
    assert isinstance(root, Mapping)
    node = root.entries["a"][1]
    assert isinstance(node, Scalar)
    problems: list[Problem] = []
    return template(node, problems), problems


def test_lone_expression_keeps_its_type() -> None:
    """A string that is only one expression is that expression."""
    value, _ = split("${{ inputs.x }}")

    assert isinstance(value, Expr)
    assert (value.source, value.place.line, value.place.column) == ("inputs.x", 1, 8)


def test_parts_are_kept_apart() -> None:
    """Text around expressions stays text."""
    value, _ = split('"a ${{ x }} b ${{y}}"')

    assert isinstance(value, Text)
    assert [part if isinstance(part, str) else part.source for part in value.parts] == ["a ", "x", " b ", "y"]
    assert [part.place.column for part in value.parts if isinstance(part, Expr)] == [11, 21]


@pytest.mark.parametrize(
    "source", ["{1: {2: 3}}[1][2]", "'}}'", '"\\"}}"', "r'\\'", "'''a'}}'''", "{'a': '}}'}"]
)
def test_closing_braces_inside_an_expression(source: str) -> None:
    """Braces of maps and of strings do not end an expression."""
    value, problems = split(f"|-\n  x${{{{ {source} }}}}")

    assert isinstance(value, Text)
    assert [source] == [part.source for part in value.parts if isinstance(part, Expr)]
    assert problems == []


@pytest.mark.parametrize(
    "text", ["${{ x", "${{ }}", "${{ 'x }}", "${{ " + "x" * (MAX_EXPRESSION + 1) + " }}"]
)
def test_broken_expressions(text: str) -> None:
    """Unclosed, empty and huge expressions are problems."""
    _, problems = split(text)

    assert [problem.rule for problem in problems] == ["expression-syntax"]


def test_place_in_a_block() -> None:
    """An expression in a block scalar knows its own line."""
    value, _ = split("|\n  first\n  second ${{ x }}\n")

    assert isinstance(value, Text)
    assert [(p.place.line, p.place.column) for p in value.parts if isinstance(p, Expr)] == [(3, 14)]
