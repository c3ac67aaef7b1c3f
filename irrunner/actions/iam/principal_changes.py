"""``aws.iam.find-principal-changes``: what a compromised key, session or user made, as CloudTrail tells it.

The outputs are lists that ``for_each`` takes: new keys feed ``aws.iam.deactivate-access-key``, new users
``aws.iam.quarantine-user``, and so on. Keys, users and sessions that were made are followed in turn, since
who makes a second key goes on with it.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final, Self

from pydantic import Field, model_validator

from irrunner.actions.contract import Action, Decision, LookContext, Model, Settled, State, Where
from irrunner.actions.iam.change_kinds import Kind, Made, made_by
from irrunner.actions.iam.trail import DELAY, LOOKUP, Event, lookup, regions_of
from irrunner.actions.ids import AccessKeyId, Instant, RegionName, UserName
from irrunner.actions.registry import action
from irrunner.clock import iso, parse_iso
from irrunner.errors import ActionDenied, CredentialsInvalid
from irrunner.vocabulary import Phase, Risk, UndoPolicy

MOST_FOLLOWED: Final = 20
MOST_CHANGES: Final = 300
"""How many changes are journalled one by one."""


class FindPrincipalChangesParams(Model):
    """Parameters of ``aws.iam.find-principal-changes``: a key, a user, or both."""

    access_key_id: AccessKeyId | None = None
    user_name: UserName | None = None
    since: Instant | None = None
    """When the incident began; none: ``hours`` ago."""
    hours: int = Field(default=24, ge=1, le=2160)
    follow: bool = True
    """Whether to search for the deeds of keys, sessions and users that were made."""
    regions: list[RegionName] = Field(default_factory=list, max_length=64)
    """Where to search, beside the incident's Region and that of global services; none: the Regions of the
    configuration."""
    most_events: int = Field(default=1000, ge=50, le=5000)
    """Events to read at most for each identity and Region: CloudTrail answers 100 of them a second."""

    @model_validator(mode="after")
    def _names_somebody(self) -> Self:
        if self.access_key_id is None and self.user_name is None:
            raise ValueError("give access_key_id or user_name")
        return self


class Change(Model):
    """One change, with the event that is its evidence."""

    kind: Kind
    name: str
    owner: str
    event_name: str
    event_id: str
    request_id: str
    at: str
    region: str
    access_key_id: str
    """The key or session that did it."""
    source_ip: str


class FindPrincipalChangesState(State):
    """What was found."""

    followed: tuple[str, ...]
    since: str
    until: str
    changes: tuple[Change, ...]
    """Oldest first."""
    changes_left_out: int
    other_changes: dict[str, int]
    """Changes that have no kind of their own, by ``service:EventName``."""
    denied_calls: int
    events: int
    incomplete: tuple[str, ...]
    """Where not all was read, and why."""
    regions_searched: tuple[str, ...]


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
        search = _Search(ctx, params, since)
        return search.result()

    def decide(self, params: FindPrincipalChangesParams, state: FindPrincipalChangesState) -> Decision:
        """Settle at once."""
        return Settled(_outputs(state), _warnings(state))

    def targets(self, params: FindPrincipalChangesParams, where: Where) -> tuple[str, ...]:
        """Return nothing: reads only."""
        return ()


class _Search:
    """A bounded walk over identities."""

    def __init__(self, ctx: LookContext, params: FindPrincipalChangesParams, since: datetime) -> None:
        self._ctx, self._params, self._since = ctx, params, since
        self._waiting = deque(
            (kind, value)
            for kind, value in (("AccessKeyId", params.access_key_id), ("Username", params.user_name))
            if value
        )
        self._followed: list[tuple[str, str]] = []
        self._events: dict[str, Event] = {}
        self._incomplete: list[str] = []
        self._regions = list(regions_of(ctx, params.regions))

    def result(self) -> FindPrincipalChangesState:
        """Walk, and tell what was found."""
        while self._waiting:
            identity = self._waiting.popleft()
            if identity in self._followed:
                continue
            if len(self._followed) >= MOST_FOLLOWED:
                self._incomplete.append(f"{len(self._waiting) + 1} more identities are not followed")
                break
            self._followed.append(identity)
            for region in tuple(self._regions):
                self._search(identity, region)
        return self._state()

    def _search(self, identity: tuple[str, str], region: str) -> None:
        try:
            history = lookup(self._ctx, region, identity, self._since, self._params.most_events)
        except (ActionDenied, CredentialsInvalid):
            if region == self._ctx.where.region:
                raise
            self._regions.remove(region)  # closed by an SCP, or not enabled: for users and intruders too
            self._incomplete.append(f"{region} cannot be searched: access denied")
            return
        if not history.complete:
            self._incomplete.append(f"{identity[1]} has more events in {region} than were read")
        for event in history.events:
            if is_by(event, *identity) and (ident := event.text("eventID")) not in self._events:
                self._events[ident] = event
                if self._params.follow:
                    self._waiting.extend(_next(made_by(event)))

    def _state(self) -> FindPrincipalChangesState:
        ordered = sorted(self._events.values(), key=lambda event: (event.time, event.text("eventID")))
        changes = [_change(event, made) for event in ordered for made in made_by(event)]
        others = Counter(
            f"{event.source.partition('.')[0]}:{event.name}"
            for event in ordered
            if not event.error and not event.record.get("readOnly") and not made_by(event)
        )
        return FindPrincipalChangesState(
            followed=tuple(value for _, value in self._followed),
            since=iso(self._since),
            until=iso(self._ctx.now),
            changes=tuple(changes[:MOST_CHANGES]),
            changes_left_out=max(0, len(changes) - MOST_CHANGES),
            other_changes=dict(sorted(others.items())),
            denied_calls=sum(bool(event.error) for event in ordered),
            events=len(ordered),
            incomplete=tuple(self._incomplete),
            regions_searched=tuple(self._regions),
        )


def is_by(event: Event, attribute: str, value: str) -> bool:
    """Return whether an event that was looked up is really of this identity.

    ``Username`` finds sessions of roles too: whoever assumes a role may call the session ``alice``, and
    would put deeds to her account. The identity's own type and name count.
    """
    identity = event.identity
    if attribute == "AccessKeyId":
        return bool(identity.get("accessKeyId") == value)
    if identity.get("type") == "IAMUser":
        return bool(identity.get("userName") == value)
    issuer = event.text("userIdentity", "sessionContext", "sessionIssuer", "userName")
    return identity.get("type") == "FederatedUser" and issuer == value


def _next(made: Iterable[Made]) -> list[tuple[str, str]]:
    attributes = {"access-key": "AccessKeyId", "session": "AccessKeyId", "user": "Username"}
    return [(attributes[one.kind], one.name) for one in made if one.kind in attributes and one.name]


def _change(event: Event, made: Made) -> Change:
    return Change(
        kind=made.kind,
        name=made.name[:256],
        owner=made.owner[:256],
        event_name=event.name,
        event_id=event.text("eventID"),
        request_id=event.text("requestID"),
        at=event.time,
        region=event.region,
        access_key_id=event.text("userIdentity", "accessKeyId"),
        source_ip=event.text("sourceIPAddress")[:64],
    )


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
        console_logins=sum(change.kind == "console-login" for change in state.changes),
        defence_changes=list(dict.fromkeys(c.event_name for c in state.changes if c.kind == "defence")),
        changes=list(state.changes),
        regions_searched=list(state.regions_searched),
    )


def _warnings(state: FindPrincipalChangesState) -> tuple[str, ...]:
    warnings = list(state.incomplete)
    if state.changes_left_out:
        warnings.append(f"{state.changes_left_out} later changes are not listed: narrow the window")
    warnings.append(
        f"events of the last {int(DELAY.total_seconds() // 60)} minutes may not show yet, data events never:"
        " search again after containment"
    )
    return tuple(warnings)
