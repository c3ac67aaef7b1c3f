"""``aws.ec2.restrict-image``: nobody outside launches an image that was made public, or shared."""

from __future__ import annotations

from collections.abc import Mapping

from irrunner.actions.contract import LookContext, Model, Permission, Where
from irrunner.actions.ec2.instances import API_REFERENCE, USER_GUIDE
from irrunner.actions.ec2.sharing import RestrictSharing, SharingParams, SharingState, sharing_state
from irrunner.actions.ids import ImageId
from irrunner.actions.registry import action
from irrunner.errors import TargetNotFound
from irrunner.vocabulary import Phase, Risk, UndoPolicy

IMAGE = "arn:{partition}:ec2:{region}::image/{image_id}"


class RestrictImageParams(SharingParams):
    """Parameters."""

    image_id: ImageId


class ImageState(SharingState):
    """What restricting sees."""

    snapshot_ids: tuple[str, ...] = ()
    """Snapshots that the image is made of; each has permissions of its own."""


class RestrictImageOutputs(Model):
    """Outputs."""

    image_id: str
    shared_with: tuple[str, ...]
    """Who may still launch it beside the forensic account, ``UserId=111122223333``."""
    snapshot_ids: tuple[str, ...]
    """To be restricted too, if they are shared (aws.ebs.restrict-snapshot)."""


@action(
    "aws.ec2.restrict-image",
    title="End the sharing of a machine image, with everybody and with other accounts",
    phase=Phase.CONTAINMENT,
    risk=Risk.DISRUPTIVE,
    permissions=(
        Permission("ec2:DescribeImages"),
        Permission("ec2:DescribeImageAttribute", IMAGE),
        Permission("ec2:ModifyImageAttribute", IMAGE, use="act"),
        Permission("ec2:ModifyImageAttribute", IMAGE, use="undo"),
    ),
    undo=UndoPolicy.RESTORE,
    undo_note="Gives the launch permissions back to those who had them; AWS may refuse to make it public"
    " again where block public access for AMIs is on.",
    sources=(
        f"{API_REFERENCE}/API_ModifyImageAttribute.html",
        f"{USER_GUIDE}/sharing-amis.html",
    ),
)
class RestrictImage(RestrictSharing[RestrictImageParams, ImageState]):
    """The group ``all``, other accounts, organisations and their units; never the forensic account."""

    Params = RestrictImageParams
    Outputs = RestrictImageOutputs
    StateModel = ImageState
    noun = "image"
    operation = "ec2:ModifyImageAttribute"
    id_parameter = "ImageId"
    parameter = "LaunchPermission"

    def look(self, ctx: LookContext, params: RestrictImageParams) -> ImageState:
        """Read the image, and, where it is ours, who may launch it."""
        name = params.image_id
        found = ctx.api.pages("ec2:DescribeImages", "Images[]", ImageIds=[name])
        if not found:
            raise TargetNotFound(f"no image {name} here", hint="check the account and the Region")
        owner = found[0]["OwnerId"]
        grants: list[Mapping[str, str]] = []
        if owner == ctx.where.account_id:
            described = ctx.api.call("ec2:DescribeImageAttribute", ImageId=name, Attribute="launchPermission")
            grants = described.get("LaunchPermissions") or []
        mappings = found[0].get("BlockDeviceMappings") or ()
        snapshots = (mapping.get("Ebs", {}).get("SnapshotId") for mapping in mappings)
        return ImageState(
            **sharing_state(ctx, name, owner, grants), snapshot_ids=tuple(filter(None, snapshots))
        )

    def outputs(self, params: RestrictImageParams, state: ImageState) -> Model:
        """Return who is left, and what else may be shared."""
        return RestrictImageOutputs(
            image_id=state.target, shared_with=tuple(state.value), snapshot_ids=state.snapshot_ids
        )

    def warnings(self, params: RestrictImageParams, state: ImageState) -> tuple[str, ...]:
        """Say what others keep."""
        kept = "instances that others launched from it, and copies that they made, stay theirs"
        if not state.snapshot_ids:
            return (kept,)
        names = ", ".join(state.snapshot_ids)
        return (kept, f"its snapshots have permissions of their own: {names} (aws.ebs.restrict-snapshot)")

    def targets(self, params: RestrictImageParams, where: Where) -> tuple[str, ...]:
        """Return the image."""
        return (f"arn:{where.partition}:ec2:{where.region}::image/{params.image_id}",)
