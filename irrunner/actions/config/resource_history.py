"""``aws.config.get-resource-history``: what a resource was like before, from AWS Config's memory.

A configuration may hold what an attacker wrote. It is handed on as data, bounded in number and in size.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final, Self

from pydantic import AwareDatetime, Field, model_validator

from irrunner.actions.contract import Action, Decision, LookContext, Model, Permission, Settled, State, Where
from irrunner.actions.ids import ResourceId, ResourceType
from irrunner.actions.registry import action
from irrunner.clock import iso
from irrunner.vocabulary import Phase, Risk, UndoPolicy

CONFIGURATION_CHARACTERS: Final = 65_536
"""Longest configuration that is kept whole."""
_PAGE: Final = 100


class ResourceHistoryParams(Model):
    """Parameters."""

    resource_type: ResourceType
    resource_id: ResourceId
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    """Default: the step's start."""
    max_items: int = Field(default=20, ge=1, le=200)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.since is not None and self.until is not None and self.until <= self.since:
            raise ValueError("until is not after since")
        return self


class HistoryItem(Model):
    """One configuration of the resource, as Config captured it."""

    captured_at: str
    status: str
    """``OK``, ``ResourceDiscovered``, ``ResourceDeleted`` ..."""
    arn: str
    configuration: dict[str, Any]
    """By Config's names; empty where it is none, or too long (see ``truncated``)."""
    supplementary: dict[str, str]
    tags: dict[str, str]
    truncated: bool


class ResourceHistoryOutputs(Model):
    """Outputs."""

    resource_type: str
    resource_id: str
    items: list[HistoryItem]
    """Newest first."""
    complete: bool
    """False: Config knows more of them."""


class ResourceHistoryState(State):
    """What was read."""

    found: ResourceHistoryOutputs


@action(
    "aws.config.get-resource-history",
    title="Get the earlier configurations of a resource from AWS Config",
    phase=Phase.ANALYSIS,
    risk=Risk.NONE,
    timeout_s=300.0,
    permissions=(Permission("config:GetResourceConfigHistory"),),
    undo=UndoPolicy.NEVER,
    undo_note="Reads only: there is nothing to undo.",
    sources=(
        "https://docs.aws.amazon.com/config/latest/APIReference/API_GetResourceConfigHistory.html",
        "https://docs.aws.amazon.com/config/latest/APIReference/API_ConfigurationItem.html",
    ),
)
class GetResourceHistory(Action[ResourceHistoryParams, ResourceHistoryState]):
    """Read items, the newest first, up to a number."""

    Params = ResourceHistoryParams
    Outputs = ResourceHistoryOutputs
    StateModel = ResourceHistoryState

    def look(self, ctx: LookContext, params: ResourceHistoryParams) -> ResourceHistoryState:
        """Read page by page until the bound."""
        items: list[HistoryItem] = []
        complete = True
        for page in _pages(ctx, params):
            items += [_item(raw) for raw in page.get("configurationItems") or ()]
            complete = not page.get("nextToken")
            if len(items) >= params.max_items:
                break
        found = ResourceHistoryOutputs(
            resource_type=params.resource_type,
            resource_id=params.resource_id,
            items=items[: params.max_items],
            complete=complete and len(items) <= params.max_items,
        )
        return ResourceHistoryState(found=found)

    def decide(self, params: ResourceHistoryParams, state: ResourceHistoryState) -> Decision:
        """Nothing is ever to be done."""
        found = state.found
        told = (
            (
                not found.complete,
                f"only the newest {len(found.items)} items: narrow since and until for more",
            ),
            (not found.items, f"Config has no item of {params.resource_id} in this time"),
            (
                any(item.truncated for item in found.items),
                f"configurations over {CONFIGURATION_CHARACTERS} characters are left out",
            ),
        )
        return Settled(found, tuple(text for holds, text in told if holds))

    def targets(self, params: ResourceHistoryParams, where: Where) -> tuple[str, ...]:
        """Return nothing: reads only."""
        return ()


def _pages(ctx: LookContext, params: ResourceHistoryParams) -> Iterator[Mapping[str, Any]]:
    """Yield pages; Config may answer empty ones that are not the last."""
    window = {"laterTime": params.until or ctx.started}
    if params.since is not None:
        window["earlierTime"] = params.since
    more: dict[str, str] = {}
    for _ in range(params.max_items):
        page = ctx.api.call(
            "config:GetResourceConfigHistory",
            resourceType=params.resource_type,
            resourceId=params.resource_id,
            chronologicalOrder="Reverse",
            limit=min(params.max_items, _PAGE),
            **window,
            **more,
        )
        yield page
        if not page.get("nextToken"):
            return
        more = {"nextToken": page["nextToken"]}


def _item(raw: Mapping[str, Any]) -> HistoryItem:
    captured = raw.get("configurationItemCaptureTime")
    text = raw.get("configuration") or ""
    supplementary = raw.get("supplementaryConfiguration") or {}
    size = len(text) + sum(map(len, supplementary.values()))
    fits = size <= CONFIGURATION_CHARACTERS
    return HistoryItem(
        captured_at=iso(captured) if isinstance(captured, datetime) else "",
        status=raw.get("configurationItemStatus") or "",
        arn=raw.get("arn") or "",
        configuration=_parsed(text) if fits else {},
        supplementary=dict(supplementary) if fits else {},
        tags=dict(raw.get("tags") or {}),
        truncated=not fits,
    )


def _parsed(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
