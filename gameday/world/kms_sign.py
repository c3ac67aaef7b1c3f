"""KMS signatures of digests, which moto would hash once more.

Source: KMS API reference, Sign: ``MessageType`` ``DIGEST`` signs a value that was hashed before, of the
length of the algorithm's hash; ``RAW`` takes at most 4,096 bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, utils

from gameday.world import keys
from gameday.world.refusals import Refusal
from gameday.world.services import Scene, StrictLayer

LARGEST_RAW_BYTES: Final = 4_096
HASHES: Final[Mapping[str, hashes.HashAlgorithm]] = {
    "SHA_256": hashes.SHA256(),
    "SHA_384": hashes.SHA384(),
    "SHA_512": hashes.SHA512(),
}


def sign(scene: Scene) -> Mapping[str, Any] | None:
    """Sign a digest as it is; a whole message is left to moto."""
    params = scene.params
    message, algorithm = bytes(params["Message"]), str(params["SigningAlgorithm"])
    if params.get("MessageType") != "DIGEST":
        if len(message) > LARGEST_RAW_BYTES:
            raise Refusal("ValidationException", f"Message longer than {LARGEST_RAW_BYTES} bytes")
        return None
    key = keys.resolve(scene.account, scene.region, params["KeyId"])
    if key is None or algorithm not in (key.signing_algorithms or ()):
        return None  # moto refuses it
    used = next(each for name, each in HASHES.items() if algorithm.endswith(name))
    if len(message) != used.digest_size:
        raise Refusal("ValidationException", f"Digest is invalid length for algorithm {algorithm}.")
    private = key.private_key.private_key
    if algorithm.startswith("ECDSA"):
        signature = private.sign(message, ec.ECDSA(utils.Prehashed(used)))
    elif "PSS" in algorithm:
        pss = padding.PSS(mgf=padding.MGF1(used), salt_length=used.digest_size)
        signature = private.sign(message, pss, utils.Prehashed(used))
    else:
        signature = private.sign(message, padding.PKCS1v15(), utils.Prehashed(used))
    return {"KeyId": key.arn, "Signature": signature, "SigningAlgorithm": algorithm}


LAYER: Final = StrictLayer(answers={"kms:Sign": sign})
