"""The report as PDF, set by Typst from the facts as data: no text of an attacker is ever markup."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from irrunner.clock import parse_iso


def pdf(facts: Mapping[str, Any]) -> bytes:
    """Return the document; the same facts give the same bytes.

    Args:
        facts: Of schema ``irrunner/report/v1``.
    """
    import typst  # noqa: PLC0415 - a compiled library that only a PDF pays for

    source = files("forensics.report").joinpath("templates/report.typ").read_bytes()
    made_at = int(parse_iso(facts["generated_at"]).timestamp())
    document: bytes = typst.compile(
        source, format="pdf", sys_inputs={"facts": json.dumps(facts), "made_at": str(made_at)}
    )
    return document
