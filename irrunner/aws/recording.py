"""Recording: what was called, when and with which answer; parameters only as a digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from irrunner.aws.api import CloudApi
from irrunner.aws.operations import is_read
from irrunner.clock import Clock, iso
from irrunner.errors import ActionError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One call, as the journal keeps it."""

    operation: str
    account_id: str
    region: str
    mutating: bool
    params_sha256: str
    started_at: str
    ended_at: str
    request_id: str = ""
    error: str = ""
    """AWS's code, or ours where AWS did not answer."""

    def as_dict(self) -> dict[str, Any]:
        """Return the record as JSON-able data."""
        return asdict(self)


def params_digest(params: Mapping[str, Any]) -> str:
    """Return the SHA-256 of the parameters' canonical JSON; times and bytes count as their text."""
    text = json.dumps(params, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


class RecordingApi:
    """A :class:`irrunner.aws.api.CloudApi` that tells a sink of every call, whether or not it succeeds."""

    def __init__(
        self,
        api: CloudApi,
        sink: Callable[[CallRecord], None],
        clock: Clock,
        *,
        account_id: str,
        region: str,
    ) -> None:
        """Wrap a seam.

        Args:
            api: The next layer.
            sink: Is called once for each call, after it; must be safe for threads.
            clock: For the times.
            account_id: Of the session.
            region: Of the session.
        """
        self._api = api
        self._sink = sink
        self._clock = clock
        self._account_id = account_id
        self._region = region

    def call(self, operation: str, /, **params: Any) -> Mapping[str, Any]:
        """See :class:`irrunner.aws.api.CloudApi`."""
        return self._recorded(operation, params, lambda: self._api.call(operation, **params))

    def pages(self, operation: str, path: str, /, **params: Any) -> list[Any]:
        """See :class:`irrunner.aws.api.CloudApi`; all pages are one record."""
        return self._recorded(operation, params, lambda: self._api.pages(operation, path, **params))

    def in_region(self, region: str) -> RecordingApi:
        """See :class:`irrunner.aws.api.CloudApi`."""
        return RecordingApi(
            self._api.in_region(region), self._sink, self._clock, account_id=self._account_id, region=region
        )

    def _recorded(self, operation: str, params: Mapping[str, Any], send: Callable[[], T]) -> T:
        started_at = iso(self._clock.now())

        def record(request_id: str, error: str = "") -> None:
            self._sink(
                CallRecord(
                    operation=operation,
                    account_id=self._account_id,
                    region=self._region,
                    mutating=not is_read(operation),
                    params_sha256=params_digest(params),
                    started_at=started_at,
                    ended_at=iso(self._clock.now()),
                    request_id=request_id,
                    error=error,
                )
            )

        try:
            answer = send()
        except ActionError as problem:
            code = str(problem.detail.get("aws_code", problem.code))
            record(str(problem.detail.get("request_id", "")), code)
            raise
        record(_request_id(answer))
        return answer


def _request_id(answer: object) -> str:
    metadata = answer.get("ResponseMetadata", {}) if isinstance(answer, Mapping) else {}
    return str(metadata.get("RequestId", ""))
