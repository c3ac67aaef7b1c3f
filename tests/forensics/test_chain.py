"""The chain says of every change where it is."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from forensics.chain import (
    EVIDENCE,
    ROTATED,
    Chain,
    Entry,
    extended,
    key_entry,
    record_line,
    rotation,
    seal_line,
)
from forensics.signing import LocalSigner, Signer
from forensics.walk import read_chain
from irrunner.clock import iso
from irrunner.errors import CustodyBroken
from irrunner.journal.records import GENESIS, digest
from irrunner.testing import EPOCH, ManualClock

SIGNER = LocalSigner.generate()


def entry(number: int, at: str = "2026-01-01T00:00:00.000Z") -> Entry:
    """Return an entry."""
    return Entry(f"run/step/{number}", EVIDENCE, at, {"item": number})


def ledger(batches: int = 3, each: int = 2, signer: Signer = SIGNER) -> list[bytes]:
    """Return the lines of a ledger."""
    chain = Chain(ledger="inc-1", keys=[signer.public])
    lines = extended(chain, [key_entry(signer.public, EPOCH)], signer, EPOCH)
    for batch in range(batches):
        lines += extended(chain, [entry(batch * each + n) for n in range(each)], signer, EPOCH)
    return [f"{line}\n".encode() for line in lines]


def link_of(lines: list[bytes]) -> str:
    """Return the first broken link."""
    with pytest.raises(CustodyBroken) as caught:
        read_chain(lines)
    assert caught.value.exit_code == 4
    return str(caught.value.detail.get("link", ""))


def test_a_ledger_reads_as_it_was_written() -> None:
    """What was sealed is intact: seven records, four seals, one key."""
    chain = read_chain(ledger())

    assert (len(chain.records), chain.seals, chain.warnings) == (7, 4, [])
    assert [key.fingerprint for key in chain.keys] == [SIGNER.public.fingerprint]


def test_a_changed_byte_names_its_record() -> None:
    """A byte of record 3 was changed: record 3 is named, not the end of the file."""
    lines = ledger()
    at = next(n for n, line in enumerate(lines) if b'"seq":3' in line)
    lines[at] = lines[at].replace(b'"item":2', b'"item":9')

    assert link_of(lines) == "ledger record 3"


def test_a_removed_record_is_missed() -> None:
    """Records cannot be left out: the next one does not follow."""
    lines = ledger()
    del lines[next(n for n, line in enumerate(lines) if b'"seq":3' in line)]

    assert link_of(lines) == "ledger record 3"


def test_reordered_records_are_seen() -> None:
    """Two records of one batch change places: the first of them is named."""
    lines = ledger()
    at = next(n for n, line in enumerate(lines) if b'"seq":3' in line)
    lines[at], lines[at + 1] = lines[at + 1], lines[at]

    assert link_of(lines) == "ledger record 3"


def test_a_cut_tail_is_seen() -> None:
    """Without its last seal, what stands behind the one before was never sealed."""
    assert link_of(ledger()[:-1]) == "ledger record 5"


def test_a_removed_seal_is_missed() -> None:
    """Seals are a chain of their own."""
    lines = ledger()
    seals = [n for n, line in enumerate(lines) if line.startswith(b'{"seal"')]
    del lines[seals[1]]

    assert link_of(lines) == "ledger seal 1"


def test_a_forged_signature_is_seen() -> None:
    """A seal by a key that is not the ledger's does not pass for it."""
    lines = ledger()
    statement = lines[-1].partition(b',"signature":')[0]
    forged = LocalSigner.generate().sign(statement.removeprefix(b'{"seal":')).hex().encode()
    lines[-1] = statement + b',"signature":"' + forged + b'"}\n'

    assert link_of(lines) == "ledger seal 3"


def test_a_forged_signature_of_an_earlier_seal_is_seen() -> None:
    """The newest signature covers the bytes of every seal before it."""
    lines = ledger()
    first = next(n for n, line in enumerate(lines) if line.startswith(b'{"seal"'))
    tail = lines[first][-4:-3]
    lines[first] = lines[first][:-4] + (b"0" if tail != b"0" else b"1") + lines[first][-3:]

    assert link_of(lines) == "ledger seal 1"


