"""URLs that an HTTP client and we read alike."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

PLAIN_URL = re.compile(r"https?://[A-Za-z0-9_.:\[\]-]+(?:/[A-Za-z0-9._~/-]*)?", re.IGNORECASE)
"""Scheme, host, port and path: no user, query, backslash, escape, blank, control or non-ASCII character."""


def host_of(url: str) -> str:
    r"""Return the host that an HTTP client connects to, in small letters.

    Parsers of URLs disagree about odd ones (``http://a\@b`` is ``b`` to :mod:`urllib.parse` and ``a`` to
    urllib3, which connects), so only what both read alike has a host.

    Args:
        url: ``https://ec2.us-east-1.amazonaws.com``.

    Returns:
        The host, IPv6 without brackets; empty where the URL is not plainly one of HTTP.
    """
    from urllib3.util import parse_url  # noqa: PLC0415 - the CLI start would pay for it

    if not PLAIN_URL.fullmatch(url):
        return ""
    try:
        read, connected = urlsplit(url), parse_url(url)
        same = read.port == connected.port
    except ValueError:
        return ""
    host = (read.hostname or "").lower()
    return host if same and host == (connected.host or "").strip("[]").lower() else ""


def is_loopback(url: str) -> bool:
    """Return whether the URL's host is a loopback address."""
    host = host_of(url)
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
