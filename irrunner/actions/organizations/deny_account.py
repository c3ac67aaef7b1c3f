"""``aws.organizations.deny-account``: an emergency service control policy on an account or unit.

The last resort: where an intruder has the account's administrators, or its root user, nothing inside the
account binds him, and a service control policy does.
"""

from __future__ import annotations

import json
from typing import Any, Final, Literal

from pydantic import Field

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
    Token,
    Where,
)
from irrunner.actions.iam.own import account_of_home
from irrunner.actions.ids import OrganizationTarget, RoleName
from irrunner.actions.organizations.scp import Template, content_of, exempt_arns, name_of, text_of
from irrunner.actions.registry import action
from irrunner.errors import ActionDenied
from irrunner.vocabulary import Phase, Risk, UndoPolicy

TYPE: Final = "SERVICE_CONTROL_POLICY"
MOST_ATTACHED: Final = 5
"""Of one type on one target, ``FullAWSAccess`` among them.

Source: Organizations user guide, "Quotas and service limits".
"""
POLICY: Final = "policy-id"
_ORGANIZATIONS: Final = "arn:{partition}:organizations::*:"
BINDS: Final = (
    "it binds the account's own principals: not service-linked roles, nor callers of other accounts whom"
    " a resource's policy lets in"
)
READS: Final = (
    "DescribeOrganization",
    "DescribePolicy",
    "ListPolicies",
    "ListPoliciesForTarget",
    "ListRoots",
)
_SCP_ONLY: Final = {"StringEquals": {"organizations:PolicyType": TYPE}}


def _on_target(name: str, use: Literal["act", "undo"]) -> tuple[Permission, ...]:
    """Return a permission on policies and on the account or unit: AWS asks for both."""
    patterns = ("policy/*/service_control_policy/*", "account/*/{target_id}", "ou/*/{target_id}")
    return tuple(
        Permission(f"organizations:{name}", f"{_ORGANIZATIONS}{pattern}", scope="management", use=use)
        for pattern in patterns
    )


class DenyAccountParams(Model):
    """Parameters of ``aws.organizations.deny-account``."""

    target_id: OrganizationTarget
    """The account, or an organisational unit with all that is in it."""
    template: Template = "deny-destruction"
    """``all-but-responder``: everything, in the incident's account only. ``deny-destruction``: what
    destroys data, keys, logs or evidence. ``deny-root``: everything, to root users only."""
    break_glass_roles: list[RoleName] = Field(default_factory=list, max_length=10)
    """Roles of people that stay free, beside irrunner's own."""


class DenyAccountState(State):
    """The organisation's policy and the target."""

    target_id: str
    policy_name: str
    policy_id: str
    """Empty: not made yet."""
    content: dict[str, Any]
    """What the policy shall say."""
    found: dict[str, Any] | None
    """What it says."""
    attached: bool
    attached_names: tuple[str, ...]
    is_management: bool
    is_incident: bool
    """Whether it is the incident's account, in which the responder acts."""
    is_home: bool = False
    """Whether irrunner itself runs with an identity of this account."""
    enabled: bool
    """Whether service control policies are switched on in the organisation."""

    def footprint(self) -> dict[str, bool]:
        """Return whether the policy is attached; the policy itself stays."""
        return {f"{self.target_id}/{self.policy_name}": self.attached}


class DenyAccountOutputs(Model):
    """Outputs of ``aws.organizations.deny-account``."""

    target_id: str
    template: str
    policy_id: str
    policy_name: str
    exempt: list[str]
    """ARN patterns of the principals that the policy spares."""


