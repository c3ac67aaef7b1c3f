"""Print documents: JSON for machines, `rich` on a terminal, plain text without one."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from irrunner.errors import EXIT_INVALID_INPUT, IRRunnerError, PlaybookInvalid

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

LONGEST_TEXT: Final = 2_000
"""Characters of one hostile text that people are shown; --json has all of it."""
LONGEST_TITLE: Final = 200
UNBOUNDED_WIDTH: Final = 1_000
NARROWEST: Final = 24

HOSTILE: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
"""Control, bidirectional and zero-width characters, and lone surrogates."""
BREAKS: Final = re.compile("[\t\n\r\v\f\x85]+")


def console(*, stderr: bool = False) -> Console:
    """Return a console; without a terminal it prints plain text and never wraps."""
    from rich.console import Console  # noqa: PLC0415 - not for --json

    stream = sys.stderr if stderr else sys.stdout
    terminal = stream.isatty()
    width = None if terminal else int(os.environ.get("COLUMNS", "0")) or UNBOUNDED_WIDTH
    return Console(file=stream, width=width, highlight=False, soft_wrap=not terminal, emoji=False)


def print_json(document: Any) -> None:
    """Print one JSON document. Lone surrogates of hostile data are escaped."""
    sys.stdout.write(json.dumps(document, indent=2, default=str) + "\n")


def print_json_line(document: Any) -> None:
    """Print one line of JSON Lines."""
    sys.stdout.write(json.dumps(document, default=str) + "\n")
    sys.stdout.flush()


def plain(text: object, longest: int = LONGEST_TEXT) -> str:
    """Return text that cannot move the cursor, colour, ring, break a line or flood: findings are hostile.

    Bidirectional and zero-width characters, which could make a target read as another, go too.
    """
    whole = str(text)
    shown = HOSTILE.sub("\ufffd", BREAKS.sub(" ", whole[:longest]))
    return shown if len(whole) <= longest else f"{shown}… ({len(whole):,} characters)"


def escape(text: object, longest: int = LONGEST_TEXT) -> str:
    """Return harmless text in which `rich` markup means nothing, also with a tag behind it."""
    from rich.markup import escape as rich_escape  # noqa: PLC0415 - not for --json

    shown = plain(text, longest)
    body = shown.rstrip("\\")
    return rich_escape(body) + "\\" * (2 * (len(shown) - len(body)))  # an odd one would escape that tag


def hang(screen: Console, head: str, body: str, indent: int) -> None:
    """Print markup behind a head; on a terminal it wraps under itself.

    Args:
        screen: Where.
        head: Markup of the first line's beginning; longer than the indent, it has a line of its own.
        body: Markup.
        indent: Column at which the body begins.
    """
    from rich.text import Text  # noqa: PLC0415 - not for --json

    start, text = Text.from_markup(head), Text.from_markup(body)
    if start.cell_len > indent:
        screen.print(start)
        start = Text("")
    start.pad_right(indent - start.cell_len)
    room = screen.width - indent
    lines = text.wrap(screen, room) if screen.is_terminal and room >= NARROWEST else [text]
    for number, line in enumerate(lines):
        whole = (start if number == 0 else Text(" " * indent)) + line
        whole.rstrip()
        screen.print(whole)


def table(*columns: str, title: str | None = None) -> Table:
    """Return an empty table without heavy borders."""
    from rich import box  # noqa: PLC0415 - not for --json
    from rich.table import Table  # noqa: PLC0415 - not for --json

    result = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
    for column in columns:
        result.add_column(column, overflow="fold")
    return result


def error_document(problem: IRRunnerError) -> dict[str, Any]:
    """Return an error as JSON-able data."""
    detail = {name: value for name, value in problem.detail.items() if _is_plain(value)}
    document = failure(problem.code, problem.message, problem.hint, problem.exit_code, detail)
    if isinstance(problem, PlaybookInvalid):
        document["problems"] = [entry.as_dict() for entry in problem.problems]
    return document


def failure(
    code: str, message: str, hint: str, exit_code: int, detail: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the shape that every error has under ``--json``."""
    return {
        "code": code, "message": message, "hint": hint, "exit_code": exit_code, "detail": dict(detail or {}),
    }  # fmt: skip


def _is_plain(value: Any) -> bool:
    if isinstance(value, str | int | float | bool | None):
        return True
    if isinstance(value, Mapping):
        return all(_is_plain(item) for item in value.values())
    return isinstance(value, Sequence) and all(_is_plain(item) for item in value)


def print_error(problem: IRRunnerError, *, as_json: bool, command: str = "") -> None:
    """Print an error: its code, what happened and what to do, on stderr; with JSON also on stdout.

    Args:
        problem: What was raised.
        as_json: Whether a JSON document was asked for.
        command: The command's name, for its ``--help``.
    """
    if as_json:
        print_json({"error": error_document(problem)})
    if isinstance(problem, PlaybookInvalid):
        lines = [plain(line) for line in problem.message.splitlines()]
        next_command = "irrunner validate FILE, when it is corrected"
    else:
        first, *others = problem.message.splitlines() or [""]
        lines = [f"error: {problem.code}: {plain(first)}", *(f"  {plain(line)}" for line in others)]
        next_command = (
            f"irrunner {command} --help" if problem.exit_code == EXIT_INVALID_INPUT else "irrunner runs"
        )
    if problem.hint:
        lines.append(f"  what to do: {plain(problem.hint)}")
    if "irrunner " not in problem.hint:
        lines.append(f"  next: {next_command}")
    sys.stderr.write("\n".join(lines) + "\n")
