"""Configuration: ``irrunner.yaml``, overridden by environment variables.

``IRRUNNER_LIMITS__THREADS=8`` overrides ``threads`` under ``limits``; lists are given with commas or as
JSON. Secrets are references (``env: secretsmanager: ssm: file:``), never values. Constructing
:class:`Settings` reads nothing; :func:`load_settings` does.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol, Self
from urllib.parse import urlsplit

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from pydantic_settings import SettingsError as UnreadableVariable

from irrunner.errors import SettingsError
from irrunner.urls import host_of, is_loopback

ENV_PREFIX = "IRRUNNER_"
ENV_NESTING = "__"
LARGEST_FILE_BYTES = 1 << 20
HINT = "see docs/reference/configuration.md"
REFERENCE = re.compile(r"^(?:env:[A-Za-z_][A-Za-z0-9_]*|(?:secretsmanager|ssm|file):\S.*)$")


def _must_refer(value: Any) -> Any:
    if not isinstance(value, str) or not REFERENCE.match(value):
        raise ValueError(
            "name where the secret is (env:NAME, secretsmanager:ID, ssm:NAME, file:PATH), not itself"
        )
    return value


def _listed(value: Any) -> Any:
    """Let an environment variable hold a list: JSON, or with commas."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        return json.loads(value)
    return [item.strip() for item in value.split(",") if item.strip()]


AccountId = Annotated[str, StringConstraints(pattern=r"^[0-9]{12}$")]
SecretReference = Annotated[str, BeforeValidator(_must_refer)]
Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed)]
AccountIds = Annotated[tuple[AccountId, ...], NoDecode, BeforeValidator(_listed)]


class Section(BaseModel):
    """Frozen, and unknown names are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Forensics(Section):
    """The forensic account."""

    account_id: AccountId | None = None
    """Its id; None: the Organizations account named ``forensics``, if the caller may list accounts."""
    role: str = "irrunner-forensics"
    """Role to assume in the forensic account."""
    region: str | None = None
    """Region of the evidence; None: the incident's Region."""
    kms_key: str = "alias/irrunner-evidence"
    """Key of the forensic account under which evidence is copied (id, ARN or alias)."""
    transfer_kms_key: str = "alias/irrunner-transfer"
    """Customer key of each member account, shared with the forensic account, for ``aws/ebs`` snapshots."""
    bucket: str | None = None
    """Evidence bucket in the forensic account; None: ``irrunner-evidence-<account>-<Region>``."""
    directory: str | None = None
    """Directory of custody ledgers, signing key and local vault; None: ``<store>.custody``."""
    signing_key: SecretReference = ""
    """Ed25519 private key (PEM) that signs custody ledgers; empty: a key made once in ``directory``."""
    signing_kms_key: str | None = None
    """KMS key (ARN or alias; ECC_NIST_P256 or RSA) of the forensic account that signs instead."""
    vault: str = Field(default="local", pattern=r"^(local|s3)$")
    """Where files of evidence are kept: ``local`` (under ``directory``) or ``s3`` (the evidence bucket)."""
    retention_mode: str = Field(default="COMPLIANCE", pattern=r"^(COMPLIANCE|GOVERNANCE)$")
    """Object Lock of what is put into the evidence bucket; nobody can shorten or lift COMPLIANCE."""
    retention_days: int = Field(default=365, ge=1, le=36500)
    """How long Object Lock keeps what is put into the evidence bucket."""


class Management(Section):
    """The management account of the organisation: service control policies, Identity Center."""

    account_id: AccountId | None = None
    """Its id; None: the management account that Organizations names, if the caller may ask."""
    role: str = "irrunner-organization"
    """Role to assume there."""


class Drill(Section):
    """Samples and archived findings."""

    allow: bool = False
    """Run samples and archived findings, marked as drills, where the endpoint is a loopback address."""


class Limits(Section):
    """Bounds over all playbooks."""

    resources: int = Field(default=50, ge=1)
    """Resources that one run may change, unless its playbook says less."""
    threads: int = Field(default=32, ge=1, le=256)
    """Steps that work at the same time, in one process."""
    evidence_threads: int = Field(default=16, ge=1)
    """Of these, evidence steps: containment never waits behind copies."""
    per_account: int = Field(default=8, ge=1)
    """Concurrent calls per account."""


class Channel(Section):
    """A notification channel: an apprise URL behind a reference."""

    url: SecretReference
    """Where the channel's apprise URL is; it holds a token."""


