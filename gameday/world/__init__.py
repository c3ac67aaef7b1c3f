"""The simulated AWS organisation: moto behind HTTP, with a strict layer, faults, own time, call log."""

from __future__ import annotations

from gameday.world.calls import Call
from gameday.world.content import InstanceSpec, Place, build_bucket, build_instance, build_role, build_user
from gameday.world.faults import Fault
from gameday.world.world import World

__all__ = [
    "Call", "Fault", "InstanceSpec", "Place", "World",
    "build_bucket", "build_instance", "build_role", "build_user",
]  # fmt: skip
