"""The custody chain as bytes: hash-chained records, and seals that sign everything before them.

A ledger is lines of canonical JSON. A *record* line holds the record and its SHA-256; each record holds the
hash of the one before it. A *seal* line is a signed statement: so many records, this head, and the hash of
the seal before. A batch of records is sealed once, because a seal covers all that stands before it: checking
the newest seal of each key checks every record and every earlier seal, and costs one signature, not one for
each record. A ledger ends with a seal; what stands behind the last one was never sealed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from forensics.signing import PublicKey, Signer, public_key
from irrunner.clock import iso
from irrunner.errors import CustodyBroken
from irrunner.journal.records import GENESIS, canonical, digest

SEAL_SCHEMA: Final = "irrunner/custody-seal/v1"
ROTATION_SCHEMA: Final = "irrunner/custody-key-rotation/v1"
KEY: Final = "key"
ROTATED: Final = "key-rotated"
EVIDENCE: Final = "evidence"
ATTEMPT: Final = "attempt"
JOURNAL: Final = "journal"
KEEP_HINT: Final = "keep it as it is, and compare with another copy; ask whoever holds the original"


@dataclass(frozen=True, slots=True)
class Entry:
    """What is to be recorded: the same id is recorded once."""

    entry_id: str
    kind: str
    at: str
    body: Mapping[str, Any]


@dataclass(slots=True)
class Chain:
    """A ledger that was checked up to its last seal."""

    ledger: str = ""
    records: list[Mapping[str, Any]] = field(default_factory=list)
    hashes: list[str] = field(default_factory=list)
    keys: list[PublicKey] = field(default_factory=list)
    """Every key that sealed it, the first one first."""
    seal_hashes: list[str] = field(default_factory=list)
    last_seal: str = ""
    """Its line, without the line end."""
    last_seal_at: str = ""
    sealed: int = 0
    """Records under the last seal."""
    warnings: list[str] = field(default_factory=list)

    @property
    def head_sha256(self) -> str:
        """Hash of the last record."""
        return self.hashes[-1] if self.hashes else GENESIS

    @property
    def seals(self) -> int:
        """How many seals there are."""
        return len(self.seal_hashes)

    @property
    def last_seal_sha256(self) -> str:
        """Hash of the last seal's line."""
        return self.seal_hashes[-1] if self.seal_hashes else GENESIS

    @property
    def ids(self) -> frozenset[str]:
        """Ids of the records."""
        return frozenset(str(record["id"]) for record in self.records)


def broken(link: str, what: str) -> CustodyBroken:
    """Return the error that names the first broken link."""
    return CustodyBroken(f"{link}: {what}", hint=KEEP_HINT, link=link)


def record_line(ledger: str, seq: int, entry: Entry, prev_sha256: str) -> tuple[str, str]:
    """Return the line of a record, and its hash."""
    text = canonical(
        {
            "at": entry.at, "body": dict(entry.body), "id": entry.entry_id, "kind": entry.kind,
            "ledger": ledger, "prev_sha256": prev_sha256, "seq": seq,
        }
    )  # fmt: skip
    sha256 = digest(text)
    return record_text(text, sha256), sha256


def record_text(text: str, sha256: str) -> str:
    """Return the line of a record's canonical text."""
    return f'{{"record":{text},"sha256":"{sha256}"}}'


def seal_line(chain: Chain, signer: Signer, at: str) -> str:
    """Return a seal over all records of a chain."""
    statement = canonical(
        {
            "at": at, "count": len(chain.records), "head_sha256": chain.head_sha256,
            "key_sha256": signer.public.fingerprint, "ledger": chain.ledger, "number": chain.seals,
            "prev_seal_sha256": chain.last_seal_sha256, "schema": SEAL_SCHEMA,
        }
    )  # fmt: skip
    return f'{{"seal":{statement},"signature":"{signer.sign(statement.encode()).hex()}"}}'


def key_entry(key: PublicKey, at: datetime) -> Entry:
    """Return the first record of a ledger: the key that seals it."""
    body = {"algorithm": key.algorithm, "fingerprint": key.fingerprint, "pem": key.pem}
    return Entry(f"key/{key.fingerprint}", KEY, iso(at), body)


def rotation(old: Signer, new: PublicKey, at: datetime) -> dict[str, Any]:
    """Return the announcement of a new key, signed by the old one."""
    statement = {
        "at": iso(at), "new_key_pem": new.pem, "new_key_sha256": new.fingerprint,
        "old_key_sha256": old.public.fingerprint, "schema": ROTATION_SCHEMA,
    }  # fmt: skip
    return {"statement": statement, "signature": old.sign(canonical(statement).encode()).hex()}


def rotated_key(announcement: Mapping[str, Any], old: PublicKey, link: str) -> PublicKey:
    """Return the key that an announcement names.

    Raises:
        CustodyBroken: If the old key did not sign it.
    """
    statement = announcement["statement"]
    new = public_key(statement["new_key_pem"])
    if statement["schema"] != ROTATION_SCHEMA or statement["new_key_sha256"] != new.fingerprint:
        raise broken(link, "the announcement of a new key is malformed")
    signed = old.verifies(unhex(announcement["signature"]), canonical(statement).encode())
    if statement["old_key_sha256"] != old.fingerprint or not signed:
        raise broken(link, f"the new key {new.fingerprint} was not announced by {old.fingerprint}")
    return new


def extended(chain: Chain, entries: Sequence[Entry], signer: Signer, at: datetime) -> list[str]:
    """Add entries to a chain and seal them; return the new lines.

    Args:
        chain: A checked chain; it is changed.
        entries: New entries.
        signer: Holder of the chain's current key, or of the key of its last rotation.
        at: When it is sealed.
    """
    lines = []
    for entry in entries:
        line, sha256 = record_line(chain.ledger, len(chain.records), entry, chain.head_sha256)
        chain.records.append(json.loads(line)["record"])
        chain.hashes.append(sha256)
        lines.append(line)
    lines.append(seal_line(chain, signer, iso(at)))
    chain.seal_hashes.append(digest(lines[-1]))
    chain.last_seal, chain.last_seal_at, chain.sealed = lines[-1], iso(at), len(chain.records)
    return lines


def unhex(text: object) -> bytes:
    """Return the bytes of hex digits. Raises ValueError."""
    return bytes.fromhex(str(text))
