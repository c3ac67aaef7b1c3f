from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import boto3
import pytest

SERVE = [sys.executable, "-W", "error", "-c", "from gameday.cli import app; app()", "world", "serve"]
EVENT = {
    "detail-type": "GuardDuty Finding",
    "source": "aws.guardduty",
    "account": "111122223333",
    "region": "us-west-2",
    "detail": {
        "accountId": "111122223333",
        "region": "us-west-2",
        "id": "1",
        "type": "Backdoor:EC2/DenialOfService.Dns",
        "severity": 8,
        "resource": {"resourceType": "Instance", "instanceDetails": {"instanceId": "i-0123456789abcdef0"}},
        "service": {"additionalInfo": {"sample": True}},
    },
}


@pytest.mark.acceptance
def test_serve_is_ready_in_one_line_and_ends_when_told(tmp_path: Path) -> None:
    """With the ready line's environment alone another process reaches the world of the event."""
    event = tmp_path / "event.json"
    event.write_text(json.dumps(EVENT))
    server = subprocess.Popen([*SERVE, "--seed", "5", "--from-event", str(event)], stdout=subprocess.PIPE)
    try:
        assert server.stdout is not None
        ready: dict[str, Any] = json.loads(server.stdout.readline())
        env = ready["env"]
        ec2 = boto3.client(
            "sts",
            endpoint_url=env["AWS_ENDPOINT_URL"],
            region_name=env["AWS_REGION"],
            aws_access_key_id=env["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=env["AWS_SECRET_ACCESS_KEY"],
        )
        identity = ec2.get_caller_identity()
        config = Path(env["IRRUNNER_CONFIG"])
        assert config.exists()
    finally:
        server.send_signal(signal.SIGTERM)
        rest = server.communicate(timeout=20)[0]

    assert server.returncode == 0
    assert rest == b""
    assert set(ready) == {"endpoint_url", "env", "accounts", "resources"}
    assert identity["Account"] == ready["accounts"]["security"]
    assert ready["accounts"]["members"][0] == "111122223333"
    assert (ready["resources"]["instance_id"], env["AWS_REGION"]) == ("i-0123456789abcdef0", "us-west-2")
    assert not config.exists()


@pytest.mark.acceptance
def test_an_event_that_is_none_is_one_clear_error(tmp_path: Path) -> None:
    """A truncated file ends the command with the code of invalid input."""
    event = tmp_path / "event.json"
    event.write_text('{"detail": ')

    done = subprocess.run(
        [*SERVE, "--from-event", str(event)],
        capture_output=True,
        check=False,
        env=dict(os.environ),
        text=True,
    )

    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
