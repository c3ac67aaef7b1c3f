"""Canonical text and the hash chain of records."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irrunner.journal.records import GENESIS, Draft, Record, canonical, chain_sha256, first_break, seal

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def chain(count: int) -> list[Record]:
    """Return a valid chain."""
    records, prev = [], GENESIS
    for seq in range(count):
        record, _ = seal("run-1", seq, "2026-01-01T00:00:00.000Z", Draft("kind", {"n": seq}), prev)
        records.append(record)
        prev = record.sha256
    return records


@given(JSON)
@settings(max_examples=100, deadline=None)
def test_canonical_text_reads_back_as_the_same_canonical_text(value: object) -> None:
    """Reading canonical text and writing it again gives the same bytes, so a chain can be checked later."""
    assert canonical(json.loads(canonical(value))) == canonical(value)


@pytest.mark.parametrize("text", ["\ud800", "a\udc00b\ud83d", "\ud83d\ude00"])
def test_surrogates_become_text_that_utf_8_can_hold(text: str) -> None:
    """Lone surrogates, legal in JSON, are escaped, and pairs are joined, as a JSON reader would."""
    written = canonical({"tag": text})

    assert written.encode()
    assert canonical(json.loads(written)) == written


def test_canonical_text_is_sorted_and_compact() -> None:
    """Keys are sorted, no spaces are written, and other scripts stay as they are."""
    assert canonical({"b": "ü", "a": [1, None]}) == '{"a":[1,null],"b":"ü"}'


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_nan_is_refused(value: float) -> None:
    """What is no JSON never gets into a journal."""
    with pytest.raises(ValueError, match="JSON"):
        canonical({"severity": value})


def test_seal_hashes_the_stored_text() -> None:
    """The hash can be computed from what is stored, without reading the body as JSON."""
    record, body = seal("run-1", 0, "at", Draft("kind", {"a": 1}, "path"), GENESIS)

    assert record.sha256 == chain_sha256("run-1", 0, "at", "kind", "path", body=body, prev_sha256=GENESIS)


def test_an_intact_chain_has_no_break() -> None:
    """A chain as it was written verifies, and so does an empty one."""
    assert first_break(chain(5)) is None
    assert first_break([]) is None


@pytest.mark.parametrize(
    "change",
    [{"body": {"n": 9}}, {"at": "later"}, {"kind": "other"}, {"path": "x"}, {"sha256": GENESIS}, {"seq": 7}],
)
def test_any_change_breaks_the_chain_at_its_record(change: dict[str, object]) -> None:
    """Each field of a record is covered by its hash."""
    records = chain(5)
    records[2] = replace(records[2], **change)  # type: ignore[arg-type]

    assert first_break(records) == 2


def test_a_removed_record_breaks_the_chain() -> None:
    """The record after a removed one does not follow."""
    records = chain(5)
    del records[3]

    assert first_break(records) == 3
