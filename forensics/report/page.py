"""The report as one self-contained page: no script, no foreign resource, printable."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from forensics.report.drawing import timeline_svg
from forensics.report.facts import duration


@cache
def _environment() -> Any:
    import jinja2  # noqa: PLC0415 - only a report pays for it
    from markupsafe import Markup  # noqa: PLC0415 - as above

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("forensics.report"), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["duration"] = duration
    environment.globals["drawing"] = lambda moments: Markup(timeline_svg(moments))  # noqa: S704 - escaped there
    return environment


def html(facts: Mapping[str, Any]) -> str:
    """Return the page; every text of the facts is escaped.

    Args:
        facts: Of schema ``irrunner/report/v1``.
    """
    return str(_environment().get_template("report.html.j2").render(f=facts))
