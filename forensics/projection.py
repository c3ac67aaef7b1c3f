"""What a run's journal says about evidence, as custody entries: a pure function of the records.

The same journal gives the same entries under the same ids (``<run>/<step>/<item>``), whatever crashed and
however often it is asked. So the ledger needs no queue and no transaction with the journal: what is missing
in it is found by projecting again.

An action is known to make evidence by the table below, or by outputs that hold a SHA-256 of what was
collected. A failed step that may have sent something is an *attempt*.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from forensics.chain import ATTEMPT, EVIDENCE, JOURNAL, Entry
from irrunner.journal.records import Record

Body: TypeAlias = Mapping[str, Any]
EVIDENCE_ACTIONS: Final = (
    "aws.ebs.", "aws.rds.copy-snapshot-to-forensics", "aws.rds.snapshot-database", "aws.ssm.capture-memory",
    "aws.ssm.collect-live-triage", "evidence.", "forensics.acquire-volumes",
)  # fmt: skip
"""Beginnings of actions of which a failed attempt is recorded, too."""
SHA256: Final = re.compile(r"[0-9a-f]{64}")
MOST_ITEMS: Final = 10_000
"""Of one step."""
NAMED_BY: Final = ("name", "object_key", "key", "location", "path", "snapshot_id", "id")
LOCATED_BY: Final = ("location", "uri", "object_arn", "arn")


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that is evidence, and where it came from and went."""

    kind: str
    name: str
    sha256: str = ""
    """Empty where nobody has computed one: a snapshot is no file."""
    size_bytes: int | None = None
    media_type: str = ""
    location: str = ""
    source: str = ""
    lineage: tuple[tuple[str, str], ...] = ()
    """(role, resource): ``source``, ``snapshot``, ``transfer``, ``forensic``."""
    forensic: bool = False
    """Whether it is in the forensic account."""
    note: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)


def _snapshots(params: Body, outputs: Body) -> Iterator[Item]:
    """``aws.ebs.snapshot-instance``: a snapshot of each volume."""
    for each in outputs["snapshots"]:
        snapshot_id, volume_id = str(each["snapshot_id"]), str(each["volume_id"])
        yield Item(
            "disk-snapshot", snapshot_id, location=snapshot_id, source=volume_id,
            lineage=(("instance", str(params.get("instance_id", ""))), ("source", volume_id),
                     ("snapshot", snapshot_id)),
            extra={"size_gib": each.get("size_gib"), "kms_key_id": each.get("kms_key_id"),
                   "started_at": outputs.get("started_at", "")},
        )  # fmt: skip


def _copy(params: Body, outputs: Body) -> Iterator[Item]:
    """``aws.ebs.copy-to-forensics``: source, transfer copy under a key that can be lent, forensic copy."""
    del params
    source, transfer = str(outputs["source_snapshot_id"]), outputs.get("transfer_snapshot_id")
    copy = str(outputs["forensic_snapshot_id"])
    lineage = [("snapshot", source), *([("transfer", str(transfer))] if transfer else []), ("forensic", copy)]
    yield Item(
        "disk-snapshot", copy, location=copy, source=source, lineage=tuple(lineage), forensic=True,
        extra={"size_gib": outputs.get("size_gib"), "kms_key_id": outputs.get("kms_key_id"),
               "account_id": outputs.get("forensic_account_id"), "region": outputs.get("forensic_region")},
    )  # fmt: skip


def _acquired(params: Body, outputs: Body) -> Iterator[Item]:
    """``forensics.acquire-volumes``: of each volume the snapshot in its account, and the forensic copy."""
    del params
    for each in outputs["volumes"]:
        volume, source, copy = str(each["volume_id"]), each["snapshot_id"], each["forensic_snapshot_id"]
        names = (("instance", each["instance_id"]), ("source", volume), ("snapshot", source),
                 ("transfer", each["transfer_snapshot_id"]), ("forensic", copy))  # fmt: skip
        lineage = tuple((role, str(name)) for role, name in names if name)
        extra = {"size_gib": each["size_gib"], "outcome": each["outcome"], "locked": each["locked"]}
        note = str(each["reason"])
        if source:
            until = tuple(step for step in lineage if step[0] not in ("transfer", "forensic"))
            yield Item(
                "disk-snapshot", str(source), location=str(source), source=volume, lineage=until, note=note,
                extra=extra,
            )  # fmt: skip
        if copy:
            where = {"account_id": outputs["forensic_account_id"], "region": outputs["forensic_region"]}
            yield Item(
                "disk-snapshot", str(copy), location=str(copy), source=volume, lineage=lineage, forensic=True,
                extra={**extra, "kms_key_id": outputs["kms_key_id"], **where},
            )  # fmt: skip


def _database(params: Body, outputs: Body) -> Iterator[Item]:
    """``aws.rds.snapshot-database``: a snapshot of an instance or a cluster."""
    del params
    arn, database = str(outputs["snapshot_arn"]), str(outputs["db_id"])
    yield Item(
        "database-snapshot", arn, location=arn, source=database,
        lineage=(("source", database), ("snapshot", arn)),
        extra={"engine": outputs.get("engine"), "kms_key_id": outputs.get("kms_key_id")},
    )  # fmt: skip


