"""Tests of the library: directories, ids, callees, pinned texts, ties; and of the shipped playbooks' form."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from irrunner.actions.registry import Registry, load_registry
from irrunner.errors import PlaybookInvalid, UnknownPlaybook
from irrunner.findings.matching import match
from irrunner.findings.model import Finding, FindingResource
from irrunner.playbook.expressions import evaluate_on_finding
from irrunner.playbook.library import Library, load_pinned
from irrunner.playbook.loader import load_playbook
from irrunner.playbook.prose import prose
from irrunner.playbook.types import bind_inputs
from tests.playbook.playbook_texts import playbook_text

EXAMPLE = Path(__file__).parent / "architecture_example.yaml"
TRIGGER = "triggers: [{finding: {source: guardduty, types: ['Trojan:EC2/*']}}]\nsteps: [{id: a, READ}]"


def write(directory: Path, name: str, body: str) -> Path:
    """Write a playbook of this id into a family."""
    path = directory / "family" / f"{name}.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(playbook_text(body).replace("id: test-playbook", f"id: {name}"))
    return path


@pytest.fixture
def library(tmp_path: Path, registry: Registry) -> Library:
    """A library of a caller, its callee and a broken playbook."""
    write(tmp_path, "caller", "- {id: c, run: callee}")
    write(tmp_path, "callee", "- {id: a, READ}")
    write(tmp_path, "broken", "- {id: a}")
    return Library(registry, [tmp_path], shipped=False)


def test_all_valid_playbooks(library: Library) -> None:
    """Broken playbooks do not hide the others."""
    assert [playbook.id for playbook in library.all()] == ["callee", "caller"]
    assert [problem.rule for problem in library.problems()] == ["step-kind"]


def test_by_id_and_by_path(library: Library, tmp_path: Path) -> None:
    """A playbook is found by id and by path; its callees come with it."""
    by_id = library.get("caller")

    assert list(by_id.callees) == ["callee"]
    assert by_id == library.get(tmp_path / "family" / "caller.yaml")


def test_a_file_too_large_says_its_own_size(library: Library, tmp_path: Path) -> None:
    """The size is the file's, not that of what was read of it, and nothing is cut inside a character."""
    path = tmp_path / "family" / "large.yaml"
    path.write_text("# " + "\u20ac" * 900_000, encoding="utf-8")

    (problem,) = library.examine(path)

    assert problem.rule == "yaml-size"
    assert problem.message.startswith("2,700,002 bytes")
    with pytest.raises(PlaybookInvalid, match="2,700,002"):
        library.get(path)
    assert "yaml-size" in {each.rule for each in library.problems()}


def test_what_is_no_file_is_not_waited_for(library: Library, tmp_path: Path) -> None:
    """A pipe without a writer, a device or a directory is refused at once."""
    pipe = tmp_path / "pipe.yaml"
    os.mkfifo(pipe)

    for path in (pipe, Path(os.devnull), tmp_path):
        with pytest.raises(UnknownPlaybook, match="no regular file"):
            library.examine(path)


def test_unknown_and_invalid(library: Library, tmp_path: Path) -> None:
    """An unknown id names the nearest; an invalid playbook says why."""
    with pytest.raises(UnknownPlaybook, match="did you mean 'caller'"):
        library.get("calller")
    with pytest.raises(UnknownPlaybook, match="no file"):
        library.get(tmp_path / "none.yaml")
    with pytest.raises(PlaybookInvalid, match="step-kind"):
        library.get("broken")


def test_later_directories_replace(tmp_path: Path, registry: Registry) -> None:
    """The same id in a later directory replaces the earlier playbook."""
    first, second = tmp_path / "one", tmp_path / "two"
    for directory, title in ((first, "first"), (second, "second")):
        directory.mkdir()
        write(directory, "same", f"owner: {title}\nsteps: [{{id: a, READ}}]")

    assert Library(registry, [first, second], shipped=False).get("same").owner == "second"


def test_tie(tmp_path: Path, registry: Registry) -> None:
    """Two playbooks with the same trigger and priority are a problem of the library."""
    write(tmp_path, "one", TRIGGER)
    write(tmp_path, "two", TRIGGER)
    write(tmp_path, "three", f"priority: 1\n{TRIGGER}")

    problems = Library(registry, [tmp_path], shipped=False).problems()

    assert [problem.rule for problem in problems] == ["trigger-tie"]
    assert "priority" in problems[0].message


