"""From an HTTP request to ``service:Operation`` with parameters, and from a result to an HTTP answer."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from werkzeug.exceptions import HTTPException

from gameday.world import seam
from gameday.world.refusals import Refusal, Reply

Environ = dict[str, Any]

_SCOPE: Final = re.compile(
    r"Credential=(?P<key>[^/,\s]+)/[0-9]{8}/(?P<region>[^/,\s]*)/(?P<service>[^/,\s]+)/aws4_request"
)
_BOTO_NAMES: Final = {
    "monitoring": "cloudwatch", "access-analyzer": "accessanalyzer", "tagging": "resourcegroupstaggingapi",
    "elasticfilesystem": "efs", "email": "ses", "states": "stepfunctions", "ssm-incidents": "ssm-incidents",
    "sso": "sso-admin",
}  # fmt: skip
"""Signing names that are not botocore's names of the service."""
_S3_CONTROL: Final = "/v20180820/"
"""Where every path of the S3 Control API begins; it signs as ``s3``, too."""
_ELB_V2: Final = "2015-12-01"
_CODE: Final = re.compile(rb"<Code>([^<]+)</Code>|\"__type\":\s*\"(?:[^\"]*#)?([^\"]+)\"")


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """One API call, parsed."""

    service: str
    """botocore's name of the service."""
    operation: str
    params: Mapping[str, Any]
    region: str
    access_key_id: str
    session_token: str
    protocol: str
    """``ec2 query rest-xml json rest-json``."""
    model: Any = field(repr=False)
    """botocore's model of the operation."""

    @property
    def action(self) -> str:
        """Return ``service:Operation``."""
        return f"{self.service}:{self.operation}"


def take_body(environ: Environ) -> bytes:
    """Read the request's body once and leave it to be read again."""
    length = environ.get("CONTENT_LENGTH")
    stream = environ["wsgi.input"]
    body: bytes = stream.read(int(length)) if length else b""
    if not length and environ.get("wsgi.input_terminated"):
        body = stream.read()
    give_body(environ, body)
    return body


def give_body(environ: Environ, body: bytes) -> None:
    """Put a body (back) into the request."""
    environ["wsgi.input"] = io.BytesIO(body)
    environ["CONTENT_LENGTH"] = str(len(body))


def parse_request(environ: Environ, body: bytes) -> ApiRequest:
    """Return what the request asks for.

    Raises:
        Refusal: If it is not signed, or no operation of the service.
    """
    signed = _SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))
    if signed is None:
        raise Refusal("MissingAuthenticationToken", "Request is missing Authentication Token", 403)
    service = _service(signed["service"], body)
    if service == "s3" and environ.get("PATH_INFO", "").startswith(_S3_CONTROL):
        service = "s3control"
    request = seam.Request(dict(environ))
    try:
        model, uri = seam.get_service_router(service).match(request)
        protocol = seam.determine_request_protocol(model.service_model, request.content_type)
        params = _params(model, protocol, request, uri)
    except (HTTPException, LookupError, NotImplementedError, ValueError) as problem:
        raise Refusal(
            "InvalidAction", f"{service}: no such operation ({type(problem).__name__})"
        ) from problem
    finally:
        give_body(environ, body)
    return ApiRequest(
        service=service,
        operation=model.name,
        params=params,
        region=signed["region"],
        access_key_id=signed["key"],
        session_token=environ.get("HTTP_X_AMZ_SECURITY_TOKEN", ""),
        protocol=protocol,
        model=model,
    )


def answer(request: ApiRequest, result: Mapping[str, Any]) -> Reply:
    """Spell a result in the wire format of the request's protocol.

    Args:
        request: What was asked.
        result: By the names of botocore's output shape.
    """
    serializer = seam.get_serializer_class(request.service, request.protocol)(request.model)
    wire = serializer.serialize(result)
    body = wire["body"]
    return Reply(
        int(wire["status_code"]),
        body if isinstance(body, bytes) else body.encode(),
        tuple((name, str(value)) for name, value in wire["headers"].items()),
    )


def error_code(status: int, body: bytes) -> str | None:
    """Return the AWS error code of an answer, or None if it is none."""
    if status < 400:  # noqa: PLR2004 - HTTP's border
        return None
    found = _CODE.search(body)
    return (found[1] or found[2]).decode() if found else str(status)


def _service(signing_name: str, body: bytes) -> str:
    name = signing_name.lower()
    if name == "elasticloadbalancing":
        return "elbv2" if f"Version={_ELB_V2}".encode() in body else "elb"
    return _BOTO_NAMES.get(name, name)


def _params(model: Any, protocol: str, request: Any, uri: Mapping[str, Any]) -> dict[str, Any]:
    parsed: dict[str, Any] = seam.PROTOCOL_PARSERS[protocol](model).parse(
        {
            "method": request.method,
            "values": request.values,
            "headers": request.headers,
            "body": request.data,
            "url_path": request.path,
            "url_params": dict(uri),
        }
    )
    return parsed
