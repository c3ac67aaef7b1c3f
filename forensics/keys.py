"""Which key signs: a KMS key, a key that a reference names, or our own, made once and kept at mode 0600."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from forensics.chain import ROTATED, Chain, Entry, rotated_key, rotation
from forensics.files import PRIVATE, create_whole, locked, make_private, storing, write_whole
from forensics.signing import LocalSigner, PublicKey, Signer
from irrunner.clock import Clock
from irrunner.errors import EvidenceError, SettingsError
from irrunner.journal.records import canonical

NAME: Final = "signing-key.pem"
OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
LINK: Final = "rotations.jsonl"


class Keys:
    """The local key and the announcements of new keys."""

    def __init__(self, directory: Path) -> None:
        """Name where they are.

        Args:
            directory: Where ledgers, keys and the local vault are.
        """
        self._directory = directory / "keys"
        self._path = self._directory / NAME
        self._rotations = self._directory / LINK

    def local(self) -> LocalSigner:
        """Return our own key; the first call makes it.

        Raises:
            SettingsError: If others may read it, or it is no key.
            VaultUnavailable: If it cannot be written.
        """
        with storing(str(self._path)):
            make_private(self._directory)
            if not self._path.exists():
                create_whole(self._path, [LocalSigner.generate().private_pem()], PRIVATE)
            return self._read()

    def _read(self) -> LocalSigner:
        descriptor = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW)
        with os.fdopen(descriptor, "rb") as stream:
            if os.fstat(descriptor).st_mode & OTHERS:
                raise SettingsError(f"{self._path} can be read by others", hint=f"chmod 600 {self._path}")
            return LocalSigner.from_pem(stream.read().decode("ascii", "replace"), str(self._path))

    def rotate(self, old: Signer, new: Signer | None, clock: Clock) -> dict[str, Any]:
        """Announce a new key, signed by the old one, and return the announcement.

        Args:
            old: Signs the announcement; the last thing that it signs.
            new: The new key; None: our own is replaced, and the old private key is gone.
            clock: For the time.

        Raises:
            EvidenceError: If the two are one key.
        """
        with storing(str(self._path)):
            make_private(self._directory)
            with locked(self._directory):
                signer = new or LocalSigner.generate()
                if signer.public.fingerprint == old.public.fingerprint:
                    raise EvidenceError("the new key is the old one", hint="configure the new key first")
                announcement = rotation(old, signer.public, clock.now())
                known = self._rotations.read_bytes() if self._rotations.exists() else b""
                write_whole(self._rotations, known + canonical(announcement).encode() + b"\n")
                if isinstance(signer, LocalSigner) and new is None:
                    write_whole(self._path, signer.private_pem())
                return announcement

    def announcements(self, chain: Chain, wanted: PublicKey) -> list[Entry]:
        """Return the records that lead from a ledger's key to the wanted one; none where it is the same.

        Raises:
            EvidenceError: If nobody announced the wanted key.
            CustodyBroken: If an announcement is forged.
        """
        now, entries = chain.keys[-1], []
        known = self._announced()
        while now.fingerprint != wanted.fingerprint:
            announcement = known.pop(now.fingerprint, None)
            if announcement is None:
                raise EvidenceError(
                    f"ledger {chain.ledger} is sealed with the key {now.fingerprint[:16]}..., and nobody "
                    f"announced {wanted.fingerprint[:16]}...",
                    hint="irrunner evidence rotate-key --from REFERENCE_OF_THE_OLD_KEY",
                )
            now = rotated_key(announcement, now, LINK)
            at = str(announcement["statement"]["at"])
            entries.append(Entry(f"key/{now.fingerprint}/{at}", ROTATED, at, announcement))
        return entries

    def _announced(self) -> dict[str, Mapping[str, Any]]:
        try:
            lines = self._rotations.read_text(encoding="utf-8").splitlines()
            found = [json.loads(line) for line in lines]
            return {str(entry["statement"]["old_key_sha256"]): entry for entry in found}
        except FileNotFoundError:
            return {}
        except (ValueError, KeyError, TypeError) as problem:
            raise EvidenceError(f"{self._rotations}: {problem}", hint="restore a backup") from problem
