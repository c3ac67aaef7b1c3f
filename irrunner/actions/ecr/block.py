"""``aws.ecr.block-image``: nobody but us pulls from a repository any more.

ECR cannot deny one digest or tag: a policy is of the repository. Deleting the image would take evidence away
and would not stop what is cached; so pulling is denied for the whole repository, which can be undone.
"""

from __future__ import annotations

from typing import Any, Final

from irrunner.actions.contract import Call, LookContext, Model, Permission, Refused, Where
from irrunner.actions.ecr.repositories import (
    API_REFERENCE,
    LOOK_AT_REPOSITORY,
    REPOSITORY,
    USER_GUIDE,
    OneRepository,
    describe_repository,
    repository_arn,
    repository_policy,
)
from irrunner.actions.iam.documents import Document, text_of
from irrunner.actions.registry import action
from irrunner.actions.setting import SetValue, ValueState
from irrunner.vocabulary import Phase, Risk, UndoPolicy

SID: Final = "irrunnerBlocksPulls"
_PULLS: Final = ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
_VERSION: Final = "2012-10-17"


class BlockImageState(ValueState):
    """The repository; its value is our statement in its policy."""

    uri: str
    document: Document | None
    """The whole policy; None: there is none."""
    exempt: tuple[str, ...]
    """Roles that may go on pulling: ours."""


class BlockImageOutputs(Model):
    """Outputs."""

    repository_arn: str
    repository_uri: str


@action(
    "aws.ecr.block-image",
    title="Let nobody pull images from a repository",
    phase=Phase.CONTAINMENT,
    risk=Risk.DISRUPTIVE,
    timeout_s=60.0,
    consistency_s=5.0,
    permissions=(
        *LOOK_AT_REPOSITORY,
        Permission("ecr:SetRepositoryPolicy", REPOSITORY, use="act"),
        Permission("ecr:SetRepositoryPolicy", REPOSITORY, use="undo"),
        Permission("ecr:DeleteRepositoryPolicy", REPOSITORY, use="undo"),
    ),
    undo=UndoPolicy.RESTORE,
    undo_note="Takes our statement out of the policy; the statements of others stay as they are then.",
    sources=(
        f"{API_REFERENCE}/API_SetRepositoryPolicy.html",
        f"{USER_GUIDE}/repository-policies.html",
        f"{USER_GUIDE}/repository-policy-examples.html",
    ),
)
class BlockImage(SetValue[OneRepository, BlockImageState]):
    """Add a denial beside the statements that there are; it holds for services, which have no ARN, too."""

    Params = OneRepository
    Outputs = BlockImageOutputs
    StateModel = BlockImageState

    def look(self, ctx: LookContext, params: OneRepository) -> BlockImageState:
        """Read repository and policy."""
        found = describe_repository(ctx.api, params.repository_name)
        document = repository_policy(ctx.api, params.repository_name)
        return BlockImageState(
            target=f"{found['repositoryArn']}/{SID}",
            value=next((item for item in _statements(document) if item.get("Sid") == SID), None),
            uri=found["repositoryUri"],
            document=document,
            exempt=_ours(ctx),
        )

    def wanted(self, params: OneRepository, state: BlockImageState) -> Document:
        """Return our statement."""
        arns = list(state.exempt)
        return {
            "Sid": SID,
            "Effect": "Deny",
            "Principal": "*",
            "Action": _PULLS,
            "Condition": {"ArnNotLike": {"aws:PrincipalArn": arns if len(arns) > 1 else arns[0]}},
        }

    def refusal(self, params: OneRepository, state: BlockImageState) -> Refused | None:
        """Refuse to write over a policy that cannot be read."""
        if state.document is None or isinstance(state.document.get("Statement"), list | dict):
            return None
        return Refused(f"the policy of {params.repository_name} cannot be read: set it right by hand first")

    def write(self, params: OneRepository, state: BlockImageState, value: Any) -> tuple[Call, ...]:
        """Return the call that writes the policy with our statement as it shall be, and all others."""
        others = [item for item in _statements(state.document) if item.get("Sid") != SID]
        statements = others if value is None else [*others, value]
        name = {"repositoryName": params.repository_name}
        if not statements:
            operation, given, summary = "DeleteRepositoryPolicy", name, "Delete the policy (ours alone) of"
        else:
            document = {"Version": _VERSION, **(state.document or {}), "Statement": statements}
            operation, given = "SetRepositoryPolicy", {**name, "policyText": text_of(document)}
            summary = "Deny pulling from" if value else "Take our denial out of the policy of"
        change = Call(
            f"ecr:{operation}",
            given,
            target=state.target,
            summary=f"{summary} {params.repository_name}",
            before=state.value,
            after=value,
        )
        return (change,)

    def outputs(self, params: OneRepository, state: BlockImageState) -> BlockImageOutputs:
        """Return ARN and URI."""
        return BlockImageOutputs(
            repository_arn=state.target.removesuffix(f"/{SID}"), repository_uri=state.uri
        )

    def warnings(self, params: OneRepository, state: BlockImageState) -> tuple[str, ...]:
        """Say who has the image already."""
        cached = (
            "hosts that have the image start it without a pull, and running containers go on; copies in "
            "other Regions, accounts and pull-through caches are not blocked"
        )
        blocked = f"every image of {params.repository_name} is blocked: new tasks, pods and functions fail"
        return (blocked, cached)

    def targets(self, params: OneRepository, where: Where) -> tuple[str, ...]:
        """Return the repository."""
        return (repository_arn(where, params.repository_name),)


def _statements(document: Document | None) -> list[Document]:
    given = (document or {}).get("Statement") or []
    return [given] if isinstance(given, dict) else list(given)


def _ours(ctx: LookContext) -> tuple[str, ...]:
    where, settings = ctx.where, ctx.settings
    roles = [(where.account_id, settings.responder_role)]
    if where.forensic_account_id:
        roles.append((where.forensic_account_id, settings.forensics.role))
    return tuple(f"arn:{where.partition}:iam::{account}:role/{role.lstrip('/')}" for account, role in roles)
