"""Hostile text on a terminal: it moves no cursor, colours nothing, and does not break the layout."""

from __future__ import annotations

import io
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from irrunner.cli.output import HOSTILE, LONGEST_TEXT, escape, hang, plain, print_error
from irrunner.errors import InvalidArgument, RunNotFound
from tests.cli.conftest import Desk

HOSTILE_TEXTS = {
    "ansi": "\x1b[2J\x1b[31mred\x1b]0;title\x07",
    "c1": "\x9b31mred",
    "markup": "[bold red]x[/] [/] [link=http://example.com]y[/link] [@click=x]",
    "bidi": "safe\u202eexe.gpj\u2066\u2069",
    "lines": "one\r\ntwo\nthree\x0bfour\u2028five\x85six",
    "zero width": "i-\u200b123\ufeff\u2060",
    "tags": "x\U000e0041\U000e007f",
    "surrogate": "x\ud800y",
    "long": "A" * 1_000_000,
    "wide": "漢" * 3_000,
}


def terminal(width: int = 80) -> tuple[Console, io.StringIO]:
    """Return a console that believes in its terminal, without colour, and what it prints."""
    stream = io.StringIO()
    return Console(file=stream, force_terminal=True, width=width, color_system=None, highlight=False), stream


@pytest.mark.parametrize("text", HOSTILE_TEXTS.values(), ids=HOSTILE_TEXTS.keys())
def test_hostile_text_stays_in_its_column(text: str) -> None:
    """Whatever a text holds, its lines fit the terminal and stand in their column."""
    screen, stream = terminal()

    hang(screen, "head ", escape(text), 20)

    lines = stream.getvalue().splitlines()
    assert HOSTILE.sub("", stream.getvalue().replace("\n", "")) == stream.getvalue().replace("\n", "")
    assert all(cell_len(line) <= 80 for line in lines)
    assert all(line.startswith(" " * 20) for line in lines[1:])
    assert len(lines) <= 1 + 2 * LONGEST_TEXT // 60


@given(st.text(max_size=200))
@settings(max_examples=150, deadline=None)
def test_any_text_is_one_harmless_line(text: str) -> None:
    """No text keeps a control, bidirectional or zero-width character, nor a line break."""
    shown = plain(text)

    assert HOSTILE.search(shown) is None
    assert len(shown.splitlines()) <= 1


@given(st.text(alphabet="[]/\\abz=@#.", max_size=40))
@settings(max_examples=150, deadline=None)
def test_markup_is_text(text: str) -> None:
    """Square brackets of hostile text are shown as they are; only a backslash before one may go."""
    screen, stream = terminal(200)

    hang(screen, "", f"[dim]{escape(text)}[/]", 0)

    assert stream.getvalue().strip().replace("\\", "") == text.strip().replace("\\", "")


def test_a_long_text_says_how_long() -> None:
    """What is cut off is counted."""
    assert plain("x" * 1_000_000).endswith("… (1,000,000 characters)")
    assert len(plain("x" * 1_000_000)) < LONGEST_TEXT + 40


def test_a_narrow_terminal_gives_up_the_column() -> None:
    """Where no column fits, the text is not squeezed into one letter a line."""
    screen, stream = terminal(20)

    hang(screen, "head ", "some words of text", 16)

    assert len(stream.getvalue().splitlines()) <= 3


def test_an_error_cannot_look_like_two(capsys: pytest.CaptureFixture[str]) -> None:
    """Lines of an error's message are indented: hostile text cannot print an error of its own."""
    print_error(RunNotFound("no run 'x\nerror: faked: y'"), as_json=False)

    lines = capsys.readouterr().err.splitlines()
    assert [line for line in lines if line.startswith("error: ")] == ["error: run-not-found: no run 'x"]
    assert lines[1] == "  error: faked: y'"


def test_an_error_with_its_own_command_names_no_other(capsys: pytest.CaptureFixture[str]) -> None:
    """A hint that names a command is the next command."""
    print_error(InvalidArgument("x", hint="irrunner runs"), as_json=False, command="show")

    assert capsys.readouterr().err == "error: invalid-argument: x\n  what to do: irrunner runs\n"


@pytest.mark.parametrize("text", HOSTILE_TEXTS.values(), ids=HOSTILE_TEXTS.keys())
def test_a_hostile_title_is_harmless_everywhere(desk: Desk, text: str) -> None:
    """A finding's title reaches no command's text as more than harmless characters of a bounded number."""
    event = desk.write_event("hostile.json", title=text, description=text)
    responded = desk.run("respond", "--event", event)
    run_id = re.findall(r"run ([0-9a-f-]{36})", responded.out)[0]

    for words in (("show", run_id), ("runs",), ("timeline", run_id), ("watch", run_id)):
        done = desk.run(*words)
        printed = (done.out + done.err).replace("\n", "")
        assert HOSTILE.search(printed) is None
        assert len(printed) < 20_000
        assert done.code == 0
    assert HOSTILE.search((responded.out + responded.err).replace("\n", "")) is None
