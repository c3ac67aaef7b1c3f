"""Files that survive a crash: written beside, synced, moved into place; what is there is never half of it."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from irrunner.errors import VaultUnavailable

PRIVATE: Final = 0o600
READ_ONLY: Final = 0o400
PRIVATE_DIRECTORY: Final = 0o700
FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@contextlib.contextmanager
def storing(what: str) -> Iterator[None]:
    """Say what could not be stored, and that nothing is lost.

    Raises:
        VaultUnavailable: For any failure of the file system.
    """
    try:
        yield
    except OSError as problem:
        full = problem.errno in FULL
        hint = (
            "make room and repeat the command: it goes on where it stopped" if full else "check path and mode"
        )
        why = "the disk is full" if full else problem.strerror or type(problem).__name__
        raise VaultUnavailable(
            f"{what}: {why}; nothing that was stored before is lost", hint=hint
        ) from problem


def make_private(directory: Path) -> None:
    """Make a directory that only we may enter, and those above it that are missing."""
    missing = [each for each in (directory, *directory.parents) if not each.exists()]
    for each in reversed(missing):
        each.mkdir(mode=PRIVATE_DIRECTORY, exist_ok=True)
        sync_directory(each.parent)


def write_whole(path: Path, data: bytes, mode: int = PRIVATE) -> None:
    """Replace a file by new content, all or nothing, and on disk when this returns."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        with _created(beside, mode) as descriptor:
            _write_all(descriptor, data)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    sync_directory(path.parent)


def create_whole(path: Path, chunks: Iterable[bytes], mode: int = READ_ONLY) -> bool:
    """Create a file with its content, all or nothing; return False where it was there already.

    A link is made, because a rename would replace what another process has just created.
    """
    beside = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        with _created(beside, mode) as descriptor:
            for chunk in chunks:
                _write_all(descriptor, chunk)
        os.link(beside, path)
    except FileExistsError:
        return False
    finally:
        beside.unlink(missing_ok=True)
    sync_directory(path.parent)
    return True


@contextlib.contextmanager
def _created(path: Path, mode: int) -> Iterator[int]:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    try:
        yield descriptor
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold a directory against other processes while the block runs."""
    descriptor = os.open(directory / ".lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, PRIVATE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
