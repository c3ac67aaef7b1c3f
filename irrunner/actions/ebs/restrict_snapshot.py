"""``aws.ebs.restrict-snapshot``: nobody outside reads a snapshot that was made public, or shared."""

from __future__ import annotations

from collections.abc import Mapping

from irrunner.actions.contract import LookContext, Model, Permission, Where
from irrunner.actions.ec2.instances import API_REFERENCE
from irrunner.actions.ec2.sharing import RestrictSharing, SharingParams, SharingState, sharing_state
from irrunner.actions.ids import SnapshotId
from irrunner.actions.registry import action
from irrunner.errors import TargetNotFound
from irrunner.vocabulary import Phase, Risk, UndoPolicy

SNAPSHOT = "arn:{partition}:ec2:{region}::snapshot/{snapshot_id}"


class RestrictSnapshotParams(SharingParams):
    """Parameters."""

    snapshot_id: SnapshotId


class RestrictSnapshotOutputs(Model):
    """Outputs."""

    snapshot_id: str
    shared_with: tuple[str, ...]
    """Who may still use it beside the forensic account, ``UserId=111122223333``."""


@action(
    "aws.ebs.restrict-snapshot",
    title="End the sharing of a snapshot, with everybody and with other accounts",
    phase=Phase.CONTAINMENT,
    risk=Risk.DISRUPTIVE,
    permissions=(
        Permission("ec2:DescribeSnapshots"),
        Permission("ec2:DescribeSnapshotAttribute", SNAPSHOT),
        Permission("ec2:ModifySnapshotAttribute", SNAPSHOT, use="act"),
        Permission("ec2:ModifySnapshotAttribute", SNAPSHOT, use="undo"),
    ),
    undo=UndoPolicy.RESTORE,
    undo_note="Gives the permissions back to those who had them; AWS may refuse to make it public again where"
    " block public access for snapshots is on.",
    sources=(
        f"{API_REFERENCE}/API_ModifySnapshotAttribute.html",
        "https://docs.aws.amazon.com/ebs/latest/userguide/ebs-modifying-snapshot-permissions.html",
    ),
)
class RestrictSnapshot(RestrictSharing[RestrictSnapshotParams, SharingState]):
    """The group ``all`` and other accounts; never the forensic account, which may be copying it."""

    Params = RestrictSnapshotParams
    Outputs = RestrictSnapshotOutputs
    StateModel = SharingState
    noun = "snapshot"
    operation = "ec2:ModifySnapshotAttribute"
    id_parameter = "SnapshotId"
    parameter = "CreateVolumePermission"

    def look(self, ctx: LookContext, params: RestrictSnapshotParams) -> SharingState:
        """Read the snapshot, and, where it is ours, who may use it."""
        name = params.snapshot_id
        found = ctx.api.pages("ec2:DescribeSnapshots", "Snapshots[]", SnapshotIds=[name])
        if not found:
            raise TargetNotFound(f"no snapshot {name} here", hint="check the account and the Region")
        owner = found[0]["OwnerId"]
        grants: list[Mapping[str, str]] = []
        if owner == ctx.where.account_id:
            described = ctx.api.call(
                "ec2:DescribeSnapshotAttribute", SnapshotId=name, Attribute="createVolumePermission"
            )
            grants = described.get("CreateVolumePermissions") or []
        return SharingState(**sharing_state(ctx, name, owner, grants))

    def outputs(self, params: RestrictSnapshotParams, state: SharingState) -> Model:
        """Return who is left."""
        return RestrictSnapshotOutputs(snapshot_id=state.target, shared_with=tuple(state.value))

    def warnings(self, params: RestrictSnapshotParams, state: SharingState) -> tuple[str, ...]:
        """Say what others keep."""
        return ("volumes and copies that others have made from it stay theirs: treat its data as read",)

    def targets(self, params: RestrictSnapshotParams, where: Where) -> tuple[str, ...]:
        """Return the snapshot."""
        return (f"arn:{where.partition}:ec2:{where.region}::snapshot/{params.snapshot_id}",)
