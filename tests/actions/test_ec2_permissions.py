"""Every operation that an EC2 action calls is declared with its use: session policies are cut from that."""

from __future__ import annotations

from typing import Any

import pytest

from irrunner.actions.contract import AnyAction
from irrunner.actions.ec2.describe import DescribeInstance
from irrunner.actions.ec2.isolate import IsolateInstance
from irrunner.actions.ec2.profile import RemoveInstanceProfile
from irrunner.actions.ec2.protect import ProtectInstance
from irrunner.actions.ec2.release import ReleaseInstance
from irrunner.actions.ec2.stop import StopInstance
from irrunner.actions.ec2.tag import TagInstance
from irrunner.actions.registry import Registry
from irrunner.aws.operations import iam_action
from irrunner.aws.policy import session_policy
from irrunner.vocabulary import UndoPolicy

CLASSES = (
    DescribeInstance,
    IsolateInstance,
    ReleaseInstance,
    ProtectInstance,
    StopInstance,
    RemoveInstanceProfile,
    TagInstance,
)
MORE = {"aws.ec2.tag-instance": {"tags": {"Incident": "IR-1"}}}
VALUES = {
    "partition": "aws",
    "region": "eu-central-1",
    "account": "123456789012",
    "instance_id": "i-0123456789abcdef0",
}


def declared(action: AnyAction, *uses: str) -> set[str]:
    """Return the IAM actions that an action declares for these uses."""
    return {permission.action for permission in action.permissions if permission.use in uses}


@pytest.fixture
def ready(moto_api: Any, launch_host: Any, driver: Any) -> Any:
    """A host with a profile, isolated already where the action releases."""
    moto_api.client("iam").create_instance_profile(InstanceProfileName="web")
    return launch_host(
        IamInstanceProfile={"Name": "web"}, InstanceInitiatedShutdownBehavior="terminate", DisableApiStop=True
    )


@pytest.mark.parametrize("action", [cls() for cls in CLASSES], ids=lambda action: action.id)
def test_calls_only_what_it_declares(action: Any, driver: Any, moto_api: Any, ready: Any) -> None:
    """Acting needs look and act, undoing look and undo; nothing else is ever called."""
    called: set[str] = set()
    if isinstance(action, ReleaseInstance):
        isolate = IsolateInstance()
        driver.run(isolate, isolate.Params(instance_id=ready.instance_id), moto_api)
    params = action.Params(instance_id=ready.instance_id, **MORE.get(action.id, {}))
    moto_api.before = lambda operation, _: called.add(iam_action(operation))
    driven = driver.run(action, params, moto_api)

    assert driven.done.outcome.good
    assert called <= declared(action, "look", "act")
    called.clear()
    if action.undo is not UndoPolicy.NEVER:
        assert driver.undo(action, params, driven, moto_api).verified
        assert called <= declared(action, "look", "undo")


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.id)
def test_the_session_policy_keeps_its_arns(cls: Any) -> None:
    """What a step needs fits into a session policy without broadening."""
    for use in ("act", "undo"):
        wanted = [permission for permission in cls.permissions if permission.use in ("look", use)]

        assert session_policy(wanted, VALUES) == session_policy(wanted, VALUES, limit=100_000)


def test_the_contract_is_whole() -> None:
    """The registry takes all of them."""
    assert len(Registry(CLASSES)) == len(CLASSES)
