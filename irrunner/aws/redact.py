"""Removal of credentials from whatever is logged, journalled, raised or printed.

Two nets: values that a :class:`Redactor` was told (our own keys, tokens, resolved references), wherever
they stand; and shapes of credentials in general, which also catch those of other people in AWS's messages.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

HIDDEN = "[redacted]"
SHORTEST_SECRET = 8
"""Shorter values are not learned: they would blank out ordinary words."""
REMEMBERED = 4_096
"""Values kept; the oldest go first (a session lives for an hour)."""

SECRET_NAMES = re.compile(
    r"""^(?:.*[_.-])?(?:
        (?:aws_?)?secret(?:_?access)?_?key | (?:aws_?)?session_?token | (?:x-amz-)?security[_-]?token
      | x-amz-signature | authorization | .*password | passphrase | private_?key(?:_?material)?
      | key_?material | secret_?(?:string|binary|value) | client_?secret
      | api_?key | credentials? | plaintext | user_?data
    )$""",
    re.IGNORECASE | re.VERBOSE,
)
"""Names of fields whose value is never shown."""

_SHAPES = (
    # what follows a telling name in query strings, JSON and XML
    re.compile(
        r"""(?P<keep>(?:secret_?access_?key|session_?token|security[-_]?token|x-amz-signature|password
            |client_?secret|signature)["']?\s*(?:[=:>]|%3[dD])\s*["']?)[^\s"'<>&,;]+""",
        re.IGNORECASE | re.VERBOSE,
    ),
    # the password of a URL
    re.compile(r"(?P<keep>://[^\s/:@]*:)[^\s/@]+(?=@)"),
    # session tokens of STS
    re.compile(r"(?P<keep>)\b(?:FQoG|FwoG|IQoJ)[A-Za-z0-9/+=_%-]{60,}"),
    # bearer tokens of EKS clusters: presigned requests, in base64
    re.compile(r"(?P<keep>k8s-aws-v1\.)[A-Za-z0-9_=-]{20,}"),
    # secret access keys: 40 characters of base64, in mixed case with a digit
    re.compile(
        r"(?P<keep>)(?<![A-Za-z0-9/+=_-])(?=[A-Za-z0-9/+]*[a-z])(?=[A-Za-z0-9/+]*[A-Z])(?=[A-Za-z0-9/+]*[0-9])"
        r"[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=_-])"
    ),
    re.compile(r"(?P<keep>)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*KEY-----|\Z)", re.DOTALL),
)


def redact_text(text: str) -> str:
    """Return the text with everything that is shaped like a credential replaced."""
    for shape in _SHAPES:
        text = shape.sub(rf"\g<keep>{HIDDEN}", text)
    return text


class Redactor:
    """Hides the credentials that it was told, and the shapes of all others. Safe for threads."""

    def __init__(self) -> None:
        self._known: dict[str, None] = {}
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"Redactor({len(self._known)} values)"

    def learn(self, *secrets: str | None) -> None:
        """Remember values that must never be shown."""
        fresh = [s for s in secrets if s and len(s) >= SHORTEST_SECRET and s not in self._known]
        if not fresh:
            return
        with self._lock:
            known = {**self._known, **dict.fromkeys(form for s in fresh for form in (s, quote(s, safe="")))}
            for oldest in list(known)[: max(0, len(known) - REMEMBERED)]:
                del known[oldest]
            self._known = known

    def text(self, text: str) -> str:
        """Return the text without credentials."""
        for secret in self._known:
            if secret in text:
                text = text.replace(secret, HIDDEN)
        return redact_text(text)

    def value(self, value: Any) -> Any:
        """Return a copy of plain data without credentials; other objects become their redacted text."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(str(name)): self._field(str(name), item) for name, item in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.value(item) for item in value]
        if value is None or isinstance(value, bool | int | float):
            return value
        return self.text(str(value))

    def _field(self, name: str, item: Any) -> Any:
        tells = item and isinstance(item, str | bytes | Mapping | list | tuple)
        return HIDDEN if tells and SECRET_NAMES.match(name) else self.value(item)
