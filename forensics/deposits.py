"""Files of the vault against the ledger: what is new, what is there, and what is not what it should be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from forensics.chain import EVIDENCE, Chain, Entry
from forensics.vault import Vault, VaultItem
from irrunner import __version__
from irrunner.journal.records import Record
from irrunner.journal.store import RunRow

VAULT_ID: Final = "vault/"
"""Begins the ids of entries about files that somebody put into the vault."""
ANCHORS: Final = "custody/"
"""Begins the names of seals that were put into the vault: they are about the ledger, not in it."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A run with its journal, and the ledger of its incident."""

    row: RunRow
    records: Sequence[Record]
    chain: Chain


def deposits(kept: Kept, vault: Vault, user: str, at: str) -> tuple[list[Entry], list[VaultItem], list[str]]:
    """Compare the vault with the ledger.

    Args:
        kept: The run, and the ledger of its incident.
        vault: Where files of evidence are.
        user: Who looks.
        at: When.

    Returns:
        Entries for files that the ledger does not name yet; the files; names of those that it names and
        that are not there, or are not what it names.
    """
    items = vault.items(kept.row.incident_id)
    items = [item for item in items if not item.name.startswith(ANCHORS)]
    by_name = {item.name: item for item in items}
    named = deposited(kept.chain)
    wrong = [name for name, sha256 in named.items() if name not in by_name or by_name[name].sha256 != sha256]
    fresh = [_deposit(item, kept.row, user, at) for item in items if item.name not in named]
    return fresh, [item for item in items if item.name not in wrong], sorted(wrong)


def deposited(chain: Chain) -> dict[str, str]:
    """Return name to SHA-256 of the files of the vault that a ledger names."""
    return {
        str(record["body"]["item"]["name"]): str(record["body"]["item"]["sha256"])
        for record in chain.records
        if str(record["id"]).startswith(VAULT_ID)
    }


def _deposit(item: VaultItem, row: RunRow, user: str, at: str) -> Entry:
    body = {
        "item": {
            "kind": "file", "name": item.name, "sha256": item.sha256, "bytes": item.size_bytes,
            "media_type": item.media_type,
        },
        "location": {"account_id": "", "region": "", "resource": item.location, "version": item.version},
        "source": {"account_id": row.account_id, "region": row.region, "resource": ""},
        "lineage": [], "who": {"arn": "", "os_user": user, "run_id": row.run_id},
        "tool": {"name": "irrunner", "version": __version__}, "action": "", "step": "", "outcome": "",
        "verified": True, "drill": row.drill, "aws": [], "note": "found in the vault",
    }  # fmt: skip
    return Entry(f"{VAULT_ID}{item.name}", EVIDENCE, at, body)
