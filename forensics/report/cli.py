"""``irrunner report``: the after-action report of a run."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from irrunner.cli.context import Context
from irrunner.errors import EXIT_DONE, InvalidArgument, IRRunnerError

if TYPE_CHECKING:
    from forensics.timeline import Timeline
    from irrunner.journal.records import Record
    from irrunner.journal.store import RunRow

app = typer.Typer(help="The after-action report of a run.", add_completion=False)


class Form(StrEnum):
    """What a report can be."""

    HTML = "html"
    MD = "md"
    PDF = "pdf"
    JSON = "json"
    SVG = "svg"
    CSV = "csv"
    TIMESKETCH = "timesketch"


@dataclass(frozen=True, slots=True)
class Report:
    """What every form of a report is made of."""

    facts: Mapping[str, Any]
    timeline: Timeline


@app.command()
def report(
    context: typer.Context,
    run: Annotated[str, typer.Argument(help="Run id, or a unique beginning of it.", metavar="RUN")],
    *,
    to: Annotated[
        Form, typer.Option("--to", help="Form; svg is the drawing; csv and timesketch hold the timeline.")
    ] = Form.HTML,
    out: Annotated[Path | None, typer.Option("--out", help="File; default standard output.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --to json.")] = False,
) -> int:
    """Write the after-action report of a run: summary, objectives, timeline, changes, evidence, what is left.

    Example: irrunner report 019b7c2e --to pdf --out report.pdf
    """
    services: Context = context.obj
    form = Form.JSON if as_json else to
    if form is Form.PDF and out is None and sys.stdout.isatty():
        raise InvalidArgument("a PDF is no text for a terminal", hint="give --out report.pdf")
    found = report_of(services, run)
    data = written(found, form)
    if out is None:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
    else:
        try:
            out.write_bytes(data)
        except OSError as problem:
            raise InvalidArgument(
                f"{out}: cannot be written: {problem.strerror}", hint="name a file in a folder that exists"
            ) from problem
    for warning in found.timeline.warnings:
        sys.stderr.write(f"warning: timeline: {warning}\n")
    return EXIT_DONE


def report_of(services: Context, run: str) -> Report:
    """Return the facts and the timeline of a run and of the runs that took it back.

    Raises:
        RunNotFound: If there is no such run, or several begin so.
        JournalCorrupt: If its journal cannot be read.
    """
    from forensics.report.facts import RunOf, after_action  # noqa: PLC0415 - only a report pays for it
    from irrunner.engine.report import run_document  # noqa: PLC0415 - the engine

    store = services.store
    row = store.run(run)

    def of(run_id: str) -> RunOf:
        records = store.records(run_id)
        return RunOf(run_document(store.run(run_id), records, services.compiler), records)

    undos = [other for other in store.runs(limit=10_000) if other.undoes == row.run_id]
    undos.sort(key=lambda other: other.created_at)
    runs = {each.run_id: of(each.run_id) for each in (row, *undos)}
    timeline = _timeline(services, row, {run_id: each.records for run_id, each in runs.items()})
    first, *later = runs.values()
    facts = after_action(
        first, later, services.registry, timeline,
        intact=all(store.verify(run_id).ok for run_id in runs), generated_at=services.clock.now(),
    )  # fmt: skip
    return Report(facts, timeline)


def _timeline(services: Context, row: RunRow, journals: Mapping[str, Sequence[Record]]) -> Timeline:
    """Return the timeline with CloudTrail files of evidence; what cannot be read is a warning of it."""
    from forensics.chain import Chain  # noqa: PLC0415 - cryptography
    from forensics.custody import Custody  # noqa: PLC0415 - with it
    from forensics.deposits import ANCHORS, Kept  # noqa: PLC0415 - with it
    from forensics.timeline import is_trail, timeline_of  # noqa: PLC0415 - only a report pays for it

    custody, warnings = Custody.of(services), list[str]()
    sources: dict[str, Callable[[], BinaryIO]] = {}
    try:
        chain = custody.ledger(row).read() or Chain(ledger=row.incident_id)
        vault = custody.vault(Kept(row, journals[row.run_id], chain))
        for item in vault.items(
            row.incident_id, lambda name: is_trail(name) and not name.startswith(ANCHORS)
        ):
            sources[item.name] = partial(vault.open, item)
        stored = custody.collected(chain, journals, is_trail)
        sources |= {file.named.name: file.open for file in stored.files}
        warnings.extend(stored.warnings)
    except IRRunnerError as problem:
        warnings.append(f"evidence was not read: {problem.message}")
    timeline = timeline_of(journals, sources)
    timeline.warnings.extend(warnings)
    return timeline


def written(report: Report, form: Form) -> bytes:
    """Return a report in a form."""
    from forensics.report.document import pdf  # noqa: PLC0415 - only a report pays for them
    from forensics.report.drawing import timeline_svg  # noqa: PLC0415
    from forensics.report.markdown import markdown  # noqa: PLC0415
    from forensics.report.page import html  # noqa: PLC0415
    from forensics.timeline import as_csv, as_json_lines  # noqa: PLC0415

    facts = report.facts
    if form is Form.PDF:
        return pdf(facts)
    texts: Mapping[Form, Callable[[], str]] = {
        Form.HTML: lambda: html(facts),
        Form.MD: lambda: markdown(facts),
        Form.JSON: lambda: json.dumps(facts, indent=2) + "\n",
        Form.SVG: lambda: timeline_svg(facts["timeline"]),
        Form.CSV: lambda: as_csv(report.timeline),
        Form.TIMESKETCH: lambda: as_json_lines(report.timeline),
    }
    return texts[form]().encode()
