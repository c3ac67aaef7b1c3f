"""The world's IAM against an evaluator that others wrote: the same verdict on thousands of random cases."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from gameday.world.authz.evaluate import Asked, Caller, Policies, evaluate

HERE = Path(__file__).with_name("independent")
CASES = 6_000
SEED = 20_261_125
ACCOUNT, OTHER = "111122223333", "444455556666"
KEY = f"arn:aws:kms:eu-central-1:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/responder"
REQUESTS = (
    ("s3:GetObject", "arn:aws:s3:::evidence/a/1", ("s3:*", "s3:Get*", "s3:PutObject", "*")),
    ("ec2:TerminateInstances", f"arn:aws:ec2:eu-central-1:{ACCOUNT}:instance/i-0123456789abcdef0",
     ("ec2:*", "ec2:Terminate*", "ec2:terminateinstances", "ec2:StopInstances")),
    ("iam:PutRolePolicy", f"arn:aws:iam::{ACCOUNT}:role/web", ("iam:*", "iam:PutRole*", "iam:Get*")),
    ("kms:Decrypt", KEY, ("kms:*", "kms:Decrypt", "kms:Describe*")),
)  # fmt: skip
CONDITIONS: tuple[dict[str, dict[str, Any]], ...] = (
    {"StringEquals": {"aws:PrincipalAccount": ACCOUNT}},
    {"StringNotEquals": {"aws:PrincipalAccount": OTHER}},
    {"StringLike": {"aws:PrincipalTag/team": ["bl*", "red"]}},
    {"StringNotLike": {"aws:PrincipalTag/team": "bl*"}},
    {"StringEqualsIfExists": {"aws:PrincipalTag/none": "x"}},
    {"StringEquals": {"aws:PrincipalTag/none": "x"}},
    {"Null": {"aws:PrincipalTag/none": "true"}},
    {"Null": {"aws:PrincipalTag/team": "true"}},
    {"ArnLike": {"aws:PrincipalArn": f"arn:aws:iam::{ACCOUNT}:*/res*"}},
    {"ArnNotLike": {"aws:PrincipalArn": f"arn:aws:iam::{ACCOUNT}:role/res*"}},
    {"DateLessThan": {"aws:CurrentTime": "2026-06-01T00:00:00Z"}},
    {"DateGreaterThan": {"aws:CurrentTime": "2026-06-01T00:00:00Z"}},
    {"Bool": {"aws:SecureTransport": "true"}},
    {"IpAddress": {"aws:SourceIp": ["10.0.0.0/8", "192.0.2.0/24"]}},
    {"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}},
    {"ForAllValues:StringEquals": {"aws:TagKeys": ["a", "b"]}},
    {"ForAnyValue:StringEquals": {"aws:TagKeys": ["a"]}},
    {"NumericLessThan": {"aws:MultiFactorAuthAge": "300"}},
)
CONTEXT: dict[str, str] = {
    "aws:PrincipalAccount": ACCOUNT,
    "aws:PrincipalTag/team": "blue",
    "aws:CurrentTime": "2026-03-01T00:00:00Z",
    "aws:SecureTransport": "true",
    "aws:SourceIp": "10.1.2.3",
    "aws:MultiFactorAuthAge": "200",
}


def statement(chance: random.Random, request: int, *, principals: bool) -> dict[str, Any]:
    """Return a statement about a request, or beside it."""
    action, resource, patterns = REQUESTS[request]
    made: dict[str, Any] = {"Effect": "Deny" if chance.random() < 0.2 else "Allow"}
    chosen: Any = chance.choice([action, *patterns])
    made["NotAction" if chance.random() < 0.15 else "Action"] = chosen
    resources = [resource, "*", f"{resource[:-3]}*", f"{resource[:-1]}?", f"{resource}x"]
    if chance.random() < 0.1:
        resources.append("arn:aws:s3:::evidence/${aws:PrincipalTag/team}/1")
    made["NotResource" if chance.random() < 0.1 else "Resource"] = chance.choice(resources)
    if chance.random() < 0.4:
        made["Condition"] = chance.choice(CONDITIONS)
    if principals:
        made["Principal"] = {
            "AWS": chance.choice(["*", ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root", ROLE, f"{ROLE}x"])
        }
    return made


def document(chance: random.Random, request: int, *, principals: bool = False) -> dict[str, Any]:
    """Return a policy of one to three statements."""
    made = [statement(chance, request, principals=principals) for _ in range(chance.randint(1, 3))]
    return {"Version": "2012-10-17", "Statement": made}


def case(chance: random.Random) -> tuple[dict[str, Any], Asked, Policies]:
    """Return the same case for both evaluators."""
    request = chance.randrange(len(REQUESTS))
    action, resource, _ = REQUESTS[request]
    principal = f"arn:aws:sts::{ACCOUNT}:assumed-role/responder/run-1"
    identity = [document(chance, request) for _ in range(chance.randint(0, 2))]
    boundary = document(chance, request) if chance.random() < 0.3 else None
    session = document(chance, request) if chance.random() < 0.4 else None
    scps = [[document(chance, request)] for _ in range(2)] if chance.random() < 0.3 else []
    is_key = resource == KEY
    policy = document(chance, request, principals=True) if is_key or chance.random() < 0.2 else None
    if action.startswith(("ec2:", "iam:")):
        policy = None
    named = json.dumps(policy or {})
    if is_key or '"AWS": "*"' in named:
        boundary = None  # AWS's pages do not say whether a boundary limits these; ours does, theirs does not
    context = {**CONTEXT, "aws:PrincipalArn": ROLE}
    simulation: dict[str, Any] = {
        "request": {
            "principal": principal, "action": action,
            "resource": {"resource": resource, "accountId": ACCOUNT}, "contextVariables": context,
        },
        "identityPolicies": [{"name": f"i{n}", "policy": doc} for n, doc in enumerate(identity)],
        "serviceControlPolicies": [
            {"orgIdentifier": f"l{n}", "policies": [{"name": "p", "policy": doc} for doc in level]}
            for n, level in enumerate(scps)
        ],
        "resourceControlPolicies": [],
    }  # fmt: skip
    if boundary:
        simulation["permissionBoundaryPolicies"] = [{"name": "b", "policy": boundary}]
    if session:
        simulation["sessionPolicy"] = session
    if policy:
        simulation["resourcePolicy"] = policy
    ours = Policies(
        identity=tuple(map(json.dumps, identity)),
        boundary=json.dumps(boundary) if boundary else None,
        session=(json.dumps(session),) if session else None,
        scps=tuple(tuple(map(json.dumps, level)) for level in scps),
        resource=json.dumps(policy) if policy else None,
        resource_account=ACCOUNT,
        resource_decides=is_key,
    )
    asked = Asked(
        action, resource, Caller(ACCOUNT, principal, ROLE),
        {name.lower(): (value,) for name, value in context.items()},
    )  # fmt: skip
    return simulation, asked, ours


def test_an_independent_evaluator_agrees() -> None:
    """1,500 random cases of every kind of policy and operator: not one verdict differs."""
    if shutil.which("node") is None or not (HERE / "node_modules").is_dir():
        pytest.skip("needs Node and the packages of tests/gameday/world/authz/independent (npm ci)")
    chance = random.Random(SEED)  # noqa: S311 - repeatability is the point
    cases = [case(chance) for _ in range(CASES)]
    lines = "\n".join(json.dumps(simulation) for simulation, _, _ in cases)

    done = subprocess.run(
        ["node", "simulate.mjs"],  # noqa: S607 - whichever Node there is
        cwd=HERE, input=lines, capture_output=True, text=True, check=True, timeout=300,
    )  # fmt: skip

    answers = [json.loads(line) for line in done.stdout.splitlines()]
    differing = [
        (simulation, answer, verdict)
        for (simulation, asked, ours), answer in zip(cases, answers, strict=True)
        if (verdict := evaluate(asked, ours)).allowed != (answer.get("result") == "Allowed")
    ]
    allowed = sum(answer.get("result") == "Allowed" for answer in answers)
    assert [answer for answer in answers if "error" in answer] == []
    assert CASES / 10 < allowed < CASES * 9 / 10, "both verdicts occur"
    assert differing == []
