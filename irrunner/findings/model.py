"""One :class:`Finding` from every source's events: plain data, in part written by attackers."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Source = Literal[
    "guardduty", "securityhub", "cloudtrail", "config", "macie", "inspector", "access-analyzer",
    "health", "cloudwatch", "ec2", "custom", "unknown",
]  # fmt: skip


class FindingPart(BaseModel):
    """Frozen, and only declared fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class FindingResource(FindingPart):
    """The primary resource. Text fields are empty where the event says nothing; nothing is guessed."""

    kind: str = ""
    """``instance access-key bucket db function eks-cluster ecs-cluster trail ...``; empty if unknown."""
    arn: str = ""
    instance_id: str = ""
    vpc_id: str = ""
    subnet_id: str = ""
    image_id: str = ""
    instance_profile_arn: str = ""
    network_interface_ids: tuple[str, ...] = ()
    tags: dict[str, str] = Field(default_factory=dict)
    access_key_id: str = ""
    principal_id: str = ""
    user_name: str = ""
    user_type: str = ""
    """``IAMUser Role AssumedRole Root FederatedUser AWSAccount ...``, as in the finding."""
    role_name: str = ""
    """Role behind the credentials or the instance profile, where the finding names it."""
    bucket_names: tuple[str, ...] = ()
    db_instance_id: str = ""
    function_name: str = ""
    cluster_name: str = ""
    trail_name: str = ""


class Finding(FindingPart):
    """A finding of any source, in one shape; expressions see these fields (less ``raw``)."""

    source: Source
    id: str
    type: str
    """As the source names it; GuardDuty types in their canonical spelling."""
    title: str = ""
    description: str = ""
    severity: float = 0.0
    """GuardDuty's scale: 1.0 to 10.0 (other sources are mapped to it); 0.0 where unknown."""
    account_id: str = ""
    """Of the resource, not of the administrator."""
    region: str = ""
    partition: str = "aws"
    created_at: str = ""
    updated_at: str = ""
    """RFC 3339 in UTC, normalised from every form met; empty where missing."""
    count: int = 1
    archived: bool = False
    sample: bool = False
    resource_role: str = ""
    """``ACTOR``, ``TARGET`` or empty."""
    remote_ip: str = ""
    service_name: str = ""
    resource: FindingResource = Field(default_factory=FindingResource)
    resources: tuple[FindingResource, ...] = ()
    """All resources, the primary first (attack sequences name many)."""
    problems: tuple[str, ...] = ()
    """What is missing or garbled; not empty: a person decides."""
    event_id: str = ""
    """The envelope's id: exact duplicates share it."""
    event_key: str = ""
    incident_key: str = ""
    shape: str = ""
    """``native detail eventbridge asff securityhub ocsf cloudtrail sns ...``."""
    raw: dict[str, Any] = Field(default_factory=dict, repr=False, exclude=True)
    """The EventBridge-like event that patterns match: envelope as found, or a minimal one around it."""
