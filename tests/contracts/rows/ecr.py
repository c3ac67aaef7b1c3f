"""ECR: block and describe."""

from __future__ import annotations

import json
from typing import Any

from gameday.world import registries, seam
from gameday.world.content import Place
from tests.contracts.bench import Bench
from tests.contracts.row import Row, Values

NAME = "shop/checkout"
PARTNER = {
    "Sid": "partner",
    "Effect": "Allow",
    "Principal": {"AWS": "arn:aws:iam::444455556666:root"},
    "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
}


def built(bench: Bench, policy: str | None = None) -> dict[str, Any]:
    """A repository with an image."""
    return registries.build_repository(Place(bench.account, bench.where.region, 7), NAME, policy=policy)


def repository(bench: Bench) -> Values:
    """A repository without a policy."""
    built(bench)
    return {"repository_name": NAME}


def shared(bench: Bench) -> Values:
    """A repository whose policy lets a partner pull."""
    built(bench, json.dumps({"Version": "2012-10-17", "Statement": [PARTNER]}))
    return {"repository_name": NAME}


def image(bench: Bench) -> Values:
    """An image by its digest."""
    return {"repository_name": NAME, "image_digest": built(bench)["image_digest"]}


def tagged(bench: Bench) -> Values:
    """An image by its tag."""
    built(bench)
    return {"repository_name": NAME, "image_tag": "latest"}


def erase_repository(bench: Bench, values: Values) -> None:
    """Somebody deletes the repository."""
    del seam.backend("ecr", bench.account, bench.where.region).repositories[NAME]


def weaken(bench: Bench, values: Values) -> None:
    """Somebody takes a part of the denial away."""
    found = seam.backend("ecr", bench.account, bench.where.region).repositories[NAME]
    document = json.loads(found.policy)
    document["Statement"][-1]["Action"] = ["ecr:BatchGetImage"]
    found.policy = json.dumps(document)


SET = "ecr:SetRepositoryPolicy"

ROWS = (
    Row("aws.ecr.block-image", repository, erase_repository, operations=(SET,), drift=weaken),
    Row("aws.ecr.block-image", shared, erase_repository, name="shared", operations=(SET,), drift=weaken),
    Row("aws.ecr.describe-image", image, erase_repository),
    Row("aws.ecr.describe-image", tagged, erase_repository, name="tag"),
)
