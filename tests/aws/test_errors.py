"""The error map is complete, and its messages are fit for 03:00."""

from __future__ import annotations

import inspect
from typing import Any

import boto3.exceptions
import botocore.exceptions
import botocore.session
import pytest

from irrunner.aws.error_codes import EXCEPTIONS, LISTED, class_of_answer, class_of_code
from irrunner.aws.errors import CAUGHT, HINTS, LONGEST_MESSAGE, cause_of, classify, is_expired
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

CHANGE, READ = "ec2:StopInstances", "ec2:DescribeInstances"
BOTOCORE = [
    cls
    for cls in vars(botocore.exceptions).values()
    if inspect.isclass(cls) and issubclass(cls, Exception) and not issubclass(cls, Warning)
    if cls.__module__ == "botocore.exceptions"
]


def raw(cls: type[Exception], text: str = "text") -> Exception:
    """Return an exception without knowing its constructor."""
    problem = cls.__new__(cls)
    Exception.__init__(problem, text)
    return problem


def answer(code: str, status: int = 400, message: str = "text") -> botocore.exceptions.ClientError:
    """Return an error answer of AWS."""
    metadata = {"HTTPStatusCode": status, "RequestId": "req-1"}
    body: Any = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": metadata}
    return botocore.exceptions.ClientError(body, "StopInstances")


@pytest.mark.parametrize("cls", BOTOCORE, ids=lambda cls: cls.__name__)
def test_every_exception_of_botocore_is_mapped(cls: type[Exception]) -> None:
    """A new botocore with a new exception class fails here, not at 03:00."""
    assert cls.__name__ in EXCEPTIONS or issubclass(cls, botocore.exceptions.ClientError)
    assert issubclass(cls, CAUGHT)
    assert isinstance(classify(raw(cls), CHANGE), ActionError)


def test_the_map_names_no_class_that_is_gone() -> None:
    """Names that botocore has dropped go from the map too."""
    assert set(EXCEPTIONS) - {cls.__name__ for cls in BOTOCORE} == {"ResponseParserError"}


def test_boto3_adds_nothing_to_what_clients_raise() -> None:
    """boto3's own exceptions belong to resources and transfers, which the seam does not use."""
    assert not issubclass(boto3.exceptions.Boto3Error, CAUGHT)


@pytest.mark.parametrize("name", ["ConnectTimeoutError", "EndpointConnectionError", "ProxyConnectionError"])
def test_before_sending_is_unavailable(name: str) -> None:
    """Nothing left this machine: a retry is safe, also of a change."""
    assert type(classify(raw(getattr(botocore.exceptions, name)), CHANGE)) is ServiceUnavailable


@pytest.mark.parametrize(
    "name", ["ReadTimeoutError", "ConnectionClosedError", "IncompleteReadError", "SSLError"]
)
def test_after_sending_a_change_is_unknown_and_a_read_unavailable(name: str) -> None:
    """An answer that was lost on its way hides whether the effect happened."""
    problem = raw(getattr(botocore.exceptions, name))
    assert type(classify(problem, CHANGE)) is OutcomeUnknown
    assert type(classify(problem)) is OutcomeUnknown
    assert type(classify(problem, READ)) is ServiceUnavailable


def test_refused_certificate_is_before_sending() -> None:
    """A handshake that failed carried no request."""
    problem = raw(botocore.exceptions.SSLError, "[SSL: CERTIFICATE_VERIFY_FAILED]")
    assert type(classify(problem, CHANGE)) is ServiceUnavailable


