from __future__ import annotations

import json
import logging
import pickle
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fc_connect.clock import ManualClock, SystemClock
from fc_connect.errors import (
    AuthenticationError,
    ConfigurationError,
    FluentAPIError,
    FluentOutcomeUnknownError,
    FluentUnavailableError,
)
from fc_connect.fluent import ClientOptions, Credentials, FluentClient
from fc_connect.observe import correlate
from tests.fluent_server import CREDENTIALS, PASSWORD, SECRET, FluentServer, Reply, client_of

ENTITY = {"locationRef": "L1", "skuRef": "S1", "qty": 1, "type": "LAST_ON_HAND"}


@pytest.fixture
def server() -> Iterator[FluentServer]:
    with FluentServer() as running:
        yield running


def test_a_job_and_a_batch_are_sent_as_documented(server: FluentServer) -> None:
    server.replies += [Reply(body={"id": 77}), Reply(body={"batchId": "b1", "jobId": 77})]

    with client_of(server, account="ACME") as client:
        job = client.create_job("inventory", meta={"preprocessing": "skip"})
        receipt = client.send_batch(job.id, entities=[ENTITY], source="WMS", event="InventoryChanged")

    assert (job.id, job.retailer_id, receipt.id, receipt.job_id, receipt.count) == ("77", "1", "b1", "77", 1)
    created, sent = server.calls()
    assert (created.method, created.path) == ("POST", "/api/v4.1/job")
    assert created.json() == {"name": "inventory", "retailerId": "1", "meta": {"preprocessing": "skip"}}
    assert sent.path == "/api/v4.1/job/77/batch"
    assert sent.json() == {
        "action": "UPSERT",
        "entityType": "INVENTORY",
        "source": "WMS",
        "event": "InventoryChanged",
        "entities": [ENTITY],
    }
    assert sent.headers["fluent.account"] == "ACME"
    assert sent.headers["content-type"] == "application/json"


def test_each_request_names_the_run_and_itself(server: FluentServer) -> None:
    server.replies += [Reply(body={"id": 1}), Reply(body={"id": 2})]

    with client_of(server) as client, correlate("run-17"):
        client.create_job("a")
        client.create_job("b")

    first, second = server.calls()
    assert first.headers["x-correlation-id"] == second.headers["x-correlation-id"] == "run-17"
    assert first.headers["x-request-id"] != second.headers["x-request-id"]
    assert first.headers["user-agent"].startswith("fc-connect/")


def test_a_body_that_is_encoded_already_goes_out_byte_for_byte(server: FluentServer) -> None:
    body = b'{"entities":[\n{"qty":1.10}]}'
    server.replies.append(Reply(body={"id": "b"}))

    with client_of(server) as client:
        client.send_batch_body("j", body, count=1)

    assert server.calls()[0].body == body


@pytest.mark.parametrize(
    "reply",
    [
        Reply(status=500, body={"errors": [{"code": "S1", "message": "boom"}]}),
        Reply(status=502, body=b"<html>bad gateway</html>"),
        Reply(status=503, headers={"Retry-After": "1"}),
        Reply(status=408),
        Reply(status=303, headers={"Location": "/elsewhere"}),
        Reply(mode="drop"),
        Reply(body={"id": "b"}, mode="cut"),
        Reply(body=b"<html>welcome</html>"),
        Reply(body=b""),
        Reply(body={"status": "CREATED"}),
        Reply(body=[{"id": "b"}]),
        Reply(status=204),
    ],
    ids=str,
)
def test_a_write_that_may_have_been_done_is_in_doubt_and_not_sent_again(
    server: FluentServer, reply: Reply
) -> None:
    server.replies += [reply, Reply(body={"id": "second"})]

    with client_of(server) as client, pytest.raises(FluentOutcomeUnknownError) as caught:
        client.send_batch("j", entities=[ENTITY])

    assert len(server.calls()) == 1
    assert caught.value.request_id == server.calls()[0].headers["x-request-id"]
    assert not caught.value.retryable