def test_same_id_twice_in_a_directory(tmp_path: Path, registry: Registry) -> None:
    """Two files of one directory with one id are a problem of the library."""
    text = write(tmp_path, "one", "- {id: a, READ}").read_text()
    (tmp_path / "copy.yaml").write_text(text)

    problems = Library(registry, [tmp_path], shipped=False).problems()

    assert [problem.rule for problem in problems] == ["duplicate-playbook"]


def test_pinned_texts(library: Library, registry: Registry, tmp_path: Path) -> None:
    """A run's texts are enough to load its playbook again."""
    caller = library.get("caller")
    texts = {name: callee.text for name, callee in caller.callees.items()}

    pinned = load_pinned(caller.text, caller.place.file, texts, registry)

    assert (caller.sha256, caller.steps) == (pinned.sha256, pinned.steps)
    with pytest.raises(PlaybookInvalid, match="is pinned"):
        load_pinned(caller.text, "f.yaml", {}, registry)


def test_example_of_the_design() -> None:
    """The example of the design loads, with its places, and reads as a runbook."""
    registry = load_registry()

    playbook = Library(registry, shipped=False).get(EXAMPLE)

    assert [each.id for each in playbook.walk()] == [
        "facts",
        "snapshot",
        "isolate",
        "ask_stop",
        "stop",
        "copy_out",
    ]
    text = prose(playbook, registry)
    for part in (
        "## What starts it",
        "ask approver within 30m",
        "CryptoCurrency:EC2/*",
        "## How it is undone",
    ):
        assert part in text


def test_shipped_playbooks_are_found() -> None:
    """The shipped directory is found beside the package."""
    assert Library(load_registry()).ids()


@pytest.mark.parametrize("name", ["ec2-instance-compromise", "instance-role-compromise"])
@pytest.mark.parametrize(
    ("tag", "environment"),
    [
        ("test", "test"),
        ("<", "production"),
        ("x" * 5000, "production"),
        ("", "production"),
        ("a\nb", "production"),
    ],
)
def test_a_tag_cannot_keep_an_instance_from_being_contained(name: str, tag: str, environment: str) -> None:
    """Who can tag an instance cannot make its finding incomplete: an odd tag counts as production."""
    resource = FindingResource(instance_id="i-0abcdef1234567890", tags={"Environment": tag})
    finding = Finding(source="guardduty", id="1", type="Trojan:EC2/DropPoint", resource=resource)

    inputs = bind_inputs(Library(load_registry()).get(name), finding, {})

    assert inputs == {"instance_id": "i-0abcdef1234567890", "environment": environment}


def test_the_runbook_is_only_text(registry: Registry) -> None:
    """What a playbook says in words is no markup of the page that shows it; a bar ends no table cell."""
    body = """
        owner: "<b>a"
        inputs: {x: {type: bool, from: "${{ finding.archived || finding.sample }}"}}
        steps: [{id: a, title: "one\\n# two <script>", READ}]
    """

    text = prose(load_playbook(playbook_text(body), "f.yaml", registry), registry)

    assert "owned by &lt;b>a." in text
    assert "1. **one # two &lt;script>**" in text
    assert "`finding.archived \\|\\| finding.sample`" in text


@pytest.mark.parametrize(
    ("kind", "answers"),
    [
        ("InstanceCredentialExfiltration.OutsideAWS", ["instance-role-compromise"]),
        ("InstanceCredentialExfiltration", ["instance-role-compromise"]),
        ("TorIPCaller", []),
    ],
)
def test_a_session_name_alone_has_nobodys_instance_isolated(kind: str, answers: list[str]) -> None:
    """Who assumes a role names the session: `i-...` there is an instance only where GuardDuty says so."""
    resource = FindingResource(
        kind="access-key", access_key_id="ASIAQ7YR4JHNL5Z2WXKT", user_type="AssumedRole", role_name="web",
        instance_id="i-0abcdef1234567890",
    )  # fmt: skip
    found = Finding(
        source="guardduty", id="1", type=f"UnauthorizedAccess:IAMUser/{kind}", severity=8.0, resource=resource
    )

    matched = match(found, Library(load_registry()).all(), evaluate_on_finding)

    assert [playbook.id for playbook in matched] == answers
