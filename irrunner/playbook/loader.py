"""Load a playbook: text to a checked :class:`~irrunner.playbook.model.Playbook`, or all its problems."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TypeAlias

from irrunner.actions.registry import Registry
from irrunner.errors import PlaybookInvalid, UnknownPlaybook
from irrunner.playbook.check import UNAPPROVED, check
from irrunner.playbook.document import Draft, read_document
from irrunner.playbook.model import Place, Playbook, Run, Step
from irrunner.playbook.nodes import Mapping, compose
from irrunner.playbook.problems import Problem

Chain: TypeAlias = tuple[str, ...]
"""Ids of the playbooks that are being loaded, outermost first."""
Resolve: TypeAlias = Callable[[str, Chain], Playbook]
"""Returns the playbook of an id, loaded as a callee; raises UnknownPlaybook or PlaybookInvalid."""
MAX_CALLS = 8
UNREADABLE = "the file is no playbook: write a mapping that begins with `schema: irrunner/v1`"


def resolve_nothing(name: str, chain: Chain) -> Playbook:
    """Resolve no ``run`` at all: for a single text that calls nothing."""
    del chain
    raise UnknownPlaybook(f"no playbook {name!r}")


def load_playbook(
    text: str | bytes, file: str, registry: Registry, resolve: Resolve = resolve_nothing, chain: Chain = ()
) -> Playbook:
    """Load and check a playbook.

    Args:
        text: The whole file.
        file: Its name, for places.
        registry: The actions.
        resolve: Finds the playbooks that ``run`` names.
        chain: Playbooks whose loading led here; a callee may be destructive where its caller has asked.

    Returns:
        The playbook, its callees included.

    Raises:
        PlaybookInvalid: With every error of the file, in its order. Warnings do not raise.
    """
    playbook, problems = examine(text, file, registry, resolve, chain)
    errors = [problem for problem in problems if problem.severity == "error"]
    if playbook is None or errors:
        raise PlaybookInvalid(errors)
    return playbook


def examine(
    text: str | bytes, file: str, registry: Registry, resolve: Resolve = resolve_nothing, chain: Chain = ()
) -> tuple[Playbook | None, list[Problem]]:
    """Return a playbook and all its problems, warnings too, sorted by place.

    The playbook is None where an error makes it unusable. Arguments as for :func:`load_playbook`.
    """
    decoded, problems = _decoded(text, file)
    root = None
    if decoded is not None:
        root, problems = compose(decoded, file)
    if root is None or decoded is None:
        return None, problems
    if not isinstance(root, Mapping) or not root.entries:
        return None, [*problems, Problem(root.place, "wrong-type", UNREADABLE)]
    draft = read_document(root, decoded, registry, problems)
    draft = replace(draft, playbook=_with_callees(draft, resolve, chain, problems))
    problems += check(draft, registry)
    if chain:
        problems = [problem for problem in problems if problem.rule != UNAPPROVED]
    usable = all(problem.severity != "error" for problem in problems)
    return draft.playbook if usable else None, _sorted(problems)


def _decoded(text: str | bytes, file: str) -> tuple[str | None, list[Problem]]:
    if isinstance(text, str):
        return text, []
    try:
        return text.decode("utf-8"), []
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        message = f"byte {error.start + 1} is no UTF-8; save the file as UTF-8"
        return None, [Problem(Place(file, line, 1), "yaml-encoding", message)]


def _sorted(problems: list[Problem]) -> list[Problem]:
    unique = dict.fromkeys(problems)
    return sorted(unique, key=lambda each: (each.place.line, each.place.column, each.rule, each.message))


def _with_callees(draft: Draft, resolve: Resolve, chain: Chain, problems: list[Problem]) -> Playbook:
    playbook = draft.playbook
    callees: dict[str, Playbook] = {}
    for step, kind in _calls(playbook):
        if kind.playbook in callees:
            continue
        place = draft.place(step.place, "run")
        callee = _callee(kind.playbook, place, resolve, (*chain, playbook.id), problems)
        if callee is not None:
            callees[kind.playbook] = callee
    return replace(playbook, callees=callees)


def _calls(playbook: Playbook) -> Iterator[tuple[Step, Run]]:
    for step in playbook.walk():
        if isinstance(step.kind, Run) and step.kind.playbook:
            yield step, step.kind


def _callee(
    name: str, place: Place, resolve: Resolve, chain: Chain, problems: list[Problem]
) -> Playbook | None:
    if name in chain:
        path = " -> ".join((*chain[chain.index(name) :], name))
        problems.append(
            Problem(place, "playbook-recursion", f"a playbook that runs itself: {path}; break the loop")
        )
    elif len(chain) >= MAX_CALLS:
        message = f"playbooks run playbooks more than {MAX_CALLS} deep; flatten them"
        problems.append(Problem(place, "playbook-recursion", message))
    else:
        try:
            return resolve(name, chain)
        except UnknownPlaybook as unknown:
            problems.append(Problem(place, "unknown-playbook", str(unknown)))
        except PlaybookInvalid as invalid:
            first = invalid.problems[0] if invalid.problems else "see `irrunner validate`"
            problems.append(Problem(place, "callee-invalid", f"playbook {name!r} is invalid: {first}"))
    return None
