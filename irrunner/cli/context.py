"""Make the services of a command, each when it is first needed."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from irrunner.clock import Clock, IdSource, SystemClock, SystemIds

if TYPE_CHECKING:
    from irrunner.actions.channels import Channels
    from irrunner.actions.registry import Registry
    from irrunner.aws.api import Cloud
    from irrunner.engine.compiled import Compiler
    from irrunner.engine.embedded import Observer
    from irrunner.engine.service import Runner
    from irrunner.journal.store import Store
    from irrunner.playbook.library import Library
    from irrunner.settings import Settings


class Context:
    """Everything a command may need. Nothing is opened before it is asked for."""

    def __init__(self, clock: Clock | None = None, ids: IdSource | None = None) -> None:
        """Keep time and chance; the machine's own unless others are given.

        Args:
            clock: Time.
            ids: Run ids and jitter.
        """
        self.clock: Clock = clock or SystemClock()
        self.ids: IdSource = ids or SystemIds()
        self.started = self.clock.now()
        self.run_id = ""
        """The run that this command drives, once there is one: an interruption says how to resume it."""
        self.ended: list[str] = []
        """Runs that this command has driven to their end."""

    @cached_property
    def settings(self) -> Settings:
        """The configuration. Raises SettingsError."""
        from irrunner.settings import load_settings  # noqa: PLC0415 - pydantic

        return load_settings()

    @cached_property
    def registry(self) -> Registry:
        """The actions."""
        from irrunner.actions.registry import load_registry  # noqa: PLC0415 - pydantic

        return load_registry()

    @cached_property
    def compiler(self) -> Compiler:
        """Compiles the texts that runs pin."""
        from irrunner.engine.compiled import Compiler  # noqa: PLC0415 - the engine

        return Compiler(self.registry)

    @cached_property
    def library(self) -> Library:
        """The playbooks, shipped and own."""
        from irrunner.playbook.library import Library  # noqa: PLC0415 - yaml

        return Library(self.registry, self.settings.playbooks)

    @cached_property
    def store(self) -> Store:
        """The store of runs. Raises JournalUnavailable."""
        from irrunner.journal.sql import open_store  # noqa: PLC0415 - sqlalchemy

        return open_store(self.settings, self.clock)

    @cached_property
    def cloud(self) -> Cloud:
        """AWS, or the simulated organisation."""
        from irrunner.aws.cloud import BotoCloud  # noqa: PLC0415 - boto3

        return BotoCloud(self.settings, self.clock)

    def local(self, run_id: str) -> Channels:
        """Return the local port of a run: all that an action sends past AWS is messages."""
        from irrunner.actions.channels import Channels  # noqa: PLC0415 - only where something is sent

        del run_id
        return Channels(self.settings.channels)

    def runner(self, observer: Observer | None = None) -> Runner:
        """Return the runner of this process."""
        from irrunner.engine.service import Runner  # noqa: PLC0415 - the engine
        from irrunner.engine.stepping import Services  # noqa: PLC0415 - the engine

        services = Services(self.compiler, self.cloud, self.settings, self.clock, self.local)
        return Runner(services, self.store, self.ids, observer)
