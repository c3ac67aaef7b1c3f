"""Rules of the house that no linter knows, held over every product file."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CORE = sorted((ROOT / "irrunner").rglob("*.py"))
PRODUCT = sorted(
    path for folder in ("irrunner", "api", "forensics", "gameday") for path in (ROOT / folder).rglob("*.py")
)
MUTABLE = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)
MUTABLE_CALLS = {"list", "dict", "set", "defaultdict", "deque", "Counter", "OrderedDict", "bytearray"}
CONSTANT = re.compile(r"^_?[A-Z][A-Z0-9_]*$")
READ_ONLY = re.compile(r"^(Final|Mapping|Sequence|Set|frozenset|tuple)\b|\bFinal\b|TypeAlias")
CHANGED_BY = {
    "append",
    "add",
    "update",
    "setdefault",
    "pop",
    "clear",
    "extend",
    "insert",
    "remove",
    "discard",
}
BROAD = {"Exception", "BaseException"}
EDGES = {
    "irrunner/cli/app.py": 1,  # the process edge: a defect is told like any other error
    "irrunner/cli/ended.py": 1,  # the border to other packages: how a run ended is not theirs to change
    "irrunner/engine/driver.py": 1,  # the step runner's edge: a fault of ours must not hang the run
}
"""Files that may catch everything, and how often."""
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|raise NotImplementedError)\b")
REGISTRIES = re.compile(
    # In pieces: a whole one here would be the very thing that no file may hold.
    "|".join(
        rf"{first}\.{second}"
        for first, second in (
            ("pypi", "org"),
            ("pythonhosted", "org"),
            ("registry", "npmjs"),
            ("proxy", "golang"),
            ("crates", "io"),
            ("hub", "docker"),
            ("ghcr", "io"),
            ("conda", "anaconda"),
        )
    )
)


def name_of(path: Path) -> str:
    """Return a file's path in the house."""
    return str(path.relative_to(ROOT))


def tree_of(path: Path) -> ast.Module:
    """Parse a file."""
    return ast.parse(path.read_text(encoding="utf-8"))


def packages() -> list[str]:
    """Return the modules that declare their public names."""
    return [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in PRODUCT
        if any(_assigns(node, "__all__") for node in tree_of(path).body)
    ]


def _assigns(node: ast.stmt, name: str) -> bool:
    return any(target == name for target, _, _ in _bindings(node))


def _bindings(node: ast.stmt) -> Iterator[tuple[str, str, ast.expr]]:
    """Yield (name, annotation, value) of assignments."""
    if isinstance(node, ast.Assign):
        for target in node.targets:
            if isinstance(target, ast.Name):
                yield target.id, "", node.value
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
        yield node.target.id, ast.unparse(node.annotation), node.value


def _is_mutable(value: ast.expr) -> bool:
    called = value.func.id if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) else ""
    return isinstance(value, MUTABLE) or called in MUTABLE_CALLS


def _is_stored(node: ast.Subscript) -> bool:
    return isinstance(node.ctx, ast.Store | ast.Del)


def _changed_names(tree: ast.Module) -> set[str]:
    """Return names on which something is changed in place, or which a function declares global."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Global):
            found |= set(node.names)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value
            if node.func.attr in CHANGED_BY and isinstance(owner, ast.Name):
                found.add(owner.id)
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and _is_stored(node):
            found.add(node.value.id)
    return found


def _defined(tree: ast.Module, package: str) -> set[str]:
    """Return the public names that a module defines, or takes from its own package for others to take."""
    found = {name for node in tree.body for name, _, _ in _bindings(node)}
    found |= {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    }
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == package:
            found |= {alias.asname or alias.name for alias in node.names}
    return {name for name in found if not name.startswith("_")}


@pytest.mark.parametrize("name", packages())
def test_public_names_are_those_declared(name: str) -> None:
    """``__all__`` names what exists, each once; a package's leaves out nothing public that it has."""
    module = importlib.import_module(name)
    declared = list(module.__all__)
    assert len(set(declared)) == len(declared)
    assert [public for public in declared if not hasattr(module, public)] == []
    file = Path(str(module.__file__))
    if file.stem == "__init__":
        assert _defined(tree_of(file), name.split(".", maxsplit=1)[0]) == set(declared)


def test_no_module_level_mutable_state() -> None:
    """A module's lists, dicts and sets are constants: named or typed so, and never changed in place."""
    found = []
    for path in CORE:
        tree = tree_of(path)
        changed = _changed_names(tree)
        for node in tree.body:
            for name, annotation, value in _bindings(node):
                constant = CONSTANT.match(name) or READ_ONLY.search(annotation) or name == "__all__"
                if _is_mutable(value) and (not constant or name in changed):
                    found.append(f"{name_of(path)}:{node.lineno}: {name}")
    assert found == []


def test_errors_are_caught_by_name() -> None:
    """Nothing is swallowed: whoever catches, says what; a process edge is listed here."""
    found = {}
    for path in PRODUCT:
        handlers = [node for node in ast.walk(tree_of(path)) if isinstance(node, ast.ExceptHandler)]
        broad = [
            handler
            for handler in handlers
            if handler.type is None
            or {part.id for part in ast.walk(handler.type) if isinstance(part, ast.Name)} & BROAD
        ]
        silent = [handler for handler in broad if not _raises(handler)]
        if silent:
            found[name_of(path)] = len(silent)
    assert found == EDGES


def _raises(handler: ast.ExceptHandler) -> bool:
    return any(isinstance(node, ast.Raise) for node in ast.walk(handler))


def test_the_core_knows_nobody_above_it() -> None:
    """``irrunner`` imports neither gameday nor api nor forensics, not even inside a function."""
    found = []
    for path in CORE:
        for node in ast.walk(tree_of(path)):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            modules += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            above = {module.split(".")[0] for module in modules} & {
                "gameday",
                "api",
                "forensics",
                "tests",
                "moto",
            }
            found += [f"{name_of(path)}:{getattr(node, 'lineno', 0)}: {name}" for name in above]
    assert found == []


@pytest.mark.parametrize(("what", "pattern"), [("unfinished", UNFINISHED), ("package registry", REGISTRIES)])
def test_no_file_says(what: str, pattern: re.Pattern[str]) -> None:
    """No product file is unfinished, and none knows where packages come from."""
    found = []
    for path in PRODUCT:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if pattern.search(line):
                found.append(f"{name_of(path)}:{number}: {line.strip()}")
    assert found == []
