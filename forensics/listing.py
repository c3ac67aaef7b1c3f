"""Documents of ``irrunner evidence`` for machines, and as text for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from forensics.chain import ATTEMPT, EVIDENCE, JOURNAL, ROTATED
from forensics.signing import PublicKey
from irrunner.cli.output import console, escape, hang
from irrunner.cli.plans import counted

if TYPE_CHECKING:
    from forensics.bundle import Parts
    from forensics.deposits import Kept
    from forensics.verify import Verdict

SHORT: Final = 16
INDENT: Final = 6


def listing(kept: Kept) -> dict[str, Any]:
    """Return the ledger as a document."""
    chain = kept.chain
    return {
        "run_id": kept.row.run_id,
        "incident_id": kept.row.incident_id,
        "ledger": {
            "records": len(chain.records), "seals": chain.seals, "head_sha256": chain.head_sha256,
            "sealed_at": chain.last_seal_at,
            "key_sha256": chain.keys[-1].fingerprint if chain.keys else "",
        },
        "items": [
            dict(record) | {"sha256": sha256}
            for record, sha256 in zip(chain.records, chain.hashes, strict=True)
        ],
        "warnings": list(chain.warnings),
    }  # fmt: skip


def show_listing(document: Mapping[str, Any]) -> None:
    """Print a ledger, two lines a record: it fits any terminal."""
    screen = console()
    ledger = document["ledger"]
    if not document["items"]:
        screen.print(f"no evidence is recorded for run {document['run_id']} yet")
        return
    for each in document["items"]:
        number, at, word, name, lineage, sha256 = map(escape, _cells(each))
        when = f"{at[:10]} {at[11:19]}"
        screen.print(f"{number:>4}  {when}  [bold]{word}[/]  {name}", soft_wrap=True)
        digest = f"sha256 {sha256}…" if sha256 else ""
        if told := "  ".join(filter(None, (lineage, digest))):
            hang(screen, "", f"[dim]{told}[/]", INDENT)
    screen.print()
    screen.print(
        f"incident {escape(document['incident_id'])}: {counted(ledger['records'], 'record')}, "
        f"{counted(ledger['seals'], 'seal')}"
    )
    screen.print(f"head {ledger['head_sha256']}\nkey  {ledger['key_sha256']}")
    _warn(document)
    screen.print(
        f"\n[dim]hand over: irrunner evidence export {document['run_id']} "
        f"--out {document['incident_id']}.zip[/]"
    )


def _cells(record: Mapping[str, Any]) -> tuple[str, ...]:
    body, kind = record["body"], record["kind"]
    start = (str(record["seq"]), str(record["at"]))
    if kind in (EVIDENCE, ATTEMPT):
        item = body["item"]
        lineage = " -> ".join(each["resource"] for each in body["lineage"] if each["resource"])
        word = item["kind"] if kind == EVIDENCE else "failed attempt"
        return (*start, word, item["name"], lineage or body["location"]["resource"], item["sha256"][:SHORT])
    if kind == JOURNAL:
        run_id = body["journal"]["run_id"]
        return (*start, "journal", run_id, f"{body['records']} records", body["head_sha256"][:SHORT])
    key = body["statement"]["new_key_sha256"] if kind == ROTATED else body["fingerprint"]
    return (*start, "new key" if kind == ROTATED else "key", "", "", key[:SHORT])


def _warn(document: Mapping[str, Any]) -> None:
    for warning in document["warnings"]:
        console().print(f"[yellow]warning:[/] {escape(warning)}")


def verdict_document(verdict: Verdict) -> dict[str, Any]:
    """Return what was verified as a document."""
    return {"ok": True, **asdict(verdict)}


def show_verdict(document: Mapping[str, Any]) -> None:
    """Print what was verified."""
    screen = console()
    screen.print(
        f"[green]intact[/]: incident {escape(document['incident_id'])}, "
        f"{counted(document['records'], 'ledger record')}, {counted(document['journals'], 'journal')}, "
        f"{counted(document['files'], 'file')}"
    )
    expected = "as expected" if document["pinned"] else "not compared"
    screen.print(f"head {document['head_sha256']}\nkey  {document['key_sha256']} ({expected})")
    _warn(document)


def export_document(parts: Parts, key: PublicKey, out: Path) -> dict[str, Any]:
    """Return what was exported as a document."""
    return {
        "out": str(out), "run_id": parts.row.run_id, "incident_id": parts.row.incident_id,
        "records": len(parts.chain.records), "head_sha256": parts.chain.head_sha256,
        "key_sha256": key.fingerprint, "files": len(parts.items) + len(parts.collected.files),
        "missing": [*parts.missing, *(each["name"] for each in parts.collected.lacking)],
        "warnings": [
            *parts.chain.warnings,
            *(f"vault: {name} is missing, or is not what the ledger names" for name in parts.missing),
            *parts.collected.warnings,
            *getattr(parts.vault, "warnings", ()),
        ],
    }  # fmt: skip


def show_export(document: Mapping[str, Any]) -> None:
    """Print what was exported, and what to tell the receiver."""
    screen = console()
    screen.print(f"exported {escape(document['out'])}: {counted(document['records'], 'ledger record')}")
    screen.print(f"head {document['head_sha256']}\nkey  {document['key_sha256']}")
    _warn(document)
    screen.print(
        "\ntell the receiver the key's fingerprint by another way than the bundle; they check it by\n"
        f"  irrunner evidence verify {escape(document['out'])} --key {document['key_sha256']}"
    )


def rotation_document(announcement: Mapping[str, Any]) -> dict[str, Any]:
    """Return an announcement of a new key as a document."""
    statement = announcement["statement"]
    return {name: statement[name] for name in ("old_key_sha256", "new_key_sha256", "new_key_pem", "at")}


def show_rotation(document: Mapping[str, Any]) -> None:
    """Print the new key."""
    screen = console()
    screen.print(f"old key {document['old_key_sha256']}\nnew key {document['new_key_sha256']}")
    screen.print("tell those who verify your bundles; ledgers go on under the new key by themselves")
