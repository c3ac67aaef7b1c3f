"""Who calls: long-term keys of users, sessions of roles and users, and whether they still work."""

from __future__ import annotations

import random
import string
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from gameday.world import seam
from gameday.world.clock import WorldClock
from gameday.world.protocol import ApiRequest
from gameday.world.refusals import expired, unknown_key


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller whose credentials are good."""

    account: str
    arn: str
    """As in ``GetCallerIdentity``: an assumed-role ARN for a session of a role."""
    kind: Literal["user", "role"]
    name: str
    """Of the user or role."""
    user_id: str
    session: Session | None = None
    administrator: bool = False
    """An observer of the world, whom no policy binds."""

    @property
    def policy_arn(self) -> str:
        """Return the ARN by which policies name the caller: the role's, for a session of a role."""
        return self.session.issuer_arn if self.session and self.kind == "role" else self.arn


@dataclass(frozen=True, slots=True)
class Session:
    """Temporary credentials."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    token: str = field(repr=False)
    issuer_arn: str
    """Of the role or user behind the session."""
    issued_at: datetime
    """By the clock outside, as ``aws:TokenIssueTime``."""
    expiration: datetime
    """By the clock outside: what the client is told."""
    ends_at: datetime
    """By the world's clock."""
    source_identity: str = ""
    policy: str | None = None
    """The inline session policy."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Session tags."""


class Sessions:
    """The temporary credentials in circulation."""

    def __init__(self, clock: WorldClock, seed: int) -> None:
        self._clock = clock
        self._random = random.Random(f"sessions {seed}")  # noqa: S311 - repeatability is the point
        self._lock = threading.Lock()
        self._principals: dict[str, Principal] = {}

    def open(
        self,
        who: Principal,
        *,
        issuer_arn: str,
        duration_s: int,
        source_identity: str = "",
        access_key_id: str = "",
        any_token: bool = False,
        policy: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Session:
        """Issue temporary credentials.

        Args:
            who: Whose they are.
            issuer_arn: Role or user behind them.
            duration_s: Life in seconds, by the world's clock.
            source_identity: ``sts:SourceIdentity``.
            access_key_id: A chosen id; empty: a new one.
            any_token: Accept any session token with the key (credentials met in a finding).
            policy: Inline session policy.
            tags: Session tags.
        """
        with self._lock:
            session = Session(
                access_key_id=access_key_id or "ASIA" + self._text(16, string.ascii_uppercase + "234567"),
                secret_access_key=self._text(40),
                token="" if any_token else "FwoGZXIvYXdzE" + self._text(180),
                issuer_arn=issuer_arn,
                issued_at=self._clock.outside(),
                expiration=self._clock.outside() + timedelta(seconds=duration_s),
                ends_at=self._clock.now() + timedelta(seconds=duration_s),
                source_identity=source_identity,
                policy=policy,
                tags=tags or {},
            )
            self._principals[session.access_key_id] = Principal(
                who.account, who.arn, who.kind, who.name, who.user_id, session, who.administrator
            )
        return session

    def find(self, access_key_id: str) -> Principal | None:
        """Return whose temporary key this is."""
        return self._principals.get(access_key_id)

    def _text(self, length: int, alphabet: str = string.ascii_letters + string.digits) -> str:
        return "".join(self._random.choice(alphabet) for _ in range(length))


def authenticate(sessions: Sessions, clock: WorldClock, request: ApiRequest) -> Principal:
    """Return the caller.

    Raises:
        Refusal: If the key is unknown, deleted, inactive or has ended, or its token is wrong.
    """
    principal = sessions.find(request.access_key_id)
    if principal is None or principal.session is None:
        return _long_term(request)
    if principal.session.token not in {"", request.session_token}:
        raise unknown_key(request.protocol)
    if principal.session.ends_at <= clock.now():
        raise expired(request.protocol)
    return principal


def access_key_owner(access_key_id: str) -> tuple[str, Any, Any] | None:
    """Return account, user and key of a long-term access key that exists."""
    for account in seam.iam_accounts():
        for user in seam.iam(account).users.values():
            for key in user.access_keys:
                if key.access_key_id == access_key_id:
                    return account, user, key
    return None


def owner_of(principal: Principal) -> Any | None:
    """Return the user or role behind a caller, or None where it is gone."""
    iam = seam.iam(principal.account)
    return iam.users.get(principal.name) if principal.kind == "user" else role_named(iam, principal.name)


def role_named(iam: Any, name: str) -> Any | None:
    """Return a role by name, or None."""
    return next((role for role in iam.roles.values() if role.name == name), None)


def _long_term(request: ApiRequest) -> Principal:
    owner = access_key_owner(request.access_key_id)
    if owner is None or owner[2].status != "Active":
        raise unknown_key(request.protocol)
    account, user, _ = owner
    return Principal(account, user.arn, "user", user.name, user.id)
