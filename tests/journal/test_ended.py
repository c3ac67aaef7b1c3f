"""Tampering shows: changed, removed or cut records, removed runs, edited rows."""

# ruff: noqa: S608 - the statements are an attacker's, put together from constants
from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing

import pytest

from irrunner.errors import JournalCorrupt
from irrunner.journal.records import Draft, canonical, digest
from irrunner.journal.sql import SqlStore
from irrunner.journal.store import NewRun, RunChange
from irrunner.vocabulary import RunStatus


@pytest.fixture
def played(store: SqlStore, new_run: Callable[..., NewRun]) -> SqlStore:
    """Return a store with three ended runs of four records each, and an open one."""
    for n in range(4):
        lease = store.create_run(new_run(f"run-{n}"), [Draft("started", {"n": n})], "me", 30)
        store.append(lease, [Draft("intent", {}), Draft("outcome", {"groups": ["sg-1"]})])
        if n < 3:
            ended = RunChange(status=RunStatus.SUCCEEDED, ended=True)
            store.append(lease, [Draft("finished", {})], ended)
    return store


def tamper(store: SqlStore, *statements: str) -> None:
    """Change the database as somebody with the file would."""
    with closing(sqlite3.connect(store.path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


def test_what_nobody_touched_verifies(played: SqlStore) -> None:
    """An honest store verifies, run by run and as a whole, and names its heads."""
    assert played.verify("run-0").head_sha256 == played.run("run-0").head_sha256
    report = played.verify_all()
    assert (report.ok, report.records, report.broken_at) == (True, 15, None)


RUN_1 = "WHERE run_id = 'run-1'"
OPEN = "WHERE run_id = 'run-3'"


@pytest.mark.parametrize(
    ("statement", "run_id", "broken_at", "problem"),
    [
        (
            f"UPDATE records SET body = '{{}}' {RUN_1} AND seq = 2",
            "run-1",
            2,
            "record 2 (outcome) was changed",
        ),
        (f"UPDATE records SET at = '2020' {RUN_1} AND seq = 0", "run-1", 0, "record 0 (started) was changed"),
        (
            f"UPDATE records SET body = x'00ff' {RUN_1} AND seq = 1",
            "run-1",
            1,
            "record 1 (intent) was changed",
        ),
        (f"DELETE FROM records {RUN_1} AND seq = 1", "run-1", 1, "record 1 is missing"),
        (f"DELETE FROM records {RUN_1} AND seq = 0", "run-1", 0, "record 0 is missing"),
        (f"DELETE FROM records {RUN_1} AND seq >= 2", "run-1", 2, "2 records after record 1 were removed"),
        (f"DELETE FROM records {OPEN} AND seq = 2", "run-3", 2, "1 records after record 1 were removed"),
        (f"UPDATE runs SET head_sha256 = 'x' {RUN_1}", "run-1", 4, "does not name the head"),
        (f"UPDATE runs SET head_sha256 = 'x' {OPEN}", "run-3", 3, "does not name the head"),
        (f"UPDATE runs SET records = 2 {RUN_1}", "run-1", 4, "does not name the head"),
        (f"UPDATE runs SET status = 'failed' {RUN_1}", "run-1", 4, "status is not what it was"),
        (f"UPDATE runs SET ended_at = NULL {RUN_1}", "run-1", 4, "ended_at is not what it was"),
        (f"DELETE FROM runs {RUN_1}", "run-1", 4, "run run-1 was deleted"),
        (f"DELETE FROM runs {OPEN}", "run-3", 3, "run run-3 was deleted"),
    ],
)
def test_tampering_with_a_run_shows_where(
    played: SqlStore, statement: str, run_id: str, broken_at: int, problem: str
) -> None:
    """One run's check and the whole store's find the same place."""
    tamper(played, statement)

    for report in (played.verify(run_id), played.verify_all()):
        assert (report.ok, report.broken_at) == (False, broken_at)
        assert problem in report.problem


@pytest.mark.parametrize("run_id", ["run-1", "run-2"])
def test_a_run_that_was_deleted_with_all_its_records_shows(played: SqlStore, run_id: str) -> None:
    """The chain of ended runs remembers a run of which nothing else is left."""
    where = f"WHERE run_id = '{run_id}'"
    tamper(played, f"DELETE FROM records {where}", f"DELETE FROM runs {where}")

    assert played.verify(run_id).problem == f"run {run_id} was deleted"
    assert not played.verify_all().ok


@pytest.mark.parametrize(
    ("run_id", "problem"), [("run-1", "entry 1 is missing"), ("run-2", "entries after 2 were removed")]
)
def test_a_run_that_was_deleted_with_its_entry_shows(played: SqlStore, run_id: str, problem: str) -> None:
    """A gap or a cut tail in the chain of ended runs is found."""
    tables = ("records", "runs", "ended_runs")
    tamper(played, *(f"DELETE FROM {table} WHERE run_id = '{run_id}'" for table in tables))

    assert problem in played.verify_all().problem


def test_a_tail_cut_with_care_shows_in_the_chain_of_ended_runs(played: SqlStore) -> None:
    """Cutting a run and correcting its row is not enough: the entry made at its end disagrees."""
    head = played.records("run-1")[1].sha256
    cut = f"UPDATE runs SET records = 2, head_sha256 = '{head}' {RUN_1}"
    tamper(played, f"DELETE FROM records {RUN_1} AND seq >= 2", cut)

    assert "records is not what it was when the run ended" in played.verify("run-1").problem


def test_an_edited_entry_shows(played: SqlStore) -> None:
    """The entries are hashed as the records are."""
    tamper(played, f"UPDATE ended_runs SET status = 'failed' {RUN_1}")

    assert "was changed" in played.verify("run-1").problem
    assert "entry 1 (run run-1) was changed" in played.verify_all().problem


def test_an_ended_run_without_an_entry_shows(played: SqlStore) -> None:
    """Nobody ends a run by hand."""
    tamper(played, f"UPDATE runs SET ended_at = '2026' {OPEN}")

    assert "not in the chain of ended runs" in played.verify("run-3").problem


def test_the_head_kept_elsewhere_proves_what_the_file_cannot(played: SqlStore) -> None:
    """Who rewrites everything consistently fools the file, but not a head that somebody noted."""
    noted = played.verify_all().head_sha256
    entry = ["position", "run_id", "status", "ended_at", "records", "head_sha256", "prev_sha256"]
    with played._engine.connect() as connection:
        row = connection.exec_driver_sql(
            f"SELECT {', '.join(entry)} FROM ended_runs WHERE position = 2"
        ).one()
    forged = [*row]
    forged[2] = "failed"
    sha256 = digest(canonical(forged))
    tamper(
        played,
        f"UPDATE ended_runs SET status = 'failed', sha256 = '{sha256}' WHERE position = 2",
        f"UPDATE ended_head SET sha256 = '{sha256}'",
        "UPDATE runs SET status = 'failed' WHERE run_id = 'run-2'",
    )

    report = played.verify_all()
    assert report.ok
    assert report.head_sha256 != noted


def test_a_removed_head_of_the_chain_is_an_error(played: SqlStore) -> None:
    """Without the chain's head nothing can be verified, and no run can end."""
    tamper(played, "DELETE FROM ended_head")

    with pytest.raises(JournalCorrupt):
        played.verify_all()


def test_rows_that_no_program_wrote_are_corrupt_not_a_crash(played: SqlStore) -> None:
    """A status or body that cannot be read gives one clear error."""
    tamper(played, f"UPDATE runs SET status = 'fine' {RUN_1}", f"UPDATE records SET body = '{{' {OPEN}")

    with pytest.raises(JournalCorrupt, match="fine"):
        played.run("run-1")
    with pytest.raises(JournalCorrupt, match="no JSON"):
        played.records("run-3")
