"""Where AWS may be: at AWS, at a configured host, or on this machine (the simulated organisation).

Environment variables and profiles can send every call, with its credentials, to any host; a call to a
host that nobody vouched for is refused before the first byte.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from urllib.parse import urlsplit

from irrunner.errors import SettingsError
from irrunner.settings import is_loopback

HINT = "unset AWS_ENDPOINT_URL (and endpoint_url of the profile), or add the host to `endpoints`"


@dataclass(frozen=True, slots=True)
class EndpointRule:
    """Decides about endpoints.

    Args:
        suffixes: DNS suffixes of AWS's partitions, ``amazonaws.com``.
        configured: Hosts (globs) of ``settings.endpoints``.
    """

    suffixes: frozenset[str]
    configured: tuple[str, ...]

    def check(self, url: str) -> None:
        """Let an endpoint pass.

        Args:
            url: Of a client: ``https://ec2.us-east-1.amazonaws.com``.

        Raises:
            SettingsError: If it is neither AWS, nor configured, nor loopback; or not encrypted.
        """
        if is_loopback(url):
            return
        parts = urlsplit(url)
        host = (parts.hostname or "").lower()
        if not self._is_aws(host) and not _matches(host, self.configured):
            raise SettingsError(f"the AWS endpoint host {host!r} is neither AWS nor loopback", hint=HINT)
        if parts.scheme != "https":
            raise SettingsError(f"the AWS endpoint at {host!r} is not encrypted", hint="use https")

    def _is_aws(self, host: str) -> bool:
        return any(host.endswith(f".{suffix}") for suffix in self.suffixes)


def _matches(host: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(host, pattern.lower()) for pattern in patterns)
