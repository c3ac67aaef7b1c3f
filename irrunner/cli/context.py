"""Make the services of a command, each when it is first needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from irrunner.clock import Clock, IdSource, SystemClock, SystemIds

if TYPE_CHECKING:
    from irrunner.actions.local import LocalPort
    from irrunner.actions.registry import Registry
    from irrunner.actions.sending import Port
    from irrunner.aws.api import Cloud
    from irrunner.engine.compiled import Compiler
    from irrunner.engine.embedded import Observer
    from irrunner.engine.service import Runner
    from irrunner.journal.store import Store
    from irrunner.playbook.library import Library
    from irrunner.settings import SecretSource, Settings
    from irrunner.tickets.port import Tickets


class _Later:
    """A port that is made when it is first called."""

    def __init__(self, make: Callable[[], Port]) -> None:
        self._make = make

    def call(self, operation: str, /, **params: Any) -> Mapping[str, Any]:
        return self._make().call(operation, **params)


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

    def local(self, run_id: str) -> LocalPort:
        """Return the local port of a run: what an action sends past AWS is messages and tickets."""
        from irrunner.actions.channels import Channels  # noqa: PLC0415 - only where something is sent
        from irrunner.actions.local import LocalPort  # noqa: PLC0415 - as above

        channels = Channels(self.settings.channels, self.secrets)
        return LocalPort({"notify": channels, "ticket": _Later(lambda: self.tickets(run_id))})

    @property
    def secrets(self) -> SecretSource:
        """What resolves references to secrets of AWS, by the base credentials."""
        return _Later(lambda: self.cloud.base())  # noqa: PLW0108 - the cloud is made when it is needed

    def tickets(self, run_id: str = "") -> Tickets:
        """Return the port of tickets of a run; of none: for delivering."""
        from irrunner.tickets.port import Tickets  # noqa: PLC0415 - httpx

        settings = self.settings.tickets
        return Tickets(settings, lambda: self.store, self.clock.now, self.secrets, run_id=run_id)

    def deliver(self) -> int:
        """Deliver what is due in the outbox; a store without anything in it costs one look."""
        return self.tickets().deliver_due() if self.store.outbox.undelivered() else 0

    def runner(self, observer: Observer | None = None) -> Runner:
        """Return the runner of this process."""
        from irrunner.engine.service import Runner  # noqa: PLC0415 - the engine
        from irrunner.engine.stepping import Services  # noqa: PLC0415 - the engine

        services = Services(self.compiler, self.cloud, self.settings, self.clock, self.local, self.deliver)
        return Runner(services, self.store, self.ids, observer)
