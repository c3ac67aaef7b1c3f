"""``irrunner evidence``: list, verify and export custody."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from irrunner.errors import EXIT_DONE, EXIT_FAILED

if TYPE_CHECKING:
    from forensics.deposits import Kept
    from forensics.verify import Verdict
    from irrunner.cli.context import Context

MIB = 1 << 20

app = typer.Typer(
    help="The custody ledger of a run: list, verify, export.", no_args_is_help=True, add_completion=False
)

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
RunId = Annotated[str, typer.Argument(help="Run id, or a unique beginning of it.", metavar="RUN")]


@app.callback()
def _evidence() -> None:
    """The custody ledger of a run."""


@app.command("list")
def list_(context: typer.Context, run: RunId, *, as_json: Json = False) -> int:
    """List what the ledger of a run's incident holds; what the journal says and it lacks is added first.

    Example: irrunner evidence list 0198
    """
    from forensics.custody import Custody  # noqa: PLC0415 - cryptography
    from forensics.listing import listing, show_listing  # noqa: PLC0415 - with it

    kept = Custody.of(context.obj).keep(run)
    return _printed(listing(kept), show_listing, as_json=as_json)


@app.command()
def verify(
    context: typer.Context,
    bundle: Annotated[
        str, typer.Argument(help="Exported folder or ZIP file, or a run id.", metavar="BUNDLE")
    ],
    *,
    key: Annotated[
        str, typer.Option("--key", help="Fingerprint of the key that must have signed, or its PEM file.")
    ] = "",
    as_json: Json = False,
) -> int:
    """Verify an exported bundle, offline and without configuration; or the ledger of a run of this store.

    Exit code 0: intact; 4: broken, and the first broken link is named; 2: there is nothing to verify.

    Example: irrunner evidence verify incident.zip
    """
    from forensics.listing import show_verdict, verdict_document  # noqa: PLC0415 - cryptography
    from forensics.verify import expected_fingerprint, verify_bundle  # noqa: PLC0415 - with it

    expected, path = expected_fingerprint(key), Path(bundle)
    is_path = path.exists() or "/" in bundle or path.suffix.lower() == ".zip"
    verdict = verify_bundle(path, expected) if is_path else _of_store(context.obj, bundle, expected)
    return _printed(verdict_document(verdict), show_verdict, as_json=as_json)


def _of_store(services: Context, run: str, expected: str) -> Verdict:
    from forensics.custody import Custody  # noqa: PLC0415 - as above

    return Custody.of(services).verdict(run, expected)


@app.command()
def export(
    context: typer.Context,
    run: RunId,
    *,
    out: Annotated[Path, typer.Option("--out", help="A new folder, or a new file that ends in .zip.")],
    files_up_to: Annotated[
        int, typer.Option("--files-up-to", help="MiB; larger files are referred to by their hash.", min=0)
    ] = 256,
    as_json: Json = False,
) -> int:
    """Export ledger, journals, playbooks and files of evidence as a bundle, and verify what was written.

    Files of the vault and those that actions stored in the evidence bucket are in it, each compared with the
    ledger. Exit code 1: exported, and something that the ledger names was missing or is another file.

    Example: irrunner evidence export 0198 --out incident.zip
    """
    from forensics.bundle import compose, write_bundle  # noqa: PLC0415 - cryptography
    from forensics.custody import Custody  # noqa: PLC0415 - with it
    from forensics.listing import export_document, show_export  # noqa: PLC0415 - with it
    from forensics.verify import verify_bundle  # noqa: PLC0415 - with it

    custody = Custody.of(context.obj)
    kept: Kept = custody.keep(run)
    parts, signer = custody.parts(kept, files_up_to * MIB)
    write_bundle(compose(parts, signer), out)
    verify_bundle(out, signer.public.fingerprint)
    _printed(export_document(parts, signer.public, out), show_export, as_json=as_json)
    return EXIT_FAILED if parts.missing or parts.collected.lacking else EXIT_DONE


@app.command("rotate-key")
def rotate_key(
    context: typer.Context,
    *,
    old: Annotated[
        str, typer.Option("--from", help="Reference of the old private key; default: our own key.")
    ] = "",
    as_json: Json = False,
) -> int:
    """Announce a new signing key, signed by the old one: the configured key, or a new one of our own.

    Ledgers go on under the new key with the announcement in them. Our own old private key is gone then.

    Example: irrunner evidence rotate-key
    """
    from forensics.custody import Custody  # noqa: PLC0415 - cryptography
    from forensics.listing import rotation_document, show_rotation  # noqa: PLC0415 - with it

    announcement = Custody.of(context.obj).rotate(old)
    return _printed(rotation_document(announcement), show_rotation, as_json=as_json)


def _printed(document: dict[str, Any], show: Any, *, as_json: bool) -> int:
    from irrunner.cli.output import print_json  # noqa: PLC0415 - as above

    if as_json:
        print_json(document)
    else:
        show(document)
    return EXIT_DONE
