"""``forensics.terminate-workstation``: take a workstation and its disks away; the snapshots stay."""

from __future__ import annotations

from typing import Final

from pydantic import Field

from forensics.workstation.launch import ENDED, POLL_S
from forensics.workstation.seen import Disk, Machine, disks_of, machine_of
from irrunner.actions.contract import (
    Act,
    Action,
    Call,
    Decision,
    LookContext,
    Model,
    Permission,
    PlannedOutputs,
    Refused,
    Settled,
    State,
    Waiting,
    Where,
)  # fmt: skip
from irrunner.actions.ebs.snapshots import described
from irrunner.actions.ids import InstanceId
from irrunner.actions.registry import action
from irrunner.errors import TargetNotFound
from irrunner.vocabulary import Phase, Risk, UndoPolicy

_EC2: Final = "arn:{partition}:ec2:{region}:{account}"
_TAGGED: Final = {"StringEquals": {"aws:ResourceTag/irrunner:workstation": "true"}}


class TerminateWorkstationParams(Model):
    """Parameters of ``forensics.terminate-workstation``."""

    instance_id: InstanceId
    run_id: str | None = Field(default=None, min_length=1, max_length=64)
    """The run that launched it; None: this run."""


class TerminateWorkstationState(State):
    """The workstation, its disks, and whether what they were made from is still there."""

    account_id: str | None
    region: str
    run_id: str
    machine: Machine | None = None
    disks: tuple[Disk, ...] = ()
    snapshots: tuple[str, ...] = ()
    """Completed snapshots among those that the disks were made from."""


class TerminateWorkstationOutputs(Model):
    """Outputs of ``forensics.terminate-workstation``."""

    instance_id: str
    kept_volumes: list[str]
    """Disks whose snapshot is gone: the last copy of the evidence."""


@action(
    "forensics.terminate-workstation",
    title="Terminate a forensic workstation and delete its disks",
    phase=Phase.POST_INCIDENT,
    risk=Risk.DESTRUCTIVE,
    permissions=(
        Permission("ec2:DescribeInstances", scope="forensics"),
        Permission("ec2:DescribeVolumes", scope="forensics"),
        Permission("ec2:DescribeSnapshots", scope="forensics"),
        Permission(
            "ec2:TerminateInstances", f"{_EC2}:instance/{{instance_id}}", scope="forensics", use="act",
            conditions=_TAGGED,
        ),
        Permission(
            "ec2:DeleteVolume", f"{_EC2}:volume/*", scope="forensics", use="act", conditions=_TAGGED
        ),
    ),
    undo=UndoPolicy.NEVER,
    undo_note="What was terminated does not come back; launch another from the snapshots, which stay.",
    timeout_s=1200.0,
    consistency_s=30.0,
    sources=(
        "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_TerminateInstances.html",
        "https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DeleteVolume.html",
    ),
)  # fmt: skip
class TerminateWorkstation(Action[TerminateWorkstationParams, TerminateWorkstationState]):
    """Destroy only what carries the marker of the run that launched it."""

    Params = TerminateWorkstationParams
    Outputs = TerminateWorkstationOutputs
    StateModel = TerminateWorkstationState

    def look(self, ctx: LookContext, params: TerminateWorkstationParams) -> TerminateWorkstationState:
        """Describe the instance, the disks of its marker and their snapshots."""
        where, api = ctx.where, ctx.forensics
        bare = TerminateWorkstationState(
            account_id=where.forensic_account_id if api else None,
            region=where.forensic_region or where.region,
            run_id=params.run_id or ctx.run_id,
        )
        if api is None:
            return bare
        answer = api.call("ec2:DescribeInstances", InstanceIds=[params.instance_id])
        found = [item for group in answer.get("Reservations") or () for item in group["Instances"]]
        if not found:
            raise TargetNotFound(f"no instance {params.instance_id} in the forensic account")
        machine = machine_of(found[0])
        disks = disks_of(api, machine.marker) if machine.marker else ()
        completed = described(api, sorted({disk.snapshot_id for disk in disks}))
        return bare.model_copy(
            update={
                "machine": machine,
                "disks": disks,
                "snapshots": tuple(item.snapshot_id for item in completed if item.state == "completed"),
            }
        )

    def decide(self, params: TerminateWorkstationParams, state: TerminateWorkstationState) -> Decision:
        """Terminate; then delete the disks that can be made again."""
        machine = state.machine
        if machine is None:
            return Refused(
                "no forensic account can be reached: set forensics.account_id in irrunner.yaml",
                code="forensics-not-configured",
            )
        if not machine.ours or not machine.marker.startswith(f"{state.run_id}/"):
            return Refused(
                f"{machine.instance_id} is no workstation of the run {state.run_id} (its irrunner:run is"
                f" {machine.marker or 'not set'}): name its run, or terminate it by hand"
            )
        if machine.state not in ENDED:
            return Act((_terminate(state, machine),))
        return _after_the_end(state, machine)

    def forecast(
        self, params: TerminateWorkstationParams, state: TerminateWorkstationState
    ) -> tuple[Call, ...]:
        """Return the calls of both rounds."""
        if not isinstance(self.decide(params, state), Act | Waiting) or state.machine is None:
            return ()
        first = () if state.machine.state in ENDED else (_terminate(state, state.machine),)
        return (*first, *(_delete(state, disk) for disk in _deletable(state)))

    def foresee(
        self, params: TerminateWorkstationParams, state: TerminateWorkstationState, step: str
    ) -> PlannedOutputs:
        """Return what will be left."""
        if state.machine is None or isinstance(self.decide(params, state), Refused):
            return PlannedOutputs({})
        return PlannedOutputs({"instance_id": params.instance_id, "kept_volumes": _kept(state)})

    def targets(self, params: TerminateWorkstationParams, where: Where) -> tuple[str, ...]:
        """Return the instance."""
        region = where.forensic_region or where.region
        owner = f"{where.partition}:ec2:{region}:{where.forensic_account_id}"
        return (f"arn:{owner}:instance/{params.instance_id}",)


