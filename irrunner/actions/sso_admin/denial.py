"""The deny in a permission set's inline policy: merged with what is there, and found again."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from irrunner.actions.iam.documents import Document, statements_of
from irrunner.actions.iam.role_sessions import revocation
from irrunner.clock import parse_iso

LONGEST: Final = timedelta(hours=12)
_DURATION: Final = re.compile(r"PT(?:(?P<h>\d+)H)?(?:(?P<m>\d+)M)?(?:(?P<s>\d+)S)?")


def seconds_of(duration: str) -> int:
    """Return an ISO 8601 duration of hours, minutes and seconds; what is none counts as the longest."""
    found = _DURATION.fullmatch(duration)
    if found is None:
        return int(LONGEST.total_seconds())
    hours, minutes, seconds = (int(found[name] or 0) for name in "hms")
    return hours * 3600 + minutes * 60 + seconds or int(LONGEST.total_seconds())


def merged(policy: Document | None, cut_off: str) -> Document:
    """Return an inline policy with our deny in place of an earlier one of ours."""
    ours = revocation(cut_off)
    kept = [item for item in statements_of(policy) if not _is_ours(item)]
    return {**ours, **(policy or {}), "Statement": [*kept, *ours["Statement"]]}


def cut_off_in(policy: Document | None) -> datetime | None:
    """Return the cut-off of our deny in a policy; None where there is none, or it says anything else."""
    for statement in statements_of(policy):
        if not _is_ours(statement):
            continue
        try:
            text = statement["Condition"]["DateLessThan"]["aws:TokenIssueTime"]
            cut_off = parse_iso(text)
        except (KeyError, TypeError, ValueError):
            return None
        return cut_off if statement == revocation(text)["Statement"][0] else None
    return None


def _is_ours(statement: Any) -> bool:
    ours = revocation("")["Statement"][0]["Sid"]
    return isinstance(statement, Mapping) and statement.get("Sid") == ours
