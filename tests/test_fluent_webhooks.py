"""Signatures of webhooks: made with real keys, and every way to be wrong."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from fc_connect.errors import ConfigurationError, WebhookError
from fc_connect.fluent import WebhookVerifier

BODY = '{"id": "e-1", "name": "OrderCréé", "retailerId": "1"}'.encode()
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER = rsa.generate_private_key(public_exponent=65537, key_size=2048)
FORMATS = serialization.PublicFormat


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey = KEY) -> str:
    return key.public_key().public_bytes(serialization.Encoding.PEM, FORMATS.SubjectPublicKeyInfo).decode()


def bare(key: rsa.RSAPrivateKey = KEY) -> str:
    der = key.public_key().public_bytes(serialization.Encoding.DER, FORMATS.SubjectPublicKeyInfo)
    return base64.b64encode(der).decode()


def signed(body: bytes = BODY, *, key: rsa.RSAPrivateKey = KEY, algorithm: Any = hashes.SHA512) -> str:
    return base64.b64encode(key.sign(body, padding.PKCS1v15(), algorithm())).decode()


@pytest.mark.parametrize("key", [pem(), bare(), f"\n {bare()[:64]}\r\n{bare()[64:]} \n", pem().encode()])
@pytest.mark.parametrize(
    "header", ["fluent-signature", "Fluent-Signature", "X-FLUENT-SIGNATURE", "fluent_signature"]
)
def test_a_webhook_that_fluent_signed_is_read(key: str | bytes, header: str) -> None:
    webhook = WebhookVerifier([key]).verify(BODY, {header: signed(), "Content-Type": "application/json"})

    assert (webhook.event_id, webhook.algorithm) == ("e-1", "sha512")
    assert webhook.payload["name"] == "OrderCréé"


def test_while_keys_are_exchanged_either_may_have_signed() -> None:
    verifier = WebhookVerifier([pem(OTHER), bare(KEY)])

    for key in (KEY, OTHER):
        assert verifier.verify(BODY, {"fluent-signature": signed(key=key)}).event_id == "e-1"


def test_an_old_key_counts_no_more_once_it_is_taken_away() -> None:
    # Keys of one size begin with the same characters: nothing may tell them apart by these.
    assert bare(KEY)[:20] == bare(OTHER)[:20]

    WebhookVerifier([bare(KEY)]).verify(BODY, {"fluent-signature": signed()})
    with pytest.raises(WebhookError):
        WebhookVerifier([bare(OTHER)]).verify(BODY, {"fluent-signature": signed()})


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (BODY, {}),
        (BODY, {"content-type": "application/json"}),
        (BODY, {"fluent-signature": ""}),
        (BODY, {"fluent-signature": "not base64!"}),
        (BODY, {"fluent-signature": "A" * 5000}),
        (BODY, {"fluent-signature": "é"}),
        (BODY, {"fluent-signature": base64.b64encode(b"x" * 256).decode()}),
        (BODY + b" ", {"fluent-signature": signed()}),
        (b"", {"fluent-signature": signed()}),
        (BODY, {"fluent-signature": signed(key=OTHER)}),
        (BODY, {"fluent-signature": signed(algorithm=hashes.SHA256)}),
        (BODY, {"fluent-signature": signed(algorithm=hashes.MD5)}),
        (BODY, {"flex.signature": signed(algorithm=hashes.MD5)}),
    ],
)
def test_whatever_is_not_signed_for_certain_is_refused(body: bytes, headers: dict[str, str]) -> None:
    with pytest.raises(WebhookError):
        WebhookVerifier([pem()]).verify(body, headers)


@pytest.mark.parametrize(("legacy", "algorithm"), [("md5", hashes.MD5), ("sha1", hashes.SHA1)])
def test_an_older_signature_counts_only_where_it_is_asked_for(legacy: Any, algorithm: Any) -> None:
    headers = {"Flex.Signature": signed(algorithm=algorithm)}

    webhook = WebhookVerifier([pem()], legacy=[legacy]).verify(BODY, headers)

    assert webhook.algorithm == legacy
    other = {"md5": "sha1", "sha1": "md5"}[legacy]
    with pytest.raises(WebhookError):
        WebhookVerifier([pem()], legacy=[other]).verify(BODY, headers)  # type: ignore[list-item]


def test_a_wrong_signature_is_not_saved_by_an_older_one() -> None:
    headers = {"fluent-signature": signed(key=OTHER), "flex.signature": signed(algorithm=hashes.MD5)}

    with pytest.raises(WebhookError, match="isn't right"):
        WebhookVerifier([pem()], legacy=["md5"]).verify(BODY, headers)


def test_a_signed_body_that_is_no_json_is_refused() -> None:
    with pytest.raises(WebhookError, match="isn't JSON"):
        WebhookVerifier([pem()]).verify(b"<x/>", {"fluent-signature": signed(b"<x/>")})


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ([], "at least one"),
        (["nonsense"], "Key 1 isn't a public key"),
        ([pem(), "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"], "Key 2 isn't a public key"),
        (
            [
                KEY.private_bytes(
                    serialization.Encoding.PEM,
                    serialization.PrivateFormat.PKCS8,
                    serialization.NoEncryption(),
                )
            ],
            "private one",
        ),
        ([pem(ec.generate_private_key(ec.SECP256R1()))], "no RSA key"),
        ([pem(rsa.generate_private_key(public_exponent=65537, key_size=1024))], "1024 bits"),
        (["é"], "isn't a public key"),
    ],
)
def test_a_key_that_can_not_be_used_is_told_before_the_first_webhook(keys: list[str], expected: str) -> None:
    with pytest.raises(ConfigurationError, match=expected):
        WebhookVerifier(keys)
