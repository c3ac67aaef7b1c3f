"""Tell other packages (entry points ``irrunner.ended``) of the runs that a command drove to their end."""

from __future__ import annotations

import sys
from importlib.metadata import entry_points

from irrunner.cli.context import Context
from irrunner.cli.output import plain


def tell_ended(services: Context) -> None:
    """Call each with the services and a run's id, whether the command itself ended well or not.

    What they make of it never changes how the run ended: a failure, or Ctrl-C, is a warning.
    """
    for run_id in services.ended:
        for point in entry_points(group="irrunner.ended"):
            try:
                point.load()(services, run_id)
            except (Exception, KeyboardInterrupt) as problem:  # noqa: BLE001 - the border to other packages
                why = plain(problem) or type(problem).__name__
                sys.stderr.write(f"warning: {plain(point.name)}: run {run_id}: {why}\n")
