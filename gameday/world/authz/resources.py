"""Which resources a call is about: the ARNs that its authorisation is decided on.

The Service Authorization Reference names the types; the call's parameters name the resources. A part of an
ARN that the call does not name is ``*``, as AWS does for what does not exist yet, so that only a policy that
allows every resource of the type allows it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, Final

from gameday.world.authz.actions import ResourceType, resource_types

_EC2_PREFIX: Final = {
    "i": "instance", "eni": "network-interface", "sg": "security-group", "sgr": "security-group-rule",
    "snap": "snapshot", "vol": "volume", "vpc": "vpc", "subnet": "subnet", "acl": "network-acl",
    "eipalloc": "elastic-ip", "eipassoc": "elastic-ip", "ami": "image", "fl": "vpc-flow-log",
    "igw": "internet-gateway", "rtb": "route-table", "lt": "launch-template", "vpce": "vpc-endpoint",
    "nat": "natgateway", "pl": "prefix-list", "key": "key-pair", "dopt": "dhcp-options",
}  # fmt: skip
_EC2_ID: Final = re.compile(r"(?P<prefix>[a-z]{1,8})-[0-9a-f]{8,17}")
_ALSO_CALLED: Final[Mapping[str, tuple[str, ...]]] = {
    "bucketname": ("bucket", "s3bucketname", "outputs3bucketname"),
    "objectname": ("key",),
    "usernamewithpath": ("username",),
    "rolenamewithpath": ("rolename",),
    "groupnamewithpath": ("groupname",),
    "instanceprofilenamewithpath": ("instanceprofilename", "name"),
    "groupfriendlyname": ("autoscalinggroupname", "autoscalinggroupnames"),
    "dbinstancename": ("dbinstanceidentifier",),
    "dbclusterinstancename": ("dbclusteridentifier",),
    "snapshotname": ("dbsnapshotidentifier", "targetdbsnapshotidentifier"),
    "clustersnapshotname": ("dbclustersnapshotidentifier", "targetdbclustersnapshotidentifier"),
    "trailname": ("name", "trailnamelist"),
    "loadbalancername": ("loadbalancername", "loadbalancernames"),
    "keyid": ("keyid", "sourcekeyid", "targetkeyid"),
    "secretid": ("secretid",),
    "topicname": ("topicarn",),
    "eventbusname": ("name",),
    "repositoryname": ("repositoryname",),
    "documentname": ("documentname",),
    "functionname": ("functionname",),
    "clustername": ("cluster", "clustername", "name"),
    "configruleid": ("configrulename",),
    "taskid": ("task", "tasks"),
    "servicename": ("service", "services"),
    "alias": ("qualifier",),
    "version": ("qualifier",),
    "name": ("rulegroupname",),
    "subnetgroupname": ("dbsubnetgroupname",),
    "accountid": ("targetid",),
    "loggroupname": ("loggroupname", "loggroupnameprefix"),
}
"""Variables of ARNs, in lower case, and the parameters that hold them, where the names differ."""

_TEXT: Final = frozenset({"tags", "tagset", "tagspecifications", "description", "comment"})
"""Fields in which an id is only spoken of."""


def values_of(params: Any) -> dict[str, list[str]]:
    """Return every text among parameters by the lower-case name of its field."""
    found: dict[str, list[str]] = defaultdict(list)
    _collect("", params, found)
    return dict(found)


def _collect(name: str, value: Any, found: dict[str, list[str]]) -> None:
    if name in _TEXT:
        return
    if isinstance(value, Mapping):
        for key, item in value.items():
            _collect(str(key).lower(), item, found)
    elif isinstance(value, list | tuple):
        for item in value:
            _collect(name, item, found)
    elif isinstance(value, str) and value:
        found[name].append(value)


def resources_of(action: str, params: Mapping[str, Any], place: Mapping[str, str]) -> list[tuple[str, ...]]:
    """Return what a call is authorised on: every entry must be allowed, by one of its ARNs.

    Several ARNs in an entry are the forms that one resource may have; ``("*",)`` is an action without
    resources.

    Args:
        action: IAM action.
        params: Parameters of the call.
        place: ``Partition``, ``Region`` and ``Account`` of the caller.
    """
    values = values_of(params)
    types = resource_types(action)
    certain = [arn for kind in types for arn in _certain(action, kind, values, place)]
    if certain or not types:
        return [(arn,) for arn in dict.fromkeys(certain)] or [("*",)]
    forms = [kind.fill({**place, **filling}) for kind in types for filling in _filled(kind, values) or [{}]]
    whole = [arn for arn in forms if "*" not in arn]
    return [tuple(dict.fromkeys(whole or forms))]


def _certain(
    action: str, kind: ResourceType, values: Mapping[str, list[str]], place: Mapping[str, str]
) -> Iterator[str]:
    """Yield the ARNs of a type that a call is certainly about: named by ARN, by an id of EC2, or required."""
    given = {text for texts in values.values() for text in texts if text.startswith("arn:")}
    named = sorted(text for text in given if kind.is_arn_of(text))
    if named:
        yield from named
    elif not kind.variables:
        yield kind.fill(place)
    elif action.startswith(("ec2:", "ebs:")) or kind.arn.startswith("arn:${Partition}:ec2:"):
        ids = [text for texts in values.values() for text in texts if _ec2_type(text) == kind.name]
        chosen = [{kind.variables[-1]: ident} for ident in dict.fromkeys(ids)]
        for filling in chosen or ([{}] if kind.required else []):
            yield kind.fill({**place, **filling})
    elif kind.required or len(resource_types(action)) == 1:
        for filling in _filled(kind, values) or ([{}] if kind.required else []):
            yield kind.fill({**place, **filling})


def _ec2_type(text: str) -> str:
    found = _EC2_ID.fullmatch(text)
    return _EC2_PREFIX.get(found["prefix"], "") if found else ""


def _filled(kind: ResourceType, values: Mapping[str, list[str]]) -> list[dict[str, str]]:
    """Return what the parameters say of a type's variables, one mapping for each resource."""
    by_variable = {name: found for name in kind.variables if (found := _texts_of(name, values))}
    most = max((len(texts) for texts in by_variable.values()), default=0)
    return [
        {name: texts[min(index, len(texts) - 1)] for name, texts in by_variable.items()}
        for index in range(most)
    ]


def _texts_of(variable: str, values: Mapping[str, list[str]]) -> list[str]:
    name = variable.lower()
    for field in (name, f"{name}s", *_ALSO_CALLED.get(name, ())):
        texts = [text for text in values.get(field, ()) if not text.startswith("arn:")]
        if texts:
            return texts
    return []