def test_a_write_without_an_answer_in_time_is_in_doubt(server: FluentServer) -> None:
    server.replies.append(Reply(mode="hang"))

    with (
        client_of(server, clock=SystemClock(), timeout=timedelta(seconds=0.3)) as client,
        pytest.raises(FluentOutcomeUnknownError, match=r"no whole answer within 0\.3 s"),
    ):
        client.send_batch("j", entities=[ENTITY])

    assert len(server.calls()) == 1


def test_an_answer_that_trickles_meets_the_deadline(server: FluentServer) -> None:
    server.replies.append(Reply(body=b'{"id":"b"', mode="dribble"))
    started = time.monotonic()

    with (
        client_of(server, clock=SystemClock(), timeout=timedelta(seconds=0.5)) as client,
        pytest.raises(FluentOutcomeUnknownError),
    ):
        client.send_batch("j", entities=[ENTITY])

    assert time.monotonic() - started < 5


def test_headers_that_trickle_meet_the_deadline() -> None:
    done = threading.Event()

    def trickle(listener: socket.socket) -> None:
        peer, _ = listener.accept()
        with peer:
            peer.recv(65536)
            peer.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            while not done.wait(0.05):
                try:
                    peer.sendall(b"a")
                except OSError:
                    return

    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        thread = threading.Thread(target=trickle, args=(listener,))
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        options = ClientOptions(timeout=timedelta(seconds=0.5), max_attempts=1)
        with FluentClient(base_url=url, auth=CREDENTIALS, options=options) as client:
            with pytest.raises(FluentUnavailableError, match=r"no whole answer within 0\.5 s"):
                client.get_job_status("1")
            done.set()
        thread.join()


def test_a_write_that_was_refused_for_now_is_sent_again_after_the_time_asked_for(
    server: FluentServer,
) -> None:
    server.replies += [Reply(status=429, headers={"Retry-After": "7"}), Reply(body={"id": "b"})]
    clock = ManualClock()
    before = clock.monotonic()

    with client_of(server, clock=clock) as client:
        receipt = client.send_batch("j", entities=[ENTITY])

    assert receipt.id == "b"
    assert 7 <= clock.monotonic() - before < 7.5
    first, second = server.calls()
    assert first.body == second.body


def test_a_retry_after_beyond_the_limit_is_told_and_not_waited_for(server: FluentServer) -> None:
    server.replies.append(Reply(status=429, headers={"Retry-After": "3600"}))
    clock = ManualClock()
    before = clock.monotonic()

    with client_of(server, clock=clock) as client, pytest.raises(FluentUnavailableError) as caught:
        client.send_batch("j", entities=[ENTITY])

    assert "2026-01-15T13:00:00+00:00" in str(caught.value)
    assert caught.value.status == 429
    assert clock.monotonic() == before


def test_attempts_end(server: FluentServer) -> None:
    server.replies += [Reply(status=429)] * 5

    with client_of(server, max_attempts=3) as client, pytest.raises(FluentUnavailableError) as caught:
        client.send_batch("j", entities=[ENTITY])

    assert len(server.calls()) == 3
    assert "after 3 attempts" in str(caught.value)
    assert caught.value.retryable


def test_a_write_that_could_not_connect_was_not_done() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as unused:
        port = unused.getsockname()[1]

    options: dict[str, Any] = {"clock": ManualClock(), "retailer_id": "1"}
    with (
        FluentClient(base_url=f"http://127.0.0.1:{port}", auth=CREDENTIALS, **options) as client,
        pytest.raises(FluentUnavailableError, match="after 4 attempts; nothing was done"),
    ):
        client.create_job("x")


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_read_is_sent_again(server: FluentServer, status: int) -> None:
    server.replies += [Reply(status=status), Reply(mode="drop"), Reply(body={"jobId": 5, "status": "OPEN"})]

    with client_of(server) as client:
        job = client.get_job_status("5")

    assert (job.id, job.status, job.batches) == ("5", "OPEN", None)
    assert len(server.calls()) == 3


