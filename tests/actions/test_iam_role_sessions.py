"""Revoking the sessions of a role, and who else it hits."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irrunner.actions.contract import Act, Refused, Settled, Where
from irrunner.actions.iam.role_sessions import (
    CLOCK_SKEW,
    POLICY_NAME,
    RevokeRoleSessions,
    RevokeRoleSessionsParams,
    RevokeRoleSessionsState,
    cut_off_of,
    cut_off_text,
    revocation,
)
from irrunner.actions.iam.role_users import (
    DescribeRoleUsers,
    DescribeRoleUsersParams,
    Role,
    RoleUsers,
    other_principals,
)
from irrunner.errors import ActionDenied
from irrunner.settings import Settings
from irrunner.vocabulary import Outcome, UndoPolicy

REVOKE, DESCRIBE = RevokeRoleSessions(), DescribeRoleUsers()
PARAMS = RevokeRoleSessionsParams(role_name="web")
EC2_TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ],
}
INSTANT = datetime(2026, 1, 1, 12, tzinfo=UTC)
MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


def role(name: str = "web", path: str = "/", max_session_duration_s: int = 3600) -> Role:
    """Return a role."""
    return Role(
        role_name=name,
        role_arn=f"arn:aws:iam::123456789012:role{path}{name}",
        path=path,
        max_session_duration_s=max_session_duration_s,
        trust=EC2_TRUST,
    )


def state(policy: Any = None, *, cut_off: datetime = INSTANT, profile: bool = False, **other: Any) -> Any:
    """Return a look."""
    users = RoleUsers(
        instance_ids=(),
        has_instance_profile=profile,
        principals=(),
        regions_searched=(),
        regions_unsearched=(),
    )
    facts = {"role": role(), "policy": policy, "cut_off": cut_off_text(cut_off), "users": users}
    return RevokeRoleSessionsState(**(facts | other))


@pytest.fixture
def iam(moto_api: Any) -> Any:
    """IAM with role web, which an instance profile holds."""
    client = moto_api.client("iam")
    client.create_role(RoleName="web", Path="/team/", AssumeRolePolicyDocument=json.dumps(EC2_TRUST))
    client.create_instance_profile(InstanceProfileName="web")
    client.add_role_to_instance_profile(InstanceProfileName="web", RoleName="web")
    return client


def run_host(api: Any) -> str:
    """Run an instance with the profile on moto."""
    run = api.client("ec2").run_instances(
        ImageId="ami-12345678", MinCount=1, MaxCount=1, IamInstanceProfile={"Name": "web"}
    )
    return str(run["Instances"][0]["InstanceId"])


def policy_of(iam: Any) -> Any:
    """Return the revocation on the role, None where there is none."""
    if POLICY_NAME not in iam.list_role_policies(RoleName="web")["PolicyNames"]:
        return None
    return iam.get_role_policy(RoleName="web", PolicyName=POLICY_NAME)["PolicyDocument"]


class TestCutOff:
    @given(MOMENTS)
    @settings(max_examples=60, deadline=None)
    def test_text_is_utc_whole_seconds_never_earlier(self, moment: datetime) -> None:
        """Rounding down would let the sessions of a fraction of a second live."""
        text = cut_off_text(moment)
        read = cut_off_of(revocation(text))

        assert text.endswith("Z")
        assert read is not None
        assert timedelta() <= read - moment < timedelta(seconds=1)

    def test_local_time_is_turned_into_utc(self) -> None:
        """The instant counts, not the wall clock of the machine."""
        assert cut_off_text(datetime.fromisoformat("2026-01-01T14:00:00+02:00")) == "2026-01-01T12:00:00Z"

    @pytest.mark.parametrize(
        "policy",
        [
            None,
            {},
            {"Statement": []},
            {"Statement": "x"},
            {"unreadable": "x"},
            revocation("not a time"),
            revocation("2026-01-01T12:00:00Z") | {"Version": "2008-10-17"},
            {"Version": "2012-10-17", "Statement": [*revocation("2026-01-01T12:00:00Z")["Statement"], {}]},
        ],
    )
    def test_only_our_own_shape_counts(self, policy: Any) -> None:
        """A policy of our name that says anything else revokes nothing for sure."""
        assert cut_off_of(policy) is None

    @given(there=MOMENTS, wanted=MOMENTS)
    @settings(max_examples=60, deadline=None)
    def test_the_cut_off_never_moves_back(self, there: datetime, wanted: datetime) -> None:
        """An earlier revocation is replaced, a later or equal one is already enough."""
        decision = REVOKE.decide(PARAMS, state(revocation(cut_off_text(there)), cut_off=wanted))

        already = cut_off_text(there) >= cut_off_text(wanted)
        assert isinstance(decision, Settled if already else Act)


@pytest.mark.parametrize(
    ("subject", "says"),
    [
        (
            role("AWSReservedSSO_Admin_0123456789abcdef", "/aws-reserved/sso.amazonaws.com/"),
            "Identity Center",
        ),
        (role("Admin", "/aws-reserved/sso.amazonaws.com/"), "Identity Center"),
        (role("AWSServiceRoleForRDS", "/aws-service-role/rds.amazonaws.com/"), "service-linked"),
    ],
)
def test_roles_that_cannot_be_changed_are_refused(subject: Role, says: str) -> None:
    """The refusal explains whose role it is and where to act instead."""
    seen = state(role=subject)

    decision = REVOKE.decide(PARAMS, seen)

    assert isinstance(decision, Refused)
    assert says in decision.reason
    assert REVOKE.foresee(PARAMS, seen, "r").outputs == {}


def test_a_role_that_is_only_called_like_one_of_aws_is_revoked() -> None:
    """The path is AWS's to give, the name is not: an intruder's role does not escape by its name."""
    seen = state(role=role("AWSReservedSSO_Admin_0123456789abcdef"))

    assert isinstance(REVOKE.decide(PARAMS, seen), Act)


@pytest.mark.parametrize(
    ("declared_s", "profile", "held"),
    [
        (3600, False, timedelta(hours=1)),
        (43200, False, timedelta(hours=12)),
        (3600, True, timedelta(hours=6)),
        (43200, True, timedelta(hours=12)),
    ],
)
def test_undo_holds_until_the_last_session_has_expired(
    *, declared_s: int, profile: bool, held: timedelta
) -> None:
    """Instance credentials live some six hours, whatever the role's maximum for AssumeRole says."""
    seen = state(
        revocation(cut_off_text(INSTANT)), profile=profile, role=role(max_session_duration_s=declared_s)
    )

    assert REVOKE.undo is UndoPolicy.HOLD
    assert REVOKE.hold_until(PARAMS, state(), seen) == INSTANT + held
    assert REVOKE.decide(PARAMS, seen).outputs.hold_until == cut_off_text(INSTANT + held)  # type: ignore[union-attr]


