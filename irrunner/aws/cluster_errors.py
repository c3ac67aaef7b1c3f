"""The error map of cluster APIs: a refusal or a lost answer becomes an :class:`irrunner.errors.ActionError`.

Nothing else reads Kubernetes' reasons. Messages name the RBAC verb that is missing; never a token.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from irrunner.aws.cluster_operations import ClusterOperation, cluster_operation
from irrunner.aws.error_codes import AFTER_SENDING, BEFORE_SENDING, ErrorClass, class_of_answer
from irrunner.aws.errors import HINTS, NOT_SENT_TLS
from irrunner.aws.operations import is_read
from irrunner.aws.redact import Redactor
from irrunner.errors import ActionDenied, ActionError, CredentialsInvalid, OutcomeUnknown, ServiceUnavailable

LONGEST_MESSAGE: Final = 300
_NOT_SENT: Final = frozenset(
    {"ConnectTimeoutError", "NameResolutionError", "NewConnectionError", "ProxyError"}
)
"""urllib3's classes for a request that did not leave. Source: urllib3, reference of exceptions."""
_GONE: Final = 410
"""The rest of a list is too old to be read on: read it anew. Source: Kubernetes reference, "API Concepts"."""
_BUSY_S: Final = 1.0


def refusal(
    operation: str, cluster: str, status: int, body: bytes, headers: Mapping[str, str], redactor: Redactor
) -> ActionError:
    """Return our error for an answer of a cluster that is none of success.

    Source: Kubernetes API conventions, "Response Status Kind" (reason and message of a ``Status``).
    """
    told = _status(body)
    reason = str(told.get("reason") or status)
    known = ServiceUnavailable if status == _GONE else class_of_answer(str(status), status)
    error_class = _for_reads(known, operation)
    text = redactor.text(str(told.get("message") or ""))[:LONGEST_MESSAGE]
    detail: dict[str, Any] = {"operation": operation, "aws_code": reason, "http_status": status}
    if headers.get("Retry-After", "").isdecimal():
        detail["retry_after_s"] = max(float(headers["Retry-After"]), _BUSY_S)
    hint = _hint(error_class, cluster, cluster_operation(operation))
    return error_class(f"{operation}: {reason}: {text} (cluster {cluster})", hint=hint, **detail)


def lost(operation: str, cluster: str, problem: Exception, redactor: Redactor) -> ActionError:
    """Return our error for a request that got no answer."""
    names = {
        cls.__name__ for cls in (*type(problem).__mro__, *type(getattr(problem, "reason", None)).__mro__)
    }
    not_sent = names & _NOT_SENT or any(reason in str(problem).upper() for reason in NOT_SENT_TLS)
    error_class = _for_reads(BEFORE_SENDING if not_sent else AFTER_SENDING, operation)
    text = redactor.text(str(problem))[:LONGEST_MESSAGE]
    return error_class(
        f"{operation}: {type(problem).__name__}: {text} (cluster {cluster})",
        hint="check that the cluster's endpoint can be reached from here (endpoint access, allow-list)",
        operation=operation,
        aws_code=type(problem).__name__,
    )


def _status(body: bytes) -> Mapping[str, Any]:
    try:
        told = json.loads(body)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _for_reads(error_class: ErrorClass, operation: str) -> ErrorClass:
    """A read has no effect that could be unknown."""
    return ServiceUnavailable if error_class is OutcomeUnknown and is_read(operation) else error_class


def _hint(error_class: ErrorClass, cluster: str, operation: ClusterOperation) -> str:
    if error_class is ActionDenied:
        return (
            f"allow the action in the cluster: RBAC verb {operation.verb} on {operation.resource}, for the "
            "access entry of the responder's role"
        )
    if error_class is CredentialsInvalid:
        return f"give the responder's role an access entry of cluster {cluster} (eks:CreateAccessEntry)"
    return HINTS.get(error_class, "")
