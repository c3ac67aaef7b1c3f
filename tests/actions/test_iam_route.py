"""Whose credentials they are: AWS's word counts, a session's name does not."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from irrunner.actions.contract import LookContext, Settled, Where
from irrunner.actions.iam.caller import Caller
from irrunner.actions.iam.role_users import Role
from irrunner.actions.iam.route import (
    RouteCredential,
    RouteCredentialOutputs,
    RouteCredentialParams,
    RouteCredentialState,
)
from irrunner.actions.iam.workloads import Workload
from irrunner.errors import ActionDenied, InvalidCall, TargetNotFound
from irrunner.settings import Settings
from irrunner.testing import FakeApi

ROUTE = RouteCredential()
OWN, OTHER, REGION = "111122223333", "444455556666", "us-east-1"
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
SESSION = "ASIAIOSFODNN7EXAMPLE"
KEY = "AKIAIOSFODNN7EXAMPLE"
INSTANCE = "i-0123456789abcdef0"
WEB = f"arn:aws:iam::{OWN}:role/web"
PROFILE = f"arn:aws:iam::{OWN}:instance-profile/web"


def trust(**principal: Any) -> dict[str, Any]:
    """Return a trust policy."""
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    return {"Version": "2012-10-17", "Statement": [statement]}


def role(path: str = "/", name: str = "web", **principal: Any) -> Role:
    """Return a role."""
    return Role(
        role_name=name,
        role_arn=f"arn:aws:iam::{OWN}:role{path}{name}",
        path=path,
        max_session_duration_s=3600,
        trust=trust(**(principal or {"Service": "ec2.amazonaws.com"})),
    )


def event(name: str, identity: Mapping[str, Any], **record: Any) -> dict[str, Any]:
    """Return an event of the history."""
    source = record.pop("eventSource", "sts.amazonaws.com")
    whole = {"eventSource": source, "eventName": name, "userIdentity": identity, "eventID": "e-1", **record}
    return {"EventName": name, "EventTime": NOW, "CloudTrailEvent": json.dumps(whole)}


def by_session(**context: Any) -> dict[str, Any]:
    """Return the identity of a session of the role web that calls itself like an instance."""
    issuer = {"type": "Role", "userName": "web", "arn": WEB, "accountId": OWN}
    return {
        "type": "AssumedRole",
        "accountId": OWN,
        "principalId": f"AROA1:{INSTANCE}",
        "accessKeyId": SESSION,
        "sessionContext": {"sessionIssuer": issuer, **context},
    }


class Account:
    """What AWS answers about one account."""

    def __init__(self, **facts: Any) -> None:
        self.facts = facts
        self.events: dict[tuple[str, str], list[dict[str, Any]]] = {}

    def api(self) -> FakeApi:
        """Return reads."""
        answers: dict[str, Callable[..., Mapping[str, Any]]] = {
            "sts:GetAccessKeyInfo": lambda **_: {"Account": self.facts.get("account", OWN)},
            "iam:GetAccessKeyLastUsed": self._last_used,
            "cloudtrail:LookupEvents": self._lookup,
            "iam:GetRole": self._role,
            "iam:ListInstanceProfilesForRole": lambda **_: {"InstanceProfiles": [{"Arn": PROFILE}]},
            "ec2:DescribeInstances": self._instances,
            "ec2:DescribeIamInstanceProfileAssociations": lambda **_: {
                "IamInstanceProfileAssociations": [
                    {"InstanceId": name, "IamInstanceProfile": {"Arn": PROFILE}}
                    for name in self.facts.get("users", ())
                ]
            },
            "lambda:ListFunctions": lambda **_: {"Functions": self.facts.get("functions", [])},
            "lambda:GetFunctionConfiguration": self._function,
            "ecs:ListClusters": lambda **_: {"clusterArns": ["arn:c"]},
            "ecs:DescribeTasks": lambda **_: {"tasks": self.facts.get("tasks", [])},
            "ecs:DescribeTaskDefinition": lambda **_: {"taskDefinition": {"taskRoleArn": WEB}},
            "organizations:DescribeOrganization": lambda **_: {
                "Organization": {"MasterAccountId": self.facts.get("management", OTHER)}
            },
        }
        return FakeApi(answers)

    def _last_used(self, **_: Any) -> Mapping[str, Any]:
        if self.facts.get("deleted"):
            raise ActionDenied("no such key")
        return {"UserName": self.facts.get("user")} if self.facts.get("user") else {}

    def _lookup(self, LookupAttributes: list[dict[str, str]], **_: Any) -> Mapping[str, Any]:  # noqa: N803
        asked = LookupAttributes[0]
        return {"Events": self.events.get((asked["AttributeKey"], asked["AttributeValue"]), [])}

    def _role(self, RoleName: str) -> Mapping[str, Any]:  # noqa: N803
        if "trust" not in self.facts:
            raise TargetNotFound(f"no role {RoleName}")
        return {
            "Role": {
                "RoleName": RoleName,
                "Arn": f"arn:aws:iam::{OWN}:role{self.facts.get('path', '/')}{RoleName}",
                "Path": self.facts.get("path", "/"),
                "AssumeRolePolicyDocument": self.facts["trust"],
            }
        }

    def _instances(self, InstanceIds: list[str]) -> Mapping[str, Any]:  # noqa: N803
        profile = self.facts.get("profile")
        if profile is None:
            raise InvalidCall(f"no instance {InstanceIds}")
        return {"Reservations": [{"Instances": [{"IamInstanceProfile": {"Arn": profile}}]}]}

    def _function(self, FunctionName: str) -> Mapping[str, Any]:  # noqa: N803
        if "function_role" not in self.facts:
            raise TargetNotFound(f"no function {FunctionName}")
        return {"Role": self.facts["function_role"]}


def routed(account: Account, **params: str) -> tuple[RouteCredentialOutputs, tuple[str, ...]]:
    """Look, decide, and return outputs and warnings."""
    given = RouteCredentialParams.model_validate(params)
    context = LookContext(
        api=account.api(), forensics=None, where=Where("aws", OWN, REGION, None, None, None),
        now=NOW, started=NOW, run_id="r", marker="r/s", drill=False, settings=Settings(regions=(REGION,)),
    )  # fmt: skip
    decision = ROUTE.decide(given, ROUTE.look(context, given))
    assert isinstance(decision, Settled)
    assert isinstance(decision.outputs, RouteCredentialOutputs)
    return decision.outputs, decision.warnings


class TestKeys:
    def test_a_long_term_key_is_its_users(self) -> None:
        """Deactivate and deny; a revocation by issue time would never apply."""
        found, _ = routed(Account(user="alice"), access_key_id=KEY, user_name="mallory")

        assert (found.kind, found.user_name, found.verified) == ("user-key", "alice", True)
        assert found.recommended[:2] == ["aws.iam.deactivate-access-key", "aws.iam.quarantine-user"]
        assert [one.action for one in found.refused] == ["aws.iam.revoke-role-sessions"]

    @pytest.mark.parametrize("name", ["", "<root_account>"])
    def test_a_key_without_a_user_is_the_root_users(self, name: str) -> None:
        """Nothing in the account binds root: an SCP and a person."""
        found, _ = routed(Account(user=name), access_key_id=KEY)

        assert (found.kind, found.recommended) == ("root-key", ["aws.organizations.deny-account"])
        assert "page the account's owner" in found.advice

    def test_the_management_accounts_root_user_is_for_people(self) -> None:
        """An SCP would do nothing there, so none is recommended."""
        found, _ = routed(Account(management=OWN), access_key_id=KEY)

        assert (found.kind, found.recommended) == ("root-key", [])
        assert "do not bind the management account" in found.advice

    def test_a_deleted_key_rests_on_the_finding(self) -> None:
        """AWS knows its account and no user: the finding's word, marked as such."""
        found, warnings = routed(Account(deleted=True), access_key_id=KEY, user_name="alice")

        assert (found.kind, found.user_name, found.verified) == ("user-key", "alice", False)
        assert "let a person confirm it" in warnings[0]

    def test_a_long_term_key_is_never_a_roles(self) -> None:
        """Whatever the finding says: only users and the root user have such keys."""
        found, _ = routed(Account(deleted=True), access_key_id=KEY, user_name="web", user_type="AssumedRole")

        assert (found.kind, found.verified) == ("user-key", False)

    def test_a_key_of_another_account_is_not_ours_to_touch(self) -> None:
        """Whatever the finding calls it."""
        found, _ = routed(Account(account=OTHER), access_key_id=KEY, user_name="alice", user_type="IAMUser")

        assert (found.kind, found.account_id, found.recommended) == ("other-account", OTHER, [])

    def test_a_users_session_needs_the_user_denied(self) -> None:
        """A temporary key of a user: found by what it did, and by who asked for it."""
        account = Account()
        alice = {"type": "IAMUser", "userName": "alice", "accountId": OWN, "accessKeyId": SESSION}
        account.events["AccessKeyId", SESSION] = [event("ListUsers", alice)]
        asked = alice | {"accessKeyId": KEY, "arn": "arn:alice"}
        account.events["ResourceName", SESSION] = [
            event("GetSessionToken", asked, responseElements={"credentials": {"accessKeyId": SESSION}})
        ]

        found, _ = routed(account, access_key_id=SESSION)

        assert (found.kind, found.user_name, found.verified) == ("user-session", "alice", True)
        assert found.source_key_id == KEY
        assert found.recommended[0] == "aws.iam.quarantine-user"
        assert {one.action for one in found.refused} == {
            "aws.iam.deactivate-access-key",
            "aws.iam.revoke-role-sessions",
        }

    def test_a_session_that_cloudtrail_does_not_know_yet_rests_on_the_finding(self) -> None:
        """The history is up to a quarter of an hour late."""
        found, warnings = routed(Account(), access_key_id=SESSION, user_name="alice", user_type="IAMUser")

        assert (found.kind, found.verified) == ("user-session", False)
        assert warnings

    def test_nothing_known_is_said_so(self) -> None:
        """No kind is guessed."""
        found, _ = routed(Account(), access_key_id=SESSION)

        assert (found.kind, found.recommended) == ("unknown", [])


