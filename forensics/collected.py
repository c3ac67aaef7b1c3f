"""Files that actions stored in the evidence bucket, as the ledger names them: which they are, and whether
they still are what was stored.

A record of evidence with a location ``s3://bucket/key`` names such a file. Every one of them is
in a bundle or is told, with the reason: a receiver checks that by the ledger alone.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Final

from forensics.chain import EVIDENCE, Chain, Entry
from forensics.deposits import VAULT_ID, deposited
from forensics.s3_objects import S3Api, measured_object, opened_object
from forensics.vault import is_safe
from irrunner.errors import IRRunnerError

FOLDER: Final = "collected"
"""Of a bundle."""
BY_DIGEST: Final = "_"
"""Folder in it, which is no name of a bucket, for keys that are no names in a bundle."""
LOCATION: Final = re.compile(
    r"s3://(?P<bucket>[^/]+)/(?P<key>.+?)(?:\?versionId=(?P<version>[^?]+))?", re.DOTALL
)
RECORDED: Final = "evidence.record"
"""Names what people know of, wherever it is; without a digest there is nothing to compare."""
SHA256: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Named:
    """A file that the ledger names."""

    name: str
    """In a bundle."""
    sha256: str
    location: str
    bucket: str
    key: str
    version: str


@dataclass(frozen=True, slots=True)
class Collected:
    """A file that is there and is what the ledger names."""

    named: Named
    size_bytes: int
    api: S3Api
    version: str

    def open(self) -> BinaryIO:
        """Open it for reading, in the version that was compared."""
        return opened_object(self.api, self.named.bucket, self.named.key, self.version, self.size_bytes)


@dataclass(slots=True)
class Findings:
    """The files that the ledger names: there, or lacking with the reason."""

    files: list[Collected] = field(default_factory=list)
    lacking: list[dict[str, Any]] = field(default_factory=list)

    @property
    def warnings(self) -> list[str]:
        """Return what people should know of those that lack."""
        return [f"{each['location']}: {each['why']}" for each in self.lacking]


def named_files(chain: Chain) -> Iterator[Named]:
    """Yield the stored files that a ledger names, each once for what it is said to be."""
    told: set[tuple[str, str]] = set()
    names: set[str] = set()
    located = list(_located(chain))
    digested = {(bucket, key) for _, sha256, (bucket, key, _) in located if sha256}
    for record, sha256, (bucket, key, version) in located:
        location = str(record["body"]["location"]["resource"])
        if (location, sha256) in told or (not sha256 and (bucket, key) in digested):
            continue
        told.add((location, sha256))
        name = f"{FOLDER}/{bucket}/{key}"
        if not is_safe(name) or name in names:
            name = f"{FOLDER}/{BY_DIGEST}/{sha256 or hashlib.sha256(location.encode()).hexdigest()}"
        names.add(name)
        yield Named(name, sha256, location, bucket, key, version)


def _located(chain: Chain) -> Iterator[tuple[Mapping[str, Any], str, tuple[str, str, str]]]:
    """Yield records of evidence in S3 with their digest, empty where it has none, and their place."""
    for record in chain.records:
        if record["kind"] != EVIDENCE or str(record["id"]).startswith(VAULT_ID):
            continue
        sha256 = str(record["body"]["item"]["sha256"])
        if not sha256 and record["body"]["action"] == RECORDED:
            continue
        found = LOCATION.fullmatch(str(record["body"]["location"]["resource"]))
        if found is not None and (not sha256 or SHA256.fullmatch(sha256)):
            yield record, sha256, (found["bucket"], found["key"], found["version"] or "")


def measured_entries(
    chain: Chain, buckets: Collection[str], session: Callable[[str], S3Api], user: str, at: str, most: int
) -> list[Entry]:
    """Return entries with the digests of files that their action could not compute.

    Hosts and AWS put them there. What cannot be read stays without a digest, and is told as lacking.

    Args:
        chain: The ledger.
        buckets: Evidence buckets of its runs.
        session: Returns a session that reads a bucket.
        user: Who measures.
        at: When.
        most: Larger files are not read where S3 has no checksum of them.
    """
    lacking_one = {named.location for named in named_files(chain) if not named.sha256}
    entries: dict[str, Entry] = {}
    for record, _, (bucket, key, version) in _located(chain):
        location = str(record["body"]["location"]["resource"])
        if location not in lacking_one or bucket not in buckets:
            continue
        try:
            there = measured_object(session(bucket), bucket, key, version, most)
        except IRRunnerError:
            continue
        if there.sha256:
            body = record["body"]
            item = {**body["item"], "sha256": there.sha256, "bytes": there.size_bytes}
            more = f"?versionId={there.version}" if there.version else ""
            place = {**body["location"], "resource": f"s3://{bucket}/{key}{more}"}
            note = "measured when it was exported, not when it was stored"
            told = {"item": item, "location": place, "note": note, "who": {**body["who"], "os_user": user}}
            entry_id = f"{FOLDER}/{location}"
            entries[entry_id] = Entry(entry_id, EVIDENCE, at, {**body, **told})
    return list(entries.values())


def find_collected(
    chain: Chain,
    buckets: Collection[str],
    session: Callable[[str], S3Api],
    wanted: Callable[[str], bool] = bool,
) -> Findings:
    """Compare the files that a ledger names with what is stored.

    Args:
        chain: The ledger.
        buckets: Evidence buckets of its runs: no other bucket is read.
        session: Returns a session that reads a bucket.
        wanted: Whether a file's name is; the others are not looked at.
    """
    found = Findings()
    sessions: dict[str, S3Api | IRRunnerError] = {}
    for named in named_files(chain):
        if not wanted(named.name):
            continue
        if named.bucket not in buckets or not named.sha256:
            why = "its digest is not known" if named.bucket in buckets else "is not in the evidence bucket"
            found.lacking.append(lacking(named, why))
            continue
        if named.bucket not in sessions:
            sessions[named.bucket] = _reached(session, named.bucket)
        api = sessions[named.bucket]
        file = api if isinstance(api, IRRunnerError) else _compared(api, named)
        if isinstance(file, Collected):
            found.files.append(file)
        else:
            found.lacking.append(lacking(named, _why(file)))
    return found


def lacking(named: Named, why: str) -> dict[str, Any]:
    """Return what a bundle says of a file that it does not hold."""
    return {"name": named.name, "why": why, "location": named.location, "sha256": named.sha256}


def _reached(session: Callable[[str], S3Api], bucket: str) -> S3Api | IRRunnerError:
    try:
        return session(bucket)
    except IRRunnerError as problem:
        return problem


def _compared(api: S3Api, named: Named) -> Collected | IRRunnerError | str:
    try:
        there = measured_object(api, named.bucket, named.key, named.version)
    except IRRunnerError as problem:
        return problem
    if there.sha256 != named.sha256:
        return f"is not what the ledger names: the object there is {there.sha256[:16]}..."
    return Collected(named, there.size_bytes, api, there.version)


def _why(problem: IRRunnerError | str) -> str:
    return problem if isinstance(problem, str) else f"could not be read: {problem.code}: {problem.message}"


def first_unaccounted(
    chain: Chain, files: Mapping[str, Mapping[str, Any]], references: Collection[Mapping[str, Any]]
) -> str | None:
    """Return the first file that a ledger names and a bundle neither holds as it was nor tells of.

    Args:
        chain: The ledger.
        files: What the bundle's manifest lists.
        references: What it says of files that it does not hold.
    """
    told = {(str(each["name"]), str(each.get("sha256", ""))) for each in references}
    left = {str(each["name"]) for each in references}
    for name, sha256 in deposited(chain).items():
        if name not in left and files.get(f"vault/{name}", {}).get("sha256") != sha256:
            return f"vault/{name}"
    for named in named_files(chain):
        if (named.name, named.sha256) not in told and files.get(named.name, {}).get("sha256") != named.sha256:
            return named.name
    return None
