"""Base of actions that read facts and store them as files of evidence, each once.

What was read is handed from the look to the decision in memory and is never part of the journalled state: it
may hold secrets. A file that is stored is not read again, so what was collected first stays.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from pydantic import Field, PrivateAttr

from forensics.sink import LARGEST_FILE, EvidenceSink, Retention, S3Sink, StoredItem, path_of
from irrunner.actions.contract import (
    Act,
    Action,
    Call,
    Decision,
    LookContext,
    Model,
    PlannedOutputs,
    Refused,
    Settled,
    State,
    Where,
)  # fmt: skip
from irrunner.errors import (
    ActionDenied,
    ActionError,
    ActionIncomplete,
    InvalidCall,
    QuotaExceeded,
    TargetConflict,
    TargetNotFound,
)

JSON: Final = "application/json"
LINES: Final = "application/jsonl"
TEXT: Final = "text/plain; charset=utf-8"

PASSED_OVER: Final = (ActionDenied, InvalidCall, QuotaExceeded, TargetConflict, TargetNotFound)
"""Failures of one source that cost its file and no other; a throttle or a lost connection passes."""


@dataclass(frozen=True, slots=True)
class Content:
    """What was read for a file."""

    data: bytes
    facts: Mapping[str, str] = field(default_factory=dict)
    """Small facts that are stored with it, and read back: how many events, whether it was cut short."""


@dataclass(frozen=True, slots=True)
class Source:
    """One file to be."""

    name: str
    read: Callable[[], bytes | Content | None]
    """Reads the content; None: there is none (no user data)."""
    media_type: str = JSON
    lineage: Mapping[str, str] = field(default_factory=dict)


class FileSeen(Model):
    """One file: stored, or about to be, or not to be had."""

    name: str
    path: str
    sha256: str = ""
    bytes: int = 0
    location: str = ""
    """Empty: it is not stored yet."""
    missing: str = ""
    """Why there is none."""
    facts: dict[str, str] = Field(default_factory=dict)


class FilesState(State):
    """The files of a step. Their content is not among what is journalled."""

    bucket: str | None
    files: tuple[FileSeen, ...] = ()
    _calls: tuple[Call, ...] = PrivateAttr(default=())

    @property
    def calls(self) -> tuple[Call, ...]:
        """Return the calls that store what was read by this look."""
        return self._calls

    def footprint(self) -> dict[str, Any]:
        """Return nothing: evidence is not put back."""
        return {}


class StoredFile(Model):
    """A file of evidence."""

    name: str
    location: str
    sha256: str
    bytes: int


class MissingFile(Model):
    """A file that could not be had."""

    name: str
    reason: str


class FilesOutputs(Model):
    """Outputs of actions that store files."""

    files: list[StoredFile]
    missing: list[MissingFile]
    bucket: str


P = TypeVar("P", bound=Model)


class StoreFiles(Action[P, FilesState]):
    """Base: a subclass names its files and how each is read."""

    Outputs: type[Model] = FilesOutputs
    StateModel = FilesState

    def materials(self, ctx: LookContext, params: P) -> tuple[Source, ...]:
        """Return the files of this step; nothing is read here."""
        raise ActionIncomplete(type(self).__qualname__)

    def required(self, ctx: LookContext, params: P) -> None:
        """Make sure that the target exists; called where a file is still to be read.

        Raises:
            TargetNotFound: If it does not.
        """

    def sink(self, ctx: LookContext) -> EvidenceSink | None:
        """Return where files go; None without a forensic account."""
        where = ctx.where
        if ctx.forensics is None or where.evidence_bucket is None:
            return None
        return S3Sink(
            ctx.forensics, where.evidence_bucket, where.forensic_region, partition=where.partition,
            retention=Retention.of(ctx),
        )  # fmt: skip

    def look(self, ctx: LookContext, params: P) -> FilesState:
        """Find what is stored, and read what is not."""
        sink = self.sink(ctx)
        if sink is None:
            return FilesState(bucket=None)
        materials = self.materials(ctx, params)
        stored = {item.name: sink.find(path_of(ctx.marker, item.name)) for item in materials}
        if not all(stored.values()):
            self.required(ctx, params)
        seen, calls = [], []
        for source in materials:
            file, call = self._file(ctx, sink, source, stored[source.name])
            seen.append(file)
            calls += [call] if call else []
        state = FilesState(bucket=ctx.where.evidence_bucket, files=tuple(seen))
        state._calls = tuple(calls)  # noqa: SLF001 - the state's own, which is not journalled
        return state

    def _file(
        self, ctx: LookContext, sink: EvidenceSink, source: Source, item: StoredItem | None
    ) -> tuple[FileSeen, Call | None]:
        path = path_of(ctx.marker, source.name)
        if item is not None:
            _HELD.drop(path)
            facts = {
                "sha256": item.sha256,
                "bytes": item.bytes,
                "location": item.location,
                "facts": item.facts,
            }
            return FileSeen(name=source.name, path=path, **facts), None
        content = _HELD.get(path) or _read(source)
        if isinstance(content, str):
            return FileSeen(name=source.name, path=path, missing=content), None
        _HELD.keep(path, content)
        lineage = {
            "irrunner-run": ctx.marker, "account": ctx.where.account_id, **source.lineage, **content.facts
        }  # fmt: skip
        call = sink.put(path, content.data, media_type=source.media_type, lineage=lineage)
        seen = {"sha256": call.after["sha256"], "bytes": len(content.data), "facts": lineage}
        return FileSeen(name=source.name, path=path, **seen), call

    def warnings(self, params: P, state: FilesState) -> tuple[str, ...]:
        """Return what people should know of the files that are stored: what was cut short."""
        return ()

    def decide(self, params: P, state: FilesState) -> Decision:
        """Store what was read; then say what there is."""
        if state.bucket is None:
            return Refused(
                "no evidence bucket can be reached: set forensics.account_id in irrunner.yaml",
                code="forensics-not-configured",
            )
        if state.calls:
            return Act(state.calls)
        missing = tuple(f"{item.name}: {item.missing}" for item in state.files if item.missing)
        return Settled(self.outputs(params, state), (*missing, *self.warnings(params, state)))

    def outputs(self, params: P, state: FilesState) -> Model:
        """Return the outputs; a subclass may add to them."""
        return FilesOutputs(**files_of(state))

    def foresee(self, params: P, state: FilesState, step: str) -> PlannedOutputs:
        """Return the files that would be stored, with the hashes of what was read for the plan."""
        if state.bucket is None:
            return PlannedOutputs({})
        planned = {
            "bucket": state.bucket,
            "files": [
                {
                    "name": item.name,
                    "location": f"s3://{state.bucket}/{item.path}",
                    "sha256": item.sha256,
                    "bytes": item.bytes,
                }
                for item in state.files
                if not item.missing
            ],
            "missing": [{"name": item.name, "reason": item.missing} for item in state.files if item.missing],
        }
        return PlannedOutputs(planned)

    def targets(self, params: P, where: Where) -> tuple[str, ...]:
        """Return nothing: no existing resource changes, and a protected one may be recorded too."""
        return ()


def files_of(state: FilesState) -> dict[str, Any]:
    """Return the fields of :class:`FilesOutputs`."""
    return {
        "files": [
            StoredFile(name=item.name, location=item.location, sha256=item.sha256, bytes=item.bytes)
            for item in state.files
            if not item.missing
        ],
        "missing": [MissingFile(name=item.name, reason=item.missing) for item in state.files if item.missing],
        "bucket": state.bucket or "",
    }


def as_json(answer: Any) -> bytes:
    """Return an answer of AWS as canonical JSON, without the envelope."""
    if isinstance(answer, Mapping):
        answer = {name: value for name, value in answer.items() if name != "ResponseMetadata"}
    return json.dumps(answer, sort_keys=True, indent=1, default=str).encode()


def _read(source: Source) -> Content | str:
    """Return a file's content, or why there is none."""
    try:
        found = source.read()
    except PASSED_OVER as problem:
        return _why(problem)
    if found is None:
        return "there is none"
    content = found if isinstance(found, Content) else Content(found)
    if len(content.data) > LARGEST_FILE:
        return f"{len(content.data)} bytes are more than a file of evidence may have ({LARGEST_FILE})"
    return content


class _Held:
    """What was read and is not stored yet: a plan's reading is what the step stores. Bounded, in memory."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._lock = threading.Lock()
        self._contents: OrderedDict[str, Content] = OrderedDict()

    def get(self, path: str) -> Content | None:
        """Return what was read for a path."""
        with self._lock:
            return self._contents.get(path)

    def keep(self, path: str, content: Content) -> None:
        """Keep it until it is stored; the oldest make room."""
        with self._lock:
            self._contents[path] = content
            while sum(len(item.data) for item in self._contents.values()) > self._most:
                self._contents.popitem(last=False)

    def drop(self, path: str) -> None:
        """Forget what is stored."""
        with self._lock:
            self._contents.pop(path, None)


_HELD: Final = _Held(2 * LARGEST_FILE)


def _why(problem: ActionError) -> str:
    return f"{problem.code}: {problem.message}"
