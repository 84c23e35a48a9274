"""Webhooks of the sandbox: signed as the platform's, tried again as its are, wrong on demand."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key, load_pem_public_key

from fc_connect.errors import ConfigurationError, WebhookError
from fc_connect.fluent import WebhookVerifier
from fc_connect.sandbox import Sandbox, WebhookFault, WebhookFaultKind

HTTP = httpx.Client(verify=False)  # nothing here is encrypted, and certificates take long to load
PAUSES = (timedelta(milliseconds=10), timedelta(milliseconds=20), timedelta(milliseconds=30))


@dataclass
class Receiver:
    """A server that keeps what it is sent, and answers with the next of `statuses`, else 200."""

    statuses: list[int] = field(default_factory=list)
    received: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            found.received.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(found.statuses.pop(0) if found.statuses else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    found.url = f"http://127.0.0.1:{server.server_address[1]}/hook"
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def sandbox(receiver: Receiver) -> Iterator[Sandbox]:
    with Sandbox(webhooks={"OrderCreated": receiver.url}, webhook_pauses=PAUSES) as running:
        yield running


def send_event(sandbox: Sandbox, name: str = "OrderCreated", **more: Any) -> str:
    event = {"name": name, "entityType": "ORDER", "entityRef": "O-1", "retailerId": "1", **more}
    form = {"grant_type": "client_credentials", "client_id": "tests", "client_secret": "tests-secret"}
    token = HTTP.post(f"{sandbox.url}/oauth/token", data=form).json()["access_token"]
    answer = HTTP.post(
        f"{sandbox.url}/api/v4.1/event/async", json=event, headers={"Authorization": f"Bearer {token}"}
    )
    return str(answer.json()["id"])


def test_an_event_is_posted_with_both_signatures_over_its_very_bytes(
    sandbox: Sandbox, receiver: Receiver
) -> None:
    event_id = send_event(sandbox, entityStatus="BOOKED", attributes={"note": "créé"})
    sandbox.wait_for_webhooks()

    [(headers, body)] = receiver.received
    key = load_der_public_key(base64.b64decode(sandbox.webhook_public_key))
    assert isinstance(key, RSAPublicKey)
    for name, algorithm in (("fluent-signature", hashes.SHA512()), ("flex.signature", hashes.MD5())):
        key.verify(base64.b64decode(headers[name]), body, padding.PKCS1v15(), algorithm)
    payload = json.loads(body)
    assert payload["id"] == event_id
    assert {"id", "name", "accountId", "retailerId", "entityId", "entityRef", "entityType"} <= set(payload)
    assert (payload["type"], payload["entityStatus"]) == ("NORMAL", "BOOKED")
    assert payload["attributes"] == {"note": "créé"}
    [attempt] = sandbox.webhooks()
    assert (attempt.status, attempt.attempt, attempt.event_id) == (200, 1, event_id)


def test_other_events_go_nowhere_unless_a_star_asks_for_them(sandbox: Sandbox, receiver: Receiver) -> None:
    send_event(sandbox, name="Other")
    sandbox.wait_for_webhooks()
    assert receiver.received == []

    sandbox.webhook_sender.add_url("*", receiver.url)
    send_event(sandbox, name="Other")
    send_event(sandbox)
    sandbox.wait_for_webhooks()

    assert len(receiver.received) == 2  # one each, although two settings name the URL


@pytest.mark.parametrize(("statuses", "attempts"), [([503, 500], 3), ([500] * 9, 4), ([404], 1), ([302], 1)])
def test_a_receiver_that_fails_is_tried_three_times_more(
    sandbox: Sandbox, receiver: Receiver, statuses: list[int], attempts: int
) -> None:
    receiver.statuses = list(statuses)

    send_event(sandbox)
    sandbox.wait_for_webhooks()

    assert [each.attempt for each in sandbox.webhooks()] == list(range(1, attempts + 1))
    assert len({each.delivery_id for each in sandbox.webhooks()}) == 1
    assert len({body for _, body in receiver.received}) == 1


def test_a_receiver_that_is_not_there_is_noted_with_the_reason(sandbox: Sandbox) -> None:
    sandbox.webhook_sender.add_url("Lost", "http://127.0.0.1:9/hook?key=canary")

    send_event(sandbox, name="Lost")
    sandbox.wait_for_webhooks()

    found = sandbox.webhooks()
    assert len(found) == 4
    assert found[0].status is None
    assert "Refused" in str(found[0].error)
    assert "canary" not in repr(found)


@pytest.mark.parametrize(
    "kind",
    [
        WebhookFaultKind.WRONG_SIGNATURE,
        WebhookFaultKind.OTHER_KEY,
        WebhookFaultKind.TAMPERED,
        WebhookFaultKind.UNSIGNED,
        WebhookFaultKind.LEGACY_ONLY,
    ],
)
def test_a_webhook_can_be_made_wrong_once(
    sandbox: Sandbox, receiver: Receiver, kind: WebhookFaultKind
) -> None:
    sandbox.inject_webhook_fault(WebhookFault(kind=kind))
    verifier = WebhookVerifier([sandbox.webhook_public_key])

    send_event(sandbox)
    sandbox.wait_for_webhooks()
    send_event(sandbox)
    sandbox.wait_for_webhooks()

    (wrong_headers, wrong), (headers, body) = receiver.received
    with pytest.raises(WebhookError):
        verifier.verify(wrong, wrong_headers)
    verifier.verify(body, headers)
    assert [each.fault for each in sandbox.webhooks()] == [kind.value, None]


def test_a_webhook_can_be_repeated_and_slow(sandbox: Sandbox, receiver: Receiver) -> None:
    sandbox.inject_webhook_fault(WebhookFault(kind=WebhookFaultKind.REPEATED, copies=2))
    sandbox.inject_webhook_fault(WebhookFault(kind=WebhookFaultKind.SLOW, delay=timedelta(milliseconds=5)))

    send_event(sandbox)
    sandbox.wait_for_webhooks()
    assert len(receiver.received) == 3
    send_event(sandbox)
    sandbox.wait_for_webhooks()

    assert sandbox.webhooks()[-1].fault == "slow"
    assert sandbox.webhooks()[-1].seconds >= 0.05
    assert len({body for _, body in receiver.received}) == 2


def test_the_key_is_kept_in_the_database_until_it_is_exchanged(tmp_path: Path) -> None:
    database = tmp_path / "sandbox.db"
    with Sandbox(database=database) as sandbox:
        first = sandbox.webhook_public_key
    with Sandbox(database=database) as sandbox:
        assert sandbox.webhook_public_key == first
        given = sandbox.webhook_sender.rotate_key()
        assert sandbox.webhook_public_key != first
        assert "PRIVATE" not in repr(given)
    with Sandbox(webhook_key=given.private_pem()) as sandbox:
        assert sandbox.webhook_public_key == given.public_base64()


def test_all_of_it_can_be_asked_over_http(sandbox: Sandbox, receiver: Receiver) -> None:
    with httpx.Client(base_url=f"{sandbox.url}/_sandbox/webhooks") as http:
        key = http.get("/key").json()
        assert key["base64"] == http.get("/key.b64").text == sandbox.webhook_public_key
        assert key["pem"] == http.get("/key.pem").text
        load_pem_public_key(key["pem"].encode())
        assert http.post("", json={"name": "Shipped", "url": receiver.url}).status_code == 201
        assert http.post("/faults", json={"kind": "repeated", "copies": 1}).status_code == 201
        sent = http.post("/deliver", json={"name": "Shipped", "body": {"id": "e-7", "free": "form"}})
        assert sent.status_code == 202
        sandbox.wait_for_webhooks()
        told = http.get("").json()
        assert [each["event_id"] for each in told["webhooks"]] == ["e-7", "e-7"]
        assert told["pending"] == 0
        assert http.post("/rotate-key").json()["base64"] != key["base64"]
        assert http.post("/deliver", json={"name": "Nowhere"}).status_code == 400
        assert http.post("", json={"name": "x", "url": "ftp://x"}).status_code == 400
        assert http.post("/faults", json={"kind": "unknown"}).status_code == 400
        http.delete("/faults")
        http.delete("")
        assert sandbox.webhook_sender.urls == {}


def test_stopping_breaks_what_waits_and_leaves_no_thread(receiver: Receiver) -> None:
    receiver.statuses = [500] * 4
    with Sandbox(webhooks={"*": receiver.url}, webhook_pauses=[timedelta(hours=1)]) as sandbox:
        send_event(sandbox)
        while not sandbox.webhooks():
            time.sleep(0.01)

    assert not [each for each in threading.enumerate() if each.name.startswith("sandbox-webhooks")]


def test_what_is_no_url_and_what_is_no_key_is_told_at_once() -> None:
    for url in ("nowhere", "ftp://x/", "http://user:canary@host/", "http://", "http://host/a b"):
        with pytest.raises(ConfigurationError) as told, Sandbox(webhooks={"*": url}):
            pass
        assert "canary" not in str(told.value)
    with pytest.raises(ConfigurationError, match="RSA private key"):
        Sandbox(webhook_key="canary")
