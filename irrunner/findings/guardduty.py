"""GuardDuty findings: as EventBridge sends them, as GetFindings returns them, as S3 exports them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import Any, Final

from irrunner.findings import tolerant as t
from irrunner.findings.guardduty_types import canonical_type
from irrunner.findings.identity import (
    ACCESS_KEY,
    GENERATED,
    arn_parts,
    finding,
    instance_of,
    partition_of,
)
from irrunner.findings.model import Finding, FindingResource

KINDS: Final[Mapping[str, str]] = {
    "Instance": "instance",
    "AccessKey": "access-key",
    "S3Bucket": "bucket",
    "S3Object": "bucket",
    "EKSCluster": "eks-cluster",
    "KubernetesCluster": "eks-cluster",
    "ECSCluster": "ecs-cluster",
    "RDSDBInstance": "db",
    "RDSLimitlessDB": "db",
    "Lambda": "function",
    "Container": "container",
    "EBSSnapshot": "snapshot",
    "EC2Image": "image",
    "EBSRecoveryPoint": "recovery-point",
    "EC2RecoveryPoint": "recovery-point",
}
"""``resourceType`` to kind."""

SEGMENTS: Final[Mapping[str, tuple[str, ...]]] = {
    "EC2": ("instance",),
    "IAMUser": ("access-key",),
    "S3": ("bucket",),
    "Kubernetes": ("eks-cluster",),
    "ECS": ("ecs-cluster",),
    "RDS": ("db",),
    "Lambda": ("function",),
    "Runtime": ("eks-cluster", "ecs-cluster", "instance"),
}
"""What stands between ``:`` and ``/`` of a finding type, to kinds."""

SEQUENCE_KINDS: Final[Mapping[str, str]] = {
    "EC2_INSTANCE": "instance",
    "ACCESS_KEY": "access-key",
    "S3_BUCKET": "bucket",
    "S3_OBJECT": "bucket",
    "EKS_CLUSTER": "eks-cluster",
    "ECS_CLUSTER": "ecs-cluster",
}
"""``resourceType`` of an attack sequence's resources, to kind."""

SAMPLE_INSTANCE: Final = "i-99999999"
ROLE_USERS: Final = frozenset({"AssumedRole", "Role"})


def parse(event: dict[str, Any], detail: dict[str, Any], shape: str) -> Finding:
    """Return the finding in a detail object, in whichever spelling.

    Args:
        event: The envelope as found, or an empty object.
        detail: One finding, camelCase or PascalCase.
        shape: How it came: ``eventbridge``, ``detail``, ``native``.
    """
    body = t.camel(detail)
    service = t.mapping(body.get("service"))
    arn = t.text(body.get("arn"))
    _, arn_region, arn_account, _ = arn_parts(arn)
    kind_name = canonical_type(t.text(body.get("type")))
    resources = tuple(_resources(body, service, kind_name))
    region = t.first_text(body.get("region"), arn_region, event.get("region"))
    account = t.first_text(body.get("accountId"), arn_account, event.get("account"))
    return finding(
        source="guardduty",
        id=t.text(body.get("id")),
        type=kind_name,
        title=t.text(body.get("title")),
        description=t.text(body.get("description")),
        severity=t.severity(body.get("severity")),
        account_id=account,
        region=region,
        partition=t.text(body.get("partition")) or partition_of(arn or region),
        created_at=t.timestamp(body.get("createdAt")),
        updated_at=t.timestamp(body.get("updatedAt")),
        count=t.count_of(service.get("count")),
        archived=t.flag(service.get("archived")) or t.flag(body.get("archived")),
        sample=_is_sample(body, service),
        resource_role=t.text(service.get("resourceRole")),
        remote_ip=_remote_ip(service.get("action")),
        service_name=t.text(t.dig(service, "action", "awsApiCallAction", "serviceName")),
        resource=resources[0] if resources else FindingResource(),
        resources=resources,
        event_id=t.text(event.get("id")),
        shape=shape,
        raw=event or _envelope(body, account, region),
    )


def kinds_of_type(name: str) -> tuple[str, ...]:
    """Return the kinds of resource that a finding type may be about, the likeliest first."""
    return SEGMENTS.get(name.partition(":")[2].partition("/")[0], ())