def _database_copy(params: Body, outputs: Body) -> Iterator[Item]:
    """``aws.rds.copy-snapshot-to-forensics``: the copy, as read back in the forensic account."""
    del params
    source, copy = str(outputs["source_snapshot_arn"]), str(outputs["forensic_snapshot_arn"])
    transfer = outputs.get("transfer_snapshot_arn")
    lineage = [("snapshot", source), *([("transfer", str(transfer))] if transfer else []), ("forensic", copy)]
    yield Item(
        "database-snapshot", copy, location=copy, source=source, lineage=tuple(lineage), forensic=True,
        extra={"size_gib": outputs.get("size_gib"), "kms_key_id": outputs.get("kms_key_id")},
    )  # fmt: skip


def _completed(params: Body, outputs: Body) -> Iterator[Item]:
    """``aws.ebs.await-snapshots``: AWS said that the snapshots are complete."""
    del params
    for snapshot_id in outputs["snapshot_ids"]:
        yield Item(
            "disk-snapshot-completed", str(snapshot_id), location=str(snapshot_id),
            lineage=(("snapshot", str(snapshot_id)),),
            extra={"completed_at": outputs.get("completed_at", "")},
        )  # fmt: skip


def _recorded(params: Body, outputs: Body) -> Iterator[Item]:
    """``evidence.record``: what a playbook names, and a digest where one was computed."""
    del params
    references = tuple(str(each) for each in outputs["references"])
    yield Item(
        str(outputs["kind"]), str(outputs["evidence_id"]), sha256=str(outputs["sha256"]),
        location=references[0] if references else "",
        lineage=tuple(("reference", each) for each in references),
        note=str(outputs["description"]),
    )  # fmt: skip


def _memory(params: Body, outputs: Body) -> Iterator[Item]:
    """``aws.ssm.capture-memory``: the image that the host put into the evidence bucket."""
    del params
    if outputs["captured"]:
        yield Item(
            "memory-image", str(outputs["key"]), size_bytes=int(outputs["size_bytes"]),
            location=_located(outputs), source=str(outputs["instance_id"]), forensic=True,
            note="put there by the host itself, which may have been the attacker's",
        )  # fmt: skip


def _triage(params: Body, outputs: Body) -> Iterator[Item]:
    """``aws.ssm.collect-live-triage``: what the command printed, in the evidence bucket."""
    del params
    for key in outputs["objects"]:
        yield Item(
            "file", str(key), location=_located({"bucket": outputs["bucket"], "key": key}),
            source=str(outputs["instance_id"]), forensic=True,
            note="put there by the host itself, which may have been the attacker's",
        )  # fmt: skip


def _digests(params: Body, outputs: Body) -> Iterator[Item]:
    """Any other action: each mapping in its outputs that holds a SHA-256."""
    del params
    for found in _mappings(outputs):
        sha256 = found.get("sha256")
        if not isinstance(sha256, str) or not SHA256.fullmatch(sha256):
            continue
        size = next(
            (found[name] for name in ("size_bytes", "bytes") if isinstance(found.get(name), int)), None
        )
        yield Item(
            str(found.get("kind") or "file"), _first(found, NAMED_BY) or sha256[:16], sha256=sha256,
            size_bytes=size, media_type=str(found.get("media_type") or ""), location=_located(found),
            forensic=bool(found.get("bucket")), note=str(found.get("description") or ""),
        )  # fmt: skip


def _mappings(value: Any, depth: int = 3) -> Iterator[Body]:
    if isinstance(value, Mapping):
        yield value
        value = list(value.values())
    if depth and isinstance(value, list):
        for each in value:
            if isinstance(each, Mapping | list):
                yield from _mappings(each, depth - 1)


def _first(found: Body, names: Iterable[str]) -> str:
    return next((str(found[name]) for name in names if found.get(name)), "")


def _located(found: Body) -> str:
    bucket, key = found.get("bucket"), found.get("key") or found.get("object_key")
    if not bucket or not key:
        return _first(found, LOCATED_BY)
    version = f"?versionId={found['version_id']}" if found.get("version_id") else ""
    return f"s3://{bucket}/{key}{version}"


READERS: Final[Mapping[str, Callable[[Body, Body], Iterator[Item]]]] = {
    "aws.ebs.await-snapshots": _completed,
    "aws.ebs.copy-to-forensics": _copy,
    "aws.ebs.snapshot-instance": _snapshots,
    "aws.rds.copy-snapshot-to-forensics": _database_copy,
    "aws.rds.snapshot-database": _database,
    "aws.ssm.capture-memory": _memory,
    "aws.ssm.collect-live-triage": _triage,
    "evidence.record": _recorded,
    "forensics.acquire-volumes": _acquired,
}
"""Actions whose outputs are evidence without a digest in them."""


