"""The timeline as data for other tools: JSON Lines for Timesketch, and CSV that no spreadsheet executes."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from typing import Any, Final

COLUMNS: Final = ("at", "actor", "what", "kind", "source", "reference", "path", "good")
_STARTS_A_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def timesketch(facts: Mapping[str, Any]) -> str:
    """Return the timeline as JSON Lines with the fields that Timesketch asks for.

    Source: Timesketch documentation, "Create timeline from JSONL/CSV file": ``message``, ``datetime`` and
        ``timestamp_desc`` are mandatory.
    """
    incident = facts["incident"]
    lines = (
        {
            "message": moment["what"], "datetime": moment["at"], "timestamp_desc": moment["kind"],
            "actor": moment["actor"], "data_type": f"irrunner:{moment['source']}",
            "reference": moment["reference"], "step": moment["path"], "succeeded": moment["good"],
            "incident_id": incident["id"], "run_id": incident["run_id"], "account_id": incident["account_id"],
            "region": incident["region"], "tag": [moment["actor"]],
        }
        for moment in facts["timeline"]
    )  # fmt: skip
    return "".join(f"{json.dumps(line, sort_keys=True)}\n" for line in lines)


def comma_separated(facts: Mapping[str, Any]) -> str:
    """Return the timeline as CSV; what a spreadsheet would take for a formula is made text.

    Source: OWASP, "CSV Injection".
    """
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for moment in facts["timeline"]:
        writer.writerow(_harmless(str(moment[name])) for name in COLUMNS)
    return out.getvalue()


def _harmless(text: str) -> str:
    return f"'{text}" if text.startswith(_STARTS_A_FORMULA) else text
