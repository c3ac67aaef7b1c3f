"""ECR repositories of the world: built, and shown in its state."""

from __future__ import annotations

import json
from typing import Any, Final

from gameday.world import seam
from gameday.world.content import Place

_MEDIA_TYPE: Final = "application/vnd.docker.distribution.manifest.v2+json"


def build_repository(
    place: Place, name: str, tag: str = "latest", policy: str | None = None
) -> dict[str, Any]:
    """Build a repository with one image."""
    tag = "latest"
    backend = seam.backend("ecr", place.account, place.region)
    repository = backend.create_repository(name, None, None, None, "MUTABLE", [])
    repository.policy = policy
    manifest = {
        "schemaVersion": 2,
        "mediaType": _MEDIA_TYPE,
        "config": {"mediaType": _MEDIA_TYPE, "size": 7, "digest": f"sha256:{name.encode().hex():0>64}"},
        "layers": [],
    }
    image = backend.put_image(name, json.dumps(manifest), tag, _MEDIA_TYPE)
    return {"repository_name": name, "image_tag": tag, "image_digest": image.image_digest}


def show_repositories(backend: Any) -> dict[str, Any]:
    """Show the repositories of a Region."""
    return {
        name: {
            "policy": json.loads(repository.policy) if repository.policy else None,
            "images": {image.image_digest: sorted(image.image_tags) for image in repository.images},
        }
        for name, repository in backend.repositories.items()
    }
