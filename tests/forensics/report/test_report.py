from __future__ import annotations

import csv
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from pypdf import PdfReader

from forensics.report.cli import Form, Report, written
from forensics.report.facts import duration, severity_word
from forensics.report.markdown import code, text
from forensics.timeline import Timeline
from irrunner.cli.app import run
from tests.forensics.report.conftest import HOSTILE, Facts

SECTIONS = (
    "Summary", "What was found", "Timeline", "Containment: before and after", "Evidence", "Approvals",
    "What is left", "Lessons", "Permissions used",
)  # fmt: skip


class Tags(HTMLParser):
    """Counts tags and keeps what they refer to."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.refers: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep it."""
        self.names.add(tag)
        self.refers += [
            f"{name}={value}" for name, value in attrs if name in ("src", "href") or name[:2] == "on"
        ]


def read_pdf(data: bytes) -> str:
    """Return the text of a PDF, less the breaks that typesetting makes."""
    pages = PdfReader(io.BytesIO(data)).pages
    return re.sub(r"[\s\u200b]+", "", "".join(page.extract_text() for page in pages))


def test_the_facts_are_the_journals(whole: Facts) -> None:
    """Status, times, changes, evidence, approval and undo are those of the run, and the journal verifies."""
    facts = whole

    assert facts["incident"]["status_word"] == "Contained"
    assert [entry["met"] for entry in facts["objectives"]] == [True, True]
    assert facts["integrity"]["intact"]
    interfaces = [c for c in facts["containment"] if c["action"] == "aws.ec2.isolate-instance"]
    assert len(interfaces) == 3
    assert all(change["before"] != change["after"] and change["verified"] for change in interfaces)
    assert sum(item["account_id"] != facts["incident"]["account_id"] for item in facts["evidence"]) == 3
    (approval,) = facts["approvals"]
    assert (approval["decision"], approval["by"][:3]) == ("approved", "os:")
    assert approval["waited_s"] >= 0
    assert len(facts["undone"]) == 1
    assert any(step["held"] for step in facts["undone"][0]["steps"]), "revoked sessions are held"
    assert {entry["action"] for entry in facts["permissions"]} >= {"ec2:CreateSnapshots", "iam:PutRolePolicy"}


def test_the_timeline_is_in_order_and_has_every_actor(whole: Facts) -> None:
    """Attacker, AWS, runner and people; each event says where it is recorded."""
    moments = whole["timeline"]

    assert [m["at"] for m in moments] == sorted(m["at"] for m in moments)
    assert {m["actor"] for m in moments} == {"attacker", "aws", "responder", "people"}
    assert all(m["reference"] and m["source"] for m in moments)
    order = [m["what"] for m in moments]
    assert order.index("response started") < order.index("undo started")
    assert any(what.startswith("held: ") for what in order)


def test_what_was_denied_is_left(denied: Facts) -> None:
    """A denied stop is named under what is left, in the summary, and as a decision with its reason."""
    facts = denied

    assert "denied" in {point["kind"] for point in facts["left"]}
    assert any("left open" in paragraph for paragraph in facts["summary"])
    assert facts["approvals"][0]["decision"] == "denied"
    assert facts["approvals"][0]["reason"] == "denied in the test"
    assert facts["undone"] == []


@pytest.mark.parametrize("form", [Form.HTML, Form.MD])
def test_every_section_is_there(whole_report: Report, form: Form) -> None:
    """Whatever the form, no section is missing; what was taken back has one of its own."""
    report = written(whole_report, form).decode()

    for title in (*SECTIONS, "Taken back"):
        assert title in report


def test_the_pdf_says_the_same(whole: Facts, whole_report: Report) -> None:
    """Sections, numbers, changed resources and the journal's head are in the document's text."""
    shown = read_pdf(written(whole_report, Form.PDF))

    for title in SECTIONS:
        assert title.replace(" ", "") in shown
    for change in whole["containment"]:
        assert re.sub(r"\s", "", change["resource"]) in shown
    assert whole["integrity"]["head_sha256"] in shown


@pytest.mark.parametrize("form", list(Form))
def test_the_same_facts_give_the_same_bytes(whole_report: Report, form: Form) -> None:
    """A report can be compared by its hash."""
    assert written(whole_report, form) == written(whole_report, form)