class Tracker(Section):
    """A tracker of tickets."""

    kind: Literal["jira-cloud", "jira-server", "webhook"]
    url: str
    """Base URL, by HTTPS (HTTP to a loopback address only); no user, password or query in it."""
    project: Annotated[str, StringConstraints(pattern=r"^([A-Z][A-Z0-9_]{1,63})?$")] = ""
    """Key of the Jira project."""
    issue_type: str = "Task"
    """Name of the issue type in Jira."""
    close_transition: str = ""
    """Name of the transition that closes an issue; empty: the first to a status that counts as done."""
    user: SecretReference | None = None
    """User of a Jira API token (Cloud); without it, the token is sent as a bearer token."""
    token: SecretReference
    """API token, or the secret that signs the webhook."""

    @field_validator("url")
    @classmethod
    def _check_url(cls, url: str) -> str:
        if not host_of(url) or not (url.lower().startswith("https://") or is_loopback(url)):
            raise ValueError("a plain https:// URL, without user, password or query")
        return url

    @model_validator(mode="after")
    def _check_project(self) -> Self:
        if self.kind != "webhook" and not self.project:
            raise ValueError("a Jira tracker needs `project`")
        return self


class MemoryTool(Section):
    """A tool that captures memory, kept in S3; the host runs it only if its SHA-256 is this one."""

    kind: Literal["avml", "lime", "winpmem"]
    """``avml`` and ``lime`` (a kernel module for just that kernel) on Linux, ``winpmem`` on Windows."""
    bucket: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")]
    """Bucket from which the instance's own role may read."""
    key: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._/-]{1,300}$")]
    """Its object key."""
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    """Of the tool, in hexadecimal: the host checks it before it runs it."""


class Settings(BaseSettings):
    """All settings. Defaults are safe: they act where roles exist, and nowhere else."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        env_prefix=ENV_PREFIX,
        env_nested_delimiter=ENV_NESTING,
    )

    responder_role: str = "irrunner-responder"
    """Role to assume in the account of an incident, cut down to each step's permissions."""
    forensics: Forensics = Forensics()
    management: Management = Management()
    regions: Words = ()
    """Regions in which we may act; empty: all."""
    accounts: AccountIds = ()
    """Accounts in which we may act; empty: all that have the responder role."""
    protected: Words = ()
    """Globs over ids and ARNs that no action may change (domain controllers, bastions, break-glass)."""
    approvers: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Group name to members (``os:alice``, ``arn:...``); a group that is not listed admits any local user."""
    channels: dict[str, Channel] = Field(default_factory=dict)
    """Notification channels by the name that playbooks use."""
    expiry_channel: str | None = None
    """Channel that is told when an effect that expires was taken off, or could not be."""
    tickets: dict[str, Tracker] = Field(default_factory=dict)
    """Trackers of tickets by the name that playbooks use."""
    memory: tuple[MemoryTool, ...] = ()
    """Tools that capture memory, in the order in which they are tried."""
    limits: Limits = Limits()
    drill: Drill = Drill()
    endpoints: Words = ()
    """Hosts, beside AWS and loopback, at which AWS endpoints may be (VPC endpoints with own names)."""
    playbooks: Words = ()
    """Directories of own playbooks, read after the shipped ones; the same id replaces a shipped one."""
    store: str | None = Field(default=None, repr=False)
    """Path of the SQLite file; None: under ``$XDG_STATE_HOME``."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Construct from arguments alone; :func:`load_settings` joins file and environment."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)


