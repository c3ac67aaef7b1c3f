"""Print documents: JSON for machines, `rich` on a terminal, plain text without one."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from irrunner.errors import IRRunnerError, PlaybookInvalid

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


def console(*, stderr: bool = False) -> Console:
    """Return a console; without a terminal it prints plain text and never wraps."""
    from rich.console import Console  # noqa: PLC0415 - not for --json

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else int(os.environ.get("COLUMNS", "0")) or 140
    return Console(file=stream, width=width, highlight=False, soft_wrap=not stream.isatty(), emoji=False)


def print_json(document: Any) -> None:
    """Print one JSON document. Lone surrogates of hostile data are escaped."""
    sys.stdout.write(json.dumps(document, indent=2, default=str) + "\n")


def print_json_line(document: Any) -> None:
    """Print one line of JSON Lines."""
    sys.stdout.write(json.dumps(document, default=str) + "\n")
    sys.stdout.flush()


HOSTILE = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")
"""Control, bidirectional and zero-width characters, and lone surrogates."""


def plain(text: object) -> str:
    """Return text that cannot move the cursor, colour, ring or break a line: findings are hostile.

    Bidirectional and zero-width characters, which could make a target read as another, go too.
    """
    return HOSTILE.sub("\ufffd", str(text))


def escape(text: object) -> str:
    """Return harmless text in which `rich` markup means nothing."""
    from rich.markup import escape as rich_escape  # noqa: PLC0415 - not for --json

    return rich_escape(plain(text))


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
    document: dict[str, Any] = {
        "code": problem.code,
        "message": problem.message,
        "hint": problem.hint,
        "exit_code": problem.exit_code,
        "detail": {name: value for name, value in problem.detail.items() if _is_plain(value)},
    }
    if isinstance(problem, PlaybookInvalid):
        document["problems"] = [entry.as_dict() for entry in problem.problems]
    return document


def _is_plain(value: Any) -> bool:
    if isinstance(value, str | int | float | bool | None):
        return True
    if isinstance(value, Mapping):
        return all(_is_plain(item) for item in value.values())
    return isinstance(value, Sequence) and all(_is_plain(item) for item in value)


def print_error(problem: IRRunnerError, *, as_json: bool) -> None:
    """Print an error: its code, what happened and what to do, on stderr; with JSON also on stdout."""
    if as_json:
        print_json({"error": error_document(problem)})
    lines = problem.message.splitlines() or [""]
    text = "\n".join(plain(line) for line in lines)
    if isinstance(problem, PlaybookInvalid):
        sys.stderr.write(f"{text}\n")
        return
    sys.stderr.write(f"error: {problem.code}: {text}\n")
    if problem.hint:
        sys.stderr.write(f"  what to do: {plain(problem.hint)}\n")
