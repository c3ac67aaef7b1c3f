"""The content of a snapshot as one SHA-256, without an instance: EBS direct APIs, block by block.

Each block's bytes are hashed here and compared with the checksum that AWS returns, so that neither side is
taken at its word. The digest of the snapshot is SHA-256 over its chunks, a chunk's is SHA-256 over index and
SHA-256 of its blocks; blocks of zeros count like blocks that were never written. So it is the same for a
volume's snapshot and for its copy under another key in another account. Chunks are what progress is kept in.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias

from irrunner.errors import InvalidCall, VerificationFailed

BLOCK_BYTES: Final = 524_288
CHUNK_BLOCKS: Final = 2_048
"""1 GiB: what one page of ListSnapshotBlocks holds, and what an interruption costs at most."""
GIB_BLOCKS: Final = 2_048
READS_OF_A_BLOCK: Final = 3
"""A damaged block is read again: the damage may be the network's."""
WORKERS: Final = 8
FEWEST_LISTED: Final = 100
"""MaxResults of ListSnapshotBlocks is at least this."""
VERSION: Final = 1

_ZEROS: Final = bytes(BLOCK_BYTES)
_ZERO_SHA256: Final = hashlib.sha256(_ZEROS).digest()
_HEADER: Final = f"irrunner snapshot digest {VERSION} block {BLOCK_BYTES} chunk {CHUNK_BLOCKS}\n".encode()


class BlockApi(Protocol):
    """Reads blocks of snapshots: a session in the account and Region."""

    def call(self, operation: str, /, **params: Any) -> Mapping[str, Any]:
        """Call ``ebs:ListSnapshotBlocks`` or ``ebs:GetSnapshotBlock``."""


Block: TypeAlias = tuple[int, str]
"""Index and token."""


