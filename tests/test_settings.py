"""Configuration: file, environment over it, references for secrets, and errors that name everything."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from irrunner.errors import SettingsError
from irrunner.settings import Drill, Settings, load_settings, resolve_secret, settings_path
from irrunner.urls import is_loopback

CANARY = "canary-secret-value"


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Take away what the machine has set."""
    monkeypatch.chdir(tmp_path)
    for name in ("IRRUNNER_CONFIG", "IRRUNNER_STORE"):
        monkeypatch.delenv(name, raising=False)


def write(path: Path, text: str) -> Path:
    """Write a configuration file."""
    file = path / "irrunner.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_defaults_without_file_and_environment() -> None:
    """Nothing configured is a safe configuration."""
    assert load_settings() == Settings()
    assert Settings().responder_role == "irrunner-responder"
    assert not Settings().drill.allow


def test_file_is_found_here_or_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """./irrunner.yaml is read without asking; IRRUNNER_CONFIG names another."""
    assert settings_path() is None
    here = write(tmp_path, "responder_role: here")
    assert load_settings().responder_role == "here"
    other = here.rename(tmp_path / "other.yaml")
    monkeypatch.setenv("IRRUNNER_CONFIG", str(other))
    assert load_settings().responder_role == "here"


def test_account_ids_keep_their_leading_zero(tmp_path: Path) -> None:
    """YAML 1.1 would read 012345670123 as an octal number."""
    path = write(
        tmp_path,
        "accounts: [012345670123, 123456789012]\nforensics: {account_id: 000000000001}\n"
        "limits: {threads: 8}\ndrill: {allow: true}\nregions: [no-such-1]\nstore: null\n",
    )
    settings = load_settings(path)
    assert settings.accounts == ("012345670123", "123456789012")
    assert settings.forensics.account_id == "000000000001"
    assert (settings.limits.threads, settings.drill.allow, settings.store) == (8, True, None)


def test_environment_overrides_one_key_and_keeps_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A double underscore goes a level down; neighbours in the file stay."""
    path = write(tmp_path, "limits: {threads: 8, per_account: 3}\nregions: [us-east-1]\n")
    monkeypatch.setenv("IRRUNNER_LIMITS__THREADS", "4")
    monkeypatch.setenv("IRRUNNER_DRILL__ALLOW", "true")
    monkeypatch.setenv("IRRUNNER_CHANNELS__OPS__URL", "env:OPS_URL")
    settings = load_settings(path)
    assert (settings.limits.threads, settings.limits.per_account) == (4, 3)
    assert settings.drill == Drill(allow=True)
    assert settings.regions == ("us-east-1",)
    assert settings.channels["ops"].url == "env:OPS_URL"


@pytest.mark.parametrize("text", ["us-east-1, eu-west-1", '["us-east-1", "eu-west-1"]'])
def test_lists_in_the_environment(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Commas, as people write them, or JSON."""
    monkeypatch.setenv("IRRUNNER_REGIONS", text)
    assert load_settings().regions == ("us-east-1", "eu-west-1")


def test_constructing_reads_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings made in code are what the code says."""
    monkeypatch.setenv("IRRUNNER_RESPONDER_ROLE", "other")
    assert Settings().responder_role == "irrunner-responder"
    assert load_settings().responder_role == "other"


def test_all_problems_at_once_with_their_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unknown names, wrong types and wrong variables are named together."""
    path = write(tmp_path, "responder_rol: x\nlimits: {threads: many}\naccounts: ['12']\n")
    monkeypatch.setenv("IRRUNNER_LIMITS__RESOURCES", "0")
    with pytest.raises(SettingsError) as caught:
        load_settings(path)
    lines = caught.value.message.splitlines()
    assert len(lines) == 4
    assert any(line.startswith(f"{path}: responder_rol: ") for line in lines)
    assert any(line.startswith(f"{path}: limits.threads: ") for line in lines)
    assert any(line.startswith("IRRUNNER_LIMITS__RESOURCES: limits.resources: ") for line in lines)


@pytest.mark.parametrize(
    "text",
    [
        f"channels: {{ops: {{url: 'slack://{CANARY}'}}}}",
        f"store: postgresql://us:{CANARY}@db/x",
        f"channels: {{ops: {{url: [{CANARY}]}}}}",
        f"channels: {{ops: {{url: 'slack://{CANARY}' }}",
        f"password: {CANARY}",
    ],
)
def test_plain_secret_is_an_error_that_does_not_repeat_it(tmp_path: Path, text: str) -> None:
    """A secret in the file is refused, and not shown to whoever reads the error."""
    with pytest.raises(SettingsError) as caught:
        load_settings(write(tmp_path, text))
    assert CANARY not in str(caught.value)
    assert CANARY not in repr(caught.value.__cause__)


def test_malformed_variable_does_not_show_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """JSON that cannot be read is named by its variable's field only."""
    monkeypatch.setenv("IRRUNNER_CHANNELS", '{"ops": ' + CANARY)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert "channels" in str(caught.value)
    assert CANARY not in str(caught.value)


