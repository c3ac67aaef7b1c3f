"""Journal records: canonical JSON, hash-chained with SHA-256.

``sha256(record n) = SHA-256(canonical JSON of the record without its own hash)``, and the record holds
the hash of record n-1. An unsigned chain proves that nothing was changed *behind* a head that somebody
kept elsewhere; it does not prove who wrote it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

GENESIS: Final = "0" * 64
_ENCODER: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


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

    A lone surrogate (legal in JSON as an escape, illegal in UTF-8) is written as its escape, so that the
    text can always be stored and reads back as the same value.

    Raises:
        ValueError: If the value holds NaN or infinity.
        TypeError: If the value is not JSON.
    """
    text = _ENCODER.encode(value)
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return _escape_surrogates(text)
    return text


def _escape_surrogates(text: str) -> str:
    """Join surrogate pairs, as a JSON reader would, and escape the lone ones."""
    joined = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    return _SURROGATE.sub(lambda lone: f"\\u{ord(lone.group()):04x}", joined)


def digest(text: str) -> str:
    """Return the SHA-256 of the text as lower-case hex (lone surrogates survive)."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def chain_sha256(run_id: str, seq: int, at: str, kind: str, path: str, *, body: str, prev_sha256: str) -> str:
    """Return the hash of a record.

    Args:
        body: Canonical text of the record's body, as it is stored.
        prev_sha256: Hash of the record before, or :data:`GENESIS`.
    """
    head = canonical([run_id, seq, at, kind, path, prev_sha256])
    return digest(f"{head}\n{body}")


def seal(run_id: str, seq: int, at: str, draft: Draft, prev_sha256: str) -> tuple[Record, str]:
    """Return the record and the canonical text of its body."""
    body = canonical(draft.body)
    return seal_text(run_id, seq, at, draft, body, prev_sha256=prev_sha256), body


def seal_text(run_id: str, seq: int, at: str, draft: Draft, body: str, *, prev_sha256: str) -> Record:
    """Return the record of a draft whose body was made canonical before."""
    sha256 = chain_sha256(run_id, seq, at, draft.kind, draft.path, body=body, prev_sha256=prev_sha256)
    return Record(run_id, seq, at, draft.kind, draft.path, draft.body, prev_sha256, sha256)


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
