"""``aws.iam.find-principal-changes``: what a compromised key, session or user made, as CloudTrail tells it.

The outputs are lists that ``for_each`` takes: new keys feed ``aws.iam.deactivate-access-key``, new users
``aws.iam.quarantine-user``, and so on. Keys, users and sessions that were made are followed in turn, since
who makes a second key goes on with it.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from irrunner.actions.contract import Action, Decision, LookContext, Model, Settled, Where
from irrunner.actions.iam.change_kinds import Kind
from irrunner.actions.iam.principal_search import (
    Change,
    FindPrincipalChangesParams,
    FindPrincipalChangesState,
    Search,
)
from irrunner.actions.iam.trail import DELAY, LOOKUP
from irrunner.actions.registry import action
from irrunner.clock import parse_iso
from irrunner.vocabulary import Phase, Risk, UndoPolicy


class NewKey(Model):
    """An access key that was made."""

    access_key_id: str
    user_name: str


class NewSession(Model):
    """Temporary credentials that were issued."""

    access_key_id: str
    role_arn: str
    """Empty: a session of the user."""


class NewInstance(Model):
    """An instance that was launched."""

    instance_id: str
    region: str


class FindPrincipalChangesOutputs(Model):
    """Outputs of ``aws.iam.find-principal-changes``; each list holds a thing once."""

    followed: list[str]
    since: str
    until: str
    complete: bool
    """False: there is more than was read, or events may still be on their way."""
    user_names: list[str]
    access_keys: list[NewKey]
    login_profile_user_names: list[str]
    mfa_devices: list[str]
    credential_user_names: list[str]
    """Users with new SSH keys, certificates or service passwords."""
    role_names: list[str]
    trust_changed_role_names: list[str]
    policy_changed_names: list[str]
    """Users, roles, groups and policies whose permissions changed."""
    identity_providers: list[str]
    instances: list[NewInstance]
    function_names: list[str]
    sessions: list[NewSession]
    console_logins: int
    defence_changes: list[str]
    """Events that switched logging or detection off."""
    changes: list[Change]
    other_changes: dict[str, int]
    denied_calls: int
    events: int
    regions_searched: list[str]


@action(
    "aws.iam.find-principal-changes",
    title="Find what a compromised principal made",
    phase=Phase.ANALYSIS,
    risk=Risk.NONE,
    permissions=(LOOKUP,),
    undo=UndoPolicy.NEVER,
    undo_note="Reads only: there is nothing to put back.",
    timeout_s=900.0,
    sources=(
        "https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html",
        "https://docs.aws.amazon.com/awscloudtrail/latest/userguide/view-cloudtrail-events.html",
        "https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html",
    ),
)
class FindPrincipalChanges(Action[FindPrincipalChangesParams, FindPrincipalChangesState]):
    """Look events up by key and by user, in the Regions where they can be."""

    Params = FindPrincipalChangesParams
    Outputs = FindPrincipalChangesOutputs
    StateModel = FindPrincipalChangesState

    def look(self, ctx: LookContext, params: FindPrincipalChangesParams) -> FindPrincipalChangesState:
        """Search for the given identities, then for those that they made."""
        since = parse_iso(params.since) if params.since else ctx.started - timedelta(hours=params.hours)
        return Search(ctx, params, since).result()

    def decide(self, params: FindPrincipalChangesParams, state: FindPrincipalChangesState) -> Decision:
        """Settle at once."""
        return Settled(_outputs(state), _warnings(state))

    def targets(self, params: FindPrincipalChangesParams, where: Where) -> tuple[str, ...]:
        """Return nothing: reads only."""
        return ()


def _names(state: FindPrincipalChangesState, *kinds: Kind) -> list[str]:
    return list(dict.fromkeys(c.name for c in state.changes if c.kind in kinds and c.name))


def _owned(state: FindPrincipalChangesState, kind: Kind) -> list[tuple[str, str, str]]:
    found = ((c.name, c.owner, c.region) for c in state.changes if c.kind == kind and c.name)
    return list(dict.fromkeys(found))


def _outputs(state: FindPrincipalChangesState) -> FindPrincipalChangesOutputs:
    plain: dict[str, Any] = state.model_dump(
        include={"since", "until", "other_changes", "denied_calls", "events"}
    )
    return FindPrincipalChangesOutputs(
        **plain,
        followed=list(state.followed),
        complete=not state.incomplete and not state.changes_left_out,
        user_names=_names(state, "user"),
        access_keys=[NewKey(access_key_id=k, user_name=u) for k, u, _ in _owned(state, "access-key")],
        login_profile_user_names=_names(state, "login-profile"),
        mfa_devices=_names(state, "mfa-device"),
        credential_user_names=_names(state, "credential"),
        role_names=_names(state, "role"),
        trust_changed_role_names=_names(state, "role-trust"),
        policy_changed_names=_names(state, "policy"),
        identity_providers=_names(state, "identity-provider"),
        instances=[NewInstance(instance_id=i, region=r) for i, _, r in _owned(state, "instance")],
        function_names=_names(state, "function"),
        sessions=[NewSession(access_key_id=k, role_arn=r) for k, r, _ in _owned(state, "session")],
        console_logins=sum(change.times for change in state.changes if change.kind == "console-login"),
        defence_changes=list(dict.fromkeys(c.event_name for c in state.changes if c.kind == "defence")),
        changes=list(state.changes),
        regions_searched=list(state.regions_searched),
    )


def _warnings(state: FindPrincipalChangesState) -> tuple[str, ...]:
    warnings = list(state.incomplete)
    if state.changes_left_out:
        warnings.append(f"{state.changes_left_out} things more were made: contain these, and search again")
    warnings.append(
        f"events of the last {int(DELAY.total_seconds() // 60)} minutes may not show yet, data events never:"
        " search again after containment"
    )
    return tuple(warnings)
