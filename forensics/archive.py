"""One form of ZIP: the same files always give the same bytes, and any other byte shows.

Entries are stored, sorted, dated 1980 and without extras, so that a reader can tell to the byte whether an
archive is as it was written. A stored entry cannot expand, so there is nothing to bomb with. Any unzip reads
it. Nothing here extracts.

Source: PKWARE APPNOTE.TXT, 4.3.7, 4.3.12 and 4.3.16.
"""

from __future__ import annotations

import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Final

from forensics.chain import broken
from forensics.vault import CHUNK_BYTES, LONGEST_NAME, chunks_from, is_safe
from irrunner.errors import EvidenceError

LOCAL: Final = struct.Struct("<4s5H3L2H")
CENTRAL: Final = struct.Struct("<4s6H3L5H2L")
END: Final = struct.Struct("<4s4H2LH")
LOCAL_MARK: Final = b"PK\x03\x04"
VERSION: Final = 20
MADE_BY_UNIX: Final = 3 << 8 | VERSION
UTF8: Final = 0x800
EPOCH_DATE: Final = 0x21
READ_ONLY_FILE: Final = (stat.S_IFREG | 0o444) << 16
LARGEST_BYTES: Final = (1 << 32) - 2
MOST_ENTRIES: Final = (1 << 16) - 2
REPACKED: Final = (
    "is not as `irrunner evidence export` writes it (packed anew? unpack it and verify the folder)"
)

Source = Callable[[], BinaryIO]


@dataclass(frozen=True, slots=True)
class Member:
    """A file in an archive."""

    name: str
    size_bytes: int
    crc: int
    offset: int
    """Of its header."""
    whole: bool = True
    """Whether the content has the checksum that the header names."""

    @property
    def header(self) -> bytes:
        """The header before its content."""
        fields = (VERSION, UTF8, 0, 0, EPOCH_DATE, self.crc, self.size_bytes, self.size_bytes)
        return LOCAL.pack(LOCAL_MARK, *fields, len(self.name), 0) + self.name.encode()

    @property
    def entry(self) -> bytes:
        """Its entry in the directory at the end."""
        fields = (VERSION, UTF8, 0, 0, EPOCH_DATE, self.crc, self.size_bytes, self.size_bytes)
        places = (len(self.name), 0, 0, 0, 0, READ_ONLY_FILE, self.offset)
        return CENTRAL.pack(b"PK\x01\x02", MADE_BY_UNIX, *fields, *places) + self.name.encode()

    @property
    def content_at(self) -> int:
        """Where its content begins."""
        return self.offset + LOCAL.size + len(self.name)

    @property
    def end(self) -> int:
        """Where the next one begins."""
        return self.content_at + self.size_bytes


def directory(members: Iterable[Member]) -> bytes:
    """Return what stands behind the last file."""
    listed = list(members)
    entries = b"".join(member.entry for member in listed)
    start = listed[-1].end if listed else 0
    return entries + END.pack(b"PK\x05\x06", 0, 0, len(listed), len(listed), len(entries), start, 0)


def write_archive(stream: BinaryIO, sources: Mapping[str, Source]) -> None:
    """Write an archive.

    Args:
        stream: Where to.
        sources: Name to what opens the content; each is read twice.

    Raises:
        EvidenceError: If it is too large for a ZIP, or a file changes meanwhile.
    """
    members: list[Member] = []
    for name in sorted(sources):
        size, crc = _measured(sources[name])
        member = Member(name, size, crc, members[-1].end if members else 0)
        if not is_safe(name) or member.end > LARGEST_BYTES or len(members) >= MOST_ENTRIES:
            raise EvidenceError(f"{name} is too much for one ZIP file", hint="export to a folder: --out DIR")
        stream.write(member.header)
        if _copied(sources[name], stream) != (size, crc):
            raise EvidenceError(f"{name} changed while it was exported", hint="export again")
        members.append(member)
    stream.write(directory(members))


def _chunks(source: Source) -> Iterator[bytes]:
    with source() as content:
        yield from chunks_from(content)


def _measured(source: Source) -> tuple[int, int]:
    size = crc = 0
    for chunk in _chunks(source):
        size, crc = size + len(chunk), zlib.crc32(chunk, crc)
    return size, crc


def _copied(source: Source, stream: BinaryIO) -> tuple[int, int]:
    size = crc = 0
    for chunk in _chunks(source):
        stream.write(chunk)
        size, crc = size + len(chunk), zlib.crc32(chunk, crc)
    return size, crc


def read_archive(path: Path) -> list[Member]:
    """Return the files of an archive that is, to the byte, as :func:`write_archive` makes it.

    Raises:
        CustodyBroken: If it is not; names the entry and why.
    """
    with path.open("rb") as stream:
        members: list[Member] = []
        try:
            while (start := stream.read(LOCAL.size)).startswith(LOCAL_MARK):
                members.append(_member(stream, start, members))
            expected = directory(members)
            rest = start + stream.read(len(expected))
        except struct.error:
            raise broken(f"archive entry {len(members)}", "is cut off") from None
    if rest != expected:
        raise broken("archive", _why(path, members))
    return members


def _member(stream: BinaryIO, start: bytes, before: list[Member]) -> Member:
    fields = LOCAL.unpack(start)
    crc, size, name_length = fields[6], fields[8], fields[9]
    raw = stream.read(min(name_length, LONGEST_NAME + 1))
    name, link = raw.decode("ascii", "replace"), f"archive entry {len(before)}"
    if not is_safe(name):
        raise broken(link, f"{name!r} leads out of the bundle, or is no name in one")
    link = f"{link} ({name})"
    if before and name <= before[-1].name:
        raise broken(link, "stands twice, or out of order")
    if fields[3] != zipfile.ZIP_STORED:
        raise broken(link, f"is compressed: it {REPACKED}")
    member = Member(name, size, crc, before[-1].end if before else 0)
    if start + raw != member.header:
        raise broken(link, REPACKED)
    read, found = _skipped(stream, size)
    if read != size:
        raise broken(link, "is cut off")
    return replace(member, whole=found == crc)


def _skipped(stream: BinaryIO, size: int) -> tuple[int, int]:
    read = crc = 0
    while read < size and (chunk := stream.read(min(CHUNK_BYTES, size - read))):
        read, crc = read + len(chunk), zlib.crc32(chunk, crc)
    return read, crc


def _why(path: Path, members: list[Member]) -> str:
    """Return what is wrong with the end of an archive; links are named."""
    if not members:
        return "is no ZIP file that `irrunner evidence export` wrote"
    try:
        with zipfile.ZipFile(path) as archive:
            for each in archive.infolist():
                if stat.S_ISLNK(each.external_attr >> 16):
                    return f"{each.filename!r} is a symbolic link"
    except (zipfile.BadZipFile, ValueError, OSError):
        return "its directory was cut off or changed"
    return f"its directory {REPACKED}"
