"""Identity Center: assignments, and the sessions of a permission set."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from irrunner.actions.contract import Act, Broken, LookContext, Refused, Settled, Waiting, Where
from irrunner.actions.iam.role_sessions import revocation
from irrunner.actions.sso_admin.assignment import (
    RemoveAccountAssignment,
    RemoveAssignmentParams,
    RemoveAssignmentState,
)
from irrunner.actions.sso_admin.center import OnePermissionSet, find_permission_set
from irrunner.actions.sso_admin.denial import cut_off_in, merged, seconds_of
from irrunner.actions.sso_admin.revocation import (
    LIMIT_CHARACTERS,
    RevokePermissionSetParams,
    RevokePermissionSetSessions,
    RevokePermissionSetState,
)
from irrunner.errors import ActionDenied, TargetNotFound
from irrunner.settings import Settings
from irrunner.testing import FakeApi

REMOVE, REVOKE = RemoveAccountAssignment(), RevokePermissionSetSessions()
USER = "94d81498-1234-1234-1234-abcdef012345"
ARN = "arn:aws:sso:::permissionSet/ssoins-0123456789abcdef/ps-0123456789abcdef"
ROLE = "AWSReservedSSO_Admin_0123456789abcdef"
CUT = "2026-01-01T12:00:00Z"
LATER = "2026-01-01T13:00:00Z"
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
ALLOW = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}


def assignment(**other: Any) -> RemoveAssignmentState:
    """Return a look at an assignment."""
    facts: dict[str, Any] = {
        "region": "eu-west-1", "instance_arn": "arn:i", "permission_set_arn": ARN,
        "permission_set_name": "Admin", "account_id": "1", "principal_id": USER, "principal_type": "USER",
        "assigned": True, "deleting": False, "failure": "", "others": (),
        "groups": (),
    }  # fmt: skip
    return RemoveAssignmentState(**(facts | other))


REMOVAL = RemoveAssignmentParams(permission_set_arn=ARN, principal_id=USER)


class TestRemoveAssignment:
    def test_deletes_in_identity_centers_region(self) -> None:
        """The home Region may be another than the incident's."""
        decision = REMOVE.decide(REMOVAL, assignment())

        assert isinstance(decision, Act)
        assert (decision.calls[0].scope, decision.calls[0].region) == ("management", "eu-west-1")

    def test_waits_for_aws_and_says_why_it_could_not(self) -> None:
        """Deletion is asynchronous, and may fail."""
        failed = REMOVE.decide(REMOVAL, assignment(failure="the role is in use"))

        assert isinstance(REMOVE.decide(REMOVAL, assignment(deleting=True)), Waiting)
        assert isinstance(failed, Broken)
        assert "the role is in use" in failed.reason

    @pytest.mark.parametrize(("groups", "says"), [(("g-1",), "g-1"), (None, "not known"), ((), None)])
    def test_groups_are_another_way_in(self, groups: tuple[str, ...] | None, says: str | None) -> None:
        """A user who is in a group with the same permission set is not out."""
        seen = assignment(assigned=False, others=("GROUP g-1", "USER u-1"), groups=groups)
        decision = REMOVE.decide(REMOVAL, seen)

        assert isinstance(decision, Settled)
        assert "stay valid" in decision.warnings[0]
        assert [says in text for text in decision.warnings[1:]] == ([True] if says else [])  # type: ignore[operator]
        assert decision.outputs.still_assigned == ["GROUP g-1", "USER u-1"]  # type: ignore[attr-defined]

    @pytest.mark.parametrize(
        "given",
        [
            {},
            {"principal_id": USER, "user_name": "alice"},
            {"user_name": "admins", "principal_type": "GROUP"},
            {"user_name": "a b"},
        ],
    )
    def test_one_principal_is_named(self, given: dict[str, str]) -> None:
        """Never everybody who has the permission set."""
        with pytest.raises(ValidationError):
            RemoveAssignmentParams.model_validate({"permission_set_arn": ARN, **given})


