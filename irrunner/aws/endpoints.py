"""Where AWS may be: at AWS, at a configured host, or on this machine (the simulated organisation).

Environment variables and profiles can send every call, with its credentials, to any host; a call to a
host that nobody vouched for is refused before the first byte.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from irrunner.errors import SettingsError
from irrunner.urls import host_of, is_loopback

HINT = "unset AWS_ENDPOINT_URL (and endpoint_url of the profile), or add the host to `endpoints`"
REGION = r"[a-z]+(?:-[a-z]+)+(?:-[0-9]+)?|global"
"""``us-east-1``; IAM has ``us-gov`` and ``global``. No digit before a hyphen: S3's old ``s3-us-west-2``."""


@dataclass(frozen=True, slots=True)
class EndpointRule:
    """Decides about endpoints.

    Args:
        suffixes: DNS suffixes of AWS's partitions, ``amazonaws.com``.
        configured: Hosts (globs) of ``settings.endpoints``.
    """

    suffixes: frozenset[str]
    configured: tuple[str, ...]

    def check(self, url: str, service: str) -> None:
        """Let an endpoint pass.

        Args:
            url: Of a client: ``https://ec2.us-east-1.amazonaws.com``.
            service: Endpoint prefix of the client's service, ``ec2``. Below AWS's suffixes there are hosts of
                its customers, too (``x.execute-api.us-east-1.amazonaws.com``, buckets, load balancers).

        Raises:
            SettingsError: If it is neither AWS, nor configured, nor loopback; or not encrypted.
        """
        if is_loopback(url):
            return
        host = host_of(url)
        if not host:
            raise SettingsError("the AWS endpoint is not plainly a URL of a host", hint=HINT)
        if not self._is_aws(host, service) and not _matches(host, self.configured):
            message = f"the AWS endpoint host {host!r} is neither AWS's for {service} nor loopback"
            raise SettingsError(message, hint=HINT)
        if not url.lower().startswith("https:"):
            raise SettingsError(f"the AWS endpoint at {host!r} is not encrypted", hint="use https")

    def check_cluster(self, url: str) -> None:
        """Let the endpoint of an EKS cluster's API pass: it gets a token of ours.

        Raises:
            SettingsError: If it is neither AWS's, nor configured, nor loopback; or not encrypted.
        """
        if is_loopback(url):
            return
        host = host_of(url)
        below = any(host.endswith(f".{suffix}") for suffix in self.suffixes)
        if not host or not (below or _matches(host, self.configured)) or not url.lower().startswith("https:"):
            raise SettingsError(
                f"the endpoint {host!r} of an EKS cluster is neither encrypted and AWS's nor loopback",
                hint="if it is ours, add the host to `endpoints`",
            )

    def _is_aws(self, host: str, service: str) -> bool:
        """Whether AWS itself serves the service there: ``SERVICE[.REGION].SUFFIX``, FIPS, or a VPC endpoint.

        Source: AWS General Reference, "AWS service endpoints"; PrivateLink guide, "DNS names of endpoints".
        """
        names = rf"{re.escape(service)}(?:-fips)?(?:\.(?:{REGION}))?"
        private = rf"vpce-[0-9a-z-]+\.{re.escape(service)}\.(?:{REGION})\.vpce"
        suffixes = "|".join(map(re.escape, sorted(self.suffixes)))
        return re.fullmatch(rf"(?:{names}|{private})\.(?:{suffixes})", host) is not None


def _matches(host: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(host, pattern.lower()) for pattern in patterns)
