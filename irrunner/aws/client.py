"""``BotoApi``: the seam's innermost layer, one account and Region through botocore."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import jmespath

from irrunner.aws.clients import Bound, Clients
from irrunner.aws.clusters import ClusterCalls
from irrunner.aws.errors import CAUGHT, cause_of, classify, is_expired
from irrunner.aws.identity import Identity
from irrunner.aws.operations import KUBERNETES, is_read
from irrunner.aws.redact import Redactor
from irrunner.errors import ActionError, InvalidCall

T = TypeVar("T")

SAFE_TO_REPEAT = frozenset({"sts:AssumeRole"})
"""Not reads, yet twice is as good as once."""


class BotoApi:
    """A :class:`irrunner.aws.api.CloudApi` over botocore."""

    def __init__(
        self,
        clients: Clients,
        identity: Identity,
        region: str,
        redactor: Redactor,
        elsewhere: Callable[[str], BotoApi],
    ) -> None:
        """Keep the parts; nothing is sent.

        Args:
            clients: The shared pool.
            identity: Whose calls these are.
            region: Of all calls.
            redactor: Cleans messages.
            elsewhere: Returns the same account and permissions in another Region.
        """
        self._clients = clients
        self._identity = identity
        self._elsewhere = elsewhere
        self._redactor = redactor
        self.region = region
        self._clusters = ClusterCalls(
            lambda name: self.call("eks:DescribeCluster", name=name), clients, identity, region, redactor
        )

    def __repr__(self) -> str:
        return f"BotoApi({self._identity.name}, {self.region})"

    def call(self, operation: str, /, **params: Any) -> Mapping[str, Any]:
        """See :class:`irrunner.aws.api.CloudApi`; the answer keeps ``ResponseMetadata``."""
        if operation.startswith(KUBERNETES):
            return self._clusters.call(operation, params)
        return self._attempt(operation, lambda bound: bound.call(params))

    def pages(self, operation: str, path: str, /, **params: Any) -> list[Any]:
        """See :class:`irrunner.aws.api.CloudApi`.

        Raises:
            InvalidCall: If the operation does not only read.
        """
        if not is_read(operation):
            raise InvalidCall(f"{operation} changes AWS; only reads have pages", operation=operation)
        if operation.startswith(KUBERNETES):
            return self._clusters.pages(operation, path, params)
        items = jmespath.compile(path)

        def collect(bound: Bound) -> list[Any]:
            return [item for page in bound.pages(params) for item in items.search(page) or ()]

        return self._attempt(operation, collect)

    def in_region(self, region: str) -> BotoApi:
        """See :class:`irrunner.aws.api.CloudApi`."""
        return self if region == self.region else self._elsewhere(region)

    def _attempt(self, operation: str, send: Callable[[Bound], T]) -> T:
        """Send once; once more where the session had ended, for then nothing was done."""
        try:
            return self._send(operation, send)
        except ActionError as problem:
            if is_expired(problem) and self._identity.credentials.renew():
                return self._send(operation, send)
            raise

    def _send(self, operation: str, send: Callable[[Bound], T]) -> T:
        retries = is_read(operation) or operation in SAFE_TO_REPEAT
        try:
            bound = self._clients.bound(operation, self.region, self._identity, retries=retries)
            return send(bound)
        except CAUGHT as problem:
            error = classify(problem, operation, redactor=self._redactor)
            raise error from cause_of(problem, self._redactor)
