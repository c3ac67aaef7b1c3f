"""A bundle's files for reading, from a folder or an archive. Nothing is extracted, no link is followed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol, Self

from forensics.archive import Member, read_archive
from forensics.chain import broken
from forensics.vault import is_safe


class Container(Protocol):
    """A folder or an archive."""

    names: frozenset[str]
    damaged: list[str]
    """Files whose checksum in the archive is another; the other checks find what exactly was changed."""

    def open(self, name: str) -> BinaryIO:
        """Open a file for reading."""


class Folder:
    """A bundle that was unpacked. Links and other odd things are refused, never followed."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.damaged: list[str] = []
        self.names = frozenset(self._walk())

    def _walk(self) -> Iterator[str]:
        for folder, folders, files in os.walk(self._root, followlinks=False, onerror=_raise):
            if not folders and not files:
                yield f"{Path(folder).relative_to(self._root).as_posix()}/"
            for each in (*folders, *files):
                path = Path(folder) / each
                name = path.relative_to(self._root).as_posix()
                mode = path.lstat().st_mode
                if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)) or not is_safe(name):
                    raise broken("bundle", f"{name!r} is a link or no plain file")
                if stat.S_ISREG(mode):
                    yield name

    def open(self, name: str) -> BinaryIO:
        """See :class:`Container`."""
        descriptor = os.open(self._root / name, os.O_RDONLY | os.O_NOFOLLOW)
        return os.fdopen(descriptor, "rb")


def _raise(problem: OSError) -> None:
    """Refuse a folder that cannot be read: something may lie in it."""
    raise problem


class Archive:
    """A bundle in one file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._members: dict[str, Member] = {member.name: member for member in read_archive(path)}
        self.names = frozenset(self._members)
        self.damaged = [member.name for member in self._members.values() if not member.whole]

    def open(self, name: str) -> BinaryIO:
        """See :class:`Container`."""
        member = self._members[name]
        stream = self._path.open("rb")
        stream.seek(member.content_at)
        return _Bounded(stream, member.size_bytes)  # type: ignore[return-value]


class _Bounded:
    """The next so many bytes of a stream."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream = stream
        self._left = size

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(self._left if size < 0 else min(size, self._left))
        self._left -= len(data)
        return data

    def readline(self, size: int) -> bytes:
        data = self._stream.readline(min(size, self._left))
        self._left -= len(data)
        return data

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()
