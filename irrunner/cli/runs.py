"""Commands about runs: start, plan, look at, decide, abort, undo and resume them."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from irrunner.cli.context import Context
from irrunner.cli.output import print_json, print_json_line
from irrunner.errors import (
    EXIT_DONE,
    EXIT_ENVIRONMENT,
    EXIT_INTERRUPTED,
    EXIT_INVALID_INPUT,
    InvalidArgument,
    RunBusy,
    RunExists,
)
from irrunner.vocabulary import RunStatus

if TYPE_CHECKING:
    from irrunner.engine.intake import Taken
    from irrunner.engine.service import Runner

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
RunId = Annotated[str, typer.Argument(help="Run id, or a unique beginning of it.", metavar="RUN")]
EventFile = Annotated[str, typer.Option("--event", help="File with the event; - for standard input.")]
OptionalEvent = Annotated[
    str | None, typer.Option("--event", help="File with the event; - for standard input.")
]
Inputs = Annotated[list[str] | None, typer.Option("--input", help="An input: NAME=VALUE; may be repeated.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; it goes into the journal.")]
Account = Annotated[
    str, typer.Option("--account", help="Account to act in; default: the finding's, or ours.")
]
Region = Annotated[str, typer.Option("--region", help="Region to act in; default: the finding's, or ours.")]
NoExpiryGuard = Annotated[
    bool,
    typer.Option(
        "--no-expiry-guard", help="Start though no server takes expiring effects off: a timer of yours does."
    ),
]
Playbook = Annotated[str, typer.Argument(help="Playbook id or path.", metavar="PLAYBOOK")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for function in (
        respond, run, plan, runs, show, watch, timeline, approve, deny, abort, undo, resume,
    ):  # fmt: skip
        app.command()(function)


def read_bytes(name: str) -> bytes:
    """Return the bytes of a file, or of standard input for ``-``.

    Raises:
        InvalidArgument: If the file cannot be read.
    """
    try:
        return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as problem:
        raise InvalidArgument(
            f"cannot read {name}: {problem.strerror}", hint="name a readable file, or -"
        ) from None


def given_inputs(entries: list[str] | None) -> dict[str, str]:
    """Return ``--input NAME=VALUE`` entries.

    Raises:
        InvalidArgument: If one has no ``=``.
    """
    inputs = {}
    for entry in entries or []:
        name, equals, value = entry.partition("=")
        if not equals:
            raise InvalidArgument(f"--input {entry}: write NAME=VALUE")
        inputs[name] = value
    return inputs


def respond(
    context: typer.Context,
    event: EventFile,
    *,
    detach: Annotated[
        bool, typer.Option("--detach", help="Leave the run to `irrunner resume --due`.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Stop at the plan; nothing is changed.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Run a known event once more.")] = False,
    no_expiry_guard: NoExpiryGuard = False,
    as_json: Json = False,
) -> int:
    """Respond to an event: parse, match the playbook, run it, report.

    Example: irrunner respond --event finding.json
    """
    from irrunner.cli import live  # noqa: PLC0415 - rich
    from irrunner.engine.expiry import require_guard  # noqa: PLC0415 - the engine
    from irrunner.engine.intake import take_in  # noqa: PLC0415 - as above

    services: Context = context.obj
    data = read_bytes(event)
    with live.progress(services, as_json=as_json) as observer:
        runner = services.runner(observer)
        taken = take_in(runner, services.library, data, again=again, accepted_at=services.started)
        if not (no_expiry_guard or dry_run):
            require_guard(*(entry.starts for entry in taken))
        documents = [
            _act_on(services, runner, entry, detach=detach, dry_run=dry_run, again=again) for entry in taken
        ]
    document = max(documents, key=lambda entry: _rank(entry["exit_code"]))
    others = [entry for entry in documents if entry is not document]
    if others:
        document["others"] = others
    live.show_document(services, document, as_json=as_json)
    return int(document["exit_code"])


def _rank(code: int) -> int:
    """Order exit codes of several findings: what somebody must look at comes first."""
    return (EXIT_DONE, EXIT_ENVIRONMENT, EXIT_INVALID_INPUT, 5, 1, 4, EXIT_INTERRUPTED).index(code)


def _act_on(
    services: Context, runner: Runner, taken: Taken, *, detach: bool, dry_run: bool, again: bool = False
) -> dict[str, Any]:
    from irrunner.cli import live  # noqa: PLC0415 - rich
    from irrunner.cli.plans import plan_document  # noqa: PLC0415 - rich

    about = taken.about()
    if taken.playbook is None or taken.existing is not None:
        if taken.existing is None:
            return about
        return {**_joined(services, runner, taken.existing.run_id), **about, "duplicate": True}
    if dry_run:
        steps = runner.plan(taken.playbook, taken.inputs, taken.finding, drill=taken.drill)
        return {**about, **plan_document(taken.playbook, steps, runner)}
    facts = runner.facts(
        taken.playbook, taken.inputs, taken.finding, drill=taken.drill, accepted_at=services.started
    )
    try:
        lease = runner.create(taken.playbook, facts)
    except RunExists as twin:  # another process took the same incident in since we looked
        if again:
            raise
        run_id = str(twin.detail["run_id"])
        about["reason"] = f"this incident is being answered: run {run_id}"
        return {**_joined(services, runner, run_id), **about, "duplicate": True}
    services.run_id = lease.run_id
    live.announce(lease.run_id, taken.playbook, runner)
    if detach:
        runner.leave(lease)
        return {**runner.document(lease.run_id), **about, "exit_code": EXIT_DONE}
    return {**runner.drive(lease), **about}


def _joined(services: Context, runner: Runner, run_id: str) -> dict[str, Any]:
    """Return a known run's document; one in progress is followed, and driven where nobody drives it."""
    from irrunner.engine.reading import follow  # noqa: PLC0415 - the engine

    if runner.store.run(run_id).status is RunStatus.RUNNING:
        try:
            return runner.resume(run_id)
        except RunBusy:
            for _ in follow(services.store, services.clock, run_id):
                pass
    return runner.document(run_id)


