"""The generated IAM policies are enough for the shipped playbooks, and nothing in them is too much."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from gameday import playbook_tests
from gameday.incident import build_incident
from gameday.playbook_tests import Case, collect, new_compiler
from gameday.stage import set_up
from gameday.world import seam
from gameday.world.authz import gate
from gameday.world.authz.evaluate import Asked, Policies, Verdict, evaluate
from gameday.world.identity import role_named
from irrunner.playbook.model import Approve
from irrunner.playbook.order import used_actions
from irrunner.testing import ManualClock, SeededIds
from irrunner.vocabulary import RunStatus

PLAYBOOKS = Path(__file__).parents[2] / "playbooks"
COMPILER = new_compiler()
CASES, _ = collect([str(PLAYBOOKS)], COMPILER)
RESPONSES = sorted({case.playbook.id for case in CASES})
OURS = ("irrunner-responder", "irrunner-forensics", "irrunner-organization")
A_DAY_S = 86_400.0


@dataclass(frozen=True)
class Grant:
    """One action on one resource pattern in one statement of a role's policies."""

    role: str
    action: str
    resource: str
    document: str
    statement: int

    def __str__(self) -> str:
        """Return what it allows."""
        return f"{self.role}: {self.action} on {self.resource}"


@dataclass
class Heard:
    """Every decision about our roles while playbooks ran."""

    decided: dict[tuple[Any, ...], tuple[Asked, Policies]]

    def __call__(self, asked: Asked, policies: Policies) -> Verdict:
        """Decide as ever, and remember."""
        if asked.caller.issuer_arn.rpartition("/")[2] in OURS and "sts:" not in asked.action:
            key = (
                asked.caller.issuer_arn,
                asked.action,
                asked.resource,
                tuple(sorted(asked.context.items())),
            )
            self.decided.setdefault(key, (asked, policies))
        return evaluate(asked, policies)


def cases_of(playbook_id: str) -> list[Case]:
    """Return the tests of a playbook that go the whole way, without faults of the API."""
    return [
        case for case in CASES
        if case.playbook.id == playbook_id and not case.spec.faults and case.spec.expect.playbook != "person"
    ]  # fmt: skip


def approving(case: Case) -> Case:
    """Return the case with every question answered yes."""
    gates = {
        step.id
        for playbook in case.playbook.closure().values()
        for step in playbook.walk()
        if isinstance(step.kind, Approve)
    }
    spec = case.spec.model_copy(update={"approvals": dict.fromkeys(gates, "approve")})
    return replace(case, spec=spec)


def play(case: Case) -> None:
    """Play a case with the generated policies in force, and take all of it back a day later."""
    clock = ManualClock()
    actions = map(COMPILER.registry.get, sorted(used_actions(case.playbook)))
    with set_up(clock=clock, ids=SeededIds(1), snapshot_s=0.5, compiler=COMPILER, actions=actions) as stage:
        incident = build_incident(stage.world, case.spec.world, case.spec.finding)
        runner = stage.context.runner()
        begun = playbook_tests._begin(case, stage, incident)
        document = playbook_tests._decide(runner, clock, begun, case.spec.approvals)
        if document.get("run_id") and RunStatus(document["status"]).ended:
            clock.advance(A_DAY_S)
            runner.undo(str(document["run_id"]), None, release_credentials=True)


def heard(playbook_id: str) -> Heard:
    """Return all decisions of a playbook's cases."""
    ear = Heard({})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gate, "evaluate", ear)
        for case in cases_of(playbook_id):
            play(approving(case))
    return ear


def grants_of(role: str, document: str) -> Iterator[Grant]:
    """Yield each grant of a role's policy."""
    for number, statement in enumerate(json.loads(document)["Statement"]):
        actions, resources = statement["Action"], statement["Resource"]
        for action in actions if isinstance(actions, list) else [actions]:
            for resource in resources if isinstance(resources, list) else [resources]:
                yield Grant(role, action, resource, document, number)


def without(grant: Grant) -> str:
    """Return the policy less one grant."""
    document = json.loads(grant.document)
    statement = document["Statement"].pop(grant.statement)
    for name, taken in (("Action", grant.action), ("Resource", grant.resource)):
        listed = statement[name] if isinstance(statement[name], list) else [statement[name]]
        other = [item for item in listed if item != taken]
        if other:
            document["Statement"].append({**statement, name: other} if name == "Action" else {
                **statement, "Action": grant.action, name: other
            })  # fmt: skip
    return json.dumps(document)


