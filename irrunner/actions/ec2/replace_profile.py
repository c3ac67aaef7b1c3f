"""``aws.ec2.replace-instance-profile``: another role for a host, as a rule one that may do nothing."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from irrunner.actions.contract import (
    Call,
    Decision,
    LookContext,
    Model,
    Permission,
    Refused,
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
from irrunner.actions.ec2.profile import DESCRIBE_ASSOCIATIONS, Association, associations_of
from irrunner.actions.ids import InstanceProfile
from irrunner.actions.registry import action
from irrunner.actions.setting import SetValue, ValueState
from irrunner.errors import TargetNotFound
from irrunner.vocabulary import Phase, Risk, UndoPolicy

NOT_YET_KNOWN = "InvalidParameterValue"
"""What EC2 says of a profile that IAM has made seconds ago."""
ASSOCIATE, DISASSOCIATE, REPLACE = (
    "AssociateIamInstanceProfile",
    "DisassociateIamInstanceProfile",
    "ReplaceIamInstanceProfileAssociation",
)


class ReplaceProfileParams(OneInstance):
    """Parameters."""

    instance_profile: InstanceProfile = Field(
        description="Name or ARN of the profile that it shall have, such as one whose role denies everything."
    )


class ReplaceProfileState(ValueState):
    """What replacing sees; the value is the ARN of the profile that the instance has."""

    instance_id: str
    instance_state: str
    associations: tuple[Association, ...]
    wanted_arn: str | None
    """None: IAM knows no such profile."""
    role_names: tuple[str, ...] = ()


class ReplaceProfileOutputs(Model):
    """Outputs."""

    instance_id: str
    instance_profile_arn: str
    role_name: str | None


@action(
    "aws.ec2.replace-instance-profile",
    title="Give an instance another instance profile, such as one that denies everything",
    phase=Phase.CONTAINMENT,
    risk=Risk.DISRUPTIVE,
    timeout_s=180.0,
    permissions=(
        DESCRIBE_INSTANCES,
        DESCRIBE_ASSOCIATIONS,
        Permission("iam:GetInstanceProfile", "arn:{partition}:iam::{account}:instance-profile/*"),
        *(
            Permission(f"ec2:{operation}", INSTANCE, use=use)
            for use in ("act", "undo")
            for operation in (ASSOCIATE, DISASSOCIATE, REPLACE)
        ),
        *(
            Permission(
                "iam:PassRole",
                "arn:{partition}:iam::{account}:role/*",
                use=use,
                conditions={"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}},
            )
            for use in ("act", "undo")
        ),
    ),
    undo=UndoPolicy.RESTORE,
    undo_note="Associates the profile that was there again, or none; the association gets a new id.",
    sources=(
        f"{API_REFERENCE}/API_ReplaceIamInstanceProfileAssociation.html",
        f"{API_REFERENCE}/API_AssociateIamInstanceProfile.html",
        "https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_revoke-sessions.html",
    ),
)
class ReplaceInstanceProfile(SetValue[ReplaceProfileParams, ReplaceProfileState]):
    """Instead of removing it where the host must keep some permissions, such as for SSM to inspect it."""

    Params = ReplaceProfileParams
    Outputs = ReplaceProfileOutputs
    StateModel = ReplaceProfileState

    def look(self, ctx: LookContext, params: ReplaceProfileParams) -> ReplaceProfileState:
        """Read the instance's associations, and the profile that it shall have."""
        name = params.instance_id
        instance_state = state_of(describe_instance(ctx.api, name))
        associations = associations_of(ctx.api, name)
        live = [item.profile_arn for item in associations if item.state != "disassociating"]
        return ReplaceProfileState(
            target=f"{name}/instance-profile",
            value=live[0] if live else None,
            gone=instance_state in ENDING,
            instance_id=name,
            instance_state=instance_state,
            associations=associations,
            **_profile(ctx, params.instance_profile),
        )

    def decide(self, params: ReplaceProfileParams, state: ReplaceProfileState) -> Decision:
        """Replace it; wait for an association that is on its way in or out."""
        moving = [item.state for item in state.associations if item.state != "associated"]
        if moving and self.refusal(params, state) is None:
            return Waiting(f"the profile of {state.instance_id} is {moving[0]}", poll_s=2.0)
        return super().decide(params, state)

    def wanted(self, params: ReplaceProfileParams, state: ReplaceProfileState) -> Any:
        """Return the ARN: a profile of the same name with another path is another one."""
        return state.wanted_arn

    def refusal(self, params: ReplaceProfileParams, state: ReplaceProfileState) -> Refused | None:
        """Refuse instances that have ended, and profiles that do not exist."""
        if state.gone:
            return Refused(
                f"{state.instance_id} is {state.instance_state} and takes its profile with it; revoke the "
                "role's sessions (aws.iam.revoke-role-sessions)"
            )
        if state.wanted_arn is None:
            return Refused(
                f"IAM knows no instance profile {params.instance_profile} here (yet); make it and its role, "
                "or take the profile off (aws.ec2.remove-instance-profile)"
            )
        return None

    def write(self, params: ReplaceProfileParams, state: ReplaceProfileState, value: Any) -> tuple[Call, ...]:
        """Replace in one call where AWS does so, which is for running instances; else off, and on."""
        live = [item for item in state.associations if item.state != "disassociating"]
        if value is not None and live and state.instance_state == "running":
            return (_call(REPLACE, {"AssociationId": live[0].association_id}, state, value),)
        off = tuple(_call(DISASSOCIATE, {"AssociationId": item.association_id}, state, None) for item in live)
        on = (_call(ASSOCIATE, {"InstanceId": state.instance_id}, state, value),) if value else ()
        return (*off, *on)

    def outputs(self, params: ReplaceProfileParams, state: ReplaceProfileState) -> Model:
        """Return the profile and the role in it."""
        return ReplaceProfileOutputs(
            instance_id=state.instance_id,
            instance_profile_arn=str(state.wanted_arn),
            role_name=state.role_names[0] if state.role_names else None,
        )

    def warnings(self, params: ReplaceProfileParams, state: ReplaceProfileState) -> tuple[str, ...]:
        """Say that what was handed out lives on."""
        handed_out = "credentials of the earlier role that were handed out stay valid until they expire"
        return (f"{handed_out}: revoke that role's sessions (aws.iam.revoke-role-sessions)",)

    def targets(self, params: ReplaceProfileParams, where: Where) -> tuple[str, ...]:
        """Return the instance."""
        return (instance_arn(where, params.instance_id),)


def _profile(ctx: LookContext, wanted: str) -> dict[str, Any]:
    """Return ARN and roles of the profile; none where IAM has none, or one of another path, by that name."""
    try:
        found = ctx.api.call("iam:GetInstanceProfile", InstanceProfileName=wanted.rsplit("/", 1)[-1])
    except TargetNotFound:
        return {"wanted_arn": None}
    profile = found["InstanceProfile"]
    if wanted.startswith("arn:") and profile["Arn"] != wanted:
        return {"wanted_arn": None}
    roles = tuple(role["RoleName"] for role in profile.get("Roles") or ())
    return {"wanted_arn": profile["Arn"], "role_names": roles}


def _call(operation: str, which: dict[str, Any], state: ReplaceProfileState, arn: str | None) -> Call:
    profile = {} if arn is None else {"IamInstanceProfile": {"Arn": arn}}
    name = state.instance_id
    words = "Take the instance profile off" if arn is None else f"Put {arn.rsplit('/', 1)[-1]} on"
    return Call(
        f"ec2:{operation}",
        {**which, **profile},
        target=name,
        summary=f"{words} {name}",
        before=state.value,
        after=arn,
        tolerate=() if arn is None else (NOT_YET_KNOWN,),
    )
