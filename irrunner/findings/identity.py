"""What a finding is about: strict identifiers, the primary resource, what is missing, and the keys of runs.

Two events share ``event_key`` if they are the same occurrence; two findings share ``incident_key`` if they
are about the same resource, whichever service sent them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from irrunner.findings.model import Finding, FindingResource
from irrunner.journal.records import canonical, digest

ACCOUNT: Final = re.compile(r"[0-9]{12}")
REGION: Final = re.compile(r"[a-z]{2,4}(?:-[a-z]+){1,3}-[0-9]{1,2}")
INSTANCE: Final = re.compile(r"i-(?:[0-9a-f]{8}|[0-9a-f]{17})")
ACCESS_KEY: Final = re.compile(r"(?:AKIA|ASIA)[A-Z0-9]{12,124}")
PLACEHOLDER: Final = re.compile(r"\$\{|\{\{|<<|^<[^>]*>$|^\{[^}]*\}$")
GENERATED: Final = "GeneratedFinding"
"""Names in AWS's sample findings begin so."""

_NAME: Final = re.compile(r"[A-Za-z0-9_+=,.@-]{1,64}")
_SHOWN: Final = 60
_KEY_LENGTH: Final = 256

_IDS: Final[Mapping[str, tuple[str, re.Pattern[str], str]]] = {
    "instance": ("instance_id", INSTANCE, "instance id"),
    "access-key": ("access_key_id", ACCESS_KEY, "access key id"),
    "iam-user": ("user_name", _NAME, "user name"),
    "iam-role": ("role_name", _NAME, "role name"),
    "bucket": ("bucket_names", re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}"), "bucket name"),
    "db": ("db_instance_id", re.compile(r"[A-Za-z][A-Za-z0-9-]{0,62}"), "database id"),
    "function": ("function_name", re.compile(r"[A-Za-z0-9_-]{1,140}"), "function name"),
    "eks-cluster": ("cluster_name", re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}"), "cluster name"),
    "ecs-cluster": ("cluster_name", re.compile(r"[A-Za-z0-9_-]{1,255}"), "cluster name"),
    "trail": ("trail_name", re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{2,127}"), "trail name"),
}
"""Kind to the field of its identifier, the identifier's form, and the words for it."""

_MUST_NAME_RESOURCE: Final = frozenset({"guardduty"})
_GLOBAL: Final = frozenset({"", "global", "aws-global"})


def finding(**fields: Any) -> Finding:
    """Return a finding with its problems and keys filled in.

    Args:
        fields: Those of :class:`irrunner.findings.model.Finding`, less the derived ones.
    """
    draft = Finding(**fields)
    return draft.model_copy(
        update={
            "problems": tuple(problems_of(draft)),
            "event_key": event_key(draft),
            "incident_key": incident_key(draft),
        }
    )


def resource_id(resource: FindingResource) -> str:
    """Return the identifier that the resource's kind goes by, else its ARN; empty where there is none."""
    if resource.kind not in _IDS:
        return resource.arn
    value = getattr(resource, _IDS[resource.kind][0])
    return value if isinstance(value, str) else next(iter(value), "")


def problems_of(draft: Finding) -> Iterator[str]:
    """Yield what keeps a machine from acting on the finding."""
    yield from _envelope_problems(draft)
    yield from _resource_problems(draft)


def _envelope_problems(draft: Finding) -> Iterator[str]:
    for name, value in (("type", draft.type), ("id", draft.id)):
        if not value:
            yield f"no {name}"
        elif PLACEHOLDER.search(value):
            yield f"the {name} is a placeholder: {_shown(value)}"
    if not ACCOUNT.fullmatch(draft.account_id):
        yield (
            f"the account is not 12 digits: {_shown(draft.account_id)}" if draft.account_id else "no account"
        )
    if not REGION.fullmatch(draft.region):
        if draft.region not in _GLOBAL:
            yield f"the Region is none: {_shown(draft.region)}"
        elif draft.source in _MUST_NAME_RESOURCE:
            yield "no Region"


def _resource_problems(draft: Finding) -> Iterator[str]:
    resource = draft.resource
    name = resource_id(resource)
    if not name:
        if draft.source in _MUST_NAME_RESOURCE:
            yield f"no {_IDS[resource.kind][2]}" if resource.kind in _IDS else "no resource"
        return
    if PLACEHOLDER.search(name):
        yield f"the resource is a placeholder: {_shown(name)}"
    elif resource.kind in _IDS and not _IDS[resource.kind][1].fullmatch(name):
        yield f"not a valid {_IDS[resource.kind][2]}: {_shown(name)}"


def event_key(draft: Finding) -> str:
    """Return the key of the occurrence: source, id, update time and count, else the digest of the event."""
    key = canonical([draft.source, draft.id, draft.updated_at, draft.count])
    if draft.id and draft.updated_at and len(key) <= _KEY_LENGTH:
        return key
    return "sha256:" + digest(canonical(draft.raw))


def incident_key(draft: Finding) -> str:
    """Return ``account/Region/kind/id`` of what the incident is about; empty where a part is missing."""
    kind, name = _subject(draft.resource)
    usable = ACCOUNT.fullmatch(draft.account_id) and name and not PLACEHOLDER.search(name)
    if not usable:
        return ""
    key = f"{draft.account_id}/{draft.region or 'global'}/{kind}/{name}"
    return key if len(key) <= _KEY_LENGTH else f"{draft.account_id}/sha256:{digest(key)}"


def _subject(resource: FindingResource) -> tuple[str, str]:
    """Return the kind and id of the resource; of an instance's stolen credentials, the instance."""
    if resource.kind == "access-key" and resource.instance_id and resource.access_key_id.startswith("ASIA"):
        return "instance", resource.instance_id
    return resource.kind or "resource", resource_id(resource)


def instance_of(principal_id: str) -> str:
    """Return the instance id at the end of the principal id of an instance's role session, else empty."""
    session = principal_id.rpartition(":")[2]
    return session if INSTANCE.fullmatch(session) else ""


def partition_of(arn_or_region: str) -> str:
    """Return the partition of an ARN or a Region."""
    if arn_or_region.startswith("arn:"):
        return arn_or_region.split(":", 2)[1] or "aws"
    for prefix, partition in (("cn-", "aws-cn"), ("us-gov-", "aws-us-gov")):
        if arn_or_region.startswith(prefix):
            return partition
    return "aws"


def arn_parts(arn: str) -> tuple[str, str, str, str]:
    """Return service, Region, account and resource of an ARN; all empty if it is none.

    AWS's own examples write ``arn:aws::service``: the empty part is left out.
    """
    parts = re.sub(r"^(arn:[a-z-]+)::", r"\1:", arn, count=1).split(":", 5)
    if len(parts) < 6 or parts[0] != "arn":  # noqa: PLR2004 - an ARN has six parts
        return "", "", "", ""
    return parts[2], parts[3], parts[4], parts[5]


def _shown(value: str) -> str:
    return repr(value if len(value) <= _SHOWN else value[:_SHOWN] + "...")
