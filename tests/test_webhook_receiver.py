"""The receiver over HTTP, its queue and its file: what is taken, what is refused, what is tried again."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from fc_connect.clock import ManualClock
from fc_connect.errors import ConfigurationError, KVUnavailableError, StateError
from fc_connect.kv import open_kv
from fc_connect.sandbox.signing import SigningKey
from fc_connect.state import ReplayGuard, StateService
from fc_connect.webhook import HandOver, Inbox, QueuedEvent, WebhookServer
from fc_connect.webhook import serve as serve_module
from fc_connect.webhook.config import parse_webhook_config
from fc_connect.webhook.hand_over import Retry
from fc_connect.webhook.inbox import MAX_BODY_BYTES

KEY = SigningKey.new()
HTTP = httpx.Client(verify=False)  # nothing here is encrypted, and certificates take long to load
HANDLER = """
import pathlib

def handle(event):
    with (pathlib.Path(__file__).parent / "done").open("a") as file:
        file.write(event.body.decode())
"""


def settings(**more: Any) -> dict[str, Any]:
    return {
        "webhook": "orders",
        "listen": {"port": 0},
        "fluent_keys": [KEY.public_base64()],
        "hooks": {"orders": {"handler": "shop.py:handle"}},
        "state": "sqlite:///queue.db",
        **more,
    }


@pytest.fixture
def server(tmp_path: Path) -> Iterator[WebhookServer]:
    (tmp_path / "shop.py").write_text(HANDLER)
    config = parse_webhook_config(settings(max_bytes=1000, body_timeout="300ms"), base_dir=tmp_path)
    with WebhookServer(config) as running:
        yield running


def post(server: WebhookServer, body: bytes, path: str = "/webhooks/orders") -> httpx.Response:
    return HTTP.post(f"{server.url}{path}", content=body, headers=KEY.headers(body))


def test_a_signed_call_is_acknowledged_and_handed_on(server: WebhookServer, tmp_path: Path) -> None:
    body = '{"id": "e-1", "name": "créé"}'.encode()

    assert post(server, body).status_code == 202
    deadline = time.monotonic() + 20
    done = tmp_path / "done"  # there before the handler has written to it
    while (not done.exists() or not done.read_bytes()) and time.monotonic() < deadline:
        time.sleep(0.02)

    assert done.read_bytes() == body
    assert post(server, body).json() == {"status": "duplicate"}
    assert HTTP.get(f"{server.url}/health").json()["status"] == "ok"


def test_what_is_no_call_of_a_hook_is_refused(server: WebhookServer) -> None:
    url = server.url

    assert HTTP.get(f"{url}/webhooks/orders").status_code == 405
    assert HTTP.post(f"{url}/health").status_code == 405
    for path in ("/", "/webhooks/", "/webhooks/other", "/webhooks/orders/", "/webhooks/../health", "/%00"):
        assert post(server, b"{}", path).status_code in {404, 405}
    assert HTTP.post(f"{url}/webhooks/orders", content=b"{}").status_code == 401


def test_a_body_that_is_too_large_is_refused_however_it_is_sent(server: WebhookServer) -> None:
    large = b"[" + b"1," * 600 + b"1]"

    assert post(server, large).status_code == 413
    chunked = HTTP.post(
        f"{server.url}/webhooks/orders", content=iter([large[:600], large[600:]]), headers=KEY.headers(large)
    )
    assert chunked.status_code == 413


def test_a_body_that_drips_in_is_given_up(server: WebhookServer) -> None:
    answer = raw(server, b"POST /webhooks/orders HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{")

    assert answer.startswith(b"HTTP/1.1 408")


def test_a_head_that_never_ends_is_hung_up_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve_module, "_HEAD_SECONDS", 0.2)
    (tmp_path / "shop.py").write_text(HANDLER)
    with WebhookServer(parse_webhook_config(settings(), base_dir=tmp_path)) as server:
        assert raw(server, b"POST /webhooks/orders HTTP/1.1\r\nHo") == b""


def raw(server: WebhookServer, sent: bytes) -> bytes:
    host, _, port = server.url.removeprefix("http://").rpartition(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(sent)
        pieces = []
        while piece := connection.recv(65_536):
            pieces.append(piece)
        return b"".join(pieces)


# The queue


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def inbox(clock: ManualClock) -> Iterator[Inbox]:
    with open_kv("memory:", clock=clock) as kv:
        yield Inbox(StateService(kv, workflow_id="webhook:t", clock=clock), window=timedelta(days=7))


def accept(inbox: Inbox, event_id: str | None, body: bytes = b"{}") -> QueuedEvent | None:
    return inbox.accept(hook="orders", sender="fluent", body=body, event_id=event_id)


def test_of_many_that_bring_one_event_at_once_one_is_taken(tmp_path: Path) -> None:
    with open_kv(f"sqlite:///{tmp_path}/queue.db") as kv:
        found = Inbox(StateService(kv, workflow_id="webhook:t"), window=timedelta(days=7))
        with ThreadPoolExecutor(8) as pool:
            taken = [each for each in pool.map(lambda _: accept(found, "e-1"), range(32)) if each is not None]

        assert len(taken) == len(list(found.waiting())) == 1


def test_a_note_and_what_it_is_about_are_one_commit(inbox: Inbox) -> None:
    kv = inbox.state.kv
    guard = ReplayGuard(kv, workflow_id="mine", window=timedelta(hours=1))
    spoilt = kv.atomic().check(("other",), "no such version").set(("work",), 1)

    assert not guard.admit("a", "1", write=spoilt)
    assert guard.note("a", "1") is None  # so it isn't "seen" without having been taken
    assert guard.admit("a", "1", note="x", write=kv.atomic().set(("work",), 2))
    assert not guard.admit("a", "1")
    assert guard.admit("a1")


def test_an_event_counts_as_new_again_once_the_window_is_over(inbox: Inbox, clock: ManualClock) -> None:
    assert accept(inbox, "e-1") is not None
    assert accept(inbox, "e-1") is None
    clock.advance(timedelta(days=7, seconds=1))
    assert accept(inbox, "e-1") is not None


def test_another_hook_or_sender_with_the_same_id_is_another_event(inbox: Inbox) -> None:
    assert accept(inbox, "e-1") is not None
    assert inbox.accept(hook="orders", sender="key:erp", body=b"{}", event_id="e-1") is not None
    assert inbox.accept(hook="stock", sender="fluent", body=b"{}", event_id="e-1") is not None


def test_a_body_without_an_id_is_known_by_itself(inbox: Inbox) -> None:
    assert accept(inbox, None, b'{"a": 1}') is not None
    assert accept(inbox, None, b'{"a": 1}') is None
    assert accept(inbox, None, b'{"a": 2}') is not None
    inbox.without_id = "accept"
    assert accept(inbox, None, b'{"a": 1}') is not None


def test_the_largest_body_that_can_not_be_packed_fits(inbox: Inbox) -> None:
    body = random.Random(1).randbytes(MAX_BODY_BYTES)

    event = accept(inbox, "e" * 100_000, body)

    assert event is not None
    [kept] = inbox.waiting()
    assert kept.body == body


def test_an_event_that_fails_rests_longer_each_time_and_is_given_up() -> None:
    retry = Retry(max_attempts=4, backoff=timedelta(seconds=2), max_backoff=timedelta(seconds=6))

    pauses = [retry.pause(failures, random.Random(1)) for failures in range(1, 5)]

    assert pauses[3] is None
    seconds = [each.total_seconds() for each in pauses[:3] if each is not None]
    assert [0.8 * top <= each <= top for each, top in zip(seconds, (2, 4, 6), strict=True)] == [True] * 3


def run_until(hand_over: HandOver, is_done: Any) -> None:
    hand_over.start()
    deadline = time.monotonic() + 20
    while not is_done() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert hand_over.stop(timedelta(seconds=10))
    assert is_done()


@pytest.fixture
def real_inbox(tmp_path: Path) -> Iterator[Inbox]:
    with open_kv(f"sqlite:///{tmp_path}/queue.db") as kv:
        yield Inbox(StateService(kv, workflow_id="webhook:t"), window=timedelta(days=7))


def test_events_are_handed_on_in_the_order_accepted_and_a_failing_one_lets_others_pass(
    real_inbox: Inbox,
) -> None:
    for number in range(6):
        accept(real_inbox, f"e-{number}")
    seen: list[str] = []

    def handle(event: QueuedEvent) -> None:
        seen.append(str(event.event_id))
        if event.event_id == "e-2" and event.attempts == 0:
            raise ValueError("not yet")

    retry = Retry(backoff=timedelta(milliseconds=10))
    run_until(HandOver(real_inbox, {"orders": handle}, retry=retry), lambda: real_inbox.counts() == (0, 0))

    assert [each for each in seen if each != "e-2"] == ["e-0", "e-1", "e-3", "e-4", "e-5"]
    assert seen.count("e-2") == 2


def test_what_was_handled_is_noted_although_the_store_fails_for_a_while(
    real_inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept(real_inbox, "e-1")
    handled: list[str | None] = []
    real, failures = real_inbox.done, iter([True, True])

    def failing(*given: Any) -> None:
        if next(failures, False):
            raise KVUnavailableError("the store is away")
        real(*given)

    monkeypatch.setattr(real_inbox, "done", failing)

    run_until(
        HandOver(real_inbox, {"orders": lambda event: handled.append(event.event_id)}),
        lambda: real_inbox.counts() == (0, 0),
    )

    assert handled == ["e-1"]


def test_two_processes_on_one_queue_hand_on_each_event_once(real_inbox: Inbox) -> None:
    for number in range(20):
        accept(real_inbox, f"e-{number}")
    seen: list[str | None] = []
    mutex = threading.Lock()

    def handle(event: QueuedEvent) -> None:
        with mutex:
            seen.append(event.event_id)

    pair = [HandOver(real_inbox, {"orders": handle}, concurrency=4) for _ in range(2)]
    pair[0].start()
    run_until(pair[1], lambda: real_inbox.counts() == (0, 0))
    assert pair[0].stop(timedelta(seconds=10))

    assert sorted(map(str, seen)) == sorted(f"e-{number}" for number in range(20))


def test_a_hook_that_is_gone_leaves_its_events_to_a_person(real_inbox: Inbox) -> None:
    event = accept(real_inbox, "e-1")
    assert event is not None

    run_until(HandOver(real_inbox, {}, retry=Retry(max_attempts=1)), lambda: real_inbox.counts() == (0, 1))

    [dead] = real_inbox.dead()
    assert "no hook is called 'orders'" in str(dead.error)
    assert real_inbox.replay(event.item_id).dead_at is None
    assert real_inbox.counts() == (1, 0)
    real_inbox.drop(event.item_id)
    assert real_inbox.counts() == (0, 0)
    with pytest.raises(StateError, match="has no event"):
        real_inbox.replay(event.item_id)


# The file


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"fluent_keys": []}, "fluent_keys: is required where a hook accepts Fluent"),
        ({"hooks": {}}, "hooks: expected at least one"),
        ({"hooks": {"a": {}}}, "give one of handler and pipeline"),
        ({"hooks": {"a": {"handler": "m:f", "pipeline": "p.yaml"}}}, "give one of handler and pipeline"),
        ({"hooks": {"a": {"handler": "m:f", "accepts": []}}}, "accepts"),
        ({"hooks": {"a/b": {"handler": "m:f"}}}, "hooks"),
        ({"max_bytes": 10_000_000}, "at most 716,800"),
        ({"window": "1s"}, "at least 3600s"),
        ({"webhok": "x"}, "did you mean 'webhook'"),
    ],
)
def test_a_file_that_can_not_be_used_says_why(change: dict[str, Any], expected: str) -> None:
    with pytest.raises(ConfigurationError) as told:
        parse_webhook_config(settings(**change))

    assert expected in str(told.value)


def test_keys_come_from_the_environment_and_are_never_shown(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("canary-file")
    environ = {"KEY": "canary-environment"}
    given = settings(fluent_keys=["${KEY}", "file:key"])

    config = parse_webhook_config(given, base_dir=tmp_path, environ=environ)

    assert [each.get_secret_value() for each in config.fluent_keys] == ["canary-environment", "canary-file"]
    assert "canary" not in repr(config)
    with pytest.raises(ConfigurationError) as told, WebhookServer(config):
        pass
    assert "canary" not in str(told.value)


@pytest.mark.parametrize(
    ("handler", "expected"),
    [
        ("shop.py:nothing", "can't be loaded"),
        ("shop.py:VALUE", "isn't a function"),
        ("lost.py:handle", "there is no file"),
        ("nomodulecalledso:handle", "can't be loaded"),
        ("shop.py", "module:function"),
    ],
)
def test_a_handler_that_is_not_there_is_told_before_anything_is_taken(
    tmp_path: Path, handler: str, expected: str
) -> None:
    (tmp_path / "shop.py").write_text("VALUE = 1\n")
    config = parse_webhook_config(settings(hooks={"orders": {"handler": handler}}), base_dir=tmp_path)

    with pytest.raises(ConfigurationError, match=expected), WebhookServer(config):
        pass