def test_a_read_that_fails_for_good_keeps_status_code_and_body(server: FluentServer) -> None:
    body = {"errors": [{"code": "JOB_NOT_FOUND", "message": "There is no job 9"}]}
    server.replies.append(Reply(status=404, body=body, headers={"X-Request-ID": "theirs-1"}))

    with client_of(server) as client, pytest.raises(FluentAPIError) as caught:
        client.get_job_status("9")

    error = pickle.loads(pickle.dumps(caught.value))
    assert (error.status, error.code, error.request_id) == (404, "JOB_NOT_FOUND", "theirs-1")
    assert json.loads(error.body) == body
    assert "There is no job 9" in str(error)


@pytest.mark.parametrize("body", [b"<html>log in</html>", b"", {"status": "OPEN"}, {"id": "1"}, {"id": True}])
def test_a_read_whose_answer_is_of_no_use_is_an_error(server: FluentServer, body: Any) -> None:
    server.replies.append(Reply(body=body))

    with client_of(server) as client, pytest.raises(FluentAPIError) as caught:
        client.get_job_status("1")

    assert not isinstance(caught.value, FluentOutcomeUnknownError)
    assert caught.value.status == 200


def test_a_redirect_is_not_followed(server: FluentServer) -> None:
    server.replies.append(Reply(status=301, headers={"Location": "https://elsewhere.example/"}))

    with client_of(server) as client, pytest.raises(FluentAPIError, match="redirected"):
        client.get_job_status("1")


def test_a_403_is_a_matter_of_rights(server: FluentServer) -> None:
    server.replies.append(Reply(status=403))

    with client_of(server) as client, pytest.raises(AuthenticationError):
        client.create_job("x")


def test_stop_ends_a_wait_between_attempts(server: FluentServer) -> None:
    stop = threading.Event()
    server.replies.append(Reply(status=429, headers={"Retry-After": "59"}))
    timer = threading.Timer(0.2, stop.set)
    timer.start()
    started = time.monotonic()

    with (
        client_of(server, clock=SystemClock(), stop=stop) as client,
        pytest.raises(FluentUnavailableError, match="stopped"),
    ):
        client.create_job("x")

    timer.join()
    assert time.monotonic() - started < 20
    assert len(server.calls()) == 1


@pytest.mark.parametrize("count", [0, 5001])
def test_a_batch_of_the_wrong_size_is_not_sent(server: FluentServer, count: int) -> None:
    with client_of(server) as client, pytest.raises(ConfigurationError, match="Nothing was sent"):
        client.send_batch("j", entities=[ENTITY] * count)

    assert server.seen == []


@pytest.mark.parametrize("value", [Decimal("1.1"), float("nan"), object(), "\ud800"])
def test_a_value_that_json_cannot_hold_is_not_sent_as_another(server: FluentServer, value: Any) -> None:
    with client_of(server) as client, pytest.raises(ConfigurationError, match="Nothing was sent"):
        client.send_batch("j", entities=[{"qty": value}])

    assert server.seen == []


@pytest.mark.parametrize(
    "job_id", ["", ".", "..", "1/../../graphql", "1?x=1", "1#", "a b", "1%2f", "1\n", "ä"]
)
def test_an_id_cannot_lead_elsewhere(server: FluentServer, job_id: str) -> None:
    with client_of(server) as client:
        with pytest.raises(ConfigurationError, match="job_id"):
            client.get_job_status(job_id)
        with pytest.raises(ConfigurationError, match="batch_id"):
            client.get_batch_status("1", job_id)

    assert server.seen == []


def test_every_fault_of_the_settings_is_told_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        FluentClient(
            base_url="ftp://user:hidden@host/?q=1",
            auth=Credentials(client_id=" ", client_secret="", username="only"),
            retailer_id="",
            options=ClientOptions(timeout=timedelta(0), max_attempts=0, max_connections=0),
        )

    assert len(caught.value.problems) == 10
    assert "hidden" not in str(caught.value)


def test_plain_http_is_warned_of_unless_it_stays_inside(caplog: pytest.LogCaptureFixture) -> None:
    for address in (
        "http://localhost:1",
        "http://10.0.0.8",
        "http://sandbox:8080",
        "https://api.example.com",
    ):
        FluentClient(base_url=address, auth=CREDENTIALS).close()
    assert caplog.records == []

    FluentClient(base_url="http://api.example.com", auth=CREDENTIALS).close()

    assert "plain HTTP" in caplog.text


