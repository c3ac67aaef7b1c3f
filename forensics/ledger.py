"""The custody ledger of an incident as a file: read whole, checked, extended in one step, never rewritten.

Every process that appends holds the directory, reads and checks the whole ledger, and puts the extended
file in the place of the old one. So a crash leaves the ledger as it was or with the whole batch and its seal,
and a ledger that does not verify is never appended to.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from forensics.chain import Chain, Entry, broken, extended, key_entry
from forensics.files import locked, make_private, storing, write_whole
from forensics.keys import Keys
from forensics.signing import Signer
from forensics.walk import read_chain
from irrunner.clock import Clock
from irrunner.errors import CustodyBroken, InvalidArgument

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,126}")


def ledger_path(directory: Path, incident_id: str) -> Path:
    """Return where an incident's ledger is.

    Raises:
        InvalidArgument: If the id could leave the directory.
    """
    if not NAME.fullmatch(incident_id):
        raise InvalidArgument(f"{incident_id!r} is no incident id")
    return directory / "ledgers" / f"{incident_id}.jsonl"


def read_ledger(path: Path) -> Chain | None:
    """Return a ledger that was checked; None where there is none yet.

    Raises:
        CustodyBroken: If it is not what was sealed.
    """
    try:
        with path.open("rb") as stream:
            return read_chain(stream)
    except FileNotFoundError:
        return None
    except CustodyBroken as problem:
        raise CustodyBroken(f"{path}: {problem.message}", hint=problem.hint, **problem.detail) from problem


class Ledger:
    """The ledger of one incident."""

    def __init__(self, directory: Path, incident_id: str, clock: Clock) -> None:
        """Name the ledger; nothing is read.

        Args:
            directory: Where ledgers, keys and the local vault are.
            incident_id: Its name.
            clock: For the times of seals.
        """
        self.path = ledger_path(directory, incident_id)
        self._directory = directory
        self._incident_id = incident_id
        self._clock = clock

    def read(self) -> Chain | None:
        """See :func:`read_ledger`; the ledger of another incident is broken too."""
        chain = read_ledger(self.path)
        if chain is not None and chain.ledger != self._incident_id:
            raise broken(str(self.path), f"is the ledger of {chain.ledger}, not of {self._incident_id}")
        return chain

    def append(self, entries: Iterable[Entry], signer: Signer) -> Chain:
        """Record what is not recorded yet, under one seal; the same entries again change nothing.

        Args:
            entries: By their ids; a known id is left as it is recorded.
            signer: Holder of the ledger's key, or of one that was announced by it.

        Raises:
            CustodyBroken: If the ledger does not verify; nothing is appended.
            EvidenceError: If nobody announced the signer's key.
            VaultUnavailable: If it cannot be written; the ledger is as before.
        """
        with storing(str(self.path)):
            make_private(self.path.parent)
            with locked(self.path.parent):
                return self._extend(entries, signer)

    def _extend(self, entries: Iterable[Entry], signer: Signer) -> Chain:
        chain = self.read()
        now = self._clock.now()
        if chain is None:
            chain = Chain(ledger=self._incident_id, keys=[signer.public])
            fresh = [key_entry(signer.public, now)]
            old = b""
        else:
            fresh = Keys(self._directory).announcements(chain, signer.public)
            chain.keys.extend(() if not fresh else [signer.public])
            old = self.path.read_bytes()
        known = set(chain.ids)
        for entry in entries:
            if entry.entry_id not in known:
                known.add(entry.entry_id)
                fresh.append(entry)
        if fresh:
            lines = extended(chain, fresh, signer, now)
            write_whole(self.path, old + "".join(f"{line}\n" for line in lines).encode())
        return chain
