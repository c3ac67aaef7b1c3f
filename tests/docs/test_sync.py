"""The documentation says what the code says, and every link and command in it is real."""

from __future__ import annotations

import ast
import importlib.util
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from gameday.observe import FACTS
from gameday.playbook_test_schema import Expectations, TestSpec
from irrunner.actions.contract import Act, AnyAction, Settled
from irrunner.actions.registry import Registry, classes_of
from irrunner.aws.operations import is_read

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
HAND_WRITTEN = sorted(
    path
    for path in [*ROOT.glob("*.md"), *DOCS.rglob("*.md")]
    if "reference" not in path.relative_to(ROOT).parts
)
EVERY_PAGE = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
LINK = re.compile(r"(?<!\\)\[[^\]\n]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`(irrunner [^`\n]+)`")
RULE_SOURCES = sorted([*(ROOT / "irrunner/playbook").glob("*.py"), *(ROOT / "gameday").glob("*.py")])
RULE_CALLS = {"Problem", "problem", "Complaint"}
RULE_ID = re.compile(r"[a-z]+(-[a-z]+)+")


@pytest.fixture(scope="module")
def sync() -> ModuleType:
    """Load docs/sync.py, which is a script."""
    spec = importlib.util.spec_from_file_location("docs_sync", DOCS / "sync.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def pages(sync: ModuleType) -> dict[str, str]:
    """Generate every page once."""
    generated: dict[str, str] = sync.all_pages()
    return generated


def test_generated_pages_are_on_disk(sync: ModuleType, pages: dict[str, str]) -> None:
    """The generated pages are as `make docs` would write them."""
    assert sync.differences(pages) == []


def test_check_names_what_differs(
    sync: ModuleType, pages: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A changed, a missing and a surplus page are each named; writing mends all three."""
    monkeypatch.setattr(sync, "DOCS", tmp_path)
    sync.write(pages)
    (tmp_path / "reference/cli.md").write_text("old")
    (tmp_path / "reference/errors.md").unlink()
    (tmp_path / "reference/gone.md").write_text("left over")

    found = sync.differences(pages)
    sync.write(pages)

    assert found == [
        "docs/reference/cli.md: differs",
        "docs/reference/errors.md: differs",
        "docs/reference/gone.md: is not generated any more",
    ]
    assert sync.differences(pages) == []


def test_every_command_is_documented_with_exit_codes(sync: ModuleType, pages: dict[str, str]) -> None:
    """Every command has a section, and facts.yaml knows its exit codes and no other command's."""
    names = [name for name, _ in sync.commands()]

    assert set(names) == set(sync.facts()["commands"])
    for name in names:
        assert f"## irrunner {name}\n" in pages["reference/cli.md"]


def test_every_option_is_documented(sync: ModuleType, pages: dict[str, str]) -> None:
    """Every option of every command stands in the page of the command line."""
    for name, command in sync.commands():
        section = pages["reference/cli.md"].split(f"## irrunner {name}\n")[1].split("\n## ")[0]
        for parameter in command.params:
            if parameter.name not in sync.UNTOLD and parameter.param_type_name == "option":
                assert all(option in section for option in parameter.opts)


def test_every_setting_has_a_meaning(sync: ModuleType, pages: dict[str, str]) -> None:
    """Every setting stands in the page of the configuration, and says what it means."""
    rows = list(sync.setting_rows())

    assert {"`limits.threads`", "`forensics.kms_key`", "`store`"} <= {row[0] for row in rows}
    assert [row[0] for row in rows if not row[-1]] == []
    assert all(row[0] in pages["reference/configuration.md"] for row in rows)


def test_every_error_code_is_documented_once(sync: ModuleType, pages: dict[str, str]) -> None:
    """Every error class has a code of its own, and the page of errors names it."""
    codes = [cls.code for cls in sync.error_classes()]

    assert len(codes) == len(set(codes))
    assert all(f"| `{code}` |" in pages["reference/errors.md"] for code in codes)


def test_every_action_has_a_page(sync: ModuleType, pages: dict[str, str]) -> None:
    """Every registered action has a page, and the list names it."""
    for action in sync.load_registry():
        assert f"reference/actions/{action.id}.md" in pages
        assert f"`{action.id}`" in pages["reference/actions/README.md"]


def _rules_in_code() -> set[str]:
    """Return the rule ids that the playbook package gives to problems."""
    found = set()
    for path in RULE_SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and getattr(node.func, "attr", getattr(node.func, "id", "")) in RULE_CALLS
            ):
                words = [arg.value for arg in node.args if isinstance(arg, ast.Constant)]
                found |= {word for word in words if isinstance(word, str) and RULE_ID.fullmatch(word)}
    return found


def test_every_rule_is_documented(sync: ModuleType) -> None:
    """Every lint rule id in the code has its line, and no line is about a rule that is gone."""
    source = "".join(path.read_text(encoding="utf-8") for path in RULE_SOURCES)

    assert _rules_in_code() - set(sync.rules()) == set()
    assert [rule for rule in sync.rules() if f'"{rule}"' not in source] == []


def _anchors(path: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    text = FENCE.sub("", path.read_text(encoding="utf-8"))
    heads = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in heads}


@pytest.mark.parametrize("path", EVERY_PAGE, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_inside_the_tree_resolve(path: Path) -> None:
    """Every relative link names a file that exists, and a heading that it has."""
    broken = []
    for target in LINK.findall(FENCE.sub("", path.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (path.parent / name).resolve() if name else path
        if not file.exists() or (anchor and anchor not in _anchors(file)):
            broken.append(target)

    assert broken == []


def _shown_commands(path: Path) -> Iterator[str]:
    """Yield the command lines of a page: of shell blocks and of inline code."""
    text = path.read_text(encoding="utf-8")
    for language, block in FENCE.findall(text):
        if language in {"sh", "console"}:
            for line in block.replace("\\\n", " ").splitlines():
                command = line.removeprefix("$ ") if language == "console" else line
                if language == "sh" or line.startswith("$ "):
                    yield command
    yield from INLINE.findall(FENCE.sub("", text))


def _words(command: str) -> list[str]:
    """Return a command line's words up to the first pipe, redirection or comment."""
    words = shlex.split(command, comments=True)
    stop = next((i for i, word in enumerate(words) if word in {"|", "||", "&&", ">", "&", ";"}), len(words))
    return [word for word in words[:stop] if not re.fullmatch(r"[A-Z_]+=.*", word)]


@pytest.mark.parametrize("path", HAND_WRITTEN, ids=lambda path: str(path.relative_to(ROOT)))
def test_shown_commands_exist(path: Path, sync: ModuleType) -> None:
    """Every irrunner command line in a page names a command that exists and options that it has."""
    known = {tuple(name.split()): command for name, command in sync.commands()}
    groups = {name[:length] for name in known for length in range(len(name))}
    wrong = []
    for line in _shown_commands(path):
        words = _words(line)
        if not words or words[0] != "irrunner":
            continue
        names = [word for word in words[1:] if not word.startswith("-")]
        options = [word.partition("=")[0] for word in words[1:] if re.match(r"--?[a-z]", word)]
        found = next((known[tuple(names[:n])] for n in (1, 2, 3) if tuple(names[:n]) in known), None)
        if found is None:
            if tuple(names) not in groups or set(options) - {"--version", "--help"}:
                wrong.append(line)
        elif set(options) - {option for p in found.params for option in p.opts} - {"--help", "-h"}:
            wrong.append(line)

    assert wrong == []


def test_shown_make_targets_exist() -> None:
    """Every `make` target that a page names is in the Makefile."""
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    shown = {
        name
        for path in HAND_WRITTEN
        for name in re.findall(r"(?:`|^)make ([a-z]+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    }

    assert shown - targets == set()


@pytest.mark.parametrize("path", HAND_WRITTEN, ids=lambda path: str(path.relative_to(ROOT)))
def test_shown_playbooks_are_valid(path: Path, sync: ModuleType, tmp_path: Path) -> None:
    """Every whole playbook in a page passes every check."""
    library = sync.Library(sync.load_registry())
    for number, block in enumerate(_blocks(path, "yaml")):
        if block.startswith("schema: irrunner/v1"):
            file = tmp_path / f"shown-{number}.yaml"
            file.write_text(block, encoding="utf-8")
            assert library.examine(file) == []


def _blocks(path: Path, language: str) -> list[str]:
    """Return the fenced blocks of a language."""
    return [block for found, block in FENCE.findall(path.read_text(encoding="utf-8")) if found == language]


def test_every_fact_of_a_test_is_documented() -> None:
    """Every fact and key that a playbook's test may hold stands in the page about tests."""
    text = (DOCS / "how-to/test-a-playbook.md").read_text(encoding="utf-8")
    words = {*FACTS, *TestSpec.model_fields, *Expectations.model_fields} - {"expect", "description"}

    assert [word for word in sorted(words) if f"`{word}`" not in text] == []


def _example_action() -> AnyAction:
    """Return the action that the how-to writes."""
    module = ModuleType("shown_action")
    sys.modules[module.__name__] = module
    (source,) = _blocks(DOCS / "how-to/write-an-action.md", "python")
    exec(compile(source, "write-an-action.md", "exec"), vars(module))  # noqa: S102 - our own page
    (example,) = Registry(classes_of(module.__name__))
    return example


def test_example_action_keeps_the_contract() -> None:
    """The action of the how-to is taken by the registry, acts until it sees its effect, and undoes it."""
    example = _example_action()
    params = example.Params.model_validate({"group_name": "web"})
    before, after = (
        example.StateModel.model_validate({"group_name": "web", "suspended": suspended})
        for suspended in (False, True)
    )

    first, second = example.decide(params, before), example.decide(params, after)
    back = example.undo_calls(params, before, after, after, frozenset(after.footprint()))

    assert isinstance(first, Act)
    assert [call.operation for call in first.calls] == ["autoscaling:SuspendProcesses"]
    assert isinstance(second, Settled)
    assert [call.operation for call in back] == ["autoscaling:ResumeProcesses"]


def test_example_action_declares_what_it_calls() -> None:
    """Each operation of the example stands among its permissions, and reads are declared as looks."""
    uses = {entry.action: entry.use for entry in _example_action().permissions}

    assert uses == {
        "autoscaling:DescribeAutoScalingGroups": "look",
        "autoscaling:SuspendProcesses": "act",
        "autoscaling:ResumeProcesses": "undo",
    }
    assert all(is_read(operation) == (use == "look") for operation, use in uses.items())


def test_shown_settings_exist(sync: ModuleType) -> None:
    """Every YAML block that configures the runner is a configuration that it takes."""
    blocks = [block for path in HAND_WRITTEN for block in _blocks(path, "yaml") if "# irrunner.yaml" in block]

    assert blocks
    for block in blocks:
        sync.settings.Settings(**sync.yaml.load(block, Loader=sync.settings._Loader))