@action(
    "aws.organizations.deny-account",
    title="Deny an account by a service control policy",
    phase=Phase.CONTAINMENT,
    risk=Risk.DISRUPTIVE,
    permissions=(
        *(Permission(f"organizations:{name}", scope="management") for name in READS),
        Permission("organizations:CreatePolicy", scope="management", use="act", conditions=_SCP_ONLY),
        *_on_target("AttachPolicy", "act"),
        *_on_target("DetachPolicy", "undo"),
    ),
    undo=UndoPolicy.RELEASE,
    undo_note="Detaches the policy and leaves it for the next time; only with --release-credentials.",
    timeout_s=180.0,
    consistency_s=15.0,
    sources=(
        "https://docs.aws.amazon.com/organizations/latest/APIReference/API_AttachPolicy.html",
        "https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps.html",
        "https://docs.aws.amazon.com/organizations/latest/userguide/orgs_reference_limits.html",
    ),
)
class DenyAccount(Action[DenyAccountParams, DenyAccountState]):
    """Make the policy where it is not there yet, attach it, and read that back."""

    Params = DenyAccountParams
    Outputs = DenyAccountOutputs
    StateModel = DenyAccountState

    def look(self, ctx: LookContext, params: DenyAccountParams) -> DenyAccountState:
        """Find the organisation, the policy by its name, and what is attached to the target.

        Raises:
            ActionDenied: If there is no access to the management account.
        """
        api = ctx.management
        if api is None:
            raise ActionDenied(
                "service control policies are the management account's, and there is no access to it",
                hint="set management.account_id, and make the role management.role there",
            )
        content = content_of(params.template, ctx.where.partition, exemptions(ctx, params))
        name = name_of(params.template, content)
        own = api.call("organizations:DescribeOrganization")["Organization"]
        types = api.pages("organizations:ListRoots", "Roots[].PolicyTypes[]")
        attached = api.pages(
            "organizations:ListPoliciesForTarget", "Policies", TargetId=params.target_id, Filter=TYPE
        )
        known = api.pages("organizations:ListPolicies", "Policies", Filter=TYPE)
        ident = next((policy["Id"] for policy in known if policy["Name"] == name), "")
        found = api.call("organizations:DescribePolicy", PolicyId=ident)["Policy"] if ident else None
        return DenyAccountState(
            target_id=params.target_id,
            policy_name=name,
            policy_id=ident,
            content=content,
            found=_document(found["Content"]) if found else None,
            attached=bool(ident) and any(policy["Id"] == ident for policy in attached),
            attached_names=tuple(sorted(policy["Name"] for policy in attached)),
            is_management=own["MasterAccountId"] == params.target_id,
            is_incident=ctx.where.account_id == params.target_id,
            is_home=account_of_home(ctx) == params.target_id,
            enabled=any(kind["Type"] == TYPE and kind["Status"] == "ENABLED" for kind in types),
        )

    def decide(self, params: DenyAccountParams, state: DenyAccountState) -> Decision:
        """Make and attach what is missing."""
        reason = _refusal(params, state)
        if reason:
            return Refused(reason)
        if state.attached:
            return Settled(_outputs(params, state, state.policy_id), _warnings(params))
        made = () if state.policy_id else (_create(params, state),)
        return Act((*made, _attach(state)))

    def foresee(self, params: DenyAccountParams, state: DenyAccountState, step: str) -> PlannedOutputs:
        """Return the outputs; the id of a policy that is still to be made is a token."""
        if _refusal(params, state):
            return PlannedOutputs({})
        ident = state.policy_id or f"<from {step}.policy_id>"
        return PlannedOutputs(_outputs(params, state, ident).model_dump(mode="json"))

    def targets(self, params: DenyAccountParams, where: Where) -> tuple[str, ...]:
        """Return the account or unit."""
        kind = "ou" if params.target_id.startswith("ou-") else "account"
        return (f"arn:{where.partition}:organizations:::{kind}/{params.target_id}",)

    def undo_calls(
        self,
        params: DenyAccountParams,
        before: DenyAccountState,
        after: DenyAccountState,
        now: DenyAccountState,
        keys: frozenset[str],
    ) -> tuple[Call, ...]:
        """Detach the policy."""
        if not keys:
            return ()
        return (
            Call(
                operation="organizations:DetachPolicy",
                params={"PolicyId": now.policy_id, "TargetId": now.target_id},
                target=now.target_id,
                summary=f"Detach {now.policy_name} from {now.target_id}",
                before={"attached": True},
                after={"attached": False},
                scope="management",
                tolerate=("PolicyNotAttachedException",),
            ),
        )


