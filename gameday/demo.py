"""``irrunner demo``: one incident from its finding to its undo on a simulated organisation, checked.

Nothing is staged but the people and the time: the finding is parsed and matched, the playbook compiled
and driven, and every effect sent over HTTP, as by ``irrunner respond``. What came of it is then read
from the world's own state, which the runner has no part in.
"""

from __future__ import annotations

import contextlib
import io
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from gameday import observe
from gameday.demo_incident import (
    DETECTION,
    SUBJECT,
    VOLUMES,
    Check,
    containment,
    evidence_first,
    verdict,
)
from gameday.finding_events import instance_event
from gameday.observe import Scene, View
from gameday.stage import Stage, set_up
from irrunner.cli.app import run as run_command
from irrunner.cli.plans import plan_document
from irrunner.clock import SystemClock, iso, parse_iso
from irrunner.engine.embedded import Observer
from irrunner.engine.intake import take_in
from irrunner.engine.service import Runner
from irrunner.errors import EXIT_DONE, EXIT_INVARIANT, NothingDone
from irrunner.findings.parse import parse_events
from irrunner.vocabulary import RunStatus

SNAPSHOT_S: Final = 0.4
EVENT_FILE: Final = "finding.json"
REPORT_FILE: Final = "report.html"
BUNDLE_FILE: Final = "evidence.zip"


class DemoClock(SystemClock):
    """The machine's clock, which can be set forward: nobody waits hours for a demonstration."""

    def __init__(self) -> None:
        self._ahead = timedelta()

    def now(self) -> datetime:
        """See :class:`irrunner.clock.Clock`."""
        return super().now() + self._ahead

    def monotonic_s(self) -> float:
        """See :class:`irrunner.clock.Clock`."""
        return super().monotonic_s() + self._ahead.total_seconds()

    def skip_to(self, moment: datetime) -> float:
        """Set the clock forward, and return the seconds left out."""
        left_out = max(timedelta(), moment - self.now())
        self._ahead += left_out
        return left_out.total_seconds()


class Audience:
    """Who is told what happens; nobody, where a machine asked for JSON."""

    def arrived(self, event: Mapping[str, Any]) -> None:
        """The finding is here."""

    def planned(self, plan: Mapping[str, Any], checks: Sequence[Check]) -> None:
        """This is what would be done."""

    def progress(self, title: str) -> AbstractContextManager[Observer | None]:
        """Something begins, or with an empty title goes on; its records are shown until the block ends."""
        del title
        return contextlib.nullcontext()

    def came_to_rest(self, document: Mapping[str, Any]) -> None:
        """The run has ended, or waits for a person."""

    def observed(self, title: str, checks: Sequence[Check], groups: Mapping[str, str]) -> None:
        """This was found in the world."""

    def skipped_time(self, seconds: float, why: str) -> None:
        """The clock was set forward."""

    def reported(self, commands: Sequence[str], checks: Sequence[Check]) -> None:
        """These commands have written the report and the evidence."""

    def ended(self, document: Mapping[str, Any]) -> None:
        """All is done."""


