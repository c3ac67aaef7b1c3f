from __future__ import annotations

import json
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

import pytest
from cfnlint.api import lint_all

from irrunner.actions.registry import load_registry
from irrunner.aws.roles import (
    MANAGED_POLICY_CHARACTERS,
    NO_ORGANIZATION,
    NOBODY,
    Accounts,
    organisation_policies,
    trust_policy,
)
from irrunner.settings import Channel, Forensics, Management, Settings
from irrunner.testing import SeededIds

MEMBER, FORENSIC, ORGANISATION = "111122223333", "444455556666", "777788889999"
RUNNER = "arn:aws:iam::123456789012:role/irrunner"
SETTINGS = Settings(
    forensics=Forensics(account_id=FORENSIC),
    management=Management(account_id=ORGANISATION),
    channels={
        "oncall": Channel(url="ssm:/irrunner/oncall"),
        "audit": Channel(url="secretsmanager:audit#url"),
        "local": Channel(url="env:LOCAL_URL"),
    },
)
REGISTRY = load_registry()


@pytest.fixture(scope="module")
def whole() -> dict[str, Any]:
    """The policies of every action there is."""
    return organisation_policies(REGISTRY, SETTINGS, Accounts(MEMBER, "eu-central-1", RUNNER, "o-acme123456"))


