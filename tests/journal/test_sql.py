"""The store's contract: runs, appends, leases, requests, timers, locks."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from irrunner.errors import (
    IRRunnerError,
    JournalCorrupt,
    JournalUnavailable,
    LeaseLost,
    RunExists,
    RunNotResumable,
    SettingsError,
)
from irrunner.journal.appends import Append
from irrunner.journal.records import GENESIS, Draft, first_break
from irrunner.journal.sql import SqlStore, default_path, open_store
from irrunner.journal.store import Lease, NewRun, RunChange, Store, Timer
from irrunner.settings import Settings
from irrunner.testing import ManualClock
from irrunner.vocabulary import RunStatus

Begin = Callable[..., Lease]
START = Draft("started", {"playbook": "text"})
END = RunChange(status=RunStatus.SUCCEEDED, ended=True)


def test_a_new_run_is_listed_with_its_head(store: SqlStore, begin: Begin) -> None:
    """The row of a new run says who drives it and where its chain stands."""
    lease = begin("run-1")

    row = store.run("run-1")

    assert (row.status, row.records, row.owner) == (RunStatus.RUNNING, 1, "me")
    assert row.head_sha256 == store.records("run-1")[0].sha256
    assert lease == Lease("run-1", "me", 1)


def test_a_second_open_run_of_an_incident_is_refused(store: SqlStore, begin: Begin) -> None:
    """One playbook has one open run per incident; the error names it, and nothing of the second stays."""
    begin("run-1", incident_key="key")

    with pytest.raises(RunExists) as refused:
        begin("run-2", incident_key="key")

    assert refused.value.detail["run_id"] == "run-1"
    assert store.records("run-2") == []


def test_the_database_itself_refuses_a_twin(store: SqlStore, begin: Begin) -> None:
    """The partial unique index holds even where our own question is not asked."""
    begin("run-1", incident_key="key")
    begin("run-2")

    with pytest.raises(JournalCorrupt, match="UNIQUE"):
        store._write(lambda c: c.exec_driver_sql("UPDATE runs SET incident_key = 'key'"))


@pytest.mark.parametrize("differs", [{"incident_key": ""}, {"playbook_id": "other"}])
def test_runs_that_share_no_incident_and_playbook_live_side_by_side(
    store: SqlStore, begin: Begin, differs: dict[str, str]
) -> None:
    """Runs without a finding never join, and another playbook may answer the same incident."""
    begin("run-1", **({"incident_key": "key"} | differs))
    begin("run-2", **({"incident_key": "key"} | differs | {"playbook_id": "third"}))
    begin("run-3", incident_key="")

    assert len(store.runs()) == 3


def test_an_incident_may_have_a_new_run_after_the_first_ended(store: SqlStore, begin: Begin) -> None:
    """Uniqueness is over open runs only."""
    store.append(begin("run-1", incident_key="key"), [Draft("finished", {})], END)
    begin("run-2", incident_key="key")

    assert [row.run_id for row in store.runs_of_incident("key")] == ["run-2", "run-1"]


def test_a_run_id_is_used_once(store: SqlStore, begin: Begin) -> None:
    """A repeated id never overwrites a run."""
    begin("run-1")

    with pytest.raises(RunExists):
        begin("run-1", incident_key="other")


def test_hostile_text_is_stored(store: SqlStore, begin: Begin) -> None:
    """NUL and lone surrogates of a finding neither crash the store nor hide the run."""
    lease = begin("run-1", title="a\0b\ud800", incident_key="k\ud800", event_key="e\0")
    store.append(lease, [Draft("event", {"tag": "\ud800\0" + "ü" * 1_000_000})])

    assert store.runs_of_incident("k\ud800") == store.runs_of_event("e\0") == [store.run("run-1")]
    assert store.records("run-1")[1].body["tag"][:2] == "\ud800\0"
    assert store.verify("run-1").ok


def test_appends_chain_and_count(store: SqlStore, begin: Begin) -> None:
    """Records come back as they were appended, and the row's head is the last one's hash."""
    lease = begin("run-1")

    appended = store.append(
        lease, [Draft("intent", {"a": 1}, "isolate"), Draft("outcome", {"b": [2]}, "isolate")]
    )

    assert store.records("run-1", after_seq=0) == appended
    assert first_break(store.records("run-1")) is None
    assert (store.run("run-1").records, store.run("run-1").head_sha256) == (3, appended[-1].sha256)


def test_a_change_goes_with_its_append(store: SqlStore, begin: Begin) -> None:
    """Status, severity, timers and settled requests change in the same commit."""
    lease = begin("run-1")
    ask = store.request("run-1", "approve", {"by": "os:alice"})
    timers = [Timer("run-1", "ask", "approval", 0, "2026-01-01T00:30:00.000Z")]
    parked = RunChange(status=RunStatus.WAITING, timers_set=timers, severity=9.5, requests_settled=[ask])

    store.append(lease, [Draft("gate_opened", {})], parked)

    row = store.run("run-1")
    assert (row.status, row.severity, row.next_timer_at) == (RunStatus.WAITING, 9.5, timers[0].due_at)
    assert store.timers("run-1") == timers
    assert store.requests("run-1") == []


def test_a_timer_that_is_set_again_moves_and_a_cleared_one_goes(store: SqlStore, begin: Begin) -> None:
    """A timer is known by path, purpose and attempt."""
    lease = begin("run-1")
    first = Timer("run-1", "a", "wait", 0, "2026-01-01T01:00:00.000Z")
    later = Timer("run-1", "a", "wait", 0, "2026-01-01T02:00:00.000Z")
    other = Timer("run-1", "b", "retry", 1, "2026-01-01T03:00:00.000Z")
    store.append(lease, [], RunChange(timers_set=[first, other]))

    store.append(lease, [], RunChange(timers_set=[later], timers_cleared=[("b", "retry", 1)]))

    assert store.timers("run-1") == [later]
    assert store.run("run-1").records == 1


def test_the_end_frees_everything(store: SqlStore, begin: Begin) -> None:
    """An ended run has no timers, locks or owner, and takes no more records, requests or leases."""
    lease = begin("run-1")
    store.lock(lease, ["arn:a"])
    store.append(
        lease, [], RunChange(timers_set=[Timer("run-1", "a", "wait", 0, "2026-01-01T01:00:00.000Z")])
    )

    store.append(lease, [Draft("finished", {})], END)

    row = store.run("run-1")
    assert (row.status, row.owner, row.next_timer_at) == (RunStatus.SUCCEEDED, None, None)
    assert row.ended_at is not None
    assert store.lock(begin("run-2"), ["arn:a"]) is None
    with pytest.raises(LeaseLost):
        store.append(lease, [Draft("late", {})])
    with pytest.raises(RunNotResumable):
        store.acquire("run-1", "you", 30)
    with pytest.raises(RunNotResumable):
        store.request("run-1", "abort", {})


def test_what_is_no_json_is_refused_before_anything_is_written(store: SqlStore, begin: Begin) -> None:
    """A bad body costs its own append only, and none of the records beside it is written."""
    lease = begin("run-1")

    for body in ({"n": float("nan")}, {"n": {1, 2}}):
        with pytest.raises((ValueError, TypeError)):
            store.append(lease, [Draft("good", {}), Draft("bad", body)])

    assert store.run("run-1").records == 1


def test_appends_of_many_threads_share_commits(store: SqlStore, begin: Begin) -> None:
    """Runs append at once without losing or mixing records, in fewer commits than appends."""
    leases = [begin(f"run-{n}") for n in range(20)]
    commits: list[int] = []
    flush = store._appends._flush
    store._appends._flush = lambda batch: (commits.append(len(batch)), flush(batch))[1]  # type: ignore[func-returns-value]

    def drive(lease: Lease) -> None:
        for n in range(10):
            store.append(lease, [Draft("intent", {"n": n}), Draft("outcome", {"n": n})])

    threads = [threading.Thread(target=drive, args=(lease,)) for lease in leases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert sum(commits) == 200
    assert len(commits) < 200
    assert store.verify_all().records == 20 * 21
    for lease in leases:
        assert [record.body.get("n") for record in store.records(lease.run_id)[1::2]] == list(range(10))


def test_one_batch_refuses_only_who_lost_the_lease(store: SqlStore, begin: Begin) -> None:
    """In a shared commit each append is judged by its own lease, and a broken run harms no other."""
    good = begin("run-1")
    lost = Lease("run-1", "me", epoch=9)
    broken = begin("run-2")
    store._write(lambda c: c.exec_driver_sql("UPDATE runs SET records = 0 WHERE run_id = 'run-2'"))
    batch = [Append(lease, [Draft("intent", {})], None) for lease in (good, lost, broken)]

    store._flush(batch)

    assert batch[0].result()[0].seq == 1
    with pytest.raises(LeaseLost):
        batch[1].result()
    with pytest.raises(JournalCorrupt):
        batch[2].result()
    assert store.verify("run-1").ok


def test_an_append_after_the_end_in_the_same_batch_is_refused(store: SqlStore, begin: Begin) -> None:
    """The end of a run fences even what shares its commit."""
    lease = begin("run-1")
    batch = [Append(lease, [Draft("finished", {})], END), Append(lease, [Draft("late", {})], None)]

    store._flush(batch)

    assert len(batch[0].result()) == 1
    with pytest.raises(LeaseLost):
        batch[1].result()
    assert store.verify_all().ok


def test_an_interrupted_commit_is_never_acknowledged(store: SqlStore, begin: Begin) -> None:
    """Ctrl-C in the leader rolls back, and nobody is told that his records are written."""
    lease = begin("run-1")
    append = Append(lease, [Draft("intent", {})], RunChange(requests_settled=InterruptingList([1])))

    with pytest.raises(KeyboardInterrupt):
        store._flush([append])

    with pytest.raises(JournalUnavailable, match="interrupted"):
        append.result()
    assert store.run("run-1").records == 1


class InterruptingList(list[int]):
    """Settled requests that are interrupted while they are read."""

    def __bool__(self) -> bool:
        raise KeyboardInterrupt


def test_the_environment_names_the_store(
    tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """IRRUNNER_STORE goes before the setting, and the setting before the user's own directory."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    monkeypatch.delenv("IRRUNNER_STORE", raising=False)
    with closing(open_store(Settings(), clock)) as store:
        assert store.path == tmp_path / "xdg" / "irrunner" / "irrunner.db"
    with closing(open_store(Settings(store=f"sqlite:///{tmp_path / 'set.db'}"), clock)) as store:
        assert store.path == tmp_path / "set.db"
    monkeypatch.setenv("IRRUNNER_STORE", str(tmp_path / "env.db"))
    with closing(open_store(Settings(store="elsewhere.db"), clock)) as store:
        assert store.path == tmp_path / "env.db"


