"""``irrunner coverage``: what is answered, and by what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from irrunner.errors import EXIT_DONE, EXIT_FAILED

if TYPE_CHECKING:
    from irrunner.cli.context import Context

INDENT = 14


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(coverage)


def coverage(
    context: typer.Context,
    *,
    actions: Annotated[
        bool, typer.Option("--actions", help="Families of findings and the actions against them.")
    ] = False,
    at_least: Annotated[
        int,
        typer.Option("--at-least", help="Percent of GuardDuty's types that must have one.", min=0, max=100),
    ] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> int:
    """Show which types of GuardDuty have a playbook, or with --actions what can be done about each family.

    Exit code 1: fewer types than --at-least have a playbook; with --actions, matrix and actions differ.

    Example: irrunner coverage --at-least 40
    """
    from irrunner.actions.coverage import action_coverage, type_coverage  # noqa: PLC0415 - yaml
    from irrunner.cli.output import print_json  # noqa: PLC0415 - rich

    services: Context = context.obj
    if actions:
        document = action_coverage(services.registry)
        enough = document["ok"]
    else:
        document = type_coverage(services.library.all())
        enough = document["percent"] >= at_least
    if as_json:
        print_json(document)
    elif actions:
        _show_actions(document)
    else:
        _show_types(document)
    return EXIT_DONE if enough else EXIT_FAILED


def _show_types(document: dict[str, Any]) -> None:
    from irrunner.cli.output import console, escape  # noqa: PLC0415 - rich

    out = console()
    answered: dict[str, list[str]] = {}
    left: dict[str, list[str]] = {}
    for entry in document["types"]:
        for playbook in entry["playbooks"]:
            condition = ", under a condition" if playbook["conditional"] else ""
            answered.setdefault(f"{playbook['id']}{condition}", []).append(entry["type"])
        if not entry["playbooks"]:
            left.setdefault(entry["families"][0], []).append(entry["type"])
    for title, groups in (("Answered by a playbook", answered), ("A person decides", left)):
        out.print(f"[bold]{title}[/]")
        for name, types in groups.items():
            out.print(f"  {escape(name)}: {len(types)}", soft_wrap=True)
            for finding_type in types:
                out.print(f"    {escape(finding_type)}", soft_wrap=True)
        out.print()
    total = len(document["types"])
    out.print(f"{document['answered']} of {total} GuardDuty types have a playbook ({document['percent']} %)")
    out.print("what can be done about the others by hand or in a playbook of your own:")
    out.print("  irrunner coverage --actions", soft_wrap=True)


def _show_actions(document: dict[str, Any]) -> None:
    from irrunner.cli.output import console, escape, hang  # noqa: PLC0415 - rich

    out = console()
    for family in document["families"]:
        hang(out, "", f"[bold]{escape(family['family'])}[/]", 0)
        for stage, names in family["stages"].items():
            if names:
                hang(out, f"  {stage} ", ", ".join(names), INDENT)
        if family["by_hand"]:
            hang(out, "  by hand ", f"[dim]{escape(family['by_hand'])}[/]", INDENT)
        out.print()
    out.print(f"{document['actions']} actions, {len(document['families'])} families of findings")
    for name in document["missing"]:
        out.print(f"missing: {name} is named in the matrix and does not exist")
    for name in document["unlisted"]:
        out.print(f"unlisted: {name} exists and is named nowhere in the matrix")