def refused_without(grant: Grant, decisions: Heard) -> list[Verdict]:
    """Return the verdicts that change when a grant is taken away."""
    less = without(grant)
    refused = []
    for asked, policies in decisions.decided.values():
        if grant.document in policies.identity and evaluate(asked, policies).allowed:
            identity = tuple(less if text == grant.document else text for text in policies.identity)
            verdict = evaluate(asked, replace(policies, identity=identity))
            if not verdict.allowed:
                refused.append(verdict)
    return refused


ONLY_WHERE: Mapping[tuple[str, str], str] = {
    ("ec2:DescribeRegions", "*"): "the configuration names no Regions; a stage names the world's one",
    (
        "ec2:RevokeSecurityGroupIngress",
        "security-group/*",
    ): "a group for quarantine was given rules by somebody",
    (
        "ec2:ModifyInstanceAttribute",
        "volume/*",
    ): "AWS reads the volume behind a device's name; the world does not",
    ("ec2:ModifyNetworkInterfaceAttribute", "instance/*"): "AWS reads the instance behind an interface",
    ("iam:ListInstanceProfiles", "*"): "a profile was made anew under the name of a deleted one",
    ("kms:CreateGrant", "key/*"): "a host under a customer key starts by it; the copies' wider one covers it",
    ("kms:Decrypt", "key/*"): "EBS's own list of what a copy needs; the world's grants spare it",
    ("kms:ReEncrypt*", "key/*"): "as kms:Decrypt",
}
"""Grants that the cases have no use for, and where they are needed all the same."""


def excused(grant: Grant) -> bool:
    """Return whether a grant is one of these."""
    return any(grant.action == action and grant.resource.endswith(end) for action, end in ONLY_WHERE)


@pytest.mark.parametrize("playbook_id", RESPONSES)
def test_the_policies_are_enough_and_not_too_much(playbook_id: str) -> None:
    """Nothing that it or its undo does is refused; each grant, taken away alone, refuses something."""
    decisions = heard(playbook_id)
    made = decisions.decided.values()
    assert made
    refused = {
        f"{a.action} on {a.resource}: {v.because}" for a, p in made if not (v := evaluate(a, p)).allowed
    }
    assert refused == set()

    documents = {(a.caller.issuer_arn.rpartition("/")[2], text) for a, p in made for text in p.identity}
    needless = []
    for role, document in sorted(documents):
        for grant in grants_of(role, document):
            verdicts = refused_without(grant, decisions)
            if not verdicts and not excused(grant):
                needless.append(str(grant))
            assert all("because no identity-based policy allows" in verdict.because for verdict in verdicts)

    assert needless == [], "\n".join(needless)


LEAKED_KEY = next(case for case in CASES if case.playbook.id == "iam-user-key-compromise")
NEEDED = sorted({
    permission.action
    for action in used_actions(LEAKED_KEY.playbook)
    for permission in COMPILER.registry.get(action).permissions
    if permission.use != "undo" and permission.scope == "target"
})  # fmt: skip


def strike(document: str, action: str) -> str:
    """Return a policy without an action."""
    read = json.loads(document)
    for statement in read["Statement"]:
        actions = statement["Action"]
        statement["Action"] = [
            a for a in (actions if isinstance(actions, list) else [actions]) if a != action
        ]
    read["Statement"] = [statement for statement in read["Statement"] if statement["Action"]]
    return json.dumps(read)


@pytest.mark.parametrize("action", NEEDED)
def test_without_a_permission_the_run_falls_short_and_names_it(action: str) -> None:
    """Struck from the role's policy, a permission is named by the run that misses it, which is no success."""
    clock = ManualClock()
    used = map(COMPILER.registry.get, sorted(used_actions(LEAKED_KEY.playbook)))
    with set_up(clock=clock, ids=SeededIds(1), compiler=COMPILER, actions=used) as stage:
        incident = build_incident(stage.world, LEAKED_KEY.spec.world, LEAKED_KEY.spec.finding)
        role = role_named(seam.iam(incident.scene.account), "irrunner-responder")
        assert role is not None
        for name, document in list(role.policies.items()):
            role.policies[name] = strike(document, action)

        document = playbook_tests._begin(LEAKED_KEY, stage, incident)

        told = json.dumps(document)
        assert f"is not authorized to perform: {action}" in told
        assert document["status"] != "succeeded"
