"""What the objects of a world's cluster do when they are read, made, patched and deleted.

Source: Kubernetes reference, "API Concepts" (resourceVersion, preconditions, ``continue``); RFC 7386.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gameday.world import clusters
from gameday.world.paging import SIZE, page
from gameday.world.refusals import Refusal

_PLURALS: Final = {"NetworkPolicy": "NetworkPolicies"}
_LABEL: Final = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?")


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, parsed."""

    account: str
    region: str
    cluster: str
    namespace: str
    resource: str
    name: str
    kind: str
    verb: str
    query: Mapping[str, str]
    body: Any
    content_type: str
    token: str

    @property
    def operation(self) -> str:
        """Return the operation's name in the call log and in faults."""
        plural = _PLURALS.get(self.kind, f"{self.kind}s") if self.verb == "List" else self.kind
        return f"kubernetes:{self.verb}{plural}"


def _get(cluster: Any, asked: Asked) -> dict[str, Any]:
    return copy.deepcopy(_item(cluster, asked))


def _list(cluster: Any, asked: Asked) -> dict[str, Any]:
    found = list(_matching(cluster, asked))
    size = min(int(asked.query.get("limit") or SIZE), SIZE)
    shown = page("items", found, asked.query.get("continue"), following="continue", size=size)
    more = shown.get("continue", "")
    return {"kind": f"{asked.kind}List", "metadata": {"continue": more}, "items": shown["items"]}


def _matching(cluster: Any, asked: Asked) -> Iterator[dict[str, Any]]:
    wanted = dict(part.split("=", 1) for part in asked.query.get("labelSelector", "").split(",") if part)
    for (resource, namespace, _), item in sorted(cluster.objects.items()):
        labels = item["metadata"].get("labels") or {}
        here = resource == asked.resource and asked.namespace in {"", namespace}
        if here and wanted.items() <= labels.items():
            yield copy.deepcopy(item)


def _create(cluster: Any, asked: Asked) -> dict[str, Any]:
    item = asked.body if isinstance(asked.body, dict) else {}
    name = (item.get("metadata") or {}).get("name")
    if not name or not isinstance(item.get("spec"), dict) or "podSelector" not in item["spec"]:
        raise Refusal("Invalid", f'{asked.kind} "{name}" is invalid: spec.podSelector: Required value', 422)
    if (asked.resource, asked.namespace, name) in cluster.objects:
        raise Refusal("AlreadyExists", f'{asked.resource} "{name}" already exists', 409)
    _check_labels(asked, item)
    return clusters.put(cluster, asked.resource, asked.namespace, copy.deepcopy(item))


def _replace(cluster: Any, asked: Asked) -> dict[str, Any]:
    item, body = _item(cluster, asked), asked.body if isinstance(asked.body, dict) else {}
    _check_version(asked, item, body)
    _check_labels(asked, body)
    kept = {name: item["metadata"][name] for name in ("name", "uid")}
    replaced = copy.deepcopy(body)
    replaced["metadata"] = {**(replaced.get("metadata") or {}), **kept}
    return clusters.put(cluster, asked.resource, asked.namespace, replaced)


def _patch(cluster: Any, asked: Asked) -> dict[str, Any]:
    if "merge-patch+json" not in asked.content_type or not isinstance(asked.body, dict):
        raise Refusal("UnsupportedMediaType", "the body of the request was in an unknown format", 415)
    item = _item(cluster, asked)
    _check_version(asked, item, asked.body)
    merged = _merged(item, asked.body)
    _check_labels(asked, merged)
    return clusters.put(cluster, asked.resource, asked.namespace, merged)


def _delete(cluster: Any, asked: Asked) -> dict[str, Any]:
    item = _item(cluster, asked)
    wanted = ((asked.body or {}).get("preconditions") or {}).items()
    if any(item["metadata"].get(field) != value for field, value in wanted):
        text = f'Operation cannot be fulfilled on {asked.resource} "{asked.name}": precondition failed'
        raise Refusal("Conflict", text, 409)
    del cluster.objects[asked.resource, asked.namespace, asked.name]
    return {"kind": "Status", "status": "Success"}


SERVED: Final[Mapping[str, Callable[[Any, Asked], dict[str, Any]]]] = {
    "Get": _get,
    "List": _list,
    "Create": _create,
    "Replace": _replace,
    "Patch": _patch,
    "Delete": _delete,
}


def _item(cluster: Any, asked: Asked) -> dict[str, Any]:
    found: dict[str, Any] | None = cluster.objects.get((asked.resource, asked.namespace, asked.name))
    if found is None:
        raise Refusal("NotFound", f'{asked.resource} "{asked.name}" not found', 404)
    return found


def _merged(value: Any, patch: Any) -> Any:
    """Source: RFC 7386, JSON Merge Patch."""
    if not isinstance(patch, dict):
        return patch
    result = copy.deepcopy(value) if isinstance(value, dict) else {}
    for name, part in patch.items():
        if part is None:
            result.pop(name, None)
        else:
            result[name] = _merged(result.get(name), part)
    return result


def _check_version(asked: Asked, item: Mapping[str, Any], body: Mapping[str, Any]) -> None:
    given = body.get("metadata") or {}
    for field in ("uid", "resourceVersion"):
        if field in given and given[field] != item["metadata"][field]:
            text = f'Operation cannot be fulfilled on {asked.resource} "{asked.name}": the {field} is another'
            raise Refusal("Conflict", text, 409)


def _check_labels(asked: Asked, item: Mapping[str, Any]) -> None:
    for key, value in ((item.get("metadata") or {}).get("labels") or {}).items():
        if not _LABEL.fullmatch(str(value)) or not _LABEL.fullmatch(key.rpartition("/")[2]):
            text = f'{asked.kind} "{asked.name}" is invalid: metadata.labels: Invalid value: "{key}={value}"'
            raise Refusal("Invalid", text, 422)
