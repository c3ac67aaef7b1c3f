"""The report in Markdown: for a ticket or a wiki. Attackers' text stays text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from forensics.report.facts import duration

_MEANING: Final = re.compile(r"([\\`*_\[\]<>#|~!])")


def markdown(facts: Mapping[str, Any]) -> str:
    """Return the report.

    Args:
        facts: Of schema ``irrunner/report/v1``.
    """
    return "\n".join(_lines(facts)) + "\n"


def text(value: object) -> str:
    """Return text that Markdown shows as it is: no link, image, tag, table cell or heading."""
    flat = " ".join(str(value).split())
    return _MEANING.sub(r"\\\1", flat)


def code(value: object) -> str:
    """Return text in a code span."""
    flat = " ".join(str(value).split()).replace("`", "'").replace("|", "¦")
    return f"`{flat}`" if flat else "-"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _section(title: str, lines: Iterable[str], none: str) -> Iterator[str]:
    found = list(lines)
    yield from ("", f"## {title}", "", *(found or [none]))


def _lines(facts: Mapping[str, Any]) -> Iterator[str]:
    incident, integrity = facts["incident"], facts["integrity"]
    marks = [word for word in ("drill", "simulated") if incident[word]]
    yield f"# After-action report: {text(incident['title'])}"
    yield ""
    severity = incident["severity_word"] or "no"
    place = f"account {code(incident['account_id'])} · {incident['region']} · {code(incident['id'])}"
    told = "".join(f" · **{mark}**" for mark in marks)
    yield f"**{incident['status_word']}** · {severity} severity · {place}{told}"
    yield ""
    yield from _table(
        ["", "", ""],
        [
            (text(number["label"]), f"**{text(number['value'])}**", text(number["detail"]))
            for number in facts["numbers"]
        ],
    )
    yield from _section("Summary", _paragraphs(facts["summary"]), "")
    yield from _section("What was found", _finding(facts["finding"]), "No finding: started by hand.")
    yield from _section("Timeline", _timeline(facts["timeline"]), "No event.")
    yield from _section(
        "Containment: before and after", _containment(facts["containment"]), "Nothing was changed."
    )
    yield from _section("Evidence", _evidence(facts["evidence"]), "No evidence was secured by this run.")
    yield from _section("Approvals", _approvals(facts["approvals"]), "Nobody was asked.")
    yield from _section("What is left", _left(facts["left"]), "Nothing is known to be left.")
    if facts["undone"]:
        yield from _section("Taken back", _undone(facts["undone"]), "")
    observed = [f"- {text(line)}" for line in facts["observations"]]
    yield from _section("Lessons", [*observed, "", "_For the team: what changes, who does it, by when._"], "")
    used = _permissions(facts["permissions"])
    yield from _section("Permissions used", used, "No changing call was made.")
    yield ""
    playbook = f"{text(facts['playbook']['id'])} {facts['playbook']['version']}"
    checked = "verified" if integrity["intact"] else "**NOT VERIFIED**"
    head = code(integrity["head_sha256"])
    yield (
        f"Run {code(incident['run_id'])}, playbook {playbook}; journal of {integrity['records']} records, "
        f"head {head}, {checked} at {facts['generated_at']} by irrunner "
        f"{facts['tool_version']}."
    )


def _paragraphs(paragraphs: Sequence[str]) -> Iterator[str]:
    for paragraph in paragraphs:
        yield from (text(paragraph), "")


def _finding(finding: Mapping[str, Any] | None) -> Iterator[str]:
    if finding is None:
        return
    yield f"- {code(finding['type'])}, reported by {text(finding['reporter'])} {finding['count']} times"
    yield f"- finding {code(finding['id'])}"
    if finding["description"]:
        yield f"- {text(finding['description'])}"
    for name, value in finding["resource"].items():
        shown = ", ".join(map(str, value)) if isinstance(value, list) else value
        yield f"- {name.replace('_', ' ')}: {code(shown)}"


def _timeline(moments: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    rows = ((code(m["at"]), m["actor"], text(m["what"])) for m in moments)
    return _table(["time (UTC)", "who", "what"], rows)


def _containment(changes: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if changes:
        yield from _table(
            ["measure", "resource", "before", "after", "undo"],
            (
                (text(c["title"]), code(c["resource"]), code(c["before"]), code(c["after"]), c["undo"])
                for c in changes
            ),
        )


def _evidence(items: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if items:
        yield from _table(
            ["item", "kind", "where", "from", "sha-256"],
            (
                (code(i["name"]), text(i["kind"]), text(i["where"] or i["note"]), text(i["origin"]),
                 code(i["sha256"]))
                for i in items
            ),
        )  # fmt: skip


def _approvals(entries: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if entries:
        yield from _table(
            ["question", "decision", "by", "waited"],
            (
                (text(e["question"]), text(e["decision"]), text(e["by"] or "-"), duration(e["waited_s"]))
                for e in entries
            ),
        )


def _left(points: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for point in points:
        further = f" {text(point['next'])}" if point["next"] else ""
        yield f"- **{text(point['what'])}** ({point['kind']}): {text(point['why'])}{further}"


def _undone(undos: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for undo in undos:
        yield f"Run {code(undo['run_id'])} at {undo['at']}: {undo['status']}"
        for step in undo["steps"]:
            outcome = "held" if step["held"] else step["outcome"]
            yield f"- {text(step['title'])}: {outcome} {text(step['note'])}"


def _permissions(entries: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if entries:
        yield from _table(
            ["account", "IAM action", "calls"],
            ((e["scope"], code(e["action"]), str(e["calls"])) for e in entries),
        )