def credentials(key_id: str, principal_id: str, user_name: str, user_type: str) -> dict[str, str]:
    """Return the resource fields of credentials, and the kind that they make the resource.

    A role session's user name is the role's name; the instance stands at the end of its principal id. A
    long-term key that is nobody's root belongs to an IAM user, also where the event leaves the type out.
    """
    key_id = "" if key_id.lower() in {"null", "none"} else key_id
    is_session = user_type in ROLE_USERS or (not user_type and principal_id.startswith("AROA"))
    if not user_type and ACCESS_KEY.fullmatch(key_id) and key_id.startswith("AKIA") and user_name:
        user_type = "Root" if user_name == "root" else "IAMUser"
    return {
        "kind": _credentials_kind(key_id, user_name, user_type, is_session=is_session),
        "access_key_id": key_id,
        "principal_id": principal_id,
        "user_name": user_name,
        "user_type": user_type,
        "role_name": user_name if is_session else "",
        "instance_id": instance_of(principal_id),
    }


def _credentials_kind(key_id: str, user_name: str, user_type: str, *, is_session: bool) -> str:
    if key_id:
        return "access-key"
    if user_type == "Root":
        return "root"
    if is_session:
        return "iam-role"
    return "iam-user" if user_name else ""


def _envelope(body: dict[str, Any], account: str, region: str) -> dict[str, Any]:
    return {
        "source": "aws.guardduty",
        "detail-type": "GuardDuty Finding",
        "account": account,
        "region": region,
        "resources": [],
        "detail": body,
    }


def _resources(body: dict[str, Any], service: dict[str, Any], type_name: str) -> Iterator[FindingResource]:
    """Yield the resources, the primary one first."""
    sequence = t.objects(t.dig(service, "detection", "sequence", "resources"))
    if sequence:
        yield from (_in_sequence(item) for item in sequence)
        return
    parts = t.mapping(body.get("resource"))
    named = t.text(parts.get("resourceType"))
    kind = KINDS.get(named, "") if named else next(iter(kinds_of_type(type_name)), "")
    if kind or any(key.endswith("Details") for key in parts):
        yield _resource(parts, kind)


def _resource(parts: dict[str, Any], kind: str) -> FindingResource:
    key = t.mapping(parts.get("accessKeyDetails"))
    who = credentials(
        *(t.text(key.get(name)) for name in ("accessKeyId", "principalId", "userName", "userType"))
    )
    fields: dict[str, Any] = {**who, **_instance(t.mapping(parts.get("instanceDetails")))}
    fields["instance_id"] = fields["instance_id"] or who["instance_id"]
    buckets = t.objects(parts.get("s3BucketDetails"))
    cluster = parts.get("ecsClusterDetails" if kind == "ecs-cluster" else "eksClusterDetails")
    database = t.mapping(parts.get("rdsDbInstanceDetails")) or t.mapping(parts.get("rdsLimitlessDbDetails"))
    function = t.mapping(parts.get("lambdaDetails"))
    fields |= {
        "kind": (who["kind"] or kind) if kind == "access-key" else kind,
        "arn": _arn(parts, kind),
        "bucket_names": t.texts(bucket.get("name") for bucket in buckets),
        "db_instance_id": t.first_text(
            database.get("dbInstanceIdentifier"), database.get("dbShardGroupIdentifier")
        ),
        "function_name": t.text(function.get("functionName")),
        "cluster_name": t.text(t.dig(cluster, "name")),
        "tags": fields["tags"] or _tags_of(parts, kind),
    }
    return FindingResource(**fields)


_DETAILS: Final[Mapping[str, tuple[str, str]]] = {
    "bucket": ("s3BucketDetails", "arn"),
    "eks-cluster": ("eksClusterDetails", "arn"),
    "ecs-cluster": ("ecsClusterDetails", "arn"),
    "db": ("rdsDbInstanceDetails", "dbInstanceArn"),
    "function": ("lambdaDetails", "functionArn"),
    "snapshot": ("ebsSnapshotDetails", "snapshotArn"),
    "image": ("ec2ImageDetails", "imageArn"),
    "recovery-point": ("recoveryPointDetails", "recoveryPointArn"),
    "container": ("containerDetails", "id"),
}
"""Kind to the object that describes it and the name of its ARN there."""


def _detail_of(parts: dict[str, Any], kind: str) -> dict[str, Any]:
    found = parts.get(_DETAILS.get(kind, ("", ""))[0])
    return next(iter(t.objects(found)), {}) if isinstance(found, list) else t.mapping(found)


def _arn(parts: dict[str, Any], kind: str) -> str:
    return t.text(_detail_of(parts, kind).get(_DETAILS.get(kind, ("", "arn"))[1]))


def _tags_of(parts: dict[str, Any], kind: str) -> dict[str, str]:
    return t.tags(_detail_of(parts, kind).get("tags"))


