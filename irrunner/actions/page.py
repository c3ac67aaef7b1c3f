"""The page of an action: for `irrunner explain` and docs/reference/actions (generated from the same text)."""

from __future__ import annotations

from typing import Any

from irrunner.actions.contract import AnyAction, Model
from irrunner.aws.cluster_operations import cluster_operation
from irrunner.aws.operations import KUBERNETES


def fields_of(model: type[Model]) -> list[dict[str, Any]]:
    """Return the fields of a parameter or output model: name, type, whether required, default, meaning."""
    schema = model.model_json_schema()
    required = set(schema.get("required", ()))
    fields = []
    for name, entry in schema.get("properties", {}).items():
        fields.append(
            {
                "name": name,
                "type": type_of(entry, schema.get("$defs", {})),
                "required": name in required,
                "default": entry.get("default"),
                "description": entry.get("description", ""),
            }
        )
    return fields


def type_of(entry: dict[str, Any], definitions: dict[str, Any]) -> str:
    """Return a JSON Schema entry's type in a few words: ``list<string>``."""
    if "$ref" in entry:
        name = entry["$ref"].rpartition("/")[2]
        return (
            type_of(definitions.get(name, {}), definitions) if "type" in definitions.get(name, {}) else name
        )
    if "anyOf" in entry:
        return " or ".join(type_of(choice, definitions) for choice in entry["anyOf"])
    kind = str(entry.get("type", "any"))
    if kind == "array":
        return f"list<{type_of(entry.get('items', {}), definitions)}>"
    if kind == "object" and "additionalProperties" in entry:
        extra = entry["additionalProperties"]
        return f"map<string, {type_of(extra, definitions) if isinstance(extra, dict) else 'any'}>"
    return kind


def action_document(action: AnyAction) -> dict[str, Any]:
    """Return everything that an action declares, as JSON-able data."""
    return {
        "id": action.id,
        "title": action.title,
        "description": type(action).__doc__ or "",
        "phase": action.phase,
        "risk": action.risk,
        "timeout_s": action.timeout_s,
        "settle": action.settle,
        "undo": action.undo,
        "undo_note": action.undo_note,
        "contract": action.contract,
        "may_expire": action.may_expire,
        "evidence": action.evidence,
        "params": fields_of(action.Params),
        "outputs": fields_of(action.Outputs),
        "permissions": [
            {"action": entry.action, "resource": entry.resource, "scope": entry.scope, "use": entry.use}
            for entry in action.permissions
        ],
        "sources": list(action.sources),
    }


def action_page(action: AnyAction) -> str:
    """Return the action's page in Markdown."""
    document = action_document(action)
    lines = [
        *(f"# {action.id}", "", f"{action.title}.", "", _paragraph(document["description"]), ""),
        f"Phase: {action.phase}. Risk: {action.risk}. Time limit: {action.timeout_s:g} s.",
        f"After a crash it is settled by: {action.settle}.",
        *("", f"Undo: **{action.undo}**. {action.undo_note}", ""),
        *(("A step may let it come off by itself: `expires_after`.", "") if action.may_expire else ()),
        *(("Evidence: a run in which it is not verified is `partial`.", "") if action.evidence else ()),
        *("## Parameters", "", *_fields(document["params"])),
        *("## Outputs", "", *_fields(document["outputs"])),
        *("## Permissions", "", *_permissions(action)),
    ]
    if action.sources:
        lines += ["## Sources", "", *(f"- <{source}>" for source in action.sources), ""]
    return "\n".join(lines).rstrip() + "\n"


def _paragraph(text: str) -> str:
    return "\n".join(line.strip() for line in text.strip().splitlines())


def _fields(fields: list[dict[str, Any]]) -> list[str]:
    if not fields:
        return ["None.", ""]
    rows = ["| name | type | required | default | meaning |", "|---|---|---|---|---|"]
    for entry in fields:
        default = "" if entry["required"] or entry["default"] is None else f"`{entry['default']}`"
        required = "yes" if entry["required"] else "no"
        meaning = " ".join(str(entry["description"]).split()).replace("|", "\\|")
        rows.append(f"| `{entry['name']}` | {entry['type']} | {required} | {default} | {meaning} |")
    return [*rows, ""]


def _permissions(action: AnyAction) -> list[str]:
    if not action.permissions:
        return ["None: it calls no AWS API.", ""]
    rows = ["| permission | resource | account | for |", "|---|---|---|---|"]
    rows += [
        f"| `{entry.action}` | `{entry.resource}` | {entry.scope} | {entry.use} |"
        for entry in action.permissions
        if not entry.action.startswith(KUBERNETES)
    ]
    return [*rows, "", *_cluster_permissions(action)]


def _cluster_permissions(action: AnyAction) -> list[str]:
    """Return what the cluster grants: IAM and session policies know nothing of it."""
    needed = [entry for entry in action.permissions if entry.action.startswith(KUBERNETES)]
    if not needed:
        return []
    rows = ["In the cluster (RBAC, for the access entry of the responder's role):", ""]
    rows += ["| verb | resource | API group | for |", "|---|---|---|---|"]
    for entry in needed:
        known = cluster_operation(entry.action)
        rows.append(f"| `{known.verb}` | `{known.resource}` | `{known.group}` | {entry.use} |")
    return [*rows, ""]
