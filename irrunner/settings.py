"""Configuration: ``irrunner.yaml``, overridden by environment variables (``IRRUNNER_...``).

Secrets are references only (``env: secretsmanager: ssm: file:``), never values.
"""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from irrunner.errors import SettingsError

AccountId = Annotated[str, StringConstraints(pattern=r"^[0-9]{12}$")]
SecretReference = Annotated[
    str, StringConstraints(pattern=r"^(env:[A-Za-z_][A-Za-z0-9_]*|secretsmanager:.+|ssm:.+|file:.+)$")
]


class Section(BaseModel):
    """Frozen, and unknown names are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Forensics(Section):
    """The forensic account."""

    account_id: AccountId | None = None
    """None: the Organizations account named ``forensics``, if the caller may list accounts."""
    role: str = "irrunner-forensics"
    region: str | None = None
    """None: the incident's Region."""
    kms_key: str = "alias/irrunner-evidence"
    """Key of the forensic account under which evidence is copied (id, ARN or alias)."""
    transfer_kms_key: str = "alias/irrunner-transfer"
    """Customer key of each member account, shared with the forensic account, for ``aws/ebs`` snapshots."""


class Drill(Section):
    """Samples and archived findings."""

    allow: bool = False
    """Run them, marked as drills, where the endpoint is a loopback address."""


class Limits(Section):
    """Bounds over all playbooks."""

    resources: int = Field(default=50, ge=1)
    """Resources that one run may change, unless its playbook says less."""
    threads: int = Field(default=32, ge=1, le=256)
    evidence_threads: int = Field(default=16, ge=1)
    per_account: int = Field(default=8, ge=1)
    """Concurrent calls per account."""


class Channel(Section):
    """A notification channel: an apprise URL behind a reference."""

    url: SecretReference


class Settings(Section):
    """All settings. Defaults are safe: they act where roles exist, and nowhere else."""

    responder_role: str = "irrunner-responder"
    forensics: Forensics = Forensics()
    regions: tuple[str, ...] = ()
    """Regions in which we may act; empty: all."""
    accounts: tuple[AccountId, ...] = ()
    """Accounts in which we may act; empty: all that have the responder role."""
    protected: tuple[str, ...] = ()
    """Globs over ids and ARNs that no action may change (domain controllers, bastions, break-glass)."""
    approvers: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Group name to members (``os:alice``, ``arn:...``); a group that is not listed admits any local user."""
    channels: dict[str, Channel] = Field(default_factory=dict)
    limits: Limits = Limits()
    drill: Drill = Drill()
    endpoints: tuple[str, ...] = ()
    """Hosts, beside AWS and loopback, at which AWS endpoints may be (VPC endpoints with own names)."""
    playbooks: tuple[str, ...] = ()
    """Directories of own playbooks, read after the shipped ones; the same id replaces a shipped one."""
    store: str | None = None
    """Path of the SQLite file, or a PostgreSQL URL; None: under ``$XDG_STATE_HOME``."""


def settings_path() -> Path | None:
    """Return the configuration file: ``IRRUNNER_CONFIG``, else ``./irrunner.yaml``, else None."""
    named = os.environ.get("IRRUNNER_CONFIG")
    if named:
        return Path(named)
    here = Path("irrunner.yaml")
    return here if here.exists() else None


def load_settings(path: Path | None = None) -> Settings:
    """Read the configuration.

    Args:
        path: File; default :func:`settings_path`.

    Raises:
        SettingsError: If the file cannot be read or is wrong; names every wrong setting.
    """
    path = path or settings_path()
    values: Any = {}
    if path is not None:
        try:
            values = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as problem:
            raise SettingsError(f"cannot read {path}: {problem}", hint="check IRRUNNER_CONFIG") from problem
    try:
        return Settings.model_validate(values)
    except ValidationError as problem:
        lines = [
            f"{path}: {'.'.join(str(part) for part in error['loc'])}: {error['msg']}"
            for error in problem.errors(include_url=False, include_input=False)
        ]
        raise SettingsError("\n".join(lines), hint="see docs/reference/configuration.md") from None


def is_loopback(url: str) -> bool:
    """Return whether the URL's host is a loopback address."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
