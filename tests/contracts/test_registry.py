"""Every registered action keeps the contract: what it declares is legal, complete and documented."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

import pytest
from botocore.session import Session

from irrunner.actions.catalogue import CATALOGUE
from irrunner.actions.contract import AnyAction, Model, NoOutputs
from irrunner.actions.page import action_document, action_page
from irrunner.actions.registry import classes_of, load_registry
from irrunner.aws.operations import BOTO_SERVICE, IAM_ACTION
from irrunner.vocabulary import Phase, Risk, Settle, UndoPolicy

PAGES = Path(__file__).parents[2] / "docs/reference/actions"
ID = re.compile(r"^(aws\.[a-z0-9-]+|notify|evidence|ticket|forensics)\.(?P<verb>[a-z]+)(-[a-z0-9]+)*$")
VERBS = {
    "acquire", "digest",
    "archive", "associate", "await", "block", "capture", "close", "collect", "contain", "copy", "cordon",
    "create", "deactivate", "deny", "deregister", "describe", "detach", "disable", "disassociate", "enable",
    "enter", "export", "find", "force", "isolate", "launch", "list", "lock", "locate", "pause", "protect",
    "put", "quarantine", "record", "release", "remove", "replace", "restore", "restrict", "revoke", "rotate",
    "route", "run", "scale", "seal", "send", "set", "snapshot", "start", "stop", "suspend", "swap", "tag",
    "terminate", "throttle", "unblock", "update", "verify", "whoami",
}  # fmt: skip
LOCAL = {"notify.send", "evidence.record"}
BRACES = re.compile(r"\{([a-z_]+)\}")
PLACE = {"partition", "region", "account"}
WILDCARDS = {"kms:GenerateDataKey*", "kms:ReEncrypt*"}
READS_ENCRYPTED_DATA = {"kms:Decrypt"}
"""What services ask KMS for on behalf of who reads; it changes nothing."""
NO_OPERATION = {"iam:PassRole"}
"""Permissions that no API operation is named after.

Source: IAM user guide, "Grant a user permissions to pass a role to an AWS service".
"""
DOCUMENTATION = re.compile(r"^https://docs\.aws\.amazon\.com/[\w./#-]+$")
ACTIONS = list(load_registry())
each_action = pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.id)


@cache
def operations_of(service: str) -> frozenset[str]:
    """Return the operations of botocore's model of a service."""
    return frozenset(Session().get_service_model(BOTO_SERVICE.get(service, service)).operation_names)


def exists(permission: str) -> bool:
    """Whether an IAM action is named after an API operation (or one of the known exceptions)."""
    if permission in NO_OPERATION or permission in IAM_ACTION.values():
        return True
    service, _, name = permission.partition(":")
    if permission in WILDCARDS:
        return any(operation.startswith(name.rstrip("*")) for operation in operations_of(service)) or (
            name == "ReEncrypt*" and "ReEncrypt" in operations_of(service)
        )
    return name in operations_of(service)


def test_the_catalogue_is_true() -> None:
    """Each module of the catalogue defines the actions that it is named for, and no others."""
    stated = sorted(CATALOGUE.items())
    assert list(CATALOGUE.items()) == stated, "sorted"
    modules = dict.fromkeys(CATALOGUE.values())
    assert sorted((cls.id, name) for name in modules for cls in classes_of(name)) == stated


