"""The gate of the world: every call, held against every policy that bears on it.

Source: IAM user guide, "Policy evaluation logic"; Service Authorization Reference for resources and for the
further permissions that a call needs (tags at creation, roles that are passed).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from gameday.world import keys, seam
from gameday.world.authz import scps
from gameday.world.authz.context import context_of
from gameday.world.authz.evaluate import Asked, Caller, Policies, Verdict, evaluate
from gameday.world.authz.names import bucket_owner, named, owner_with_policies
from gameday.world.authz.resources import resources_of
from gameday.world.identity import Principal, owner_of
from gameday.world.protocol import ApiRequest
from gameday.world.refusals import Refusal, denied
from irrunner.aws.operations import iam_action

NEEDS_NO_PERMISSION: Final = frozenset({"sts:GetCallerIdentity", "sts:GetSessionToken"})
"""Source: STS API reference: no permissions are required, and none can be denied."""
BY_THEIR_OWN_LAYER: Final = frozenset({"sts:AssumeRole"})
"""Operations whose layer asks the gate itself, with the policy of a resource in another account."""

_EVERYTHING: Final = json.dumps({"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}})
_ROLE: Final = re.compile(r"arn:[^:]+:iam::(?P<account>[0-9]{12}):role/(?:.*/)?(?P<name>[^/]+)")
_ROLE_FIELDS: Final = (
    "Role", "RoleArn", "ServiceRoleArn", "DeliverLogsPermissionArn", "CloudWatchLogsRoleArn",
)  # fmt: skip
_PASSED_TO: Final = {"ec2": "ec2.amazonaws.com", "lambda": "lambda.amazonaws.com", "ssm": "ssm.amazonaws.com"}


def caller_of(principal: Principal) -> Caller:
    """Return how policies know a caller."""
    return Caller(principal.account, principal.arn, principal.policy_arn)


def require(principal: Principal, request: ApiRequest, organisation: Any) -> None:
    """Refuse a call that the policies do not allow.

    Raises:
        Refusal: With the service's own code, naming action, resource and the kind of policy, as AWS does.
    """
    operation = f"{request.service}:{request.operation}"
    if operation in NEEDS_NO_PERMISSION | BY_THEIR_OWN_LAYER:
        return
    if principal.administrator and request.service != "s3":
        return
    for action, forms, extra in _needed(principal, request, organisation):
        verdicts = [
            verdict_on(principal, request, organisation, action=action, resource=resource, extra=extra)
            for resource in forms
        ]
        denied_by = [verdict for verdict in verdicts if verdict.denied] or verdicts[:1]
        if denied_by[0].denied or not any(verdict.allowed for verdict in verdicts):
            what = f"{action} on resource: {forms[0]} {denied_by[0].because}"
            raise refusal(principal, request.protocol, what)


def check(
    principal: Principal,
    request: ApiRequest,
    organisation: Any,
    *,
    action: str,
    resource: str,
    extra: Mapping[str, str] | None = None,
    resource_policy: str | None = None,
    resource_account: str = "",
    resource_decides: bool = False,
) -> None:
    """Refuse one action on one resource, unless it is allowed.

    Raises:
        Refusal: As :func:`require`.
    """
    verdict = verdict_on(
        principal, request, organisation, action=action, resource=resource, extra=extra,
        resource_policy=resource_policy, resource_account=resource_account, resource_decides=resource_decides,
    )  # fmt: skip
    if not verdict.allowed:
        raise refusal(principal, request.protocol, f"{action} on resource: {resource} {verdict.because}")


def verdict_on(
    principal: Principal,
    request: ApiRequest,
    organisation: Any,
    *,
    action: str,
    resource: str,
    extra: Mapping[str, str] | None = None,
    resource_policy: str | None = None,
    resource_account: str = "",
    resource_decides: bool = False,
) -> Verdict:
    """Return whether one action on one resource is allowed, and why not."""
    owner = owner_of(principal)
    session = principal.session
    policies = Policies(
        identity=(_EVERYTHING,) if principal.administrator else identity_policies(owner),
        boundary=_boundary(owner),
        session=(session.policy,) if session and session.policy else None,
        scps=scps.levels(organisation, principal.account),
        resource=resource_policy if resource_policy is not None else _resource_policy(resource),
        resource_account=resource_account or owner_with_policies(resource),
        resource_decides=resource_decides or _is_customer_key(resource),
    )
    context = context_of(principal, request, organisation, resource, extra or {})
    return evaluate(Asked(action, resource, caller_of(principal), context), policies)


def refusal(principal: Principal, protocol: str, what: str) -> Refusal:
    """Return the refusal of a caller."""
    return denied(protocol, principal.arn, what)


def identity_policies(owner: Any) -> tuple[str, ...]:
    """Return the inline and attached policies of a user (with those of its groups) or role."""
    if owner is None:
        return ()
    holders = [owner, *_groups_of(owner)]
    attached = (policy for holder in holders for policy in holder.managed_policies.values())
    inline = (text for holder in holders for text in holder.policies.values())
    return (*inline, *(text for policy in attached if (text := _default_version(policy))))


def _groups_of(owner: Any) -> list[Any]:
    groups = seam.iam(owner.account_id).groups.values()
    return [group for group in groups if owner in group.users]


def _default_version(policy: Any) -> str | None:
    versions = [v.document for v in policy.versions if v.version_id == policy.default_version_id]
    return versions[0] if versions else None


def _boundary(owner: Any) -> str | None:
    arn = getattr(owner, "permissions_boundary_arn", None) or getattr(owner, "permissions_boundary", None)
    if not isinstance(arn, str) or owner is None:
        return None
    policy = seam.iam(owner.account_id).managed_policies.get(arn)
    return _default_version(policy) if policy else None


def _needed(
    principal: Principal, request: ApiRequest, organisation: Any
) -> Iterator[tuple[str, tuple[str, ...], dict[str, str]]]:
    """Yield (action, forms of a resource, further condition keys) of everything that a call needs."""
    action = iam_action(f"{request.service}:{request.operation}")
    place = {"Partition": "aws", "Region": request.region, "Account": principal.account}
    params = named(principal, request, organisation)
    for forms in resources_of(action, params, place):
        yield action, forms, {}
    if request.service == "ec2" and action != "ec2:CreateTags":
        yield from _tags_at_creation(request, place)
    if action == "s3:PutObject" and params.get("CopySource"):
        source = params["CopySource"]
        text = f"{source['Bucket']}/{source['Key']}" if isinstance(source, Mapping) else str(source)
        yield "s3:GetObject", (f"arn:aws:s3:::{text.lstrip('/').partition('?')[0]}",), {}
    if action == "ec2:StartInstances":
        yield from _grants_to_start(principal, request)
    if action == "secretsmanager:RotateSecret":
        yield from _invoked(principal, request)
    yield from _passed_roles(principal, request)


def _grants_to_start(
    principal: Principal, request: ApiRequest
) -> Iterator[tuple[str, tuple[str, ...], dict[str, str]]]:
    """Yield the permission to let EC2 use the customer keys of the volumes of what is started.

    AWS would take the call, and stop the instance again.

    Source: EBS user guide, "Requirements for Amazon EBS encryption", permissions for users.
    """
    instances = seam.instances(principal.account, request.region)
    volumes = seam.ec2(principal.account, request.region).volumes
    for instance_id in request.params.get("InstanceIds") or ():
        devices = instances[instance_id].get_block_device_mapping if instance_id in instances else ()
        found = [volumes[device.volume_id] for _, device in devices if device.volume_id in volumes]
        for arn in sorted({str(volume.kms_key_id) for volume in found if volume.encrypted}):
            if _is_customer_key(arn):
                yield "kms:CreateGrant", (arn,), {"kms:GrantIsForAWSResource": "true"}


def _invoked(
    principal: Principal, request: ApiRequest
) -> Iterator[tuple[str, tuple[str, ...], dict[str, str]]]:
    """Yield the permission to invoke the function that rotates a secret.

    Source: Secrets Manager API reference, RotateSecret.
    """
    secrets = seam.backend("secretsmanager", principal.account, request.region).secrets
    secret = secrets.get(request.params.get("SecretId", ""))
    function = request.params.get("RotationLambdaARN") or getattr(secret, "rotation_lambda_arn", "")
    if function:
        yield "lambda:InvokeFunction", (str(function),), {}


def _tags_at_creation(
    request: ApiRequest, place: Mapping[str, str]
) -> Iterator[tuple[str, tuple[str, ...], dict[str, str]]]:
    """Yield the permission to tag what is made.

    Source: EC2 user guide, "Grant permission to tag Amazon EC2 resources during creation".
    """
    for given in request.params.get("TagSpecifications") or ():
        kind, account = given.get("ResourceType", "*"), place["Account"]
        account = "" if kind in {"snapshot", "image"} else account
        arn = f"arn:aws:ec2:{request.region}:{account}:{kind}/*"
        tags = {f"aws:RequestTag/{tag['Key']}": str(tag.get("Value", "")) for tag in given.get("Tags") or ()}
        yield "ec2:CreateTags", (arn,), {"ec2:CreateAction": request.operation, **tags}


def _passed_roles(
    principal: Principal, request: ApiRequest
) -> Iterator[tuple[str, tuple[str, ...], dict[str, str]]]:
    """Yield the permission to pass a role to a service.

    Source: IAM user guide, "Grant a user permissions to pass a role to an AWS service".
    """
    if request.service == "iam":
        return
    profile = request.params.get("IamInstanceProfile")
    passed: list[str] = []
    if isinstance(profile, Mapping):
        name = str(profile.get("Name") or profile.get("Arn", "").rpartition("/")[2])
        known = seam.iam(principal.account).instance_profiles.get(name)
        passed = [role.arn for role in known.roles] if known else []
    service = _PASSED_TO.get(request.service, f"{request.service}.amazonaws.com")
    if "DeliverLogsPermissionArn" in request.params:
        service = "vpc-flow-logs.amazonaws.com"
    for field in _ROLE_FIELDS:
        text = request.params.get(field)
        if isinstance(text, str) and _ROLE.fullmatch(text):
            passed.append(text)
    for arn in passed:
        yield "iam:PassRole", (arn,), {"iam:PassedToService": service}


def _is_customer_key(resource: str) -> bool:
    key = keys.resolve("", "", resource) if resource.startswith("arn:aws:kms:") else None
    return key is not None and not keys.is_aws_managed(key)


def _resource_policy(resource: str) -> str | None:
    """Return the policy of a key or bucket, as far as it has one."""
    if resource.startswith("arn:aws:kms:"):
        key = keys.resolve("", "", resource)
        return str(key.policy) if key and key.policy else None
    if not resource.startswith("arn:aws:s3:::"):
        return None
    name = resource.removeprefix("arn:aws:s3:::").partition("/")[0]
    owner = bucket_owner(name)
    policy = seam.s3(owner).buckets[name].policy if owner else None
    return policy.decode() if isinstance(policy, bytes) else policy
