"""The screenshot of an instance's console, which moto does not take.

Source: EC2 API reference, GetConsoleScreenshot: JPEG, of a running instance.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Final

from gameday.world import seam
from gameday.world.refusals import Refusal
from gameday.world.services import Scene, StrictLayer

_JPEG: Final = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00%b\xff\xd9"


def get_console_screenshot(scene: Scene) -> Mapping[str, Any]:
    """Return a small picture, of its own for each instance."""
    instance_id = scene.params.get("InstanceId", "")
    instance = seam.instances(scene.account, scene.region).get(instance_id)
    if instance is None:
        raise Refusal("InvalidInstanceID.NotFound", f"The instance ID '{instance_id}' does not exist")
    if instance.state != "running":
        raise Refusal("IncorrectInstanceState", f"The instance {instance_id} is not running.")
    image = _JPEG % instance_id.encode()
    return {"InstanceId": instance_id, "ImageData": base64.b64encode(image).decode()}


LAYER: Final = StrictLayer(answers={"ec2:GetConsoleScreenshot": get_console_screenshot})
