"""Restricting what was shared leaves the forensic account's permission alone, done and undone."""

from __future__ import annotations

import pytest

from gameday.world import seam
from tests.contracts.bench import Bench
from tests.contracts.conftest import OpenWorld
from tests.contracts.rows.surroundings import STRANGER, shared_image, shared_snapshot


def shared_with(bench: Bench) -> set[str]:
    """Return who may use the world's images and snapshots."""
    backend = seam.ec2(bench.account, bench.where.region)
    found = {
        value
        for image in backend.amis.values()
        for grant in image.launch_permissions
        for value in grant.values()
    }
    for snapshot in backend.snapshots.values():
        found |= snapshot.create_volume_permission_userids | snapshot.create_volume_permission_groups
    return found


@pytest.mark.parametrize(
    ("action_id", "arrange"),
    [("aws.ec2.restrict-image", shared_image), ("aws.ebs.restrict-snapshot", shared_snapshot)],
)
def test_only_the_forensic_account_is_left(open_world: OpenWorld, action_id: str, arrange: object) -> None:
    """An acquisition that runs beside it is not cut off from its source."""
    with open_world() as bench:
        assert callable(arrange)
        values = arrange(bench)
        forensics = bench.where.forensic_account_id
        assert shared_with(bench) == {"all", forensics, STRANGER}
        action = bench.registry.get(action_id)
        ended = bench.run(action, values)
        assert shared_with(bench) == {forensics}

        assert ended.done.after is not None
        bench.finish(bench.undo(action, values, ended.begun.before, ended.done.after))
        assert shared_with(bench) == {"all", forensics, STRANGER}
