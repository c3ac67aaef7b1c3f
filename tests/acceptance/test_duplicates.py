"""One event, one run: whoever brings it, however often, in whatever order."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.acceptance.events import REGION, instance_event, key_event
from tests.acceptance.served_world import CommandLine, Served, checked


def test_the_same_event_again_shows_the_same_run(
    tmp_path: Path, start_world: Callable[..., Served], command_line: Callable[..., CommandLine]
) -> None:
    """Second time: same run, same exit code, nothing sent."""
    event = instance_event(tmp_path)
    world = start_world(event)
    irrunner = command_line(world, REGION)

    first = irrunner("respond", "--event", event, "--json")
    sent = len(world.calls(mutating=True))
    second = irrunner.program("respond", "--event", "-", "--json", stdin=event.read_bytes())

    assert first.code == second.code == 5
    assert second.document["run_id"] == first.document["run_id"]
    assert second.document["duplicate"] is True
    assert len(world.calls(mutating=True)) == sent


def test_again_runs_a_known_event_once_more(
    tmp_path: Path, start_world: Callable[..., Served], command_line: Callable[..., CommandLine]
) -> None:
    """--again makes a new run after the first has ended; it finds everything done already."""
    event = key_event(tmp_path)
    irrunner = command_line(start_world(event))

    first = irrunner("respond", "--event", event, "--json")
    second = irrunner("respond", "--event", event, "--again", "--json")

    assert (first.code, second.code) == (0, 0), second.err
    assert second.document["run_id"] != first.document["run_id"]
    assert {step["outcome"] for step in second.document["steps"] if step["phase"] == "containment"} == {
        "already_done"
    }


def test_again_with_the_run_still_open_names_it(
    tmp_path: Path, start_world: Callable[..., Served], command_line: Callable[..., CommandLine]
) -> None:
    """One open run of a playbook for an incident: a second is refused by name."""
    event = instance_event(tmp_path)
    irrunner = command_line(start_world(event), REGION)

    first = irrunner("respond", "--event", event, "--json")
    second = irrunner("respond", "--event", event, "--again")

    assert second.code == 3
    assert second.err.startswith("error: run-exists: ")
    assert first.document["run_id"] in second.err


def test_updates_join_the_open_run_and_late_ones_change_nothing(
    tmp_path: Path, start_world: Callable[..., Served], command_line: Callable[..., CommandLine]
) -> None:
    """A newer update raises the run's severity; an older one is ignored."""
    event = instance_event(tmp_path, severity=5)
    newer = instance_event(
        tmp_path, "newer", severity=8.5, updatedAt="2026-03-01T12:00:00.000Z", service={"count": 3}
    )
    older = instance_event(
        tmp_path, "older", severity=9, updatedAt="2026-03-01T11:00:00.000Z", service={"count": 2}
    )
    irrunner = command_line(start_world(event), REGION)

    run_id = irrunner("respond", "--event", event, "--json").document["run_id"]
    attached = irrunner("respond", "--event", newer, "--json")
    records = attached.document["journal"]["records"]
    late = irrunner("respond", "--event", older, "--json")
    (listed,) = irrunner("runs", "--json").document

    assert attached.document["run_id"] == late.document["run_id"] == run_id
    assert attached.code == late.code == 5
    assert "newer update" in attached.document["reason"]
    assert "older update" in late.document["reason"]
    assert late.document["journal"]["records"] == records
    assert (listed["run_id"], listed["severity"]) == (run_id, 8.5)


def test_two_processes_with_one_event_make_one_run(
    tmp_path: Path, start_world: Callable[..., Served], command_line: Callable[..., CommandLine]
) -> None:
    """Whoever comes second shows the first's run; each change is made once."""
    event = key_event(tmp_path)
    world = start_world(event)
    irrunner = command_line(world)

    processes = [irrunner.start("respond", "--event", event, "--json") for _ in range(2)]
    ends = [checked(process.end()) for process in processes]

    operations = [call["operation"] for call in world.calls(mutating=True)]
    (run,) = irrunner("runs", "--all", "--json").document
    assert operations.count("iam:UpdateAccessKey") == 1
    assert all(run["run_id"] in done.out for done in ends), ends
    assert 0 in [done.code for done in ends]
    assert all(done.code in (0, 3) for done in ends), ends


def test_two_processes_with_two_events_share_one_store(
    tmp_path: Path, start_world: Callable[..., Served], command_line: Callable[..., CommandLine]
) -> None:
    """Runs of different incidents go on side by side in one store, and both journals verify."""
    event = key_event(tmp_path)
    other = key_event(tmp_path, "other", id="f2", key="AKIAI44QH8DHBEXAMPLE", user="bob")
    irrunner = command_line(start_world(event))

    processes = [irrunner.start("respond", "--event", path, "--json") for path in (event, other)]
    ends = [checked(process.end()) for process in processes]

    runs = irrunner("runs", "--all", "--json").document
    assert len(runs) == 2
    assert [irrunner("timeline", run["run_id"], "--json").code for run in runs] == [0, 0]
    assert ends[0].code == 0
