"""The workstation: nothing leaves it, it is made once, and its teardown takes nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from forensics.workstation.launch import (
    LaunchWorkstation,
    LaunchWorkstationParams,
    LaunchWorkstationState,
    token_of,
)
from forensics.workstation.seen import Disk, Machine, Network, network_of
from forensics.workstation.terminate import (
    TerminateWorkstation,
    TerminateWorkstationParams,
    TerminateWorkstationState,
)
from irrunner.actions.contract import Act, Broken, Refused, Settled, Waiting
from irrunner.actions.ebs.snapshots import Snapshot
from irrunner.errors import TargetNotFound
from irrunner.testing import FakeApi

ONE, TWO = "snap-00000000000000001", "snap-00000000000000002"
MACHINE, OTHER = "i-00000000000000001", "i-00000000000000002"
LAUNCH, TERMINATE = LaunchWorkstation(), TerminateWorkstation()
PARAMS = LaunchWorkstationParams(snapshot_ids=[ONE, TWO], image_id="ami-0123456789abcdef0")
NETWORK = Network(
    subnet_id="subnet-1", vpc_id="vpc-1", zone="eu-central-1a", group_ids=("sg-1",), ways_out=(),
    ways_elsewhere=(),
)  # fmt: skip


def snapshot(snapshot_id: str, state: str = "completed") -> Snapshot:
    """A snapshot of the forensic account."""
    return Snapshot(
        snapshot_id=snapshot_id, volume_id="vol-1", owner_id="2" * 12, state=state, encrypted=True,
        kms_key_id="arn:aws:kms:eu-central-1:222222222222:key/1", size_gib=8,
    )  # fmt: skip


def machine(**more: Any) -> Machine:
    """A workstation that runs."""
    values = {
        "instance_id": MACHINE,
        "state": "running",
        "marker": "run/step",
        "ours": True,
        "imds_v2_only": True,
    }
    return Machine(**{**values, "devices": ("/dev/sda1",)} | more)


def disk(snapshot_id: str, **more: Any) -> Disk:
    """A disk that is free."""
    return Disk(
        **{"volume_id": f"vol-of-{snapshot_id}", "snapshot_id": snapshot_id, "state": "available"} | more
    )


def attached(snapshot_id: str, device: str, to: str = MACHINE) -> Disk:
    """A disk that is attached."""
    return disk(snapshot_id, state="in-use", device=device, attached_to=to, attachment="attached")


def state(**more: Any) -> LaunchWorkstationState:
    """What a look saw."""
    values = {
        "marker": "run/step", "drill": False, "account_id": "2" * 12, "region": "eu-central-1",
        "network": NETWORK, "snapshots": (snapshot(ONE), snapshot(TWO)),
    }  # fmt: skip
    return LaunchWorkstationState(**values | more)


def test_it_is_launched_closed() -> None:
    """IMDSv2 only, no public address, idempotent, tagged; disks encrypted under their snapshots' key."""
    decision = LAUNCH.decide(PARAMS, state())
    assert isinstance(decision, Act)
    run, first, second = decision.calls
    assert run.params["MetadataOptions"]["HttpTokens"] == "required"
    assert run.params["NetworkInterfaces"][0]["AssociatePublicIpAddress"] is False
    assert run.params["ClientToken"] == token_of("run/step", "workstation")
    assert "IamInstanceProfile" not in run.params
    assert len({call.params["ClientToken"] for call in decision.calls}) == 3
    assert all(len(call.params["ClientToken"]) <= 64 for call in decision.calls)
    assert (first.params["Encrypted"], first.params["KmsKeyId"]) == (True, snapshot(ONE).kms_key_id)
    assert {call.scope for call in decision.calls} == {"forensics"}
    assert second.target == TWO


