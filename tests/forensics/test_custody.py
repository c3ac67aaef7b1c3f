"""What a run's journal says about evidence is in the ledger once, whatever crashed between."""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from forensics.chain import ATTEMPT, EVIDENCE, JOURNAL, ROTATED
from forensics.custody import keep_ended
from forensics.projection import project
from forensics.signing import LocalSigner
from forensics.vault import LocalVault
from irrunner.cli.context import Context
from irrunner.errors import (
    CustodyBroken,
    EvidenceError,
    EvidenceIncomplete,
    JournalCorrupt,
    RunNotFound,
    SettingsError,
    VaultUnavailable,
)
from irrunner.journal.records import Draft
from irrunner.settings import Settings
from tests.forensics.conftest import COPY, FORENSIC, SNAPSHOTS, Office, ids_of


def evidence_of(office: Office, run_id: str) -> list[dict[str, Any]]:
    """Return the bodies of the evidence in the ledger."""
    records = office.custody.keep(run_id).chain.records
    return [dict(record["body"]) for record in records if record["kind"] == EVIDENCE]


def own_key(office: Office) -> str:
    """Return the PEM text of the office's own key."""
    office.custody.signer()
    return (office.custody.directory / "keys" / "signing-key.pem").read_text()


VOLUME = {
    "volume_id": "vol-00000000000000001", "instance_id": "i-0000000000000000a", "outcome": "acquired",
    "reason": "", "route": "direct", "size_gib": 8, "snapshot_id": "snap-00000000000000001",
    "transfer_snapshot_id": None, "forensic_snapshot_id": "snap-0000000000000000f", "locked": True,
}  # fmt: skip
LEFT = {
    **VOLUME, "volume_id": "vol-00000000000000002", "outcome": "preserved", "reason": "its key is disabled",
    "snapshot_id": "snap-00000000000000002", "forensic_snapshot_id": None,
}  # fmt: skip
ACQUIRED = {
    "volumes": [VOLUME, LEFT, {**LEFT, "volume_id": "vol-00000000000000003", "snapshot_id": None}],
    "kms_key_id": "key", "forensic_account_id": FORENSIC, "forensic_region": "eu-west-1",
}  # fmt: skip
DATABASE = "arn:aws:rds:eu-central-1:111122223333:snapshot:irrunner-orders"


