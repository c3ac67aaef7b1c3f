"""The registry of actions: one decorator, all-or-nothing loading, frozen afterwards.

Actions come from our own modules and from third parties through the entry-point group
``irrunner.actions`` (each entry point names a module).
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, TypeVar

from irrunner.actions.catalogue import CATALOGUE
from irrunner.actions.contract import Action, AnyAction, Permission, State
from irrunner.errors import ActionAlreadyRegistered, ActionIncomplete, UnknownAction
from irrunner.playbook.problems import did_you_mean
from irrunner.vocabulary import Phase, Risk, Settle, UndoPolicy

ACTION_ID = re.compile(r"^[a-z0-9]+(\.[a-z0-9-]+)?\.[a-z0-9]+(-[a-z0-9]+)*$")
MINIMUM_UNDO_NOTE = 20

A = TypeVar("A", bound=type[Action[Any, Any]])


def action(
    action_id: str,
    *,
    title: str,
    phase: Phase,
    risk: Risk,
    permissions: tuple[Permission, ...],
    undo: UndoPolicy,
    undo_note: str,
    timeout_s: float = 120.0,
    settle: Settle = Settle.LOOK,
    consistency_s: float = 15.0,
    contract: int = 1,
    may_expire: bool = False,
    evidence: bool = False,
    sources: tuple[str, ...] = (),
) -> Callable[[A], A]:
    """Declare an action class.

    Args:
        action_id: ``aws.<service>.<verb-noun>``.
        title: One line for lists.
        phase: Default phase of steps that use it.
        risk: What it may do to the workload.
        permissions: Everything that look, act and undo call.
        undo: What `irrunner undo` does.
        undo_note: How undo works or why there is none; at least 20 characters.
        timeout_s: Default bound of a step, seconds, at most 7,200.
        settle: How an in-flight effect is settled.
        consistency_s: How long an effect may stay invisible to looks, seconds.
        contract: Version of parameters, state and outputs.
        may_expire: Whether its effect may come off by itself after a time, by its undo.
        evidence: Whether it preserves evidence: a run in which it is not verified is `partial`.
        sources: AWS documentation pages.

    Returns:
        A decorator that marks the class; :meth:`Registry.load` collects it.
    """

    def mark(cls: A) -> A:
        cls.id = action_id
        cls.title = title
        cls.phase = phase
        cls.risk = risk
        cls.permissions = permissions
        cls.undo = undo
        cls.undo_note = undo_note
        cls.timeout_s = timeout_s
        cls.settle = settle
        cls.consistency_s = consistency_s
        cls.contract = contract
        cls.may_expire = may_expire
        cls.evidence = evidence
        cls.sources = sources
        return cls

    return mark


def _missing(cls: type[AnyAction]) -> list[str]:
    missing = [
        name
        for name in ("id", "title", "phase", "risk", "permissions", "undo", "undo_note", "Params")
        if not hasattr(cls, name)
    ]
    missing += [name for name in ("look", "decide", "targets") if getattr(cls, name) is getattr(Action, name)]
    if missing:
        return missing
    if not ACTION_ID.match(cls.id):
        missing.append(f"an id like aws.ec2.isolate-instance, not {cls.id!r}")
    if not issubclass(getattr(cls, "StateModel", object), State):
        missing.append("StateModel")
    if len(cls.undo_note) < MINIMUM_UNDO_NOTE:
        missing.append(f"undo_note of at least {MINIMUM_UNDO_NOTE} characters")
    restorable = cls.undo is not UndoPolicy.NEVER
    if restorable and cls.undo_calls is Action.undo_calls:
        missing.append("undo_calls")
    if cls.may_expire and cls.undo is not UndoPolicy.RESTORE:
        missing.append("undo that restores, for what expires")
    if not 0 < cls.timeout_s <= 7200:  # noqa: PLR2004 - two hours, documented on `action`
        missing.append("timeout_s within two hours")
    return missing


class Registry:
    """Actions by id. Frozen: there is no way to add after construction.

    Actions of a catalogue are imported when they are asked for; ``others`` when an id is not among those.
    """

    def __init__(
        self,
        classes: tuple[type[AnyAction], ...] = (),
        *,
        catalogue: Mapping[str, str] | None = None,
        others: Callable[[], tuple[type[AnyAction], ...]] = tuple,
    ) -> None:
        """Check every class that is given, then keep one instance of each.

        Args:
            classes: Actions that are there at once.
            catalogue: Action id to the module that defines it.
            others: Finds further actions; called once, at the first id that is unknown without them.

        Raises:
            ActionIncomplete: If a part of the contract is missing.
            ActionAlreadyRegistered: If two classes claim one id.
        """
        self._catalogue = catalogue or {}
        self._others: Callable[[], tuple[type[AnyAction], ...]] | None = others
        self._loading = threading.RLock()
        self._loaded: dict[str, AnyAction] = {}
        self._add(classes)

    def __iter__(self) -> Iterator[AnyAction]:
        """Iterate over the actions, sorted by id."""
        return iter([self.get(action_id) for action_id in self.ids()])

    def __contains__(self, action_id: object) -> bool:
        """Return whether an action has this id."""
        return action_id in self._catalogue or action_id in self._loaded or action_id in self.ids()

    def __len__(self) -> int:
        """Return how many actions there are."""
        return len(self.ids())

    def ids(self) -> list[str]:
        """Return the ids of all actions, sorted.

        Raises:
            ActionIncomplete: If an action of an entry point lacks a part of the contract.
            ActionAlreadyRegistered: If one claims an id of ours.
        """
        with self._loading:
            if self._others is not None:
                found, self._others = self._others(), None
                self._add(found)
        return sorted({*self._catalogue, *self._loaded})

    def get(self, action_id: str) -> AnyAction:
        """Return the action of this id.

        Raises:
            UnknownAction: If there is none; the message names the nearest.
        """
        known = self._loaded.get(action_id)
        if known is not None:
            return known
        if action_id in self._catalogue:
            return self._import(action_id)
        ids = self.ids()
        if action_id in self._loaded:
            return self._loaded[action_id]
        raise UnknownAction(
            f"no action {action_id!r}{did_you_mean(action_id, ids)}", hint="`irrunner actions` lists them"
        )

    def _import(self, action_id: str) -> AnyAction:
        with self._loading:
            if action_id not in self._loaded:
                self._add(classes_of(self._catalogue[action_id]), ours=True)
            if action_id not in self._loaded:
                raise ActionIncomplete(f"{self._catalogue[action_id]} defines no {action_id}")
            return self._loaded[action_id]

    def _add(self, classes: tuple[type[AnyAction], ...], *, ours: bool = False) -> None:
        """Add all or none."""
        added: dict[str, AnyAction] = {}
        for cls in classes:
            where = f"{cls.__module__}.{cls.__qualname__}"
            missing = _missing(cls)
            if missing:
                raise ActionIncomplete(f"{where} lacks {', '.join(missing)}")
            first = self._first(cls.id, added, ours=ours)
            if first:
                raise ActionAlreadyRegistered(f"{cls.id} is defined by {first} and by {where}")
            added[cls.id] = cls()
        self._loaded.update(added)

    def _first(self, action_id: str, added: Mapping[str, AnyAction], *, ours: bool) -> str:
        known = added.get(action_id) or self._loaded.get(action_id)
        if known is not None:
            return f"{type(known).__module__}.{type(known).__qualname__}"
        return "" if ours else self._catalogue.get(action_id, "")


def classes_of(module_name: str) -> tuple[type[AnyAction], ...]:
    """Import a module and return the action classes defined in it, in the order of the file."""
    module = import_module(module_name)
    return tuple(
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, Action)
        and value.__module__ == module.__name__
        and "id" in vars(value)
    )


def load_registry() -> Registry:
    """Return our own actions and those of installed entry points (group ``irrunner.actions``)."""
    return Registry(catalogue=CATALOGUE, others=_of_entry_points)


def _of_entry_points() -> tuple[type[AnyAction], ...]:
    modules = [point.value for point in entry_points(group="irrunner.actions")]
    return tuple(cls for name in modules for cls in classes_of(name))
