"""The service control policies over an account, level by level.

Source: Organizations user guide, "SCP evaluation": they do not bind the management account.
"""

from __future__ import annotations

from gameday.world import seam
from gameday.world.organisation import Organisation


def levels(organisation: Organisation, account: str) -> tuple[tuple[str, ...], ...]:
    """Return the policies at each level from the root down; none for the management account.

    Args:
        organisation: The accounts.
        account: The caller's.
    """
    management = organisation.management
    if account == management or "aws" not in seam.used("organizations", management):
        return ()
    known = getattr(seam.backend("organizations", management, "aws"), "world_policies", None)
    if known is None:
        return ()
    return tuple(
        tuple(policy.content for policy in attached)
        for attached in (known.of(target) for target in known.path_to(account))
        if attached
    )
