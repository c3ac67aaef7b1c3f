"""Pictures of a chart without any external program: Mermaid text, SVG, and the life-cycles.

Step titles and guards are text of the playbook's author; they are escaped for the language they go into.
"""

from __future__ import annotations

from collections.abc import Iterator

from irrunner.machine.chart import Chart
from irrunner.machine.graph import END, START, Graph, State
from irrunner.machine.lifecycle import RUN, STEP, Name, machine_of
from irrunner.machine.palette import COLOURS, OTHER, detail_of, modifiers_of, shorten
from irrunner.machine.svg import svg

__all__ = ["lifecycle_mermaid", "mermaid", "svg"]

LONGEST_LABEL = 60
SHAPES = {"parallel": "fork", "join": "join"}


def mermaid(chart: Chart) -> str:
    """Return the chart as a Mermaid ``stateDiagram-v2``; each callee stands as a composite state."""
    lines = ["stateDiagram-v2", "  direction TB"]
    lines += [
        f"  classDef {name} fill:{colour.fill},stroke:{colour.line},color:#111"
        for name, colour in {**COLOURS, "other": OTHER}.items()
    ]
    lines += _graph_lines(chart.graph, "", "  ")
    called = [name for name in chart.graphs if name != chart.playbook.id]
    for number, name in enumerate(called, start=1):
        lines.append(f'  state "{_text(f"playbook {name}")}" as p{number} {{')
        lines += _graph_lines(chart.graphs[name], f"p{number}_", "    ")
        lines.append("  }")
    return "\n".join(lines) + "\n"


def lifecycle_mermaid(name: Name) -> str:
    """Return the life-cycle of a ``step`` or a ``run`` as Mermaid text, drawn by `transitions`."""
    machine = machine_of(STEP if name == "step" else RUN, drawable=True)
    return str(machine.get_graph().draw(None))


def _graph_lines(graph: Graph, prefix: str, indent: str) -> Iterator[str]:
    for state in graph.states:
        if state.id not in (START, END):
            yield from (f"{indent}{line}" for line in _state_lines(state, prefix))
    for (source, target), names in _edges(graph).items():
        label = "" if names in (["applied"], ["started"]) else ", ".join(names)
        arrow = f"{_id(source, prefix)} --> {_id(target, prefix)}"
        yield f"{indent}{arrow} : {_text(label)}" if label else f"{indent}{arrow}"
    first = next((state for state in graph.states if state.id != START), None)
    if first is not None and first.id != END:
        yield f"{indent}note right of {_id(first.id, prefix)}"
        yield f"{indent}  A failure that stops the run leads to {_place(graph.failed_to)},"
        yield f"{indent}  an abort or the deadline to {_place(graph.interrupted_to)}."
        yield f"{indent}end note"


def _edges(graph: Graph) -> dict[tuple[str, str], list[str]]:
    """Return the edges to draw with their outcomes; ordinary failures are said in a note instead."""
    ordinary = {graph.failed_to, graph.interrupted_to}
    edges: dict[tuple[str, str], list[str]] = {}
    for edge in graph.transitions:
        if edge.on != "failed" or edge.target not in ordinary:
            edges.setdefault((edge.source, edge.target), []).append(edge.on)
    return edges


def _state_lines(state: State, prefix: str) -> Iterator[str]:
    identity = _id(state.id, prefix)
    shape = SHAPES.get(state.kind)
    if shape is not None or state.step is None:
        yield f"state {identity} <<{shape or 'join'}>>"
        return
    step = state.step
    words = [step.id, detail_of(step), *modifiers_of(step)]
    yield f'state "{"<br/>".join(_text(word) for word in words if word)}" as {identity}'
    yield f"class {identity} {step.phase or 'other'}"


def _id(state: str, prefix: str) -> str:
    """Return a Mermaid id: ours may be words of its grammar."""
    return "[*]" if state in (START, END) else f"{prefix}s_{state.replace('.', '__')}"


def _place(state: str) -> str:
    return "the end" if state == END else state


def _text(text: str) -> str:
    """Return text that Mermaid takes as text: markup and separators as character references."""
    short = shorten(text, LONGEST_LABEL)
    return "".join(f"#{ord(sign)};" if sign in '#;:"<>&{}[]`%\\' else sign for sign in short)