def revoked(policy: Any = None, role_policy: Any = None, **other: Any) -> RevokePermissionSetState:
    """Return a look at a permission set."""
    facts: dict[str, Any] = {
        "region": "eu-west-1", "instance_arn": "arn:i", "permission_set_arn": ARN,
        "permission_set_name": "Admin", "session_s": 14_400, "account_id": "1", "policy": policy,
        "role_name": ROLE, "role_arn": f"arn:aws:iam::1:role/{ROLE}", "role_policy": role_policy,
        "cut_off": CUT, "provisioning": "", "failure": "", "other_accounts": 0,
    }  # fmt: skip
    return RevokePermissionSetState(**(facts | other))


REVOCATION = RevokePermissionSetParams(role_name=ROLE)
DENIED = merged({"Version": "2012-10-17", "Statement": [ALLOW]}, CUT)


class TestRevoke:
    @pytest.mark.parametrize(
        ("before", "others"),
        [
            (None, []),
            ({"Version": "2012-10-17", "Statement": ALLOW}, [ALLOW]),
            (DENIED, [ALLOW]),
            ({"Version": "2012-10-17", "Id": "x", "Statement": [ALLOW]}, [ALLOW]),
        ],
    )
    def test_merges_with_what_is_there(self, before: Any, others: list[Any]) -> None:
        """The permission set keeps its own statements; an earlier deny of ours is replaced."""
        after = merged(before, LATER)

        assert after["Statement"] == [*others, *revocation(LATER)["Statement"]]
        assert {k: v for k, v in after.items() if k == "Id"} == (
            {"Id": "x"} if before and "Id" in before else {}
        )

    def test_puts_and_provisions(self) -> None:
        """In this order: what is provisioned is what was put."""
        decision = REVOKE.decide(REVOCATION, revoked())

        assert isinstance(decision, Act)
        assert [call.operation.partition(":")[2] for call in decision.calls] == [
            "PutInlinePolicyToPermissionSet",
            "ProvisionPermissionSet",
        ]

    def test_is_done_only_where_the_role_has_it(self) -> None:
        """The permission set is an intention; the role in the account is the effect."""
        provision = REVOKE.decide(REVOCATION, revoked(DENIED))

        assert isinstance(provision, Act)
        assert len(provision.calls) == 1
        assert isinstance(REVOKE.decide(REVOCATION, revoked(DENIED, provisioning="IN_PROGRESS")), Waiting)
        failed = revoked(DENIED, provisioning="FAILED", failure="no")
        assert isinstance(REVOKE.decide(REVOCATION, failed), Broken)
        assert isinstance(REVOKE.decide(REVOCATION, revoked(DENIED, DENIED)), Settled)

    def test_an_older_deny_on_the_role_is_not_enough(self) -> None:
        """It revokes fewer sessions."""
        newer = merged(None, LATER)

        assert isinstance(REVOKE.decide(REVOCATION, revoked(newer, DENIED)), Act)
        assert isinstance(REVOKE.decide(REVOCATION, revoked(newer, newer)), Settled)

    def test_refuses_where_there_is_no_role_and_no_room(self) -> None:
        """Nothing to revoke; or a policy that AWS would refuse."""
        large = {"Version": "2012-10-17", "Statement": [ALLOW | {"Sid": "x" * LIMIT_CHARACTERS}]}
        absent = REVOKE.decide(REVOCATION, revoked(role_name="", role_arn=""))
        full = REVOKE.decide(REVOCATION, revoked(large))

        assert isinstance(absent, Refused)
        assert absent.nothing_to_do
        assert isinstance(full, Refused)
        assert "no room" in full.reason
        assert isinstance(REVOKE.decide(REVOCATION, revoked({"unreadable": "?"})), Refused)

    @pytest.mark.parametrize(
        "policy",
        [
            None,
            {"Statement": "x"},
            {"Statement": [revocation(CUT)["Statement"][0] | {"Action": "s3:*"}]},
            {"Statement": [{"Sid": revocation(CUT)["Statement"][0]["Sid"]}]},
        ],
    )
    def test_only_our_own_shape_counts(self, policy: Any) -> None:
        """A statement of our name that says less revokes nothing for sure."""
        assert cut_off_in(policy) is None

    def test_undo_holds_for_the_longest_session(self) -> None:
        """Before that, a revoked session would live again."""
        assert REVOKE.hold_until(REVOCATION, revoked(), revoked(DENIED)) == NOW + timedelta(hours=4)
        assert REVOKE.hold_until(REVOCATION, revoked(), revoked()) is None

    def test_undo_does_not_provision_what_somebody_else_wrote(self) -> None:
        """Only the role is still ours; the permission set has drifted."""
        now = revoked({"Version": "2012-10-17", "Statement": []}, DENIED)
        role_key = frozenset({f"{now.role_arn}/AwsSSOInlinePolicy"})

        assert REVOKE.undo_calls(REVOCATION, revoked(), revoked(DENIED, DENIED), now, role_key) == ()

    @pytest.mark.parametrize(
        ("text", "seconds"),
        [("PT1H", 3600), ("PT90M", 5400), ("PT1H30M5S", 5405), ("P1D", 43_200), ("PT", 43_200), ("", 43_200)],
    )
    def test_durations(self, text: str, seconds: int) -> None:
        """What is not understood counts as the longest."""
        assert seconds_of(text) == seconds


