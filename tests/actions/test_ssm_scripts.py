"""The Linux scripts themselves, run by a shell on stand-ins: their exit codes, and what they leave."""

from __future__ import annotations

import hashlib
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from irrunner.actions.ssm.commands import script

TOOL = '#!/bin/sh\nprintf EMiL > "$1"\ntouch "$(dirname "$0")/../ran"\n'
AWS = """\
#!/bin/sh
case "$4" in
  s3://*) cp "$STORE/${4##*/}" "$5" ;;
  *) [ -z "$READ_ONLY" ] && cp "$4" "$STORE/${5##*/}" ;;
esac
"""
DF = "#!/bin/sh\necho head; echo /dev/x 1 1 $ROOM 1% /\n"


@dataclass(frozen=True)
class Host:
    """A directory that stands for a host and its S3."""

    root: Path

    def capture(self, sha256: str, **env: str) -> int:
        """Run the capture script; return its exit code."""
        values = {
            "KIND": "avml", "TOOL_BUCKET": "tools", "TOOL_KEY": "avml", "TOOL_SHA256": sha256,
            "EVIDENCE_BUCKET": "evidence", "IMAGE_KEY": "run-1/step/image.lime",
        }  # fmt: skip
        text = "\n".join(script("capture_memory", "Linux", values))
        text = text.replace("PATH=/usr/sbin", f"PATH={self.root}/bin:/usr/sbin")
        text = text.replace("/var/tmp/", f"{self.root}/tmp/")  # noqa: S108 - the script's own
        about = {**os.environ, "STORE": f"{self.root}/s3", "ROOM": str(1 << 40), "READ_ONLY": "", **env}
        return subprocess.run(["/bin/sh", "-c", text], env=about, check=False, timeout=30).returncode

    def stored(self) -> list[str]:
        """Return what is in S3."""
        return sorted(path.name for path in (self.root / "s3").iterdir())

    def ran(self) -> bool:
        """Whether the tool ran."""
        return (self.root / "tmp" / "ran").exists()


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """A host with an AWS CLI, much room, and a tool in S3."""
    for name in ("bin", "s3", "tmp"):
        (tmp_path / name).mkdir()
    for path, text in (("bin/aws", AWS), ("bin/df", DF), ("s3/avml", TOOL)):
        (tmp_path / path).write_text(text)
        (tmp_path / path).chmod(0o755)
    return Host(tmp_path)


RIGHT = hashlib.sha256(TOOL.encode()).hexdigest()


def test_an_image_is_uploaded_and_nothing_stays(host: Host) -> None:
    """The image is in the store; the working directory is gone."""
    assert host.capture(RIGHT) == 0
    assert host.stored() == ["avml", "image.lime"]
    assert [path.name for path in (host.root / "tmp").iterdir()] == ["ran"]


def test_a_tool_of_another_hash_never_runs(host: Host) -> None:
    """Tampered with in its bucket: not run, nothing uploaded, nothing left."""
    assert host.capture("0" * 64) == 43
    assert not host.ran()
    assert host.stored() == ["avml"]
    assert list((host.root / "tmp").iterdir()) == []


@pytest.mark.parametrize(
    ("env", "code", "ran"),
    [({"ROOM": "1"}, 41, False), ({"STORE": "/nowhere"}, 42, False), ({"READ_ONLY": "1"}, 45, True)],
)
def test_each_failure_has_its_code(host: Host, env: dict[str, str], code: int, ran: bool) -> None:  # noqa: FBT001 - a case
    """No room, no tool, no right to write: the reason is told by the exit code; no file stays."""
    assert host.capture(RIGHT, **env) == code
    assert host.ran() == ran
    assert [path.name for path in (host.root / "tmp").glob("irrunner.*")] == []


def test_triage_survives_what_a_host_lacks(tmp_path: Path) -> None:
    """No program of it is there: every part is named, and the command succeeds all the same."""
    lines = [line for line in script("live_triage", "Linux") if not line.startswith("export")]
    shell = {"PATH": str(tmp_path)}
    ran = subprocess.run(
        ["/bin/sh", "-c", "\n".join(lines)], env=shell, check=False, capture_output=True, timeout=30
    )

    assert ran.returncode == 0
    assert ran.stdout.count(b"=====") == 2 * sum(line.startswith("part '") for line in lines)