def test_a_relative_state_home_is_ignored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The XDG specification has relative paths ignored."""
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))

    assert default_path() == tmp_path / ".local" / "state" / "irrunner" / "irrunner.db"


@pytest.mark.parametrize(
    "url", ["postgresql://u:secret@h/d", "sqlite://", "sqlite:///:memory:", "://", "x y://z"]
)
def test_a_url_of_something_else_is_refused_without_its_password(url: str, clock: ManualClock) -> None:
    """Only SQLite files are stores, and a refused URL shows no secret."""
    with pytest.raises(SettingsError) as refused:
        SqlStore(url, clock)

    assert "secret" not in str(refused.value)


def test_closing_twice_is_harmless(store: SqlStore) -> None:
    """A store may be closed on every way out."""
    store.close()
    store.close()


def test_the_store_keeps_the_contract(store: SqlStore) -> None:
    """The SQL store is a Store for the type checker too, and starts empty."""
    contract: Store = store

    assert contract.runs() == []
    assert contract.due_runs("2026-01-01T00:00:00.000Z") == []
    assert contract.verify_all().head_sha256 == GENESIS


STEPS = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from(["append", "take_over", "release", "end", "stale"])),
    max_size=15,
)


@given(STEPS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_owners_do_every_chain_verifies(
    tmp_path_factory: pytest.TempPathFactory, new_run: Callable[..., NewRun], steps: list[tuple[int, str]]
) -> None:
    """Appends, take-overs, releases, ends and stale owners in any order leave intact chains."""
    clock = ManualClock()
    with closing(SqlStore(tmp_path_factory.mktemp("store") / "x.db", clock)) as store:
        leases = {n: store.create_run(new_run(f"run-{n}"), [START], "me", 30) for n in range(3)}
        acknowledged = dict.fromkeys(range(3), 1)
        for n, step in steps:
            try:
                lease, count = act(store, clock, leases[n], step)
            except (LeaseLost, RunNotResumable):
                continue
            leases[n], acknowledged[n] = lease, acknowledged[n] + count

        assert store.verify_all().ok
        assert {n: store.run(f"run-{n}").records for n in range(3)} == acknowledged


def act(store: SqlStore, clock: ManualClock, lease: Lease, step: str) -> tuple[Lease, int]:
    """Do one step; return the lease that is held afterwards, and how many records were acknowledged."""
    if step == "take_over":
        clock.advance(60)
        return store.acquire(lease.run_id, "next", 30) or lease, 0
    if step == "release":
        store.release(lease)
        return lease, 0
    if step == "stale":
        lease = Lease(lease.run_id, "ghost", lease.epoch - 1)
    change = END if step == "end" else None
    return lease, len(store.append(lease, [Draft(step, {}), Draft(step, {"n": 1})], change))


def test_errors_of_the_store_have_codes(store: SqlStore) -> None:
    """What a person meets is one of our errors, with a code for scripts."""
    with pytest.raises(IRRunnerError) as refused:
        store.run("nobody")

    assert refused.value.code == "run-not-found"
