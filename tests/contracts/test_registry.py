"""Every registered action keeps the contract: what it declares is legal, complete and documented."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

import pytest

from gameday.world.authz.actions import exists as is_in_reference
from gameday.world.authz.actions import resource_types
from irrunner.actions.catalogue import CATALOGUE
from irrunner.actions.contract import AnyAction, Model, NoOutputs
from irrunner.actions.page import action_document, action_page
from irrunner.actions.registry import classes_of, load_registry
from irrunner.aws.operations import ALSO_READS
from irrunner.vocabulary import Phase, Risk, Settle, UndoPolicy

PAGES = Path(__file__).parents[2] / "docs/reference/actions"
ID = re.compile(r"^(aws\.[a-z0-9-]+|notify|evidence|ticket|forensics)\.(?P<verb>[a-z]+)(-[a-z0-9]+)*$")
VERBS = {
    "acquire", "archive", "associate", "await", "block", "cancel", "capture", "close", "collect", "contain",
    "copy", "cordon", "create", "deactivate", "deny", "deregister", "describe", "detach", "digest",
    "disable", "disassociate", "enable", "enter", "export", "find", "force", "get", "isolate", "label",
    "launch", "list", "locate", "lock", "make", "pause", "protect", "publish", "put", "quarantine",
    "record", "release", "remove", "replace", "restore", "restrict", "revoke", "rotate", "route", "run",
    "scale", "seal", "send", "set", "snapshot", "start", "stop", "suspend", "swap", "tag", "terminate",
    "throttle", "unblock", "update", "verify", "whoami",
}  # fmt: skip
LOCAL = {"notify.send", "evidence.record", "ticket.close", "ticket.create", "ticket.update"}
VARIABLE = re.compile(r"\$\{\w+\}")
BRACES = re.compile(r"\{([a-z_]+)\}")
ARN = "arn:{partition}:"
PLACE = {"partition", "region", "account"}
READS_ENCRYPTED_DATA = {"kms:Decrypt"}
"""What services ask KMS for on behalf of who reads; it changes nothing."""
DOCUMENTATION = re.compile(r"^https://docs\.aws\.amazon\.com/[\w./#-]+$")
ACTIONS = list(load_registry())
each_action = pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.id)


PATTERNS = {
    "kms:GenerateDataKey*": ("GenerateDataKey", "GenerateDataKeyWithoutPlaintext"),
    "kms:ReEncrypt*": ("ReEncryptFrom", "ReEncryptTo"),
}
"""What patterns of actions stand for."""


def names_of(permission: str) -> tuple[str, ...]:
    """Return the actions that a permission names."""
    return PATTERNS.get(permission, (permission.partition(":")[2],))


def is_whole_arn(pattern: str) -> bool:
    """Whether a pattern is one parameter that holds an ARN."""
    return BRACES.fullmatch(pattern) is not None and pattern.endswith("_arn}")


def fits(permission: str, pattern: str) -> bool:
    """Whether a pattern can name a resource of a type that an IAM action is authorised on."""
    wanted = BRACES.sub("*", pattern)
    service, _, _ = permission.partition(":")
    types = [kind for name in names_of(permission) for kind in resource_types(f"{service}:{name}")]
    return any(overlap(wanted, VARIABLE.sub("*", kind.arn)) for kind in types)


@cache
def overlap(one: str, other: str) -> bool:
    """Whether some text matches both of two patterns with ``*``."""
    if not one or not other:
        return not (one + other).strip("*")
    if one[0] == "*":
        return overlap(one[1:], other) or overlap(one, other[1:])
    if other[0] == "*":
        return overlap(one, other[1:]) or overlap(one[1:], other)
    return one[0] == other[0] and overlap(one[1:], other[1:])


def exists(permission: str) -> bool:
    """Whether it is an IAM action, or a pattern of them, or a right in a Kubernetes cluster."""
    if permission.startswith("kubernetes:"):
        return True
    service, _, _ = permission.partition(":")
    return all(is_in_reference(f"{service}:{name}") for name in names_of(permission))


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
            assert is_whole_arn(entry.resource) or entry.resource == "*" or entry.resource.startswith(ARN)

    def test_looks_only_read(self, action: AnyAction) -> None:
        """What a look needs is named like a read; nothing that acts hides among it."""
        asked = [entry.action for entry in action.permissions if entry.use == "look"]
        reads = [name.partition(":")[2] for name in asked if name not in ALSO_READS | READS_ENCRYPTED_DATA]
        assert [name for name in reads if not name.startswith(("Describe", "Get", "List", "Lookup"))] == []

    def test_changes_are_not_open_to_every_resource(self, action: AnyAction) -> None:
        """A permission to change names a type of resource or a condition, where the action has any."""
        given = [e for e in action.permissions if e.use != "look" and not e.conditions]
        changes = [e for e in given if e.resource == "*"]
        assert [entry.action for entry in changes if resource_types(entry.action)] == []

    def test_resources_are_those_of_the_reference(self, action: AnyAction) -> None:
        """A resource is of a type that the action has; one that has none takes ``*`` alone.

        Source: Service Authorization Reference. A grant on another type allows nothing.
        """
        wrong = [
            f"{entry.action} on {entry.resource}"
            for entry in action.permissions
            if entry.resource != "*" and not entry.action.startswith("kubernetes:")
            if not is_whole_arn(entry.resource) and not fits(entry.action, entry.resource)
        ]
        assert wrong == []

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
