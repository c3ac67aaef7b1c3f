"""``irrunner test``: each entry of a playbook's ``tests:``, by the real engine on the simulated world.

Time is a clock that moves when told: an approval that expires after half an hour costs nothing. Beside
what a test expects, two things must always hold: the journal verifies, and bystanders are as before.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from gameday.incident import Incident, build_incident
from gameday.judging import Played, judge, step_of
from gameday.observe import Scene
from gameday.playbook_test_schema import Decision, TestSpec, read_tests
from gameday.stage import Stage, set_up
from irrunner.actions.registry import load_registry
from irrunner.clock import parse_iso
from irrunner.engine.compiled import Compiler
from irrunner.engine.service import Runner
from irrunner.errors import InvalidArgument, IRRunnerError, PlaybookInvalid
from irrunner.findings.parse import parse_events
from irrunner.playbook.library import Library, playbook_files
from irrunner.playbook.model import Playbook, PlaybookTest
from irrunner.playbook.order import used_actions
from irrunner.playbook.types import bind_inputs
from irrunner.testing import ManualClock, SeededIds
from irrunner.vocabulary import RunStatus

SNAPSHOT_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class Case:
    """One test, ready to be played."""

    playbook: Playbook
    test: PlaybookTest
    spec: TestSpec
    library: Library


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a test."""

    playbook_id: str
    name: str
    place: str
    failures: tuple[str, ...]
    duration_s: float

    @property
    def passed(self) -> bool:
        """Return whether everything held."""
        return not self.failures

    def as_dict(self) -> dict[str, Any]:
        """Return JSON-able data."""
        return {
            "playbook": self.playbook_id,
            "name": self.name,
            "place": self.place,
            "passed": self.passed,
            "failures": list(self.failures),
            "duration_s": round(self.duration_s, 3),
        }


def collect(names: Iterable[str], compiler: Compiler, only: str = "") -> tuple[list[Case], list[str]]:
    """Return the tests of playbooks, and the ids of playbooks that have none.

    Args:
        names: Files, directories, or ids of shipped playbooks.
        compiler: Holds the actions.
        only: Part of the name that a test must have.

    Raises:
        UnknownPlaybook: If there is no such file or id.
        PlaybookInvalid: If a playbook or a test cannot be read; lists every problem.
    """
    cases: list[Case] = []
    problems, untested = [], []
    for playbook, library in _playbooks(names, compiler):
        tests, wrong = read_tests(playbook)
        problems += wrong
        cases += [Case(playbook, test, spec, library) for test, spec in tests if only in test.name]
        if not playbook.tests:
            untested.append(playbook.id)
    if problems:
        raise PlaybookInvalid(problems)
    return cases, untested


def _playbooks(names: Iterable[str], compiler: Compiler) -> Iterator[tuple[Playbook, Library]]:
    for name in names:
        path = Path(name)
        if path.is_dir():
            library = Library(compiler.registry, [path])
            for file in playbook_files(path):
                yield library.get(file), library
        else:
            library = Library(compiler.registry, [path.parent] if path.is_file() else [])
            yield library.get(name), library


def new_compiler() -> Compiler:
    """Return a compiler with all actions."""
    return Compiler(load_registry())


def run_case(case: Case, compiler: Compiler) -> Result:
    """Play one test and judge it."""
    began = time.monotonic()
    try:
        played = _play(case, compiler)
        failures = tuple(judge(case.spec.expect, played, case.playbook))
    except IRRunnerError as problem:
        failures = (f"{problem.code}: {problem}",)
    return Result(case.playbook.id, case.test.name, str(case.test.place), failures, time.monotonic() - began)


def _play(case: Case, compiler: Compiler) -> Played:
    spec, clock = case.spec, ManualClock()
    event = json.dumps(spec.event).encode() if spec.event is not None else b""
    findings = tuple(parse_events(event)) if event else ()
    actions = map(compiler.registry.get, sorted(used_actions(case.playbook)))
    with set_up(
        clock=clock, ids=SeededIds(1), findings=findings, snapshot_s=SNAPSHOT_S, compiler=compiler,
        actions=actions,
    ) as stage:  # fmt: skip
        world = stage.world
        if event:
            incident = Incident(_scene_of(stage), event)
        else:
            incident = build_incident(world, spec.world, spec.finding)
        bystander = {} if event else world.resources
        for fault in spec.faults:
            world.fault(**fault.model_dump())
        before, seen = world.state(), len(world.calls())
        document = _decide(stage.context.runner(), clock, _begin(case, stage, incident), spec.approvals)
        problem = _chain_problem(stage, document)
        calls = world.calls()[seen:]
        return Played(document, incident.scene, before, world.state(), calls, bystander, problem)


def _begin(case: Case, stage: Stage, incident: Incident) -> Mapping[str, Any]:
    if case.spec.inputs is None:
        return stage.respond(incident.event, case.library)
    given = {name: _resolved(value, incident.scene) for name, value in case.spec.inputs.items()}
    runner, now = stage.context.runner(), stage.context.clock.now()
    inputs = bind_inputs(case.playbook, None, given)
    place = {"account_id": incident.scene.account, "region": incident.scene.region}
    facts = runner.facts(case.playbook, inputs, None, drill=False, accepted_at=now)
    facts = replace(facts, where=runner.where(None, place))
    return runner.drive(runner.create(case.playbook, facts))


def _resolved(value: str, scene: Scene) -> str:
    """Return an input; ``world.NAME`` is the id of what the test has built."""
    prefix, dot, name = value.partition(".")
    if prefix != "world" or not dot:
        return value
    found = scene.resources.get(name)
    if not isinstance(found, str):
        names = ", ".join(sorted(key for key, known in scene.resources.items() if isinstance(known, str)))
        raise InvalidArgument(f"{value}: the test's world has no {name!r}; it has {names}")
    return found


def _chain_problem(stage: Stage, document: Mapping[str, Any]) -> str:
    if not document.get("run_id"):
        return ""
    report = stage.context.store.verify(str(document["run_id"]))
    return "" if report.ok else report.problem or "broken"


def _scene_of(stage: Stage) -> Scene:
    world = stage.world
    resources = world.resources
    return Scene(resources["account_id"], resources["region"], world.organisation.forensics, resources)


def _decide(
    runner: Runner, clock: ManualClock, document: Mapping[str, Any], approvals: Mapping[str, Decision]
) -> Mapping[str, Any]:
    """Say what people say, until no open gate is left that somebody has an answer to."""
    answered: set[str] = set()
    while document["status"] == RunStatus.WAITING:
        for gate in document["gates"]:
            path = gate["path"]
            decision = approvals.get(path) or approvals.get(step_of(path))
            if decision is not None and path not in answered:
                answered.add(path)
                document = _answer(runner, clock, str(document["run_id"]), gate, decision)
                break
        else:
            return document
    return document


def _answer(
    runner: Runner, clock: ManualClock, run_id: str, gate: Mapping[str, Any], decision: Decision
) -> Mapping[str, Any]:
    if decision == "approve":
        return runner.approve(run_id, gate["path"], plan_sha256=str(gate.get("sha256", "")))
    if decision == "deny":
        return runner.deny(run_id, gate["path"], "denied in the test")
    clock.advance(max(0.0, (parse_iso(gate["due_at"]) - clock.now()).total_seconds()) + 1.0)
    return runner.resume(run_id)
