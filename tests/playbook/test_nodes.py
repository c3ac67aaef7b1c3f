"""Tests of composing YAML within bounds."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irrunner.playbook.nodes import MAX_DEPTH, Mapping, Scalar, Sequence, compose

BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"b{i}: &b{i} [{', '.join([f'*b{i - 1}' if i else '*a'] * 9)}]\n" for i in range(9)
)
LADDER = "a: &a0 [x]\n" + "".join(f"b{i}: &a{i} [*a{i - 1}]\n" for i in range(1, MAX_DEPTH + 10))
REFUSED = [
    ("", "yaml-empty", (1, 1)),
    ("# nothing\n", "yaml-empty", (1, 1)),
    ("a: [1\n", "yaml-syntax", (2, 1)),
    ("a:\n\t- b\n", "yaml-syntax", (2, 1)),
    ("a: 'open\n", "yaml-syntax", (2, 1)),
    ("a: \x01", "yaml-encoding", (1, 4)),
    ("a: \ud800", "yaml-encoding", (1, 1)),
    ("--- a\n--- b\n", "yaml-documents", (2, 1)),
    ("a: &a [*a]\n", "yaml-alias", (1, 8)),
    ("a: *b\n", "yaml-alias", (1, 4)),
    (BOMB, "yaml-alias", None),
    (LADDER, "yaml-depth", None),
    ("[" * 1_000_000, "yaml-depth", (1, MAX_DEPTH + 1)),
    ("- " * 400_000, "yaml-depth", (1, 2 * MAX_DEPTH + 1)),
    ("x" * (5 << 20), "yaml-size", (1, 1)),
]


@pytest.mark.parametrize(("text", "rule", "place"), REFUSED, ids=range(len(REFUSED)))
def test_what_cannot_be_read_is_one_problem(text: str, rule: str, place: tuple[int, int] | None) -> None:
    """A file that cannot be read gives no tree and one problem at its place."""
    root, problems = compose(text, "f.yaml")

    assert root is None
    assert [rule] == [problem.rule for problem in problems]
    if place is not None:
        assert place == (problems[0].place.line, problems[0].place.column)


def test_tab_is_named() -> None:
    """A tab in the indentation is called a tab."""
    _, problems = compose("a:\n\t- b\n", "f.yaml")

    assert "a tab" in problems[0].message


@pytest.mark.parametrize(
    ("text", "rule", "line"),
    [
        ("a: 1\nb: 2\na: 3\n", "yaml-duplicate-key", 3),
        ("a: &x {b: 1}\nc:\n  <<: *x\n", "yaml-merge-key", 3),
        ("a: !!int 3\n", "yaml-tag", 1),
        ("a: !ruby/object:Gem {}\n", "yaml-tag", 1),
        ("? [a]\n: b\n", "wrong-type", 1),
    ],
)
def test_traps_are_problems_and_reading_goes_on(text: str, rule: str, line: int) -> None:
    """Duplicate keys, merge keys, tags and keys that are no text are problems; the tree is still read."""
    root, problems = compose(text, "f.yaml")

    assert isinstance(root, Mapping)
    assert [(rule, line)] == [(problem.rule, problem.place.line) for problem in problems]


def test_places_are_one_based() -> None:
    """A node knows the line and column where it begins."""
    root, _ = compose("\ufeffa:\n  - é: x\n", "f.yaml")

    assert isinstance(root, Mapping)
    sequence = root.entries["a"][1]
    assert isinstance(sequence, Sequence)
    inner = sequence.items[0]
    assert isinstance(inner, Mapping)
    assert (inner.entries["é"][1].place.line, inner.entries["é"][1].place.column) == (2, 8)


def test_harmless_alias_is_followed() -> None:
    """An anchor may be used again."""
    root, problems = compose("a: &x [1]\nb: *x\n", "f.yaml")

    assert isinstance(root, Mapping)
    assert root.entries["a"][1] is root.entries["b"][1]
    assert problems == []


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet="ab:-?[]{}&*!|>'\"#%@`\n\t ,<\0é\ud800", max_size=60))
def test_no_text_crashes(text: str) -> None:
    """Arbitrary text gives a tree or problems, never an exception."""
    root, problems = compose(text, "f.yaml")

    assert root is None or isinstance(root, Scalar | Sequence | Mapping)
    assert root is not None or problems
