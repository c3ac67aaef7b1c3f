"""Speed of the forensic parts, each against the plain thing that it wraps, in the same run on the same bytes.

``--digest``: the digest of a snapshot against ``hashlib.sha256`` over its blocks in a loop. Blocks come from
memory, so the network is not measured: what is left is hashing, comparing, and handing to threads.

Run ``python benchmarks/forensics.py`` for all parts; it exits with 1 where a floor is missed. A part is a
function that prints its rows and returns whether its floor is met: add it to :data:`PARTS`.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import io
import os
import random
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any, Final

# Run as a script it lies where `forensics` would be this file: the package is to be found first.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from forensics.digest import BLOCK_BYTES, Progress, SnapshotDigest

MIB: Final = 1 << 20
DIGEST_ON_ONE_CORE_MIN: Final = 0.7
BLOCKS: Final = 512


class Memory:
    """EBS direct APIs of one snapshot in memory, with checksums that were made beforehand."""

    def __init__(self, blocks: int) -> None:
        chance = random.Random(1)  # noqa: S311 - repeatability is the point
        self.blocks = [chance.randbytes(BLOCK_BYTES) for _ in range(blocks)]
        self._sums = [base64.b64encode(hashlib.sha256(data).digest()).decode() for data in self.blocks]

    def call(self, operation: str, /, **asked: Any) -> Mapping[str, Any]:
        """Answer a read."""
        if operation == "ebs:ListSnapshotBlocks":
            start = asked["StartingBlockIndex"]
            listed = [{"BlockIndex": i, "BlockToken": "t"} for i in range(start, len(self.blocks))]
            return {"Blocks": listed, "BlockSize": BLOCK_BYTES, "VolumeSize": 1}
        index = asked["BlockIndex"]
        data = io.BytesIO(self.blocks[index])
        return {"BlockData": data, "Checksum": self._sums[index], "ChecksumAlgorithm": "SHA256"}


def plain(memory: Memory) -> float:
    """Return the MiB a second of one loop over the blocks."""
    began = time.perf_counter()
    whole = hashlib.sha256()
    for data in memory.blocks:
        whole.update(hashlib.sha256(data).digest())
    return _speed(memory, time.perf_counter() - began)


def digested(memory: Memory, workers: int) -> float:
    """Return the MiB a second of the snapshot's digest."""
    began = time.perf_counter()
    SnapshotDigest(memory, Progress("snap-0123456789abcdef0"), workers=workers).run()
    return _speed(memory, time.perf_counter() - began)


def _speed(memory: Memory, seconds: float) -> float:
    return len(memory.blocks) * BLOCK_BYTES / MIB / seconds


def digest(rounds: int) -> bool:
    """Compare on one core, then with as many workers as there are cores, rounds alternating."""
    memory, cores = Memory(BLOCKS), len(os.sched_getaffinity(0))
    counts = sorted({1, 2, cores, 2 * cores})
    bare: list[float] = []
    ours: dict[int, list[float]] = {count: [] for count in counts}
    for _ in range(rounds):
        bare.append(plain(memory))
        for count in counts:
            ours[count].append(digested(memory, count))
    yardstick = median(bare)
    print(f"{'hashlib.sha256, one loop':28}{yardstick:>9.0f} MiB/s")
    for count, speeds in ours.items():
        print(
            f"{f'digest, {count} workers':28}{median(speeds):>9.0f} MiB/s{median(speeds) / yardstick:>8.2f}x"
        )
    met = median(ours[1]) / yardstick >= DIGEST_ON_ONE_CORE_MIN
    print(
        f"floor (one worker, at least {DIGEST_ON_ONE_CORE_MIN}x): {'met' if met else 'MISSED'}; {cores} cores"
    )
    return met


PARTS: Final[Mapping[str, Callable[[int], bool]]] = {"digest": digest}
"""Name of the option to what it measures; takes the rounds."""


def main() -> int:
    """Measure the parts that are named, else all; return 1 where a floor is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    for name, part in PARTS.items():
        parser.add_argument(f"--{name}", action="store_true", help=(part.__doc__ or "").splitlines()[0])
    options = parser.parse_args()
    named = [name for name in PARTS if getattr(options, name)] or list(PARTS)
    met = [PARTS[name](options.rounds) for name in named]
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