def test_the_page_is_self_contained_and_inert(denied_report: Report) -> None:
    """No script, no reference, no handler; the attacker's texts are text."""
    page = written(denied_report, Form.HTML).decode()
    tags = Tags()
    tags.feed(page)

    assert tags.refers == []
    assert not tags.names & {"script", "link", "img", "iframe", "object", "form", "a"}
    assert "default-src 'none'" in page
    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_the_drawing_is_well_formed_with_hostile_text(denied_report: Report) -> None:
    """The attacker's title is character data of the SVG, and no element of it."""
    root = ET.fromstring(written(denied_report, Form.SVG))  # noqa: S314 - our own output

    names = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert names == {"svg", "rect", "line", "text", "circle"}
    assert any("<script>alert(1)" in (element.text or "") for element in root.iter())


def test_markdown_shows_hostile_text_as_text(denied_report: Report) -> None:
    """No link, tag or code comes out of a finding."""
    report = written(denied_report, Form.MD).decode()

    assert "<script>" not in report
    assert "[x](" not in report
    assert r"\[x\](javascript:1)" in report


def test_the_pdf_sets_hostile_text_as_text(denied_report: Report) -> None:
    """Typst's own syntax in a title is shown, not run."""
    shown = read_pdf(written(denied_report, Form.PDF))

    assert "<script>alert(1)</script>" in shown
    assert '#leta="x"' in shown


def test_a_spreadsheet_executes_nothing(denied_report: Report) -> None:
    """Cells that begin like a formula are made text; the rest is as it was."""
    timeline = Timeline([{**denied_report.timeline.sorted()[0], "message": "=HYPERLINK(1)"}])
    report = Report(denied_report.facts, timeline)
    rows = list(csv.reader(io.StringIO(written(report, Form.CSV).decode())))

    assert len(rows) == 2
    assert rows[1][3] == "'=HYPERLINK(1)"
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "-", "@"))]


def test_timesketch_has_its_mandatory_fields(whole_report: Report) -> None:
    """Each line is an event with message, datetime and timestamp_desc."""
    lines = written(whole_report, Form.TIMESKETCH).decode().splitlines()

    events = [json.loads(line) for line in lines]
    assert len(events) == len(whole_report.timeline.events)
    assert all(event["message"] and event["datetime"] and event["timestamp_desc"] for event in events)


def test_json_is_the_facts(whole: Facts, whole_report: Report) -> None:
    """Machines get what people see."""
    assert json.loads(written(whole_report, Form.JSON)) == whole


def test_a_journal_that_does_not_verify_is_said_in_every_form(whole: Facts) -> None:
    """Nobody reads a tampered record as truth."""
    facts: dict[str, Any] = json.loads(json.dumps(whole))
    facts["integrity"]["intact"] = False
    report = Report(facts, Timeline())

    assert "NOT VERIFIED" in written(report, Form.HTML).decode()
    assert "NOT VERIFIED" in written(report, Form.MD).decode()
    assert "NOTVERIFIED" in read_pdf(written(report, Form.PDF))


def test_an_unknown_run_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The error names it, as everywhere, and nothing is written."""
    monkeypatch.setenv("IRRUNNER_STORE", str(tmp_path / "store.db"))
    monkeypatch.delenv("IRRUNNER_CONFIG", raising=False)
    out = tmp_path / "report.html"

    assert run(["report", "no-such-run", "--out", str(out)]) == 2
    assert "no-such-run" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, "-"),
        (0.04, "0.0 s"),
        (59.94, "59.9 s"),
        (60.0, "1 min"),
        (185.4, "3 min 5 s"),
        (7800.0, "2 h 10 min"),
    ],
)
def test_durations(seconds: float | None, shown: str) -> None:
    """Spans are told as people tell them."""
    assert duration(seconds) == shown


def test_severities_have_guarddutys_words() -> None:
    """Bands of the GuardDuty user guide; an unknown severity has none."""
    assert [severity_word(value) for value in (9.0, 8.9, 6.9, 3.9, 0.0)] == [
        "Critical",
        "High",
        "Medium",
        "Low",
        "",
    ]


def test_code_spans_cannot_be_left() -> None:
    """A backtick or pipe in an id ends neither the span nor the table's cell."""
    assert code("a`b|c") == "`a'b¦c`"
    assert text("a|b\n# c") == r"a\|b \# c"
    assert HOSTILE not in text(HOSTILE)
