"""Termination that AWS refuses leaves the instance as protected as it was."""

from __future__ import annotations

import pytest

from irrunner.errors import ActionDenied
from tests.contracts.conftest import OpenWorld
from tests.contracts.rows.surroundings import kept


def test_protection_is_set_again_where_termination_is_denied(open_world: OpenWorld) -> None:
    """Lifted for an end that does not come: an attacker must not find it lifted."""
    with open_world() as bench:
        values = kept(bench)
        before = bench.world.state()
        bench.world.fault("ec2:TerminateInstances", "deny", times=0)
        with pytest.raises(ActionDenied, match="so instead"):
            bench.run(bench.registry.get("aws.ec2.terminate-instance"), values)

        assert bench.world.state() == before
