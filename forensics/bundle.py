"""The exported bundle: everything that a stranger needs to check custody, and nothing that has to be trusted.

The same ledger, journals and files give the same bytes: there is no time of export, and an Ed25519 signature
of the same bytes is the same signature (one of KMS is not, so with a KMS key ``manifest.sig`` differs).
"""

from __future__ import annotations

import io
import itertools
import os
import secrets
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final

from forensics.archive import Source, write_archive
from forensics.chain import Chain
from forensics.collected import Findings, lacking
from forensics.files import (
    PRIVATE,
    PRIVATE_DIRECTORY,
    READ_ONLY,
    make_private,
    storing,
    sync_directory,
)
from forensics.page import index_page, read_me
from forensics.signing import Signer
from forensics.timeline import Timeline, as_csv, as_json_lines, is_trail, timeline_of
from forensics.vault import CHUNK_BYTES, Vault, VaultItem, chunks_from, digest_of, is_safe
from irrunner import __version__
from irrunner.errors import EvidenceError, InvalidArgument
from irrunner.journal.records import Record, canonical
from irrunner.journal.store import RunRow

SCHEMA: Final = "irrunner/evidence-bundle/v1"
MANIFEST: Final = "manifest.json"
SIGNATURE: Final = "manifest.sig"
LEDGER: Final = "ledger.jsonl"
PUBLIC_KEY: Final = "public-key.pem"
SUMS: Final = "SHA256SUMS"
UNLISTED: Final = frozenset({MANIFEST, SIGNATURE})
"""All but these are listed in the manifest; the manifest is signed."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What goes into a bundle."""

    row: RunRow
    chain: Chain
    ledger: Path
    """The ledger's file."""
    journals: Mapping[str, Sequence[Record]]
    items: Sequence[VaultItem] = ()
    missing: Sequence[str] = ()
    """Files of the vault that the ledger names and that are not there, or are not what it names."""
    collected: Findings = field(default_factory=Findings)
    """Files that actions stored in the evidence bucket."""
    vault: Vault | None = None
    largest_bytes: int = 1 << 28
    """Larger files of the vault stay there and are referred to by their hash."""


@dataclass(slots=True)
class _Files:
    """Sources by name, with what the manifest says of them."""

    sources: dict[str, Source] = field(default_factory=dict)
    listed: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add(self, name: str, source: Source, expected: str = "") -> None:
        with source() as content:
            sha256, size = digest_of(chunks_from(content))
        if expected and sha256 != expected:
            raise EvidenceError(f"{name} changed while it was exported", hint="export again, and compare")
        self.sources[name] = source
        self.listed[name] = {"sha256": sha256, "bytes": size}

    def add_text(self, name: str, text: str) -> None:
        self.add(name, _source(text.encode()))


def _source(data: bytes) -> Source:
    def opened() -> BinaryIO:
        return io.BytesIO(data)

    return opened


def _lines(records: Sequence[Record]) -> str:
    return "".join(f"{canonical(record.as_dict())}\n" for record in records)


def compose(parts: Parts, signer: Signer) -> dict[str, Source]:
    """Return the files of a bundle, signed.

    Args:
        parts: What goes into it.
        signer: Holder of the ledger's current key.
    """
    files = _Files()
    files.add(LEDGER, _source(_ledger_bytes(parts)))
    files.add_text(PUBLIC_KEY, signer.public.pem)
    for run_id, records in parts.journals.items():
        files.add_text(f"journals/{run_id}.jsonl", _lines(records))
        files.add_text(f"playbooks/{run_id}.yaml", str(records[0].body["playbook"]["text"]))
    references = [
        *_add_vault(parts, files),
        *({"name": name, "why": "missing"} for name in parts.missing),
        *_add_collected(parts, files),
        *parts.collected.lacking,
    ]
    timeline = _timeline(parts)
    files.add_text("timeline.jsonl", as_json_lines(timeline))
    files.add_text("timeline.csv", as_csv(timeline))
    manifest = _manifest(parts, signer, references) | {"warnings": timeline.warnings}
    files.add_text("index.html", index_page(parts, manifest))
    files.add_text("README.md", read_me(manifest, signer.public))
    sums = "".join(f"{entry['sha256']}  {name}\n" for name, entry in sorted(files.listed.items()))
    files.add_text(SUMS, sums)
    text = (canonical({**manifest, "files": files.listed}) + "\n").encode()
    signature = signer.sign(text)
    return {**files.sources, MANIFEST: _source(text), SIGNATURE: _source(signature)}