@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [
        *[
            (code, 400, ActionThrottled)
            for code in [
                "RequestLimitExceeded",
                "Throttling",
                "ThrottlingException",
                "ThrottledException",
                "TooManyRequestsException",
                "SlowDown",
                "RequestThrottled",
                "ProvisionedThroughputExceededException",
                "PriorRequestNotComplete",
            ]
        ],
        ("UnauthorizedOperation", 403, ActionDenied),
        ("AccessDenied", 403, ActionDenied),
        ("AccessDeniedException", 400, ActionDenied),
        ("OptInRequired", 403, ActionDenied),
        ("InvalidInstanceID.NotFound", 400, TargetNotFound),
        ("InvalidGroup.NotFound", 400, TargetNotFound),
        ("InvalidSnapshot.NotFound", 400, TargetNotFound),
        ("NoSuchEntity", 404, TargetNotFound),
        ("NoSuchBucket", 404, TargetNotFound),
        ("NotFoundException", 400, TargetNotFound),
        ("404", 404, TargetNotFound),
        ("IncorrectInstanceState", 400, TargetConflict),
        ("DependencyViolation", 400, TargetConflict),
        ("InvalidPermission.Duplicate", 400, TargetConflict),
        ("InvalidGroup.Duplicate", 400, TargetConflict),
        ("EntityAlreadyExists", 409, TargetConflict),
        ("ConcurrentModification", 409, TargetConflict),
        ("WAFOptimisticLockException", 400, TargetConflict),
        ("InvalidInstanceID.Malformed", 400, InvalidCall),
        ("InvalidParameterValue", 400, InvalidCall),
        ("ValidationError", 400, InvalidCall),
        ("MalformedPolicyDocument", 400, InvalidCall),
        ("UnsupportedOperation", 400, InvalidCall),
        ("LimitExceeded", 409, QuotaExceeded),
        ("ResourceLimitExceeded", 400, QuotaExceeded),
        ("SecurityGroupLimitExceeded", 400, QuotaExceeded),
        ("ServiceQuotaExceededException", 402, QuotaExceeded),
        ("PackedPolicyTooLarge", 400, QuotaExceeded),
        ("ExpiredToken", 400, CredentialsInvalid),
        ("RequestExpired", 400, CredentialsInvalid),
        ("AuthFailure", 401, CredentialsInvalid),
        ("InvalidClientTokenId", 403, CredentialsInvalid),
        ("ServiceUnavailable", 503, ServiceUnavailable),
        ("InternalError", 500, OutcomeUnknown),
        ("NeverHeardOf", 500, OutcomeUnknown),
        ("NeverHeardOf", 503, ServiceUnavailable),
        ("NeverHeardOf", 429, ActionThrottled),
        ("NeverHeardOf", 403, ActionDenied),
        ("NeverHeardOf", 400, InvalidCall),
    ],
)
def test_codes_of_aws(code: str, status: int, expected: type[ActionError]) -> None:
    """Codes are told apart by what the runner does next."""
    assert class_of_answer(code, status) is expected


def test_listed_codes_stand_in_one_list_each() -> None:
    """A code in two lists would mean two things."""
    listed = [code for codes, _ in LISTED for code in codes]
    assert len(listed) == len(set(listed))


@pytest.mark.parametrize(
    "service", ["ebs", "guardduty", "iam", "kms", "organizations", "s3", "secretsmanager", "sts"]
)
def test_errors_that_services_declare_are_understood(service: str) -> None:
    """Every error in the model of a service that we call is mapped by its code, not by its status."""
    model = botocore.session.Session().get_service_model(service)
    codes = {shape.error_code for shape in model.error_shapes}
    assert {code for code in codes if class_of_code(code) is None} == set()


def test_message_says_operation_code_request_and_remedy() -> None:
    """One line tells what happened, where, under which request, and what to do."""
    error = classify(answer("IncorrectState", message="It is\n  running"), CHANGE)
    assert str(error) == (
        "ec2:StopInstances: IncorrectState: It is running (request req-1) "
        "(the resource is in another state now; look again)"
    )
    detail = {"operation": CHANGE, "aws_code": "IncorrectState", "http_status": 400, "request_id": "req-1"}
    assert error.detail == detail


def test_every_class_says_what_to_do() -> None:
    """Each class that the map can give has a hint."""
    given = {cls for _, cls in LISTED} | set(EXCEPTIONS.values())
    assert {cls.__name__ for cls in given - set(HINTS)} == {"ActionTimedOut"}


def test_long_messages_are_cut() -> None:
    """AWS can answer with kilobytes."""
    assert len(classify(answer("X", message="a b " * 1000), CHANGE).message) < LONGEST_MESSAGE + 100


def test_signature_error_does_not_echo_the_token() -> None:
    """AWS echoes the canonical request, with our session token in it; neither message nor cause keeps it."""
    token = "FwoGZXIvYXdzEJr" + "A1b2C3d4" * 20
    problem = answer("SignatureDoesNotMatch", 403, f"The Canonical String was x-amz-security-token:{token}")
    assert token not in str(classify(problem, CHANGE))
    assert cause_of(problem, Redactor()) is None
    harmless = answer("IncorrectState")
    assert cause_of(harmless, Redactor()) is harmless


def test_our_own_errors_pass_unchanged() -> None:
    """An error that another layer has classified already is not wrapped again."""
    ours = TargetNotFound("gone")
    assert classify(ours, CHANGE) is ours


def test_expired_sessions_are_recognised() -> None:
    """Only an ended session is worth a second try with a fresh one."""
    assert is_expired(classify(answer("ExpiredTokenException"), CHANGE))
    assert not is_expired(classify(answer("AuthFailure"), CHANGE))
