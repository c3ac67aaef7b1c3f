"""Signatures of custody: Ed25519 with a key of our own, or an asymmetric KMS key that never leaves AWS.

A signature proves that whoever holds the private key sealed exactly these bytes. It proves nothing about the
time, and nothing against the holder of the key; ``docs/explanation/custody.md`` says what follows from that.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from irrunner.errors import CustodyBroken, SettingsError

ED25519: Final = "ed25519"
ECDSA: Final = "ecdsa-p256-sha256"
RSA_PSS: Final = "rsa-pss-sha256"
KMS_ALGORITHM: Final[Mapping[str, str]] = {ECDSA: "ECDSA_SHA_256", RSA_PSS: "RSASSA_PSS_SHA_256"}
RSA_BITS: Final = range(2048, 8193)
LARGEST_PEM_BYTES: Final = 16_384

AnyPublicKey: TypeAlias = "ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey | rsa.RSAPublicKey"


class Signer(Protocol):
    """Signs bytes."""

    @property
    def public(self) -> PublicKey:
        """The key that verifies."""

    def sign(self, message: bytes) -> bytes:
        """Return the signature of a message."""


class KeyApi(Protocol):
    """The part of the AWS seam that reaches a KMS key."""

    def call(self, operation: str, /, **params: Any) -> Mapping[str, Any]:
        """Call one operation."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key that may sign custody."""

    key: AnyPublicKey

    @property
    def pem(self) -> str:
        """The key as PEM text."""
        return self.key.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ).decode()

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the DER form (SubjectPublicKeyInfo) as lower-case hex."""
        der = self.key.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return hashlib.sha256(der).hexdigest()

    @property
    def algorithm(self) -> str:
        """How it signs."""
        if isinstance(self.key, ed25519.Ed25519PublicKey):
            return ED25519
        return ECDSA if isinstance(self.key, ec.EllipticCurvePublicKey) else RSA_PSS

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Return whether the signature is this key's, of this message."""
        try:
            if isinstance(self.key, ed25519.Ed25519PublicKey):
                self.key.verify(signature, message)
            elif isinstance(self.key, ec.EllipticCurvePublicKey):
                self.key.verify(signature, message, ec.ECDSA(hashes.SHA256()))
            else:
                self.key.verify(signature, message, _PSS, hashes.SHA256())
        except InvalidSignature:
            return False
        return True


_PSS: Final = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=padding.PSS.DIGEST_LENGTH)


def public_key(pem: str) -> PublicKey:
    """Return the public key of a PEM text.

    Raises:
        CustodyBroken: If it is none, or is of a kind that custody does not use.
    """
    try:
        key = serialization.load_pem_public_key(pem.encode()) if len(pem) <= LARGEST_PEM_BYTES else None
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not _is_usable(key):
        raise CustodyBroken("a public key is no Ed25519, ECDSA P-256 or RSA key", hint=BAD_KEY_HINT)
    return PublicKey(key)  # type: ignore[arg-type]


BAD_KEY_HINT: Final = "ask whoever exported it for the bundle again, and for the fingerprint by another way"


def _is_usable(key: object) -> bool:
    if isinstance(key, ec.EllipticCurvePublicKey):
        return isinstance(key.curve, ec.SECP256R1)
    if isinstance(key, rsa.RSAPublicKey):
        return key.key_size in RSA_BITS
    return isinstance(key, ed25519.Ed25519PublicKey)


class LocalSigner:
    """An Ed25519 key in this process."""

    def __init__(self, key: ed25519.Ed25519PrivateKey) -> None:
        self._key = key
        self.public = PublicKey(key.public_key())

    @classmethod
    def generate(cls) -> LocalSigner:
        """Return a new key."""
        return cls(ed25519.Ed25519PrivateKey.generate())

    @classmethod
    def from_pem(cls, pem: str, where: str) -> LocalSigner:
        """Return the key of a PEM text.

        Args:
            pem: PKCS 8, not encrypted.
            where: What an error may name: the reference, never the text.

        Raises:
            SettingsError: If it is no Ed25519 private key.
        """
        try:
            key = serialization.load_pem_private_key(pem.encode(), password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            key = None
        if not isinstance(key, ed25519.Ed25519PrivateKey):
            raise SettingsError(
                f"{where}: no Ed25519 private key in PEM", hint="openssl genpkey -algorithm ed25519"
            )
        return cls(key)

    def private_pem(self) -> bytes:
        """Return the private key, to be stored once."""
        return self._key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )

    def sign(self, message: bytes) -> bytes:
        """See :class:`Signer`."""
        return self._key.sign(message)


class KmsSigner:
    """An asymmetric KMS key: the private half never leaves KMS, and CloudTrail records each signature.

    Source: AWS KMS API reference, Sign and GetPublicKey.
    """

    def __init__(self, api: KeyApi, key_id: str) -> None:
        """Read the public key.

        Args:
            api: Session that may call ``kms:GetPublicKey`` and ``kms:Sign``.
            key_id: ARN, id or alias.

        Raises:
            SettingsError: If the key cannot sign.
            ActionError: If AWS refuses.
        """
        answer = api.call("kms:GetPublicKey", KeyId=key_id)
        key = serialization.load_der_public_key(answer["PublicKey"])
        if answer.get("KeyUsage") != "SIGN_VERIFY" or not _is_usable(key):
            raise SettingsError(
                f"forensics.signing_kms_key: {key_id} is no signing key of ECC_NIST_P256 or RSA",
                hint="aws kms create-key --key-usage SIGN_VERIFY --key-spec ECC_NIST_P256",
            )
        self._api = api
        self._key_id = str(answer["KeyId"])
        self.public = PublicKey(key)  # type: ignore[arg-type]

    def sign(self, message: bytes) -> bytes:
        """See :class:`Signer`; only the digest is sent.

        Raises:
            CustodyBroken: If what KMS answers is not a signature of the message.
            ActionError: If AWS refuses.
        """
        answer = self._api.call(
            "kms:Sign",
            KeyId=self._key_id,
            Message=hashlib.sha256(message).digest(),
            MessageType="DIGEST",
            SigningAlgorithm=KMS_ALGORITHM[self.public.algorithm],
        )
        signature = bytes(answer["Signature"])
        if not self.public.verifies(signature, message):
            raise CustodyBroken(f"{self._key_id}: KMS answered with a signature that does not verify")
        return signature
