"""What other clients get wrong about webhooks and API keys, each with a name: it isn't so here."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from fc_connect.clock import ManualClock
from fc_connect.errors import ConfigurationError, WebhookError
from fc_connect.fluent import WebhookVerifier
from fc_connect.kv import KVStore, open_kv
from fc_connect.sandbox.signing import SigningKey
from fc_connect.state import StateService
from fc_connect.webhook import APIKeys, Inbox, Receiver

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER = rsa.generate_private_key(public_exponent=65537, key_size=2048)
BODY = b'{"id": "e-1", "name": "OrderCreated", "retailerId": "1"}'


def der(key: rsa.RSAPrivateKey) -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return base64.b64encode(key.public_key().public_bytes(serialization.Encoding.DER, form)).decode()


def headers(body: bytes, key: rsa.RSAPrivateKey = KEY) -> dict[str, str]:
    return SigningKey(key).headers(body)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def kv(clock: ManualClock) -> Iterator[KVStore]:
    with open_kv("memory:", clock=clock) as opened:
        yield opened


def make_receiver(kv: KVStore, *, callers: frozenset[str] = frozenset({"fluent"})) -> tuple[Receiver, Inbox]:
    inbox = Inbox(StateService(kv, workflow_id="webhook:tests"), window=timedelta(days=7))
    receiver = Receiver(
        inbox,
        callers={"orders": callers},
        verifier=WebhookVerifier([der(KEY)]),
        keys=APIKeys(kv, workflow_id="webhook:tests"),
    )
    return receiver, inbox


def test_weakness_15_a_missing_signature_is_never_valid(kv: KVStore) -> None:
    receiver, inbox = make_receiver(kv)

    for given in ({}, {"fluent-signature": ""}, {"content-type": "application/json"}):
        assert receiver.receive("orders", given, BODY).status == 401

    assert list(inbox.waiting()) == []


def test_weakness_15_without_a_key_nothing_is_valid() -> None:
    with pytest.raises(ConfigurationError, match="at least one"):
        WebhookVerifier([])


def test_weakness_15_what_is_handed_on_is_what_was_signed(kv: KVStore) -> None:
    receiver, inbox = make_receiver(kv)
    odd = b'{ "id":"e-9", "qty": 10000000000000000000001, "x": "cr\\u00e9\xc3\xa9" }\n'

    assert receiver.receive("orders", headers(odd), odd).status == 202

    [event] = inbox.waiting()
    assert event.body == odd
    assert event.payload == json.loads(odd)


def test_weakness_15_a_replayed_webhook_is_not_handed_on_again(kv: KVStore, clock: ManualClock) -> None:
    receiver, inbox = make_receiver(kv)
    signed = headers(BODY)

    assert receiver.receive("orders", signed, BODY).status == 202
    clock.advance(timedelta(days=6))
    assert receiver.receive("orders", signed, BODY).status == 200

    assert len(list(inbox.waiting())) == 1


def test_weakness_16_keys_of_one_size_are_told_apart_and_an_old_one_can_be_taken_away() -> None:
    assert der(KEY)[:20] == der(OTHER)[:20]
    both, new = WebhookVerifier([der(KEY), der(OTHER)]), WebhookVerifier([der(OTHER)])

    assert both.verify(BODY, headers(BODY, KEY)).event_id == "e-1"
    assert new.verify(BODY, headers(BODY, OTHER)).event_id == "e-1"
    with pytest.raises(WebhookError):
        new.verify(BODY, headers(BODY, KEY))


def test_weakness_17_keys_in_pem_work() -> None:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    pem = KEY.public_key().public_bytes(serialization.Encoding.PEM, form).decode()

    for key in (pem, pem.replace("\n", "\r\n"), f"\n{pem}\n\n"):
        assert WebhookVerifier([key]).verify(BODY, headers(BODY)).algorithm == "sha512"


def test_weakness_17_the_older_signature_is_md5_and_counts_where_it_is_asked_for() -> None:
    older = {"flex.signature": headers(BODY)["flex.signature"]}

    assert WebhookVerifier([der(KEY)], legacy=["md5"]).verify(BODY, older).algorithm == "md5"
    with pytest.raises(WebhookError):
        WebhookVerifier([der(KEY)]).verify(BODY, older)
    sha1 = base64.b64encode(KEY.sign(BODY, padding.PKCS1v15(), hashes.SHA1())).decode()
    with pytest.raises(WebhookError):
        WebhookVerifier([der(KEY)], legacy=["md5"]).verify(BODY, {"flex.signature": sha1})


@pytest.mark.parametrize("name", ["Fluent-Signature", "FLUENT-SIGNATURE", "X-Fluent-Signature"])
def test_weakness_17_headers_count_in_any_case(kv: KVStore, name: str) -> None:
    receiver, _ = make_receiver(kv)

    assert receiver.receive("orders", {name: headers(BODY)["fluent-signature"]}, BODY).status == 202


def test_weakness_18_a_key_expires(kv: KVStore, clock: ManualClock) -> None:
    keys = APIKeys(kv, workflow_id="w")
    key, _ = keys.create("erp", scopes=["orders"], expires_in=timedelta(hours=1))

    assert keys.check(key, scope="orders").name == "erp"
    clock.advance(timedelta(hours=1))
    with pytest.raises(WebhookError, match="expired"):
        keys.check(key, scope="orders")


def test_weakness_18_an_expiry_without_its_zone_never_lets_a_key_count(kv: KVStore) -> None:
    keys = APIKeys(kv, workflow_id="w")
    key, record = keys.create("erp", scopes=["orders"])
    [entry] = kv.list(("w", "api-key"))
    kv.set(entry.key, {**entry.value, "expires_at": "2999-01-01T00:00:00"})

    with pytest.raises(WebhookError):
        keys.check(key, scope="orders")
    assert record.is_live(datetime(2026, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize("name", ["e", "e" * 64])
def test_weakness_18_names_of_any_length_make_keys_that_work(kv: KVStore, name: str) -> None:
    keys = APIKeys(kv, workflow_id="w")

    key, _ = keys.create(name, scopes=["*"])

    assert keys.check(key, scope="whatever").name == name


def test_weakness_18_the_store_holds_no_key_and_scopes_are_checked(kv: KVStore) -> None:
    keys = APIKeys(kv, workflow_id="w")
    key, record = keys.create("erp", scopes=["orders"])

    stored = json.dumps([entry.value for entry in kv.list(())])
    assert key not in stored
    assert key.rpartition("_")[2] not in stored
    assert key not in repr(record)
    with pytest.raises(WebhookError, match="isn't for the hook stock"):
        keys.check(key, scope="stock")


def test_weakness_18_a_key_is_compared_as_a_whole_and_can_be_revoked(kv: KVStore) -> None:
    keys = APIKeys(kv, workflow_id="w")
    key, record = keys.create("erp", scopes=["orders"])
    other, _ = keys.create("wms", scopes=["orders"])
    mixed = f"fcw_{record.key_id}_{other.rpartition('_')[2]}"

    for wrong in (mixed, key[:-1], key + "0", key.upper(), "", "fcw_", record.sha256, "é", "\ud800"):
        with pytest.raises(WebhookError, match="unknown"):
            keys.check(wrong, scope="orders")
    assert keys.revoke(record.key_id) is not None
    with pytest.raises(WebhookError, match="revoked"):
        keys.check(key, scope="orders")
    assert keys.check(other, scope="orders").name == "wms"
    assert keys.revoke("nobody") is None


def test_weakness_19_neither_keys_nor_bodies_nor_signatures_are_logged(
    kv: KVStore, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    receiver, _ = make_receiver(kv, callers=frozenset({"fluent", "api-key"}))
    key, _record = APIKeys(kv, workflow_id="webhook:tests").create("erp", scopes=["orders"])
    body = b'{"id": "x\\nfake line", "name": "n", "card": "canary-body"}'

    assert receiver.receive("orders", {"X-API-Key": key}, body).status == 202
    assert receiver.receive("orders", {"Authorization": f"Bearer {key}"}, body).status == 200
    assert receiver.receive("orders", {"X-API-Key": "fcw_canary"}, body).status == 401
    assert receiver.receive("orders", {"fluent-signature": "canary"}, body).status == 401

    assert "canary" not in caplog.text
    assert key not in caplog.text
    assert "\nfake line" not in caplog.text
