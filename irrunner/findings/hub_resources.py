"""Resources as Security Hub writes them (ASFF and OCSF): a type, an identifier or ARN, details, tags."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from irrunner.findings import tolerant as t
from irrunner.findings.guardduty import credentials
from irrunner.findings.identity import arn_parts
from irrunner.findings.model import FindingResource

_Fields = dict[str, Any]


def hub_resource(
    type_name: str, identifier: str, details: dict[str, Any], tags: dict[str, str]
) -> FindingResource:
    """Return one resource.

    Args:
        type_name: ``AwsEc2Instance`` or ``AWS::EC2::Instance``.
        identifier: ARN, id, or ``AWS::IAM::AccessKey:<id>``.
        details: The object that describes it; may be empty.
        tags: Its tags.
    """
    kind, fields_of = _READERS.get(_plain_type(type_name), ("", _nothing))
    fields = fields_of(identifier, t.camel(details))
    arn = identifier if identifier.startswith("arn:") else ""
    return FindingResource(**{"kind": kind, "arn": arn, "tags": tags, **fields})


def _plain_type(name: str) -> str:
    return name.replace("::", "").lower()


def _last(identifier: str) -> str:
    """Return the last part of an ARN's resource, or of a plain identifier."""
    name = arn_parts(identifier)[3] or identifier
    return name.rpartition("/")[2].rpartition(":")[2]


def _nothing(identifier: str, details: _Fields) -> _Fields:
    del identifier, details
    return {}


def _instance(identifier: str, details: _Fields) -> _Fields:
    interfaces = t.objects(details.get("networkInterfaces"))
    first = interfaces[0] if interfaces else {}
    return {
        "instance_id": _last(identifier),
        "image_id": t.text(details.get("imageId")),
        "vpc_id": t.first_text(details.get("vpcId"), first.get("vpcId")),
        "subnet_id": t.first_text(details.get("subnetId"), first.get("subnetId")),
        "instance_profile_arn": t.first_text(
            details.get("iamInstanceProfileArn"), t.dig(details, "iamInstanceProfile", "arn")
        ),
        "network_interface_ids": t.texts(item.get("networkInterfaceId") for item in interfaces),
    }


def _access_key(identifier: str, details: _Fields) -> _Fields:
    fields = credentials(
        _last(identifier),
        t.text(details.get("principalId")),
        t.first_text(details.get("userName"), details.get("principalName")),
        t.text(details.get("principalType")),
    )
    return {**fields, "kind": fields["kind"] or "access-key"}


def _bucket(identifier: str, details: _Fields) -> _Fields:
    del details
    path = arn_parts(identifier)[3] or identifier
    return {"bucket_names": t.texts([path.partition("/")[0]])}


def _named(field: str) -> Callable[[str, _Fields], _Fields]:
    def fields(identifier: str, details: _Fields) -> _Fields:
        del details
        return {field: _last(identifier)}

    return fields


_READERS: Final[Mapping[str, tuple[str, Callable[[str, _Fields], _Fields]]]] = {
    "awsec2instance": ("instance", _instance),
    "awsiamaccesskey": ("access-key", _access_key),
    "awsiamuser": ("iam-user", _named("user_name")),
    "awsiamrole": ("iam-role", _named("role_name")),
    "awss3bucket": ("bucket", _bucket),
    "awss3object": ("bucket", _bucket),
    "awsrdsdbinstance": ("db", _named("db_instance_id")),
    "awslambdafunction": ("function", _named("function_name")),
    "awsekscluster": ("eks-cluster", _named("cluster_name")),
    "awsecscluster": ("ecs-cluster", _named("cluster_name")),
    "awscloudtrailtrail": ("trail", _named("trail_name")),
    "awsaccount": ("account", _nothing),
}
"""Type without colons, in lower case, to kind and the reader of its fields."""


def primary_first(resources: list[FindingResource], kinds: Sequence[str]) -> tuple[FindingResource, ...]:
    """Return the resources ordered by the kinds that a finding type is about; others keep their order."""
    return tuple(sorted(resources, key=lambda resource: _rank(resource, kinds)))


def _rank(resource: FindingResource, kinds: Sequence[str]) -> int:
    kind = "access-key" if resource.user_type or resource.access_key_id else resource.kind
    return kinds.index(kind) if kind in kinds else len(kinds)
