"""The local port: notifications and evidence records, for calls of scope ``local``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from irrunner.actions.sending import Port
from irrunner.errors import InvalidCall
from irrunner.journal.records import canonical, digest


class LocalPort:
    """Dispatches ``notify:Send`` and ``evidence:Record``.

    Evidence items are kept in the outcome record of their step: their id is the digest of the item, so
    that recording the same item twice is the same item.
    """

    def __init__(self, run_id: str, channels: Port) -> None:
        """Make the port of a run.

        Args:
            run_id: The run.
            channels: Takes ``notify:Send``.
        """
        self._run_id = run_id
        self._channels = channels

    def call(self, operation: str, /, **params: Any) -> Mapping[str, Any]:
        """Call a local operation. Raises InvalidCall for an unknown one."""
        if operation == "notify:Send":
            return self._channels.call(operation, **params)
        if operation == "evidence:Record":
            item = {"run_id": self._run_id, **params}
            return {"EvidenceId": f"evidence-{digest(canonical(item))[:20]}"}
        raise InvalidCall(f"no local operation {operation}")
