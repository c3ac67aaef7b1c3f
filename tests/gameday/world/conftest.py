from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from gameday.world import World

Refused = Callable[..., str]


@pytest.fixture
def world() -> Iterator[World]:
    """Open the default world."""
    with World.build(seed=1) as built:
        yield built


@pytest.fixture
def member(world: World) -> str:
    """Return the account of the default content."""
    return world.organisation.members[0]


@pytest.fixture
def ec2(world: World, member: str) -> Any:
    """Return EC2 of the member account."""
    return world.client(member, "ec2")


@pytest.fixture
def iam(world: World, member: str) -> Any:
    """Return IAM of the member account."""
    return world.client(member, "iam")


@pytest.fixture
def refused() -> Refused:
    """Call and return the error code."""

    def code_of(method: Callable[..., Any], **params: Any) -> str:
        with pytest.raises(ClientError) as caught:
            method(**params)
        return str(caught.value.response["Error"]["Code"])

    return code_of


@pytest.fixture
def caller(world: World) -> Callable[..., Any]:
    """Return clients of the base credentials, or of given ones."""

    def client(service: str, credentials: dict[str, str] | None = None) -> Any:
        own = {
            "AccessKeyId": world.env["AWS_ACCESS_KEY_ID"],
            "SecretAccessKey": world.env["AWS_SECRET_ACCESS_KEY"],
        }
        used = credentials or own
        return boto3.client(
            service,
            region_name=world.region,
            endpoint_url=world.endpoint_url,
            aws_access_key_id=used["AccessKeyId"],
            aws_secret_access_key=used["SecretAccessKey"],
            aws_session_token=used.get("SessionToken"),
            config=Config(retries={"total_max_attempts": 1}),
        )

    return client
