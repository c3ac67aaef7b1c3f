"""Who a call is made as: our own credentials, or a role's session that renews itself."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import NoCredentialsError

from irrunner.aws.redact import Redactor
from irrunner.clock import Clock
from irrunner.errors import ActionError, CredentialsInvalid

RENEW_BEFORE = timedelta(minutes=5)


class Credentials(Protocol):
    """What botocore's signer asks for."""

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        """Return the keys of this moment."""


class OwnCredentials:
    """The base credentials, found the ordinary way (environment, profile, SSO, instance role)."""

    def __init__(self, find: Callable[[], Any], redactor: Redactor) -> None:
        """Keep the finder.

        Args:
            find: ``botocore.session.Session.get_credentials``.
            redactor: Learns the keys.
        """
        self._find = find
        self._redactor = redactor
        self._lock = threading.Lock()

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        """Return the keys of this moment; botocore renews those that expire.

        Raises:
            NoCredentialsError: If there are none.
        """
        with self._lock:
            found = self._find()
        if found is None:
            raise NoCredentialsError
        keys = found.get_frozen_credentials()
        self._redactor.learn(keys.secret_key, keys.token)
        return keys

    def renew(self) -> bool:
        """Return False: only whoever gave them can."""
        return False


@dataclass(frozen=True, slots=True)
class _Session:
    keys: ReadOnlyCredentials = field(repr=False)
    expires: datetime


class RoleCredentials:
    """A role's session: assumed at first use, and again five minutes before it ends."""

    def __init__(self, assume: Callable[[], Mapping[str, Any]], clock: Clock, redactor: Redactor) -> None:
        """Keep the way to assume the role.

        Args:
            assume: Calls ``sts:AssumeRole`` and returns its answer.
            clock: Tells when to renew.
            redactor: Learns the keys.
        """
        self._assume = assume
        self._clock = clock
        self._redactor = redactor
        self._lock = threading.Lock()
        self._session: _Session | None = None

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        """Return keys that are valid for some minutes more.

        A renewal that fails while the old keys still work is tried again at the next call.

        Raises:
            CredentialsInvalid: If the role cannot be assumed, or the answer has already expired.
            ActionError: As mapped by the seam, if STS cannot be reached.
        """
        with self._lock:
            session = self._session
            if session is None or session.expires - self._clock.now() < RENEW_BEFORE:
                session = self._session = self._renewed(session)
            return session.keys

    def renew(self) -> bool:
        """Forget the session, so that the next call assumes the role anew; return True."""
        with self._lock:
            self._session = None
        return True

    def _renewed(self, old: _Session | None) -> _Session:
        try:
            answer = self._assume()["Credentials"]
        except ActionError:
            if old is not None and old.expires > self._clock.now():
                return old
            raise
        keys = ReadOnlyCredentials(
            answer["AccessKeyId"], answer["SecretAccessKey"], answer["SessionToken"], None
        )
        self._redactor.learn(keys.secret_key, keys.token)
        if answer["Expiration"] <= self._clock.now():
            raise CredentialsInvalid(
                f"sts:AssumeRole gave a session that ended at {answer['Expiration']:%Y-%m-%dT%H:%M:%SZ}",
                hint="set this machine's clock",
            )
        return _Session(keys, answer["Expiration"])


@dataclass(frozen=True, slots=True)
class Identity:
    """A caller: credentials, and the run in whose name."""

    credentials: OwnCredentials | RoleCredentials = field(repr=False)
    name: str
    """For messages: the role's ARN, or ``base credentials``."""
    run_id: str = ""

    def __deepcopy__(self, memo: dict[int, object]) -> Identity:
        """Return itself: botocore copies requests to presign them, and a caller is no part of a request."""
        del memo
        return self