@pytest.mark.parametrize("way", ["igw-1", "nat-1", "eigw-1", "eni-1"])
def test_a_subnet_with_a_way_to_the_internet_is_refused(way: str) -> None:
    """What is on the disks must not call home; the refusal names the way."""
    decision = LAUNCH.decide(PARAMS, state(network=NETWORK.model_copy(update={"ways_out": (way,)})))
    assert isinstance(decision, Refused)
    assert way in decision.reason
    assert LAUNCH.forecast(PARAMS, state(network=NETWORK.model_copy(update={"ways_out": (way,)}))) == ()


def test_disks_are_attached_at_devices_that_are_free() -> None:
    """Two disks never get one device, nor one of the image's."""
    seen = state(
        machine=machine(devices=("/dev/sda1", "/dev/sdf")), disks=(disk(ONE), attached(TWO, "/dev/sdg"))
    )
    decision = LAUNCH.decide(PARAMS, seen)
    assert isinstance(decision, Act)
    (call,) = decision.calls
    assert call.params["Device"] == "/dev/sdh"


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        ({"machine": machine(state="pending")}, "pending"),
        ({"machine": machine(), "disks": (disk(ONE, state="creating"), disk(TWO))}, "being made"),
        (
            {"machine": machine(), "disks": (attached(ONE, "/dev/sdf"), attached(TWO, "/dev/sdg").model_copy(
                update={"attachment": "attaching"}))},
            "being attached",
        ),
    ],
)  # fmt: skip
def test_it_waits_while_aws_works(seen: dict[str, Any], words: str) -> None:
    """No thread sleeps, and the reason says for what."""
    decision = LAUNCH.decide(PARAMS, state(**{"disks": (disk(ONE), disk(TWO))} | seen))
    assert isinstance(decision, Waiting)
    assert words in decision.reason


DONE = {"disks": (attached(ONE, "/dev/sdf"), attached(TWO, "/dev/sdg"))}


def test_it_settles_when_everything_is_as_asked() -> None:
    """Each snapshot with its disk and device; the responder is told to mount read-only."""
    decision = LAUNCH.decide(PARAMS, state(machine=machine(), **DONE))
    assert isinstance(decision, Settled)
    assert [item["device"] for item in decision.outputs.model_dump()["disks"]] == ["/dev/sdf", "/dev/sdg"]
    assert "read-only" in decision.warnings[0]


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (machine(imds_v2_only=False), "IMDSv1"),
        (machine(public_ip="192.0.2.1"), "192.0.2.1"),
        (machine(instance_id=OTHER), "not attached to it"),
    ],
)
def test_what_is_read_back_otherwise_is_a_failure(seen: Machine, words: str) -> None:
    """An account setting or somebody else may have made it other than asked for."""
    decision = LAUNCH.decide(PARAMS, state(machine=seen, **DONE))
    assert isinstance(decision, Broken)
    assert words in decision.reason


@pytest.mark.parametrize(
    ("seen", "kind", "words"),
    [
        ({"snapshots": (snapshot(ONE),)}, Broken, TWO),
        ({"snapshots": (snapshot(ONE), snapshot(TWO, "pending"))}, Refused, "wait until"),
        ({"disks": (disk(ONE, state="error"), disk(TWO))}, Broken, "could not make"),
        ({"account_id": None}, Refused, "forensics.account_id"),
    ],
)
def test_what_cannot_be_examined_is_told(seen: dict[str, Any], kind: type, words: str) -> None:
    """Gone, not completed, a disk that AWS cannot make, no forensic account."""
    decision = LAUNCH.decide(PARAMS, state(**seen))
    assert isinstance(decision, kind)
    assert words in str(decision)


def test_there_is_a_device_for_each_disk() -> None:
    """More snapshots than devices are refused before anything is made."""
    with pytest.raises(ValidationError):
        LaunchWorkstationParams(snapshot_ids=[ONE] * 12, image_id="ami-0123456789abcdef0")


