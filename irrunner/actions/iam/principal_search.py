"""The search behind ``aws.iam.find-principal-changes``: a bounded walk over identities and their events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from heapq import heappop, heappush
from typing import Final, Self

from pydantic import Field, model_validator

from irrunner.actions.contract import LookContext, Model, State
from irrunner.actions.iam.change_kinds import Kind, Made, made_by
from irrunner.actions.iam.trail import Event, lookup, regions_of
from irrunner.actions.ids import AccessKeyId, Instant, RegionName, UserName
from irrunner.clock import iso
from irrunner.errors import ActionDenied, CredentialsInvalid

MOST_FOLLOWED: Final = 30
RANKS: Final[Mapping[Kind, tuple[int, str]]] = {
    "access-key": (0, "AccessKeyId"),
    "user": (1, "Username"),
    "session": (2, "AccessKeyId"),
}
"""In which order what was made is followed, and by which attribute: sessions are many, and they end."""
MOST_OF_A_KIND: Final = 100
"""How many things of one kind are told: a flood of one kind must not hide another."""


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
    most_events: int = Field(default=2000, ge=50, le=20_000)
    """Events to read at most for each identity and Region: CloudTrail answers 100 of them a second."""

    @model_validator(mode="after")
    def _names_somebody(self) -> Self:
        if self.access_key_id is None and self.user_name is None:
            raise ValueError("give access_key_id or user_name")
        return self


class Change(Model):
    """One thing that was made or changed, with the first event that is its evidence."""

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
    times: int = 1
    """How many events made or changed the same thing."""


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


class Search:
    """A bounded walk over identities."""

    def __init__(self, ctx: LookContext, params: FindPrincipalChangesParams, since: datetime) -> None:
        self._ctx, self._params, self._since = ctx, params, since
        given = (("AccessKeyId", params.access_key_id), ("Username", params.user_name))
        self._waiting: list[tuple[int, int, str, str]] = []
        self._known: set[tuple[str, str]] = set()
        for attribute, value in given:
            self._await(-1, attribute, value or "")
        self._followed: list[tuple[str, str]] = []
        self._events: dict[str, Event] = {}
        self._incomplete: list[str] = []
        self._regions = list(regions_of(ctx, params.regions))

    def result(self) -> FindPrincipalChangesState:
        """Walk, and tell what was found."""
        while self._waiting and len(self._followed) < MOST_FOLLOWED:
            _, _, attribute, value = heappop(self._waiting)
            self._followed.append((attribute, value))
            for region in tuple(self._regions):
                self._search((attribute, value), region)
        if self._waiting:
            self._incomplete.append(f"{len(self._waiting)} more identities are not followed")
        return self._state()

    def _await(self, rank: int, attribute: str, value: str) -> None:
        """Put an identity among those that are still to be searched, once."""
        if value and (attribute, value) not in self._known:
            self._known.add((attribute, value))
            heappush(self._waiting, (rank, len(self._known), attribute, value))

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
                for made in made_by(event) if self._params.follow else ():
                    if made.kind in RANKS:
                        self._await(*RANKS[made.kind], made.name)

    def _state(self) -> FindPrincipalChangesState:
        ordered = sorted(self._events.values(), key=lambda event: (event.time, event.text("eventID")))
        changes, left_out = _told([_change(event, made) for event in ordered for made in made_by(event)])
        others = Counter(
            f"{event.source.partition('.')[0]}:{event.name}"
            for event in ordered
            if not event.error and not event.record.get("readOnly") and not made_by(event)
        )
        return FindPrincipalChangesState(
            followed=tuple(value for _, value in self._followed),
            since=iso(self._since),
            until=iso(self._ctx.now),
            changes=changes,
            changes_left_out=left_out,
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


def _told(changes: list[Change]) -> tuple[tuple[Change, ...], int]:
    """Return each thing once, the first hundred of each kind, and how many are left out."""
    times = Counter((change.kind, change.name, change.owner) for change in changes)
    once: dict[tuple[Kind, str, str], Change] = {}
    for change in changes:
        once.setdefault((change.kind, change.name, change.owner), change)
    of_kind: Counter[str] = Counter()
    told = []
    for thing, change in once.items():
        of_kind[change.kind] += 1
        if of_kind[change.kind] <= MOST_OF_A_KIND:
            told.append(change.model_copy(update={"times": times[thing]}))
    return tuple(told), len(once) - len(told)
