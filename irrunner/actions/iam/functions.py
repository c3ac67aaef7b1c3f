"""Lambda functions that live on a role: a session of theirs looks like any other of the role."""

from __future__ import annotations

from typing import Final

from irrunner.actions.contract import LookContext, Permission
from irrunner.errors import ActionDenied

LIST_FUNCTIONS: Final = Permission("lambda:ListFunctions")


def functions_of(ctx: LookContext, role_arn: str) -> tuple[str, ...] | None:
    """Return the functions of the incident's Region that have a role; None where they may not be listed."""
    try:
        found = ctx.api.pages("lambda:ListFunctions", "Functions[].{name: FunctionName, role: Role}")
    except ActionDenied:
        return None
    return tuple(sorted(item["name"] for item in found if item["role"] == role_arn))
