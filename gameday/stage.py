"""A stage: one simulated organisation, and a runner that sees nothing but it."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gameday.environment import secluded
from gameday.world import World
from irrunner.actions.contract import AnyAction
from irrunner.cli.context import Context
from irrunner.clock import Clock, IdSource
from irrunner.engine.compiled import Compiler
from irrunner.engine.embedded import Observer
from irrunner.engine.intake import take_in
from irrunner.findings.model import Finding
from irrunner.playbook.library import Library

_SAFE: Final = {"IRRUNNER_DRILL__ALLOW": "false"}
"""Samples are left alone, as against AWS."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A world and the services of a runner in it."""

    world: World
    context: Context
    directory: Path
    """Holds the runner's configuration and store."""

    def respond(
        self, data: bytes, library: Library | None = None, observer: Observer | None = None
    ) -> dict[str, Any]:
        """Respond to an event with one finding as ``irrunner respond`` does, and return the document.

        Args:
            data: The event, as received.
            library: Playbooks to choose from; None: the shipped ones.
            observer: Told of each journal record.
        """
        runner = self.context.runner(observer)
        now = self.context.clock.now()
        chosen = library or self.context.library
        (taken,) = take_in(runner, chosen, data, again=False, accepted_at=now)
        if taken.playbook is None:
            return taken.about()
        facts = runner.facts(taken.playbook, taken.inputs, taken.finding, drill=taken.drill, accepted_at=now)
        return {**runner.drive(runner.create(taken.playbook, facts)), **taken.about()}


@contextlib.contextmanager
def set_up(
    *,
    clock: Clock,
    ids: IdSource | None = None,
    findings: tuple[Finding, ...] = (),
    snapshot_s: float = 0.5,
    directory: Path | None = None,
    compiler: Compiler | None = None,
    actions: Iterable[AnyAction] | None = None,
) -> Iterator[Stage]:
    """Open a world and point this process's AWS configuration at it, until the block ends.

    The runner is configured for the world's one Region.

    Args:
        clock: Time of the world and of the runner: they agree.
        ids: Source of run ids; None: random.
        findings: What the world shall contain; none: its default content.
        snapshot_s: World seconds that a snapshot takes.
        directory: For configuration and store; None: a temporary one, removed at the end.
        compiler: Compiled playbooks, kept over several stages; None: a new one.
        actions: The runner's roles get exactly the permissions of these; None: they may do everything.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(secluded())
        if directory is None:
            name = stack.enter_context(tempfile.TemporaryDirectory(prefix="irrunner-stage-"))
            directory = Path(name)
        world = stack.enter_context(
            World.build(
                findings=findings, clock=clock, snapshot_s=snapshot_s, directory=directory, actions=actions
            )
        )
        os.environ.update({**world.env, **_SAFE, "IRRUNNER_REGIONS": world.region})
        context = Context(clock, ids)
        if compiler is not None:
            context.compiler = compiler
        stack.callback(_close_store, context)
        yield Stage(world, context, directory)


def _close_store(context: Context) -> None:
    """Close the store if anybody has opened it."""
    if "store" in vars(context):
        context.store.close()