class TestProjection:
    def test_many_volumes_are_in_custody_one_by_one(self, office: Office) -> None:
        """A snapshot and its forensic copy are two items; what stayed in the account says why."""
        run_id = office.begin()
        office.step("acquire", "forensics.acquire-volumes", ACQUIRED)
        office.end()

        items = evidence_of(office, run_id)

        told = [(item["item"]["name"][-1], item["location"]["account_id"], item["note"]) for item in items]
        assert told == [
            ("1", "111122223333", ""), ("f", FORENSIC, ""), ("2", "111122223333", "its key is disabled")
        ]  # fmt: skip
        assert [each["role"] for each in items[1]["lineage"]] == [
            "instance",
            "source",
            "snapshot",
            "forensic",
        ]

    def test_a_database_is_in_custody(self, office: Office) -> None:
        """Its snapshot, and the copy in the forensic account with the way that it took."""
        run_id = office.begin()
        copy = DATABASE.replace("111122223333", FORENSIC)
        office.step("take", "aws.rds.snapshot-database", {"snapshot_arn": DATABASE, "db_id": "orders"})
        office.step(
            "copy", "aws.rds.copy-snapshot-to-forensics",
            {"source_snapshot_arn": DATABASE, "forensic_snapshot_arn": copy, "transfer_snapshot_arn": None},
        )  # fmt: skip
        office.end()

        assert [each["lineage"][-1]["resource"] for each in evidence_of(office, run_id)] == [DATABASE, copy]

    def test_each_snapshot_is_an_entry_with_its_lineage(self, office: Office) -> None:
        """Who, when, what, from where, by which request: all of it from the journal."""
        run_id = office.whole_run()

        first, _, copy = evidence_of(office, run_id)

        assert first["item"]["name"] == "snap-00000000000000001"
        assert [each["resource"] for each in first["lineage"]] == [
            "i-0000000000000000a", "vol-00000000000000001", "snap-00000000000000001"
        ]  # fmt: skip
        assert (first["who"]["arn"], first["who"]["os_user"], first["who"]["run_id"]) == (
            "arn:aws:iam::111122223333:user/oncall", "alice", run_id
        )  # fmt: skip
        assert first["aws"][0]["request_id"] == "request-snapshot"
        assert copy["location"] == {
            "account_id": FORENSIC, "region": "eu-west-1", "resource": "snap-0000000000000000f"
        }  # fmt: skip
        assert [each["role"] for each in copy["lineage"]] == ["snapshot", "transfer", "forensic"]

    def test_the_same_journal_gives_the_same_entries(self, office: Office) -> None:
        """Nothing in an entry depends on when or how often it is projected."""
        records = office.store.records(office.whole_run())

        assert project(records, ended=True) == project(records, ended=True)
        assert len({entry.entry_id for entry in project(records, ended=True)}) == 4

    def test_a_prefix_of_the_journal_gives_a_prefix_of_the_entries(self, office: Office) -> None:
        """A crash after any record can neither lose nor change what was projected before."""
        records = office.store.records(office.whole_run())
        whole = project(records, ended=False)

        for cut in range(len(records) + 1):
            part = project(records[:cut], ended=False)
            assert part == whole[: len(part)]

    def test_a_failed_attempt_that_may_have_sent_something_is_told(self, office: Office) -> None:
        """Half an acquisition belongs into custody, with what AWS said."""
        run_id = office.begin()
        office.write(
            Draft("step_intent", {"action": "aws.ebs.snapshot-instance", "attempt": 1, "params": {}}, "snap"),
            Draft("step_outcome", {"outcome": "failed", "calls": [], "possibly_sent": True}, "snap"),
            Draft("step_failed", {"outcome": "failed", "error": {"message": "throttled"}}, "snap"),
        )

        (attempt,) = [each for each in office.custody.keep(run_id).chain.records if each["kind"] == ATTEMPT]

        assert (attempt["id"], attempt["body"]["note"]) == (f"{run_id}/snap/attempt-1", "throttled")

    def test_a_failure_that_sent_nothing_is_no_evidence(self, office: Office) -> None:
        """A refusal leaves nothing behind."""
        run_id = office.begin()
        office.write(
            Draft("step_intent", {"action": "aws.ebs.snapshot-instance", "attempt": 1, "params": {}}, "snap"),
            Draft("step_failed", {"outcome": "refused", "error": {"message": "no"}}, "snap"),
        )

        assert office.custody.keep(run_id).chain.records == []

    def test_any_action_whose_outputs_hold_a_digest_made_evidence(self, office: Office) -> None:
        """Collectors need no line in a table: a SHA-256 in their outputs says enough."""
        run_id = office.begin()
        found = {
            "bucket": "evidence",
            "key": "inc/memory.lime",
            "version_id": "v1",
            "sha256": "a" * 64,
            "bytes": 7,
        }
        office.step("memory", "aws.ssm.acquire-memory", {"files": [found, {"sha256": "short"}], "sha256": ""})

        (body,) = evidence_of(office, run_id)

        assert body["item"] == {
            "kind": "file", "name": "inc/memory.lime", "sha256": "a" * 64, "bytes": 7, "media_type": ""
        }  # fmt: skip
        assert body["location"]["resource"] == "s3://evidence/inc/memory.lime?versionId=v1"

    def test_a_recorded_item_keeps_its_digest_and_references(self, office: Office) -> None:
        """``evidence.record`` names something and, where computed, its digest."""
        run_id = office.begin()
        outputs = {
            "evidence_id": "ev-1", "kind": "log-extract", "description": "Trail", "references": ["s3://b/k"],
            "sha256": "b" * 64, "recorded_at": "", "drill": False,
        }  # fmt: skip
        office.step("note", "evidence.record", outputs)

        (body,) = evidence_of(office, run_id)

        assert (body["item"]["kind"], body["item"]["sha256"], body["note"]) == (
            "log-extract",
            "b" * 64,
            "Trail",
        )

    def test_two_things_of_one_name_are_two_entries(self, office: Office) -> None:
        """Ids are made distinct in the order of the outputs."""
        run_id = office.begin()
        office.step("x", "acme.collect", {"files": [{"name": "a", "sha256": c * 64} for c in "12"]})

        records = office.custody.keep(run_id).chain.records

        assert ids_of(records)[1:] == [f"{run_id}/x/a", f"{run_id}/x/a#2"]


