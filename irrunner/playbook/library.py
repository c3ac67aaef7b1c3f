"""The playbooks there are: shipped, in configured directories, single files, pinned in journals."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from stat import S_ISREG

from irrunner.actions.registry import Registry
from irrunner.errors import PlaybookInvalid, UnknownPlaybook
from irrunner.playbook.loader import Chain, examine, load_playbook
from irrunner.playbook.model import EventTrigger, FindingTrigger, Place, Playbook
from irrunner.playbook.nodes import MAX_BYTES, Scalar, compose, too_large
from irrunner.playbook.nodes import Mapping as MappingNode
from irrunner.playbook.problems import Problem, did_you_mean

SUFFIXES = (".yaml", ".yml")


def shipped_directory() -> Path | None:
    """Return the directory of the shipped playbooks: ``playbooks`` beside ``irrunner``."""
    beside = Path(__file__).resolve().parents[2] / "playbooks"
    return beside if beside.is_dir() else None


def playbook_files(directory: Path) -> list[Path]:
    """Return the playbook files of a directory: ``<family>/*.yaml`` and those directly in it, sorted."""
    found = (path for depth in ("*", "*/*") for path in directory.glob(depth))
    return sorted(path for path in found if path.suffix in SUFFIXES and path.is_file())


class Library:
    """Playbooks by id, read when they are first needed."""

    def __init__(
        self, registry: Registry, directories: Iterable[str | Path] = (), *, shipped: bool = True
    ) -> None:
        """Name the directories; later ones replace earlier ones' playbooks of the same id.

        Args:
            registry: The actions.
            directories: Own directories.
            shipped: Whether the shipped playbooks come first.
        """
        self._registry = registry
        own = [Path(directory) for directory in directories]
        base = shipped_directory() if shipped else None
        self._directories = ([base] if base else []) + own
        self._found: dict[str, Path] | None = None
        self._doubles: list[Problem] = []
        self._loaded: dict[tuple[str, bool], Playbook] = {}

    def all(self) -> tuple[Playbook, ...]:
        """Return every valid playbook, sorted by id; :meth:`problems` tells of the others."""
        return tuple(playbook for _, playbook in self._valid())

    def ids(self) -> tuple[str, ...]:
        """Return the ids of all playbooks, valid or not, without checking them."""
        return tuple(sorted(self._files()))

    def get(self, name: str | Path) -> Playbook:
        """Return a playbook by id or path.

        Raises:
            UnknownPlaybook: If there is none; the message names the nearest id.
            PlaybookInvalid: If it has errors.
        """
        path = Path(name)
        if path.suffix in SUFFIXES:
            if not path.is_file():
                raise UnknownPlaybook(f"no file {str(name)!r}", hint="give the id or path of a playbook")
            return load_playbook(_read(path), str(path), self._registry, self.resolve)
        return self._load(str(name), ())

    def resolve(self, name: str, chain: Chain) -> Playbook:
        """Return the callee of a ``run`` step. See :data:`irrunner.playbook.loader.Resolve`."""
        return self._load(name, chain)

    def problems(self) -> list[Problem]:
        """Return the problems of all files and of the library as a whole."""
        found: list[Problem] = []
        for path in self._files().values():
            found += self.examine(path)
        return [*found, *self._doubles, *ties(self.all())]

    def examine(self, path: str | Path) -> list[Problem]:
        """Return the problems of one file, warnings too.

        Raises:
            UnknownPlaybook: If the file cannot be read.
        """
        try:
            text = _read(Path(path))
        except PlaybookInvalid as invalid:
            return list(invalid.problems)
        return examine(text, str(path), self._registry, self.resolve)[1]

    def _valid(self) -> Iterator[tuple[str, Playbook]]:
        for name in self.ids():
            try:
                yield name, self._load(name, ())
            except (PlaybookInvalid, UnknownPlaybook):
                continue

    def _files(self) -> dict[str, Path]:
        if self._found is None:
            self._found = {}
            for directory in self._directories:
                self._found |= self._scan(directory)
        return self._found

    def _scan(self, directory: Path) -> dict[str, Path]:
        """Return the files of one directory by id; an id that stands there twice is a problem."""
        found: dict[str, Path] = {}
        for path in playbook_files(directory):
            first = found.setdefault(_id_of(path), path)
            if first is not path:
                message = f"{first} has the same id {_id_of(path)!r}; choose another"
                self._doubles.append(Problem(Place(str(path), 1, 1), "duplicate-playbook", message))
        return found

    def _load(self, name: str, chain: Chain) -> Playbook:
        key = (name, bool(chain))
        if key not in self._loaded:
            files = self._files()
            if name not in files:
                hint = "`irrunner playbooks` lists them"
                raise UnknownPlaybook(f"no playbook {name!r}{did_you_mean(name, files)}", hint=hint)
            path = files[name]
            self._loaded[key] = load_playbook(_read(path), str(path), self._registry, self.resolve, chain)
        return self._loaded[key]


