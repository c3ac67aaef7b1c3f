"""Types of playbook inputs, and the values that they admit.

Values come from findings, which attackers write in part, and from command lines: every AWS type is a
strict pattern, so that what passes can be put into an API call, a tag or a log line without a thought.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from irrunner.errors import ExpressionFailed, FindingIncomplete, InvalidArgument
from irrunner.playbook.model import Input, Playbook
from irrunner.playbook.problems import did_you_mean
from irrunner.playbook.shapes import BOOL, DOUBLE, INT, STRING, Shape, list_of, map_of

if TYPE_CHECKING:
    from irrunner.findings.model import Finding

MAX_TEXT = 4096
MAX_ITEMS = 1000

_PARTITION = r"aws(?:-[a-z]+){0,3}"
_ACCOUNT = r"[0-9]{12}"


@dataclass(frozen=True, slots=True)
class InputType:
    """One type: its shape for the checker, its pattern, and an example for messages."""

    name: str
    shape: Shape
    pattern: re.Pattern[str] | None = None
    example: str = ""


def _text(name: str, pattern: str, example: str) -> InputType:
    return InputType(name, STRING, re.compile(pattern), example)


def _list(name: str, item: InputType) -> InputType:
    return InputType(name, list_of(STRING), item.pattern, f"[{item.example}]")


_ARN_PARTS = rf"[a-z0-9-]{{1,63}}:[a-z0-9-]{{0,32}}:(?:{_ACCOUNT}|aws)?:[A-Za-z0-9+=,.@_/:*$-]{{1,1024}}"
_KMS_ARN = rf"arn:{_PARTITION}:kms:[a-z0-9-]+:{_ACCOUNT}:"
_PRINCIPAL = r"[A-Z0-9]{4,128}(?::[A-Za-z0-9+=,.@_-]{1,64})?"
_RESOURCE = r"(?:[0-9a-f]{8}|[0-9a-f]{17})"
_TEXTS = (
    _text("ec2.instance-id", f"i-{_RESOURCE}", "i-0123456789abcdef0"),
    _text("ec2.volume-id", f"vol-{_RESOURCE}", "vol-0123456789abcdef0"),
    _text("ec2.snapshot-id", f"snap-{_RESOURCE}", "snap-0123456789abcdef0"),
    _text("ec2.image-id", f"ami-{_RESOURCE}", "ami-0123456789abcdef0"),
    _text("ec2.vpc-id", f"vpc-{_RESOURCE}", "vpc-0123456789abcdef0"),
    _text("ec2.subnet-id", f"subnet-{_RESOURCE}", "subnet-0123456789abcdef0"),
    _text("ec2.network-interface-id", f"eni-{_RESOURCE}", "eni-0123456789abcdef0"),
    _text("ec2.security-group-id", f"sg-{_RESOURCE}", "sg-0123456789abcdef0"),
    _text("iam.access-key-id", r"(?:AKIA|ASIA)[A-Z0-9]{12,124}", "AKIAIOSFODNN7EXAMPLE"),
    _text("iam.user-name", r"[A-Za-z0-9+=,.@_-]{1,64}", "alice"),
    _text("iam.role-name", r"[A-Za-z0-9+=,.@_-]{1,64}", "web-server"),
    _text("iam.principal-id", _PRINCIPAL, "AROAEXAMPLEID:i-0123456789abcdef0"),
    _text("aws.account-id", _ACCOUNT, "111122223333"),
    _text("aws.region", r"[a-z]{2,4}(?:-[a-z]+){1,3}-[0-9]{1,2}", "eu-central-1"),
    _text("aws.arn", f"arn:{_PARTITION}:{_ARN_PARTS}", "arn:aws:iam::111122223333:role/web-server"),
    _text("s3.bucket-name", r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", "logs-111122223333"),
    _text("kms.key-id", f"(?:{_KMS_ARN})?(?:key/|alias/)?[A-Za-z0-9/_-]{{1,256}}", "alias/irrunner-evidence"),
    _text("rds.db-instance-id", r"[A-Za-z](?:-?[A-Za-z0-9]){0,62}", "orders-db"),
    _text("lambda.function-name", r"[A-Za-z0-9_-]{1,64}", "resize-images"),
    _text("eks.cluster-name", r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}", "prod"),
    _text("ecs.cluster-name", r"[A-Za-z0-9_-]{1,255}", "prod"),
    _text("cloudtrail.trail-name", r"[A-Za-z0-9](?:[._-]?[A-Za-z0-9]){2,127}", "org-trail"),
)  # fmt: skip
_PLAIN = (
    InputType("string", STRING, example="production"),
    InputType("int", INT, example="3"),
    InputType("double", DOUBLE, example="7.5"),
    InputType("bool", BOOL, example="true"),
    InputType("list<string>", list_of(STRING), example="[a, b]"),
    InputType("map<string,string>", map_of(STRING), example="{Environment: production}"),
)
INPUT_TYPES: Mapping[str, InputType] = MappingProxyType(
    {each.name: each for each in (*_PLAIN, *_TEXTS, *(_list(f"list<{each.name}>", each) for each in _TEXTS))}
)
_WRITTEN_BOOLS = {"true": True, "false": False}


def normal_type(name: str) -> str:
    """Return a type's name without blanks: ``map<string, string>`` is ``map<string,string>``."""
    return name.replace(" ", "")


