"""Passwords, MFA devices, trust policies and the credential report: decisions and refusals."""

from __future__ import annotations

import json
from typing import Any

import pytest

from irrunner.actions.contract import Act, Refused, Settled, Waiting
from irrunner.actions.iam.console_login import RemoveConsoleLogin, RemoveConsoleLoginParams
from irrunner.actions.iam.credential_report import (
    ROOT,
    GetCredentialReport,
    GetCredentialReportParams,
    GetCredentialReportState,
    read_report,
)
from irrunner.actions.iam.mfa_devices import (
    ListMfaDevices,
    ListMfaDevicesParams,
    ListMfaDevicesState,
    MfaDevice,
    kind_of,
)
from irrunner.actions.iam.role_trust import (
    LIMIT_CHARACTERS,
    STATEMENT,
    RestrictRoleTrust,
    RestrictRoleTrustParams,
    TrustState,
    denial,
)
from irrunner.actions.iam.role_users import Role, RoleUsers
from irrunner.actions.setting import ValueState
from irrunner.vocabulary import Risk, UndoPolicy

TRUST, PASSWORD, DEVICES, REPORT = (
    RestrictRoleTrust(),
    RemoveConsoleLogin(),
    ListMfaDevices(),
    GetCredentialReport(),
)
OWN = "111122223333"
ALLOW = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}


def trust_state(value: Any = None, *, path: str = "/", own: bool = False, **other: Any) -> TrustState:
    """Return a look."""
    document = {"Version": "2012-10-17", "Statement": [ALLOW]} if value is None else value
    arn = f"arn:aws:iam::{OWN}:role{path}web"
    users = RoleUsers(
        instance_ids=("i-1",),
        has_instance_profile=True,
        principals=(),
        regions_searched=(),
        regions_unsearched=(),
    )
    role = Role(role_name="web", role_arn=arn, path=path, max_session_duration_s=3600, trust=document)
    facts = {"functions": ("job",), "functions_known": True, "account_id": OWN, **other}
    return TrustState(target=arn, value=document, role=role, users=users, own=own, **facts)


def restrict(mode: str = "deny-external") -> RestrictRoleTrustParams:
    """Return parameters."""
    return RestrictRoleTrustParams.model_validate({"role_name": "web", "mode": mode})


class TestRestrictRoleTrust:
    def test_the_deny_is_added_to_what_is_there(self) -> None:
        """The allows stay: they are evidence, and undo is one document."""
        decision = TRUST.decide(restrict(), trust_state())

        assert isinstance(decision, Act)
        written = json.loads(decision.calls[0].params["PolicyDocument"])
        assert written["Statement"] == [ALLOW, denial("deny-external", OWN)]

    def test_a_single_statement_is_a_statement_too(self) -> None:
        """IAM accepts an object in place of a list."""
        decision = TRUST.decide(restrict(), trust_state({"Version": "2012-10-17", "Statement": ALLOW}))

        assert isinstance(decision, Act)
        assert len(json.loads(decision.calls[0].params["PolicyDocument"])["Statement"]) == 2

    def test_from_external_to_all_replaces_our_own_statement(self) -> None:
        """An earlier, milder restriction does not pile up."""
        mild = {"Version": "2012-10-17", "Statement": [ALLOW, denial("deny-external", OWN)]}
        decision = TRUST.decide(restrict("deny-all"), trust_state(mild))

        assert isinstance(decision, Act)
        statements = json.loads(decision.calls[0].params["PolicyDocument"])["Statement"]
        assert [item.get("Sid") for item in statements] == [None, STATEMENT]
        assert "Condition" not in statements[1]

    def test_services_are_spared_and_identity_providers_are_not(self) -> None:
        """A missing aws:PrincipalAccount makes StringNotEquals true: callers of a provider are outside."""
        condition = denial("deny-external", OWN)["Condition"]

        assert condition["StringNotEquals"] == {"aws:PrincipalAccount": OWN}
        assert condition["BoolIfExists"] == {"aws:PrincipalIsAWSService": "false"}

    def test_over_the_quota_only_everybody_can_be_denied(self) -> None:
        """Where the deny does not fit, the policy is replaced, or the reason says by what."""
        long = {"Version": "2012-10-17", "Statement": [ALLOW | {"Sid": "x" * LIMIT_CHARACTERS}]}

        refused = TRUST.decide(restrict(), trust_state(long))
        replaced = TRUST.decide(restrict("deny-all"), trust_state(long))

        assert isinstance(refused, Refused)
        assert "deny-all" in refused.reason
        assert isinstance(replaced, Act)
        alone = json.loads(replaced.calls[0].params["PolicyDocument"])
        assert alone["Statement"] == [denial("deny-all", OWN)]
        assert isinstance(TRUST.decide(restrict("deny-all"), trust_state(alone)), Settled)

    @pytest.mark.parametrize(
        ("state", "says"),
        [
            (trust_state(path="/aws-service-role/x.amazonaws.com/"), "service-linked"),
            (trust_state(path="/aws-reserved/sso.amazonaws.com/"), "remove-account-assignment"),
            (trust_state(own=True), "nothing could be undone"),
            (trust_state({"unreadable": "?"}), "by hand"),
        ],
    )
    def test_refusals(self, state: TrustState, says: str) -> None:
        """AWS's roles, our own, and what cannot be read."""
        decision = TRUST.decide(restrict(), state)

        assert isinstance(decision, Refused)
        assert says in decision.reason
        assert TRUST.foresee(restrict(), state, "s").outputs == {}

    @pytest.mark.parametrize(("mode", "says"), [("deny-all", "cannot renew"), ("deny-external", "still get")])
    def test_says_whom_it_hits_and_that_sessions_live_on(self, mode: str, says: str) -> None:
        """A trust policy never ends a session."""
        warnings = TRUST.warnings(restrict(mode), trust_state())

        assert "stay valid until they end" in warnings[0]
        assert says in warnings[1]
        assert "i-1, job" in warnings[1]

    def test_unknown_functions_are_said(self) -> None:
        """Where they cannot be listed, silence would look like none."""
        state = trust_state(functions=(), functions_known=False)

        assert "not known" in TRUST.warnings(restrict(), state)[-1]