@dataclass(slots=True)
class Demo:
    """The incident, scene by scene."""

    stage: Stage
    clock: DemoClock
    audience: Audience
    event: Mapping[str, Any]
    checks: list[Check] = field(default_factory=list)
    told: dict[str, Any] = field(default_factory=dict)

    def play(self) -> dict[str, Any]:
        """Play all scenes, and return the document of the demonstration."""
        data = json.dumps(self.event).encode()
        before = self.stage.world.state()
        self.audience.arrived(self.event)
        self._plan(data)
        run_id = self._respond(data)
        self._decide(run_id)
        self._contained(run_id)
        self._undo(run_id)
        self._restored(before)
        self._reported(run_id)
        self.told["checks"] = [check.as_dict() for check in self.checks]
        self.told["exit_code"] = verdict(self.checks)
        return self.told

    def _runner(self, observer: Observer | None = None) -> Runner:
        return self.stage.context.runner(observer)

    def _view(self) -> View:
        world = self.stage.world
        scene = Scene(SUBJECT.account, SUBJECT.region, world.organisation.forensics, world.resources)
        return View(world.state(), scene)

    def _add(self, *checks: Check) -> tuple[Check, ...]:
        self.checks += checks
        return checks

    def _plan(self, data: bytes) -> None:
        runner, world = self._runner(), self.stage.world
        (taken,) = take_in(
            runner, self.stage.context.library, data, again=False, accepted_at=self.clock.now()
        )
        if taken.playbook is None:
            raise NothingDone(taken.message)
        seen = len(world.calls(mutating=True))
        steps = runner.plan(taken.playbook, taken.inputs, taken.finding)
        plan = plan_document(taken.playbook, steps, runner)
        sent = len(world.calls(mutating=True)) - seen
        self.told["finding"] = taken.about()["finding"]
        self.told["plan"] = plan
        self.audience.planned(plan, self._add(Check("the plan changed nothing", sent == 0, f"{sent} calls")))

    def _respond(self, data: bytes) -> str:
        with self.audience.progress("The response, live") as observer:
            document = self.stage.respond(data, observer=observer)
        self.told["response"] = document
        self._add(
            Check("the run waits for a person and for nothing else", document["status"] == RunStatus.WAITING)
        )
        self.audience.came_to_rest(document)
        return str(document["run_id"])

    def _decide(self, run_id: str) -> None:
        with self.audience.progress(
            "A person decides: in this demonstration a scripted one, who says yes"
        ) as observer:
            runner = self._runner(observer)
            gate = runner.gate(self.stage.context.store.run(run_id), None)
            document = runner.approve(run_id, gate["path"], plan_sha256=gate["sha256"])
        self.told["approved"] = document
        self._add(Check("the run has succeeded", document["status"] == RunStatus.SUCCEEDED))

    def _contained(self, run_id: str) -> None:
        view = self._view()
        report = self.stage.context.store.verify(run_id)
        checks = self._add(
            *containment(view),
            evidence_first(self.stage.world.calls()),
            Check("the journal's hash chain verifies", report.ok, f"{report.records} records"),
        )
        groups = {name: ", ".join(found) for name, found in observe.interfaces(view).items()}
        self.audience.observed("What the cloud looks like now, read past the runner", checks, groups)

    def _undo(self, run_id: str) -> None:
        with self.audience.progress("Undo, newest step first") as observer:
            document = self._runner(observer).undo(run_id, None, release_credentials=False)
        while document["status"] == RunStatus.WAITING:
            seconds = self.clock.skip_to(self._due(document))
            self.audience.skipped_time(seconds, "until no session from before can be alive")
            with self.audience.progress("") as observer:
                document = self._runner(observer).resume(document["run_id"])
        self.told["undo"] = document
        self._add(Check("the undo has succeeded", document["status"] == RunStatus.SUCCEEDED))

    def _due(self, document: Mapping[str, Any]) -> datetime:
        timers = self.stage.context.store.timers(document["run_id"])
        return max(parse_iso(timer.due_at) for timer in timers) + timedelta(seconds=1)

    def _restored(self, before: Mapping[str, Any]) -> None:
        view = self._view()
        changed = observe.differences(before, view.state)
        copies = observe.forensic_copies(view)
        checks = self._add(
            Check("everything is as it was before the finding", not changed, ", ".join(changed)),
            Check("the evidence stays", copies == VOLUMES, f"{copies} copies in the forensic account"),
        )
        self.audience.observed("After the undo, read past the runner", checks, {})

    def _reported(self, run_id: str) -> None:
        """Write the report and the evidence by the real commands; a bundle with a changed byte is caught."""
        folder = self.stage.directory
        report, bundle, forged = folder / REPORT_FILE, folder / BUNDLE_FILE, folder / "forged.zip"
        commands = (
            ("report", run_id, "--to", "html", "--out", str(report)),
            ("evidence", "export", run_id, "--out", str(bundle)),
            ("evidence", "verify", str(bundle)),
        )
        codes = [self._command(*words) for words in commands]
        forged.write_bytes(bundle.read_bytes().replace(b'"aws.ebs.', b'"aws.abs.', 1))
        caught = self._command("evidence", "verify", str(forged))
        forged.unlink()
        checks = self._add(
            Check("the report is written", codes[0] == EXIT_DONE and report.stat().st_size > 0),
            Check("the evidence verifies offline", codes[1:] == [EXIT_DONE, EXIT_DONE]),
            Check("one changed byte in it is found", caught == EXIT_INVARIANT, f"exit {caught}"),
        )
        self.told["report"] = {"file": str(report), "evidence": str(bundle)}
        shown = [" ".join(("irrunner", *words)).replace(f"{folder}/", "") for words in commands]
        self.audience.reported(shown, checks)

    def _command(self, *words: str) -> int:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            return run_command(words, self.stage.context)


@contextlib.contextmanager
def _set_up(event: Mapping[str, Any], clock: DemoClock, directory: Path | None) -> Iterator[Stage]:
    findings = tuple(parse_events(json.dumps(event).encode()))
    with set_up(clock=clock, findings=findings, snapshot_s=SNAPSHOT_S, directory=directory) as stage:
        yield stage


def run_demo(audience: Audience, keep: Path | None = None) -> dict[str, Any]:
    """Play the demonstration, and return its document.

    Args:
        audience: Who is told.
        keep: Where finding, configuration and journal stay; None: nowhere.

    Raises:
        OSError: If the directory cannot be written.
    """
    began = time.monotonic()
    clock = DemoClock()
    event = instance_event(SUBJECT, DETECTION, clock.now())
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        (keep / EVENT_FILE).write_text(json.dumps(event, indent=2) + "\n", encoding="utf-8")
    with _set_up(event, clock, keep) as stage:
        document = Demo(stage, clock, audience, event).play()
    document |= {"simulated": True, "at": iso(clock.now())}
    document["duration_s"] = round(time.monotonic() - began, 3)
    audience.ended(document)
    return document
