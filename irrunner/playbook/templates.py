"""Text with ``${{ }}``: split into parts, each expression with the place of its first character."""

from __future__ import annotations

from collections.abc import Iterator

from irrunner.playbook.model import Expr, Place, Text
from irrunner.playbook.nodes import Scalar
from irrunner.playbook.problems import Problem

OPEN = "${{"
CLOSE = "}}"
MAX_EXPRESSION = 4096


def template(scalar: Scalar, problems: list[Problem]) -> str | Expr | Text:
    """Return a scalar's text, its one expression, or its parts.

    Args:
        scalar: Where the text stands.
        problems: Gets unclosed and empty expressions.
    """
    if OPEN not in scalar.text:
        return scalar.text
    parts = tuple(_parts(scalar, problems))
    if len(parts) == 1:
        return parts[0]
    return Text(parts, scalar.place)


def _parts(scalar: Scalar, problems: list[Problem]) -> Iterator[str | Expr]:
    text, position, raw_from = scalar.text, 0, 0
    while (begin := text.find(OPEN, position)) >= 0:
        if begin > position:
            yield text[position:begin]
        inner = begin + len(OPEN)
        end = _end_of(text, inner)
        raw_begin = scalar.raw.find(OPEN, raw_from)
        place = _place_in(scalar, raw_begin)
        if end is None:
            problems.append(Problem(place, "expression-syntax", f"`{OPEN}` without `{CLOSE}`; close it"))
            return
        raw_from = raw_begin + len(OPEN)
        source = text[inner:end]
        yield _expression(source, _place_in(scalar, raw_begin, source), problems)
        position = end + len(CLOSE)
    if position < len(text):
        yield text[position:]


def _expression(source: str, place: Place, problems: list[Problem]) -> Expr:
    stripped = source.strip()
    if not stripped:
        problems.append(Problem(place, "expression-syntax", "nothing between `${{` and `}}`"))
    elif len(stripped) > MAX_EXPRESSION:
        message = f"an expression of {len(stripped)} characters; at most {MAX_EXPRESSION}"
        problems.append(Problem(place, "expression-syntax", message))
        stripped = ""
    return Expr(stripped, place)


def _end_of(text: str, position: int) -> int | None:
    """Return the index of the ``}}`` that ends an expression: not in a string, not closing a map."""
    depth = 0
    while position < len(text):
        char = text[position]
        if char in "'\"":
            position = _after_string(text, position)
            continue
        if char == "{":
            depth += 1
        elif char == "}" and depth:
            depth -= 1
        elif text.startswith(CLOSE, position):
            return position
        position += 1
    return None


def _after_string(text: str, position: int) -> int:
    quote = text[position]
    long = text.startswith(quote * 3, position)
    delimiter = quote * 3 if long else quote
    raw = position > 0 and text[position - 1] in "rR"
    position += len(delimiter)
    while position < len(text):
        if text[position] == "\\" and not raw:
            position += 2
        elif text.startswith(delimiter, position):
            return position + len(delimiter)
        else:
            position += 1
    return position


def _place_in(scalar: Scalar, offset: int, source: str = "") -> Place:
    """Return the place of the expression that begins at ``offset`` of the scalar's raw text."""
    if offset < 0:
        return scalar.place
    if source:
        offset += len(OPEN) + len(source) - len(source.lstrip())
    before = scalar.raw[:offset]
    newlines = before.count("\n")
    column = offset - before.rfind("\n") if newlines else scalar.place.column + offset
    return Place(scalar.place.file, scalar.place.line + newlines, column)
