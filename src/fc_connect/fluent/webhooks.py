"""Whether a webhook came from Fluent: its signature over the exact bytes of the body.

Fluent signs with RSASSA-PKCS1-v1_5 (RFC 8017, 8.2) and sends the signature in base64: SHA-512 in `fluent-signature`,
and, for older receivers, MD5 in `flex.signature`. The legacy ones are forgeable in principle, and count only where the
receiver asks for them.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from fc_connect.errors import ConfigurationError, MissingExtraError, WebhookError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

__all__ = ["Legacy", "Webhook", "WebhookVerifier"]

Legacy = Literal["md5", "sha1"]
Algorithm = Literal["sha512", "md5", "sha1"]

_FLUENT: Final = ("fluent-signature", "x-fluent-signature", "fluent_signature")
_FLEX: Final = ("flex.signature", "flex-signature", "flex_signature")
_SMALLEST_KEY: Final = 2048
"""Bits: NIST SP 800-131A allows no smaller RSA key since 2014."""
_LONGEST_SIGNATURE: Final = 4096
"""Characters: a key of 16,384 bits makes 2,732."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """What was signed, read once the signature was found right."""

    payload: Any
    algorithm: Algorithm

    @property
    def event_id(self) -> str | None:
        """The id by which the same event is known again; None where it has none (a call of a workflow's own)."""
        found = self.payload.get("id") if isinstance(self.payload, dict) else None
        return str(found) if isinstance(found, str | int) and not isinstance(found, bool) else None


class WebhookVerifier:
    """Checks signatures with the keys it was given. Safe to share between threads.

    Args:
        keys: Fluent's public keys, PEM or bare base64 (X.509 SubjectPublicKeyInfo). While a key is exchanged, give
            both: any of them may have signed.
        legacy: older signatures that count too, where `fluent-signature` isn't there.

    Raises:
        ConfigurationError: no key, or one that can't be used.
        MissingExtraError: the library for it isn't installed.
    """

    def __init__(self, keys: Sequence[str | bytes], *, legacy: Collection[Legacy] = ()) -> None:
        if isinstance(keys, str | bytes):
            keys = [keys]
        if not keys:
            raise ConfigurationError(
                "Webhooks can't be verified without Fluent's public key: give at least one."
            )
        if unknown := sorted(set(legacy) - {"md5", "sha1"}):
            raise ConfigurationError(f"legacy knows md5 and sha1, not {', '.join(map(str, unknown))}.")
        self._legacy: tuple[Algorithm, ...] = tuple(legacy)
        self._keys = tuple(_public_key(key, number) for number, key in enumerate(keys, 1))

    def verify(self, body: bytes, headers: Mapping[str, str]) -> Webhook:
        """Return the webhook whose `body` came with `headers`, whatever the case of their names.

        `body` must be the bytes as they came: JSON that was read and written again has another signature.

        Raises:
            WebhookError: there is no signature, or it isn't right, or the body isn't JSON. Answer with 401, and do
                nothing with the body.
        """
        found = {str(name).lower(): value for name, value in headers.items()}
        told = next((found[name] for name in _FLUENT if name in found), None)
        if told is not None:
            # A wrong one is the end: were the older one asked then, who forges could choose.
            algorithm = self._check(body, told, ("sha512",))
            return Webhook(payload=_json(body), algorithm=algorithm)
        older = next((found[name] for name in _FLEX if name in found), None)
        if older is None:
            raise WebhookError("The webhook has no signature (fluent-signature). It is refused.")
        if not self._legacy:
            raise WebhookError(
                "The webhook has only an older signature (flex.signature), which doesn't count here: "
                "`legacy` can allow it."
            )
        algorithm = self._check(body, older, self._legacy)
        return Webhook(payload=_json(body), algorithm=algorithm)

    def _check(self, body: bytes, signature: str, algorithms: Sequence[Algorithm]) -> Algorithm:
        """Return which of the algorithms made the signature, with any of the keys."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import padding

        known: dict[str, type[hashes.SHA512 | hashes.MD5 | hashes.SHA1]] = {
            "sha512": hashes.SHA512,
            "md5": hashes.MD5,
            "sha1": hashes.SHA1,
        }
        raw = _decoded(signature)
        for algorithm in algorithms:
            for key in self._keys:
                try:
                    key.verify(raw, body, padding.PKCS1v15(), known[algorithm]())
                except InvalidSignature:
                    continue
                return algorithm
        raise WebhookError(
            "The webhook's signature isn't right: it is forged, was changed, or has another key."
        )


def _decoded(signature: str) -> bytes:
    try:
        if len(signature) > _LONGEST_SIGNATURE:
            raise ValueError("it is too long")
        return base64.b64decode(signature.strip(), validate=True)
    except (ValueError, binascii.Error) as exc:
        raise WebhookError("The webhook's signature isn't base64. It is refused.") from exc


def _public_key(key: str | bytes, number: int) -> RSAPublicKey:
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
        from cryptography.hazmat.primitives.serialization import load_der_public_key, load_pem_public_key
    except ModuleNotFoundError as exc:
        raise MissingExtraError("Webhooks need a library: pip install 'fc-connect[webhooks]'") from exc
    raw = key.encode("ascii", "replace") if isinstance(key, str) else key
    try:
        if b"PRIVATE KEY" in raw:
            raise ConfigurationError(
                f"Key {number} is a private one: only Fluent may hold it. Give the public key."
            )
        if b"-----BEGIN" in raw:
            loaded = load_pem_public_key(raw.strip())
        else:
            loaded = load_der_public_key(base64.b64decode(re.sub(rb"\s+", b"", raw), validate=True))
    except (ValueError, binascii.Error, UnsupportedAlgorithm) as exc:
        raise ConfigurationError(
            f"Key {number} isn't a public key: expected PEM, or base64 of an X.509 public key ({exc})."
        ) from exc
    if not isinstance(loaded, RSAPublicKey) or loaded.key_size < _SMALLEST_KEY:
        what = f"an RSA key of {loaded.key_size} bits" if isinstance(loaded, RSAPublicKey) else "no RSA key"
        raise ConfigurationError(
            f"Key {number} is {what}; Fluent signs with RSA, and {_SMALLEST_KEY} are the least."
        )
    return loaded


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as exc:
        raise WebhookError(f"The webhook is signed, but its body isn't JSON: {exc}.") from exc