@dataclass(slots=True)
class Progress:
    """What is known of a snapshot so far: JSON-able, 64 characters for each GiB that holds data."""

    snapshot_id: str
    chunks: dict[int, str] = field(default_factory=dict)
    """Number of a chunk to its SHA-256; chunks without data are left out."""
    next_chunk: int = 0
    blocks: int = 0
    """Read so far."""
    zero_blocks: int = 0
    size_gib: int = 0
    done: bool = False

    @property
    def sha256(self) -> str:
        """Return the digest of the chunks that are known."""
        whole = hashlib.sha256(_HEADER)
        for number, chunk in sorted(self.chunks.items()):
            whole.update(number.to_bytes(8, "big") + bytes.fromhex(chunk))
        return whole.hexdigest()

    @property
    def percent(self) -> int:
        """Return how much of the volume's length is behind us."""
        if self.done:
            return 100
        return min(99, self.next_chunk * CHUNK_BLOCKS * 100 // max(1, self.size_gib * GIB_BLOCKS))

    def write(self, path: Path) -> None:
        """Write to a file, whole or not at all, for our eyes only."""
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = path.with_suffix(f".{os.getpid()}.tmp")
        text = json.dumps({"version": VERSION, **asdict(self)})
        fresh.touch(mode=0o600)
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(path)


def read_progress(path: Path, snapshot_id: str) -> Progress:
    """Return the progress of a file; a fresh one where there is none, or where it cannot be trusted."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if values.pop("version") != VERSION or values["snapshot_id"] != snapshot_id:
            return Progress(snapshot_id)
        values["chunks"] = {int(number): str(chunk) for number, chunk in values["chunks"].items()}
        return Progress(**values)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return Progress(snapshot_id)


class SnapshotDigest:
    """The digest of one snapshot, in slices."""

    def __init__(
        self, api: BlockApi, progress: Progress, *, workers: int = WORKERS, content: bool = False
    ) -> None:
        """Take up a digest; nothing is read yet.

        Args:
            api: Reads in the account and Region of the snapshot.
            progress: Where it stands.
            workers: Blocks that are read at the same time.
            content: Also hash the whole content in order, holes as zeros, as a hash of the disk would be;
                it cannot be taken up by another process, so it starts at the beginning.
        """
        self.api = api
        self.progress = Progress(progress.snapshot_id) if content else progress
        self._workers = workers
        self._content = hashlib.sha256() if content else None
        self._next_index = 0

    @property
    def content_sha256(self) -> str | None:
        """Return the SHA-256 of the whole content, once all of it was read."""
        return self._content.hexdigest() if self._content and self.progress.done else None

    def run(self) -> str:
        """Read everything and return the digest."""
        while not self.progress.done:
            self.advance()
        return self.progress.sha256

    def advance(self, most_blocks: int = 4 * CHUNK_BLOCKS) -> None:
        """Read on, whole chunks only, until so many blocks were read or the snapshot ends.

        Raises:
            VerificationFailed: If a block's data is not what AWS's checksum says.
            ActionError: As mapped by the seam.
        """
        progress, before = self.progress, self.progress.blocks
        with ThreadPoolExecutor(self._workers) as pool:
            for number, listed in groupby(self._listed(), key=lambda block: block[0] // CHUNK_BLOCKS):
                self._chunk(number, listed, pool)
                if progress.blocks - before >= most_blocks:
                    return
        progress.done = True
        self._fill(progress.size_gib * GIB_BLOCKS)

    def _chunk(self, number: int, listed: Iterable[Block], pool: ThreadPoolExecutor) -> None:
        chunk, blocks, zeros = hashlib.sha256(), 0, 0
        for index, digest, data in self._read(listed, pool):
            blocks += 1
            if digest == _ZERO_SHA256:
                zeros += 1
            else:
                chunk.update(index.to_bytes(8, "big") + digest)
            if self._content is not None and index >= self._next_index:
                self._fill(index)
                self._content.update(data)
                self._next_index = index + 1
        if blocks > zeros:
            self.progress.chunks[number] = chunk.hexdigest()
        self.progress.blocks += blocks
        self.progress.zero_blocks += zeros
        self.progress.next_chunk = number + 1

    def _fill(self, index: int) -> None:
        """Hash the hole before a block as zeros."""
        if self._content is not None:
            for _ in range(index - self._next_index):
                self._content.update(_ZEROS)
            self._next_index = max(index, self._next_index)

    def _listed(self) -> Iterator[Block]:
        asked: dict[str, Any] = {
            "SnapshotId": self.progress.snapshot_id,
            "StartingBlockIndex": self.progress.next_chunk * CHUNK_BLOCKS,
            "MaxResults": CHUNK_BLOCKS,
        }
        while True:
            answer = self.api.call("ebs:ListSnapshotBlocks", **asked)
            if answer.get("BlockSize", BLOCK_BYTES) != BLOCK_BYTES:
                raise VerificationFailed(f"blocks of {answer['BlockSize']} bytes, not {BLOCK_BYTES}")
            self.progress.size_gib = int(answer.get("VolumeSize") or self.progress.size_gib)
            yield from ((block["BlockIndex"], block["BlockToken"]) for block in answer.get("Blocks") or ())
            if not answer.get("NextToken"):
                return
            asked = {**asked, "NextToken": answer["NextToken"]}
            asked.pop("StartingBlockIndex", None)

    def _read(self, listed: Iterable[Block], pool: ThreadPoolExecutor) -> Iterator[tuple[int, bytes, bytes]]:
        """Read blocks in parallel and yield them in order; no more are in memory than are being read."""
        running: deque[tuple[int, Future[tuple[bytes, bytes]]]] = deque()
        for index, token in listed:
            running.append((index, pool.submit(self._block, index, token)))
            if len(running) > 2 * self._workers:
                first, future = running.popleft()
                yield (first, *future.result())
        while running:
            first, future = running.popleft()
            yield (first, *future.result())

    def _block(self, index: int, token: str) -> tuple[bytes, bytes]:
        """Return a block's SHA-256 and, where the content is hashed, its bytes."""
        found = claimed = b""
        for _ in range(READS_OF_A_BLOCK):
            answer = self._get(index, token)
            data = answer["BlockData"].read()
            found, claimed = hashlib.sha256(data).digest(), _claimed(answer)
            if found == claimed and len(data) == BLOCK_BYTES:
                return found, data if self._content is not None else b""
        raise VerificationFailed(
            f"block {index} (byte {index * BLOCK_BYTES}) of {self.progress.snapshot_id}: its data has SHA-256"
            f" {found.hex()}, AWS says {claimed.hex()}, {READS_OF_A_BLOCK} times",
            hint="the snapshot or the way to it is damaged: digest the other side, and ask AWS",
        )

    def _get(self, index: int, token: str) -> Mapping[str, Any]:
        asked = {"SnapshotId": self.progress.snapshot_id, "BlockIndex": index}
        try:
            return self.api.call("ebs:GetSnapshotBlock", **asked, BlockToken=token)
        except InvalidCall:  # the token has expired: a fresh one, or the refusal stands
            return self.api.call("ebs:GetSnapshotBlock", **asked, BlockToken=self._fresh_token(index))

    def _fresh_token(self, index: int) -> str:
        answer = self.api.call(
            "ebs:ListSnapshotBlocks",
            SnapshotId=self.progress.snapshot_id,
            StartingBlockIndex=index,
            MaxResults=FEWEST_LISTED,
        )
        tokens = {block["BlockIndex"]: block["BlockToken"] for block in answer.get("Blocks") or ()}
        if index not in tokens:
            raise VerificationFailed(f"block {index} of {self.progress.snapshot_id} is not listed any more")
        return str(tokens[index])


def _claimed(answer: Mapping[str, Any]) -> bytes:
    if answer.get("ChecksumAlgorithm") != "SHA256":
        raise VerificationFailed(f"checksum {answer.get('ChecksumAlgorithm')!r} is not SHA256")
    return base64.b64decode(answer["Checksum"])


def digest_of(api: BlockApi, snapshot_id: str, *, workers: int = WORKERS) -> str:
    """Return the digest of a snapshot.

    Args:
        api: Reads in its account and Region.
        snapshot_id: The snapshot.
        workers: Blocks that are read at the same time.
    """
    return SnapshotDigest(api, Progress(snapshot_id), workers=workers).run()
