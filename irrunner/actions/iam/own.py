"""Identities by which irrunner itself acts: whoever denies them can neither go on nor undo anything."""

from __future__ import annotations

from typing import Final

from irrunner.actions.contract import LookContext

OWN: Final = "without them nothing can be undone; give it other credentials first"


def account_of_home(ctx: LookContext) -> str:
    """Return the account of the credentials with which irrunner assumes its roles; empty: not known."""
    parts = ctx.home_arn.split(":")
    return parts[4] if len(parts) > 4 else ""  # noqa: PLR2004 - the account's place in an ARN


def is_own_role(ctx: LookContext, role_name: str) -> bool:
    """Return whether a role of the incident's account is one that irrunner assumes, or runs as.

    A role counts in the account in which it is assumed: an intruder may give his own any name.
    """
    settings, account_id = ctx.settings, ctx.where.account_id
    own = {settings.responder_role, _home(ctx, "assumed-role")}
    if account_id == ctx.where.forensic_account_id:
        own.add(settings.forensics.role)
    if settings.management.account_id in {None, account_id}:
        own.add(settings.management.role)
    return role_name in own


def is_own_user(ctx: LookContext, user_name: str | None) -> bool:
    """Return whether irrunner runs with the keys of a user of the incident's account."""
    return bool(user_name) and user_name == _home(ctx, "user")


def _home(ctx: LookContext, kind: str) -> str:
    """Return the name of the identity that irrunner runs with, if it is of a kind and of this account."""
    if account_of_home(ctx) != ctx.where.account_id:
        return ""
    found, _, path = ctx.home_arn.split(":", 5)[5].partition("/")
    if found != kind:
        return ""
    return path.partition("/")[0] if kind == "assumed-role" else path.rpartition("/")[2]