def _instance(details: dict[str, Any]) -> dict[str, Any]:
    interfaces = t.objects(details.get("networkInterfaces"))
    first = interfaces[0] if interfaces else {}
    return {
        "instance_id": t.text(details.get("instanceId")),
        "image_id": t.text(details.get("imageId")),
        "vpc_id": t.text(first.get("vpcId")),
        "subnet_id": t.text(first.get("subnetId")),
        "network_interface_ids": t.texts(item.get("networkInterfaceId") for item in interfaces),
        "instance_profile_arn": t.text(t.dig(details, "iamInstanceProfile", "arn")),
        "tags": t.tags(details.get("tags")),
    }


def _in_sequence(item: dict[str, Any]) -> FindingResource:
    """Return one resource of an attack sequence (``service.detection.sequence.resources``)."""
    kind = SEQUENCE_KINDS.get(t.text(item.get("resourceType")), "")
    uid, name = t.text(item.get("uid")), t.text(item.get("name"))
    last = uid.rpartition("/")[2]
    data = t.mapping(item.get("data"))
    fields: dict[str, Any] = {
        "kind": kind,
        "arn": uid if uid.startswith("arn:") else "",
        "tags": t.tags(item.get("tags")),
    }
    if kind == "instance":
        fields["instance_id"] = last
        fields["instance_profile_arn"] = t.text(t.dig(data, "ec2Instance", "iamInstanceProfile", "arn"))
    elif kind == "access-key":
        key = t.mapping(data.get("accessKey"))
        who = (uid, *(t.text(key.get(field)) for field in ("principalId", "userName", "userType")))
        fields |= {**credentials(*who), "kind": kind}
    elif kind == "bucket":
        fields["bucket_names"] = t.texts([arn_parts(uid)[3].partition("/")[0] or name or uid])
    elif kind in {"eks-cluster", "ecs-cluster"}:
        fields["cluster_name"] = name or last
    return FindingResource(**fields)


def _remote_ip(action: Any) -> str:
    for found in t.mapping(action).values():
        details = t.mapping(found)
        probes = t.objects(details.get("portProbeDetails"))
        remote = details.get("remoteIpDetails") or (probes[0].get("remoteIpDetails") if probes else None)
        address = t.first_text(t.dig(remote, "ipAddressV4"), t.dig(remote, "ipAddressV6"))
        if address:
            return address
    return ""


def _is_sample(body: dict[str, Any], service: dict[str, Any]) -> bool:
    extra = t.mapping(service.get("additionalInfo"))
    inside = t.mapping(t.embedded(extra.get("value")))
    return (
        t.flag(extra.get("sample"))
        or t.flag(inside.get("sample"))
        or is_sample_title(t.text(body.get("title")))
        or is_sample_resource(t.mapping(body.get("resource")))
        or _is_sample_peer(service.get("action"))
    )


def is_sample_title(title: str) -> bool:
    """Return whether the title begins as that of a sample; an attacker never writes there."""
    return title.startswith(("[SAMPLE]", "SAMPLE "))


def is_sample_resource(parts: dict[str, Any]) -> bool:
    """Return whether identifiers that AWS assigns are those of its sample findings.

    Names and tags count for nothing alone: an attacker may choose them, and so escape containment.
    """
    instance = t.mapping(parts.get("instanceDetails"))
    key = t.mapping(parts.get("accessKeyDetails"))
    key_id, user_name = t.text(key.get("accessKeyId")), t.text(key.get("userName"))
    assigned = (key_id, t.text(key.get("principalId")), t.text(t.dig(instance, "iamInstanceProfile", "id")))
    return (
        t.text(instance.get("instanceId")) == SAMPLE_INSTANCE
        or any(value.startswith(GENERATED) for value in assigned)
        or (user_name.startswith(GENERATED) and "EXAMPLE" in key_id)
    )


def _is_sample_peer(action: Any) -> bool:
    """Return whether the remote network is the made-up one of samples.

    An attacker may register a network under any name, but cannot come from an address that is not routed.
    """
    peers = [t.mapping(t.dig(found, "remoteIpDetails")) for found in t.mapping(action).values()]
    return any(_is_made_up(t.mapping(peer.get("organization"))) and not _is_routed(peer) for peer in peers)


def _is_made_up(owner: dict[str, Any]) -> bool:
    return any(t.text(owner.get(name)).startswith(GENERATED) for name in ("isp", "org", "asnOrg"))


def _is_routed(peer: dict[str, Any]) -> bool:
    try:
        return ip_address(t.first_text(peer.get("ipAddressV4"), peer.get("ipAddressV6"))).is_global
    except ValueError:
        return True
