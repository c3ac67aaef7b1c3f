"""What a report says, as data: read out of the journal and nothing else, so that two reports agree."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from forensics.report.evidence import evidence_of, told
from forensics.report.story import story
from forensics.timeline import Timeline
from irrunner import __version__
from irrunner.actions.registry import Registry
from irrunner.aws.operations import iam_action
from irrunner.cli.plans import counted
from irrunner.clock import iso, parse_iso
from irrunner.errors import IRRunnerError
from irrunner.findings.model import Finding
from irrunner.journal.records import Record
from irrunner.vocabulary import Outcome

SCHEMA: Final = "irrunner/report/v1"
SEVERITY: Final = ((9.0, "Critical"), (7.0, "High"), (4.0, "Medium"), (0.1, "Low"))
STATUS: Final[Mapping[str, str]] = {
    "succeeded": "Contained",
    "partial": "Contained in part",
    "failed": "Not contained",
    "aborted": "Aborted by a person",
    "waiting": "Waiting for a person",
    "running": "In progress",
}
_REPORTERS: Final[Mapping[str, str]] = {
    "guardduty": "Amazon GuardDuty",
    "securityhub": "AWS Security Hub",
    "cloudtrail": "AWS CloudTrail",
}
_LONGEST_VALUE: Final = 400


@dataclass(frozen=True, slots=True)
class RunOf:
    """A run with everything that its report needs."""

    document: Mapping[str, Any]
    """As ``irrunner show --json`` prints it."""
    records: Sequence[Record]


def after_action(
    run: RunOf,
    undos: Sequence[RunOf],
    registry: Registry,
    timeline: Timeline,
    *,
    intact: bool,
    generated_at: datetime,
) -> dict[str, Any]:
    """Return the facts of an incident.

    Args:
        run: The run.
        undos: Runs that took it back, in order of time.
        registry: Actions, whose states tell before and after.
        timeline: Of the incident, with CloudTrail files of its vault.
        intact: Whether the journal verifies.
        generated_at: When the report is made; aware UTC.

    Returns:
        JSON-able data of schema ``irrunner/report/v1``: everything that any form of the report shows.
    """
    document = run.document
    start = run.records[0].body
    finding = Finding.model_validate(start["finding"]) if start.get("finding") else None
    titles = _titles(document)
    facts: dict[str, Any] = {
        "schema": SCHEMA,
        "generated_at": iso(generated_at),
        "tool_version": __version__,
        "incident": _incident(document, finding),
        "finding": _finding(finding),
        "playbook": dict(document["playbook"]),
        "objectives": [{"name": name, **entry} for name, entry in document["objectives"].items()],
        "timeline": [
            moment.as_dict()
            for moment in story(finding, [(each.records, titles) for each in (run, *undos)], timeline.events)
        ],
        "containment": list(_containment(run, registry, titles)),
        "evidence": evidence_of(run.records),
        "approvals": list(_approvals(run.records, titles)),
        "left": list(_left(document)),
        "undone": [_undone(undo, titles) for undo in undos],
        "permissions": _permissions([run, *undos]),
        "integrity": {**document["journal"], "intact": intact},
        "unread": list(timeline.warnings),
    }
    facts["numbers"] = list(_numbers(facts, document))
    facts["summary"] = list(_summary(facts))
    facts["observations"] = list(_observations(facts))
    return facts


def severity_word(severity: float) -> str:
    """Return GuardDuty's word for a severity; empty where it is unknown."""
    return next((word for floor, word in SEVERITY if severity >= floor), "")


def duration(seconds: float | None) -> str:
    """Return a span for people: ``4.2 s``, ``3 min 5 s``, ``2 h 10 min``."""
    if seconds is None:
        return "-"
    if seconds < 60:  # noqa: PLR2004 - a minute
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if rest else f"{minutes} min"


def _titles(document: Mapping[str, Any]) -> dict[str, str]:
    return {step["id"]: step["title"] or step["action"] or step["id"] for step in document["steps"]}


def _incident(document: Mapping[str, Any], finding: Finding | None) -> dict[str, Any]:
    severity = finding.severity if finding else 0.0
    return {
        "id": document["incident_id"],
        "run_id": document["run_id"],
        "title": document["title"],
        "account_id": document["account_id"],
        "region": document["region"],
        "severity": severity,
        "severity_word": severity_word(severity),
        "status": document["status"],
        "status_word": STATUS.get(document["status"], document["status"]),
        "simulated": document["simulated"],
        "drill": document["drill"],
        "started_at": document["started_at"],
        "ended_at": document["ended_at"],
    }