@pytest.mark.parametrize(
    ("spoil", "link"),
    [
        (lambda line: line.replace(b'"item":2', b'"item":2,"item":2'), "ledger record 3"),
        (lambda line: line.replace(b'"item":2', b'"item": 2'), "ledger record 3"),
        (lambda line: line.replace(b'"item":2', b'"item":NaN'), "ledger record 3"),
        (lambda line: line.replace(b'"item":2', b'"item":"\xff"'), "ledger record 3"),
        (lambda line: line[:40] + b"\n", "ledger record 3"),
        (lambda line: line[:-1], "ledger record 3"),
        (lambda _: b"[]\n", "ledger record 3"),
        (lambda _: b"null\n", "ledger record 3"),
        (lambda _: b"[" * 100_000 + b"\n", "ledger record 3"),
        (lambda _: b'{"record":{}}\n', "ledger record 3"),
        (lambda _: b'{"seal":{},"signature":""}\n', "ledger seal 2"),
        (lambda _: b'{"seal":{},"signature":"zz"}\n', "ledger record 3"),
    ],
)
def test_odd_lines_are_told_apart_from_records(spoil: Callable[[bytes], bytes], link: str) -> None:
    """Duplicate names, blanks, NaN, bytes, depth and cut lines are broken links, never a crash."""
    lines = ledger()
    at = next(n for n, line in enumerate(lines) if b'"seq":3' in line)
    lines[at] = spoil(lines[at])

    assert link_of(lines) == link


def test_an_empty_ledger_is_broken() -> None:
    """Nothing is not intact."""
    assert link_of([]) == "ledger record 0"


def test_a_second_first_key_is_refused() -> None:
    """Nobody puts a key of their own into a ledger: it begins with its key."""
    chain = read_chain(ledger())
    thief = LocalSigner.generate()
    lines = ledger()
    line, sha256 = record_line("inc-1", len(chain.records), key_entry(thief.public, EPOCH), chain.head_sha256)
    chain.records.append(json.loads(line)["record"])
    chain.hashes.append(sha256)
    lines += [f"{line}\n".encode(), f"{seal_line(chain, thief, iso(EPOCH))}\n".encode()]

    assert link_of(lines) == "ledger record 7"


def test_a_rotation_is_followed() -> None:
    """A key that the old key announced seals from then on."""
    new = LocalSigner.generate()
    chain = read_chain(ledger())
    announced = Entry("key/new", ROTATED, iso(EPOCH), rotation(SIGNER, new.public, EPOCH))
    lines = ledger() + [f"{line}\n".encode() for line in extended(chain, [announced, entry(99)], new, EPOCH)]

    read = read_chain(lines)

    assert [key.fingerprint for key in read.keys] == [SIGNER.public.fingerprint, new.public.fingerprint]


def test_a_rotation_that_the_old_key_did_not_sign_is_refused() -> None:
    """A thief cannot announce a key for somebody else."""
    thief = LocalSigner.generate()
    chain = read_chain(ledger())
    forged = rotation(thief, thief.public, EPOCH)
    forged["statement"]["old_key_sha256"] = SIGNER.public.fingerprint
    lines = ledger() + [
        f"{line}\n".encode()
        for line in extended(chain, [Entry("key/x", ROTATED, iso(EPOCH), forged)], thief, EPOCH)
    ]

    assert link_of(lines) == "ledger record 7"


def test_a_clock_that_goes_back_is_a_warning() -> None:
    """A clock that was set back proves nothing and is told."""
    clock = ManualClock()
    chain = Chain(ledger="inc-1", keys=[SIGNER.public])
    lines = extended(chain, [key_entry(SIGNER.public, EPOCH)], SIGNER, clock.now())
    clock.advance(-60)
    later, earlier = entry(1, "2026-01-01T00:00:09.000Z"), entry(2, "2026-01-01T00:00:08.000Z")
    lines += extended(chain, [later, earlier], SIGNER, clock.now())

    warnings = read_chain(f"{line}\n".encode() for line in lines).warnings

    assert ["record 2" in warnings[0], "seal 1" in warnings[1], len(warnings)] == [True, True, 2]


def test_a_record_that_is_younger_than_its_seal_is_a_warning() -> None:
    """The journal's clock and that of the seal disagree."""
    chain = Chain(ledger="inc-1", keys=[SIGNER.public])
    lines = extended(
        chain, [key_entry(SIGNER.public, EPOCH), entry(1, "2026-01-01T06:00:00.000Z")], SIGNER, EPOCH
    )

    (warning,) = read_chain(f"{line}\n".encode() for line in lines).warnings

    assert "ledger seal 0: the clock went backwards, from 2026-01-01T06" in warning


def test_the_first_record_rests_on_nothing() -> None:
    """The chain begins at the genesis hash, and a hash is that of the record's own text."""
    line, sha256 = record_line("inc-1", 0, key_entry(SIGNER.public, EPOCH), GENESIS)

    assert digest(line[len('{"record":') : -len(f',"sha256":"{sha256}"}}')]) == sha256
