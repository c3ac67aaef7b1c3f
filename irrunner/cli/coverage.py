"""``irrunner coverage``: what is answered, and by what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from irrunner.errors import EXIT_DONE, EXIT_FAILED, InvalidArgument

if TYPE_CHECKING:
    from irrunner.cli.context import Context


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(coverage)


def coverage(
    context: typer.Context,
    *,
    actions: Annotated[
        bool, typer.Option("--actions", help="Families of findings and the actions against them.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> int:
    """Show what can be done about each family of findings; exit code 1 where an action is missing.

    Example: irrunner coverage --actions
    """
    from irrunner.actions.coverage import action_coverage  # noqa: PLC0415 - yaml
    from irrunner.cli.output import print_json  # noqa: PLC0415 - rich

    services: Context = context.obj
    if not actions:
        raise InvalidArgument("say what to show", hint="irrunner coverage --actions")
    document = action_coverage(services.registry)
    if as_json:
        print_json(document)
    else:
        _show(document)
    return EXIT_DONE if document["ok"] else EXIT_FAILED


def _show(document: dict[str, Any]) -> None:
    from irrunner.cli.output import console, escape, table  # noqa: PLC0415 - rich

    listing = table("findings", "stage", "actions")
    for family in document["families"]:
        first = escape(family["family"])
        for stage, names in family["stages"].items():
            if names:
                listing.add_row(first, stage, ", ".join(names))
                first = ""
        if family["by_hand"]:
            listing.add_row(first, "by hand", escape(family["by_hand"]))
    out = console()
    out.print(listing)
    out.print(f"{document['actions']} actions, {len(document['families'])} families of findings")
    for name in document["missing"]:
        out.print(f"missing: {name} is named in the matrix and does not exist")
    for name in document["unlisted"]:
        out.print(f"unlisted: {name} exists and is named nowhere in the matrix")
