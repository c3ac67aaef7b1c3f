"""The record of every API call that the world received: what a scorer reads."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

_READING_VERBS: Final = (
    "Describe", "Get", "List", "Lookup", "Head", "Search", "BatchGet", "Simulate", "Select", "Decode",
    "Assume", "Decrypt", "GenerateDataKey", "GenerateCredentialReport", "Verify",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Call:
    """One API call."""

    seq: int
    time: str
    """World time, RFC 3339."""
    operation: str
    """``ec2:CreateSnapshots``."""
    account: str
    region: str
    principal: str
    """ARN of the caller, or the access key id if it is nobody's."""
    params: dict[str, Any]
    error: str | None
    """AWS error code of the answer."""
    fault: str | None
    """Kind of the fault that struck the call."""
    mutating: bool
    access_key_id: str = ""
    made: tuple[str, ...] = ()
    """Ids that the answer names and CloudTrail shows: new keys, sessions, instances."""

    def as_json(self) -> dict[str, Any]:
        """Return a JSON object, without what the event history alone needs."""
        return {name: value for name, value in asdict(self).items() if name not in {"access_key_id", "made"}}


class CallLog:
    """Calls in the order of their arrival."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: list[Call] = []

    def add(
        self,
        operation: str,
        *,
        time: str,
        account: str,
        region: str,
        principal: str,
        params: Mapping[str, Any],
        error: str | None,
        fault: str | None,
        access_key_id: str = "",
        made: tuple[str, ...] = (),
    ) -> None:
        """Append a call."""
        with self._lock:
            self._calls.append(
                Call(
                    seq=len(self._calls) + 1,
                    time=time,
                    operation=operation,
                    account=account,
                    region=region,
                    principal=principal,
                    params=plain(params),
                    error=error,
                    fault=fault,
                    mutating=is_mutating(operation) and not params.get("DryRun"),
                    access_key_id=access_key_id,
                    made=made,
                )
            )

    def all(self, *, mutating: bool = False) -> list[Call]:
        """Return the calls so far.

        Args:
            mutating: Only those whose operation changes something.
        """
        with self._lock:
            return [call for call in self._calls if call.mutating or not mutating]


def is_mutating(operation: str) -> bool:
    """Return whether ``service:Operation`` changes anything, by its verb."""
    return not operation.partition(":")[2].startswith(_READING_VERBS)


def plain(value: Any) -> Any:
    """Return a value as JSON types; binary content is replaced by its size and digest."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [plain(item) for item in value]
    if isinstance(value, bytes):
        return {"bytes": len(value), "sha256": hashlib.sha256(value).hexdigest()}
    if isinstance(value, datetime):
        return value.isoformat()
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)
