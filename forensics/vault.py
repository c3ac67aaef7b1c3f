"""The vault: files of evidence by case and name, which are put once and never changed.

The local vault is a folder with the layout of the S3 vault (``<case>/<name>``): read-only files, written
beside and linked into place. It keeps honest people honest; who owns the folder can replace what is in it,
which the ledger then shows. Against the owner only the S3 vault with Object Lock helps.
"""

from __future__ import annotations

import hashlib
import mimetypes
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, Protocol

from forensics.files import create_whole, make_private, storing
from irrunner.errors import EvidenceError, EvidenceIncomplete, InvalidArgument

PART: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._=+@-]{0,199}")
LONGEST_NAME: Final = 700
CHUNK_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class VaultItem:
    """A file in a vault."""

    case_id: str
    name: str
    sha256: str
    size_bytes: int
    location: str
    """Path or ``s3://bucket/key``."""
    version: str = ""
    """S3 version id; empty in a folder, where a name has one version."""

    @property
    def media_type(self) -> str:
        """By the name's ending."""
        return mimetypes.guess_type(self.name)[0] or "application/octet-stream"


class Vault(Protocol):
    """Keeps files of evidence."""

    def put(self, case_id: str, name: str, data: bytes | Path) -> VaultItem:
        """Store a file; the same bytes under the same name again are a no-op.

        Args:
            case_id: The incident.
            name: Parts with ``/`` between them, of letters, digits and ``. _ = + @ -``.
            data: The bytes, or a file to read them from.

        Raises:
            InvalidArgument: If the name could leave the case.
            EvidenceError: If other bytes are there under this name.
            VaultUnavailable: If it cannot be stored; nothing that was stored before is lost.
        """

    def items(self, case_id: str, wanted: Callable[[str], bool] = bool) -> list[VaultItem]:
        """Return the files of a case, sorted by name.

        Args:
            case_id: The incident.
            wanted: Whether a name is; the others are not looked at.
        """

    def open(self, item: VaultItem) -> BinaryIO:
        """Open a file for reading."""


def is_safe(name: str) -> bool:
    """Return whether a name stays inside the folder that it is put or unpacked to."""
    return len(name) <= LONGEST_NAME and all(map(PART.fullmatch, name.split("/")))


def checked_name(case_id: str, name: str) -> str:
    """Return ``<case>/<name>`` where neither can leave its place.

    Raises:
        InvalidArgument: If one could.
    """
    whole = f"{case_id}/{name}"
    if "/" in case_id or not is_safe(whole):
        raise InvalidArgument(
            f"{name!r} of case {case_id!r} is no name in a vault",
            hint="parts of letters, digits and . _ = + @ -, with / between them",
        )
    return whole


def chunks_of(data: bytes | Path) -> Iterator[bytes]:
    """Yield the bytes of an item."""
    if isinstance(data, bytes):
        yield data
        return
    with data.open("rb") as stream:
        yield from chunks_from(stream)


def chunks_from(stream: BinaryIO) -> Iterator[bytes]:
    """Yield what is left of a stream, in pieces."""
    while chunk := stream.read(CHUNK_BYTES):
        yield chunk


def digest_of(chunks: Iterable[bytes]) -> tuple[str, int]:
    """Return the SHA-256 of bytes as hex, and how many they are."""
    sha256, size = hashlib.sha256(), 0
    for chunk in chunks:
        sha256.update(chunk)
        size += len(chunk)
    return sha256.hexdigest(), size


def measured(data: bytes | Path) -> tuple[str, int]:
    """Return the SHA-256 of an item as hex, and its size in bytes."""
    return digest_of(chunks_of(data))


def other_content(location: str, there: str, given: str) -> EvidenceError:
    """Return the refusal to replace evidence."""
    return EvidenceError(
        f"{location} holds {there[:16]}..., not {given[:16]}...: evidence is never replaced",
        hint="put it under another name",
    )


class LocalVault:
    """A folder."""

    def __init__(self, root: Path) -> None:
        """Name the folder; it is made with the first item.

        Args:
            root: Its path.
        """
        self._root = root

    def put(self, case_id: str, name: str, data: bytes | Path) -> VaultItem:
        """See :class:`Vault`."""
        path = self._root / checked_name(case_id, name)
        with storing(str(path)):
            make_private(path.parent)
            self._stay_inside(path)
            sha256, size = measured(data)
            if not create_whole(path, chunks_of(data)):
                self._same(path, sha256)
            elif measured(path)[0] != sha256:
                raise EvidenceIncomplete(
                    f"{path}: the source changed while it was copied", hint="copy it again"
                )
        return VaultItem(case_id, name, sha256, size, str(path))

    def _stay_inside(self, path: Path) -> None:
        if path.is_symlink() or not path.parent.resolve().is_relative_to(self._root.resolve()):
            raise EvidenceError(
                f"{path} leads out of the vault", hint="somebody put a link there: look at it"
            )

    @staticmethod
    def _same(path: Path, sha256: str) -> None:
        there = measured(path)[0]
        if there != sha256:
            raise other_content(str(path), there, sha256)

    def items(self, case_id: str, wanted: Callable[[str], bool] = bool) -> list[VaultItem]:
        """See :class:`Vault`; links and unfinished files are no items."""
        case = self._root / checked_name(case_id, "any").partition("/")[0]
        found = []
        for path in sorted(case.rglob("*")) if case.is_dir() else ():
            name = path.relative_to(case).as_posix()
            if path.is_file() and not path.is_symlink() and is_safe(name) and wanted(name):
                self._stay_inside(path)
                sha256, size = measured(path)
                found.append(VaultItem(case_id, name, sha256, size, str(path)))
        return found

    def open(self, item: VaultItem) -> BinaryIO:
        """See :class:`Vault`."""
        path = self._root / checked_name(item.case_id, item.name)
        self._stay_inside(path)
        return path.open("rb")
