"""Terminating takes time, and stop protection prevents it too; moto ends an instance at once.

Source: EC2 user guide, "Enable stop protection for your EC2 instances", "How instance termination works".
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from gameday.world import seam
from gameday.world.refusals import Refusal
from gameday.world.services import Scene, StrictLayer

SHUTTING_DOWN_S: Final = 2.0


def check_stop_protection(scene: Scene) -> None:
    """Refuse to terminate what is protected from stop."""
    for instance in _instances(scene):
        if instance.disable_api_stop:
            raise Refusal(
                "OperationNotPermitted",
                f"The instance '{instance.id}' may not be terminated. Modify its 'disableApiStop' instance "
                "attribute and try again.",
            )


def let_shut_down(scene: Scene) -> None:
    """An instance shuts down before it is terminated."""
    due = scene.realm.clock.now() + timedelta(seconds=SHUTTING_DOWN_S)
    for instance in _instances(scene):
        state = seam.InstanceState("shutting-down", 32)
        instance._state = state  # noqa: SLF001 - moto has no setter

        def terminated(state: Any = state) -> None:
            state.name, state.code = "terminated", 48

        scene.realm.schedule.at(due, terminated)


def _instances(scene: Scene) -> list[Any]:
    known = seam.instances(scene.account, scene.region)
    return [known[name] for name in scene.params.get("InstanceIds") or [] if name in known]


LAYER: Final = StrictLayer(
    rules={"ec2:TerminateInstances": (check_stop_protection,)},
    effects={"ec2:TerminateInstances": let_shut_down},
)
