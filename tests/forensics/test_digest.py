"""The digest of a snapshot: right, the same on both sides, resumable, and not fooled by a damaged block."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from forensics.digest import BLOCK_BYTES, CHUNK_BLOCKS, Progress, SnapshotDigest, digest_of, read_progress
from irrunner.errors import InvalidCall, ServiceUnavailable, VerificationFailed

SNAPSHOT = "snap-0123456789abcdef0"


def block(text: str) -> bytes:
    """The bytes of a block."""
    return hashlib.sha256(text.encode()).digest() * (BLOCK_BYTES // 32)


@dataclass
class Blocks:
    """EBS direct APIs of one snapshot."""

    held: dict[int, bytes]
    size_gib: int = 8
    page: int = 100
    damaged: dict[int, int] = field(default_factory=dict)
    """Index to how many more reads come back damaged."""
    expired: set[int] = field(default_factory=set)
    fails_at: int = -1
    """Reads until the service is gone once."""
    read: list[int] = field(default_factory=list)
    algorithm: str = "SHA256"

    def call(self, operation: str, /, **asked: Any) -> Mapping[str, Any]:
        """Answer a read."""
        return self.listed(**asked) if operation == "ebs:ListSnapshotBlocks" else self.got(**asked)

    def listed(self, **asked: Any) -> Mapping[str, Any]:
        """List blocks; a page may hold fewer than were asked for."""
        assert asked["MaxResults"] >= 100
        start = int(asked.get("NextToken") or asked.get("StartingBlockIndex") or 0)
        rest = sorted(index for index in self.held if index >= start)
        fresh = "fresh" if asked["MaxResults"] == 100 else "first"
        more = {"NextToken": str(rest[self.page])} if len(rest) > self.page else {}
        return {
            "Blocks": [{"BlockIndex": index, "BlockToken": fresh} for index in rest[: self.page]],
            "BlockSize": BLOCK_BYTES, "VolumeSize": self.size_gib, **more,
        }  # fmt: skip

    def got(self, **asked: Any) -> Mapping[str, Any]:
        """Return a block."""
        index = asked["BlockIndex"]
        if index in self.expired and asked["BlockToken"] != "fresh":
            raise InvalidCall("the token has expired")
        if len(self.read) == self.fails_at:
            self.fails_at = -1
            raise ServiceUnavailable("gone")
        self.read.append(index)
        data = self.held[index]
        checksum = base64.b64encode(hashlib.sha256(data).digest()).decode()
        if self.damaged.get(index, 0):
            self.damaged[index] -= 1
            data = b"\1" + data[1:]
        return {"BlockData": io.BytesIO(data), "Checksum": checksum, "ChecksumAlgorithm": self.algorithm}


def some(count: int = 30) -> dict[int, bytes]:
    """Blocks over three chunks."""
    return {number * CHUNK_BLOCKS // 10: block(str(number)) for number in range(count)}


def test_the_digest_is_the_documented_function_of_the_blocks() -> None:
    """Computed here once more, in the plainest way, from index and SHA-256 of each block."""
    held = some()
    chunks: dict[int, bytes] = {}
    for index, data in sorted(held.items()):
        number = index // CHUNK_BLOCKS
        chunks[number] = chunks.get(number, b"") + index.to_bytes(8, "big") + hashlib.sha256(data).digest()
    plain = hashlib.sha256(b"irrunner snapshot digest 1 block 524288 chunk 2048\n")
    for number, text in sorted(chunks.items()):
        plain.update(number.to_bytes(8, "big") + hashlib.sha256(text).digest())

    assert digest_of(Blocks(held), SNAPSHOT) == plain.hexdigest()


def test_a_block_of_zeros_is_like_one_that_was_never_written() -> None:
    """A copy may hold zeros where its source holds nothing: the content is the same."""
    held = some()
    assert digest_of(Blocks(held | {9_999: bytes(BLOCK_BYTES)}), SNAPSHOT) == digest_of(
        Blocks(held), SNAPSHOT
    )


@pytest.mark.parametrize(
    "other",
    [
        some() | {0: block("changed")},
        some() | {1: block("more")},
        some(29),
        {key + 1: data for key, data in some().items()},
    ],
    ids=["changed", "more", "less", "moved"],
)  # fmt: skip
def test_any_other_content_has_another_digest(other: dict[int, bytes]) -> None:
    """One block changed, added, taken away, or all of them moved."""
    assert digest_of(Blocks(other), SNAPSHOT) != digest_of(Blocks(some()), SNAPSHOT)


@pytest.mark.parametrize("page", [1, 7, 1000])
@pytest.mark.parametrize("workers", [1, 8])
def test_neither_pages_nor_threads_change_it(page: int, workers: int) -> None:
    """AWS chooses the pages, the machine the threads."""
    assert digest_of(Blocks(some(), page=page), SNAPSHOT, workers=workers) == digest_of(
        Blocks(some()), SNAPSHOT
    )


def test_it_goes_on_at_the_chunk_where_it_was(tmp_path: Path) -> None:
    """Interrupted at any read, taken up from the file by another process: no finished chunk is read again."""
    whole = digest_of(Blocks(some()), SNAPSHOT)
    for reads in range(1, 30, 4):
        blocks, path = Blocks(some(), fails_at=reads), tmp_path / f"{reads}.json"
        digest = SnapshotDigest(blocks, Progress(SNAPSHOT), workers=1)
        with pytest.raises(ServiceUnavailable):
            digest.run()
        digest.progress.write(path)
        kept = read_progress(path, SNAPSHOT)
        done = sum(index < kept.next_chunk * CHUNK_BLOCKS for index in some())
        blocks.read.clear()

        assert SnapshotDigest(blocks, kept).run() == whole
        assert len(blocks.read) == 30 - done
        assert path.stat().st_mode & 0o077 == 0


def test_slices_are_bounded() -> None:
    """A slice ends after the chunk in which its blocks are up: the thread is given back."""
    digest = SnapshotDigest(Blocks(some()), Progress(SNAPSHOT))
    digest.advance(most_blocks=1)
    assert (digest.progress.done, digest.progress.blocks, digest.progress.percent) == (False, 10, 12)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"version": 1}',
        f'{{"version": 0, "snapshot_id": "{SNAPSHOT}"}}',
        f'{{"version": 1, "snapshot_id": "{SNAPSHOT}", "chunks": {{"x": "y"}}}}',
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_trusted_is_begun_anew(tmp_path: Path, text: str) -> None:
    """Truncated, foreign or of another version: reading again is safe, believing is not."""
    path = tmp_path / "progress.json"
    path.write_text(text, encoding="utf-8")
    assert read_progress(path, SNAPSHOT) == Progress(SNAPSHOT)
    Progress("snap-00000000000000009", {1: "aa"}, 2).write(path)
    assert read_progress(path, SNAPSHOT) == Progress(SNAPSHOT)


def test_a_block_damaged_on_its_way_is_read_again() -> None:
    """Data and checksum differ once: the second read settles it."""
    assert digest_of(Blocks(some(), damaged={0: 2}), SNAPSHOT) == digest_of(Blocks(some()), SNAPSHOT)


def test_a_block_that_stays_damaged_is_named() -> None:
    """AWS's checksum is not taken at its word: index, offset and both hashes are in the message."""
    index = sorted(some())[3]
    with pytest.raises(VerificationFailed, match=f"block {index} .byte {index * BLOCK_BYTES}. of {SNAPSHOT}"):
        digest_of(Blocks(some(), damaged={index: 9}), SNAPSHOT)


