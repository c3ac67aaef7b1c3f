"""The endpoint rule by itself."""

from __future__ import annotations

import pytest

from irrunner.aws.endpoints import EndpointRule
from irrunner.errors import SettingsError

RULE = EndpointRule(frozenset({"amazonaws.com", "api.aws"}), ("aws.corp.example", "*.vpce.corp.example"))


@pytest.mark.parametrize(
    "url",
    [
        "https://ec2.us-east-1.amazonaws.com",
        "https://vpce-1.ec2.us-east-1.vpce.amazonaws.com",
        "https://ec2.us-east-1.api.aws",
        "http://127.0.0.1:5000",
        "http://[::1]:5000",
        "http://localhost:5000",
        "https://AWS.corp.example",
        "https://ec2.vpce.corp.example",
    ],
)
def test_aws_configured_and_loopback_pass(url: str) -> None:
    """Every place that somebody vouched for is allowed."""
    RULE.check(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://amazonaws.com.evil.example",
        "https://evilamazonaws.com",
        "https://10.0.0.1",
        "http://127.0.0.1.evil.example",
        "http://aws.corp.example",
        "https://localhost.evil.example",
    ],
)
def test_everything_else_is_refused(url: str) -> None:
    """Look-alikes, private addresses and clear text are refused."""
    with pytest.raises(SettingsError):
        RULE.check(url)