def _add_vault(parts: Parts, files: _Files) -> list[dict[str, Any]]:
    """Add files of the vault; return references to those that stay there."""
    references: list[dict[str, Any]] = []
    for item in parts.items:
        name = f"vault/{item.name}"
        if parts.vault is None or item.size_bytes > parts.largest_bytes or not is_safe(name):
            why = "too large" if is_safe(name) else "its name is none in a bundle"
            references.append(
                {"name": item.name, "why": why, "location": item.location, "version": item.version,
                 "sha256": item.sha256, "bytes": item.size_bytes}
            )  # fmt: skip
        else:
            files.add(name, _opener(parts.vault, item), item.sha256)
    return references


def _add_collected(parts: Parts, files: _Files) -> list[dict[str, Any]]:
    """Add files of the evidence bucket; return references to those that are too large."""
    references: list[dict[str, Any]] = []
    for file in parts.collected.files:
        if file.size_bytes > parts.largest_bytes:
            references.append(lacking(file.named, "too large") | {"bytes": file.size_bytes})
        elif file.named.name not in files.listed:
            files.add(file.named.name, file.open, file.named.sha256)
    return references


def _ledger_bytes(parts: Parts) -> bytes:
    """Return the ledger as it was checked: another process may have extended its file since."""
    with parts.ledger.open("rb") as stream:
        return b"".join(itertools.islice(stream, len(parts.chain.records) + parts.chain.seals))


def _timeline(parts: Parts) -> Timeline:
    vault, most = parts.vault, parts.largest_bytes
    readable = [item for item in parts.items if is_safe(item.name) and item.size_bytes <= most]
    trails = [item for item in readable if is_trail(item.name)]
    sources = {item.name: _opener(vault, item) for item in trails} if vault else {}
    collected = [file for file in parts.collected.files if file.size_bytes <= most]
    sources |= {file.named.name: file.open for file in collected if is_trail(file.named.name)}
    return timeline_of(parts.journals, sources)


def _opener(vault: Vault, item: VaultItem) -> Source:
    def opened() -> BinaryIO:
        return vault.open(item)

    return opened


def _manifest(parts: Parts, signer: Signer, references: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    chain = parts.chain
    return {
        "schema": SCHEMA, "incident_id": parts.row.incident_id, "run_id": parts.row.run_id,
        "tool": {"name": "irrunner", "version": __version__},
        "key_sha256": signer.public.fingerprint, "algorithm": signer.public.algorithm,
        "ledger": {
            "records": len(chain.records), "seals": chain.seals, "head_sha256": chain.head_sha256,
            "last_seal_sha256": chain.last_seal_sha256, "sealed_at": chain.last_seal_at,
        },
        "journals": {
            run_id: {"records": len(records), "head_sha256": records[-1].sha256}
            for run_id, records in parts.journals.items()
        },
        "references": list(references),
    }  # fmt: skip


def write_bundle(sources: Mapping[str, Source], out: Path) -> None:
    """Write a bundle: a ZIP where the name ends so, else a folder; all of it or nothing.

    Raises:
        InvalidArgument: If something is there already.
        VaultUnavailable: If it cannot be written.
        EvidenceError: If it is too large for a ZIP.
    """
    if out.exists() or out.is_symlink():
        raise InvalidArgument(
            f"{out} exists already", hint="name a new file or folder: nothing is overwritten"
        )
    beside = out.with_name(f".{out.name}.{secrets.token_hex(6)}")
    with storing(str(out)):
        out.parent.mkdir(parents=True, exist_ok=True)
        try:
            if out.suffix.lower() == ".zip":
                _write_zip(sources, beside)
            else:
                _write_folder(sources, beside)
            beside.rename(out)
        finally:
            shutil.rmtree(beside, ignore_errors=True) if beside.is_dir() else beside.unlink(missing_ok=True)
        sync_directory(out.parent)


def _write_zip(sources: Mapping[str, Source], path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, PRIVATE)
    with os.fdopen(descriptor, "wb") as stream:
        write_archive(stream, sources)
        stream.flush()
        os.fsync(stream.fileno())


def _write_folder(sources: Mapping[str, Source], folder: Path) -> None:
    folder.mkdir(PRIVATE_DIRECTORY)
    for name, source in sources.items():
        path = folder / name
        make_private(path.parent)
        with source() as content, path.open("xb") as stream:
            shutil.copyfileobj(content, stream, CHUNK_BYTES)
            stream.flush()
            os.fsync(stream.fileno())
        path.chmod(READ_ONLY)
