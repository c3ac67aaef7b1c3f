"""The custody chain as bytes: hash-chained records, and seals that sign everything before them.

A ledger is lines of canonical JSON. A *record* line holds the record and its SHA-256; each record holds the
hash of the one before it. A *seal* line is a signed statement: so many records, this head, and the hash of
the seal before. A batch of records is sealed once, because a seal covers all that stands before it: checking
the newest seal of each key checks every record and every earlier seal, and costs one signature, not one for
each record. A ledger ends with a seal; what stands behind the last one was never sealed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from forensics.signing import PublicKey, Signer, public_key
from irrunner.clock import iso, parse_iso
from irrunner.errors import CustodyBroken
from irrunner.journal.records import GENESIS, canonical, digest

SEAL_SCHEMA: Final = "irrunner/custody-seal/v1"
ROTATION_SCHEMA: Final = "irrunner/custody-key-rotation/v1"
KEY: Final = "key"
ROTATED: Final = "key-rotated"
EVIDENCE: Final = "evidence"
ATTEMPT: Final = "attempt"
JOURNAL: Final = "journal"
LONGEST_LINE: Final = 4 << 20
RECORD_FIELDS: Final = frozenset({"at", "body", "id", "kind", "ledger", "prev_sha256", "seq"})
SEAL_FIELDS: Final = frozenset(
    {"at", "count", "head_sha256", "key_sha256", "ledger", "number", "prev_seal_sha256", "schema"}
)
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
    return _record_text(text, sha256), sha256


def _record_text(text: str, sha256: str) -> str:
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
    signed = old.verifies(_unhex(announcement["signature"]), canonical(statement).encode())
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


class Walker:
    """Reads lines in order and stops at the first one that is not what was sealed."""

    def __init__(self) -> None:
        self.chain = Chain()
        self._ids: set[str] = set()
        self._last_at: dict[str, str] = {}
        self._unchecked: tuple[str, bytes, bytes] | None = None
        """The newest seal of the current key: where, statement, signature."""

    def take(self, line: bytes) -> None:
        """Check one line.

        Raises:
            CustodyBroken: Names the record or seal.
        """
        link = self._link()
        try:
            text = line.decode()
            document = json.loads(text)
            if "record" in document:
                self._record(link, text, document)
            else:
                self._seal(f"ledger seal {self.chain.seals}", text, document)
        except CustodyBroken:
            raise
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise broken(link, _why_not_json(line)) from None

    def _link(self) -> str:
        return f"ledger record {len(self.chain.records)}"

    def _record(self, link: str, text: str, document: Mapping[str, Any]) -> None:
        record, chain = document["record"], self.chain
        body = canonical(record)
        sha256 = digest(body)
        if document["sha256"] != sha256 or _record_text(body, sha256) != text:
            raise broken(link, _why_changed(text, document, sha256))
        if record["prev_sha256"] != chain.head_sha256 or record["seq"] != len(chain.records):
            raise broken(link, "does not follow the record before it: one was removed, added or moved")
        if record.keys() != RECORD_FIELDS:
            raise broken(link, "has other fields than a record")
        chain.ledger = chain.ledger or record["ledger"]
        if record["ledger"] != chain.ledger or record["id"] in self._ids:
            raise broken(link, "belongs to another ledger, or stands twice")
        self._ids.add(record["id"])
        self._learn_key(link, record)
        self._watch_clock(link, record)
        chain.records.append(record)
        chain.hashes.append(sha256)

    def _learn_key(self, link: str, record: Mapping[str, Any]) -> None:
        kind, keys = record["kind"], self.chain.keys
        if (kind == KEY) != (not self.chain.records):
            raise broken(link, "a ledger begins with its key, and names it once")
        if kind == KEY:
            key = public_key(record["body"]["pem"])
            if record["body"]["fingerprint"] != key.fingerprint:
                raise broken(link, "the key has another fingerprint")
            keys.append(key)
        elif kind == ROTATED:
            self._check_seal()
            keys.append(rotated_key(record["body"], keys[-1], link))

    def _watch_clock(self, link: str, record: Mapping[str, Any]) -> None:
        """Times of one run go forward; several runs of an incident may overlap."""
        run_id = str(record["id"]).partition("/")[0]
        last, at = self._last_at.get(run_id, ""), record["at"]
        parse_iso(at)
        if at < last:
            self.chain.warnings.append(f"{link}: the clock went backwards, from {last} to {at}")
        self._last_at[run_id] = at

    def _seal(self, link: str, text: str, document: Mapping[str, Any]) -> None:
        seal, chain = document["seal"], self.chain
        signature = _unhex(document["signature"])
        statement = canonical(seal)
        if f'{{"seal":{statement},"signature":"{signature.hex()}"}}' != text or seal.keys() != SEAL_FIELDS:
            raise broken(link, "is not as it was written")
        if (seal["number"], seal["prev_seal_sha256"]) != (chain.seals, chain.last_seal_sha256):
            raise broken(link, "does not follow the seal before it: one was removed, changed or moved")
        if (seal["count"], seal["head_sha256"]) != (len(chain.records), chain.head_sha256):
            raise broken(link, f"is about {seal['count']} records, and {len(chain.records)} stand before it")
        if seal["count"] == chain.sealed or seal["ledger"] != chain.ledger or seal["schema"] != SEAL_SCHEMA:
            raise broken(link, "seals nothing, or another ledger")
        if seal["key_sha256"] != chain.keys[-1].fingerprint:
            raise broken(link, f"is made with the key {seal['key_sha256']}, which nobody announced")
        parse_iso(seal["at"])
        if seal["at"] < chain.last_seal_at:
            chain.warnings.append(f"{link}: the clock went backwards, from {chain.last_seal_at}")
        self._unchecked = (link, statement.encode(), signature)
        chain.seal_hashes.append(digest(text))
        chain.last_seal, chain.last_seal_at, chain.sealed = text, seal["at"], len(chain.records)

    def _check_seal(self) -> None:
        if self._unchecked is None:
            return
        link, statement, signature = self._unchecked
        if not self.chain.keys[-1].verifies(signature, statement):
            raise broken(link, f"the signature is not that of the key {self.chain.keys[-1].fingerprint}")
        self._unchecked = None

    def end(self) -> Chain:
        """Check the last seal, and return the chain.

        Raises:
            CustodyBroken: If the ledger does not end with a seal, or its signature is forged.
        """
        chain = self.chain
        if chain.sealed != len(chain.records):
            raise broken(f"ledger record {chain.sealed}", "was never sealed, or its seal was cut off")
        if not chain.seals:
            raise broken("ledger record 0", "the ledger is empty")
        self._check_seal()
        return chain


def read_chain(lines: Iterable[bytes]) -> Chain:
    """Check a ledger, line by line.

    Args:
        lines: With their line ends.

    Raises:
        CustodyBroken: Names the first record or seal that is not what was sealed.
    """
    walker = Walker()
    for line in lines:
        if not line.endswith(b"\n") or len(line) > LONGEST_LINE:
            raise broken(
                f"ledger record {len(walker.chain.records)}", "is cut off, or longer than any record"
            )
        walker.take(line[:-1])
    return walker.end()


def _unhex(text: object) -> bytes:
    return bytes.fromhex(str(text))


def _why_changed(text: str, document: Mapping[str, Any], sha256: str) -> str:
    if _has_duplicates(text):
        return "a name stands twice in it"
    return "was changed" if document["sha256"] != sha256 else "is not as it was written"


def _why_not_json(line: bytes) -> str:
    return "is no UTF-8" if not _is_text(line) else "is no record and no seal"


def _is_text(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _has_duplicates(text: str) -> bool:
    found = False

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal found
        names = dict(items)
        found = found or len(names) != len(items)
        return names

    json.loads(text, object_pairs_hook=pairs)
    return found
