"""The local port of a run: what actions send past AWS, to the place that takes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from irrunner.actions.sending import Port
from irrunner.errors import InvalidCall


class LocalPort:
    """Hands an operation to the port of its prefix (``notify``, ``ticket``)."""

    def __init__(self, ports: Mapping[str, Port]) -> None:
        """Keep ports by prefix."""
        self._ports = ports

    def call(self, operation: str, /, **params: Any) -> Mapping[str, Any]:
        """Call one operation.

        Raises:
            InvalidCall: If no port takes it.
        """
        port = self._ports.get(operation.partition(":")[0])
        if port is None:
            raise InvalidCall(f"{operation} is no local operation", operation=operation)
        return port.call(operation, **params)