def run(
    context: typer.Context, playbook: Playbook, *, event: OptionalEvent = None, inputs: Inputs = None,
    account: Account = "", region: Region = "", no_expiry_guard: NoExpiryGuard = False, as_json: Json = False,
) -> int:  # fmt: skip
    """Run one playbook.

    Example: irrunner run ec2-instance-compromise --input instance_id=i-0123456789abcdef0
    """
    from irrunner.cli import live  # noqa: PLC0415 - rich
    from irrunner.engine.expiry import require_guard  # noqa: PLC0415 - the engine
    from irrunner.engine.intake import take_for  # noqa: PLC0415 - as above

    services: Context = context.obj
    with live.progress(services, as_json=as_json) as observer:
        runner = services.runner(observer)
        runner.act_in(account, region)
        data = read_bytes(event) if event else None
        chosen = services.library.get(playbook)
        taken = take_for(runner, chosen, data, given_inputs(inputs), accepted_at=services.started)
        if not no_expiry_guard:
            require_guard(taken.starts)
        document = _act_on(services, runner, taken, detach=False, dry_run=False)
    live.show_document(services, document, as_json=as_json)
    return int(document["exit_code"])


def plan(
    context: typer.Context, playbook: Playbook, *, event: OptionalEvent = None, inputs: Inputs = None,
    account: Account = "", region: Region = "", as_json: Json = False,
) -> int:  # fmt: skip
    """Show every API call that a run would make. Reads only.

    Example: irrunner plan ec2-instance-compromise --input instance_id=i-0123456789abcdef0
    """
    from irrunner.cli import live  # noqa: PLC0415 - rich
    from irrunner.cli.plans import plan_document  # noqa: PLC0415 - rich
    from irrunner.engine.intake import take_for  # noqa: PLC0415 - the engine

    services: Context = context.obj
    runner = services.runner()
    runner.act_in(account, region)
    data = read_bytes(event) if event else None
    chosen = services.library.get(playbook)
    taken = take_for(runner, chosen, data, given_inputs(inputs), accepted_at=services.started)
    if taken.playbook is None:
        live.show_document(services, taken.about(), as_json=as_json)
        return taken.exit_code
    steps = runner.plan(chosen, taken.inputs, taken.finding, drill=taken.drill)
    document = plan_document(chosen, steps, runner)
    live.show_document(services, document, as_json=as_json)
    return int(document["exit_code"])


def runs(
    context: typer.Context, *,
    every: Annotated[bool, typer.Option("--all", help="Ended runs too.")] = False,
    limit: Annotated[int, typer.Option(help="At most this many.")] = 50,
    verify: Annotated[bool, typer.Option("--verify", help="Verify the whole store first.")] = False,
    as_json: Json = False,
) -> int:  # fmt: skip
    """List runs: the open ones, or all.

    Example: irrunner runs --all
    """
    from irrunner.cli.records import show_runs  # noqa: PLC0415 - rich
    from irrunner.journal.integrity import require_intact  # noqa: PLC0415 - only here

    services: Context = context.obj
    if verify:
        require_intact("of the whole store", services.store.verify_all())
    rows = [asdict(row) for row in services.store.runs(open_only=not every, limit=limit)]
    if as_json:
        print_json(rows)
    else:
        undelivered = services.store.outbox.undelivered()
        show_runs(rows, services.clock.now(), every=every, undelivered=len(undelivered))
    return EXIT_DONE


def show(context: typer.Context, run: RunId, *, as_json: Json = False) -> int:
    """Show a run: steps, gates, objectives, and what to do next.

    Example: irrunner show 0198
    """
    from irrunner.cli import live  # noqa: PLC0415 - rich
    from irrunner.engine.reading import document  # noqa: PLC0415 - the engine

    services: Context = context.obj
    live.show_document(services, document(services.store, services.compiler, run), as_json=as_json)
    return EXIT_DONE