def described(routes: list[dict[str, Any]], *, own_table: bool) -> FakeApi:
    """EC2 with one subnet and one group."""
    association = {"SubnetId": "subnet-1"} if own_table else {"Main": True}
    table = {"Associations": [association], "Routes": routes}

    def tables(**asked: Any) -> dict[str, Any]:
        by = asked["Filters"][0]["Name"]
        return {"RouteTables": [table] if own_table == (by == "association.subnet-id") else []}

    subnet = {"SubnetId": "subnet-1", "VpcId": "vpc-1", "AvailabilityZone": "eu-central-1a"}
    return FakeApi(
        {
            "ec2:DescribeSubnets": lambda **_: {"Subnets": [subnet]},
            "ec2:DescribeSecurityGroups": lambda **_: {
                "SecurityGroups": [{"GroupId": "sg-1", "VpcId": "vpc-1"}]
            },
            "ec2:DescribeRouteTables": tables,
        }
    )


@pytest.mark.parametrize("own_table", [True, False])
def test_routes_are_those_of_the_subnet_else_of_the_network(own_table: bool) -> None:  # noqa: FBT001
    """A subnet without a table of its own has the main one; a blackhole leads nowhere."""
    routes = [
        {"DestinationCidrBlock": "10.0.0.0/16", "GatewayId": "local", "State": "active"},
        {"DestinationCidrBlock": "0.0.0.0/0", "NatGatewayId": "nat-1", "State": "active"},
        {"DestinationCidrBlock": "192.0.2.0/24", "GatewayId": "igw-9", "State": "blackhole"},
        {"DestinationCidrBlock": "172.16.0.0/12", "TransitGatewayId": "tgw-1", "State": "active"},
    ]
    network = network_of(described(routes, own_table=own_table), None, None)
    assert (network.ways_out, network.ways_elsewhere) == (("nat-1",), ("tgw-1",))


def test_a_network_that_does_not_exist_is_named() -> None:
    """The hint says what to do."""
    api = FakeApi({"ec2:DescribeSubnets": lambda **_: {"Subnets": []}})
    with pytest.raises(TargetNotFound, match="irrunner:workstation=true"):
        network_of(api, None, None)


def ending(**more: Any) -> TerminateWorkstationState:
    """What a look saw before a teardown."""
    values = {
        "account_id": "2" * 12, "region": "eu-central-1", "run_id": "run", "machine": machine(),
        "disks": (attached(ONE, "/dev/sdf"),), "snapshots": (ONE,),
    }  # fmt: skip
    return TerminateWorkstationState(**values | more)


TEARDOWN = TerminateWorkstationParams(instance_id=MACHINE)


@pytest.mark.parametrize(
    "seen",
    [machine(ours=False), machine(marker=""), machine(marker="running/step"), machine(marker="other/step")],
)
def test_what_the_run_did_not_launch_is_left_alone(seen: Machine) -> None:
    """An instance without the tags, of another run, or of one whose id begins alike."""
    decision = TERMINATE.decide(TEARDOWN, ending(machine=seen))
    assert isinstance(decision, Refused)
    assert TERMINATE.forecast(TEARDOWN, ending(machine=seen)) == ()


def test_the_last_copy_of_evidence_is_kept() -> None:
    """A disk whose snapshot is gone is not deleted, and is named."""
    gone = ending(machine=machine(state="terminated"), disks=(disk(ONE), disk(TWO)))
    decision = TERMINATE.decide(TEARDOWN, gone)
    assert isinstance(decision, Act)
    assert [call.target for call in decision.calls] == [f"vol-of-{ONE}"]

    after = TERMINATE.decide(TEARDOWN, ending(machine=machine(state="terminated"), disks=(disk(TWO),)))
    assert isinstance(after, Settled)
    assert f"vol-of-{TWO}" in after.warnings[0]


def test_disks_are_deleted_once_they_are_free() -> None:
    """AWS would refuse to delete one that is attached."""
    decision = TERMINATE.decide(TEARDOWN, ending(machine=machine(state="terminated")))
    assert isinstance(decision, Waiting)