def center(**instances: list[str]) -> FakeApi:
    """Return an Identity Center with permission sets, all called Admin."""

    def describe(InstanceArn: str, PermissionSetArn: str) -> Mapping[str, Any]:  # noqa: N803
        if PermissionSetArn not in instances[InstanceArn]:
            raise TargetNotFound("no such permission set")
        return {"PermissionSet": {"PermissionSetArn": PermissionSetArn, "Name": "Admin"}}

    return FakeApi(
        {
            "sso-admin:ListInstances": lambda: {"Instances": [{"InstanceArn": name} for name in instances]},
            "sso-admin:ListPermissionSets": lambda InstanceArn: {"PermissionSets": instances[InstanceArn]},  # noqa: N803
            "sso-admin:DescribePermissionSet": describe,
        }
    )


def context(management: Any) -> LookContext:
    """Return what a look may use."""
    return LookContext(
        api=FakeApi({}), forensics=None, where=Where("aws", "1", "us-east-1", None, None, None), now=NOW,
        started=NOW, run_id="r", marker="r/s", drill=False, settings=Settings(), management=management,
    )  # fmt: skip


class TestFinding:
    def test_by_arn_in_any_instance_and_by_role(self) -> None:
        """A role's name holds the permission set's."""
        api = center(one=[], two=[ARN])

        by_arn = find_permission_set(context(api), OnePermissionSet(permission_set_arn=ARN))
        by_role = find_permission_set(context(api), OnePermissionSet(role_name=ROLE))

        assert (by_arn.instance_arn, by_role.arn) == ("two", ARN)
        assert by_role.session_duration == "PT12H"

    def test_what_is_missing_is_said(self) -> None:
        """No instance in the Region, no such permission set, no management account."""
        with pytest.raises(TargetNotFound, match="home Region"):
            find_permission_set(context(center()), OnePermissionSet(permission_set_arn=ARN))
        other = OnePermissionSet(role_name="AWSReservedSSO_Other_0123456789abcdef")
        with pytest.raises(TargetNotFound, match="AWSReservedSSO_Other"):
            find_permission_set(context(center(one=[ARN])), other)
        with pytest.raises(ActionDenied, match="no access"):
            find_permission_set(context(None), OnePermissionSet(permission_set_arn=ARN))

    @pytest.mark.parametrize(
        "given",
        [
            {},
            {"permission_set_arn": ARN, "role_name": ROLE},
            {"role_name": "web"},
            {"permission_set_arn": "x"},
        ],
    )
    def test_one_of_both_is_given(self, given: dict[str, str]) -> None:
        """And a role of Identity Center, no other."""
        with pytest.raises(ValidationError):
            OnePermissionSet.model_validate(given)
