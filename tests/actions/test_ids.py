"""Identifier types: what AWS gives passes, everything else is refused with a word on what was meant."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from irrunner.actions import ids

GOOD: list[tuple[Any, str]] = [
    (ids.InstanceId, "i-1234abcd"),
    (ids.InstanceId, "i-0123456789abcdef0"),
    (ids.VolumeId, "vol-0123456789abcdef0"),
    (ids.SnapshotId, "snap-0123456789abcdef0"),
    (ids.AccountId, "012345678901"),
    (ids.RegionName, "us-gov-west-1"),
    (ids.AccessKeyId, "AKIAIOSFODNN7EXAMPLE"),
    (ids.AccessKeyId, "ASIAIOSFODNN7EXAMPLE"),
    (ids.UserName, "alice@example.com"),
    (ids.RoleName, "AWSReservedSSO_Admin_0123456789abcdef"),
    (ids.PolicyArn, "arn:aws:iam::aws:policy/service-role/AWSLambdaRole"),
    (ids.PolicyArn, "arn:aws-us-gov:iam::123456789012:policy/p"),
    (ids.KmsKeyArn, "arn:aws:kms:eu-central-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab"),
]
BAD: list[tuple[Any, str]] = [
    (ids.InstanceId, "${instance_id}"),
    (ids.InstanceId, "i-0123456789ABCDEF0"),
    (ids.InstanceId, "i-1234abcd\n"),
    (ids.InstanceId, "<i-1234abcd>"),
    (ids.AccountId, "1234567890123"),
    (ids.AccountId, "\u0661" * 12),
    (ids.AccessKeyId, "AIDAIOSFODNN7EXAMPLE"),
    (ids.UserName, "a" * 65),
    (ids.UserName, "../alice"),
    (ids.RoleName, "röle"),
    (ids.PolicyArn, "arn:aws:iam::aws:role/x"),
]


@pytest.mark.parametrize(("kind", "value"), GOOD)
def test_takes_what_aws_gives(kind: Any, value: str) -> None:
    """Short and long ids, partitions, paths."""
    assert TypeAdapter(kind).validate_python(value) == value


@pytest.mark.parametrize(("kind", "value"), BAD)
def test_refuses_everything_else(kind: Any, value: str) -> None:
    """Placeholders, other scripts' digits, line ends, other kinds."""
    with pytest.raises(ValidationError, match=r"not (a|an|the) "):
        TypeAdapter(kind).validate_python(value)


def test_tokens_pass_in_plans_only() -> None:
    """A token can never reach AWS: outside a plan it is refused like any other text."""
    token = "<from snapshot.snapshot_ids[0]>"

    assert TypeAdapter(ids.SnapshotId).validate_python(token, context=ids.PLANNING) == token
    with pytest.raises(ValidationError):
        TypeAdapter(ids.SnapshotId).validate_python(token)
    with pytest.raises(ValidationError):
        TypeAdapter(ids.SnapshotId).validate_python("no token", context=ids.PLANNING)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=40))
def test_hostile_text_is_never_an_instance_id(text: str) -> None:
    """Nothing but the pattern passes, whatever the text holds."""
    try:
        value = TypeAdapter(ids.InstanceId).validate_python(text)
    except ValidationError:
        return
    assert value.startswith("i-")
    assert value.isascii()
