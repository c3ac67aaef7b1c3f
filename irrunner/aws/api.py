"""The one seam to AWS: ``CloudApi.call(operation, **params)``, and where its instances come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from irrunner.actions.contract import Permission


class CloudApi(Protocol):
    """One account, one Region, one narrowed session."""

    def call(self, operation: str, /, **params: Any) -> Mapping[str, Any]:
        """Call ``service:Operation`` (``ec2:CreateTags``) and return the parsed answer.

        Raises:
            ActionError: A subclass, mapped from botocore in :mod:`irrunner.aws.errors`.
        """

    def pages(self, operation: str, path: str, /, **params: Any) -> list[Any]:
        """Call a paginated read and return the concatenated list at JMESPath ``path``."""

    def in_region(self, region: str) -> CloudApi:
        """Return the same account and permissions in another Region."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who we are: ``sts:GetCallerIdentity`` of the base credentials."""

    account_id: str
    arn: str
    simulated: bool
    """The endpoint is a loopback address: the simulated organisation."""

    @property
    def banner(self) -> str:
        """Return ``SIMULATED`` or the account."""
        return "SIMULATED" if self.simulated else f"AWS account {self.account_id}"


class Cloud(Protocol):
    """Makes narrowed sessions in member and forensic accounts."""

    def caller(self) -> Caller:
        """Return who the base credentials are. Raises CredentialsInvalid."""

    def base(self, region: str | None = None) -> CloudApi:
        """Return calls with the base credentials: for secrets by reference."""

    def member(
        self,
        account_id: str,
        region: str,
        *,
        run_id: str,
        permissions: Sequence[Permission],
        values: Mapping[str, str],
    ) -> CloudApi:
        """Return a session of the responder role, cut to the permissions.

        Args:
            account_id: The incident's account.
            region: The incident's Region.
            run_id: Source identity and user agent.
            permissions: What the session may do (scope ``target``).
            values: Fill the braces of resource patterns.

        Raises:
            CredentialsInvalid: If the role cannot be assumed; names the role and what to do.
        """

    def forensics(
        self, region: str, *, run_id: str, permissions: Sequence[Permission], values: Mapping[str, str]
    ) -> CloudApi:
        """Return a session of the forensic role (scope ``forensics``).

        Raises:
            CredentialsInvalid: If the role cannot be assumed.
            SettingsError: If no forensic account is configured or found; names the setting.
        """

    def management(
        self, region: str, *, run_id: str, permissions: Sequence[Permission], values: Mapping[str, str]
    ) -> CloudApi:
        """Return a session of the role in the organisation's management account (scope ``management``).

        Raises:
            CredentialsInvalid: If the role cannot be assumed.
            SettingsError: If no management account is configured or found; names the setting.
        """

    def forensic_account_id(self) -> str | None:
        """Return the forensic account: configured, or the Organizations account named ``forensics``."""
