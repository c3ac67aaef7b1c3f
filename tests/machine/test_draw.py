"""Pictures: Mermaid and SVG of every playbook, without an external program."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from hypothesis import given, settings
from hypothesis import strategies as st

from irrunner.machine.chart import build_chart
from irrunner.machine.draw import lifecycle_mermaid, mermaid, svg
from irrunner.playbook import model as p
from irrunner.vocabulary import Phase
from tests.machine.machine_driver import PLACE, approve, each, parallel, playbook, playbooks, step


def words(picture: str) -> str:
    """Return all text of an SVG; parsing it proves that it is well formed."""
    return " ".join(ET.fromstring(picture).itertext())  # noqa: S314 - our own text


@settings(max_examples=25, deadline=None)
@given(playbooks())
def test_every_playbook_can_be_drawn(book: p.Playbook) -> None:
    """Both pictures name every step of the playbook."""
    chart = build_chart(book)
    picture, text = words(svg(chart)), mermaid(chart)

    for each_step in book.walk():
        assert re.search(rf"\b{each_step.id}\b", picture)
        assert f"s_{each_step.id}" in text


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=80))
def test_text_of_the_author_stays_text(title: str) -> None:
    """No title or guard breaks out of its label."""
    guard = p.Expr(title, PLACE)
    chart = build_chart(playbook(step("a", title=title, when=guard), title=title))

    tags = {element.tag.rpartition("}")[2] for element in ET.fromstring(svg(chart)).iter()}  # noqa: S314
    assert tags <= {"svg", "title", "style", "defs", "marker", "path", "rect", "text", "circle"}
    labels = [line for line in mermaid(chart).splitlines() if "state " in line]
    assert len(labels) == 1
    assert re.fullmatch(r'  state "[^"]*" as s_a', labels[0])


def test_the_svg_needs_nothing_from_elsewhere() -> None:
    """No script, no link, no font to fetch."""
    picture = svg(build_chart(playbook(step("a"))))

    assert re.findall(r"https?://[^\"' ]+", picture) == ["http://www.w3.org/2000/svg"]
    assert "<script" not in picture
    assert "href" not in picture


def test_the_picture_says_what_colour_says() -> None:
    """Phase, loop, gate and failure steps are words too."""
    gate = step("ask", approve(step("stop", phase=Phase.CONTAINMENT)), for_each=each("host", 3))
    book = playbook(gate, step("x", on_failure=(step("r"),)), finally_=(step("z"),), on_failure=(step("f"),))
    picture = words(svg(build_chart(book)))

    for phrase in (
        "stop · containment", "for each host, 3 at once", "denied or no answer", "if x fails",
        "finally: always", "on_failure: after a failure",
    ):  # fmt: skip
        assert phrase in picture


def test_mermaid_draws_forks_and_callees() -> None:
    """A fork has two bars; a callee is a state of its own."""
    inner = playbook(step("isolate"), id="inner")
    book = playbook(step("fork", parallel([step("call", p.Run("inner", {}))])), callees={"inner": inner})
    text = mermaid(build_chart(book))

    assert text.startswith("stateDiagram-v2\n")
    assert "state s_fork <<fork>>" in text
    assert "state s_fork__join <<join>>" in text
    assert 'state "playbook inner" as p1 {' in text


def test_the_life_cycles_are_drawn_by_transitions() -> None:
    """The picture of a life-cycle comes from its machine."""
    text = lifecycle_mermaid("step")

    assert "stateDiagram-v2" in text
    assert "running --> applied: apply" in text