def documents(made: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield every permission policy."""
    for role in (*made["roles"].values(), made["runner"]):
        yield from role["policies"].values()


def test_an_independent_linter_finds_nothing(whole: dict[str, Any]) -> None:
    """Actions, ARNs, principals and conditions are such as CloudFormation would take."""
    resources: dict[str, Any] = {
        f"Role{scope}": {
            "Type": "AWS::IAM::Role",
            "Properties": {
                "AssumeRolePolicyDocument": role["trust"],
                "Policies": [{"PolicyName": n, "PolicyDocument": doc} for n, doc in role["policies"].items()],
            },
        }
        for scope, role in whole["roles"].items()
    }
    for number, key in enumerate(whole["keys"].values()):
        resources[f"Key{number}"] = {
            "Type": "AWS::KMS::Key",
            "DeletionPolicy": "Retain",
            "UpdateReplacePolicy": "Retain",
            "Properties": {"KeyPolicy": key["policy"]},
        }
    resources["Bucket"] = {
        "Type": "AWS::S3::BucketPolicy",
        "Properties": {"Bucket": "evidence", "PolicyDocument": whole["bucket"]["policy"]},
    }
    template = {"AWSTemplateFormatVersion": "2010-09-09", "Resources": resources}

    found = [problem for problem in lint_all(json.dumps(template)) if not problem.rule.id.startswith("I")]

    assert [str(problem) for problem in found] == []


def test_what_the_linter_would_say() -> None:
    """The linter knows actions by name: a wrong one is found."""
    wrong = {
        "Version": "2012-10-17",
        "Statement": {"Effect": "Allow", "Action": "ec2:NoSuch", "Resource": "*"},
    }
    properties = {
        "AssumeRolePolicyDocument": trust_policy(RUNNER),
        "Policies": [{"PolicyName": "wrong", "PolicyDocument": wrong}],
    }
    template = {"Resources": {"Role": {"Type": "AWS::IAM::Role", "Properties": properties}}}

    assert "W3037" in {problem.rule.id for problem in lint_all(json.dumps(template))}


def test_each_policy_fits(whole: dict[str, Any]) -> None:
    """A managed policy has at most 6,144 characters, and a role at most ten of them."""
    for document in documents(whole):
        assert len(json.dumps(document, separators=(",", ":"))) <= MANAGED_POLICY_CHARACTERS
        sids = [statement["Sid"] for statement in document["Statement"]]
        assert len(set(sids)) == len(sids)
    assert all(len(role["policies"]) <= 10 for role in whole["roles"].values())


def test_exactly_what_is_declared() -> None:
    """One action: its permissions, undo included, and nothing else; no role for a scope it does not use."""
    action = REGISTRY.get("aws.iam.deactivate-access-key")
    made = organisation_policies([action], SETTINGS, Accounts(MEMBER, "eu-central-1", RUNNER))

    (policy,) = made["roles"]["target"]["policies"].values()
    granted = {name for statement in policy["Statement"] for name in listed(statement["Action"])}
    assert set(made["roles"]) == {"target"}
    assert granted == {permission.action for permission in action.permissions}
    assert {arn for s in policy["Statement"] for arn in listed(s["Resource"])} == {
        f"arn:aws:iam::{MEMBER}:user/*"
    }


def listed(value: Any) -> list[Any]:
    """Return one or several as a list."""
    return value if isinstance(value, list) else [value]


def test_a_pattern_that_another_covers_is_left_out() -> None:
    """``user/*/*`` beside ``user/*`` would be a grant that nothing needs."""
    made = organisation_policies([REGISTRY.get("aws.iam.quarantine-user")], SETTINGS, Accounts(MEMBER))

    (policy,) = made["roles"]["target"]["policies"].values()
    assert not [s for s in policy["Statement"] if any(a.endswith("*/*") for a in listed(s["Resource"]))]


def test_the_runner_may_assume_the_roles_and_read_its_secrets(whole: dict[str, Any]) -> None:
    """Named roles in named accounts, and the two secrets that channels refer to; no other."""
    (policy,) = whole["runner"]["policies"].values()
    by_sid = {statement["Sid"]: statement for statement in policy["Statement"]}

    assert f"arn:aws:iam::{MEMBER}:role/irrunner-responder" in by_sid["AssumeTheRoles"]["Resource"]
    assert f"arn:aws:iam::{FORENSIC}:role/irrunner-forensics" in by_sid["AssumeTheRoles"]["Resource"]
    assert by_sid["ReadSsm"]["Resource"] == ["arn:aws:ssm:eu-central-1:*:parameter/irrunner/oncall"]
    assert by_sid["ReadSecretsmanager"]["Resource"] == [
        "arn:aws:secretsmanager:eu-central-1:*:secret:audit-*"
    ]
    assert "FindTheAccounts" not in by_sid, "both accounts are configured"


def test_roles_are_trusted_to_a_run_alone(whole: dict[str, Any]) -> None:
    """The named caller, as a session of a run, with the run's tag."""
    statements = whole["roles"]["target"]["trust"]["Statement"]

    assert {statement["Principal"]["AWS"] for statement in statements} == {RUNNER}
    by_action = {statement["Action"]: statement["Condition"] for statement in statements}
    sourced = {"sts:SourceIdentity": "*"}
    assert by_action == {
        "sts:AssumeRole": {"StringLike": {"sts:RoleSessionName": "irrunner-*", **sourced}},
        "sts:SetSourceIdentity": {"StringLike": sourced},
        "sts:TagSession": {"ForAllValues:StringEquals": {"aws:TagKeys": ["irrunner:run"]}},
    }, "only AssumeRole knows the session's name: asked for on another action, nobody could assume the role"


def test_hosts_add_evidence_under_a_run_and_nowhere_else(whole: dict[str, Any]) -> None:
    """What memory capture needs; the vault, where a file counts as evidence, is out of a host's reach."""
    by_sid = {statement["Sid"]: statement for statement in whole["bucket"]["policy"]["Statement"]}
    hosts = by_sid["HostsAddEvidence"]
    bucket = f"arn:aws:s3:::{whole['bucket']['bucket_name']}"

    assert (hosts["Action"], hosts["Condition"]) == (
        "s3:PutObject",
        {"StringEquals": {"aws:PrincipalOrgID": "o-acme123456"}},
    )
    assert fnmatchcase(f"{bucket}/{SeededIds().run_id()}/memory/image.lime", hosts["Resource"])
    assert not fnmatchcase(f"{bucket}/inc-64b2a51fc924/custody/seal-000009.json", hosts["Resource"])
    assert not fnmatchcase(f"{bucket}/irrunner/x/y", hosts["Resource"])
    for sid in ("FlowLogsArrive", "FlowLogsLookBefore"):
        assert by_sid[sid]["Condition"]["StringEquals"]["aws:SourceOrgID"] == "o-acme123456"


def test_without_an_organization_no_host_may_write() -> None:
    """The id that stands there otherwise is nobody's."""
    made = organisation_policies(REGISTRY, SETTINGS, Accounts(MEMBER))

    assert json.dumps(made["bucket"]).count(NO_ORGANIZATION) == 3


def test_without_accounts_nothing_can_be_deployed_by_mistake() -> None:
    """Who runs irrunner must be said: the account that stands there otherwise does not exist."""
    made = organisation_policies(REGISTRY, Settings())

    assert NOBODY in json.dumps(made["roles"]["target"]["trust"])
    assert "organizations:ListAccounts" in json.dumps(made["runner"])


def test_custody_is_granted_where_it_is_configured() -> None:
    """No action declares the vault and the signing key: the forensic role gets them by the configuration."""
    key = f"arn:aws:kms:eu-central-1:{FORENSIC}:key/1"
    kept = Forensics(account_id=FORENSIC, bucket="vault", vault="s3", signing_kms_key=key)
    action = REGISTRY.get("aws.iam.deactivate-access-key")

    made = organisation_policies([action], Settings(forensics=kept), Accounts(MEMBER, "eu-central-1", RUNNER))
    without = organisation_policies([action], SETTINGS, Accounts(MEMBER, "eu-central-1", RUNNER))

    (policy,) = made["roles"]["forensics"]["policies"].values()
    granted = {name: s["Resource"] for s in policy["Statement"] for name in listed(s["Action"])}
    assert granted["kms:Sign"] == key
    assert granted["s3:PutObjectRetention"] == "arn:aws:s3:::vault/*"
    assert "forensics" not in without["roles"]
