"""A custody ledger of 10,000 records: what it costs to seal, to verify and to extend.

The peer is a plain loop over the same file: parse each line, hash it, compare with the next, and check one
signature a record, as a log that signs every entry must. The ledger signs batches: a seal covers all that
stands before it, so verification costs one signature a key, whatever the number of records and seals.

Run ``python benchmarks/custody.py``; it exits with 1 where the floor is missed.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from forensics.chain import EVIDENCE, Entry
from forensics.keys import Keys
from forensics.ledger import Ledger
from forensics.signing import LocalSigner
from forensics.walk import read_chain
from irrunner.clock import iso
from irrunner.errors import CustodyBroken
from irrunner.testing import EPOCH, ManualClock

RECORDS = 10_000
VERIFY_MAX_S = 1.0
REPEATS = 5


def entry(number: int) -> Entry:
    """Return an entry of the size of a real one."""
    resource = f"snap-{number:017x}"
    body = {
        "item": {"kind": "disk-snapshot", "name": resource, "sha256": "", "bytes": None, "media_type": ""},
        "location": {"account_id": "444455556666", "region": "eu-central-1", "resource": resource},
        "source": {"account_id": "111122223333", "region": "eu-central-1", "resource": f"vol-{number:017x}"},
        "lineage": [{"role": role, "resource": resource} for role in ("source", "snapshot", "forensic")],
        "who": {"arn": "arn:aws:iam::206787055656:user/oncall", "os_user": "alice", "run_id": "r"},
        "tool": {"name": "irrunner", "version": "0.1.0"}, "action": "aws.ebs.copy-to-forensics",
        "step": f"copy_out[{number}]", "outcome": "applied", "verified": True, "drill": False, "note": "",
        "aws": [{"operation": "ec2:CopySnapshot", "request_id": resource, "scope": "forensics"}],
        "journal": {"run_id": "r", "seq": number, "sha256": "a" * 64},
    }  # fmt: skip
    return Entry(f"r/copy_out[{number}]/{resource}", EVIDENCE, iso(EPOCH), body)


def plain_loop(lines: list[bytes], signer: LocalSigner, signatures: list[bytes]) -> None:
    """Verify a log that signs each entry, as plainly as it can be written."""
    head = "0" * 64
    for line, signature in zip(lines, signatures, strict=True):
        document: dict[str, Any] = json.loads(line)
        text = json.dumps(document["record"], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        sha256 = hashlib.sha256(text.encode()).hexdigest()
        intact = (sha256, document["record"]["prev_sha256"]) == (document["sha256"], head)
        if not intact or not signer.public.verifies(signature, sha256.encode()):
            raise SystemExit("benchmark invalid: the plain loop found a break")
        head = sha256


def best(work: Callable[[], object]) -> float:
    """Return the shortest time of several."""
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> int:
    """Measure, print the table, and compare with the floor."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        signer = Keys(folder).local()
        ledger = Ledger(folder, "bench", ManualClock())
        entries = [entry(number) for number in range(RECORDS - 2)]
        start = time.perf_counter()
        ledger.append(entries, signer)
        sealed_s = time.perf_counter() - start
        start = time.perf_counter()
        ledger.append([*entries, entry(RECORDS)], signer)
        extended_s = time.perf_counter() - start
        lines = ledger.path.read_bytes().splitlines(keepends=True)
    verify_s = best(lambda: read_chain(lines))
    records = [line for line in lines if line.startswith(b'{"record"')]
    signatures = [signer.sign(json.loads(line)["sha256"].encode()) for line in records]
    loop_s = best(lambda: plain_loop(records, signer, signatures))
    _must_detect(lines)
    rows = {
        f"seal {len(records):,} records": sealed_s,
        "add one more (checks the whole ledger first)": extended_s,
        f"verify {len(records):,} records and every seal": verify_s,
        "plain loop that verifies one signature a record": loop_s,
    }
    for what, seconds in rows.items():
        print(f"{what:<50} {seconds * 1000:>9.1f} ms")
    print(f"verification against the plain loop: {loop_s / verify_s:.1f} times as fast")
    met = verify_s <= VERIFY_MAX_S
    print(f"floor: verified in at most {VERIFY_MAX_S:.0f} s: {'met' if met else 'MISSED'}")
    return 0 if met else 1


def _must_detect(lines: list[bytes]) -> None:
    """A verification that finds nothing is fast and worth nothing."""
    spoilt = [*lines[:5_000], lines[5_000].replace(b"ec2:CopySnapshot", b"ec2:CopySnapshoT"), *lines[5_001:]]
    try:
        read_chain(spoilt)
    except CustodyBroken:
        return
    raise SystemExit("benchmark invalid: a changed record was not found")


if __name__ == "__main__":
    sys.exit(main())
