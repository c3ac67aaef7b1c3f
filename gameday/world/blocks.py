"""What is on the volumes: a few blocks each, the same for the same volume, and all the rest never written.

Snapshots keep what their volume held, copies what their snapshot held; so digests of both sides agree.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping
from typing import Any, Final

BLOCK_BYTES: Final = 524_288
PER_GIB: Final = 2048
WRITTEN: Final = 12
"""Blocks that a volume holds, beside its first one."""
ZEROS: Final = ""
"""Seed of a block that was written with zeros."""


def of_volume(volume: Any) -> dict[int, str]:
    """Return block index to the seed of its bytes."""
    chance = random.Random(f"blocks {volume.id}")  # noqa: S311 - repeatability is the point
    indexes = sorted({0, *chance.sample(range(1, max(2, int(volume.size)) * PER_GIB), WRITTEN)})
    seeds = {index: f"{volume.id} {index}" for index in indexes if index < int(volume.size) * PER_GIB}
    seeds[indexes[1]] = ZEROS
    return seeds | getattr(volume, "written", {})


def write(volume: Any, index: int, text: str) -> None:
    """Let something be written into a block of a volume; later snapshots have it."""
    volume.written = getattr(volume, "written", {}) | {index: text}


def of_snapshot(snapshot: Any) -> Mapping[int, str]:
    """Return block index to seed of what a snapshot holds."""
    held: Mapping[int, str] | None = getattr(snapshot, "blocks", None)
    return of_volume(snapshot.volume) if held is None else held


def data(seed: str) -> bytes:
    """Return the bytes of a block."""
    if seed == ZEROS:
        return bytes(BLOCK_BYTES)
    pattern = hashlib.sha512(seed.encode()).digest()
    return pattern * (BLOCK_BYTES // len(pattern))
