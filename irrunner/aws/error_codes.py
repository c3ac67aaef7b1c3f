"""AWS error codes and botocore exception classes, as a table of our errors.

Codes differ by service in spelling only; what no set lists is found by the form of its name
(``...NotFound``), then by its HTTP status.
"""

from __future__ import annotations

import re
from typing import TypeAlias

from irrunner.errors import (
    ActionDenied,
    ActionError,
    ActionThrottled,
    ActionTimedOut,
    CredentialsInvalid,
    InvalidCall,
    OutcomeUnknown,
    QuotaExceeded,
    ServiceUnavailable,
    TargetConflict,
    TargetNotFound,
)

ErrorClass: TypeAlias = type[ActionError]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


THROTTLED = _words(
    """
    BandwidthLimitExceeded ConcurrentSnapshotLimitExceeded DependencyThrottle EC2ThrottledException
    PriorRequestNotComplete ProvisionedThroughputExceededException RequestLimitExceeded RequestThrottled
    RequestThrottledException SlowDown SnapshotCreationPerVolumeRateExceeded ThrottledException Throttling
    Throttling.Api Throttling.User ThrottlingException TooManyRequests TooManyRequestsException
    TooManyUpdates
    """
)
"""Slow down. Source: EC2 developer guide, "Request throttling"; the SDKs' standard retry mode."""

CREDENTIALS = _words(
    """
    AuthFailure CredentialsNotSupported ExpiredToken ExpiredTokenException IncompleteSignature
    IncompleteSignatureException InvalidAccessKeyId InvalidClientTokenId InvalidIdentityToken
    InvalidSignatureException InvalidToken MissingAuthenticationToken MissingAuthenticationTokenException
    RegionDisabledException RequestExpired RequestTimeTooSkewed SignatureDoesNotMatch TokenRefreshRequired
    UnrecognizedClientException
    """
)
EXPIRED = _words("ExpiredToken ExpiredTokenException RequestExpired TokenRefreshRequired")
"""The session is over: a new one may make the same call."""

DENIED = _words(
    """
    AccessDenied AccessDeniedException AccessDeniedForDependencyException
    AccountNotManagementOrDelegatedAdministratorException AccountNotRegisteredException
    AccountOwnerNotVerifiedException AccountProblem AllAccessDisabled AuthorizationError
    AuthorizationErrorException Blocked BlockedByOrganizationPolicyException
    CallerIsNotManagementAccountException ConstraintViolationException DecryptionFailure Forbidden
    HandshakeConstraintViolationException IDPRejectedClaim MasterCannotLeaveOrganizationException
    NotAuthorized OperationNotPermitted OptInRequired OrganizationNotInAllFeaturesModeException
    PolicyTypeNotAvailableForOrganizationException PolicyTypeNotEnabledException PublicPolicyException
    SNSNoAuthorization ServiceAccessNotEnabledException SessionDurationEscalationException
    SubscriptionRequiredException Unauthorized UnauthorizedAccess UnauthorizedException
    UnauthorizedOperation
    """
)
CONFLICT = _words(
    """
    AccountAlreadyClosedException AccountAlreadyRegisteredException AlreadyInOrganizationException
    BucketAlreadyOwnedByYou CloudHsmClusterNotActiveException CustomKeyStoreHasCMKsException
    DeleteConflict DependencyViolation EntityTemporarilyUnmodifiable FeatureEnabled
    FinalizingOrganizationException IdempotentCallInProgress IllegalStatusException IncorrectInstanceState
    IncorrectState IncorrectStateException InstanceRefreshInProgress InvalidObjectState InvalidState
    InvalidTokenException KMSInvalidStateException KMSKeyNotAccessibleFault KeyUnavailableException
    NameConflict ObjectAlreadyInActiveTierError ObjectNotInActiveTierError OperationAborted
    OperationAbortedException
    OrganizationNotEmptyException OrganizationalUnitNotEmptyException PolicyTypeAlreadyEnabledException
    PreconditionFailed PreconditionFailedException PreconditionNotMetException ReportInProgress
    ResourceContention ResourceExistsException ResourceNotReadyException
    ResponsibilityTransferAlreadyInStatusException RoleModified ScalingActivityInProgress StatusUnchanged
    UnmodifiableEntity VolumeInUse
    """
)
NOT_FOUND = _words(
    """
    AssociationDoesNotExist AWSOrganizationsNotInUseException DoesNotExistException InvocationDoesNotExist
    ResourceNotDiscoveredException
    OrganizationsNotInUseException UnknownResourceException WAFNonexistentItemException ReportNotPresent
    PolicyNotAttachedException ReportExpired
    """
)
QUOTA = _words(
    """
    InsufficientAddressCapacity InsufficientCapacity InsufficientFreeAddressesInSubnet
    InsufficientInstanceCapacity PackedPolicyTooLarge QuotaExceeded.DBSecurityGroup TooManyBuckets
    """
)
UNAVAILABLE = _words(
    """
    IDPCommunicationError OpenIdIdpCommunicationError RequestTimeout RequestTimeoutException
    ResourceUnavailableException ServiceUnavailable ServiceUnavailableException Unavailable
    XksProxyUriUnreachableException
    """
)
"""Not begun: the service was too busy, or the request never arrived whole."""

