"""``irrunner gameday``: the simulated organisation as a server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Game days on a simulated AWS organisation.", no_args_is_help=True)
world = typer.Typer(help="The simulated organisation.", no_args_is_help=True)
app.add_typer(world, name="world")


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
    from gameday.world.serve import serve as run  # noqa: PLC0415 - moto takes a second to import
    from irrunner.errors import IRRunnerError  # noqa: PLC0415 - with it

    try:
        run(port=port, seed=seed, event=from_event, directory=directory)
    except (IRRunnerError, OSError) as problem:
        typer.echo(f"error: {problem}", err=True)
        raise typer.Exit(getattr(problem, "exit_code", 3)) from None
