"""Service control policies: made, attached and detached, with AWS's quotas; nobody is judged by them here.

Source: Organizations API reference (CreatePolicy, AttachPolicy, DetachPolicy, ListPoliciesForTarget);
Organizations user guide, "Quotas and service limits" (5 policies a target, 5,120 characters).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from gameday.world import seam
from gameday.world.refusals import Refusal, denied
from gameday.world.services import Answer, Scene, StrictLayer

TYPE: Final = "SERVICE_CONTROL_POLICY"
FULL_ACCESS: Final = "p-FullAWSAccess"
MOST_ATTACHED: Final = 5
MOST_CHARACTERS: Final = 5120
_PAGE: Final = 2
"""Small, so that who does not follow the pages is found out."""


@dataclass(slots=True)
class Policy:
    """A policy and where it is attached."""

    id: str
    name: str
    description: str
    content: str
    targets: set[str] = field(default_factory=set)
    aws_managed: bool = False


@dataclass(slots=True)
class Policies:
    """The policies of the organisation."""

    by_id: dict[str, Policy] = field(default_factory=dict)

    def of(self, target: str) -> list[Policy]:
        """Return what is attached to a target; everything begins with full access."""
        return [policy for policy in self.by_id.values() if target in policy.targets]

    def path_to(self, account: str) -> tuple[str, ...]:
        """Return the targets over an account, from the root down."""
        roots = {target for policy in self.by_id.values() for target in policy.targets if target[:2] == "r-"}
        return (*sorted(roots), account)


def policies(management: str, targets: tuple[str, ...] = ()) -> Policies:
    """Return the policies of the organisation, which begin with AWS's own on every target."""
    backend = seam.backend("organizations", management, "aws")
    known: Policies | None = getattr(backend, "world_policies", None)
    if known is None:
        allow = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
        full = Policy(FULL_ACCESS, "FullAWSAccess", "", json.dumps(allow), set(targets), aws_managed=True)
        known = backend.world_policies = Policies({FULL_ACCESS: full})
    return known


def shown(backend: Any) -> Mapping[str, Any]:
    """Return the policies that somebody made, by name, with their targets."""
    known: Policies | None = getattr(backend, "world_policies", None)
    return {
        policy.name: {"content": json.loads(policy.content), "targets": sorted(policy.targets)}
        for policy in (known.by_id.values() if known else ())
        if not policy.aws_managed
    }


def _own(scene: Scene) -> Policies:
    own = scene.realm.organisation
    if scene.account != own.management:
        raise denied("json", scene.principal.arn, scene.request.action)
    return policies(own.management, tuple(own.names()))


def _paged(path: str, found: Callable[[Scene], list[dict[str, Any]]]) -> Answer:
    def answer(scene: Scene) -> Mapping[str, Any]:
        items = found(scene)
        start = int(scene.params.get("NextToken") or 0)
        more = {"NextToken": str(start + _PAGE)} if start + _PAGE < len(items) else {}
        return {path: items[start : start + _PAGE], **more}

    return answer


def _roots(scene: Scene) -> list[dict[str, Any]]:
    _own(scene)
    own = scene.realm.organisation
    types = [{"Type": TYPE, "Status": "ENABLED"}]
    arn = f"arn:aws:organizations::{own.management}:root/{own.id}/r-root"
    return [{"Id": "r-root", "Arn": arn, "Name": "Root", "PolicyTypes": types}]


def _all(scene: Scene) -> list[dict[str, Any]]:
    return [_summary(scene, policy) for policy in _own(scene).by_id.values()]


def _attached(scene: Scene) -> list[dict[str, Any]]:
    known = _own(scene)
    return [_summary(scene, policy) for policy in known.of(_target(scene))]


def _describe(scene: Scene) -> Mapping[str, Any]:
    policy = _policy(scene, _own(scene))
    return {"Policy": {"PolicySummary": _summary(scene, policy), "Content": policy.content}}


def _create(scene: Scene) -> Mapping[str, Any]:
    known, params = _own(scene), scene.params
    if any(policy.name == params["Name"] for policy in known.by_id.values()):
        raise Refusal("DuplicatePolicyException", "A policy with the same name already exists.")
    if len(params["Content"]) > MOST_CHARACTERS:
        raise Refusal("ConstraintViolationException", "POLICY_CONTENT_LIMIT_EXCEEDED")
    try:
        json.loads(params["Content"])
    except ValueError:
        raise Refusal("MalformedPolicyDocumentException", "The provided policy is malformed.") from None
    ident = f"p-{hashlib.sha256(params['Name'].encode()).hexdigest()[:10]}"
    policy = Policy(ident, params["Name"], params["Description"], params["Content"])
    known.by_id[ident] = policy
    return {"Policy": {"PolicySummary": _summary(scene, policy), "Content": policy.content}}


def _attach(scene: Scene) -> Mapping[str, Any]:
    known = _own(scene)
    policy, target = _policy(scene, known), _target(scene)
    if target in policy.targets:
        raise Refusal("DuplicatePolicyAttachmentException", "The policy is already attached to the target.")
    if len(known.of(target)) >= MOST_ATTACHED:
        raise Refusal("ConstraintViolationException", "MAX_POLICY_TYPE_ATTACHMENT_LIMIT_EXCEEDED")
    policy.targets.add(target)
    return {}


def _detach(scene: Scene) -> Mapping[str, Any]:
    known = _own(scene)
    policy, target = _policy(scene, known), _target(scene)
    if target not in policy.targets:
        raise Refusal("PolicyNotAttachedException", "The policy is not attached to the target.")
    if len(known.of(target)) == 1:
        raise Refusal("ConstraintViolationException", "MIN_POLICY_TYPE_ATTACHMENT_LIMIT_EXCEEDED")
    policy.targets.discard(target)
    return {}


def _policy(scene: Scene, known: Policies) -> Policy:
    policy = known.by_id.get(scene.params["PolicyId"])
    if policy is None:
        raise Refusal("PolicyNotFoundException", "You specified a policy that doesn't exist.")
    return policy


def _target(scene: Scene) -> str:
    target = str(scene.params["TargetId"])
    if target not in scene.realm.organisation.names():
        raise Refusal("TargetNotFoundException", "You specified a target that doesn't exist.")
    return target


def _summary(scene: Scene, policy: Policy) -> dict[str, Any]:
    own = scene.realm.organisation
    place = "aws:policy" if policy.aws_managed else f"{own.management}:policy/{own.id}"
    return {
        "Id": policy.id,
        "Arn": f"arn:aws:organizations::{place}/service_control_policy/{policy.id}",
        "Name": policy.name,
        "Description": policy.description,
        "Type": TYPE,
        "AwsManaged": policy.aws_managed,
    }


LAYER: Final = StrictLayer(
    answers={
        "organizations:ListRoots": _paged("Roots", _roots),
        "organizations:ListPolicies": _paged("Policies", _all),
        "organizations:ListPoliciesForTarget": _paged("Policies", _attached),
        "organizations:DescribePolicy": _describe,
        "organizations:CreatePolicy": _create,
        "organizations:AttachPolicy": _attach,
        "organizations:DetachPolicy": _detach,
    }
)
