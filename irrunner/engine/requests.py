"""Requests of people to a run, as rows that its driver polls: approve, deny, abort, confirm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from irrunner.journal.store import Request
from irrunner.machine.messages import AbortRequested, ApprovalDenied, ApprovalGiven, ManualConfirmed

PersonEvent = ApprovalGiven | ApprovalDenied | ManualConfirmed | AbortRequested


def approve_body(path: str, by: Mapping[str, Any], plan_sha256: str) -> dict[str, Any]:
    """Return the body of an ``approve`` request."""
    return {"path": path, "by": dict(by), "plan_sha256": plan_sha256}


def event_of_request(request: Request) -> PersonEvent | None:
    """Return the machine event that a request asks for, or None for a kind that we do not know."""
    body = request.body
    path, by = str(body.get("path", "")), body.get("by", {})
    if request.kind == "approve":
        return ApprovalGiven(path, by, str(body.get("plan_sha256", "")))
    if request.kind == "deny":
        return ApprovalDenied(path, by, str(body.get("reason", "")))
    if request.kind == "abort":
        return AbortRequested(by, str(body.get("reason", "")))
    if request.kind == "confirm":
        return ManualConfirmed(path, by, bool(body.get("done")), str(body.get("note", "")))
    return None
