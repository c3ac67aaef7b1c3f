"""``irrunner gameday``, ``irrunner demo`` and ``irrunner test``: what needs the simulated organisation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from gameday.environment import secluded
from irrunner.errors import IRRunnerError, SettingsError

app = typer.Typer(
    help="Game days on a simulated AWS organisation.", no_args_is_help=True, add_completion=False
)
world = typer.Typer(help="The simulated organisation.", no_args_is_help=True)
app.add_typer(world, name="world")
test = typer.Typer(help="Run the tests: section of playbooks on the simulated world.", add_completion=False)
demo = typer.Typer(
    help="A finding against the simulated organisation, start to report.", add_completion=False
)

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


@contextmanager
def _simulator() -> Iterator[None]:
    """Import the simulated organisation, or say what to install: it is an extra."""
    try:
        with secluded():
            yield
    except ModuleNotFoundError as problem:
        raise SettingsError(
            f"the simulated organisation is not installed: {problem}",
            hint="pip install 'irrunner[gameday]'",
        ) from problem


@app.callback()
def _game_days() -> None:
    """Game days on a simulated AWS organisation."""


@world.callback()
def _world() -> None:
    """The simulated organisation."""


@world.command()
def serve(
    *,
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; 0: a free one.", min=0, max=65535)] = 0,
    seed: Annotated[int, typer.Option(help="The same seed gives the same ids.")] = 1,
    from_event: Annotated[
        Path | None, typer.Option(help="Build the world that this event speaks of.", metavar="FILE")
    ] = None,
    directory: Annotated[
        Path | None, typer.Option(help="Keep configuration and store here; default: removed at the end.")
    ] = None,
) -> None:
    """Serve a simulated organisation until it is told to end; prints one JSON line when ready.

    Example: irrunner gameday world serve --port 4566 --seed 7 --from-event finding.json
    """
    try:
        with _simulator():
            from gameday.world.serve import serve as run  # noqa: PLC0415 - moto takes a second to import

        with secluded():
            run(port=port, seed=seed, event=from_event, directory=directory)
    except (IRRunnerError, OSError) as problem:
        typer.echo(f"error: {problem}", err=True)
        raise typer.Exit(getattr(problem, "exit_code", 3)) from None


@test.command()
def _test(
    paths: Annotated[list[str], typer.Argument(help="Files, directories or ids.", metavar="PATH")],
    *,
    only: Annotated[str, typer.Option(help="Only tests with this in their name.")] = "",
    as_json: Json = False,
) -> int:
    """Run the tests of playbooks on the simulated organisation, by the real engine.

    Exit code 0: all hold; 1: some do not; 2: a test cannot be read; 3: there was nothing to test.

    Example: irrunner test playbooks
    """
    with _simulator():
        from gameday.test_command import run_tests  # noqa: PLC0415 - moto takes a second to import

    return run_tests(paths, only=only, as_json=as_json)


@demo.command()
def _demo(
    *,
    keep: Annotated[
        Path | None, typer.Option(help="Keep finding, configuration and journal here.", metavar="DIR")
    ] = None,
    as_json: Json = False,
) -> int:
    """Show one incident from its finding to its undo, on a simulated organisation; no account is needed.

    Exit code 0: every check held; 1: one did not.

    Example: irrunner demo
    """
    with _simulator():
        from gameday.demo import Audience, run_demo  # noqa: PLC0415 - moto takes a second to import
        from gameday.demo_screen import Screen  # noqa: PLC0415 - with it
    from irrunner.cli.output import print_json  # noqa: PLC0415 - as above

    document = run_demo(Audience() if as_json else Screen(keep), keep)
    if as_json:
        print_json(document)
    return int(document["exit_code"])
