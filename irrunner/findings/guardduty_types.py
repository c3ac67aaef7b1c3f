"""GuardDuty finding types: one spelling, what AWS still sends, and what replaced what it does not.

Source: the finding type tables of the GuardDuty user guide ("Active finding types", "Retired finding types").
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final

_SPELLING: Final = re.compile(r"([A-Za-z]+):([A-Za-z0-9]+)[ ./-](\S.*)", re.DOTALL)
_IN_ASFF: Final = re.compile(r"[A-Za-z]+:[A-Za-z0-9]+[ ./-]\S.*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class GuardDutyTypes:
    """The known finding types."""

    active: frozenset[str]
    retired: Mapping[str, str]
    """Retired type to the active one that covers the same behaviour; empty text where there is none."""


@cache
def guardduty_types() -> GuardDutyTypes:
    """Return the packaged list."""
    file = resources.files("irrunner.findings") / "guardduty_types.json"
    data = json.loads(file.read_text(encoding="utf-8"))
    return GuardDutyTypes(frozenset(data["active"]), data["retired"])


def canonical_type(name: str) -> str:
    """Return a GuardDuty type as AWS spells it: ``Tactic:Resource/Name``.

    Security Hub writes ``-`` or ``.`` for the slash, hand-made events a space.
    """
    return _SPELLING.sub(r"\1:\2/\3", name, count=1) if _SPELLING.fullmatch(name) else name


def type_in_asff(names: list[str]) -> str:
    """Return the GuardDuty type in ASFF's ``namespace/category/classifier`` texts; else empty."""
    for name in names:
        found = _IN_ASFF.search(name)
        if found:
            return canonical_type(found.group())
    return ""


def successor(name: str) -> str:
    """Return the active type that replaced a retired one; else empty."""
    return guardduty_types().retired.get(name, "")
