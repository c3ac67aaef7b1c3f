"""``BotoCloud``: sessions in member and forensic accounts, each cut to a step's permissions."""

from __future__ import annotations

import os
import re
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.session import Session

from irrunner.actions.contract import Permission
from irrunner.aws.api import Caller, CloudApi
from irrunner.aws.client import BotoApi
from irrunner.aws.clients import Clients
from irrunner.aws.errors import CAUGHT, classify
from irrunner.aws.identity import Identity, OwnCredentials, RoleCredentials
from irrunner.aws.pacing import PacedApi, Pacer
from irrunner.aws.policy import session_policy
from irrunner.aws.redact import Redactor
from irrunner.clock import Clock
from irrunner.errors import (
    ActionDenied,
    ActionError,
    CredentialsInvalid,
    InvalidCall,
    QuotaExceeded,
    SettingsError,
)
from irrunner.settings import Settings
from irrunner.urls import is_loopback

FORENSIC_ACCOUNT_NAME = "forensics"
FALLBACK_REGION = "us-east-1"
SESSION_S = 3_600
"""Chained sessions last an hour at most. Source: IAM user guide, "Role chaining"."""
KEPT_SESSIONS = 4_096
TIGHT_POLICY = 1_000
"""Second try where the packed size of policy and tags was too large, characters."""

_ACCOUNT = re.compile(r"^[0-9]{12}$")
_REGION = re.compile(r"^[a-z]{2,5}(-[a-z]+)+-[0-9]{1,2}$")
_RUN_ID = re.compile(r"^[A-Za-z0-9_.-]{2,48}$")


@dataclass(frozen=True, slots=True)
class _Key:
    """What makes two sessions the same."""

    role: str
    account_id: str
    region: str
    run_id: str
    policy: str


