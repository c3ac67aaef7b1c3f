"""The command line's entry: answers ``--version`` before anything heavy is imported."""

from __future__ import annotations

import sys

from irrunner import __version__


def main() -> None:
    """Run the command line and exit with its code."""
    if sys.argv[1:] == ["--version"]:
        sys.stdout.write(f"irrunner {__version__}\n")
        return
    from irrunner.cli.app import run  # noqa: PLC0415 - typer costs 60 to 300 ms

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
