"""The one error map: any exception of botocore becomes an :class:`irrunner.errors.ActionError`.

Nothing outside this module reads botocore's classes or AWS's codes. Messages say operation, code, request
id and what to do; never credentials, never parameters.
"""

from __future__ import annotations

import re
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, UndefinedModelAttributeError
from botocore.parsers import ResponseParserError

from irrunner.aws.error_codes import EXCEPTIONS, EXPIRED, ErrorClass, class_of_answer
from irrunner.aws.operations import is_read
from irrunner.aws.redact import Redactor
from irrunner.errors import (
    ActionDenied,
    ActionError,
    ActionThrottled,
    CredentialsInvalid,
    InvalidCall,
    OutcomeUnknown,
    QuotaExceeded,
    ServiceUnavailable,
    TargetConflict,
    TargetNotFound,
)

CAUGHT = (BotoCoreError, ClientError, ResponseParserError, UndefinedModelAttributeError, OSError)
"""Everything that a botocore client raises."""
LONGEST_MESSAGE = 400
HINTS: dict[ErrorClass, str] = {
    ActionDenied: "allow the action in the policy that refused: role, boundary, SCP or key policy",
    ActionThrottled: "it is sent again more slowly",
    CredentialsInvalid: "renew the credentials (aws sso login, AWS_PROFILE) and check this machine's clock",
    InvalidCall: "the parameters do not fit; nothing was changed",
    OutcomeUnknown: "the effect may have happened; a look tells",
    QuotaExceeded: "raise the quota or free the resource",
    ServiceUnavailable: "nothing was changed; check the network and the AWS health dashboard",
    TargetConflict: "the resource is in another state now; look again",
    TargetNotFound: "check id, account and Region",
}
_ENCODED = re.compile(r"\s*Encoded authorization failure message:.*", re.DOTALL | re.IGNORECASE)
_GIVEN_VALUE = re.compile(r"value: .*?(?=, (?:type|valid)|$)", re.DOTALL)
NOT_SENT_TLS = ("CERTIFICATE_VERIFY_FAILED", "WRONG_VERSION_NUMBER", "HANDSHAKE_FAILURE")


def classify(problem: Exception, operation: str = "", *, redactor: Redactor | None = None) -> ActionError:
    """Return our error for an exception of botocore.

    ``detail`` holds ``operation``, ``aws_code`` (the class name where AWS did not answer), ``request_id``
    and ``http_status`` where known.

    Args:
        problem: What was raised.
        operation: ``ec2:CreateTags``; an unknown operation is taken to be mutating.
        redactor: Knows our credentials; default: shapes only.

    Source: botocore's exceptions; EC2 API reference, "Error codes"; IAM API reference, "Common errors".
    """
    if isinstance(problem, ActionError):
        return problem
    redactor = redactor or Redactor()
    answer = getattr(problem, "response", None)
    if isinstance(answer, dict):
        facts, error_class, text = _read_answer(answer)
    else:
        facts, error_class, text = {}, _class_of_exception(problem), _text_of(problem)
        facts["aws_code"] = type(problem).__name__
    if error_class is OutcomeUnknown and is_read(operation):
        error_class = ServiceUnavailable
    request = f" (request {facts['request_id']})" if facts.get("request_id") else ""
    message = f"{operation or 'AWS call'}: {facts['aws_code']}: {_shorten(redactor.text(text))}{request}"
    return error_class(message, hint=HINTS.get(error_class, ""), operation=operation, **facts)


def cause_of(problem: Exception, redactor: Redactor) -> Exception | None:
    """Return the exception to chain as cause, or None where its text would tell a credential."""
    text = f"{problem!r} {problem}"
    return problem if redactor.text(text) == text else None


def is_expired(problem: ActionError) -> bool:
    """Return whether a fresh session may make the same call."""
    return problem.detail.get("aws_code") in EXPIRED


def _read_answer(answer: dict[str, Any]) -> tuple[dict[str, Any], ErrorClass, str]:
    error = answer.get("Error", {})
    metadata = answer.get("ResponseMetadata", {})
    code, status = str(error.get("Code", "Unknown")), int(metadata.get("HTTPStatusCode", 0))
    facts = {"aws_code": code, "http_status": status, "request_id": str(metadata.get("RequestId", ""))}
    return facts, class_of_answer(code, status), str(error.get("Message", ""))


def _class_of_exception(problem: Exception) -> ErrorClass:
    name = next((cls.__name__ for cls in type(problem).__mro__ if cls.__name__ in EXCEPTIONS), None)
    if name == "SSLError" and any(reason in str(problem).upper() for reason in NOT_SENT_TLS):
        return ServiceUnavailable
    return EXCEPTIONS[name] if name is not None else OutcomeUnknown


def _text_of(problem: Exception) -> str:
    """The text, without the parameter values that botocore's validation quotes."""
    text = str(problem)
    return _GIVEN_VALUE.sub("value: not shown", text) if "arameter" in text else text


def _shorten(text: str) -> str:
    text = " ".join(_ENCODED.sub("", text).split())
    return text if len(text) <= LONGEST_MESSAGE else f"{text[: LONGEST_MESSAGE - 3]}..."
