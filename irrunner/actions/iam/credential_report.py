"""``aws.iam.get-credential-report``: the credential report, kept as a digest and the rows that matter."""

from __future__ import annotations

import csv
import hashlib
import io
from typing import Any, Final

from pydantic import Field

from irrunner.actions.contract import (
    Action,
    Decision,
    LookContext,
    Model,
    Permission,
    Settled,
    State,
    Waiting,
    Where,
)
from irrunner.actions.ids import UserName
from irrunner.actions.registry import action
from irrunner.clock import iso
from irrunner.errors import TargetConflict, TargetNotFound
from irrunner.vocabulary import Phase, Risk, UndoPolicy

ROOT: Final = "<root_account>"
NEVER: Final = frozenset({"", "N/A", "no_information", "not_supported"})
MOST_CHARACTERS: Final = 256
"""Of one field that is journalled."""


class GetCredentialReportParams(Model):
    """Parameters of ``aws.iam.get-credential-report``."""

    user_names: list[UserName] = Field(default_factory=list, max_length=50)
    """Whose rows are kept; the root user's always is."""


class CredentialRow(Model):
    """One row of the report, as AWS wrote it."""

    user_name: str
    password_enabled: str
    password_last_used: str
    mfa_active: bool
    access_key_1_active: bool
    access_key_1_last_used: str
    access_key_2_active: bool
    access_key_2_last_used: str
    certificate_active: bool


class GetCredentialReportState(State):
    """The report, or that it is being made."""

    ready: bool
    generated_at: str = ""
    sha256: str = ""
    size_bytes: int = 0
    rows: tuple[CredentialRow, ...] = ()
    missing: tuple[str, ...] = ()
    users: int = 0
    without_mfa: int = 0


class GetCredentialReportOutputs(Model):
    """Outputs of ``aws.iam.get-credential-report``."""

    generated_at: str
    sha256: str
    """Of the report as AWS answered it (CSV)."""
    size_bytes: int
    rows: list[CredentialRow]
    missing: list[str]
    """Users that the report does not know: made since it was generated, or deleted."""
    users: int
    password_without_mfa: int
    """Users with a password and no MFA device."""
    root_key_active: bool
    root_mfa_active: bool


@action(
    "aws.iam.get-credential-report",
    title="Get the credential report of the account",
    phase=Phase.ANALYSIS,
    risk=Risk.NONE,
    permissions=(Permission("iam:GenerateCredentialReport"), Permission("iam:GetCredentialReport")),
    undo=UndoPolicy.NEVER,
    undo_note="Reads only: there is nothing to put back.",
    timeout_s=600.0,
    sources=(
        "https://docs.aws.amazon.com/IAM/latest/APIReference/API_GenerateCredentialReport.html",
        "https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetCredentialReport.html",
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_getting-report.html",
    ),
)
class GetCredentialReport(Action[GetCredentialReportParams, GetCredentialReportState]):
    """Have the report made, wait, and read it. A report of the last four hours is answered again."""

    Params = GetCredentialReportParams
    Outputs = GetCredentialReportOutputs
    StateModel = GetCredentialReportState

    def look(self, ctx: LookContext, params: GetCredentialReportParams) -> GetCredentialReportState:
        """Ask for a report, and read it where there is one."""
        made = ctx.api.call("iam:GenerateCredentialReport")
        if made.get("State") != "COMPLETE":
            return GetCredentialReportState(ready=False)
        try:
            answer = ctx.api.call("iam:GetCredentialReport")
        except (TargetNotFound, TargetConflict):
            return GetCredentialReportState(ready=False)  # ReportExpired, ReportInProgress
        return read_report(params, answer["Content"], iso(answer["GeneratedTime"]))

    def decide(self, params: GetCredentialReportParams, state: GetCredentialReportState) -> Decision:
        """Wait for the report."""
        if not state.ready:
            return Waiting("IAM is making the credential report", poll_s=3.0)
        root = next((row for row in state.rows if row.user_name == ROOT), None)
        outputs = GetCredentialReportOutputs(
            generated_at=state.generated_at,
            sha256=state.sha256,
            size_bytes=state.size_bytes,
            rows=list(state.rows),
            missing=list(state.missing),
            users=state.users,
            password_without_mfa=state.without_mfa,
            root_key_active=root is not None and (root.access_key_1_active or root.access_key_2_active),
            root_mfa_active=root is not None and root.mfa_active,
        )
        return Settled(outputs, _warnings(state, outputs))

    def targets(self, params: GetCredentialReportParams, where: Where) -> tuple[str, ...]:
        """Return nothing: reads only."""
        return ()


def read_report(
    params: GetCredentialReportParams, content: bytes | str, generated_at: str
) -> GetCredentialReportState:
    """Return the rows of a report that are asked for, counts, and the digest of the whole."""
    raw = content.encode() if isinstance(content, str) else bytes(content)
    rows = list(csv.DictReader(io.StringIO(raw.decode("utf-8", errors="replace"))))
    wanted = {ROOT, *params.user_names}
    known = {row.get("user") or "" for row in rows}
    return GetCredentialReportState(
        ready=True,
        generated_at=generated_at,
        sha256=hashlib.sha256(raw).hexdigest(),
        size_bytes=len(raw),
        rows=tuple(_row(row) for row in rows if row.get("user") in wanted),
        missing=tuple(name for name in params.user_names if name not in known),
        users=sum(row.get("user") != ROOT for row in rows),
        without_mfa=sum(_is(row, "password_enabled") and not _is(row, "mfa_active") for row in rows),
    )


def _row(row: dict[str, Any]) -> CredentialRow:
    def text(name: str) -> str:
        value = str(row.get(name) or "")[:MOST_CHARACTERS]
        return "" if value in NEVER else value

    return CredentialRow(
        user_name=text("user"),
        password_enabled=text("password_enabled"),
        password_last_used=text("password_last_used"),
        mfa_active=_is(row, "mfa_active"),
        access_key_1_active=_is(row, "access_key_1_active"),
        access_key_1_last_used=text("access_key_1_last_used_date"),
        access_key_2_active=_is(row, "access_key_2_active"),
        access_key_2_last_used=text("access_key_2_last_used_date"),
        certificate_active=_is(row, "cert_1_active") or _is(row, "cert_2_active"),
    )


def _is(row: dict[str, Any], name: str) -> bool:
    return str(row.get(name) or "").lower() == "true"


def _warnings(state: GetCredentialReportState, outputs: GetCredentialReportOutputs) -> tuple[str, ...]:
    warnings = [f"the report is of {state.generated_at}: what happened since is not in it"]
    if outputs.root_key_active:
        warnings.append("the root user has an active access key: only its owner can delete it")
    if state.missing:
        warnings.append(f"not in the report: {', '.join(state.missing)}")
    return tuple(warnings)
