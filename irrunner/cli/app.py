"""The command line: names, exit codes and JSON are a contract (docs/reference/cli.md)."""

from __future__ import annotations

import io
import os
import sys
import traceback
from collections.abc import Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Final

import typer

from irrunner.cli import coverage, library, runs
from irrunner.cli.context import Context
from irrunner.cli.ended import tell_ended
from irrunner.cli.output import print_error
from irrunner.errors import (
    EXIT_INTERRUPTED,
    EXIT_INVALID_INPUT,
    Defect,
    Interrupted,
    InvalidArgument,
    IRRunnerError,
)


def build() -> typer.Typer:
    """Return the whole command line, with the commands of installed packages."""
    app = typer.Typer(
        name="irrunner",
        help="Incident-response playbooks for AWS: planned, verified, crash-safe, undoable.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    runs.register(app)
    library.register(app)
    coverage.register(app)
    for point in entry_points(group="irrunner.commands"):
        _add_lazily(app, point.name, point.value)
    return app


def _add_lazily(app: typer.Typer, name: str, value: str) -> None:
    """Add a command of another package without importing it before it is called."""
    settings = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}

    @app.command(
        name, context_settings=settings, help=HELP.get(name, f"Commands of {value.partition(':')[0]}.")
    )
    def _(context: typer.Context) -> Any:
        point = next(point for point in entry_points(group="irrunner.commands") if point.name == name)
        plugged = point.load()
        plugged.rich_markup_mode = None  # one look, and no boxes in a pipe
        command = typer.main.get_command(plugged)
        return command.main(
            context.args, prog_name=f"irrunner {name}", standalone_mode=False, obj=context.obj,
            help_option_names=["-h", "--help"],
        )  # fmt: skip


HELP = {
    "gameday": "Game days, and the simulated organisation: irrunner gameday world serve.",
    "demo": "A real-shaped finding against the simulated organisation, start to report.",
    "report": "The after-action report of a run: html, md, pdf, json; the timeline as svg, csv, timesketch.",
    "evidence": "The custody ledger of a run: list, verify, export.",
    "test": "Run the tests: section of playbooks on the simulated world.",
}


def run(arguments: Sequence[str], services: Context | None = None) -> int:
    """Run a command line and return its exit code.

    Args:
        arguments: Without the program's name.
        services: What commands work with; None: this machine's.
    """
    _never_fail_to_print()
    command = typer.main.get_command(build())
    as_json = "--json" in arguments
    name = next((word for word in arguments if not word.startswith("-")), "")
    services = services or Context()
    try:
        try:
            result = command.main(list(arguments), prog_name="irrunner", standalone_mode=False, obj=services)
        finally:  # of several runs one may have failed or been interrupted: the others have ended
            tell_ended(services)
        if result == EXIT_INTERRUPTED:  # typer's answer to KeyboardInterrupt
            raise _interruption(services.run_id)
    except IRRunnerError as problem:
        print_error(problem, as_json=as_json, command=name)
        return problem.exit_code
    except typer.Abort:
        print_error(_interruption(services.run_id), as_json=as_json, command=name)
        return EXIT_INTERRUPTED
    except Exception as problem:  # noqa: BLE001 - the process edge: a defect is told like any other error
        return _told_otherwise(problem, as_json=as_json, name=name)
    return result if isinstance(result, int) else 0


def _never_fail_to_print() -> None:
    """Let a terminal that lacks a character show a question mark instead of a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _interruption(run_id: str) -> Interrupted:
    if not run_id:
        return Interrupted("interrupted; no run was started", hint="irrunner runs shows open ones")
    return Interrupted(
        f"run {run_id} is parked and stays resumable", hint=f"irrunner resume {run_id}", run_id=run_id
    )


def _told_otherwise(problem: Exception, *, as_json: bool, name: str) -> int:
    """Print a usage error or a defect; return the exit code.

    Typer keeps its exceptions to itself: its usage errors are known by what they can do.
    """
    context = getattr(problem, "ctx", None)
    message = problem.format_message() if hasattr(problem, "format_message") else None
    if message is None:
        defect = Defect(f"{type(problem).__name__}: {problem}{_place(problem)}", hint=DEFECT_HINT)
        print_error(defect, as_json=as_json, command=name)
        if os.environ.get("IRRUNNER_TRACE"):
            traceback.print_exception(problem)
        return defect.exit_code
    if "Usage:" in message or not message:  # a group without a command shows its help
        problem.show()  # type: ignore[attr-defined]
        return EXIT_INVALID_INPUT
    if context is not None:
        sys.stderr.write(f"{context.get_usage()}\n")
    hint = f"{context.command_path if context else 'irrunner'} --help"
    print_error(InvalidArgument(message, hint=hint), as_json=as_json, command=name)
    return EXIT_INVALID_INPUT


DEFECT_HINT: Final = (
    "this is a defect of irrunner: nothing recorded is lost, `irrunner runs` shows it; "
    "IRRUNNER_TRACE=1 adds the trace for a report"
)


def _place(problem: Exception) -> str:
    """Return where an exception was raised, for a report without a trace."""
    frames = traceback.extract_tb(problem.__traceback__)
    return f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
