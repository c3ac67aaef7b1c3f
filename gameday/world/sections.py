"""What the canonical state shows beside instances, keys and identities: a section for each kind of resource.

A section is shown where it holds something, so that a service that was only read leaves no trace.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gameday.world import guardduty, messages, securityhub, ssm


@dataclass(frozen=True, slots=True)
class Section:
    """One kind of resource.

    Args:
        name: Its key in the state, ``load_balancers``.
        service: moto's name of the service that holds it.
        show: moto's backend of one account and Region to the resources by id, JSON-able, without times.
    """

    name: str
    service: str
    show: Callable[[Any], Mapping[str, Any]]


REGIONAL: Final[tuple[Section, ...]] = (
    Section("guardduty_findings", "guardduty", guardduty.shown_findings),
    Section("securityhub_findings", "securityhub", securityhub.shown_findings),
    Section("sns_messages", "sns", messages.shown_messages),
    Section("ssm_commands", "ssm", ssm.shown_commands),
    Section("events", "events", messages.shown_events),
)
"""Sections under ``accounts/<id>/regions/<region>``."""

GLOBAL: Final[tuple[Section, ...]] = ()
"""Sections under ``accounts/<id>``, of services that have no Regions."""