class TestKeeping:
    def test_asking_again_adds_nothing(self, office: Office) -> None:
        """``list`` and ``export`` may be repeated: not a byte changes."""
        kept = office.custody.keep(office.whole_run())
        path = office.custody.ledger(kept.row).path
        before = path.read_bytes()
        office.clock.advance(60)

        office.anew().keep(kept.row.run_id)

        assert path.read_bytes() == before

    def test_a_run_is_recorded_as_it_goes_on(self, office: Office) -> None:
        """What is verified so far is there; the rest and the journal's head come at the end."""
        run_id = office.begin()
        office.step("snapshot", "aws.ebs.snapshot-instance", SNAPSHOTS)
        early = ids_of(office.custody.keep(run_id).chain.records)
        office.step("copy", "aws.ebs.copy-to-forensics", COPY)
        office.end()

        late = office.custody.keep(run_id).chain

        assert ids_of(late.records)[: len(early)] == early
        assert [late.records[-1]["kind"], late.seals] == [JOURNAL, 2]

    def test_a_crash_before_the_file_is_in_place_leaves_the_ledger(
        self, office: Office, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The batch is there with its seal, or not at all; the next call makes it whole."""
        run_id = office.begin()
        office.step("snapshot", "aws.ebs.snapshot-instance", SNAPSHOTS)
        path = office.custody.ledger(office.custody.keep(run_id).row).path
        before = path.read_bytes()
        office.end()
        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                office.custody.keep(run_id)
        assert path.read_bytes() == before

        chain = office.custody.keep(run_id).chain

        assert len(set(ids_of(chain.records))) == len(chain.records) == 4
        assert [each.name for each in path.parent.iterdir() if each.name.startswith(".inc")] == []

    def test_runs_of_one_incident_share_a_ledger(self, office: Office) -> None:
        """The second run goes on where the first ended."""
        first, second = office.whole_run(), office.whole_run()
        office.custody.keep(first)

        chain = office.custody.keep(second).chain

        assert [each["body"]["journal"]["run_id"] for each in chain.records if each["kind"] == JOURNAL] == [
            first, second
        ]  # fmt: skip

    def test_processes_that_append_at_once_lose_nothing(self, office: Office) -> None:
        """Each holds the ledger while it reads, extends and replaces it."""
        runs = [office.whole_run() for _ in range(6)]

        with ThreadPoolExecutor(6) as pool:
            list(pool.map(lambda run_id: office.anew().keep(run_id), runs))

        chain = office.custody.ledger(office.store.run(runs[0])).read()
        assert chain is not None
        assert {record["body"]["journal"]["run_id"] for record in chain.records[1:]} == set(runs)
        assert len(chain.records) == 1 + 4 * len(runs)

    def test_the_ledger_of_another_incident_is_not_appended_to(self, office: Office) -> None:
        """Two files that changed places are each whole: the name inside says whose they are."""
        one, two = office.whole_run("inc-1"), office.whole_run("inc-2")
        office.custody.keep(one)
        office.custody.keep(two)
        path, other = (office.custody.ledger(office.store.run(run)).path for run in (one, two))
        before = other.read_bytes()
        path.write_bytes(before)

        with pytest.raises(CustodyBroken, match="is the ledger of inc-2, not of inc-1"):
            office.anew().keep(office.whole_run("inc-1"))

        assert path.read_bytes() == before

    def test_a_ledger_that_does_not_verify_is_not_appended_to(self, office: Office) -> None:
        """Tampering is not sealed over."""
        run_id = office.begin()
        office.step("snapshot", "aws.ebs.snapshot-instance", SNAPSHOTS)
        path = office.custody.ledger(office.custody.keep(run_id).row).path
        path.write_bytes(path.read_bytes().replace(b"snap-00000000000000002", b"snap-0000000000000000b"))
        office.end()

        with pytest.raises(CustodyBroken, match="ledger record 2"):
            office.custody.keep(run_id)

    def test_a_journal_that_does_not_verify_is_not_projected(self, office: Office) -> None:
        """Nothing is taken from a journal that somebody changed."""
        run_id = office.whole_run()
        with office.store._engine.begin() as connection:
            connection.exec_driver_sql("UPDATE records SET body = '{}' WHERE seq = 2")

        with pytest.raises(JournalCorrupt):
            office.custody.keep(run_id)

    def test_a_full_disk_is_told_and_loses_nothing(
        self, office: Office, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """ENOSPC names what to do; the ledger is as before."""
        run_id = office.whole_run()

        def full(*_: object) -> int:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            with pytest.raises(VaultUnavailable, match="the disk is full; nothing that was stored before"):
                office.custody.keep(run_id)

        assert len(office.custody.keep(run_id).chain.records) == 5

    def test_an_unknown_run_is_not_found(self, office: Office) -> None:
        """A typo makes no ledger."""
        with pytest.raises(RunNotFound):
            office.custody.keep("nothing")

    def test_the_hook_of_ended_runs_keeps_custody(self, office: Office) -> None:
        """A run that ends is in the ledger without anybody asking."""
        run_id = office.whole_run()
        services = Context(office.clock, office.ids)
        services.settings, services.store = office.settings, office.store

        keep_ended(services, run_id)

        assert office.custody.ledger(office.store.run(run_id)).path.exists()


class TestVerdict:
    def test_a_run_of_the_store_verifies(self, office: Office) -> None:
        """The same checks as of a bundle, on the store."""
        run_id = office.whole_run()
        office.custody.keep(run_id)

        verdict = office.custody.verdict(run_id, "")

        assert (verdict.records, verdict.journals) == (5, 1)

    def test_verify_writes_nothing_and_says_what_is_lacking(self, office: Office) -> None:
        """A ledger that is behind its journal is incomplete, not broken."""
        run_id = office.whole_run()

        with pytest.raises(EvidenceIncomplete, match="4 entries"):
            office.custody.verdict(run_id, "")

        assert not office.custody.directory.exists()

    def test_a_file_that_was_changed_in_the_vault_is_found(self, office: Office) -> None:
        """The ledger has the hash of what was there."""
        run_id = office.whole_run()
        path = Path(LocalVault(office.custody.directory / "vault").put("inc-1", "disk.raw", b"one").location)
        office.export(run_id, "b.zip")
        assert office.custody.verdict(run_id, "").files == 1
        path.chmod(0o600)
        path.write_bytes(b"two")

        with pytest.raises(EvidenceIncomplete, match=r"disk\.raw"):
            office.custody.verdict(run_id, "")

    def test_another_key_than_the_expected_is_refused(self, office: Office) -> None:
        """``--key`` holds for the store's ledger too."""
        run_id = office.whole_run()
        office.custody.keep(run_id)

        with pytest.raises(CustodyBroken, match="not by the expected"):
            office.custody.verdict(run_id, "0" * 64)


class TestKeys:
    def test_our_own_key_is_made_once_and_private(self, office: Office) -> None:
        """Mode 0600 in a directory of mode 0700."""
        first = office.custody.signer().public.fingerprint
        path = office.custody.directory / "keys" / "signing-key.pem"

        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert office.anew().signer().public.fingerprint == first

    def test_a_key_that_others_may_read_is_refused(self, office: Office) -> None:
        """A key that may be known to others proves nothing."""
        office.custody.signer()
        path = office.custody.directory / "keys" / "signing-key.pem"
        path.chmod(0o644)

        with pytest.raises(SettingsError, match="can be read by others"):
            office.anew().signer()

    def test_a_link_in_the_place_of_the_key_is_refused(self, office: Office) -> None:
        """Nobody makes us sign with a file elsewhere."""
        office.custody.signer()
        path = office.custody.directory / "keys" / "signing-key.pem"
        path.rename(path.with_name("elsewhere"))
        path.symlink_to("elsewhere")

        with pytest.raises(VaultUnavailable):
            office.anew().signer()

    def test_a_reference_names_the_key(self, office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
        """``forensics.signing_key`` is a reference to a PEM text; what is no key is named by it."""
        pem = own_key(office)
        monkeypatch.setenv("CUSTODY_KEY", pem)
        assert office.anew(signing_key="env:CUSTODY_KEY").signer().public == office.custody.signer().public
        monkeypatch.setenv("CUSTODY_KEY", "-----BEGIN secret")

        with pytest.raises(SettingsError, match="env:CUSTODY_KEY: no Ed25519") as caught:
            office.anew(signing_key="env:CUSTODY_KEY").signer()

        assert "secret" not in str(caught.value)

    def test_a_rotated_key_goes_on_with_old_ledgers(self, office: Office) -> None:
        """The announcement stands in the ledger; the old private key is gone."""
        office.custody.keep(office.whole_run())
        old = (office.custody.directory / "keys" / "signing-key.pem").read_bytes()
        office.custody.rotate("")
        office.custody.rotate("")

        chain = office.anew().keep(office.whole_run()).chain

        assert [each["kind"] for each in chain.records].count(ROTATED) == 2
        assert len(office.custody.ledger(office.store.run(office.whole_run())).read().keys) == 3  # type: ignore[union-attr]
        assert old not in [each.read_bytes() for each in (office.custody.directory / "keys").glob("*.pem")]

    def test_a_key_may_come_back(self, office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
        """Somebody tries a key and returns to the one before: each change is a record of its own."""
        office.custody.keep(office.whole_run())
        own = (office.custody.directory / "keys" / "signing-key.pem").read_text("ascii")
        monkeypatch.setenv("OWN_KEY", own)
        monkeypatch.setenv("NEW_KEY", LocalSigner.generate().private_pem().decode())
        ways = (("", "env:NEW_KEY"), ("env:NEW_KEY", "env:OWN_KEY"), ("env:OWN_KEY", "env:NEW_KEY"))
        run_id = ""
        for old, new in ways:
            office.clock.advance(60)
            custody = office.anew(signing_key=new)
            custody.rotate(old)
            run_id = office.whole_run()
            chain = custody.keep(run_id).chain

        assert [each["kind"] for each in chain.records].count(ROTATED) == 3
        assert custody.verdict(run_id, "").key_sha256 == custody.signer().public.fingerprint

    def test_a_crash_while_the_key_is_rotated_leaves_the_old_key(
        self, office: Office, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The announcement of a key that was never stored is replaced by the next one."""
        office.custody.keep(office.whole_run())
        with monkeypatch.context() as patch:
            patch.setattr(LocalSigner, "private_pem", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                office.custody.rotate("")
        assert len(office.anew().keep(office.whole_run()).chain.keys) == 1

        office.custody.rotate("")

        run_id = office.whole_run()
        office.anew().keep(run_id)
        assert office.custody.verdict(run_id, "").keys[-1] == office.custody.signer().public.fingerprint

    def test_a_key_that_nobody_announced_is_refused(self, office: Office) -> None:
        """A new key must be announced by the old one; the message says how."""
        office.custody.keep(office.whole_run())
        (office.custody.directory / "keys" / "signing-key.pem").unlink()

        with pytest.raises(EvidenceError, match="nobody announced") as caught:
            office.anew().keep(office.whole_run())

        assert "rotate-key --from" in caught.value.hint

    def test_a_configured_key_is_announced_by_our_own(
        self, office: Office, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """From the local key to one in a secret store."""
        office.custody.keep(office.whole_run())
        other = Office(office.folder / "other")
        pem = own_key(other)
        other.store.close()
        monkeypatch.setenv("CUSTODY_KEY", pem)
        custody = office.anew(signing_key="env:CUSTODY_KEY")
        custody.rotate("")

        chain = custody.keep(office.whole_run()).chain

        assert chain.keys[-1].fingerprint == other.custody.signer().public.fingerprint

    def test_rotating_to_the_same_key_is_refused(
        self, office: Office, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """There is nothing to announce."""
        pem = own_key(office)
        monkeypatch.setenv("CUSTODY_KEY", pem)

        with pytest.raises(EvidenceError, match="the new key is the old one"):
            office.anew(signing_key="env:CUSTODY_KEY").rotate("")


def test_the_directory_is_beside_the_store_and_named_after_it(office: Office) -> None:
    """Two stores in one folder never share a ledger."""
    assert office.custody.directory == office.folder / "irrunner.custody"
    assert office.anew(directory="/x/y").directory == Path("/x/y")


def test_settings_refuse_a_key_by_value() -> None:
    """A private key never stands in the configuration."""
    with pytest.raises(ValueError, match="name where the secret is"):
        Settings(forensics={"signing_key": "-----BEGIN PRIVATE KEY-----"})


def test_outputs_of_another_version_are_said_to_be_unreadable(office: Office) -> None:
    """A journal of an older irrunner is still projected: nothing is left out in silence."""
    run_id = office.begin()
    office.step("snapshot", "aws.ebs.snapshot-instance", {"ids": ["snap-1"]})

    (body,) = evidence_of(office, run_id)

    assert (body["item"]["kind"], "another version" in body["note"]) == ("unreadable", True)
