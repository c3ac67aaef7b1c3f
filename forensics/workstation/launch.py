"""``forensics.launch-workstation``: examine copied disks on an instance that nothing leaves."""

from __future__ import annotations

import hashlib
from typing import Any, Final

from pydantic import Field

from forensics.workstation.seen import (
    SNAPSHOT_TAG,
    WORKSTATION_TAG,
    Disk,
    Machine,
    Network,
    disks_of,
    machine_of,
    marker_filter,
    network_of,
)
from irrunner.actions.contract import (
    Act,
    Action,
    Broken,
    Call,
    Decision,
    LookContext,
    Model,
    Permission,
    PlannedOutputs,
    ReadApi,
    Refused,
    Settled,
    State,
    Token,
    Waiting,
    Where,
)  # fmt: skip
from irrunner.actions.ebs.snapshots import DRILL_TAG, MARKER_TAG, Snapshot, described, tags_of
from irrunner.actions.ids import ImageId, InstanceProfileName, SecurityGroupId, SnapshotId, SubnetId, is_token
from irrunner.actions.registry import action
from irrunner.vocabulary import Phase, Risk, Settle, UndoPolicy

DEVICES: Final = tuple(f"/dev/sd{letter}" for letter in "fghijklmnop")
"""Source: EC2 user guide, "Device names for volumes on Amazon EC2 instances"."""
WORKSTATION: Final = Token("workstation")
POLL_S: Final = 10.0
ENDED: Final = {"shutting-down", "terminated"}

_EC2: Final = "arn:{partition}:ec2:{region}:{account}"
_KEYS: Final = "arn:{partition}:kms:{region}:{account}:key/*"
_RUN: Final = ("instance/*", "network-interface/*", "security-group/*", "subnet/*", "volume/*")


class LaunchWorkstationParams(Model):
    """Parameters of ``forensics.launch-workstation``."""

    snapshot_ids: list[SnapshotId] = Field(min_length=1, max_length=len(DEVICES))
    """Completed snapshots of the forensic account; each becomes a disk."""
    image_id: ImageId
    """AMI with the tools, in the forensic account and Region."""
    instance_type: str = Field(default="m5.xlarge", pattern=r"^[a-z0-9-]+\.[a-z0-9-]+$")
    subnet_id: SubnetId | None = None
    """None: the subnet that is tagged ``irrunner:workstation=true``."""
    security_group_id: SecurityGroupId | None = None
    """None: the group of that network that is tagged so."""
    instance_profile: InstanceProfileName | None = None
    """For access by Session Manager; None: no profile."""


class LaunchWorkstationState(State):
    """The network, the snapshots, and what of the workstation there is."""

    marker: str
    drill: bool
    account_id: str | None
    region: str
    network: Network | None = None
    snapshots: tuple[Snapshot, ...] = ()
    machine: Machine | None = None
    disks: tuple[Disk, ...] = ()
    planned: bool = False


class WorkstationDisk(Model):
    """A disk of evidence."""

    snapshot_id: str
    volume_id: str
    device: str


class LaunchWorkstationOutputs(Model):
    """Outputs of ``forensics.launch-workstation``."""

    instance_id: str
    disks: list[WorkstationDisk]
    subnet_id: str
    account_id: str
    region: str


