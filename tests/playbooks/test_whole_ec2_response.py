"""The EC2 row of the response matrix as one playbook, with the policies in force that irrunner generates."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from gameday.playbook_tests import new_compiler
from gameday.stage import Stage, set_up
from gameday.world import scaling_groups
from gameday.world.content import Place
from irrunner.playbook.library import Library
from irrunner.playbook.model import Playbook
from irrunner.playbook.order import used_actions
from irrunner.playbook.types import bind_inputs
from irrunner.testing import ManualClock, SeededIds
from tests.tickets.trackers import FakeJira

COMPILER = new_compiler()
PLAYBOOK = Path(__file__).with_name("whole_ec2_response.yaml")
A_DAY_S = 86_400.0
BACK = {"InService", "Pending"}
ORDER = (
    "autoscaling:EnterStandby",
    "elbv2:DeregisterTargets",
    "ec2:CreateSnapshots",
    "ec2:LockSnapshot",
    "ssm:SendCommand",
    "ec2:ModifyNetworkInterfaceAttribute",
    "ec2:ReplaceIamInstanceProfileAssociation",
    "iam:PutRolePolicy",
    "route53resolver:AssociateFirewallRuleGroup",
    "ec2:CopySnapshot",
)
NOWHERE = "deny-all"
DENY_ALL = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}
FOR_EC2 = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ],
}


@pytest.fixture
def playbook() -> Playbook:
    """The playbook, loaded and checked."""
    return Library(COMPILER.registry, [PLAYBOOK.parent]).get(PLAYBOOK)


@pytest.fixture
def jira() -> Iterator[FakeJira]:
    """A tracker that listens."""
    tracker = FakeJira(search="/rest/api/2/search")
    with tracker.listening():
        yield tracker


@pytest.fixture
def stage(playbook: Playbook, jira: FakeJira, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """A web server in a group behind a load balancer, and roles that may do what the playbook needs."""
    actions = map(COMPILER.registry.get, sorted(used_actions(playbook)))
    with set_up(clock=ManualClock(), ids=SeededIds(1), compiler=COMPILER, actions=actions) as opened:
        monkeypatch.setenv("TRACKER_TOKEN", "canary-tracker-token")
        configure(opened.directory / "irrunner.yaml", jira.url)
        furnish(opened)
        yield opened


def configure(path: Path, tracker_url: str) -> None:
    """Add a tracker and a tool for memory to the configuration."""
    settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    settings["tickets"] = {
        "soc": {"kind": "jira-server", "url": tracker_url, "project": "SEC", "token": "env:TRACKER_TOKEN"}
    }
    settings["memory"] = [
        {"kind": "avml", "bucket": "irrunner-tools", "key": "avml/1.0/avml", "sha256": "0" * 64}
    ]
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")


def furnish(stage: Stage) -> None:
    """Put the instance into a scaling group and a target group, and make the profile that denies."""
    world, known = stage.world, stage.world.resources
    place = Place(known["account_id"], world.region, world.seed)
    scaling_groups.make_group(world, place, "web", known["instance_id"])
    ec2, balancers = world.client(place.account, "ec2"), world.client(place.account, "elbv2")
    (reservation,) = ec2.describe_instances(InstanceIds=[known["instance_id"]])["Reservations"]
    vpc_id = reservation["Instances"][0]["VpcId"]
    (group,) = balancers.create_target_group(Name="web", Protocol="HTTP", Port=80, VpcId=vpc_id)[
        "TargetGroups"
    ]
    balancers.register_targets(
        TargetGroupArn=group["TargetGroupArn"], Targets=[{"Id": known["instance_id"], "Port": 80}]
    )
    iam = world.client(place.account, "iam")
    iam.create_role(RoleName=NOWHERE, AssumeRolePolicyDocument=json.dumps(FOR_EC2))
    iam.put_role_policy(RoleName=NOWHERE, PolicyName="deny", PolicyDocument=json.dumps(DENY_ALL))
    iam.create_instance_profile(InstanceProfileName=NOWHERE)
    iam.add_role_to_instance_profile(InstanceProfileName=NOWHERE, RoleName=NOWHERE)


def run(stage: Stage, playbook: Playbook) -> dict[str, Any]:
    """Run the playbook against the web server."""
    runner, known = stage.context.runner(), stage.world.resources
    given = {"instance_id": known["instance_id"], "domain": "c2.example.net"}
    inputs = bind_inputs(playbook, None, given)
    now = stage.context.clock.now()
    facts = runner.facts(playbook, inputs, None, drill=False, accepted_at=now)
    place = {"account_id": known["account_id"], "region": stage.world.region}
    facts = replace(facts, where=runner.where(None, place))
    return runner.drive(runner.create(playbook, facts))


def refused(stage: Stage) -> list[str]:
    """Return what a policy has refused."""
    return [call.operation for call in stage.world.calls() if "Denied" in (call.error or "")]


def first(stage: Stage, operations: tuple[str, ...]) -> list[str]:
    """Return operations in the order in which each was called first."""
    called = [call.operation for call in stage.world.calls() if "observer" not in call.principal]
    return sorted(operations, key=called.index)


def member_of(stage: Stage) -> dict[str, Any]:
    """Return the state of the member account's Region."""
    known = stage.world.resources
    account = stage.world.state()["accounts"][known["account_id"]]
    state: dict[str, Any] = account["regions"][stage.world.region]
    return state


def test_contains_preserves_and_tells(stage: Stage, playbook: Playbook, jira: FakeJira) -> None:
    """Everything that the row asks for, in its order; the policies are enough."""
    done = run(stage, playbook)

    outcomes = {step["id"]: step["outcome"] for step in done["steps"]}
    assert (done["status"], set(outcomes.values())) == ("succeeded", {"applied"}), outcomes
    assert refused(stage) == []
    assert first(stage, ORDER) == list(ORDER)
    assert len(jira.issues) == 1
    assert len(member_of(stage)["ssm_commands"]) == 2
    assert "canary-tracker-token" not in json.dumps(done, default=str)


def test_undo_puts_the_host_back_and_keeps_the_evidence(stage: Stage, playbook: Playbook) -> None:
    """A day later, when the revoked sessions have expired: as before, less what is evidence or held."""
    before = member_of(stage)
    done = run(stage, playbook)
    stage.context.clock.advance(A_DAY_S)  # type: ignore[attr-defined]

    undone = stage.context.runner().undo(str(done["run_id"]), None, release_credentials=False)

    after, instance_id = member_of(stage), stage.world.resources["instance_id"]
    assert undone["status"] == "succeeded", undone
    assert refused(stage) == []
    assert after["instances"][instance_id] == before["instances"][instance_id]
    for kind in ("network_interfaces", "target_groups"):
        assert {name: after[kind][name] for name in before[kind]} == before[kind]
    assert after["auto_scaling_groups"]["web"]["instances"][instance_id]["lifecycle"] in BACK
    assert len(after["snapshots"]) >= len(before["snapshots"]) + 3
    assert all(found["lock_mode"] for found in after["snapshots"].values() if not found["copied_from"])
