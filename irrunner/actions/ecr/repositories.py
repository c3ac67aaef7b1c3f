"""What the ECR actions look at: a repository and its policy. Reads only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from irrunner.actions.contract import Model, Permission, ReadApi, Where
from irrunner.actions.iam.documents import Document, decoded
from irrunner.actions.ids import EcrRepositoryName
from irrunner.errors import TargetNotFound

API_REFERENCE: Final = "https://docs.aws.amazon.com/AmazonECR/latest/APIReference"
USER_GUIDE: Final = "https://docs.aws.amazon.com/AmazonECR/latest/userguide"

REPOSITORY: Final = "arn:{partition}:ecr:{region}:{account}:repository/{repository_name}"
LOOK_AT_REPOSITORY: Final = (
    Permission("ecr:DescribeRepositories", REPOSITORY),
    Permission("ecr:GetRepositoryPolicy", REPOSITORY),
)


class OneRepository(Model):
    """Parameters of an action on one repository."""

    repository_name: EcrRepositoryName


def repository_arn(where: Where, name: str) -> str:
    """Return the ARN of a repository of the incident's account and Region."""
    return f"arn:{where.partition}:ecr:{where.region}:{where.account_id}:repository/{name}"


def describe_repository(api: ReadApi, name: str) -> Mapping[str, Any]:
    """Return ECR's description of one repository.

    Raises:
        TargetNotFound: If there is none.
    """
    answer = api.call("ecr:DescribeRepositories", repositoryNames=[name])
    return dict(answer["repositories"][0])


def repository_policy(api: ReadApi, name: str) -> Document | None:
    """Return the repository's policy, None where it has none."""
    try:
        return decoded(api.call("ecr:GetRepositoryPolicy", repositoryName=name)["policyText"])
    except TargetNotFound:
        return None