@each_action
class TestDeclaration:
    def test_id(self, action: AnyAction) -> None:
        """The id is service and verb-noun; the verb is one that responders know."""
        match = ID.match(action.id)
        assert match is not None
        assert match["verb"] in VERBS

    def test_permissions_exist(self, action: AnyAction) -> None:
        """Each permission is an IAM action; local actions need none, the others declare some."""
        assert bool(action.permissions) == (action.id not in LOCAL)
        assert [entry.action for entry in action.permissions if not exists(entry.action)] == []

    def test_permissions_are_unique(self, action: AnyAction) -> None:
        """No permission is declared twice."""
        told = [
            json.dumps([e.action, e.resource, e.scope, e.use, dict(e.conditions)]) for e in action.permissions
        ]
        assert len(set(told)) == len(told)

    def test_permissions_are_legal(self, action: AnyAction) -> None:
        """Scope and use are of the contract; braces name the place or a scalar parameter."""
        fields = set(action.Params.model_fields)
        for entry in action.permissions:
            assert entry.scope in {"target", "forensics", "management"}
            assert entry.use in {"look", "act", "undo"}
            assert set(BRACES.findall(entry.resource)) <= PLACE | fields
            assert entry.resource == "*" or entry.resource.startswith("arn:{partition}:")

    def test_looks_only_read(self, action: AnyAction) -> None:
        """What a look needs is named like a read; nothing that acts hides among it."""
        reads = [
            entry.action.partition(":")[2]
            for entry in action.permissions
            if entry.use == "look" and entry.action not in READS_ENCRYPTED_DATA
        ]
        assert [name for name in reads if not name.startswith(("Describe", "Get", "List", "Lookup"))] == []

    def test_changes_are_not_open_to_every_resource(self, action: AnyAction) -> None:
        """A permission to change names a type of resource at least."""
        assert [e.action for e in action.permissions if e.use != "look" and e.resource == "*"] == []

    def test_risk_phase_and_settling_are_legal(self, action: AnyAction) -> None:
        """The words are of the shared vocabulary; what changes nothing has no risk."""
        assert action.phase in Phase
        assert action.risk in Risk
        assert action.settle in Settle
        acts = any(entry.use == "act" for entry in action.permissions)
        assert acts or action.risk is Risk.NONE

    def test_undo_or_a_reason(self, action: AnyAction) -> None:
        """Undo is told in a sentence; an action that changes things back declares the permissions for it."""
        assert action.undo in UndoPolicy
        assert len(action.undo_note) >= 20
        assert action.undo_note.endswith(".")
        undoes = any(entry.use == "undo" for entry in action.permissions)
        assert undoes == (action.undo is not UndoPolicy.NEVER)

    def test_times(self, action: AnyAction) -> None:
        """A step ends within two hours, and outlives the time in which an effect may be invisible."""
        assert 0 < action.timeout_s <= 7200
        assert 0 <= action.consistency_s <= action.timeout_s / 2

    def test_sources(self, action: AnyAction) -> None:
        """What rests on AWS's behaviour names AWS's own pages."""
        if action.id in LOCAL:
            return
        assert action.sources
        assert [source for source in action.sources if not DOCUMENTATION.match(source)] == []

    def test_page(self, action: AnyAction) -> None:
        """The page of the reference says what the action declares."""
        assert action_page(action).strip() in (PAGES / f"{action.id}.md").read_text(encoding="utf-8")

    def test_document_is_data(self, action: AnyAction) -> None:
        """Everything declared can be printed as JSON."""
        assert json.loads(json.dumps(action_document(action)))["id"] == action.id

    @pytest.mark.parametrize("part", ["Params", "Outputs", "StateModel"])
    def test_models_survive_the_journal(self, action: AnyAction, part: str) -> None:
        """A value of each field, written as JSON and read back, is the same."""
        model: type[Model] = getattr(action, part)
        value = model.model_construct(
            **{name: sample(field.annotation) for name, field in model.model_fields.items()}
        )
        data = json.loads(json.dumps(value.model_dump(mode="json", warnings="none")))
        assert set(data) == set(model.model_fields)
        assert model.model_json_schema()["additionalProperties"] is False

    def test_outputs_are_declared(self, action: AnyAction) -> None:
        """Later steps can build on every action but by its outcome."""
        assert action.Outputs is not NoOutputs


def sample(kind: Any) -> Any:
    """Return a small value of a type annotation."""
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is None or kind is type(None):
        return None
    if origin in (Union, UnionType):
        return sample(arguments[0])
    if origin in (list, tuple):
        return [sample(arguments[0])]
    if origin is dict:
        return {"key": sample(arguments[1])}
    if isinstance(kind, type) and issubclass(kind, Model):
        return kind.model_construct(
            **{name: sample(field.annotation) for name, field in kind.model_fields.items()}
        )
    plain: dict[Any, Any] = {bool: True, int: 1, float: 1.5}
    return plain.get(kind, "2026-01-01T00:00:00Z")
