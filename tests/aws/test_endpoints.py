"""The endpoint rule by itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from itertools import product

import pytest
from botocore.endpoint_provider import EndpointProvider
from botocore.exceptions import EndpointProviderError
from botocore.loaders import Loader

from irrunner.aws.endpoints import EndpointRule
from irrunner.errors import SettingsError

LOADER = Loader()
PARTITIONS = LOADER.load_data("partitions")["partitions"]
SERVICES = ("ec2", "iam", "kms", "organizations", "secretsmanager", "ssm", "sts")
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
    RULE.check(url, "ec2")


@pytest.mark.parametrize(
    "url",
    [
        "https://amazonaws.com.evil.example",
        "https://evilamazonaws.com",
        "https://10.0.0.1",
        "http://127.0.0.1.evil.example",
        "http://aws.corp.example",
        "https://localhost.evil.example",
        "http://192.0.2.2:19999\\@127.0.0.1",
        "https://evil.example\\.ec2.us-east-1.amazonaws.com",
        "https://evil.example#.ec2.us-east-1.amazonaws.com",
        "https://user@ec2.us-east-1.amazonaws.com",
        "https://sts.us-east-1.amazonaws.com",
        "https://ec2.execute-api.us-east-1.amazonaws.com",
        "https://x.execute-api.us-east-1.amazonaws.com",
        "https://ec2.s3.us-east-1.amazonaws.com",
        "https://ec2.s3-us-west-2.amazonaws.com",
        "https://bucket.s3.amazonaws.com",
        "https://name-1.us-east-1.elb.amazonaws.com",
        "https://ec2-192-0-2-2.us-west-2.compute.amazonaws.com",
        "https://vpce-1.vpce-svc-2.us-east-1.vpce.amazonaws.com",
    ],
)
def test_everything_else_is_refused(url: str) -> None:
    """Look-alikes, hosts of AWS's customers, private addresses and clear text are refused."""
    with pytest.raises(SettingsError):
        RULE.check(url, "ec2")


def endpoints(service: str) -> Iterator[str]:
    """Yield where botocore finds a service: every partition and Region, dual-stack and FIPS too."""
    rules = LOADER.load_service_model(service, "endpoint-rule-set-1")
    provider = EndpointProvider(rules, {"partitions": PARTITIONS})
    for partition in PARTITIONS:
        for region, dual_stack, fips in product(partition["regions"], (False, True), (False, True)):
            with suppress(EndpointProviderError):  # not all exist everywhere
                yield provider.resolve_endpoint(Region=region, UseDualStack=dual_stack, UseFIPS=fips).url


@pytest.mark.parametrize("service", SERVICES)
def test_every_endpoint_that_botocore_knows_passes(service: str) -> None:
    """No endpoint of a service that we call is lost to the rule."""
    outputs = [partition["outputs"] for partition in PARTITIONS]
    suffixes = {output[name] for output in outputs for name in ("dnsSuffix", "dualStackDnsSuffix")}
    rule = EndpointRule(frozenset(suffixes), ())
    urls = set(endpoints(service))

    for url in urls:
        rule.check(url, service)
    assert len(urls) > len(PARTITIONS)