def test_store_with_a_password_comes_by_environment_and_is_not_printed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The environment is where a password may stand; repr leaves it out."""
    monkeypatch.setenv("IRRUNNER_STORE", f"postgresql://us:{CANARY}@db/x")
    settings = load_settings()
    assert settings.store == f"postgresql://us:{CANARY}@db/x"
    assert CANARY not in repr(settings)


@pytest.mark.parametrize(
    "text", ["- a list", "a: 1\na: 2", "{", "just text", "\t x: 1", "limits: {threads: 1, threads: 2}"]
)
def test_file_that_is_no_mapping_is_one_clear_error(tmp_path: Path, text: str) -> None:
    """Lists, duplicate keys, tabs and torn files are refused by name."""
    with pytest.raises(SettingsError, match=r"irrunner\.yaml"):
        load_settings(write(tmp_path, text))


def test_missing_and_huge_files(tmp_path: Path) -> None:
    """A named file must exist, and be a configuration."""
    with pytest.raises(SettingsError, match="No such file"):
        load_settings(tmp_path / "none.yaml")
    with pytest.raises(SettingsError, match="larger"):
        load_settings(write(tmp_path, "#" * (1 << 21)))


def test_empty_file_is_the_defaults(tmp_path: Path) -> None:
    """A file of comments says nothing."""
    assert load_settings(write(tmp_path, "# nothing\n")) == Settings()


def test_settings_are_frozen() -> None:
    """Nobody changes the rules during a run."""
    with pytest.raises(ValidationError):
        Settings().responder_role = "x"  # type: ignore[misc]


class Source:
    """AWS's secret stores."""

    def call(self, operation: str, /, **params: Any) -> Mapping[str, Any]:
        """Answer one read."""
        if operation == "ssm:GetParameter":
            assert params == {"Name": "/ops/url", "WithDecryption": True}
            return {"Parameter": {"Value": CANARY}}
        return {"SecretString": '{"url": "' + CANARY + '"}'}


@pytest.mark.parametrize(
    "reference", ["env:OPS_URL", "file:secret.txt", "ssm:/ops/url", "secretsmanager:ops#url"]
)
def test_references_are_resolved_and_hidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reference: str
) -> None:
    """Each kind of reference gives the secret, whose repr tells nothing."""
    monkeypatch.setenv("OPS_URL", CANARY)
    (tmp_path / "secret.txt").write_text(f"{CANARY}\n")
    secret = resolve_secret(reference, Source())
    assert secret.get_secret_value() == CANARY
    assert CANARY not in repr(secret)


@pytest.mark.parametrize(
    "reference", [CANARY, "env:NOT_SET", "file:none.txt", "secretsmanager:ops#no-such-key", "env:"]
)
def test_references_to_nothing_name_themselves(reference: str) -> None:
    """A missing secret says which one; a plain value is not repeated."""
    with pytest.raises(SettingsError) as caught:
        resolve_secret(reference, Source())
    assert CANARY not in str(caught.value)


def test_reference_into_aws_needs_aws() -> None:
    """Offline commands say so instead of failing in a library."""
    with pytest.raises(SettingsError, match="needs AWS"):
        resolve_secret("ssm:/ops/url")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:5000", True),
        ("http://127.9.9.9", True),
        ("http://[::1]:1", True),
        ("http://localhost", True),
        ("http://localhost.evil.example", False),
        ("http://127.0.0.1.evil.example", False),
        ("http://user@evil.example#127.0.0.1", False),
        ("http://0.0.0.0", False),
        ("http://[bad", False),
        ("HTTP://LOCALHOST:5000/", True),
        ("http://192.0.2.2:19999\\@127.0.0.1", False),
        ("http://127.0.0.1\\@192.0.2.2", False),
        ("http://127.0.0.1@192.0.2.2", False),
        ("http://192.0.2.2@127.0.0.1", False),
        ("http://user:secret@127.0.0.1", False),
        ("http://192.0.2.2#@127.0.0.1", False),
        ("http://192.0.2.2?@127.0.0.1", False),
        ("http://127.0.0.1 .evil.example", False),
        ("http://127.0.0.1\t.evil.example", False),
        ("http://127.0.0.1\n", False),
        (" http://127.0.0.1", False),
        ("http://127.0.0.1\x00.evil.example", False),
        ("http://127.0.0.1%2eevil.example", False),
        ("http://[::1%25evil]", False),
        ("http://[::1].evil.example", False),
        ("http://[::1]evil.example", False),
        ("http://127.0.0.1:80:90", False),
        ("http://127.0.0.1:99999", False),
        ("http://\uff11\uff12\uff17.0.0.1", False),
        ("http:127.0.0.1", False),
        ("http:///127.0.0.1", False),
        ("//127.0.0.1", False),
        ("ftp://127.0.0.1", False),
        ("http://2130706433", False),
        ("", False),
    ],
)
def test_loopback(url: str, expected: bool) -> None:  # noqa: FBT001 - a table
    """Only this machine's loopback addresses are simulation."""
    assert is_loopback(url) is expected


def test_messages_are_our_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """No library speaks in front of what is wrong."""
    monkeypatch.setenv("IRRUNNER_CHANNELS", json.dumps({"ops": {"url": CANARY}}))

    with pytest.raises(SettingsError, match=r"channels\.ops\.url: name where the secret is") as caught:
        load_settings()
    assert "Value error" not in str(caught.value)
