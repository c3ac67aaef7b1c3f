"""``irrunner evidence`` as it is typed: list, export, verify, rotate-key, and their exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from forensics.custody import Custody
from forensics.vault import LocalVault
from tests.cli.conftest import Desk


@pytest.fixture
def run_id(desk: Desk) -> str:
    """Drive a run to its end."""
    parked = desk.respond()
    assert desk.run("deny", parked["run_id"], "--reason", "no").code == 0
    return str(parked["run_id"])


def ledgers(desk: Desk) -> list[Path]:
    """Return the ledger files of the desk's store."""
    return sorted(desk.folder.rglob("*.custody/ledgers/*.jsonl"))


def test_a_run_that_ends_is_in_custody_without_being_asked(desk: Desk, run_id: str) -> None:
    """The end of a run is told to custody; a parked run is not."""
    (path,) = ledgers(desk)

    assert f'"id":"{run_id}/journal"' in path.read_text()


def test_a_parked_run_leaves_no_ledger(desk: Desk) -> None:
    """Nothing is over, and nothing was taken."""
    desk.respond()

    assert ledgers(desk) == []


def test_list_shows_the_ledger(desk: Desk, run_id: str) -> None:
    """As a table and as a document."""
    document = desk.run("evidence", "list", run_id[:13], "--json").json
    shown = desk.run("evidence", "list", run_id)

    assert [item["kind"] for item in document["items"]] == ["key", "journal"]
    assert document["ledger"]["head_sha256"] in shown.out
    assert shown.code == 0


def test_what_cannot_be_kept_is_a_warning_and_not_a_failure(desk: Desk) -> None:
    """A run has ended as it ended, whatever happens to its ledger."""
    parked = desk.respond()
    store = Path(desk.lab.store.path)
    store.with_name(f"{store.stem}.custody").write_text("in the way")

    done = desk.run("deny", parked["run_id"], "--reason", "no")

    assert (done.code, "warning: custody: " in done.err) == (0, True)


@pytest.mark.parametrize("problem", [KeyboardInterrupt(), RuntimeError("a defect")])
def test_nothing_that_custody_does_changes_how_a_run_ended(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, problem: BaseException
) -> None:
    """Ctrl-C while it is sealed, or a fault of ours: the result was printed, the exit code is the run's."""
    parked = desk.respond()

    def fail(*_: object) -> None:
        raise problem

    monkeypatch.setattr(Custody, "keep", fail)

    done = desk.run("deny", parked["run_id"], "--reason", "no", "--json")

    assert (done.code, done.json["run_id"]) == (0, parked["run_id"])
    assert f"warning: custody: run {parked['run_id']}: " in done.err


@pytest.mark.parametrize("name", ["bundle.zip", "bundle"])
def test_an_export_verifies(desk: Desk, run_id: str, name: str) -> None:
    """Exit 0, and with the fingerprint as expected."""
    out = str(desk.folder / name)
    exported = desk.run("evidence", "export", run_id, "--out", out, "--json")

    verified = desk.run("evidence", "verify", out, "--key", exported.json["key_sha256"], "--json")

    assert (exported.code, verified.code) == (0, 0)
    assert (verified.json["pinned"], verified.json["warnings"]) == (True, [])


def test_a_broken_bundle_is_exit_code_4_and_names_the_link(desk: Desk, run_id: str) -> None:
    """An invariant is broken; machines get the link by itself."""
    out = desk.folder / "bundle"
    desk.run("evidence", "export", run_id, "--out", str(out))
    path = out / "ledger.jsonl"
    path.chmod(0o644)
    path.write_text(path.read_text().replace('"seq":1', '"seq":2'))

    told, document = (
        desk.run("evidence", "verify", str(out)),
        desk.run("evidence", "verify", str(out), "--json"),
    )

    assert told.code == 4
    assert "error: custody-broken: ledger record 1: was changed" in told.err
    assert document.json["error"]["detail"]["link"] == "ledger record 1"


def test_another_key_is_exit_code_4(desk: Desk, run_id: str) -> None:
    """A bundle that was signed anew is not the one that was expected."""
    out = str(desk.folder / "b.zip")
    desk.run("evidence", "export", run_id, "--out", out)

    assert desk.run("evidence", "verify", out, "--key", "0" * 64).code == 4


