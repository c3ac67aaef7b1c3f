"""``irrunner report``: the after-action report of a run."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from irrunner.cli.context import Context
from irrunner.errors import EXIT_DONE, InvalidArgument

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


@app.command()
def report(
    context: typer.Context,
    run: Annotated[str, typer.Argument(help="Run id, or a unique beginning of it.", metavar="RUN")],
    *,
    to: Annotated[
        Form, typer.Option("--to", help="Form; svg, csv and timesketch hold the timeline.")
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
    data = written(facts_of(services, run), form)
    if out is None:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
    else:
        out.write_bytes(data)
    return EXIT_DONE


def facts_of(services: Context, run: str) -> dict[str, Any]:
    """Return the facts of a run and of the runs that took it back.

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
    return after_action(
        of(row.run_id), [of(other.run_id) for other in undos], services.registry,
        intact=all(store.verify(each.run_id).ok for each in (row, *undos)), generated_at=services.clock.now(),
    )  # fmt: skip


def written(facts: Mapping[str, Any], form: Form) -> bytes:
    """Return a report in a form."""
    from forensics.report.document import pdf  # noqa: PLC0415 - only a report pays for them
    from forensics.report.drawing import timeline_svg  # noqa: PLC0415
    from forensics.report.exports import comma_separated, timesketch  # noqa: PLC0415
    from forensics.report.markdown import markdown  # noqa: PLC0415
    from forensics.report.page import html  # noqa: PLC0415

    if form is Form.PDF:
        return pdf(facts)
    texts: Mapping[Form, Callable[[], str]] = {
        Form.HTML: lambda: html(facts),
        Form.MD: lambda: markdown(facts),
        Form.JSON: lambda: json.dumps(facts, indent=2) + "\n",
        Form.SVG: lambda: timeline_svg(facts["timeline"]),
        Form.CSV: lambda: comma_separated(facts),
        Form.TIMESKETCH: lambda: timesketch(facts),
    }
    return texts[form]().encode()
