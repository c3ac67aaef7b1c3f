from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from irrunner.findings.correlate import (
    Act,
    Correlation,
    Drill,
    Late,
    NewRun,
    NotActed,
    SameEvent,
    Settled,
    Update,
    correlate,
    gate,
    is_older,
)
from irrunner.findings.model import Finding
from irrunner.findings.parse import parse_events
from irrunner.journal.store import RunRow
from irrunner.settings import Settings
from irrunner.testing import EPOCH
from irrunner.vocabulary import RunStatus
from tests.findings.finding_events import detail, event

DAY_S = 86_400.0
ALLOWED = Settings.model_validate({"drill": {"allow": True}})


def found(**changes: Any) -> Finding:
    """Return a parsed finding."""
    return parse_events(event(detail(**changes)))[0]


def run(**changes: Any) -> RunRow:
    """Return an open run that the standard finding started."""
    values: dict[str, Any] = {
        "run_id": "r1",
        "incident_id": "INC-1",
        "incident_key": found().incident_key,
        "event_key": found().event_key,
        "playbook_id": "ec2",
        "playbook_version": "1.0.0",
        "playbook_sha256": "0",
        "title": "",
        "account_id": "111122223333",
        "region": "eu-central-1",
        "severity": 8.0,
        "drill": False,
        "undoes": None,
        "status": RunStatus.RUNNING,
        "created_at": "2026-01-01T00:00:00.000Z",
        "ended_at": None,
        "records": 1,
        "head_sha256": "0",
        "owner": None,
    }
    return RunRow(**(values | changes))


ENDED = {"status": RunStatus.SUCCEEDED, "ended_at": "2026-01-01T00:00:00.000Z"}
LATER = {"updatedAt": "2026-01-03T00:00:00Z"}


def decided(
    finding: Finding, known: RunRow | None, *, same_event: bool = False, after_s: float = 60, **more: Any
) -> Correlation:
    """Return the correlation of a finding with at most one known run."""
    runs = [known] if known else []
    return correlate(
        finding,
        "ec2",
        reopen_after_s=DAY_S,
        now=EPOCH + timedelta(seconds=after_s),
        of_event=runs if same_event else [],
        of_incident=runs,
        **more,
    )


def test_an_unknown_incident_starts_a_run() -> None:
    """Nothing is known of this resource."""
    assert decided(found(), None) == NewRun()


def test_the_same_event_shows_its_run() -> None:
    """EventBridge delivers at least once; Security Hub sends the same state again."""
    known = run(**ENDED)

    assert decided(found(), known, same_event=True) == SameEvent(known)


def test_an_update_joins_the_open_run() -> None:
    """A newer state of the finding starts no second run."""
    assert decided(found(**LATER), run()) == Update(run(), None)


def test_an_update_may_raise_the_severity() -> None:
    """The run's severity rises with the finding's and never falls."""
    assert decided(found(severity=9, **LATER), run()) == Update(run(), 9.0)
    assert decided(found(severity=2, **LATER), run()) == Update(run(), None)


def test_another_finding_on_the_resource_joins_too() -> None:
    """Findings on one resource are one incident."""
    assert decided(found(id="other", updatedAt="2020-01-01T00:00:00Z"), run()) == Update(run(), None)


def test_an_older_state_changes_nothing() -> None:
    """Deliveries have no order."""
    assert decided(found(updatedAt="2026-01-01T12:00:00Z"), run()) == Late(run())


def test_what_was_attached_last_counts_not_what_started_the_run() -> None:
    """A run that saw day 3 does not take day 2.5 for news."""
    middle = found(updatedAt="2026-01-02T12:00:00Z")

    assert decided(middle, run()) == Update(run(), None)
    assert decided(middle, run(), last_events={"r1": found(**LATER).event_key}) == Late(run())


def test_after_the_end_nothing_happens_for_a_day() -> None:
    """GuardDuty repeats a finding every few hours; the incident is answered."""
    answer = decided(found(**LATER), run(**ENDED))

    assert answer == Settled(run(**ENDED), EPOCH + timedelta(days=1))


def test_after_a_day_or_when_it_gets_worse_a_new_run_follows() -> None:
    """The new run names the one before."""
    assert decided(found(**LATER), run(**ENDED), after_s=DAY_S) == NewRun(reopens="r1")
    assert decided(found(severity=9, **LATER), run(**ENDED)) == NewRun(reopens="r1")


def test_runs_of_other_playbooks_and_undos_do_not_count() -> None:
    """A run that undoes another is no answer to the incident."""
    assert decided(found(**LATER), run(playbook_id="other")) == NewRun()
    assert decided(found(**LATER), run(undoes="r0")) == NewRun()


def test_without_a_resource_nothing_is_joined() -> None:
    """Incidents without a key are not one incident."""
    nameless = found(resource={"resourceType": "AttackSequence"}, id="x")

    assert nameless.incident_key == ""
    assert decided(nameless, run(incident_key="")) == NewRun()


@pytest.mark.parametrize(
    ("ours", "known", "expected"),
    [
        ('["g","a","2026-01-01",1]', '["g","a","2026-01-02",1]', True),
        ('["g","a","2026-01-01",1]', '["g","a","2026-01-01",2]', True),
        ('["g","a","2026-01-01",2]', '["g","a","2026-01-01",2]', False),
        ('["g","a","2026-01-01",1]', '["g","b","2026-01-02",1]', False),
        ("sha256:00", '["g","a","2026-01-02",1]', False),
    ],
)
def test_age_is_compared_within_one_finding(ours: str, known: str, expected: bool) -> None:  # noqa: FBT001 - the expected value
    """By update time, then by count; other findings and digests have no order."""
    assert is_older(ours, known) is expected


def test_real_findings_are_acted_on() -> None:
    """Nothing stands in the way."""
    assert gate(found(), Settings(), loopback=False) == Act()


@pytest.mark.parametrize(
    ("settings", "loopback", "expected"),
    [
        (Settings(), True, NotActed),
        (ALLOWED, False, NotActed),
        (Settings(), False, NotActed),
        (ALLOWED, True, Drill),
    ],
)
@pytest.mark.parametrize("mark", [{"sample": True}, {"archived": True}])
def test_samples_and_archived_findings_are_drills_or_nothing(
    mark: dict[str, bool],
    settings: Settings,
    loopback: bool,  # noqa: FBT001 - a column of the table
    expected: type,
) -> None:
    """Both the configuration and the endpoint must say that nothing real is behind."""
    answer = gate(found().model_copy(update=mark), settings, loopback=loopback)

    assert isinstance(answer, expected)
    if isinstance(answer, NotActed):
        assert answer.reason == "sample-finding"


def test_an_incomplete_finding_is_a_persons_even_in_a_drill() -> None:
    """What is garbled cannot be played either."""
    answer = gate(found(accountId="1234567891234"), ALLOWED, loopback=True)

    assert isinstance(answer, NotActed)
    assert answer.reason == "finding-incomplete"
    assert "1234567891234" in answer.message
