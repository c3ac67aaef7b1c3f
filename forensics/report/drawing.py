"""The timeline as a picture: one row for each event, one lane for each actor, in SVG.

Rows are evenly spaced and say their time: an incident has minutes between some events and milliseconds
between others. Text is escaped; nothing in the picture is a script, a link or a foreign font.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final
from xml.sax.saxutils import escape

from forensics.report.facts import duration
from irrunner.clock import parse_iso

LANES: Final = (
    ("attacker", "Attacker", "#b3261e"),
    ("aws", "AWS", "#8a5a00"),
    ("responder", "irrunner", "#0b57d0"),
    ("people", "People", "#146c43"),
)
MOST_ROWS: Final = 80
_WIDTH, _ROW, _TOP = 960, 30, 56
_TIME_X, _LANE_X, _LANE_STEP, _TEXT_X = 16, 132, 26, 250
_LONGEST: Final = 96
_GAP_S: Final = 30.0
_FONT: Final = "font-family='ui-sans-serif, system-ui, sans-serif'"


def timeline_svg(moments: Sequence[Mapping[str, Any]]) -> str:
    """Return the drawing.

    Args:
        moments: ``timeline`` of the facts.
    """
    shown = list(moments[:MOST_ROWS])
    parts: list[str] = []
    y, before = _TOP, None
    for moment in shown:
        at = parse_iso(moment["at"])
        gap = (at - before).total_seconds() if before else 0.0
        if gap >= _GAP_S:
            parts.append(_gap(y, gap))
            y += _ROW
        parts.append(_row(y, moment, f"{at:%H:%M:%S}", new_day=before is None or at.date() != before.date()))
        y, before = y + _ROW, at
    if len(moments) > len(shown):
        parts.append(
            _text(_TEXT_X, y, f"… and {len(moments) - len(shown)} more events in the data", "#5f6368")
        )
        y += _ROW
    lanes = "".join(_lane(index, name, colour, y) for index, (_, name, colour) in enumerate(LANES))
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {_WIDTH} {y + 8}' width='{_WIDTH}' "
        f"height='{y + 8}' role='img' aria-label='Timeline of the incident'>"
        f"<rect width='100%' height='100%' fill='#ffffff'/>{lanes}{''.join(parts)}</svg>\n"
    )


def _lane_x(index: int) -> int:
    return _LANE_X + index * _LANE_STEP


def _lane(index: int, name: str, colour: str, bottom: int) -> str:
    x = _lane_x(index)
    return (
        f"<line x1='{x}' y1='{_TOP - 14}' x2='{x}' y2='{bottom - 12}' stroke='{colour}' "
        f"stroke-opacity='0.25' stroke-width='2'/>"
        f"<text transform='translate({x + 4},{_TOP - 20}) rotate(-38)' {_FONT} font-size='11' "
        f"font-weight='600' fill='{colour}'>{escape(name)}</text>"
    )


def _row(y: int, moment: Mapping[str, Any], time: str, *, new_day: bool) -> str:
    index = next((i for i, (actor, _, _) in enumerate(LANES) if actor == moment["actor"]), 1)
    colour = LANES[index][2]
    x = _lane_x(index)
    date = _text(_TIME_X, y - 13, moment["at"][:10], "#5f6368", size=10) if new_day else ""
    dot = (
        f"<circle cx='{x}' cy='{y}' r='6' fill='{colour}'/>"
        if moment["good"]
        else f"<circle cx='{x}' cy='{y}' r='5.5' fill='#ffffff' stroke='{colour}' stroke-width='3'/>"
    )
    what = moment["what"] if len(moment["what"]) <= _LONGEST else f"{moment['what'][:_LONGEST]}…"
    lead = (
        f"<line x1='{x + 9}' y1='{y}' x2='{_TEXT_X - 8}' y2='{y}' stroke='{colour}' stroke-opacity='0.18'/>"
    )
    shade = "#1f1f1f" if moment["good"] else "#8c1d18"
    return (
        date
        + _text(_TIME_X, y + 4, time, "#3c4043", mono=True)
        + lead
        + dot
        + _text(_TEXT_X, y + 4, what, shade)
    )


def _gap(y: int, seconds: float) -> str:
    line = (
        f"<line x1='{_LANE_X - 12}' y1='{y}' x2='{_lane_x(len(LANES) - 1) + 12}' y2='{y}' stroke='#9aa0a6' "
        "stroke-dasharray='2 4'/>"
    )
    return line + _text(_TEXT_X, y - 2, f"{duration(seconds)} later", "#5f6368", size=11)


def _text(x: int, y: int, text: str, colour: str, *, size: int = 13, mono: bool = False) -> str:
    font = "font-family='ui-monospace, monospace'" if mono else _FONT
    return f"<text x='{x}' y='{y}' {font} font-size='{size}' fill='{colour}'>{escape(text)}</text>"