def exemptions(ctx: LookContext, params: DenyAccountParams) -> list[str]:
    """Return whom the policy spares."""
    settings, where = ctx.settings, ctx.where
    forensics = (where.forensic_account_id, settings.forensics.role) if where.forensic_account_id else None
    return exempt_arns(where.partition, settings.responder_role, forensics, params.break_glass_roles)


def _refusal(params: DenyAccountParams, state: DenyAccountState) -> str | None:
    name, target = state.policy_name, state.target_id
    if state.is_management:
        return f"{target} is the management account: no service control policy binds it; page its owner"
    if not state.enabled:
        return "service control policies are not switched on in this organisation (EnablePolicyType)"
    if locked_out := _lock_out(params, state):
        return locked_out
    if state.found is not None and state.found != state.content:
        return f"somebody has changed the policy {name} ({state.policy_id}): delete it, and try again"
    if not state.attached and len(state.attached_names) >= MOST_ATTACHED:
        return (
            f"{target} has {len(state.attached_names)} service control policies, the most that AWS allows:"
            f" detach one of {', '.join(state.attached_names)}"
        )
    return None


def _lock_out(params: DenyAccountParams, state: DenyAccountState) -> str | None:
    """Return why the policy would keep irrunner itself out, if it would."""
    if params.template != "all-but-responder":
        return None
    if not state.is_incident:
        return (
            f"{state.target_id} is not the incident's account: everything is denied only where the responder"
            " role is known to work, lest the account that irrunner is run from is locked out"
        )
    if state.is_home:
        return (
            f"irrunner runs with an identity of {state.target_id}, which the policy would not let assume its"
            " roles: nothing could be undone; run it from another account, or use deny-destruction"
        )
    return None


def _create(params: DenyAccountParams, state: DenyAccountState) -> Call:
    return Call(
        operation="organizations:CreatePolicy",
        params={
            "Name": state.policy_name,
            "Description": f"Emergency policy of irrunner: {params.template}",
            "Type": TYPE,
            "Content": text_of(state.content),
        },
        target=f"<{POLICY}>",
        summary=f"Make the service control policy {state.policy_name}",
        after=state.content,
        reversible=False,
        scope="management",
        yields={POLICY: "Policy.PolicySummary.Id"},
    )


def _attach(state: DenyAccountState) -> Call:
    return Call(
        operation="organizations:AttachPolicy",
        params={"PolicyId": state.policy_id or Token(POLICY), "TargetId": state.target_id},
        target=state.target_id,
        summary=f"Attach {state.policy_name} to {state.target_id}",
        before={"attached": False},
        after={"attached": True},
        scope="management",
        tolerate=("DuplicatePolicyAttachmentException",),
    )


def _document(content: str) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {"unreadable": content[:200]}


def _outputs(params: DenyAccountParams, state: DenyAccountState, policy_id: str) -> DenyAccountOutputs:
    condition = state.content["Statement"][-1]["Condition"]
    return DenyAccountOutputs(
        target_id=state.target_id,
        template=params.template,
        policy_id=policy_id,
        policy_name=state.policy_name,
        exempt=list(condition["ArnNotLike"]["aws:PrincipalArn"]),
    )


def _warnings(params: DenyAccountParams) -> tuple[str, ...]:
    warnings = [BINDS]
    if params.template == "all-but-responder":
        warnings.append("everything of the account that calls AWS fails now, workloads and people alike")
    return tuple(warnings)
