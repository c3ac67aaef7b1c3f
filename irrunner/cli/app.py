"""The command line: names, exit codes and JSON are a contract (docs/reference/cli.md)."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.metadata import entry_points

import typer

from irrunner.cli import library, runs
from irrunner.cli.context import Context
from irrunner.cli.output import print_error
from irrunner.errors import EXIT_INTERRUPTED, IRRunnerError


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
    for point in entry_points(group="irrunner.commands"):
        _add_lazily(app, point.name, point.value)
    return app


def _add_lazily(app: typer.Typer, name: str, value: str) -> None:
    """Add a command of another package without importing it before it is called."""
    settings = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}

    @app.command(
        name, context_settings=settings, help=HELP.get(name, f"Commands of {value.partition(':')[0]}.")
    )
    def _(context: typer.Context) -> None:
        point = next(point for point in entry_points(group="irrunner.commands") if point.name == name)
        command = typer.main.get_command(point.load())
        command.main(context.args, prog_name=f"irrunner {name}", standalone_mode=False)


HELP = {
    "gameday": "Game days, and the simulated organisation: irrunner gameday world serve.",
    "demo": "A real-shaped finding against the simulated organisation, start to report.",
    "test": "Run the tests: section of playbooks on the simulated world.",
}


def run(arguments: Sequence[str]) -> int:
    """Run a command line and return its exit code.

    Args:
        arguments: Without the program's name.
    """
    command = typer.main.get_command(build())
    as_json = "--json" in arguments
    try:
        result = command.main(list(arguments), prog_name="irrunner", standalone_mode=False, obj=Context())
    except IRRunnerError as problem:
        print_error(problem, as_json=as_json)
        return problem.exit_code
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return EXIT_INTERRUPTED
    except typer.Exit as leaving:
        return leaving.exit_code
    except typer.Abort:
        return EXIT_INTERRUPTED
    except Exception as problem:
        show = getattr(problem, "show", None)  # click's usage errors know how to show themselves
        if show is None:
            raise
        show()
        return int(getattr(problem, "exit_code", 2))
    return result if isinstance(result, int) else 0
