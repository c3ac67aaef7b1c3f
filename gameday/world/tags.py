"""What EC2 refuses about tags and moto accepts: keys that are AWS's own.

Source: EC2 user guide, "Tag restrictions"; kubernetes-sigs/cluster-api-provider-aws #5120.
"""

from __future__ import annotations

from typing import Final

from gameday.world.refusals import Refusal
from gameday.world.services import Scene, StrictLayer

_TAGGING: Final = (
    "CreateTags", "DeleteTags", "CreateSecurityGroup", "CreateNetworkInterface", "CreateSnapshot",
    "CreateSnapshots", "CopySnapshot", "CreateVolume", "RunInstances",
)  # fmt: skip


def check_keys(scene: Scene) -> None:
    """Refuse reserved keys, in tags of their own and in those of what is being created."""
    specifications = scene.params.get("TagSpecifications") or []
    for holder in (scene.params, *specifications):
        for tag in holder.get("Tags") or []:
            key = tag.get("Key", "")
            if key.lower().startswith("aws:"):
                raise Refusal(
                    "InvalidParameterValue",
                    f"Value ( {key} ) for parameter key is invalid. "
                    "Tag keys starting with 'aws:' are reserved for internal use",
                )


LAYER: Final = StrictLayer(rules={f"ec2:{name}": (check_keys,) for name in _TAGGING})