def test_a_maximum_lowered_since_does_not_shorten_the_hold() -> None:
    """Sessions issued before keep the duration that they were given."""
    before = state(role=role(max_session_duration_s=43200))
    after = state(revocation(cut_off_text(INSTANT)))

    assert REVOKE.hold_until(PARAMS, before, after) == INSTANT + timedelta(hours=12)
    assert REVOKE.hold_until(PARAMS, before, before) is None


class TestRevokeOnMoto:
    def test_denies_older_sessions_and_reads_back(self, iam: Any, moto_api: Any, driver: Any) -> None:
        """The cut-off is the step's start and a little, for clocks differ."""
        cut_off = cut_off_text(driver.clock.now() + CLOCK_SKEW)

        driven = driver.run(REVOKE, PARAMS, moto_api)

        assert driven.done.outcome is Outcome.APPLIED
        assert policy_of(iam) == revocation(cut_off)
        assert driven.done.outputs["cut_off"] == cut_off
        assert moto_api.operations() == ["iam:PutRolePolicy"]

    def test_a_later_revocation_replaces_an_earlier(self, iam: Any, moto_api: Any, driver: Any) -> None:
        """A second incident an hour later revokes what was issued since; undo puts the first one back."""
        first = driver.run(REVOKE, PARAMS, moto_api)
        driver.clock.advance(3600)

        second = driver.run(REVOKE, PARAMS, moto_api)

        assert second.done.outcome is Outcome.APPLIED
        assert policy_of(iam) == revocation(cut_off_text(driver.clock.now() + CLOCK_SKEW))
        assert driver.undo(REVOKE, PARAMS, second, moto_api).outcome is Outcome.APPLIED
        assert policy_of(iam) == revocation(first.done.outputs["cut_off"])
        assert driver.undo(REVOKE, PARAMS, first, moto_api).outcome is Outcome.APPLIED
        assert policy_of(iam) is None

    def test_undo_leaves_the_later_revocation_of_another_run(
        self, iam: Any, moto_api: Any, driver: Any
    ) -> None:
        """An undo that was held while a new incident revoked again is refused: that deny is not ours."""
        first = driver.run(REVOKE, PARAMS, moto_api)
        driver.clock.advance(3600)
        second = driver.run(REVOKE, PARAMS, moto_api)
        driver.clock.advance(24 * 3600)
        moto_api.sent.clear()

        refused = driver.undo(REVOKE, PARAMS, first, moto_api)

        assert (refused.outcome, refused.code) == (Outcome.REFUSED, "drift")
        assert second.done.outputs["cut_off"] in refused.reason
        assert policy_of(iam) == revocation(second.done.outputs["cut_off"])
        assert moto_api.operations() == []

    def test_says_whom_else_it_hits(self, iam: Any, moto_api: Any, driver: Any) -> None:
        """Other instances with the role are listed, the incident's own is warned of if it still has it."""
        culprit, other = run_host(moto_api), run_host(moto_api)
        params = RevokeRoleSessionsParams(role_name="web", instance_id=culprit)

        done = driver.run(REVOKE, params, moto_api).done

        assert done.outputs["shared_with"] == [other]
        assert culprit in done.warnings[0]
        assert other in done.warnings[1]