def watch(context: typer.Context, run: RunId, *, as_json: Json = False) -> int:
    """Follow a run live until it has ended or waits for a person.

    Example: irrunner watch 0198
    """
    from irrunner.cli import live  # noqa: PLC0415 - rich
    from irrunner.engine.reading import document, follow  # noqa: PLC0415 - the engine

    services: Context = context.obj
    with live.progress(services, as_json=as_json) as watched:
        for record in follow(services.store, services.clock, run):
            if as_json:
                print_json_line(record.as_dict())
            watched.record(record)
    if not as_json:
        live.show_document(services, document(services.store, services.compiler, run), as_json=False)
    return EXIT_DONE


def timeline(context: typer.Context, run: RunId, *, as_json: Json = False) -> int:
    """Print the full record of a run, oldest first; with --json as JSON Lines.

    Example: irrunner timeline 0198 --json
    """
    from irrunner.cli.records import Timeline  # noqa: PLC0415 - rich
    from irrunner.journal.integrity import require_intact  # noqa: PLC0415 - only here

    services: Context = context.obj
    row = services.store.run(run)
    report = services.store.verify(row.run_id)
    listing = None if as_json else Timeline()
    for record in services.store.records(row.run_id):
        if listing is None:
            print_json_line(record.as_dict())
        else:
            listing.show(record)
    require_intact(row.run_id, report)
    return EXIT_DONE


def approve(
    context: typer.Context, run: RunId,
    step: Annotated[str | None, typer.Argument(help="Step; not needed when one gate is open.")] = None, *,
    plan: Annotated[str, typer.Option("--plan", help="SHA-256 of the plan that you saw.")] = "",
    as_json: Json = False,
) -> int:  # fmt: skip
    """Approve an open gate. The plan is made again: if it changed, you are asked anew.

    Example: irrunner approve 0198
    """
    return _decided(context, as_json, lambda runner: runner.approve(run, step, plan_sha256=plan))


def deny(
    context: typer.Context, run: RunId,
    step: Annotated[str | None, typer.Argument(help="Step; not needed when one gate is open.")] = None, *,
    reason: Reason, as_json: Json = False,
) -> int:  # fmt: skip
    """Deny an open gate: its steps are skipped, the run goes on.

    Example: irrunner deny 0198 --reason "the owner stops it"
    """
    return _decided(context, as_json, lambda runner: runner.deny(run, step, reason))


def abort(context: typer.Context, run: RunId, *, reason: Reason, as_json: Json = False) -> int:
    """Abort a run: no new step; what is in flight is settled; nothing is undone.

    Example: irrunner abort 0198 --reason "false positive"
    """
    document = _decide(context, as_json, lambda runner: runner.abort(run, reason))
    return EXIT_DONE if document["status"] == "aborted" else int(document["exit_code"])


def undo(
    context: typer.Context, run: RunId, *,
    step: Annotated[str | None, typer.Option("--step", help="Only this step.")] = None,
    release_credentials: Annotated[
        bool, typer.Option("--release-credentials", help="Give keys and users back, too.")
    ] = False,
    as_json: Json = False,
) -> int:  # fmt: skip
    """Undo a run from its recorded prior values; what somebody changed since is left alone.

    Example: irrunner undo 0198
    """
    return _decided(
        context, as_json, lambda runner: runner.undo(run, step, release_credentials=release_credentials)
    )


def resume(
    context: typer.Context, run: Annotated[str | None, typer.Argument(help="Run id.")] = None, *,
    due: Annotated[bool, typer.Option("--due", help="All runs with due timers, and orphans.")] = False,
    as_json: Json = False,
) -> int:  # fmt: skip
    """Take up an interrupted run; with --due, every run that is due.

    Example: irrunner resume 0198
    """
    from irrunner.cli import live  # noqa: PLC0415 - rich

    if run is not None:
        return _decided(context, as_json, lambda runner: runner.resume(run))
    if not due:
        raise InvalidArgument("name a run, or give --due", hint="irrunner runs")
    services: Context = context.obj
    with live.progress(services, as_json=as_json) as observer:
        documents = services.runner(observer).resume_due()
    if as_json:
        print_json(documents)
    else:
        for document in documents:
            live.show_document(services, document, as_json=False)
    return max((int(document["exit_code"]) for document in documents), key=_rank, default=EXIT_DONE)


def _decide(context: typer.Context, as_json: bool, act: Any) -> Mapping[str, Any]:  # noqa: FBT001 - passed on
    from irrunner.cli import live  # noqa: PLC0415 - rich

    services: Context = context.obj
    with live.progress(services, as_json=as_json) as observer:
        document: Mapping[str, Any] = act(services.runner(observer))
    live.show_document(services, document, as_json=as_json)
    return document


def _decided(context: typer.Context, as_json: bool, act: Any) -> int:  # noqa: FBT001 - passed on
    return int(_decide(context, as_json, act)["exit_code"])