def admit(type_name: str, value: object) -> object:
    """Return a value as its declared type.

    Args:
        type_name: A key of :data:`INPUT_TYPES`.
        value: Plain data from a finding, a default, a caller or a command line.

    Returns:
        The value; an int where a double is wanted becomes one.

    Raises:
        ValueError: If the type does not admit it; the message never repeats hostile text at length.
    """
    kind = INPUT_TYPES[type_name]
    if kind.shape.kind == "list":
        return [_admit_text(kind, item) for item in _sized(value, list | tuple, type_name)]
    if kind.shape.kind == "map":
        pairs = dict(_sized(value, Mapping, type_name))
        return {_admit_text(kind, key): _admit_text(kind, item) for key, item in pairs.items()}
    if kind.shape.kind == "string":
        return _admit_text(kind, value)
    return _admit_number(kind, value)


def _sized(value: object, wanted: Any, type_name: str) -> Any:
    if not isinstance(value, wanted):
        raise ValueError(f"wants a {type_name}, not {_kind_of(value)}")  # noqa: TRY004 - one error for the caller
    if len(value) > MAX_ITEMS:
        raise ValueError(f"{len(value)} values; at most {MAX_ITEMS}")
    return value


def _admit_number(kind: InputType, value: object) -> object:
    if kind.shape.kind == "bool" and isinstance(value, bool):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        if kind.shape.kind == "double" and math.isfinite(value):
            return float(value)
        if kind.shape.kind == "int" and isinstance(value, int) and -(1 << 63) <= value < 1 << 63:
            return value
    raise ValueError(f"wants a {kind.name}, such as {kind.example}, not {_kind_of(value)}")


def _admit_text(kind: InputType, value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"wants a {kind.name}, not {_kind_of(value)}")  # noqa: TRY004 - one error for the caller
    if len(value) > MAX_TEXT:
        raise ValueError(f"{len(value):,} characters; at most {MAX_TEXT:,}")
    if "<" in value:
        raise ValueError("has a `<`: text of a plan's placeholder or of markup, no value")
    if any(0xD800 <= ord(char) <= 0xDFFF or char == "\0" for char in value):  # noqa: PLR2004 - surrogates
        raise ValueError("has characters that are no text")
    if kind.pattern is not None and not kind.pattern.fullmatch(value):
        raise ValueError(f"{value[:60]!a} is no {kind.name}, such as {kind.example}")
    return value


def _kind_of(value: object) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"


def parse_written(type_name: str, text: str) -> object:
    """Return the value that ``--input NAME=TEXT`` means for a type.

    Lists are comma-separated, maps comma-separated ``key=value``.

    Raises:
        ValueError: If the text is not of the type.
    """
    shape = INPUT_TYPES[type_name].shape
    value: object = text
    if shape.kind == "bool":
        value = _WRITTEN_BOOLS.get(text, text)
    elif shape.kind == "int" and re.fullmatch(r"[-+]?[0-9]{1,19}", text):
        value = int(text)
    elif shape.kind == "double" and re.fullmatch(r"[-+]?[0-9]{1,19}(\.[0-9]{1,19})?", text):
        value = float(text)
    elif shape.kind == "list":
        value = [item.strip() for item in text.split(",") if item.strip()]
    elif shape.kind == "map":
        pairs = [item.partition("=") for item in text.split(",") if item.strip()]
        value = {key.strip(): item.strip() for key, _, item in pairs}
    return admit(type_name, value)


def bind_inputs(
    playbook: Playbook, finding: Finding | None, given: Mapping[str, object]
) -> dict[str, object]:
    """Return the inputs of a run: given, else from the finding, else the default.

    Args:
        playbook: Whose inputs.
        finding: What started the run, if a finding did.
        given: Values of ``--input`` (text is read by type) or of a ``run`` step.

    Raises:
        FindingIncomplete: If the finding lacks or garbles a value; a person decides.
        InvalidArgument: If a given value is unknown, missing or not of its type.
    """
    for name in given:
        if name not in playbook.inputs:
            known = (
                did_you_mean(name, playbook.inputs) or f"; inputs are {', '.join(playbook.inputs) or 'none'}"
            )
            raise InvalidArgument(f"playbook {playbook.id!r} has no input {name!r}{known}")
    return {
        name: _given(each, given[name]) if name in given else _found(each, finding)
        for name, each in playbook.inputs.items()
    }


def _given(each: Input, value: object) -> object:
    if value is None and each.default is None and not each.required:
        return None
    try:
        text_for_other = isinstance(value, str) and INPUT_TYPES[each.type].shape.kind != "string"
        return parse_written(each.type, str(value)) if text_for_other else admit(each.type, value)
    except ValueError as error:
        raise InvalidArgument(f"input {each.name!r} {error}", hint=f"type {each.type}") from error


def _found(each: Input, finding: Finding | None) -> object:
    """Return an input's value from the finding, or its default."""
    if each.source is not None and finding is not None:
        value = _from_finding(each, finding)
        if value not in ("", None, [], {}):
            try:
                return admit(each.type, value)
            except ValueError as error:
                raise FindingIncomplete(
                    f"the finding's {each.name!r} {error}", hint="a person decides", input=each.name
                ) from error
    if not each.required:
        return each.default
    if each.source is not None and finding is not None:
        raise FindingIncomplete(
            f"the finding does not say {each.name!r} ({each.source.source})",
            hint=f"a person decides; or give it: --input {each.name}=...",
            input=each.name,
        )
    raise InvalidArgument(
        f"input {each.name!r} is missing", hint=f"give it: --input {each.name}=... ({each.type})"
    )


def _from_finding(each: Input, finding: Finding) -> object:
    from irrunner.playbook.expressions import evaluate_on_finding  # noqa: PLC0415 - CEL, where it is needed

    if each.source is None:
        return None
    try:
        return evaluate_on_finding(each.source, finding)
    except ExpressionFailed:  # a key that the finding lacks is a missing value
        return None