class BotoCloud:
    """A :class:`irrunner.aws.api.Cloud` over botocore. Safe for threads."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        *,
        session: Session | None = None,
        redactor: Redactor | None = None,
    ) -> None:
        """Prepare; nothing is sent and no credentials are looked for yet.

        Args:
            settings: Roles, forensic account, endpoints, limits.
            clock: For renewal and pacing.
            session: Base credentials, profile and endpoints; default: the ordinary ones.
            redactor: Learns every credential used; share it with the logs.

        Raises:
            CredentialsInvalid: If the profile does not exist or its file cannot be read.
        """
        self._settings = settings
        self._clock = clock
        self._session = session or Session()
        self.redactor = redactor or Redactor()
        try:
            self._clients = Clients(self._session, settings)
        except CAUGHT as problem:
            raise classify(problem, "AWS configuration", redactor=self.redactor) from problem
        self.pacer = Pacer(clock, settings.limits.per_account)
        self._own = Identity(
            OwnCredentials(self._session.get_credentials, self.redactor), "the base credentials"
        )
        self._sessions: OrderedDict[_Key, Identity] = OrderedDict()
        self._lock = threading.Lock()
        self._caller: Caller | None = None
        self._forensic: tuple[str | None, str] | None = None
        self._management: str | None = settings.management.account_id

    def base(self, region: str | None = None) -> BotoApi:
        """Return calls with the base credentials: for secrets and Organizations.

        Args:
            region: Default: the profile's, else the first of ``regions``.
        """
        return self._api(self._own, region or self._base_region(), self.base)

    def caller(self) -> Caller:
        """See :class:`irrunner.aws.api.Cloud`."""
        if self._caller is None:
            answer = self.base().call("sts:GetCallerIdentity")
            client = self._clients.get("sts", self._base_region(), retries=True)
            self._caller = Caller(answer["Account"], answer["Arn"], is_loopback(client.meta.endpoint_url))
        return self._caller

    def member(
        self,
        account_id: str,
        region: str,
        *,
        run_id: str,
        permissions: Sequence[Permission],
        values: Mapping[str, str],
    ) -> CloudApi:
        """See :class:`irrunner.aws.api.Cloud`.

        Raises:
            SettingsError: If ``accounts`` or ``regions`` exclude the place.
            InvalidCall: If account, Region or run id are malformed.
        """
        if self._settings.accounts and account_id not in self._settings.accounts:
            raise SettingsError(f"account {account_id} is not among `accounts`", hint="add it, if it is ours")
        if self._settings.regions and region not in self._settings.regions:
            raise SettingsError(f"Region {region} is not among `regions`", hint="add it, if we work there")
        granted = [permission for permission in permissions if permission.scope == "target"]
        place = (self._settings.responder_role, account_id, run_id)
        return self._narrowed(place, region, granted, values)

    def forensics(
        self, region: str, *, run_id: str, permissions: Sequence[Permission], values: Mapping[str, str]
    ) -> CloudApi:
        """See :class:`irrunner.aws.api.Cloud`."""
        account_id = self.forensic_account_id()
        if account_id is None:
            raise SettingsError(
                f"no forensic account: {self.forensic_account_reason()}", hint="set forensics.account_id"
            )
        granted = [permission for permission in permissions if permission.scope == "forensics"]
        place = (self._settings.forensics.role, account_id, run_id)
        return self._narrowed(place, region, granted, values)

    def management(
        self, region: str, *, run_id: str, permissions: Sequence[Permission], values: Mapping[str, str]
    ) -> CloudApi:
        """See :class:`irrunner.aws.api.Cloud`."""
        granted = [permission for permission in permissions if permission.scope == "management"]
        place = (self._settings.management.role, self._management_account_id(), run_id)
        return self._narrowed(place, region, granted, values)

    def _management_account_id(self) -> str:
        if self._management is None:
            try:
                answer = self.base().call("organizations:DescribeOrganization")
            except ActionError as problem:
                if problem.retryable:  # a throttle does not mean that there is none
                    raise
                raise SettingsError(
                    f"no management account: it is not configured, and {problem.message}",
                    hint="set management.account_id",
                ) from problem
            self._management = str(answer["Organization"]["MasterAccountId"])
        return self._management

    def forensic_account_id(self) -> str | None:
        """See :class:`irrunner.aws.api.Cloud`."""
        return self._forensic_account()[0]

    def forensic_account_reason(self) -> str:
        """Return how the forensic account was found, or why it was not, for people."""
        return self._forensic_account()[1]

    def _forensic_account(self) -> tuple[str | None, str]:
        """Find it once; containment must not fail because Organizations does, so errors are reasons."""
        if self._forensic is not None:
            return self._forensic
        try:
            self._forensic = self._find_forensic_account()
        except ActionError as problem:
            return None, f"it is not configured, and {problem.message}"
        return self._forensic

    def _find_forensic_account(self) -> tuple[str | None, str]:
        configured = self._settings.forensics.account_id
        if configured is not None:
            return configured, "forensics.account_id"
        accounts = self.base().pages("organizations:ListAccounts", "Accounts")
        named = [a["Id"] for a in accounts if a.get("Name") == FORENSIC_ACCOUNT_NAME]
        if len(named) == 1:
            return named[0], "the Organizations account named forensics"
        return None, f"it is not configured, and {len(named)} Organizations accounts are named forensics"

    def _narrowed(
        self,
        place: tuple[str, str, str],
        region: str,
        permissions: Sequence[Permission],
        values: Mapping[str, str],
    ) -> CloudApi:
        role, account_id, run_id = place

        def session(region: str) -> BotoApi:
            _require_wellformed(account_id, region, run_id)
            partition = self._partition(region)
            filled = {**values, "partition": partition, "region": region, "account": account_id}
            arn = f"arn:{partition}:iam::{account_id}:role/{role.lstrip('/')}"
            key = _Key(arn, account_id, region, run_id, session_policy(permissions, filled))
            identity = self._identity(key, permissions, filled)
            identity.credentials.get_frozen_credentials()
            return self._api(identity, region, session)

        return PacedApi(session(region), self.pacer, account_id, region)

    def _api(self, identity: Identity, region: str, elsewhere: Any) -> BotoApi:
        return BotoApi(self._clients, identity, region, self.redactor, elsewhere)

    def _identity(self, key: _Key, permissions: Sequence[Permission], values: Mapping[str, str]) -> Identity:
        with self._lock:
            known = self._sessions.get(key)
            if known is None:
                credentials = RoleCredentials(
                    lambda: self._assume(key, permissions, values), self._clock, self.redactor
                )
                known = self._sessions[key] = Identity(credentials, key.role, key.run_id)
            self._sessions.move_to_end(key)
            while len(self._sessions) > KEPT_SESSIONS:
                self._sessions.popitem(last=False)
        return known

    def _assume(
        self, key: _Key, permissions: Sequence[Permission], values: Mapping[str, str]
    ) -> Mapping[str, Any]:
        try:
            return self._assume_with(key, key.policy)
        except QuotaExceeded:
            return self._assume_with(key, session_policy(permissions, values, limit=TIGHT_POLICY))

    def _assume_with(self, key: _Key, policy: str) -> Mapping[str, Any]:
        """Ask STS in the incident's Region, or in ours where our account has not enabled that one.

        Source: IAM user guide, "Manage AWS STS in an AWS Region": sessions of regional endpoints are valid
        in every Region.
        """
        try:
            return self._ask_sts(key, policy, key.region)
        except (ActionDenied, CredentialsInvalid) as problem:
            if isinstance(problem, ActionDenied) or self._base_region() == key.region:
                raise _cannot_assume(key, problem) from problem
        try:
            return self._ask_sts(key, policy, self._base_region())
        except (ActionDenied, CredentialsInvalid) as problem:
            raise _cannot_assume(key, problem) from problem

    def _ask_sts(self, key: _Key, policy: str, region: str) -> Mapping[str, Any]:
        return self.base(region).call(
            "sts:AssumeRole",
            RoleArn=key.role,
            RoleSessionName=f"irrunner-{key.run_id}",
            SourceIdentity=key.run_id,
            Tags=[{"Key": "irrunner:run", "Value": key.run_id}],
            Policy=policy,
            DurationSeconds=SESSION_S,
        )

    def _base_region(self) -> str:
        try:
            found = self._session.get_config_variable("region") or os.environ.get("AWS_REGION")
        except CAUGHT as problem:
            raise classify(problem, "base credentials", redactor=self.redactor) from problem
        return str(found or next(iter(self._settings.regions), FALLBACK_REGION))

    def _partition(self, region: str) -> str:
        try:
            return self._clients.partition(region)
        except CAUGHT as problem:
            raise classify(problem, "partition", redactor=self.redactor) from problem


def _require_wellformed(account_id: str, region: str, run_id: str) -> None:
    """Account and Region come from findings: they go into host names and ARNs only when well-formed."""
    for what, value, form in (
        ("account id", account_id, _ACCOUNT),
        ("Region", region, _REGION),
        ("run id", run_id, _RUN_ID),
    ):
        if not form.match(value):
            raise InvalidCall(f"{value!r} is no {what}", hint="check the finding")


def _cannot_assume(key: _Key, problem: ActionError) -> CredentialsInvalid:
    return CredentialsInvalid(
        f"cannot assume {key.role}: {problem.message}",
        hint="the role must exist there and trust our account with sts:AssumeRole, sts:TagSession and "
        "sts:SetSourceIdentity; our own session must have no other source identity",
        role=key.role,
        **problem.detail,
    )
