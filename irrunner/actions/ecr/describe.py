"""``aws.ecr.describe-image``: evidence of an image: digest, tags, age, scan, and who may pull and push it."""

from __future__ import annotations

from typing import Any, Self

from pydantic import model_validator

from irrunner.actions.contract import Action, Decision, LookContext, Permission, Settled, State, Where
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
from irrunner.actions.iam.documents import Document
from irrunner.actions.ids import ImageDigest, ImageTag
from irrunner.actions.registry import action
from irrunner.clock import iso
from irrunner.errors import TargetNotFound
from irrunner.vocabulary import Phase, Risk, UndoPolicy


class DescribeImageParams(OneRepository):
    """Parameters: a digest, or a tag, which is resolved to what it names now."""

    image_digest: ImageDigest | None = None
    image_tag: ImageTag | None = None

    @model_validator(mode="after")
    def _one_is_given(self) -> Self:
        if (self.image_digest is None) == (self.image_tag is None):
            raise ValueError("give image_digest or image_tag")
        return self


class ImageFacts(State):
    """An image, described."""

    repository_name: str
    repository_uri: str
    image_digest: str
    image_tags: list[str]
    pushed_at: str
    last_pulled_at: str
    """Empty: not since ECR records it."""
    size_bytes: int
    media_type: str
    scan_status: str
    scan_findings: dict[str, int]
    """Severity to count; empty where the image was not scanned."""
    tags_are_mutable: bool
    """Whether a tag may name another image tomorrow: then only the digest is evidence."""
    policy: Document | None
    """Of the repository."""


@action(
    "aws.ecr.describe-image",
    title="Describe an image of a repository",
    phase=Phase.ANALYSIS,
    risk=Risk.NONE,
    permissions=(*LOOK_AT_REPOSITORY, Permission("ecr:DescribeImages", REPOSITORY)),
    undo=UndoPolicy.NEVER,
    undo_note="Only reads, so that there is nothing to undo.",
    timeout_s=60.0,
    sources=(
        f"{API_REFERENCE}/API_DescribeImages.html",
        f"{USER_GUIDE}/image-tag-mutability.html",
    ),
)
class DescribeImage(Action[DescribeImageParams, ImageFacts]):
    """Read image, repository and policy."""

    Params = DescribeImageParams
    Outputs = ImageFacts
    StateModel = ImageFacts

    def look(self, ctx: LookContext, params: DescribeImageParams) -> ImageFacts:
        """Read."""
        name = params.repository_name
        repository = describe_repository(ctx.api, name)
        image = _image(ctx, params)
        pulled = image.get("lastRecordedPullTime")
        return ImageFacts(
            repository_name=name,
            repository_uri=repository["repositoryUri"],
            image_digest=image["imageDigest"],
            image_tags=sorted(image.get("imageTags") or ()),
            pushed_at=iso(image["imagePushedAt"]),
            last_pulled_at=iso(pulled) if pulled else "",
            size_bytes=image.get("imageSizeInBytes") or 0,
            media_type=image.get("artifactMediaType") or image.get("imageManifestMediaType") or "",
            scan_status=(image.get("imageScanStatus") or {}).get("status") or "",
            scan_findings=(image.get("imageScanFindingsSummary") or {}).get("findingSeverityCounts") or {},
            tags_are_mutable=not str(repository.get("imageTagMutability")).startswith("IMMUTABLE"),
            policy=repository_policy(ctx.api, name),
        )

    def decide(self, params: DescribeImageParams, state: ImageFacts) -> Decision:
        """Nothing to do."""
        return Settled(state)

    def targets(self, params: DescribeImageParams, where: Where) -> tuple[str, ...]:
        """Return the repository."""
        return (repository_arn(where, params.repository_name),)


def _image(ctx: LookContext, params: DescribeImageParams) -> dict[str, Any]:
    asked = {"imageDigest": params.image_digest, "imageTag": params.image_tag}
    wanted = {name: value for name, value in asked.items() if value is not None}
    found = ctx.api.call("ecr:DescribeImages", repositoryName=params.repository_name, imageIds=[wanted])
    for image in found.get("imageDetails") or ():
        return dict(image)
    raise TargetNotFound(f"no image {', '.join(wanted.values())} in {params.repository_name}")
