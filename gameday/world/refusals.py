"""What the world says instead of an answer: AWS error codes, spelled as each service spells them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Final
from xml.sax.saxutils import escape

REQUEST_ID: Final = "00000000-0000-4000-8000-000000000000"


class Refusal(Exception):
    """The simulated service refuses the call."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    error: str | None = field(default=None)
    """The AWS error code, if it is an error."""


_DENIED: Final = {"ec2": "UnauthorizedOperation", "query": "AccessDenied", "rest-xml": "AccessDenied"}
_UNKNOWN_KEY: Final = {
    "ec2": "AuthFailure",
    "query": "InvalidClientTokenId",
    "rest-xml": "InvalidAccessKeyId",
}
_EXPIRED: Final = {"ec2": "RequestExpired", "query": "ExpiredToken", "rest-xml": "ExpiredToken"}
_THROTTLED: Final = {
    "ec2": ("RequestLimitExceeded", 503),
    "query": ("Throttling", 400),
    "rest-xml": ("SlowDown", 503),
}


def denied(protocol: str, principal: str, action: str) -> Refusal:
    """Return the refusal of a caller who may not do this."""
    code = _DENIED.get(protocol, "AccessDeniedException")
    return Refusal(code, f"User: {principal} is not authorized to perform: {action}", 403)


def unknown_key(protocol: str) -> Refusal:
    """Return the refusal of credentials that do not exist, are inactive, or carry a wrong token."""
    code = _UNKNOWN_KEY.get(protocol, "UnrecognizedClientException")
    return Refusal(code, "The security token included in the request is invalid.", 403)


def expired(protocol: str) -> Refusal:
    """Return the refusal of temporary credentials that have run out."""
    code = _EXPIRED.get(protocol, "ExpiredTokenException")
    return Refusal(code, "The security token included in the request is expired", 400)


def throttled(protocol: str) -> Refusal:
    """Return the answer that asks a caller to slow down."""
    code, status = _THROTTLED.get(protocol, ("ThrottlingException", 400))
    return Refusal(code, "Request limit exceeded.", status)


def error_reply(refusal: Refusal, protocol: str) -> Reply:
    """Spell a refusal in the wire format of a protocol.

    Args:
        refusal: What to say.
        protocol: ``ec2 query rest-xml json rest-json``.
    """
    if protocol in {"json", "rest-json"}:
        body = json.dumps({"__type": refusal.code, "message": refusal.message})
        headers: tuple[tuple[str, str], ...] = (
            ("Content-Type", "application/x-amz-json-1.1"),
            ("x-amzn-ErrorType", refusal.code),
        )
    else:
        body = _XML[protocol].format(
            code=escape(refusal.code), message=escape(refusal.message), request=REQUEST_ID
        )
        headers = (("Content-Type", "text/xml"),)
    return Reply(refusal.status, body.encode(), headers, refusal.code)


_XML: Final = {
    "ec2": "<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors>"
    "<RequestID>{request}</RequestID></Response>",
    "query": "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message>"
    "</Error><RequestId>{request}</RequestId></ErrorResponse>",
    "rest-xml": "<Error><Code>{code}</Code><Message>{message}</Message>"
    "<RequestId>{request}</RequestId></Error>",
}
