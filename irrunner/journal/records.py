"""Journal records: canonical JSON, hash-chained with SHA-256.

``sha256(record n) = SHA-256(canonical JSON of the record without its own hash)``, and the record holds
the hash of record n-1. An unsigned chain proves that nothing was changed *behind* a head that somebody
kept elsewhere; it does not prove who wrote it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

GENESIS = "0" * 64


@dataclass(frozen=True, slots=True)
class Draft:
    """A record that is to be appended."""

    kind: str
    body: Mapping[str, Any]
    path: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """One appended record."""

    run_id: str
    seq: int
    at: str
    kind: str
    path: str
    body: Mapping[str, Any]
    prev_sha256: str
    sha256: str

    def as_dict(self) -> dict[str, Any]:
        """Return the record for JSON Lines."""
        return {
            "run_id": self.run_id,
            "seq": self.seq,
            "at": self.at,
            "kind": self.kind,
            "path": self.path,
            "body": self.body,
            "prev_sha256": self.prev_sha256,
            "sha256": self.sha256,
        }


def canonical(value: Any) -> str:
    """Return canonical JSON text: sorted keys, no spaces, UTF-8 as is, no NaN.

    Raises:
        ValueError: If the value holds NaN or infinity.
        TypeError: If the value is not JSON.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(text: str) -> str:
    """Return the SHA-256 of the text as lower-case hex (lone surrogates survive)."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def seal(run_id: str, seq: int, at: str, draft: Draft, prev_sha256: str) -> tuple[Record, str]:
    """Return the record and the canonical text of its body."""
    body = canonical(draft.body)
    head = canonical([run_id, seq, at, draft.kind, draft.path, prev_sha256])
    sha256 = digest(f"{head}\n{body}")
    return Record(run_id, seq, at, draft.kind, draft.path, draft.body, prev_sha256, sha256), body


def first_break(records: Iterable[Record]) -> int | None:
    """Return the sequence number of the first record that breaks the chain, or None."""
    prev, expected = GENESIS, 0
    for record in records:
        draft = Draft(record.kind, record.body, record.path)
        resealed, _ = seal(record.run_id, record.seq, record.at, draft, record.prev_sha256)
        if record.seq != expected or record.prev_sha256 != prev or resealed.sha256 != record.sha256:
            return expected
        prev, expected = record.sha256, expected + 1
    return None
