"""The sandbox's key pair, and the signatures that it puts on webhooks, as the platform does.

RSASSA-PKCS1-v1_5 (RFC 8017, 8.2) over the exact bytes of the body, in base64: SHA-512 in `fluent-signature`, MD5 in
`flex.signature` for older receivers.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from fc_connect.errors import ConfigurationError, MissingExtraError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

__all__ = ["SigningKey"]

_BITS = 2048


class SigningKey:
    """An RSA key pair. Safe to share between threads."""

    def __init__(self, key: RSAPrivateKey) -> None:
        self._key = key

    def __repr__(self) -> str:
        return "SigningKey(***)"

    @classmethod
    def new(cls) -> SigningKey:
        """Make a pair; takes about a tenth of a second.

        Raises:
            MissingExtraError: the library for it isn't installed.
        """
        try:
            from cryptography.hazmat.primitives.asymmetric import rsa
        except ModuleNotFoundError as exc:
            raise _missing() from exc
        return cls(rsa.generate_private_key(public_exponent=65537, key_size=_BITS))

    @classmethod
    def from_pem(cls, pem: str | bytes) -> SigningKey:
        """Read a private key without a password.

        Raises:
            ConfigurationError: it is none, or not one for RSA.
            MissingExtraError: the library for it isn't installed.
        """
        try:
            from cryptography.exceptions import UnsupportedAlgorithm
            from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
            from cryptography.hazmat.primitives.serialization import load_pem_private_key
        except ModuleNotFoundError as exc:
            raise _missing() from exc
        try:
            key = load_pem_private_key(pem.encode() if isinstance(pem, str) else pem, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            key = None
        if not isinstance(key, RSAPrivateKey):
            # Without the cause: it may repeat a piece of the key.
            raise ConfigurationError(
                "The key that webhooks are signed with must be an RSA private key in PEM, without a password. "
                "Make one with: openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048"
            ) from None
        return cls(key)

    def private_pem(self) -> str:
        """Return the private key in PEM (PKCS #8)."""
        from cryptography.hazmat.primitives import serialization

        return self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()

    def public_pem(self) -> str:
        """Return the public key in PEM."""
        from cryptography.hazmat.primitives import serialization

        return (
            self._key.public_key()
            .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
            .decode()
        )

    def public_base64(self) -> str:
        """Return the public key as bare base64 of X.509 SubjectPublicKeyInfo, as the platform shows its own."""
        from cryptography.hazmat.primitives import serialization

        der = self._key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return base64.b64encode(der).decode()

    def headers(self, body: bytes) -> dict[str, str]:
        """Return both signatures of `body`, by the names of their headers."""
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import padding

        sha512 = self._key.sign(body, padding.PKCS1v15(), hashes.SHA512())
        md5 = self._key.sign(body, padding.PKCS1v15(), hashes.MD5())  # noqa: S303 (what the platform sends)
        return {
            "fluent-signature": base64.b64encode(sha512).decode(),
            "flex.signature": base64.b64encode(md5).decode(),
        }


def _missing() -> MissingExtraError:
    return MissingExtraError("Signed webhooks need a library: pip install 'fc-connect[webhooks]'")
