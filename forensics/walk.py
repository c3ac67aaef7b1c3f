"""Read a custody chain and stop at the first link that is not what was sealed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from forensics.chain import (
    KEY,
    ROTATED,
    SEAL_SCHEMA,
    Chain,
    broken,
    record_text,
    rotated_key,
    unhex,
)
from forensics.signing import public_key
from irrunner.clock import parse_iso
from irrunner.errors import CustodyBroken
from irrunner.journal.records import canonical, digest

LONGEST_LINE: Final = 64 << 20
RECORD_FIELDS: Final = frozenset({"at", "body", "id", "kind", "ledger", "prev_sha256", "seq"})
SEAL_FIELDS: Final = frozenset(
    {"at", "count", "head_sha256", "key_sha256", "ledger", "number", "prev_seal_sha256", "schema"}
)


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
        if document["sha256"] != sha256 or record_text(body, sha256) != text:
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
        signature = unhex(document["signature"])
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
        before = max(chain.last_seal_at, *(record["at"] for record in chain.records[chain.sealed :]))
        if seal["at"] < before:
            chain.warnings.append(f"{link}: the clock went backwards, from {before} to {seal['at']}")
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
