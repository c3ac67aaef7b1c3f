"""An office: a store with runs that took evidence, the custody of that store, and a clock by hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from forensics import evidence_files
from forensics.bundle import compose, write_bundle
from forensics.custody import Custody
from irrunner.aws.api import Cloud
from irrunner.clock import iso
from irrunner.journal.records import Draft
from irrunner.journal.sql import SqlStore
from irrunner.journal.store import NewRun, RunChange
from irrunner.settings import Forensics, Settings
from irrunner.testing import ManualClock, SeededIds
from irrunner.vocabulary import RunStatus
from tests.contracts.conftest import line, open_world, registry

__all__ = ["line", "open_world", "registry"]

MEMBER, FORENSIC = "111122223333", "444455556666"
SNAPSHOTS = {
    "snapshots": [
        {
            "snapshot_id": f"snap-{number:017x}", "volume_id": f"vol-{number:017x}", "encrypted": True,
            "kms_key_id": None, "size_gib": 8,
        }
        for number in (1, 2)
    ],
    "snapshot_ids": ["snap-00000000000000001", "snap-00000000000000002"],
    "started_at": "2026-01-01T00:00:00.000Z",
}  # fmt: skip
COPY = {
    "forensic_snapshot_id": "snap-0000000000000000f", "source_snapshot_id": "snap-00000000000000001",
    "transfer_snapshot_id": "snap-0000000000000000e", "kms_key_id": "key", "size_gib": 8,
    "forensic_account_id": FORENSIC, "forensic_region": "eu-west-1",
}  # fmt: skip


def no_cloud() -> Cloud:
    """Fail: nothing here may reach AWS."""
    raise AssertionError("AWS was reached")


class Office:
    """Writes journals and keeps custody of them."""

    def __init__(self, folder: Path, **forensics: Any) -> None:
        self.folder = folder
        self.clock = ManualClock()
        self.store = SqlStore(folder / "irrunner.db", self.clock)
        self.ids = SeededIds()
        self.settings = Settings(forensics=Forensics(**forensics))
        self.where = {
            "account_id": MEMBER, "region": "eu-central-1", "forensic_account_id": FORENSIC,
            "forensic_region": "eu-west-1", "evidence_bucket": "evidence",
        }  # fmt: skip
        self.custody = self.anew()

    def anew(self, **forensics: Any) -> Custody:
        """Return custody as a new process would have it."""
        if forensics:
            self.settings = Settings(forensics=Forensics(**forensics))
        return Custody(self.settings, self.store, self.clock, no_cloud)

    def begin(self, incident: str = "inc-1") -> str:
        """Begin a run, and return its id."""
        run_id = self.ids.run_id()
        new = NewRun(
            run_id=run_id, incident_id=incident, incident_key=run_id, event_key="", playbook_id="p",
            playbook_version="1.0.0", playbook_sha256="0" * 64, title="A <b>bad</b> \u202e title",
            account_id=MEMBER, region="eu-central-1", severity=5.0, drill=False,
        )  # fmt: skip
        body = {
            "playbook": {"id": "p", "version": "1.0.0", "sha256": "0" * 64, "text": "schema: irrunner/v1\n"},
            "caller": {"arn": "arn:aws:iam::111122223333:user/oncall", "os_user": "alice"},
            "irrunner": "0.1.0", "drill": False,
            "where": self.where,
        }  # fmt: skip
        self.lease = self.store.create_run(new, [Draft("run_started", body)], "owner", 60)
        return run_id

    def step(self, path: str, action: str, outputs: Mapping[str, Any], **params: Any) -> None:
        """Journal a verified step."""
        self.clock.advance(1)
        call = {
            "operation": "ec2:CreateSnapshots", "target": "i-1", "scope": "target", "error": "",
            "at": iso(self.clock.now()), "request_id": f"request-{path}",
        }  # fmt: skip
        self.write(
            Draft("step_intent", {"action": action, "attempt": 1, "params": params}, path),
            Draft("step_outcome", {"outcome": "applied", "calls": [call], "possibly_sent": True}, path),
            Draft("step_verified", {"outcome": "applied", "outputs": dict(outputs), "verified": True}, path),
        )

    def write(self, *drafts: Draft) -> None:
        """Journal records."""
        self.store.append(self.lease, list(drafts))

    def end(self) -> None:
        """End the run."""
        change = RunChange(status=RunStatus.SUCCEEDED, ended=True)
        self.store.append(self.lease, [Draft("run_finished", {"status": "succeeded"})], change)

    def whole_run(self, incident: str = "inc-1") -> str:
        """Write a run that took snapshots and copied one."""
        run_id = self.begin(incident)
        self.step("snapshot", "aws.ebs.snapshot-instance", SNAPSHOTS, instance_id="i-0000000000000000a")
        self.step("copy[0]", "aws.ebs.copy-to-forensics", COPY, snapshot_id="snap-00000000000000001")
        self.end()
        return run_id

    def export(self, run_id: str, name: str) -> Path:
        """Export a bundle."""
        parts, signer = self.custody.parts(self.custody.keep(run_id), 1 << 20)
        out = self.folder / name
        write_bundle(compose(parts, signer), out)
        return out


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    """Return an office of its own."""
    made = Office(tmp_path)
    yield made
    made.store.close()


def ids_of(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the ids of ledger records."""
    return [str(record["id"]) for record in records]


@pytest.fixture(autouse=True)
def nothing_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one test read and did not store is not another's."""
    monkeypatch.setattr(evidence_files, "_HELD", evidence_files._Held(1 << 20))