def _finding(finding: Finding | None) -> dict[str, Any] | None:
    if finding is None:
        return None
    resource = finding.resource.model_dump(mode="json")
    named = {name: value for name, value in resource.items() if value and name != "tags"}
    return {
        "id": finding.id, "source": finding.source,
        "reporter": _REPORTERS.get(finding.source, finding.source), "type": finding.type,
        "title": finding.title, "description": finding.description, "count": finding.count,
        "remote_ip": finding.remote_ip, "resource": named, "tags": resource.get("tags") or {},
    }  # fmt: skip


def _containment(run: RunOf, registry: Registry, titles: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Yield each change that was verified: resource, value before and value after."""
    before = {record.path: record.body for record in run.records if record.kind == "step_intent"}
    for record in run.records:
        intent = before.get(record.path)
        if record.kind != "step_verified" or intent is None:
            continue
        action = registry.get(intent["action"])
        for resource, was, now in _changes(action, intent["before"], record.body.get("after")):
            yield {
                "path": record.path, "title": titles.get(record.path, record.path), "action": action.id,
                "at": record.at, "resource": resource, "before": was, "after": now,
                "verified": bool(record.body.get("verified")), "undo": str(action.undo),
            }  # fmt: skip


def _changes(action: Any, before: Any, after: Any) -> Iterator[tuple[str, str, str]]:
    try:
        was = action.StateModel.model_validate(before).footprint()
        now = action.StateModel.model_validate(after).footprint() if after else {}
    except (ValueError, IRRunnerError):  # another version of the action wrote it: the journal has it whole
        return
    for key in sorted(now):
        if was.get(key) != now[key]:
            yield key, _shown(was.get(key)), _shown(now[key])


def _shown(value: Any) -> str:
    if value is None:
        return "(none)"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, Mapping):
        text = json.dumps(value, sort_keys=True)
    else:
        text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"


def _approvals(records: Sequence[Record], titles: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    asked = {record.path: record for record in records if record.kind == "approval_asked"}
    decisions = {"approval_given": "approved", "approval_denied": "denied", "timer_fired": "expired"}
    decided = {
        record.path: record for record in records
        if record.kind in ("approval_given", "approval_denied")
        or (record.kind == "timer_fired" and record.body.get("purpose") == "approval")
    }  # fmt: skip
    for path, question in asked.items():
        end = decided.get(path)
        by = (end.body.get("by") or {}) if end else {}
        waited = (parse_iso(end.at) - parse_iso(question.at)).total_seconds() if end else None
        yield {
            "path": path, "question": question.body.get("message") or titles.get(path, path),
            "asked_at": question.at, "decided_at": end.at if end else None, "waited_s": waited,
            "decision": decisions[end.kind] if end else "open", "by": by.get("id", ""),
            "identity": by.get("aws", ""), "via": by.get("via", ""),
            "reason": str(end.body.get("reason", "")) if end else "",
            "plan_sha256": (question.body.get("plan") or {}).get("sha256")
            or (end.body.get("plan_sha256", "") if end else ""),
        }  # fmt: skip


def _left(document: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """Yield what was not done, and what was done and cannot do everything."""
    for step in document["steps"]:
        title = step["title"] or step["id"]
        error = step["error"] or {}
        if step["outcome"] in (Outcome.FAILED, Outcome.REFUSED, Outcome.UNKNOWN):
            yield {
                "what": title, "kind": str(step["outcome"]), "path": step["id"],
                "why": str(error.get("message") or step["note"] or "no reason given"),
                "next": str(error.get("hint", "")),
            }  # fmt: skip
        elif step["outcome"] in (Outcome.DENIED, Outcome.WAITING):
            why = (
                "a person said no, or nobody answered" if step["outcome"] == Outcome.DENIED else "still open"
            )
            yield {"what": title, "kind": str(step["outcome"]), "path": step["id"], "why": why, "next": ""}
        for warning in step["warnings"]:
            yield {"what": title, "kind": "limit", "path": step["id"], "why": warning, "next": ""}


def _undone(undo: RunOf, titles: Mapping[str, str]) -> dict[str, Any]:
    document = undo.document
    return {
        "run_id": document["run_id"], "status": document["status"], "at": document["started_at"],
        "steps": [
            {
                "path": step["id"], "title": titles.get(step["id"], step["id"]), "outcome": step["outcome"],
                "held": bool(step.get("held")), "note": step["note"] or "",
            }
            for step in document["steps"]
        ],
    }  # fmt: skip


def _permissions(runs: Sequence[RunOf]) -> list[dict[str, Any]]:
    """Return the IAM actions that changed something, and how often."""
    counts: dict[tuple[str, str], int] = {}
    for run in runs:
        for record in run.records:
            for call in record.body.get("calls") or () if record.kind.endswith("outcome") else ():
                if call["scope"] != "local":
                    key = (call["scope"], iam_action(call["operation"]))
                    counts[key] = counts.get(key, 0) + 1
    return [
        {"scope": scope, "action": action, "calls": count}
        for (scope, action), count in sorted(counts.items())
    ]


def _numbers(facts: Mapping[str, Any], document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the figures of the first page."""
    names = {"contain": "Time to containment", "evidence": "Time to evidence"}
    for entry in facts["objectives"]:
        yield {
            "label": names.get(entry["name"], f"Time to {entry['name']}"),
            "value": duration(entry["actual_s"]) if entry["actual_s"] is not None else "not reached",
            "detail": f"objective {duration(entry['target_s'])}",
            "good": bool(entry["met"]),
        }
    steps = [
        step for step in document["steps"]
        if step["kind"] == "uses" and step["outcome"] != Outcome.SKIPPED and not _is_message(step)
    ]  # fmt: skip
    verified = sum(1 for step in steps if step["verified"])
    yield {
        "label": "Verified steps", "value": f"{verified} of {len(steps)}",
        "detail": "read back after the change", "good": verified == len(steps),
    }  # fmt: skip
    secured = sum(1 for item in facts["evidence"] if not item["attempt"])
    yield {
        "label": "Evidence", "value": str(secured), "detail": "items in the custody ledger",
        "good": secured > 0 or None,
    }  # fmt: skip


def _is_message(step: Mapping[str, Any]) -> bool:
    """Return whether a step tells somebody something, which nobody can read back."""
    return str(step["action"]).startswith("notify.")


def _summary(facts: Mapping[str, Any]) -> Iterator[str]:
    """Yield the summary, paragraph by paragraph: for somebody who reads nothing else."""
    incident, finding = facts["incident"], facts["finding"]
    where = f"account {incident['account_id']}, {incident['region']}"
    if finding:
        word = incident["severity_word"].lower()
        how_bad = f" ({word} severity, {incident['severity']})" if word else ""
        yield f"{finding['reporter']} reported {finding['type']}{how_bad} in {where}: {incident['title']}"
    else:
        yield f"A response was started by hand in {where}: {incident['title']}"
    done = list(dict.fromkeys(change["title"] for change in facts["containment"]))
    contain = next((entry for entry in facts["objectives"] if entry["name"] == "contain"), None)
    if contain and contain["actual_s"] is not None:
        yield f"Containment was verified {duration(contain['actual_s'])} after the event was accepted."
    if done:
        yield f"What the response changed, each change read back afterwards: {'; '.join(done)}."
    else:
        yield "The response changed nothing."
    yield from told(facts["evidence"], incident["account_id"])
    open_points = [entry for entry in facts["left"] if entry["kind"] != "limit"]
    if open_points:
        yield (
            f"{counted(len(open_points), 'point')} left open: "
            + "; ".join(point["what"] for point in open_points)
            + "."
        )
    if facts["undone"]:
        yield f"The changes were taken back by {counted(len(facts['undone']), 'later run')}; evidence stays."


def _observations(facts: Mapping[str, Any]) -> Iterator[str]:
    """Yield what the records suggest to talk about afterwards; the lessons are for people to draw."""
    for entry in facts["objectives"]:
        if not entry["met"]:
            reached = duration(entry["actual_s"]) if entry["actual_s"] is not None else "not reached"
            yield f"The objective “{entry['name']}” ({duration(entry['target_s'])}) was missed: {reached}."
    for approval in facts["approvals"]:
        if approval["decision"] == "expired":
            yield f"Nobody answered “{approval['question']}”: are the right people asked, and reached?"
        elif approval["waited_s"] is not None and approval["waited_s"] > 900:  # noqa: PLR2004 - a quarter of an hour
            yield f"“{approval['question']}” waited {duration(approval['waited_s'])} for an answer."
    for point in facts["left"]:
        if point["kind"] in ("failed", "refused", "unknown"):
            yield f"{point['what']}: {point['why']}"
    yield from _doubts(facts)


def _doubts(facts: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a reader must know about the report itself."""
    if any(point["kind"] == "limit" for point in facts["left"]):
        yield "Some measures have limits, listed under “What is left”: who follows them up?"
    if facts["unread"]:
        yield f"The timeline lacks what could not be read: {'; '.join(facts['unread'][:5])}."
    if not facts["integrity"]["intact"]:
        yield "The journal of this run does not verify: treat every statement here as unproven."