def test_the_ledger_of_the_store_verifies_by_run_id(desk: Desk, run_id: str) -> None:
    """Without an export."""
    assert desk.run("evidence", "verify", run_id).code == 0


@pytest.mark.parametrize(
    "words",
    [
        ("verify", "./nothing.zip"), ("verify", "nothing"), ("list", "nothing"), ("unknown",),
        ("export", "nothing", "--out", "x.zip"), ("export",), ("verify", "x", "--key", "nonsense"),
    ],
)  # fmt: skip
def test_invalid_input_is_exit_code_2(desk: Desk, words: tuple[str, ...]) -> None:
    """Nothing is written, and the message says what to do."""
    done = desk.run("evidence", *words)

    assert (done.code, ledgers(desk)) == (2, [])


def test_an_export_that_lacks_a_file_is_exit_code_1(desk: Desk, run_id: str) -> None:
    """The rest is handed over, and what is missing is named."""
    (ledger,) = ledgers(desk)
    vault = LocalVault(ledger.parent.parent / "vault")
    path = Path(vault.put(ledger.stem, "disk.raw", b"x").location)
    desk.run("evidence", "export", run_id, "--out", str(desk.folder / "first"))
    path.unlink()

    done = desk.run("evidence", "export", run_id, "--out", str(desk.folder / "second"), "--json")

    assert (done.code, done.json["missing"]) == (1, ["disk.raw"])
    assert desk.run("evidence", "verify", str(desk.folder / "second")).code == 0
    assert desk.run("evidence", "verify", run_id).code == 1


def test_an_export_does_not_overwrite(desk: Desk, run_id: str) -> None:
    """An earlier export may have been handed over already."""
    out = desk.folder / "b.zip"
    desk.run("evidence", "export", run_id, "--out", str(out))
    before = out.read_bytes()

    assert desk.run("evidence", "export", run_id, "--out", str(out)).code == 2
    assert out.read_bytes() == before


def test_a_new_key_is_announced(desk: Desk, run_id: str) -> None:
    """The old fingerprint still verifies the bundle: the chain of keys leads from it."""
    old = desk.run("evidence", "list", run_id, "--json").json["ledger"]["key_sha256"]
    announced = desk.run("evidence", "rotate-key", "--json").json
    out = str(desk.folder / "b.zip")
    desk.run("evidence", "export", run_id, "--out", out)

    for key in (old, announced["new_key_sha256"]):
        assert desk.run("evidence", "verify", out, "--key", key).code == 0


def test_verify_needs_no_configuration_and_no_store(desk: Desk, run_id: str) -> None:
    """On a machine with a broken configuration, no home and no AWS, a bundle verifies."""
    out = str(desk.folder / "b.zip")
    desk.run("evidence", "export", run_id, "--out", out)
    broken = desk.folder / "broken.yaml"
    broken.write_text("nonsense: [")
    env = {
        "PATH": os.environ["PATH"], "IRRUNNER_CONFIG": str(broken), "IRRUNNER_STORE": "/proc/nothing/x.db",
        "HOME": "/nonexistent", "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    }  # fmt: skip

    done = subprocess.run(
        [sys.executable, "-m", "irrunner", "evidence", "verify", out, "--json"],
        capture_output=True, text=True, env=env, timeout=60, check=False,
    )  # fmt: skip

    assert (done.returncode, json.loads(done.stdout)["ok"]) == (0, True), done.stderr


HEAVY = {"boto3", "botocore", "moto", "sqlalchemy", "alembic", "apprise", "transitions", "cel_expr_python"}


def test_verify_imports_little(desk: Desk, run_id: str) -> None:
    """Who only checks a bundle pays for no store and no AWS SDK."""
    out = str(desk.folder / "b.zip")
    desk.run("evidence", "export", run_id, "--out", out)
    probe = (
        "import sys\nfrom irrunner.cli.app import run\ncode = run(sys.argv[1:])\n"
        "sys.stderr.write(' '.join({name.partition('.')[0] for name in sys.modules}))\nsys.exit(code)"
    )

    done = subprocess.run(
        [sys.executable, "-c", probe, "evidence", "verify", out],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip

    assert set(done.stderr.split()) & HEAVY == set()