def test_secrets_show_nowhere_even_if_the_server_echoes_them(
    server: FluentServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    echo = {
        "errors": [{"code": SECRET, "message": f"bad {SECRET} access-1"}],
        "error_description": f"{PASSWORD} refresh-1",
        "client_secret": "of-another",
    }
    server.replies += [
        Reply(status=400, body=echo, headers={"X-Request-ID": "access-1"}),
        Reply(status=500, body=f"<pre>Bearer access-1 {PASSWORD} {SECRET}</pre>".encode()),
        Reply(body={"errors": [{"message": f"no {SECRET}", "path": ["access-1"]}]}),
    ]
    texts: list[str] = []

    with client_of(server) as client:
        calls = [
            lambda: client.create_job("x"),
            lambda: client.create_job("x"),
            lambda: client.graphql("{ me { ref } }"),
        ]
        for call in calls:
            with pytest.raises(FluentAPIError) as caught:
                call()
            texts += [str(caught.value), repr(caught.value), str(vars(caught.value)), repr(client)]

    told = "\n".join([*texts, caplog.text])
    for secret in (SECRET, PASSWORD, "access-1", "refresh-1", "of-another", json.dumps(SECRET)[1:-1]):
        assert secret not in told


def test_more_threads_than_connections_wait_their_turn(server: FluentServer) -> None:
    server.replies += [Reply(body={"id": n}) for n in range(24)]
    ids: set[str] = set()

    with client_of(server, max_connections=2) as client:
        threads = [threading.Thread(target=lambda: ids.add(client.create_job("x").id)) for _ in range(24)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert ids == {str(n) for n in range(24)}
    assert server.tokens == 1


def test_what_needs_no_network_loads_no_http_library() -> None:
    names = "from fc_connect.fluent import Job; from fc_connect.targets import BatchTarget"
    code = f"import sys; {names}; print(*sys.modules)"

    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert not {"httpx", "httpcore"} & set(loaded.stdout.split())


def test_a_server_without_tls_gets_no_credentials_and_nothing_was_done(server: FluentServer) -> None:
    url = server.url.replace("http://", "https://")

    with (
        FluentClient(base_url=url, auth=CREDENTIALS, retailer_id="1", clock=ManualClock()) as client,
        pytest.raises(FluentUnavailableError, match="nothing was done"),
    ):
        client.create_job("x")

    assert server.seen == []


def test_the_proxy_of_the_environment_is_used(server: FluentServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", server.url.replace("//", "//user:proxypass@"))
    server.replies.append(Reply(status=502, body=b"proxypass"))

    with (
        FluentClient(base_url="http://fluent.internal/base", auth=CREDENTIALS, retailer_id="1") as client,
        pytest.raises(FluentOutcomeUnknownError) as caught,
    ):
        client.create_job("x")

    assert [s.path for s in server.seen] == [
        "http://fluent.internal/base/oauth/token",
        "http://fluent.internal/base/api/v4.1/job",
    ]
    assert "proxypass" not in f"{caught.value} {vars(caught.value)}"


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1", "http://user:hidden@proxy:port"])
def test_a_proxy_that_cannot_be_used_is_told_at_once(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", proxy)

    with pytest.raises(ConfigurationError) as caught:
        FluentClient(base_url="https://fluent.example", auth=CREDENTIALS)

    assert "hidden" not in str(caught.value)


def test_authorities_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "text.pem").write_text("not a certificate")

    for name in ("absent.pem", "text.pem"):
        with pytest.raises(ConfigurationError, match=name):
            FluentClient(
                base_url="https://fluent.example",
                auth=CREDENTIALS,
                options=ClientOptions(verify=tmp_path / name),
            )


def test_a_closed_client_sends_nothing(server: FluentServer) -> None:
    with client_of(server) as client:
        client.close()
        with pytest.raises(FluentUnavailableError, match="closed; nothing was sent"):
            client.create_job("x")

    assert server.seen == []
