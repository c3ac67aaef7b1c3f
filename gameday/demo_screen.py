"""What a person sees of ``irrunner demo``: calm, and readable without colour."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from gameday.demo import EVENT_FILE, REPORT_FILE, Audience
from gameday.demo_incident import Check
from irrunner.cli.context import Context
from irrunner.cli.live import progress
from irrunner.cli.output import console, escape, hang
from irrunner.cli.summary import show_run
from irrunner.clock import SystemClock
from irrunner.engine.embedded import Observer

PLAN_WIDTH: Final = 26
SHOW_ENVIRONMENT: Final = "import json; print(*map('='.join, json.load(open('world.json'))['env'].items()))"
"""Python that prints what the world's ready line says of the environment, for a shell."""


class Screen(Audience):
    """Tells it on the terminal, scene by scene."""

    def __init__(self, keep: Path | None = None) -> None:
        self._keep = keep
        self._screen = console()
        self._clock = SystemClock()
        self._scene = 0

    def _title(self, text: str, end: str = "\n\n") -> None:
        self._scene += 1
        self._screen.print(f"\n[bold cyan]{self._scene}[/] [bold]{escape(text)}[/]", end=end)

    def arrived(self, event: Mapping[str, Any]) -> None:
        """See :class:`gameday.demo.Audience`."""
        kept = f"kept in {self._keep}" if self._keep else "nothing is kept"
        self._screen.print(
            "[bold]irrunner demo[/]  [dim]a simulated AWS organisation on this machine: "
            f"no account, no network, {escape(kept)}[/]"
        )
        self._title("A finding arrives, as EventBridge delivers it")
        detail = event["detail"]
        instance = detail["resource"]["instanceDetails"]
        tags = ", ".join(f"{tag['key']}={tag['value']}" for tag in instance["tags"])
        lines = (
            ("type", detail["type"]),
            ("title", detail["title"]),
            ("severity", f"{detail['severity']:g} of 10"),
            ("where", f"account {event['account']}, {event['region']}"),
            ("instance", f"{instance['instanceId']}  ({tags})"),
            ("network", f"{len(instance['networkInterfaces'])} interfaces, each with IPv4 and IPv6"),
            ("profile", instance["iamInstanceProfile"]["arn"]),
        )
        for name, value in lines:
            self._screen.print(f"  [dim]{name:<9}[/] {escape(value)}")

    def planned(self, plan: Mapping[str, Any], checks: Sequence[Check]) -> None:
        """See :class:`gameday.demo.Audience`."""
        playbook = plan["playbook"]
        self._title(f"The plan of {playbook['id']} {playbook['version']}: reads only, nothing is sent")
        for step in plan["steps"]:
            if step["calls"]:
                self._planned_step(step)
        calls = plan["calls"]
        for_good = sum(not call["reversible"] for call in calls)
        self._screen.print(
            f"\n  {len(calls)} calls; {len(calls) - for_good} can be undone, "
            f"{for_good} make evidence, which stays"
        )
        self._checks(checks)

    def _planned_step(self, step: Mapping[str, Any]) -> None:
        names = dict.fromkeys(call["operation"] for call in step["calls"])
        count = {name: sum(call["operation"] == name for call in step["calls"]) for name in names}
        told = ", ".join(name if many == 1 else f"{name} x{many}" for name, many in count.items())
        gate = f" [yellow](only after {escape(step['gate'])} was approved)[/]" if step["gate"] else ""
        hang(self._screen, f"  {escape(step['path'])} ", f"[dim]{escape(told)}[/]{gate}", PLAN_WIDTH)

    @contextlib.contextmanager
    def progress(self, title: str) -> Iterator[Observer | None]:
        """See :class:`gameday.demo.Audience`; on stdout, where the rest of the story is."""
        if title:
            self._title(title)
        with contextlib.redirect_stderr(sys.stdout), progress(Context(), as_json=False) as observer:
            yield observer

    def came_to_rest(self, document: Mapping[str, Any]) -> None:
        """See :class:`gameday.demo.Audience`."""
        self._title("The summary, as `irrunner respond` ends", end="\n")
        show_run(document, self._clock.now())

    def observed(self, title: str, checks: Sequence[Check], groups: Mapping[str, str]) -> None:
        """See :class:`gameday.demo.Audience`."""
        self._title(title)
        for name, group in groups.items():
            self._screen.print(f"    [dim]{escape(name)} is in {escape(group)}[/]")
        self._checks(checks)

    def _checks(self, checks: Sequence[Check]) -> None:
        for check in checks:
            mark = "[green]✔ yes[/]" if check.held else "[red]✘ NO [/]"
            detail = f"  [dim]{escape(check.detail)}[/]" if check.detail else ""
            self._screen.print(f"  {mark}  {escape(check.name)}{detail}")

    def skipped_time(self, seconds: float, why: str) -> None:
        """See :class:`gameday.demo.Audience`."""
        forward = f"{seconds / 3600:.1f} h forward"
        self._screen.print(f"[dim]» the demonstration's clock is set {forward}, {why}[/]")

    def reported(self, commands: Sequence[str], checks: Sequence[Check]) -> None:
        """See :class:`gameday.demo.Audience`."""
        self._title("The report and the evidence, for those who were not there")
        for command in commands:
            self._screen.print(f"  [dim]$ {escape(command)}[/]", soft_wrap=True)
        self._checks(checks)
        if self._keep:
            self._screen.print(f"  open {escape(str(self._keep / REPORT_FILE))}")

    def ended(self, document: Mapping[str, Any]) -> None:
        """See :class:`gameday.demo.Audience`."""
        held = sum(check["held"] for check in document["checks"])
        total = len(document["checks"])
        style = "green" if held == total else "red"
        self._title("The end")
        self._screen.print(
            f"  [{style}]{held} of {total} checks held[/]  [dim]in {document['duration_s']:.0f} s[/]"
        )
        self._screen.print("\n[bold]The same by hand[/]\n")
        for line in by_hand(document["response"]["run_id"], self._keep):
            self._screen.print(f"  {escape(line)}", soft_wrap=True)


def by_hand(run_id: str, kept: Path | None) -> tuple[str, ...]:
    """Return the commands that do the same, and those that look at what was kept.

    Args:
        run_id: Of the demonstration's run.
        kept: Where its finding and journal are; None: nowhere.
    """
    folder = kept or Path("demo")
    event = folder / EVENT_FILE
    first = (
        (f"export IRRUNNER_STORE={folder / 'irrunner.db'}   # the journal of this demonstration",
         f"irrunner timeline {run_id}",
         "unset IRRUNNER_STORE")
        if kept
        else (f"irrunner demo --keep {folder}   # keeps the finding and the journal",)
    )  # fmt: skip
    return (
        *first,
        f"irrunner gameday world serve --from-event {event} > world.json &",
        "sleep 5",
        f"""export $(python3 -c "{SHOW_ENVIRONMENT}")""",
        f"irrunner plan ec2-instance-compromise --event {event}",
        f"irrunner respond --event {event}",
        "irrunner approve RUN   # or: irrunner deny RUN --reason ...",
        "irrunner undo RUN",
    )