@action(
    "forensics.launch-workstation",
    title="Launch an isolated workstation with the copied disks",
    phase=Phase.ANALYSIS,
    risk=Risk.NONE,
    permissions=(
        *(
            Permission(f"ec2:Describe{name}", scope="forensics")
            for name in ("Instances", "Volumes", "Snapshots", "Subnets", "SecurityGroups", "RouteTables")
        ),
        *(Permission("ec2:RunInstances", f"{_EC2}:{kind}", scope="forensics", use="act") for kind in _RUN),
        Permission(
            "ec2:RunInstances", "arn:{partition}:ec2:{region}::image/{image_id}", scope="forensics", use="act"
        ),
        Permission("ec2:CreateVolume", f"{_EC2}:volume/*", scope="forensics", use="act"),
        Permission(
            "ec2:CreateVolume", "arn:{partition}:ec2:{region}::snapshot/*", scope="forensics", use="act"
        ),
        *(
            Permission(
                "ec2:CreateTags", f"{_EC2}:{kind}", scope="forensics", use="act",
                conditions={"StringEquals": {"ec2:CreateAction": creating}},
            )
            for kind, creating in (
                ("instance/*", "RunInstances"), ("volume/*", "RunInstances"), ("volume/*", "CreateVolume"),
            )
        ),
        Permission("ec2:AttachVolume", f"{_EC2}:instance/*", scope="forensics", use="act"),
        Permission("ec2:AttachVolume", f"{_EC2}:volume/*", scope="forensics", use="act"),
        Permission(
            "iam:PassRole", "arn:{partition}:iam::{account}:role/*", scope="forensics", use="act",
            conditions={"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}},
        ),
        *(
            Permission(name, _KEYS, scope="forensics", use="act")
            for name in ("kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey*", "kms:ReEncrypt*")
        ),
        Permission(
            "kms:CreateGrant", _KEYS, scope="forensics", use="act",
            conditions={"Bool": {"kms:GrantIsForAWSResource": "true"}},
        ),
    ),
    undo=UndoPolicy.NEVER,
    undo_note="Analysts may be at work on it: forensics.terminate-workstation takes it away, on purpose.",
    timeout_s=1800.0,
    settle=Settle.TOKEN,
    consistency_s=30.0,
    sources=(
        "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RunInstances.html",
        "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateVolume.html",
        "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_AttachVolume.html",
        "https://docs.aws.amazon.com/ec2/latest/devguide/ec2-api-idempotency.html",
    ),
)  # fmt: skip
class LaunchWorkstation(Action[LaunchWorkstationParams, LaunchWorkstationState]):
    """One instance without a way out, one disk for each snapshot, everything tagged with the run."""

    Params = LaunchWorkstationParams
    Outputs = LaunchWorkstationOutputs
    StateModel = LaunchWorkstationState

    def look(self, ctx: LookContext, params: LaunchWorkstationParams) -> LaunchWorkstationState:
        """Describe the network, the snapshots and what carries the marker."""
        where, api = ctx.where, ctx.forensics
        known = [item for item in params.snapshot_ids if not is_token(item)]
        bare = LaunchWorkstationState(
            marker=ctx.marker,
            drill=ctx.drill,
            account_id=where.forensic_account_id if api else None,
            region=where.forensic_region or where.region,
            planned=len(known) < len(params.snapshot_ids),
        )
        if api is None:
            return bare
        return bare.model_copy(
            update={
                "network": network_of(api, params.subnet_id, params.security_group_id),
                "snapshots": described(api, known),
                "machine": _machine(api, ctx.marker),
                "disks": disks_of(api, ctx.marker),
            }
        )

    def decide(self, params: LaunchWorkstationParams, state: LaunchWorkstationState) -> Decision:
        """Launch and make disks; attach them; read everything back."""
        problem = _problem(params, state)
        if problem is not None:
            return problem
        if state.planned:
            return Waiting("some of the snapshots do not exist yet", POLL_S)
        calls = _create(params, state)
        if calls:
            return Act(calls)
        return _with_machine(params, state)

    def forecast(self, params: LaunchWorkstationParams, state: LaunchWorkstationState) -> tuple[Call, ...]:
        """Return the calls of all rounds that are left."""
        if _problem(params, state) is not None:
            return ()
        held = {disk.snapshot_id: disk for disk in state.disks}
        attached = [
            _attachment(item, str(WORKSTATION), f"<disk of {item}>", device)
            for item, device in zip(params.snapshot_ids, DEVICES, strict=False)
            if item not in held or not held[item].attached_to
        ]
        return (*_create(params, state), *attached)

    def foresee(
        self, params: LaunchWorkstationParams, state: LaunchWorkstationState, step: str
    ) -> PlannedOutputs:
        """Return where it will be; its id is a token."""
        decision = self.decide(params, state)
        if isinstance(decision, Settled):
            return PlannedOutputs(decision.outputs.model_dump(mode="json"))
        if isinstance(decision, Refused | Broken) or state.network is None:
            return PlannedOutputs({})
        return PlannedOutputs(
            {
                "instance_id": str(Token(f"from {step}.instance_id")),
                "subnet_id": state.network.subnet_id,
                "account_id": state.account_id,
                "region": state.region,
            }
        )

    def targets(self, params: LaunchWorkstationParams, where: Where) -> tuple[str, ...]:
        """Return nothing: no existing resource changes."""
        return ()


def _with_machine(params: LaunchWorkstationParams, state: LaunchWorkstationState) -> Decision:
    machine = state.machine
    if machine is None or machine.state != "running":
        return Waiting(f"the workstation is {machine.state if machine else 'not visible'}", POLL_S)
    making = [disk.volume_id for disk in state.disks if disk.state == "creating"]
    if making:
        return Waiting(f"disks are being made: {', '.join(making)}", POLL_S)
    calls = _attach(state, machine)
    if calls:
        return Act(calls)
    if any(disk.attachment != "attached" for disk in state.disks):
        return Waiting("disks are being attached", POLL_S)
    return _read_back(params, state, machine)


def _machine(api: ReadApi, marker: str) -> Machine | None:
    """Return the instance that carries the marker: one that is alive, else none."""
    found = api.pages("ec2:DescribeInstances", "Reservations[].Instances[]", Filters=[marker_filter(marker)])
    machines = [machine_of(item) for item in found if tags_of(item).get(MARKER_TAG) == marker]
    return next((item for item in machines if item.state not in ENDED), None)


def _problem(params: LaunchWorkstationParams, state: LaunchWorkstationState) -> Refused | Broken | None:
    if state.account_id is None or state.network is None:
        return Refused(
            "no forensic account can be reached: set forensics.account_id in irrunner.yaml",
            code="forensics-not-configured",
        )
    if state.network.ways_out:
        return Refused(
            f"{state.network.subnet_id} has a way to the internet ({', '.join(state.network.ways_out)}): what"
            " is on the disks must not call home; name a subnet without one"
        )
    by_id = {item.snapshot_id: item for item in state.snapshots}
    known = [item for item in params.snapshot_ids if not is_token(item)]
    gone = [item for item in known if item not in by_id]
    if gone:
        return Broken(f"not in the forensic account: {', '.join(gone)}", code="target-not-found")
    unfit = [item for item in state.snapshots if item.state != "completed"]
    if unfit and not state.disks:
        told = ", ".join(f"{item.snapshot_id} is {item.state}" for item in unfit)
        return Refused(f"{told}: wait until they are completed")
    failed = [disk.volume_id for disk in state.disks if disk.state == "error"]
    return Broken(f"AWS could not make {', '.join(failed)}: is the key usable?") if failed else None


def _tags(state: LaunchWorkstationState, **more: str) -> list[dict[str, str]]:
    tags = {
        MARKER_TAG: state.marker,
        WORKSTATION_TAG: "true",
        DRILL_TAG: "true" if state.drill else "",
        **more,
    }
    return [{"Key": key, "Value": value} for key, value in tags.items() if value]


def token_of(marker: str, what: str) -> str:
    """Return the ClientToken of an effect: the same for the same step, whoever sends it."""
    return hashlib.sha256(f"{marker} {what}".encode()).hexdigest()


def _create(params: LaunchWorkstationParams, state: LaunchWorkstationState) -> tuple[Call, ...]:
    held = {disk.snapshot_id for disk in state.disks}
    calls = [] if state.machine is not None else [_run(params, state)]
    calls += [_disk_from(state, item) for item in params.snapshot_ids if item not in held]
    return tuple(calls)


def _run(params: LaunchWorkstationParams, state: LaunchWorkstationState) -> Call:
    network = state.network
    assert network is not None  # noqa: S101 - refused without one
    tags = _tags(state, Name="irrunner forensic workstation")
    call: dict[str, Any] = {
        "ImageId": params.image_id,
        "InstanceType": params.instance_type,
        "MinCount": 1,
        "MaxCount": 1,
        "ClientToken": token_of(state.marker, "workstation"),
        "MetadataOptions": {
            "HttpTokens": "required",
            "HttpPutResponseHopLimit": 1,
            "HttpEndpoint": "enabled",
        },
        "InstanceInitiatedShutdownBehavior": "stop",
        "NetworkInterfaces": [
            {
                "DeviceIndex": 0,
                "SubnetId": network.subnet_id,
                "Groups": list(network.group_ids),
                "AssociatePublicIpAddress": False,
                "DeleteOnTermination": True,
            }
        ],
        "TagSpecifications": [
            {"ResourceType": "instance", "Tags": tags},
            {"ResourceType": "volume", "Tags": tags},
        ],
    }
    if params.instance_profile:
        call["IamInstanceProfile"] = {"Name": params.instance_profile}
    return Call(
        "ec2:RunInstances",
        call,
        target=str(WORKSTATION),
        summary=f"Launch a workstation in {network.subnet_id}, without a public address",
        after={"image": params.image_id, "type": params.instance_type},
        scope="forensics",
        region=state.region,
        yields={WORKSTATION.name: "Instances[0].InstanceId"},
    )


def _disk_from(state: LaunchWorkstationState, snapshot_id: str) -> Call:
    return Call(
        "ec2:CreateVolume",
        {
            "SnapshotId": snapshot_id,
            "AvailabilityZone": state.network.zone if state.network else "",
            "VolumeType": "gp3",
            "Encrypted": True,
            "ClientToken": token_of(state.marker, snapshot_id),
            **_key_of(state, snapshot_id),
            "TagSpecifications": [
                {"ResourceType": "volume", "Tags": _tags(state, **{SNAPSHOT_TAG: snapshot_id})}
            ],
        },
        target=snapshot_id,
        summary=f"Make a disk from {snapshot_id}",
        scope="forensics",
        region=state.region,
    )


def _key_of(state: LaunchWorkstationState, snapshot_id: str) -> dict[str, str]:
    """Return the key of a snapshot, for its disk: without one, EBS would take the account's default key."""
    keys = {item.snapshot_id: item.kms_key_id for item in state.snapshots}
    key = keys.get(snapshot_id)
    return {"KmsKeyId": key} if key else {}


def _attach(state: LaunchWorkstationState, machine: Machine) -> tuple[Call, ...]:
    """Attach the disks that are free, each at the next device that is."""
    taken = {*machine.devices, *(disk.device for disk in state.disks if disk.attached_to)}
    free = iter([device for device in DEVICES if device not in taken])
    return tuple(
        _attachment(disk.snapshot_id, machine.instance_id, disk.volume_id, next(free), state.region)
        for disk in state.disks
        if not disk.attached_to
    )


def _attachment(
    snapshot_id: str, instance_id: str, volume_id: str, device: str, region: str | None = None
) -> Call:
    return Call(
        "ec2:AttachVolume",
        {"InstanceId": instance_id, "VolumeId": volume_id, "Device": device},
        target=volume_id,
        summary=f"Attach the disk of {snapshot_id} at {device}",
        scope="forensics",
        region=region,
    )


def _read_back(params: LaunchWorkstationParams, state: LaunchWorkstationState, machine: Machine) -> Decision:
    wrong = []
    if not machine.imds_v2_only:
        wrong.append("it answers IMDSv1")
    if machine.public_ip:
        wrong.append(f"it has the public address {machine.public_ip}")
    astray = [disk.volume_id for disk in state.disks if disk.attached_to != machine.instance_id]
    if astray:
        wrong.append(f"not attached to it: {', '.join(astray)}")
    if wrong:
        return Broken(f"{machine.instance_id}, read back: {'; '.join(wrong)}")
    disks = {disk.snapshot_id: disk for disk in state.disks}
    outputs = LaunchWorkstationOutputs(
        instance_id=machine.instance_id,
        disks=[
            WorkstationDisk(snapshot_id=item, volume_id=disks[item].volume_id, device=disks[item].device)
            for item in params.snapshot_ids
        ],
        subnet_id=machine.subnet_id,
        account_id=str(state.account_id),
        region=state.region,
    )
    told = ["EBS attaches disks writable: mount them read-only (ro,noload) and work on copies"]
    elsewhere = state.network.ways_elsewhere if state.network else ()
    if elsewhere:
        told.append(f"its network has routes into other networks: {', '.join(elsewhere)}")
    return Settled(outputs, tuple(told))