class TestWorkloads:
    def test_an_instance_is_believed_where_it_has_the_role(self) -> None:
        """EC2 alone may assume the role, and the instance has it: it is the instance."""
        account = Account(trust=trust(Service="ec2.amazonaws.com"), profile=PROFILE, users=[INSTANCE, "i-2"])
        account.events["AccessKeyId", SESSION] = [event("ListBuckets", by_session())]

        found, warnings = routed(account, access_key_id=SESSION)

        assert (found.kind, found.instance_id, found.verified) == ("instance-role", INSTANCE, True)
        assert found.shared_by == ["i-2"]
        assert found.recommended[:2] == ["aws.ec2.remove-instance-profile", "aws.iam.revoke-role-sessions"]
        assert "i-2" in warnings[0]

    def test_a_session_that_only_calls_itself_an_instance_is_not_believed(self) -> None:
        """An intruder who may assume a role names somebody else's instance: it is not isolated."""
        account = Account(trust=trust(AWS=f"arn:aws:iam::{OWN}:root"), profile=f"{PROFILE}-other")
        account.events["AccessKeyId", SESSION] = [event("ListBuckets", by_session())]

        found, warnings = routed(account, access_key_id=SESSION)

        assert (found.kind, found.instance_id) == ("assumed-role", "")
        assert "the name is a claim" in warnings[0]

    @pytest.mark.parametrize(
        "mixed",
        [
            trust(Service="ec2.amazonaws.com", AWS=f"arn:aws:iam::{OWN}:user/mallory"),
            trust(Service=["ec2.amazonaws.com", "lambda.amazonaws.com"]),
        ],
    )
    def test_an_instance_with_the_role_is_not_believed_where_others_may_assume_it(self, mixed: Any) -> None:
        """They could call their session (or a function) by its name, and have it isolated."""
        account = Account(trust=mixed, profile=PROFILE)
        account.events["AccessKeyId", SESSION] = [event("ListBuckets", by_session())]

        found, warnings = routed(account, access_key_id=SESSION)

        assert (found.kind, found.instance_id) == ("assumed-role", "")
        assert f"{INSTANCE} has the role web, but others may assume it" in warnings[0]

    def test_aws_delivery_to_an_instance_settles_it(self) -> None:
        """``ec2RoleDelivery`` is written by AWS, whoever else may assume the role."""
        mixed = trust(Service="ec2.amazonaws.com", AWS=f"arn:aws:iam::{OWN}:user/mallory")
        account = Account(trust=mixed, profile=PROFILE)
        delivered = by_session(ec2RoleDelivery="2.0")
        account.events["AccessKeyId", SESSION] = [event("ListBuckets", delivered)]

        assert routed(account, access_key_id=SESSION)[0].verified

    def test_a_user_of_an_identity_provider_who_is_called_like_a_service_is_none(self) -> None:
        """Only AWS itself is of the type AWSService; a name is anybody's to choose."""
        account = Account(trust=trust(Service="ec2.amazonaws.com", Federated="arn:p"), profile=PROFILE)
        account.events["AccessKeyId", SESSION] = [event("ListBuckets", by_session())]
        impostor = {
            "type": "WebIdentityUser",
            "userName": "ec2.amazonaws.com",
            "invokedBy": "ec2.amazonaws.com",
        }
        issued = {"responseElements": {"credentials": {"accessKeyId": SESSION}}}
        account.events["ResourceName", SESSION] = [event("AssumeRoleWithWebIdentity", impostor, **issued)]

        found, _ = routed(account, access_key_id=SESSION)

        assert (found.kind, found.instance_id) == ("federated-role", "")
        assert found.issued_by == "ec2.amazonaws.com"

    def test_a_service_that_asked_for_the_session_settles_it(self) -> None:
        """AWSService in the issuing event is AWS's word, whoever else may assume the role."""
        mixed = trust(Service="lambda.amazonaws.com", AWS=f"arn:aws:iam::{OWN}:root")
        account = Account(trust=mixed)
        service = {"type": "AWSService", "invokedBy": "lambda.amazonaws.com"}
        issued = {
            "requestParameters": {"roleArn": WEB, "roleSessionName": "gone"},
            "responseElements": {"credentials": {"accessKeyId": SESSION}},
        }
        account.events["ResourceName", SESSION] = [event("AssumeRole", service, **issued)]

        found, warnings = routed(account, access_key_id=SESSION)

        assert (found.kind, found.function_name, found.verified) == ("function-role", "", True)
        assert "no such function" in warnings[0]

    def test_a_federation_token_of_the_root_user_is_roots(self) -> None:
        """There is no user to deny anything to."""
        account = Account()
        issuer = {"sessionIssuer": {"type": "Root", "accountId": OWN}}
        root = {"type": "FederatedUser", "accessKeyId": SESSION, "accountId": OWN, "sessionContext": issuer}
        account.events["AccessKeyId", SESSION] = [event("ListUsers", root)]

        assert routed(account, access_key_id=SESSION)[0].kind == "root-session"

    def test_an_instance_that_is_gone_is_told(self) -> None:
        """AWS says that it was an instance; which one is not known any more."""
        account = Account(trust=trust(Service="ec2.amazonaws.com"))
        delivered = by_session(ec2RoleDelivery="2.0")
        account.events["AccessKeyId", SESSION] = [event("ListBuckets", delivered)]

        found, warnings = routed(account, access_key_id=SESSION)

        assert (found.kind, found.instance_id, found.verified) == ("instance-role", "", True)
        assert "(any more)" in warnings[0]

    @pytest.mark.parametrize(
        ("has", "kind", "name"), [(WEB, "function-role", "job"), (f"{WEB}2", "assumed-role", "")]
    )
    def test_a_function_is_believed_where_it_has_the_role(self, has: str, kind: str, name: str) -> None:
        """The session of a function is called like it; so may any other be."""
        account = Account(trust=trust(Service="lambda.amazonaws.com"), function_role=has)

        found, _ = routed(account, principal_arn=f"arn:aws:sts::{OWN}:assumed-role/web/job")

        assert (found.kind, found.function_name) == (kind, name)

    def test_a_task_is_found_in_its_cluster(self) -> None:
        """By the role of its definition."""
        task = {"taskArn": "arn:task", "taskDefinitionArn": "arn:d", "overrides": {}}
        account = Account(trust=trust(Service="ecs-tasks.amazonaws.com"), tasks=[task])

        found, _ = routed(account, principal_arn=f"arn:aws:sts::{OWN}:assumed-role/web/{'a' * 32}")

        assert (found.kind, found.task_arn) == ("task-role", "arn:task")

    def test_a_role_that_is_gone_is_a_typed_failure(self) -> None:
        """There is nothing left to route."""
        with pytest.raises(TargetNotFound):
            routed(Account(), principal_arn=f"arn:aws:sts::{OWN}:assumed-role/web/x")


def test_a_role_of_another_account_is_not_looked_up() -> None:
    """A role of the same name here would be the wrong one."""
    found, _ = routed(Account(), principal_arn=f"arn:aws:sts::{OTHER}:assumed-role/web/x")

    assert found.kind == "other-account"


@pytest.mark.parametrize("params", [{}, {"access_key_id": "AKIA"}, {"principal_arn": "arn:aws:s3:::x"}])
def test_nonsense_is_no_parameter(params: dict[str, str]) -> None:
    """Something must be named, and rightly."""
    with pytest.raises(ValidationError):
        RouteCredentialParams.model_validate(params)


def test_a_workload_note_is_a_warning() -> None:
    """People read why the name was not believed."""
    state = RouteCredentialState(
        caller=Caller(type="AssumedRole", name="web", by_aws=True),
        account_id=OWN,
        management_account=None,
        role=role(),
        workload=Workload(note="the name is a claim"),
    )
    decision = ROUTE.decide(RouteCredentialParams(user_name="web"), state)

    assert isinstance(decision, Settled)
    assert decision.warnings[0] == "the name is a claim"
