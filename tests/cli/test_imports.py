"""What each command imports: an allow-list, because imports are the cold start."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TYPER = {"irrunner", "typer", "shellingham", "annotated_doc"}
LANGUAGE = {"pydantic", "pydantic_core", "annotated_types", "typing_inspection", "typing_extensions", "yaml"}
EXPRESSIONS = {"cel_expr_python", "cython_runtime", "google"}
ACTIONS = {"jmespath"}
SETTINGS = {"pydantic_settings", "dotenv"}
STORE = {"sqlalchemy", "greenlet", "alembic", "mako", "markupsafe", "pygments"}
HEAVY = {"boto3", "botocore", "s3transfer", "moto", "apprise", "structlog", "transitions"}

PLAYBOOK = "playbooks/ec2/ec2-instance-compromise.yaml"
COMMANDS: dict[tuple[str, ...], set[str]] = {
    ("--version",): {"irrunner"},
    ("--help",): TYPER,
    ("validate", "playbooks/ec2/ec2-instance-compromise.yaml", "--json"): TYPER
    | LANGUAGE
    | EXPRESSIONS
    | ACTIONS,
    ("actions", "--json"): TYPER | LANGUAGE | EXPRESSIONS | ACTIONS | {"forensics"},
    ("playbooks", "--json"): TYPER | LANGUAGE | EXPRESSIONS | ACTIONS | SETTINGS,
    ("runs", "--json"): TYPER | LANGUAGE | SETTINGS | STORE | {"cython_runtime"},
}
PROBE = """
import json, sys
sys.argv = ["irrunner", *sys.argv[1:]]
from irrunner.__main__ import main
try:
    main()
except SystemExit:
    pass
names = {name.partition(".")[0] for name in sys.modules}
sys.stderr.write("\\n" + json.dumps(sorted(names)))
"""


def imported(words: tuple[str, ...], store: Path) -> set[str]:
    """Return the top-level modules, beside Python's own, that a command has imported at its end."""
    env = {**os.environ, "IRRUNNER_STORE": str(store), "IRRUNNER_CONFIG": os.devnull}
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *words],
        capture_output=True, text=True, env=env, cwd=ROOT, timeout=60, check=True,
    )  # fmt: skip
    names = set(json.loads(done.stderr.splitlines()[-1]))
    bare = subprocess.run(
        [sys.executable, "-c", "import sys; print(*{name.partition('.')[0] for name in sys.modules})"],
        capture_output=True, text=True, cwd=ROOT, timeout=60, check=True,
    )  # fmt: skip
    own = sys.stdlib_module_names | set(bare.stdout.split()) | {"__main__", "__mp_main__"}
    return {name for name in names if name not in own and not name.startswith(("_", "__editable__"))}


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words[0])
def test_a_command_imports_only_what_it_needs(words: tuple[str, ...], tmp_path: Path) -> None:
    """A command imports nothing beyond its allow-list: no AWS SDK, no simulator, no `rich` for --json."""
    found = imported(words, tmp_path / "store.db")

    assert found - COMMANDS[words] == set()
    assert not found & HEAVY


def test_validate_reads_no_configuration(tmp_path: Path) -> None:
    """`validate` needs neither settings nor a store: it works where the configuration is broken."""
    found = imported(("validate", PLAYBOOK), tmp_path / "store.db")

    assert not found & (SETTINGS | STORE | {"rich"})
    assert not (tmp_path / "store.db").exists()
