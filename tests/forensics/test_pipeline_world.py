"""From a compromised host to a workstation with its disks, and back: the whole way on the world."""

from __future__ import annotations

from gameday.world import seam
from irrunner.actions.runtime import Done
from irrunner.vocabulary import Outcome
from tests.contracts.conftest import OpenWorld
from tests.contracts.row import Values
from tests.contracts.rows.acquire import lab


def test_acquired_disks_are_examined_and_the_workstation_goes(open_world: OpenWorld) -> None:
    """Acquire, launch, terminate: at the end there are the locked snapshots, and nothing else of ours."""
    with open_world() as bench:
        network = lab(bench)
        forensic = seam.ec2(str(bench.where.forensic_account_id), bench.where.region)

        def run(action: str, values: Values) -> Done:
            return bench.run(bench.registry.get(action), values).done

        acquired = run("forensics.acquire-volumes", {"instance_ids": [bench.resources["instance_id"]]})
        copies = acquired.outputs["forensic_snapshot_ids"]
        launched = run(
            "forensics.launch-workstation", {"snapshot_ids": copies, "image_id": network["image_id"]}
        )

        assert launched.outcome is Outcome.APPLIED, launched.reason
        assert [item["snapshot_id"] for item in launched.outputs["disks"]] == copies
        assert len({item["device"] for item in launched.outputs["disks"]}) == len(copies) == 3
        instance_id = launched.outputs["instance_id"]
        ended = run("forensics.terminate-workstation", {"instance_id": instance_id})

        assert ended.outcome is Outcome.APPLIED, ended.reason
        kept = {item["volume_id"] for item in launched.outputs["disks"]} & set(forensic.volumes)
        assert kept == set()
        assert set(copies) <= set(forensic.snapshots)
        assert all(forensic.snapshots[item].lock.mode == "governance" for item in copies)


def test_a_foreign_instance_is_not_terminated(open_world: OpenWorld) -> None:
    """An analyst's own machine in the forensic account: refused, nothing is sent."""
    with open_world() as bench:
        ec2 = bench.client("ec2", str(bench.where.forensic_account_id))
        own = ec2.run_instances(ImageId="ami-0123456789abcdef0", MinCount=1, MaxCount=1)["Instances"][0]
        sent = len(bench.received())
        action = bench.registry.get("forensics.terminate-workstation")
        begun = bench.attempt(action, {"instance_id": own["InstanceId"]}).begin()

        assert begun.refusal is not None
        assert "is no workstation of the run" in begun.refusal.reason
        assert len(bench.received()) == sent