FAULT = _words(
    """
    DependencyTimeoutException InternalError InternalException InternalFailure InternalServerError
    InternalServerErrorException InternalServerException InternalServiceError
    InternalServiceErrorException KMSInternalException PolicyEvaluation ServerException ServerInternal
    ServiceException ServiceFailure WAFInternalErrorException
    """
)
"""AWS failed somewhere: a change may have been made all the same."""

INVALID = _words(
    """
    BadRequestException CloudHsmClusterNotRelatedException DryRunOperation DryRunOperationException
    EncryptionFailure EncryptionTypeMismatch ExpiredImportTokenException ExpiredTradeInTokenException
    JWTPayloadSizeExceededException KeyPairMismatch NotSupportedService PasswordPolicyViolation
    PolicyNotAttachable TagException UnrecognizedPublicKeyEncoding X
    XksProxyIncorrectAuthenticationCredentialException
    """
)

LISTED: tuple[tuple[frozenset[str], ErrorClass], ...] = (
    (THROTTLED, ActionThrottled),
    (CREDENTIALS, CredentialsInvalid),
    (DENIED, ActionDenied),
    (CONFLICT, TargetConflict),
    (NOT_FOUND, TargetNotFound),
    (QUOTA, QuotaExceeded),
    (INVALID, InvalidCall),
    (UNAVAILABLE, ServiceUnavailable),
    (FAULT, OutcomeUnknown),
)
_END = r"(Exception|Fault|Error)?$"
FORMS: tuple[tuple[re.Pattern[str], ErrorClass], ...] = (
    (re.compile(rf"(NotFound|DoesNotExist){_END}|^NoSuch"), TargetNotFound),
    (re.compile(rf"(AccessDenied|NotAuthorized|NotPermitted){_END}"), ActionDenied),
    (re.compile(rf"Throttl(ed|ing){_END}"), ActionThrottled),
    (
        re.compile(rf"(Limits?|Quota)Exceeded|^TooMany|^Insufficient\w*Capacity|LimitReached{_END}"),
        QuotaExceeded,
    ),
    (
        re.compile(
            rf"(\.(Duplicate|InUse|AlreadyAssociated|AlreadyExists)|AlreadyExists?|AlreadyInUse|InUse|Conflict"
            rf"|ConcurrentModification|OptimisticLock|InProgress|State|Disabled|NotReady|Pending){_END}|^Duplicate"
        ),
        TargetConflict,
    ),
    (
        re.compile(
            r"^(Invalid|Malformed|Missing|Unknown|Unsupported|Validation|Incorrect|Idempoten(t|cy)Parameter)"
            r"|(Invalid\w*|NotSupported|NotValid|Unsupported|TooLarge|TooLong|Malformed)(Exception|Fault)?$"
        ),
        InvalidCall,
    ),
)
STATUSES: dict[int, ErrorClass] = {
    401: CredentialsInvalid,
    403: ActionDenied,
    404: TargetNotFound,
    408: ServiceUnavailable,
    409: TargetConflict,
    412: TargetConflict,
    429: ActionThrottled,
    500: OutcomeUnknown,
    502: OutcomeUnknown,
    503: ServiceUnavailable,
    504: OutcomeUnknown,
}
SERVER_FAULT = 500


