"""Outputs that pages show are put where they belong, and each has a command that makes it."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

DOCS = Path(__file__).parents[2] / "docs"
PAGE = "before\n\n<!-- shown: runs 2 -->\n```console\nold\n```\n\nafter\n"


@pytest.fixture
def shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Load docs/shown.py, which is a script, over a tree with one page."""
    spec = importlib.util.spec_from_file_location("docs_shown", DOCS / "shown.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    (tmp_path / "README.md").write_text(PAGE, encoding="utf-8")
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "DOCS", tmp_path)
    return module


def test_output_replaces_the_marked_block(shown: ModuleType, tmp_path: Path) -> None:
    """The block after a mark holds the output, cut at the mark's number of lines; the rest stays."""
    shown.fill({"runs": "$ irrunner runs\none  \ntwo\n"})

    filled = "before\n\n<!-- shown: runs 2 -->\n```console\n$ irrunner runs\none\n...\n```\n\nafter\n"
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == filled


def test_unknown_name_is_an_error(shown: ModuleType) -> None:
    """A mark whose name no command has ends the script with the name."""
    with pytest.raises(SystemExit, match="runs"):
        shown.fill({"other": ""})


def test_every_mark_has_a_command_and_an_output(shown: ModuleType) -> None:
    """Every mark of the pages names a command of the session, and its block was filled by it."""
    names = {entry.name for entry in shown.SESSION} | {"demo"}

    for path in [DOCS.parent / "README.md", *DOCS.rglob("*.md")]:
        for mark in shown.MARK.finditer(path.read_text(encoding="utf-8")):
            assert mark[2] in names, path
            assert re.search(r"```console\n\$ irrunner \w+", mark[0]), f"{path}: {mark[2]} is not filled"
