"""Secrets Manager's rotation, which takes a while and may never end; moto's needs a running function.

Source: Secrets Manager API reference, RotateSecret (staging labels); user guide, "Rotation by Lambda
function".
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from gameday.world import seam
from gameday.world.refusals import Refusal
from gameday.world.services import Scene, StrictLayer

WORK: Final = timedelta(seconds=8)


def build_secret(account: str, region: str, name: str, *, rotation: bool = True, stuck: bool = False) -> str:
    """Make a secret and return its ARN.

    Args:
        account: Account.
        region: Region.
        name: Its name.
        rotation: Whether a function rotates it.
        stuck: Whether that function fails half-way.
    """
    backend = seam.backend("secretsmanager", account, region)
    backend.create_secret(name, "initial-value", None, None, None, None, None, [], False)
    secret = backend.secrets[name]
    if rotation:
        secret.rotation_requested = secret.rotation_enabled = True
        secret.rotation_lambda_arn = f"arn:aws:lambda:{region}:{account}:function:rotate"
    secret.world_stuck = stuck
    return str(secret.arn)


def rotate(scene: Scene) -> Mapping[str, Any]:
    """Begin a rotation: the new version is pending until the function has done its work."""
    secret = _secret(scene)
    if secret.is_deleted():
        raise Refusal("InvalidRequestException", "The secret is marked for deletion.")
    if not secret.rotation_lambda_arn:
        raise Refusal("InvalidRequestException", "No Lambda rotation function ARN is associated.")
    token = scene.params["ClientRequestToken"]
    answer = {"ARN": secret.arn, "Name": secret.name, "VersionId": token}
    if token in secret.versions:
        return answer
    if any("AWSPENDING" in version["version_stages"] for version in secret.versions.values()):
        raise Refusal("InvalidRequestException", "A previous rotation isn't complete.")
    secret.versions[token] = {"version_id": token, "version_stages": ["AWSPENDING"], "createdate": 0}
    if not getattr(secret, "world_stuck", False):
        scene.realm.schedule.at(scene.realm.clock.now() + WORK, lambda: _finish(secret, token))
    return answer


def shown(backend: Any) -> Mapping[str, Any]:
    """Return the secrets with the labels of their versions; never a value.

    Those that RDS manages are shown without the ids of versions, which it chooses by chance.
    """
    return {
        secret.name: {
            label: "" if secret.name.startswith("rds!") else ident
            for ident, version in secret.versions.items()
            for label in sorted(version["version_stages"])
        }
        for secret in backend.secrets.values()
    }


def _finish(secret: Any, token: str) -> None:
    version = secret.versions[token]
    secret.reset_default_version(version | {"version_stages": ["AWSCURRENT"]}, token)


def _secret(scene: Scene) -> Any:
    store = seam.backend("secretsmanager", scene.account, scene.region).secrets
    name = scene.params["SecretId"]
    if name not in store:
        raise Refusal("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
    return store[name]


LAYER: Final = StrictLayer(answers={"secretsmanager:RotateSecret": rotate})
