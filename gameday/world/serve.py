"""The world as a process of its own, which outlives a killed runner."""

from __future__ import annotations

import json
import signal
import sys
import threading
from pathlib import Path
from types import FrameType

from gameday.world.world import World


def serve(*, port: int, seed: int, event: Path | None, directory: Path | None) -> None:
    """Serve a world until SIGTERM or SIGINT; print the ready line first.

    Args:
        port: On the loopback interface; 0: a free one.
        seed: Same seed, same ids.
        event: File with an event whose resources shall exist.
        directory: For configuration and store; None: a temporary one, removed at the end.

    Raises:
        FindingMalformed: If the event is no event.
        OSError: If the file cannot be read or the port is taken.
    """
    content = event.read_bytes() if event else None
    ended = threading.Event()

    def end(_signal: int, _frame: FrameType | None) -> None:
        ended.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    with World.build(seed=seed, event=content, port=port, directory=directory) as world:
        sys.stdout.write(json.dumps(world.ready(), sort_keys=True) + "\n")
        sys.stdout.flush()
        ended.wait()