class TestRemoveConsoleLogin:
    def test_no_password_is_nothing_to_do(self) -> None:
        """And still says that sessions live on."""
        decision = PASSWORD.decide(
            RemoveConsoleLoginParams(user_name="a"), ValueState(target="arn", value=False)
        )

        assert isinstance(decision, Settled)
        assert "quarantine-user" in decision.warnings[0]

    def test_it_is_declared_as_what_it_is(self) -> None:
        """A password does not come back."""
        decision = PASSWORD.decide(
            RemoveConsoleLoginParams(user_name="a"), ValueState(target="arn", value=True)
        )

        assert isinstance(decision, Act)
        assert not decision.calls[0].reversible
        assert (PASSWORD.risk, PASSWORD.undo) == (Risk.DESTRUCTIVE, UndoPolicy.NEVER)


class TestMfaDevices:
    def devices(self, *enabled_at: str) -> ListMfaDevicesState:
        """Return a look."""
        found = tuple(
            MfaDevice(serial_number=f"d{n}", enabled_at=at, kind="virtual") for n, at in enumerate(enabled_at)
        )
        return ListMfaDevicesState(user_name="a", devices=found)

    def test_devices_since_the_incident_are_flagged(self) -> None:
        """The instant itself counts: rather one too many."""
        params = ListMfaDevicesParams(user_name="a", since="2026-01-01T12:00:00+01:00")
        decision = DEVICES.decide(
            params, self.devices("2026-01-01T11:00:00.000Z", "2026-01-01T10:59:59.999Z")
        )

        assert isinstance(decision, Settled)
        assert decision.outputs.added_since == ["d0"]  # type: ignore[attr-defined]
        assert len(decision.warnings) == 1

    def test_without_an_instant_none_is(self) -> None:
        """Nothing is known of when it began."""
        decision = DEVICES.decide(ListMfaDevicesParams(user_name="a"), self.devices("2026-01-01T11:00:00Z"))

        assert isinstance(decision, Settled)
        assert decision.outputs.added_since == []  # type: ignore[attr-defined]

    @pytest.mark.parametrize(
        ("serial", "kind"),
        [
            ("arn:aws:iam::1:mfa/alice", "virtual"),
            ("arn:aws:iam::1:u2f/user/alice/x", "security-key"),
            ("GAHT12345678", "hardware"),
        ],
    )
    def test_kinds(self, serial: str, kind: str) -> None:
        """By the serial number."""
        assert kind_of(serial) == kind


HEADER = "user,password_enabled,password_last_used,mfa_active,access_key_1_active,access_key_1_last_used_date"
ROWS = f"""{HEADER}
{ROOT},not_supported,no_information,false,true,N/A
alice,true,2026-01-01T00:00:00+00:00,false,true,N/A
"=cmd|x",true,N/A,true,false,N/A
"""


class TestCredentialReport:
    def test_keeps_digest_counts_and_the_rows_asked_for(self) -> None:
        """Not the whole file: an account may have five thousand users."""
        params = GetCredentialReportParams(user_names=["alice", "gone"])
        state = read_report(params, ROWS.encode(), "2026-01-01T00:00:00Z")
        decision = REPORT.decide(params, state)

        assert isinstance(decision, Settled)
        outputs: Any = decision.outputs
        assert [row.user_name for row in outputs.rows] == [ROOT, "alice"]
        assert (outputs.users, outputs.password_without_mfa, outputs.missing) == (2, 1, ["gone"])
        assert (outputs.root_key_active, outputs.root_mfa_active) == (True, False)
        assert outputs.size_bytes == len(ROWS)
        assert any("root user has an active access key" in text for text in decision.warnings)

    @pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"no,such,columns\n1,2,3\n", b"user\n"])
    def test_an_odd_report_breaks_nothing(self, content: bytes) -> None:
        """The digest is of what AWS answered, whatever that is."""
        state = read_report(GetCredentialReportParams(), content, "2026-01-01T00:00:00Z")

        assert (state.rows, len(state.sha256)) == ((), 64)

    def test_waits_while_it_is_made(self) -> None:
        """No thread is held."""
        decision = REPORT.decide(GetCredentialReportParams(), GetCredentialReportState(ready=False))

        assert isinstance(decision, Waiting)