def project(records: Sequence[Record], *, ended: bool) -> list[Entry]:
    """Return the custody entries of a run.

    Args:
        records: Its journal from record 0; the caller has verified it.
        ended: Whether nothing can be appended any more: then the journal's head is recorded too.
    """
    if not records:
        return []
    about = _About(records[0])
    intents: dict[str, Record] = {}
    outcomes: dict[str, Record] = {}
    entries: list[Entry] = []
    for record in records:
        if record.kind == "step_intent":
            intents[record.path] = record
            outcomes.pop(record.path, None)
        elif record.kind == "step_outcome":
            outcomes[record.path] = record
        elif record.kind in ("step_verified", "step_failed") and record.path in intents:
            step = _Step(about, intents[record.path], outcomes.get(record.path), record)
            entries.extend(step.acquired() if record.kind == "step_verified" else step.attempted())
    return [*entries, *([about.journal(records)] if ended else [])]


class _About:
    """What is the same for all entries of a run."""

    def __init__(self, first: Record) -> None:
        self.run_id = first.run_id
        body = first.body
        caller, where = body.get("caller") or {}, body.get("where") or {}
        self.who = {
            "arn": str(caller.get("arn", "")), "os_user": str(caller.get("os_user", "")),
            "run_id": self.run_id,
        }  # fmt: skip
        self.tool = {"name": "irrunner", "version": str(body.get("irrunner", ""))}
        self.place = (str(where.get("account_id") or ""), str(where.get("region") or ""))
        self.forensic = (str(where.get("forensic_account_id") or ""), str(where.get("forensic_region") or ""))
        self.drill = bool(body.get("drill"))
        playbook = body.get("playbook") or {}
        self.playbook = {name: str(playbook.get(name, "")) for name in ("id", "version", "sha256")}

    def journal(self, records: Sequence[Record]) -> Entry:
        """Return the entry that seals the journal itself."""
        last = records[-1]
        body = {
            "records": len(records), "head_sha256": last.sha256, "playbook": self.playbook,
            "who": self.who, "tool": self.tool, "drill": self.drill, "journal": _proof(last),
        }  # fmt: skip
        return Entry(f"{self.run_id}/journal", JOURNAL, last.at, body)


def _proof(record: Record) -> dict[str, Any]:
    return {"run_id": record.run_id, "seq": record.seq, "sha256": record.sha256}


@dataclass(frozen=True, slots=True)
class _Step:
    """One attempt of a step, with its end."""

    about: _About
    intent: Record
    outcome: Record | None
    end: Record

    @property
    def _action(self) -> str:
        return str(self.intent.body["action"])

    def acquired(self) -> Iterator[Entry]:
        """Return what the step made, saw or named."""
        seen: dict[str, int] = {}
        for item in self._items()[:MOST_ITEMS]:
            seen[item.name] = seen.get(item.name, 0) + 1
            again = f"#{seen[item.name]}" if seen[item.name] > 1 else ""
            yield self._entry(EVIDENCE, f"{item.name}{again}", item)

    def _items(self) -> list[Item]:
        outputs, params = self.end.body.get("outputs"), self.intent.body.get("params") or {}
        if not isinstance(outputs, Mapping):
            return []
        try:
            return list(READERS.get(self._action, _digests)(params, outputs))
        except (KeyError, TypeError, AttributeError):
            note = f"the outputs are of another version of {self._action}: see the journal"
            return [Item("unreadable", self.intent.path, note=note)]

    def attempted(self) -> Iterator[Entry]:
        """Return an attempt that failed and may have left something behind."""
        if not self._action.startswith(EVIDENCE_ACTIONS):
            return
        if self.outcome is None or not self.outcome.body.get("possibly_sent"):
            return
        error = self.end.body.get("error") or {}
        attempt = str(self.intent.body.get("attempt", ""))
        item = Item("attempt", f"attempt-{attempt}", note=str(error.get("message", "")))
        yield self._entry(ATTEMPT, item.name, item)

    def _entry(self, kind: str, name: str, item: Item) -> Entry:
        about = self.about
        account_id, region = about.forensic if item.forensic else about.place
        body = {
            "item": {
                "kind": item.kind, "name": item.name, "sha256": item.sha256, "bytes": item.size_bytes,
                "media_type": item.media_type, **({"details": dict(item.extra)} if item.extra else {}),
            },
            "location": {"account_id": account_id, "region": region, "resource": item.location},
            "source": {"account_id": about.place[0], "region": about.place[1], "resource": item.source},
            "lineage": [{"role": role, "resource": resource} for role, resource in item.lineage],
            "who": about.who, "tool": about.tool, "action": self._action, "step": self.intent.path,
            "outcome": str(self.end.body.get("outcome", "")), "verified": bool(self.end.body.get("verified")),
            "drill": about.drill, "aws": self._calls(), "journal": _proof(self.end), "note": item.note,
        }  # fmt: skip
        return Entry(f"{about.run_id}/{self.intent.path}/{name}", kind, self.end.at, body)

    def _calls(self) -> list[dict[str, str]]:
        sent = self.outcome.body.get("calls") if self.outcome is not None else None
        return [{str(name): str(value) for name, value in call.items()} for call in sent or ()]