class TestDescribeRoleUsers:
    def test_counts_others_in_all_regions(self, iam: Any, moto_api: Any, driver: Any) -> None:
        """A role is global: an instance in another Region shares it."""
        culprit = run_host(moto_api)
        elsewhere = run_host(moto_api.in_region("us-east-1"))
        params = DescribeRoleUsersParams(role_name="web", instance_id=culprit)

        driven = driver.run(DESCRIBE, params, moto_api)

        outputs = driven.done.outputs
        assert (outputs["other_instance_ids"], outputs["other_users_count"]) == ([elsewhere], 1)
        assert outputs["max_session_duration_s"] == 3600
        assert outputs["regions_searched"][0] == "eu-central-1"
        assert len(outputs["regions_searched"]) > 10
        assert driven.done.outcome is Outcome.APPLIED
        assert moto_api.operations() == []

    def test_the_configuration_bounds_the_search(self, iam: Any, moto_api: Any, driver: Any) -> None:
        """Where an organisation works in a few Regions, only those are read."""
        driver.settings = Settings(regions=("eu-west-1",))

        outputs = driver.run(DESCRIBE, DescribeRoleUsersParams(role_name="web"), moto_api).done.outputs

        assert outputs["regions_searched"] == ["eu-central-1", "eu-west-1"]
        assert outputs["other_users_count"] == 0

    def test_a_closed_region_is_named(self, iam: Any, moto_api: Any, driver: Any) -> None:
        """A Region that an SCP closes cannot be searched, and the answer says so."""

        def close(operation: str, _: Any) -> None:
            if operation == "ec2:DescribeIamInstanceProfileAssociations":
                raise ActionDenied("an SCP closes the Region")

        moto_api.before = close
        params = DescribeRoleUsersParams(role_name="web", regions=["eu-central-1"])

        done = driver.run(DESCRIBE, params, moto_api).done

        assert done.outputs["regions_unsearched"] == ["eu-central-1"]
        assert done.warnings == ("not searched, access denied: eu-central-1",)

    @pytest.mark.parametrize(
        ("principal", "others"),
        [
            ({"Service": "ec2.amazonaws.com"}, []),
            ({"Service": ["ec2.amazonaws.com", "lambda.amazonaws.com"]}, ["lambda.amazonaws.com"]),
            ({"AWS": "arn:aws:iam::1:root", "Service": "ec2.amazonaws.com"}, ["arn:aws:iam::1:root"]),
            ({"Federated": "cognito-identity.amazonaws.com"}, ["cognito-identity.amazonaws.com"]),
            ("*", ["*"]),
        ],
    )
    def test_everybody_that_may_assume_it_counts(self, principal: Any, others: list[str]) -> None:
        """A function or an account with the role is hit by a revocation as an instance is."""
        assert other_principals({"Statement": {"Effect": "Allow", "Principal": principal}}) == others

    def test_not_principal_is_everybody(self) -> None:
        """An exception names nobody who is in."""
        assert other_principals({"Statement": [{"Effect": "Allow", "NotPrincipal": {"AWS": "x"}}]}) == ["*"]

    def test_denials_and_nonsense_name_nobody(self) -> None:
        """Only allowing statements count, and a broken document breaks nothing."""
        assert other_principals({"Statement": [{"Effect": "Deny", "Principal": "*"}, "x"]}) == []
        assert other_principals({}) == []


def test_targets() -> None:
    """The role is what changes; describing changes nothing."""
    where = Where("aws", "1", "r", None, None, None)

    assert REVOKE.targets(PARAMS, where) == ("arn:aws:iam::1:role/web",)
    assert DESCRIBE.targets(DescribeRoleUsersParams(role_name="web"), where) == ()