def _read(path: Path) -> bytes:
    """Read a file, at most one byte more than a playbook may have; a pipe would wait for its writer.

    Raises:
        UnknownPlaybook: If it cannot be read.
        PlaybookInvalid: If it is too large.
    """
    try:
        seen = path.stat()
        if not S_ISREG(seen.st_mode):
            raise UnknownPlaybook(
                f"{str(path)!r} is no regular file", hint="write the playbook into a file, and name that"
            )
        if seen.st_size > MAX_BYTES:
            raise PlaybookInvalid([too_large(seen.st_size, str(path))])
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UnknownPlaybook(f"cannot read {str(path)!r}: {error.strerror}") from error


def _id_of(path: Path) -> str:
    """Return the id that a file declares, else its stem; nothing else of it is checked here."""
    try:
        root, _ = compose(_read(path).decode("utf-8", "replace"), str(path))
    except (UnknownPlaybook, PlaybookInvalid):
        return path.stem
    if isinstance(root, MappingNode) and "id" in root.entries:
        node = root.entries["id"][1]
        if isinstance(node, Scalar) and node.text:
            return node.text
    return path.stem


def load_pinned(text: str, file: str, callees: Mapping[str, str], registry: Registry) -> Playbook:
    """Load a playbook from the texts that a run's record 0 holds; no file is read.

    Args:
        text: The playbook.
        file: Where it came from, for places.
        callees: Texts of the playbooks that it runs, by id, closed over their own.
        registry: The actions.

    Raises:
        PlaybookInvalid: If a text does not pass today's checks.
    """

    def resolve(name: str, chain: Chain) -> Playbook:
        if name not in callees:
            raise UnknownPlaybook(f"no playbook {name!r} is pinned in this journal")
        return load_playbook(callees[name], f"{file}#{name}", registry, resolve, chain)

    return load_playbook(text, file, registry, resolve)


def ties(playbooks: Iterable[Playbook]) -> list[Problem]:
    """Return triggers of which no rule says which playbook runs: alike, with the same priority."""
    claims: dict[tuple[object, ...], list[tuple[Playbook, Place]]] = defaultdict(list)
    for playbook in playbooks:
        for trigger in playbook.triggers:
            for claim in _claims(trigger):
                claims[(*claim, playbook.priority)].append((playbook, trigger.place))
    return [
        Problem(
            place,
            "trigger-tie",
            f"{claim[1]} starts {first.id!r} as well ({first_place}); give one of them a `priority`",
        )
        for claim, ((first, first_place), *others) in claims.items()
        for other, place in others
        if other.id != first.id
    ]


def _claims(trigger: FindingTrigger | EventTrigger) -> Iterator[tuple[str, str, str]]:
    when = trigger.when.source if trigger.when else ""
    if isinstance(trigger, FindingTrigger):
        for glob in trigger.types:
            yield trigger.source, glob, when
    else:
        yield "event", repr(trigger.pattern), when
