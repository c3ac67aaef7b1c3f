"""What ``irrunner test`` prints and how it ends."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from gameday.playbook_tests import Case, Result, collect, new_compiler, run_case
from irrunner.cli.output import console, escape, print_json
from irrunner.errors import EXIT_DONE, EXIT_ENVIRONMENT, EXIT_FAILED

if TYPE_CHECKING:
    from rich.console import Console


def run_tests(names: Iterable[str], *, only: str, as_json: bool) -> int:
    """Run the tests of playbooks, print what came of each, and return the exit code.

    Args:
        names: Files, directories, or ids of shipped playbooks.
        only: Part of the name that a test must have; empty: all.
        as_json: One JSON document instead of lines.

    Raises:
        PlaybookInvalid: If a playbook or a test cannot be read.
        UnknownPlaybook: If there is no such playbook.
    """
    compiler = new_compiler()
    screen = None if as_json else console()
    results = []
    cases, untested = collect(names, compiler, only)
    for case in cases:
        result = run_case(case, compiler)
        results.append(result)
        if screen is not None:
            _show(screen, case, result)
    document = summary(results, untested)
    if screen is None:
        print_json(document)
    else:
        _show_total(screen, document)
    return int(document["exit_code"])


def summary(results: Sequence[Result], untested: Sequence[str]) -> dict[str, Any]:
    """Return the document of all results; with none of them nothing was proved, and that is no success.

    Args:
        results: Of all tests.
        untested: Ids of playbooks without tests of their own.
    """
    failed = sum(not result.passed for result in results)
    code = EXIT_ENVIRONMENT if not results else EXIT_FAILED if failed else EXIT_DONE
    return {
        "tests": [result.as_dict() for result in results],
        "passed": len(results) - failed,
        "failed": failed,
        "untested": list(untested),
        "duration_s": round(sum(result.duration_s for result in results), 3),
        "exit_code": code,
    }


def _show(screen: Console, case: Case, result: Result) -> None:
    mark = "[green]✔ pass[/]" if result.passed else "[red]✘ FAIL[/]"
    name = f"{escape(case.playbook.id):<26} {escape(result.name)}"
    screen.print(f"{mark}  {name}  [dim]{result.duration_s:.1f} s[/]")
    if not result.passed:
        screen.print(f"        [dim]{escape(result.place)}[/]")
    for failure in result.failures:
        screen.print(f"        {escape(failure)}")


def _show_total(screen: Console, document: dict[str, Any]) -> None:
    failed, told = document["failed"], f"{document['passed']} passed, {document['failed']} failed"
    if document["tests"]:
        screen.print(f"\n[{'red' if failed else 'green'}]{told}[/]  [dim]{document['duration_s']:.1f} s[/]")
    else:
        screen.print("[yellow]nothing was tested[/]: there is no such test; write one under `tests:`")
    if document["untested"]:
        screen.print(f"[dim]without tests of their own: {escape(', '.join(document['untested']))}[/]")
