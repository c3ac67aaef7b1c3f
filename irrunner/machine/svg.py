"""A playbook as a self-contained SVG flow chart: no script, no font, no link.

The playbook is a structured program, so it is drawn as one: sequences go down, branches stand side by
side, loops and failure steps are framed. Callees are drawn as one box with a double edge.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from html import escape

from irrunner.machine.boxes import LINE, Box, beside, bypass, fork, frame, stack, text, width_of
from irrunner.machine.chart import Chart
from irrunner.machine.palette import COLOURS, OTHER, detail_of, loop_of, modifiers_of, shorten
from irrunner.playbook.model import Approve, Choose, Parallel, Run, Step, Wait, WaitUntil

MARGIN = 24.0
TITLE_HEIGHT = 44.0
LEGEND_HEIGHT = 36.0
LEGEND_STEP = 118.0
LONGEST_TITLE = 120
TITLE_SIGN = 9.0
HOLDERS = (Approve, Choose, Parallel)

STYLE = """
text { font: 12px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: #111; }
.title { font-size: 16px; font-weight: 600; } .name { font-weight: 600; } .small { fill: #333; }
.edge, .label { fill: #444; font-size: 11px; }
.label { font-weight: 600; paint-order: stroke; stroke: #fff; stroke-width: 4px; }
.flow { fill: none; stroke: #555; stroke-width: 1.4; }
.failure { fill: none; stroke: #b71c1c; stroke-width: 1.4; stroke-dasharray: 5 4; }
.loop { fill: none; stroke: #555; stroke-dasharray: 6 4; }
.recovery { fill: #fff5f5; stroke: #b71c1c; stroke-dasharray: 5 4; }
.finally { fill: #fafafa; stroke: #555; stroke-dasharray: 2 3; }
.bar { fill: #333; } .dot { fill: #333; }
"""
ARROW = (
    '<defs><marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" '
    'orient="auto"><path d="M0,0 L8,4 L0,8 z" fill="#555"/></marker></defs>'
)


def svg(chart: Chart) -> str:
    """Return the chart as an SVG document."""
    playbook = chart.playbook
    body = _body(chart)
    legend = [phase for phase in COLOURS if any(step.phase == phase for step in playbook.walk())]
    title = f"{playbook.title} ({playbook.id} {playbook.version})"
    title_width = TITLE_SIGN * min(len(title), LONGEST_TITLE)
    width = max(body.width, title_width, LEGEND_STEP * len(legend)) + 2 * MARGIN
    height = body.height + TITLE_HEIGHT + LEGEND_HEIGHT + 2 * MARGIN
    left = (width - body.width) / 2
    size = f'viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
        f"<title>{escape(shorten(title, 300))}</title>",
        f"<style>{STYLE}</style>",
        ARROW,
        f'<rect width="{width:g}" height="{height:g}" fill="#fff"/>',
        text(MARGIN, MARGIN + 16, title, "title", "start", most=LONGEST_TITLE),
        *body.draw(left, MARGIN + TITLE_HEIGHT),
        *_legend(legend, height - MARGIN),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _body(chart: Chart) -> Box:
    playbook = chart.playbook
    main = _sequence(playbook.steps)
    if playbook.on_failure:
        label = "on_failure: after a failure that stops the run"
        aside = frame(_sequence(playbook.on_failure), label, "recovery", through=False)
        main = beside(main, aside, joined=False)
    boxes = [_dot("start"), main]
    if playbook.finally_:
        boxes.append(frame(_sequence(playbook.finally_), "finally: always", "finally"))
    return stack([*boxes, _dot("end")])


def _legend(phases: list[str], y: float) -> Iterator[str]:
    for index, phase in enumerate(phases):
        x, colour = MARGIN + index * LEGEND_STEP, COLOURS[phase]
        yield f'<rect x="{x:g}" y="{y - 11:g}" width="14" height="14" {_paint(colour.fill, colour.line)}/>'
        yield text(x + 20, y, phase.replace("_", " "), "small", "start")


def _paint(fill: str, stroke: str) -> str:
    return f'fill="{fill}" stroke="{stroke}" stroke-width="1.4"'


def _dot(label: str) -> Box:
    def draw(x: float, y: float) -> Iterator[str]:
        yield f'<circle class="dot" cx="{x + 10:g}" cy="{y + 10:g}" r="8"/>'
        yield text(x + 26, y + 14, label, "edge", "start")

    return Box(60.0, 20.0, 10.0, draw)


def _sequence(steps: tuple[Step, ...]) -> Box:
    return stack([_step(step) for step in steps])


def _step(step: Step) -> Box:
    box = _kind(step)
    if step.for_each is not None and isinstance(step.kind, HOLDERS):
        box = frame(box, loop_of(step.for_each), "loop")
    if isinstance(step.on_failure, tuple):
        aside = frame(_sequence(step.on_failure), f"if {step.id} fails", "recovery", through=False)
        box = beside(box, aside)
    return box


def _kind(step: Step) -> Box:
    kind = step.kind
    if isinstance(kind, Approve):
        columns = [_sequence(kind.then), _sequence(kind.otherwise)]
        return fork(_diamond(step), columns, ["approved", "denied or no answer"])
    if isinstance(kind, Choose):
        columns = [*(_sequence(branch.steps) for branch in kind.branches), _sequence(kind.otherwise)]
        return fork(_diamond(step), columns, [*(branch.when.source for branch in kind.branches), "otherwise"])
    if isinstance(kind, Parallel):
        columns = [_sequence(branch) for branch in kind.branches] or [bypass()]
        return fork(_bar(step), columns, [""] * len(columns), _bar(None))
    return _card(step)


def _words(step: Step) -> list[str]:
    """Return a step's lines of text, its name first."""
    phase = f" · {step.phase.replace('_', ' ')}" if step.phase else ""
    framed = isinstance(step.kind, HOLDERS) and step.for_each is not None
    modifiers = modifiers_of(replace(step, for_each=None) if framed else step)
    return [step.id + phase, *([step.title] if step.title else []), detail_of(step), *modifiers]


def _lines(step: Step, middle: float, top: float) -> Iterator[str]:
    for index, words in enumerate(_words(step)):
        yield text(middle, top + LINE * index, words, "name" if index == 0 else "small")


def _card(step: Step) -> Box:
    """Draw a rectangle; round for waits, with a double edge for a called playbook."""
    words = _words(step)
    width, height = width_of(words, 150), LINE * len(words) + 16
    colour = COLOURS.get(step.phase or "", OTHER)
    radius = height / 2 if isinstance(step.kind, Wait | WaitUntil) else 6

    def draw(x: float, y: float) -> Iterator[str]:
        paint = _paint(colour.fill, colour.line)
        yield f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="{radius:g}" {paint}/>'
        if isinstance(step.kind, Run):
            size = f'width="{width - 8:g}" height="{height - 8:g}"'
            yield f'<rect x="{x + 4:g}" y="{y + 4:g}" {size} rx="4" {_paint("none", colour.line)}/>'
        yield from _lines(step, x + width / 2, y + 20)

    return Box(width, height, width / 2, draw)


def _diamond(step: Step) -> Box:
    """Draw a decision: of a person, or of an expression."""
    words = _words(step)
    width, height = width_of(words) * 1.5, LINE * len(words) * 2 + 24
    colour = COLOURS.get(step.phase or "", OTHER)

    def draw(x: float, y: float) -> Iterator[str]:
        corners = (
            (x + width / 2, y), (x + width, y + height / 2),
            (x + width / 2, y + height), (x, y + height / 2),
        )  # fmt: skip
        points = " ".join(f"{a:g},{b:g}" for a, b in corners)
        yield f'<polygon points="{points}" {_paint(colour.fill, colour.line)}/>'
        yield from _lines(step, x + width / 2, y + height / 2 - LINE * (len(words) - 1) / 2 + 4)

    return Box(width, height, width / 2, draw)


def _bar(step: Step | None) -> Box:
    """Draw the bar at which branches part or meet."""
    words = [] if step is None else [word for word in _words(step) if word != "parallel"]
    width, label = 140.0, LINE * len(words)

    def draw(x: float, y: float) -> Iterator[str]:
        for index, word in enumerate(words):
            yield text(x + width / 2 + 8, y + LINE * index + 11, word, "label", "start")
        yield f'<path class="flow" d="M{x + width / 2:g},{y:g} V{y + label:g}"/>'
        yield f'<rect class="bar" x="{x:g}" y="{y + label:g}" width="{width:g}" height="5" rx="2"/>'

    return Box(width, label + 5, width / 2, draw)