def _after_the_end(state: TerminateWorkstationState, machine: Machine) -> Decision:
    """Delete the disks once they are free of it."""
    deletable = [disk for disk in _deletable(state) if disk.state not in {"deleted", "deleting"}]
    if machine.state != "terminated" or any(disk.state != "available" for disk in deletable):
        return Waiting(f"{machine.instance_id} is {machine.state}, its disks are being detached", POLL_S)
    calls = tuple(_delete(state, disk) for disk in deletable)
    return Act(calls) if calls else _done(state, machine)


def _deletable(state: TerminateWorkstationState) -> list[Disk]:
    """Return the disks that can be made again from their snapshots."""
    return [disk for disk in state.disks if disk.snapshot_id in state.snapshots]


def _kept(state: TerminateWorkstationState) -> list[str]:
    return [disk.volume_id for disk in state.disks if disk.snapshot_id not in state.snapshots]


def _done(state: TerminateWorkstationState, machine: Machine) -> Settled:
    kept = _kept(state)
    told = f"kept, for their snapshots are gone: {', '.join(kept)}"
    outputs = TerminateWorkstationOutputs(instance_id=machine.instance_id, kept_volumes=kept)
    return Settled(outputs, (told,) if kept else ())


def _terminate(state: TerminateWorkstationState, machine: Machine) -> Call:
    return Call(
        "ec2:TerminateInstances",
        {"InstanceIds": [machine.instance_id]},
        target=machine.instance_id,
        summary=f"Terminate the workstation {machine.instance_id}",
        before=machine.state,
        after="terminated",
        reversible=False,
        scope="forensics",
        region=state.region,
    )


def _delete(state: TerminateWorkstationState, disk: Disk) -> Call:
    return Call(
        "ec2:DeleteVolume",
        {"VolumeId": disk.volume_id},
        target=disk.volume_id,
        summary=f"Delete {disk.volume_id}, a disk made from {disk.snapshot_id}, which stays",
        reversible=False,
        scope="forensics",
        region=state.region,
        tolerate=("InvalidVolume.NotFound",),
    )
