"""``aws.ec2.remove-instance-profile``: no new credentials from instance metadata."""

from __future__ import annotations

from irrunner.actions.contract import (
    Act,
    Action,
    Call,
    Decision,
    LookContext,
    Model,
    Permission,
    ReadApi,
    Refused,
    Settled,
    State,
    Waiting,
    Where,
)
from irrunner.actions.ec2.instances import (
    API_REFERENCE,
    DESCRIBE_INSTANCES,
    ENDING,
    INSTANCE,
    OneInstance,
    describe_instance,
    instance_arn,
    state_of,
)
from irrunner.actions.registry import action
from irrunner.vocabulary import Phase, Risk, UndoPolicy

DESCRIBE_ASSOCIATIONS = Permission("ec2:DescribeIamInstanceProfileAssociations")


class Association(Model):
    """An instance profile on an instance."""

    association_id: str
    profile_arn: str
    state: str
    """``associating``, ``associated`` or ``disassociating``."""


class ProfileState(State):
    """What the removal sees."""

    instance_id: str
    instance_state: str
    associations: tuple[Association, ...]

    def footprint(self) -> dict[str, str | None]:
        """Return the profile's ARN; association ids change with each association and mean nothing."""
        if self.instance_state in ENDING:
            return {}
        live = [item.profile_arn for item in self.associations if item.state != "disassociating"]
        return {f"{self.instance_id}/instance-profile": live[0] if live else None}


class ProfileOutputs(Model):
    """Outputs."""

    instance_id: str


def associations_of(api: ReadApi, instance_id: str) -> tuple[Association, ...]:
    """Return the instance profile associations of an instance that are not over."""
    described = api.pages(
        "ec2:DescribeIamInstanceProfileAssociations",
        "IamInstanceProfileAssociations[]",
        Filters=[{"Name": "instance-id", "Values": [instance_id]}],
    )
    return tuple(
        Association(
            association_id=raw["AssociationId"],
            profile_arn=raw["IamInstanceProfile"]["Arn"],
            state=raw["State"],
        )
        for raw in described
        if raw["State"] != "disassociated"
    )


def _disassociate(instance_id: str, association: Association) -> Call:
    return Call(
        "ec2:DisassociateIamInstanceProfile",
        {"AssociationId": association.association_id},
        target=instance_id,
        summary=f"Take the instance profile {association.profile_arn.rsplit('/', 1)[-1]} off {instance_id}",
        before=association.profile_arn,
    )


@action(
    "aws.ec2.remove-instance-profile",
    title="Take the instance profile off, so that metadata gives no new credentials",
    phase=Phase.CONTAINMENT,
    risk=Risk.DISRUPTIVE,
    permissions=(
        DESCRIBE_INSTANCES,
        DESCRIBE_ASSOCIATIONS,
        Permission("ec2:DisassociateIamInstanceProfile", INSTANCE, use="act"),
        Permission("ec2:AssociateIamInstanceProfile", INSTANCE, use="undo"),
        Permission(
            "iam:PassRole",
            "arn:{partition}:iam::{account}:role/*",
            use="undo",
            conditions={"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}},
        ),
    ),
    undo=UndoPolicy.RESTORE,
    undo_note="Associates the recorded instance profile again; the association gets a new id.",
    sources=(
        f"{API_REFERENCE}/API_DisassociateIamInstanceProfile.html",
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_revoke-sessions.html",
    ),
)
class RemoveInstanceProfile(Action[OneInstance, ProfileState]):
    """Before sessions are revoked: a host with a profile fetches new credentials at once."""

    Params = OneInstance
    Outputs = ProfileOutputs
    StateModel = ProfileState

    def look(self, ctx: LookContext, params: OneInstance) -> ProfileState:
        """Read the instance's state and its associations."""
        return ProfileState(
            instance_id=params.instance_id,
            instance_state=state_of(describe_instance(ctx.api, params.instance_id)),
            associations=associations_of(ctx.api, params.instance_id),
        )

    def decide(self, params: OneInstance, state: ProfileState) -> Decision:
        """Disassociate what is associated; wait for what is on its way out."""
        name = state.instance_id
        if state.instance_state in ENDING:
            return Refused(
                f"{name} is {state.instance_state} and takes its profile with it; revoke the role's sessions"
            )
        live = [item for item in state.associations if item.state != "disassociating"]
        if live:
            return Act(tuple(_disassociate(name, association) for association in live))
        if state.associations:
            return Waiting(f"the profile of {name} is disassociating", poll_s=2.0)
        stolen = "credentials that were handed out stay valid until they expire: revoke the role's sessions"
        return Settled(ProfileOutputs(instance_id=name), (stolen,))

    def targets(self, params: OneInstance, where: Where) -> tuple[str, ...]:
        """Return the instance."""
        return (instance_arn(where, params.instance_id),)

    def undo_calls(
        self,
        params: OneInstance,
        before: ProfileState,
        after: ProfileState,
        now: ProfileState,
        keys: frozenset[str],
    ) -> tuple[Call, ...]:
        """Associate the profile that was there."""
        profiles = {key: arn for key, arn in before.footprint().items() if key in keys and arn}
        return tuple(
            Call(
                "ec2:AssociateIamInstanceProfile",
                {"InstanceId": before.instance_id, "IamInstanceProfile": {"Arn": arn}},
                target=before.instance_id,
                summary=f"Put the instance profile {arn.rsplit('/', 1)[-1]} back on {before.instance_id}",
                after=arn,
            )
            for arn in profiles.values()
        )
