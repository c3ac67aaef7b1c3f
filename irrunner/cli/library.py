"""Commands about playbooks and actions: validate, playbooks, actions, explain, schema, compile."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from irrunner.cli.context import Context
from irrunner.cli.output import console, escape, print_json, table
from irrunner.errors import EXIT_DONE, EXIT_INVALID_INPUT, InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Sequence

    from irrunner.actions.registry import Registry
    from irrunner.aws.roles import Accounts
    from irrunner.playbook.model import Playbook
    from irrunner.playbook.problems import Problem

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


class Target(StrEnum):
    """What a playbook can be compiled to."""

    MERMAID = "mermaid"
    SVG = "svg"
    JSON = "json"
    MARKDOWN = "markdown"
    IAM = "iam"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for function in (validate, playbooks, actions, explain, schema):
        app.command()(function)
    app.command("compile")(compile_)


def validate(
    context: typer.Context,
    paths: Annotated[
        list[Path], typer.Argument(help="Playbooks, or directories of them.", metavar="PATH ...")
    ],
    *,
    as_json: Json = False,
) -> int:
    """Check playbooks; all problems at once, as file:line:column: rule-id: message.

    Example: irrunner validate playbooks
    """
    services: Context = context.obj
    problems = problems_of(paths, services.registry)
    errors = [problem for problem in problems if problem.severity == "error"]
    if as_json:
        print_json({"ok": not errors, "problems": [problem.as_dict() for problem in problems]})
    else:
        for problem in problems:
            sys.stdout.write(f"{problem}\n")
        if not problems:
            sys.stdout.write("no problems\n")
    return EXIT_INVALID_INPUT if errors else EXIT_DONE


def problems_of(paths: Sequence[Path], registry: Registry) -> list[Problem]:
    """Return the problems of files and of directories of them, in the order given.

    A callee is looked for beside the file that names it, then among the shipped playbooks.
    """
    from irrunner.playbook.library import Library, playbook_files, ties  # noqa: PLC0415 - yaml

    problems: list[Problem] = []
    for path in paths:
        files = playbook_files(path) if path.is_dir() else [path]
        library = Library(registry, [path if path.is_dir() else path.parent])
        for file in files:
            problems += library.examine(file)
        if path.is_dir():
            problems += ties(library.all())
    return problems


def playbooks(context: typer.Context, *, as_json: Json = False) -> int:
    """List the playbooks.

    Example: irrunner playbooks
    """
    services: Context = context.obj
    known = services.library.all()
    if as_json:
        print_json([_playbook_document(playbook) for playbook in known])
        return EXIT_DONE
    listing = table("id", "version", "title", "inputs")
    for playbook in known:
        inputs = ", ".join(playbook.inputs)
        listing.add_row(playbook.id, playbook.version, escape(playbook.title), escape(inputs))
    console().print(listing)
    return EXIT_DONE


def _playbook_document(playbook: Playbook) -> dict[str, Any]:
    return {
        "id": playbook.id,
        "version": playbook.version,
        "title": playbook.title,
        "file": playbook.place.file,
        "sha256": playbook.sha256,
        "inputs": {entry.name: entry.type for entry in playbook.inputs.values()},
        "objectives": dict(playbook.objectives),
        "techniques": list(playbook.techniques),
    }


def actions(context: typer.Context, *, as_json: Json = False) -> int:
    """List the actions.

    Example: irrunner actions
    """
    services: Context = context.obj
    known = [
        {
            "id": action.id,
            "title": action.title,
            "phase": action.phase,
            "risk": action.risk,
            "undo": action.undo,
        }
        for action in services.registry
    ]
    if as_json:
        print_json(known)
        return EXIT_DONE
    listing = table("action", "risk", "undo", "what it does")
    for entry in known:
        listing.add_row(entry["id"], entry["risk"], entry["undo"], entry["title"])
    console().print(listing)
    return EXIT_DONE


def explain(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Action id or playbook id.")],
    *,
    as_json: Json = False,
) -> int:
    """Print the page of an action or a playbook.

    Example: irrunner explain aws.ec2.isolate-instance
    """
    from irrunner.actions.page import action_document, action_page  # noqa: PLC0415 - only here
    from irrunner.playbook.prose import prose  # noqa: PLC0415 - only here

    services: Context = context.obj
    if name in services.registry or name.count(".") > 0:
        action = services.registry.get(name)
        if as_json:
            print_json(action_document(action))
        else:
            sys.stdout.write(action_page(action))
        return EXIT_DONE
    playbook = services.library.get(name)
    if as_json:
        print_json(_playbook_document(playbook))
    else:
        sys.stdout.write(prose(playbook, services.registry))
    return EXIT_DONE


def schema(context: typer.Context, *, as_json: Json = False) -> int:
    """Print the JSON Schema of playbooks, for editors.

    Example: irrunner schema > playbook.schema.json
    """
    from irrunner.playbook.schema import playbook_schema  # noqa: PLC0415 - only here

    del as_json
    services: Context = context.obj
    print_json(playbook_schema(services.registry))
    return EXIT_DONE


def compile_(
    context: typer.Context,
    playbook: Annotated[
        str,
        typer.Argument(
            help="Playbook id or path; --to iam takes the whole library without one.", metavar="PLAYBOOK"
        ),
    ] = "",
    *,
    to: Annotated[Target, typer.Option("--to", help="Form.")] = Target.MERMAID,
    out: Annotated[Path | None, typer.Option("--out", help="File; default standard output.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --to json.")] = False,
    account: Annotated[str, typer.Option("--account", help="With --to iam: the account of incidents.")] = "*",
    region: Annotated[str, typer.Option("--region", help="With --to iam: the Region.")] = "*",
    runner: Annotated[
        str, typer.Option("--runner", help="With --to iam: ARN of the role or user that runs irrunner.")
    ] = "",
    organization: Annotated[
        str, typer.Option("--organization", help="With --to iam: its id (o-...); its hosts write evidence.")
    ] = "",
    all_actions: Annotated[
        bool, typer.Option("--all-actions", help="With --to iam: of every action, not of playbooks.")
    ] = False,
) -> int:
    """Compile a playbook to its state machine as a picture or document, to the runbook in prose, or to the
    least-privilege IAM policies of every role.

    Example: irrunner compile ec2-instance-compromise --to svg --out machine.svg
    """
    from irrunner.aws.roles import Accounts  # noqa: PLC0415 - only here

    services: Context = context.obj
    if to is Target.IAM and not as_json:
        given = {"runner_arn": runner, "organization": organization}
        place = Accounts(account, region, **{name: value for name, value in given.items() if value})
        if playbook and all_actions:
            raise InvalidArgument("a playbook and --all-actions", hint="give one of them")
        text = _policies(services, playbook, place, all_actions=all_actions)
    elif not playbook:
        raise InvalidArgument("no playbook", hint="name one; only --to iam does without")
    else:
        text = compiled(services.library.get(playbook), Target.JSON if as_json else to, services)
    if out is None:
        sys.stdout.write(text)
    else:
        out.write_text(text, encoding="utf-8")
    return EXIT_DONE


def _policies(services: Context, playbook: str, place: Accounts, *, all_actions: bool) -> str:
    """Return the IAM policies that a playbook, the whole library, or every action needs."""
    import json  # noqa: PLC0415 - only here

    from irrunner.aws.roles import organisation_policies  # noqa: PLC0415 - only here
    from irrunner.playbook.order import used_actions  # noqa: PLC0415 - only here

    chosen: Sequence[Playbook] = ()
    if not all_actions:
        chosen = [services.library.get(playbook)] if playbook else services.library.all()
    used = sorted(frozenset[str]().union(*map(used_actions, chosen)))
    used = list(services.registry.ids()) if all_actions else used
    document = organisation_policies(map(services.registry.get, used), services.settings, place)
    return (
        json.dumps({"playbooks": [each.id for each in chosen], "actions": used, **document}, indent=2) + "\n"
    )


def compiled(playbook: Playbook, to: Target, services: Context) -> str:
    """Return a playbook in another form, ending in a newline."""
    import json  # noqa: PLC0415 - only here

    from irrunner.machine.chart import build_chart  # noqa: PLC0415 - only here
    from irrunner.machine.draw import mermaid, svg  # noqa: PLC0415 - only here
    from irrunner.playbook.prose import prose  # noqa: PLC0415 - only here

    chart = build_chart(playbook)
    if to is Target.MERMAID:
        text = mermaid(chart)
    elif to is Target.SVG:
        text = svg(chart)
    elif to is Target.JSON:
        text = json.dumps(chart.describe(), indent=2)
    else:
        text = prose(playbook, services.registry)
    return text if text.endswith("\n") else f"{text}\n"