def test_another_checksum_than_sha256_is_refused() -> None:
    """What we cannot check we do not accept."""
    with pytest.raises(VerificationFailed, match="is not SHA256"):
        digest_of(Blocks(some(), algorithm="CRC32"), SNAPSHOT)


def test_expired_tokens_are_renewed() -> None:
    """A slow digest outlives its tokens."""
    assert digest_of(Blocks(some(), expired=set(some())), SNAPSHOT) == digest_of(Blocks(some()), SNAPSHOT)


def test_the_whole_content_is_hashed_with_its_holes() -> None:
    """As a hash over the disk would be: one GiB with two blocks in it; also after a failure half-way."""
    held = {1: block("a"), 2000: block("b")}
    plain = hashlib.sha256()
    for index in range(2048):
        plain.update(held.get(index, bytes(BLOCK_BYTES)))
    digest = SnapshotDigest(Blocks(held, size_gib=1, fails_at=1), Progress(SNAPSHOT), workers=1, content=True)
    with pytest.raises(ServiceUnavailable):
        digest.run()
    digest.run()
    assert digest.content_sha256 == plain.hexdigest()


def test_an_empty_snapshot_has_a_digest() -> None:
    """A volume that was never written to is evidence too."""
    digest = SnapshotDigest(Blocks({}), Progress(SNAPSHOT))
    assert len(digest.run()) == 64
    assert digest.progress.percent == 100
