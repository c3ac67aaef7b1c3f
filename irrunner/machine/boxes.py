"""Boxes for structured flow charts: each is entered at the top of its axis and left at the bottom.

A box knows its size before it is drawn, so a picture is composed from the inside out: stack, fork, frame.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import TypeAlias

from irrunner.machine.palette import shorten

Draw: TypeAlias = Callable[[float, float], Iterator[str]]

GAP = 26.0
SPACE = 28.0
RAIL = 22.0
LINE = 16.0
SIGN = 6.9
"""Width of one character of 12 px text, on average."""
LONGEST_LINE = 46


@dataclass(frozen=True, slots=True)
class Box:
    """A drawing of known size."""

    width: float
    height: float
    axis: float
    """Distance of the flow's line from the left edge."""
    draw: Draw


def line(x1: float, y1: float, x2: float, y2: float, style: str = "flow", *, arrow: bool = False) -> str:
    """Return a straight line."""
    end = ' marker-end="url(#arrow)"' if arrow else ""
    return f'<path class="{style}" d="M{x1:g},{y1:g} L{x2:g},{y2:g}"{end}/>'


def elbow(x1: float, y1: float, rail: float, x2: float, y2: float, style: str = "flow") -> str:
    """Return a line that goes down to a rail, along it, and down again."""
    return f'<path class="{style}" d="M{x1:g},{y1:g} V{rail:g} H{x2:g} V{y2:g}"/>'


def text(
    x: float, y: float, words: str, style: str, anchor: str = "middle", *, most: int = LONGEST_LINE
) -> str:
    """Return one line of text; what is cut is kept as a tooltip."""
    short = shorten(words, most)
    whole = f"<title>{escape(shorten(words, 2000))}</title>" if short != words else ""
    return f'<text class="{style}" x="{x:g}" y="{y:g}" text-anchor="{anchor}">{whole}{escape(short)}</text>'


def width_of(words: Sequence[str], least: float = 0.0) -> float:
    """Return the width that lines of text need."""
    return max([least, *(min(len(word), LONGEST_LINE) * SIGN + 28 for word in words)])


def bypass(width: float = 70.0) -> Box:
    """Return a place where nothing happens."""
    return Box(width, 0.0, width / 2, lambda _x, _y: iter(()))


def stack(boxes: Sequence[Box]) -> Box:
    """Put boxes below each other on one axis, with arrows between."""
    if not boxes:
        return bypass()
    axis = max(box.axis for box in boxes)
    width = axis + max(box.width - box.axis for box in boxes)
    height = sum(box.height for box in boxes) + GAP * (len(boxes) - 1)

    def draw(x: float, y: float) -> Iterator[str]:
        tops = [y]
        for box in boxes:
            yield from box.draw(x + axis - box.axis, tops[-1])
            tops.append(tops[-1] + box.height + GAP)
        for _, top in pairwise(tops[:-1]):
            yield line(x + axis, top - GAP, x + axis, top, arrow=True)

    return Box(width, height, axis, draw)


def fork(head: Box, columns: Sequence[Box], labels: Sequence[str], tail: Box | None = None) -> Box:
    """Put columns side by side below a head; their lines part and meet again (at a tail, if any)."""
    wide = [_widened(column, label) for column, label in zip(columns, labels, strict=True)]
    inner = sum(column.width for column in wide) + SPACE * max(0, len(wide) - 1)
    width = max(inner, head.width)
    deepest = max((column.height for column in wide), default=0.0)
    lead = RAIL + LINE + 8
    tail_height = tail.height if tail else 0.0
    height = head.height + lead + deepest + RAIL + tail_height

    def draw(x: float, y: float) -> Iterator[str]:
        middle, top = x + width / 2, y + head.height
        bottom = top + lead + deepest + RAIL
        yield from head.draw(middle - head.axis, y)
        left = x + (width - inner) / 2
        for column, label in zip(wide, labels, strict=True):
            axis = left + column.axis
            yield elbow(middle, top, top + RAIL / 2, axis, top + lead)
            yield text(axis + 5, top + RAIL / 2 + 15, label, "edge", "start")
            yield from column.draw(left, top + lead)
            yield elbow(axis, top + lead + column.height, bottom - RAIL / 2, middle, bottom)
            left += column.width + SPACE
        if tail:
            yield from tail.draw(middle - tail.axis, bottom)

    return Box(width, height, width / 2, draw)


def _widened(column: Box, label: str) -> Box:
    """Make room for a label at the right of the axis."""
    need = column.axis + min(len(label), LONGEST_LINE) * SIGN + 10
    return column if column.width >= need else Box(need, column.height, column.axis, column.draw)


def frame(box: Box, label: str, style: str, *, through: bool = True) -> Box:
    """Put a dashed frame with a label around a box; the flow goes through it, or ends in it."""
    pad, head = 14.0, 24.0
    width = max(box.width, width_of([label])) + 2 * pad
    shift = max(pad, (width - box.width) / 2)

    def draw(x: float, y: float) -> Iterator[str]:
        size = f'width="{width:g}" height="{box.height + head + pad:g}"'
        yield f'<rect class="{style}" x="{x:g}" y="{y:g}" {size} rx="8"/>'
        if through:
            axis, bottom = x + shift + box.axis, y + head + box.height
            yield line(axis, y, axis, y + head)
            yield line(axis, bottom, axis, bottom + pad)
        yield text(x + 10, y + 16, label, "label", "start")
        yield from box.draw(x + shift, y + head)

    return Box(width, box.height + head + pad, shift + box.axis, draw)


def beside(box: Box, other: Box, *, joined: bool = True) -> Box:
    """Put another box at the right; where joined, reached by a dashed line if the first one fails."""
    space = 2 * SPACE
    height = max(box.height, other.height)

    def draw(x: float, y: float) -> Iterator[str]:
        yield from box.draw(x, y)
        yield line(x + box.axis, y + box.height, x + box.axis, y + height)
        yield from other.draw(x + box.width + space, y)
        if joined:
            level = y + min(box.height, other.height) / 2
            yield line(x + box.width, level, x + box.width + space, level, "failure", arrow=True)

    return Box(box.width + space + other.width, height, box.axis, draw)
