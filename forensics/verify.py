"""Verify a bundle offline: no store, no AWS, no configuration; the first broken link is named.

The order is that of trust: the container, the ledger and its keys, the manifest that the last key signed,
the journals that the ledger refers to, and then every other file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final

from forensics.bundle import LEDGER, MANIFEST, PUBLIC_KEY, SCHEMA, SIGNATURE, UNLISTED
from forensics.chain import Chain, broken
from forensics.collected import first_unaccounted
from forensics.containers import Archive, Container, Folder
from forensics.signing import PublicKey, public_key
from forensics.vault import chunks_from, digest_of
from forensics.walk import LONGEST_LINE, read_chain
from irrunner.errors import InvalidArgument
from irrunner.journal.records import GENESIS, Record, canonical, first_break

LARGEST_MANIFEST_BYTES: Final = 64 << 20
LARGEST_KEY_BYTES: Final = 16_384
MANIFEST_FIELDS: Final = frozenset(
    {
        "schema", "incident_id", "run_id", "tool", "key_sha256", "algorithm", "ledger", "journals",
        "references", "files", "warnings",
    }
)  # fmt: skip


@dataclass(slots=True)
class Verdict:
    """What was verified."""

    incident_id: str
    run_id: str
    key_sha256: str
    keys: list[str]
    records: int
    head_sha256: str
    journals: int
    files: int
    references: list[Mapping[str, Any]]
    warnings: list[str] = field(default_factory=list)
    pinned: bool = False
    """Whether the key is one that the caller expected."""


def verify_bundle(path: Path, expected_key: str = "") -> Verdict:
    """Verify a bundle.

    Args:
        path: A folder or a ZIP file.
        expected_key: Fingerprint of a key that must have signed it, given by another way than the bundle.

    Returns:
        What it holds.

    Raises:
        InvalidArgument: If there is nothing to verify.
        CustodyBroken: Names the first broken link.
    """
    if path.exists() and not path.is_dir() and not path.is_file():
        raise InvalidArgument(f"{path} is no file and no folder", hint="name a bundle")
    try:
        container: Container = Folder(path) if path.is_dir() else Archive(path)
        verdict = _Bundle(container).verdict(expected_key)
    except OSError as problem:
        raise InvalidArgument(f"cannot read {path}: {problem.strerror}", hint="name a bundle") from problem
    if container.damaged:
        raise broken(f"archive entry {container.damaged[0]}", "has another checksum than the archive says")
    return verdict


@contextmanager
def _well_formed(link: str) -> Iterator[None]:
    try:
        yield
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as problem:
        raise broken(link, f"is malformed ({type(problem).__name__})") from None


class _Bundle:
    """The checks, in order."""

    def __init__(self, container: Container) -> None:
        self._container = container

    def verdict(self, expected_key: str) -> Verdict:
        for name in (LEDGER, MANIFEST, SIGNATURE, PUBLIC_KEY):
            if name not in self._container.names:
                raise broken("bundle", f"{name} is missing")
        with self._container.open(LEDGER) as stream:
            chain = read_chain(_lines_of(stream))
        check_key(chain, expected_key)
        with _well_formed(MANIFEST):
            manifest = self._signed_manifest(chain)
            self._about_ledger(manifest, chain)
            journals = self._journals(manifest)
            check_grounds(chain, journals)
            self._files(manifest)
            lost = first_unaccounted(chain, manifest["files"], manifest["references"])
            if lost is not None:
                raise broken(lost, "is not the file that the ledger names, or is not there and not told of")
            return Verdict(
                incident_id=manifest["incident_id"], run_id=manifest["run_id"],
                key_sha256=chain.keys[-1].fingerprint, keys=[key.fingerprint for key in chain.keys],
                records=len(chain.records), head_sha256=chain.head_sha256, journals=len(journals),
                files=len(manifest["files"]), references=manifest["references"],
                warnings=[*chain.warnings, *_unpinned(chain, expected_key), *_left_out(manifest),
                          *manifest["warnings"]],
                pinned=bool(expected_key),
            )  # fmt: skip

    def _bytes(self, name: str, limit: int) -> bytes:
        with self._container.open(name) as stream:
            data = stream.read(limit + 1)
        if len(data) > limit:
            raise broken(name, "is longer than any")
        return data

    def _signed_manifest(self, chain: Chain) -> Mapping[str, Any]:
        key = chain.keys[-1]
        if self._bytes(PUBLIC_KEY, LARGEST_KEY_BYTES).decode("ascii", "replace") != key.pem:
            raise broken(PUBLIC_KEY, f"is not the key that sealed the ledger, {key.fingerprint}")
        data = self._bytes(MANIFEST, LARGEST_MANIFEST_BYTES)
        if not key.verifies(self._bytes(SIGNATURE, LARGEST_KEY_BYTES), data):
            raise broken(MANIFEST, f"was changed, or was not signed by the key {key.fingerprint}")
        manifest: Mapping[str, Any] = json.loads(data)
        if (canonical(manifest) + "\n").encode() != data:
            raise broken(MANIFEST, "is not as it is written, or a name stands twice in it")
        if manifest["schema"] != SCHEMA or manifest.keys() != MANIFEST_FIELDS:
            raise broken(MANIFEST, f"is of another kind than {SCHEMA}: a newer irrunner may know it")
        return manifest

    @staticmethod
    def _about_ledger(manifest: Mapping[str, Any], chain: Chain) -> None:
        said = manifest["ledger"]
        if said["records"] != len(chain.records) or said["head_sha256"] != chain.head_sha256:
            at = min(said["records"], len(chain.records))
            raise broken(
                f"ledger record {at}",
                f"{said['records']} records were exported, and {len(chain.records)} are here",
            )
        if said["last_seal_sha256"] != chain.last_seal_sha256 or manifest["incident_id"] != chain.ledger:
            raise broken("ledger", "its last seal, or its name, is not the one that was exported")
        if manifest["key_sha256"] != chain.keys[-1].fingerprint:
            raise broken(MANIFEST, "names another key")

    def _journals(self, manifest: Mapping[str, Any]) -> dict[str, list[str]]:
        """Return the hashes of the records of each journal."""
        found: dict[str, list[str]] = {}
        for run_id, said in manifest["journals"].items():
            name = f"journals/{run_id}.jsonl"
            if name not in self._container.names:
                raise broken(name, "is missing")
            found[run_id] = self._journal(name, run_id)
            if (len(found[run_id]), (found[run_id] or [GENESIS])[-1]) != (
                said["records"],
                said["head_sha256"],
            ):
                raise broken(
                    f"{name} record {len(found[run_id])}", "records were cut off, or the head is another"
                )
        return found

    def _journal(self, name: str, run_id: str) -> list[str]:
        records: list[Record] = []
        with self._container.open(name) as stream:
            for line in _lines_of(stream):
                link = f"{name} record {len(records)}"
                with _well_formed(link):
                    document = json.loads(line)
                    if (canonical(document) + "\n").encode() != line:
                        raise broken(link, "is not as it is written, or a name stands twice in it")
                    records.append(Record(**document))
        with _well_formed(name):
            at = first_break(records)
        if at is not None or any(record.run_id != run_id for record in records):
            raise broken(f"{name} record {at or 0}", "was changed, removed, added or moved")
        return [record.sha256 for record in records]

    def _files(self, manifest: Mapping[str, Any]) -> None:
        listed = manifest["files"]
        for name, said in sorted(listed.items()):
            if name not in self._container.names:
                raise broken(name, "is missing")
            if self._measured(name) != (said["sha256"], said["bytes"]):
                raise broken(name, "is not the file that was exported")
        extra = sorted(self._container.names - set(listed) - UNLISTED)
        if extra:
            raise broken(extra[0], "does not belong to the bundle")

    def _measured(self, name: str) -> tuple[str, int]:
        with self._container.open(name) as stream:
            return digest_of(chunks_from(stream))


def check_key(chain: Chain, expected_key: str) -> None:
    """Check that a ledger was sealed by the expected key; empty: any.

    Raises:
        CustodyBroken: If it was not.
    """
    known = [key.fingerprint for key in chain.keys]
    if expected_key and expected_key not in known:
        raise broken("ledger record 0", f"is sealed by {known[-1]}, not by the expected {expected_key}")


def check_grounds(chain: Chain, journals: Mapping[str, Sequence[str]]) -> None:
    """Check that the journal record that each entry rests on is there.

    Args:
        chain: The ledger.
        journals: Run id to the hashes of its records.

    Raises:
        CustodyBroken: If one is not.
    """
    for seq, record in enumerate(chain.records):
        proof = record["body"].get("journal")
        if proof is None:
            continue
        hashes = journals.get(proof["run_id"], ())
        if not 0 <= proof["seq"] < len(hashes) or hashes[proof["seq"]] != proof["sha256"]:
            raise broken(f"ledger record {seq}", "rests on a journal record that is not there")


def _lines_of(stream: BinaryIO) -> Iterator[bytes]:
    while line := stream.readline(LONGEST_LINE + 1):
        yield line


def _unpinned(chain: Chain, expected_key: str) -> list[str]:
    told = f"nobody said which key to expect: compare {chain.keys[-1].fingerprint} with what you were given"
    return [] if expected_key else [f"{told} by another way, or give --key"]


def _left_out(manifest: Mapping[str, Any]) -> list[str]:
    return [f"{each['name']} is not in the bundle: {each['why']}" for each in manifest["references"]]


def expected_fingerprint(given: str) -> str:
    """Return the fingerprint that ``--key`` names: hex, with or without colons, or a PEM file.

    Raises:
        InvalidArgument: If it is neither.
    """
    text = given.strip().lower().removeprefix("sha256:").replace(":", "")
    if len(text) == len(GENESIS) and all(digit in "0123456789abcdef" for digit in text):
        return text
    try:
        return _key_of_file(Path(given)).fingerprint if given else ""
    except OSError:
        raise InvalidArgument(
            f"--key {given}: no fingerprint of 64 hex digits, and no file", hint="see the bundle's README.md"
        ) from None


def _key_of_file(path: Path) -> PublicKey:
    return public_key(path.read_text(encoding="ascii", errors="replace"))