class _Loader(yaml.SafeLoader):
    """Every scalar but null stays text (an account id keeps its leading zero); keys are unique."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own shape
        first: [("tag:yaml.org,2002:null", re.compile(r"^(?:~|null|)$"))] for first in ("~", "n", "")
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002 - PyYAML's signature
        """Construct a mapping; a key that stands twice is an error."""
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key.value!r} stands twice", key.start_mark
                )
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


def settings_path() -> Path | None:
    """Return the configuration file: ``IRRUNNER_CONFIG``, else ``./irrunner.yaml``, else None."""
    named = os.environ.get("IRRUNNER_CONFIG")
    if named:
        return Path(named)
    here = Path("irrunner.yaml")
    return here if here.exists() else None


def load_settings(path: Path | None = None) -> Settings:
    """Read the configuration: the file, then the environment over it.

    Args:
        path: File; default :func:`settings_path`.

    Returns:
        The checked settings.

    Raises:
        SettingsError: If the file cannot be read or something is wrong; names every wrong setting, and
            never shows a value.
    """
    path = path or settings_path()
    values = _read(path) if path is not None else {}
    try:
        overrides = EnvSettingsSource(Settings)()
    except UnreadableVariable as problem:
        raise SettingsError(f"environment: {problem}", hint="write JSON, or one variable a key") from None
    try:
        return Settings(**_merged(values, overrides))
    except ValidationError as problem:
        lines = [_line(path, error) for error in problem.errors(include_url=False, include_input=False)]
        raise SettingsError("\n".join(lines), hint=HINT) from None


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > LARGEST_FILE_BYTES:
            raise SettingsError(
                f"{path} is larger than {LARGEST_FILE_BYTES} bytes", hint="check IRRUNNER_CONFIG"
            )
        values = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 - a SafeLoader
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as problem:
        raise SettingsError(f"cannot read {path}: {_why(problem)}", hint="check IRRUNNER_CONFIG") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise SettingsError(f"{path} holds no settings: name: value lines are expected", hint=HINT)
    store = values.get("store")
    if isinstance(store, str) and _has_password(store):
        raise SettingsError(
            f"{path}: store: a password stands in the URL", hint="give IRRUNNER_STORE, or use PGPASSFILE"
        )
    return {str(name): value for name, value in values.items()}


def _why(problem: Exception) -> str:
    """Say what is wrong and where, without the line itself: it may hold what should not be shown."""
    if isinstance(problem, OSError):
        return problem.strerror or type(problem).__name__
    mark = getattr(problem, "problem_mark", None)
    what = getattr(problem, "problem", None) or type(problem).__name__
    return f"{what}, line {mark.line + 1}, column {mark.column + 1}" if mark else str(what)


def _has_password(url: str) -> bool:
    return "://" in url and urlsplit(url).password is not None


def _merged(low: Mapping[str, Any], high: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``high`` over ``low``, mapping by mapping."""
    both = {
        name: _merged(low[name], value)
        for name, value in high.items()
        if isinstance(value, Mapping) and isinstance(low.get(name), Mapping)
    }
    return {**low, **high, **both}


def _line(path: Path | None, error: Mapping[str, Any]) -> str:
    names = [str(part) for part in error["loc"]]
    variable = ENV_PREFIX + ENV_NESTING.join(names).upper()
    where = variable if variable in os.environ else str(path or "settings")
    return f"{where}: {'.'.join(names)}: {error['msg'].removeprefix('Value error, ')}"


class SecretSource(Protocol):
    """The part of the AWS seam that resolves references: ``BotoCloud.base()``."""

    def call(self, operation: str, /, **params: Any) -> Mapping[str, Any]:
        """Call one operation."""


def resolve_secret(reference: str, source: SecretSource | None = None) -> SecretStr:
    """Return the secret that a reference names; its ``repr`` hides it.

    Args:
        reference: ``env:NAME``, ``file:PATH``, ``ssm:NAME`` or ``secretsmanager:ID`` (an id or ARN, with
            ``#key`` for one field of a JSON secret).
        source: Calls AWS; needed for ``ssm`` and ``secretsmanager`` only.

    Raises:
        SettingsError: If the reference is malformed, or names nothing; the message never holds a value.
        ActionError: If AWS refuses.
    """
    if not REFERENCE.match(reference):
        raise SettingsError("a secret is given by value", hint="use env:, file:, ssm: or secretsmanager:")
    kind, _, name = reference.partition(":")
    if kind == "env":
        found = os.environ.get(name)
    elif kind == "file":
        found = _secret_file(Path(name))
    elif source is None:
        raise SettingsError(f"{reference} needs AWS, and none is reached here", hint="use env: or file:")
    else:
        found = _from_aws(kind, name, source)
    if not found:
        raise SettingsError(f"{reference} is empty or not set", hint="set it where it is named")
    return SecretStr(found)


def _secret_file(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as problem:
        raise SettingsError(f"file:{path}: {type(problem).__name__}", hint="check path and mode") from None


def _from_aws(kind: str, name: str, source: SecretSource) -> str:
    if kind == "ssm":
        answer = source.call("ssm:GetParameter", Name=name, WithDecryption=True)
        return str(answer["Parameter"]["Value"])
    secret_id, _, key = name.partition("#")
    text = str(source.call("secretsmanager:GetSecretValue", SecretId=secret_id).get("SecretString", ""))
    if not key:
        return text
    try:
        return str(json.loads(text)[key])
    except (ValueError, KeyError, TypeError):
        raise SettingsError(
            f"secretsmanager:{name}: no such field in the secret", hint="check #key"
        ) from None
