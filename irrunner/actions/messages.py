"""What messages to other systems have in common: who sends them, from which run, and how long they may be."""

from __future__ import annotations

import json
from typing import Any, Final

from irrunner.actions.contract import LookContext, Refused, State

SOURCE: Final = "irrunner"
LIMIT_BYTES: Final = 262_144
"""Of one message with all its parts, for SNS and for EventBridge alike.

Source: SNS API reference, Publish; EventBridge user guide, "PutEvents event entry size".
"""
TITLE_CHARACTERS: Final = 100


class MessageState(State):
    """The run that speaks; nothing can tell what was sent before."""

    run_id: str
    marker: str
    drill: bool


def speaker(ctx: LookContext) -> dict[str, Any]:
    """Return the fields of a :class:`MessageState`."""
    return {"run_id": ctx.run_id, "marker": ctx.marker, "drill": ctx.drill}


def detail_of(state: MessageState, incident: str, status: str, facts: dict[str, str]) -> dict[str, Any]:
    """Return what a machine reads of a message: run, incident, status, and the playbook's facts."""
    return {
        "run_id": state.run_id,
        "step": state.marker,
        "incident": incident,
        "status": status,
        "drill": state.drill,
        "facts": facts,
    }


def encoded(detail: dict[str, Any]) -> str:
    """Return a detail as JSON that every receiver can read."""
    return json.dumps(detail, sort_keys=True, ensure_ascii=True)


def too_long(*parts: str) -> Refused | None:
    """Refuse a message that AWS would not take."""
    size = sum(len(part.encode()) for part in parts)
    if size <= LIMIT_BYTES:
        return None
    return Refused(f"the message has {size} bytes, and AWS takes {LIMIT_BYTES}: shorten it, link to the rest")


def one_line(text: str, limit: int = TITLE_CHARACTERS) -> str:
    """Return ASCII text of one line, that begins with a letter, digit or sign, and is never empty."""
    plain = "".join(c if " " <= c <= "~" else "?" for c in " ".join(text.split()))
    return (plain or SOURCE) if len(plain) <= limit else f"{plain[: limit - 3]}..."