def class_of_code(code: str) -> ErrorClass | None:
    """Return our class of an AWS error code, or None where neither list nor form knows it."""
    for codes, error_class in LISTED:
        if code in codes:
            return error_class
    for form, error_class in FORMS:
        if form.search(code):
            return error_class
    return None


def class_of_answer(code: str, status: int) -> ErrorClass:
    """Return our class of an error answer: by code, else by HTTP status.

    Args:
        code: AWS's code; a HEAD answer has the status as text.
        status: HTTP status, 0 when unknown.
    """
    number = int(code) if code.isdecimal() else status
    fallback = OutcomeUnknown if number >= SERVER_FAULT else InvalidCall
    return class_of_code(code) or STATUSES.get(number, fallback)


BEFORE_SENDING = ServiceUnavailable
"""The request did not leave: no effect."""
AFTER_SENDING = OutcomeUnknown
"""The request left and its answer was lost or cannot be read."""

EXCEPTIONS: dict[str, ErrorClass] = {
    **dict.fromkeys(
        _words(
            """
        ConnectTimeoutError ConnectionError EndpointConnectionError ProxyConnectionError
        """
        ),
        BEFORE_SENDING,
    ),
    **dict.fromkeys(
        _words(
            """
        AwsChunkedWrapperError ChecksumError ConnectionClosedError EventStreamError FlexibleChecksumError
        HTTPClientError IncompleteReadError PaginationError ReadTimeoutError ResponseParserError
        ResponseStreamingError SSLError UnseekableStreamError
        """
        ),
        AFTER_SENDING,
    ),
    **dict.fromkeys(
        _words(
            """
        ConfigNotFound ConfigParseError CredentialRetrievalError InfiniteLoopConfigError
        InvalidConfigError InvalidIMDSEndpointError InvalidIMDSEndpointModeError
        LoginAuthorizationCodeError LoginError LoginInsufficientPermissions LoginRefreshRequired
        LoginTokenLoadError MetadataRetrievalError NoAuthTokenError NoCredentialsError
        PartialCredentialsError ProfileNotFound RefreshWithMFAUnsupportedError SSOError SSOTokenLoadError
        TokenRetrievalError UnauthorizedSSOTokenError UnknownCredentialError UnknownTokenProviderError
        """
        ),
        CredentialsInvalid,
    ),
    **dict.fromkeys(
        _words(
            """
        AliasConflictParameterError ApiVersionNotFoundError BaseEndpointResolverError DataNotFoundError
        EndpointProviderError EndpointResolutionError EndpointVariantError InvalidChecksumConfigError
        InvalidDNSNameError InvalidDefaultsMode InvalidEndpointConfigurationError
        InvalidEndpointDiscoveryConfigurationError InvalidExpressionError InvalidHostLabelError
        InvalidMaxRetryAttemptsError InvalidProxiesConfigError InvalidRegionError
        InvalidRetryConfigurationError InvalidRetryModeError InvalidS3AddressingStyleError
        InvalidS3UsEast1RegionalEndpointConfigError InvalidSTSRegionalEndpointsConfigError
        MD5UnavailableError MissingDependencyException MissingParametersError MissingServiceIdError
        NoRegionError OperationNotPageableError ParamValidationError RangeError ServiceNotInRegionError
        StubAssertionError StubResponseError UnStubbedResponseError UndefinedModelAttributeError
        UnknownClientMethodError UnknownEndpointError UnknownEndpointResolutionBuiltInName
        UnknownFIPSEndpointError UnknownKeyError UnknownParameterError UnknownRegionError
        UnknownServiceError UnknownServiceStyle UnknownSignatureVersionError
        UnsupportedOutpostResourceError UnsupportedS3AccesspointConfigurationError UnsupportedS3ArnError
        UnsupportedS3ConfigurationError UnsupportedS3ControlArnError
        UnsupportedS3ControlConfigurationError UnsupportedServiceProtocolsError
        UnsupportedSignatureVersionError ValidationError WaiterConfigError
        """
        ),
        InvalidCall,
    ),
    "CapacityNotAvailableError": ActionThrottled,
    "WaiterError": ActionTimedOut,
    "BotoCoreError": OutcomeUnknown,
}
"""botocore's class name to ours; ``ClientError`` is read by its code instead."""
