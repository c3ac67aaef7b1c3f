"""What an intruder made is contained by a playbook alone: found, and fed to other actions."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from gameday.stage import Stage, set_up
from irrunner.playbook.library import Library
from irrunner.playbook.types import bind_inputs
from irrunner.testing import ManualClock, SeededIds

PLAYBOOK = """
schema: irrunner/v1
id: contain-what-was-made
version: 1.0.0
title: Contain a key and what was made with it
owner: security-on-call
description: Deeds of a compromised key are looked up, and the users and keys that it made are shut.
inputs:
  access_key_id: {type: iam.access-key-id}
steps:
  - id: who
    uses: aws.iam.route-credential
    with: {access_key_id: "${{ inputs.access_key_id }}"}
  - id: by_kind
    choose:
      - when: ${{ steps.who.kind == 'user-key' }}
        steps:
          - id: own_key
            uses: aws.iam.deactivate-access-key
            with: {access_key_id: "${{ inputs.access_key_id }}"}
          - id: own_user
            uses: aws.iam.quarantine-user
            with: {user_name: "${{ steps.who.user_name }}"}
    otherwise:
      - id: person
        manual: {instruction: Look at it, by: on-call, within: 1h}
  - id: made
    uses: aws.iam.find-principal-changes
    with: {access_key_id: "${{ inputs.access_key_id }}", hours: 48}
  - id: keys
    for_each: ${{ steps.made.access_keys }}
    as: key
    at_most: 20
    uses: aws.iam.deactivate-access-key
    with: {access_key_id: "${{ key.access_key_id }}", user_name: "${{ key.user_name }}"}
    on_failure: continue
  - id: users
    for_each: ${{ steps.made.user_names }}
    as: name
    at_most: 20
    uses: aws.iam.quarantine-user
    with: {user_name: "${{ name }}"}
    on_failure: continue
  - id: roles
    for_each: ${{ steps.made.role_names }}
    as: role
    at_most: 20
    uses: aws.iam.restrict-role-trust
    with: {role_name: "${{ role }}", mode: deny-all}
    on_failure: continue
"""

EVERYTHING = '{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}'


@pytest.fixture
def stage() -> Iterator[Stage]:
    """A world and a runner on one clock."""
    with set_up(clock=ManualClock(), ids=SeededIds(1)) as opened:
        yield opened


@pytest.fixture
def intruder(stage: Stage) -> Callable[[str], Any]:
    """IAM as somebody who holds a key; the world looks at its id alone."""
    return lambda key_id: boto3.client(
        "iam",
        region_name=stage.world.region,
        endpoint_url=stage.world.endpoint_url,
        aws_access_key_id=key_id,
        aws_secret_access_key="stolen",
        config=Config(retries={"total_max_attempts": 1}),
    )


def run(stage: Stage, directory: Path, **given: str) -> Any:
    """Run the playbook in the member account, plan first as always."""
    file = directory / "contain-what-was-made.yaml"
    file.write_text(PLAYBOOK, encoding="utf-8")
    runner = stage.context.runner()
    playbook = Library(stage.context.compiler.registry, [directory]).get(file)
    inputs = bind_inputs(playbook, None, given)
    now = stage.context.clock.now()
    facts = runner.facts(playbook, inputs, None, drill=False, accepted_at=now)
    place = {"account_id": stage.world.resources["account_id"], "region": stage.world.region}
    return runner.drive(runner.create(playbook, replace(facts, where=runner.where(None, place))))


def test_users_keys_and_roles_that_were_made_are_shut(
    stage: Stage, intruder: Callable[[str], Any], tmp_path: Path
) -> None:
    """A second user with a key, which makes a third user and a role: all of them, and no bystander."""
    world, key_id = stage.world, stage.world.resources["access_key_id"]
    iam = intruder(key_id)
    iam.create_user(UserName="ghost")
    second = iam.create_access_key(UserName="ghost")["AccessKey"]["AccessKeyId"]
    iam.put_user_policy(UserName="ghost", PolicyName="all", PolicyDocument=EVERYTHING)
    intruder(second).create_user(UserName="deeper")
    trust = {
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::999999999999:root"},
        "Action": "sts:AssumeRole",
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    intruder(second).create_role(RoleName="door", AssumeRolePolicyDocument=document)
    world.client(world.resources["account_id"], "iam").create_user(UserName="bystander")

    done = run(stage, tmp_path, access_key_id=key_id)

    account = world.state()["accounts"][world.resources["account_id"]]
    shut = {
        name for name, user in account["users"].items() if "irrunner-quarantine" in user["inline_policies"]
    }
    assert done["status"] == "succeeded", done
    assert shut == {"alice", "ghost", "deeper"}
    assert account["users"]["alice"]["access_keys"] == {key_id: "Inactive"}
    assert account["users"]["ghost"]["access_keys"] == {second: "Inactive"}
    assert [item["Effect"] for item in account["roles"]["door"]["trust"]["Statement"]] == ["Allow", "Deny"]


def test_nothing_made_is_nothing_to_shut(stage: Stage, tmp_path: Path) -> None:
    """Empty lists end in no step's failure."""
    done = run(stage, tmp_path, access_key_id=stage.world.resources["access_key_id"])

    assert done["status"] == "succeeded", done
