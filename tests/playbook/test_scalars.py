"""Tests of the YAML 1.2 core schema and of durations."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irrunner.playbook.model import Place
from irrunner.playbook.nodes import Scalar
from irrunner.playbook.scalars import duration_text, resolve, seconds

HERE = Place("f.yaml", 1, 1)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("012345670123", "012345670123"),
        ("123456789012", "123456789012"),
        ("007", "007"),
        ("no", "no"),
        ("on", "on"),
        ("yes", "yes"),
        ("NO", "NO"),
        ("12:30:45", "12:30:45"),
        ("2026-11-22", "2026-11-22"),
        ("1.10.0", "1.10.0"),
        ("0x1f", "0x1f"),
        (".inf", ".inf"),
        ("1_000", "1_000"),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("0", 0),
        ("-5", -5),
        ("443", 443),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("-", "-"),
        ("e", "e"),
    ],
)
def test_plain_scalar(text: str, value: object) -> None:
    """A plain scalar is what YAML 1.2 says; account ids, dates and words stay text."""
    found = resolve(Scalar(HERE, text, plain=True, raw=text))

    assert (type(value), value) == (type(found), found)


def test_quoted_scalar_is_text() -> None:
    """Quotes make text of anything."""
    assert resolve(Scalar(HERE, "true", plain=False, raw="'true'")) == "true"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("500ms", 0.5),
        ("30s", 30.0),
        ("2m", 120.0),
        ("24h", 86400.0),
        ("3d", 259200.0),
        ("1.5h", 5400.0),
        ("5", None),
        ("5x", None),
        ("", None),
        ("-5s", None),
        ("1h30m", None),
        ("9" * 50 + "s", None),
    ],
)
def test_duration(text: str, value: float | None) -> None:
    """Durations have one number and one unit."""
    assert value == seconds(text)


@settings(max_examples=80, deadline=None)
@given(st.integers(min_value=1, max_value=10_000_000))
def test_duration_text_is_read_back(milliseconds: int) -> None:
    """What is written for a duration means that duration."""
    read = seconds(duration_text(milliseconds / 1000))

    assert read == pytest.approx(milliseconds / 1000)


def test_what_no_double_can_hold_stays_text() -> None:
    """A number without end is no value: it stays the text that was written."""
    assert resolve(Scalar(HERE, "1e999", plain=True, raw="1e999")) == "1e999"
