"""Weaknesses of other clients on the way to Fluent, and that they aren't ours: a name for each promise."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random
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
from fc_connect.fluent import BearerToken, ClientOptions, Credentials, FluentClient, load_profile
from fc_connect.sandbox import Sandbox
from tests.fluent_server import CREDENTIALS, PASSWORD, SECRET, FluentServer, Reply, client_of

ROOT = Path(__file__).parents[1]
JOB = Reply(body={"id": "1", "status": "OPEN"})
EVENT = {"name": "n", "entityType": "ORDER", "entityRef": "O"}
ENTITY = {"locationRef": "L", "skuRef": "S", "qty": 1, "type": "LAST_ON_HAND"}
WRITES: dict[str, Any] = {
    "job": lambda client: client.create_job("j"),
    "batch": lambda client: client.send_batch("1", entities=[ENTITY]),
    "event": lambda client: client.events.send(EVENT),
    "sync event": lambda client: client.events.send(EVENT, mode="sync"),
    "mutation": lambda client: client.graphql("mutation { a }"),
}


@pytest.fixture
def server() -> Iterator[FluentServer]:
    with FluentServer() as running:
        yield running


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("reply", [Reply(status=503), Reply(mode="drop")], ids=["503", "drop"])
def test_weakness_06_a_write_that_may_have_been_done_is_not_posted_again(
    server: FluentServer, write: str, reply: Reply
) -> None:
    server.replies += [reply, JOB]

    with client_of(server) as client, pytest.raises(FluentOutcomeUnknownError):
        WRITES[write](client)

    assert len(server.seen) == 2  # the login, and the write once


@pytest.mark.parametrize("body", [b"", b"<html>Sign in</html>"], ids=["empty", "html"])
def test_weakness_07_a_200_that_says_nothing_is_no_job_and_no_batch(
    server: FluentServer, body: bytes
) -> None:
    server.replies += [Reply(body=body)] * 3

    with client_of(server) as client:
        for write in ("job", "batch"):
            with pytest.raises(FluentOutcomeUnknownError):
                WRITES[write](client)
        with pytest.raises(FluentAPIError):
            client.get_job_status("1")


def test_weakness_08_a_server_that_hangs_meets_the_deadline_of_the_whole_call(server: FluentServer) -> None:
    server.replies += [Reply(mode="hang")] * 9
    clock = SystemClock()
    patience = {
        "timeout": timedelta(seconds=0.2),
        "total_timeout": timedelta(seconds=0.5),
        "backoff": timedelta(milliseconds=1),
    }
    began = clock.monotonic()

    with client_of(server, clock=clock, max_attempts=99, **patience) as client:
        with pytest.raises(FluentOutcomeUnknownError, match=r"no whole answer within 0\.2 s"):
            client.create_job("x")
        with pytest.raises(FluentUnavailableError):
            client.get_job_status("1")

    assert clock.monotonic() - began < 20


def test_weakness_09_a_429_is_tried_again_when_asked_with_jitter_and_fewer_at_once(
    server: FluentServer,
) -> None:
    server.replies += [Reply(status=429, headers={"Retry-After": "7"}), Reply(status=408), JOB]
    clock = ManualClock()
    began = clock.monotonic()

    with client_of(server, clock=clock, random=Random(1)) as client:
        client.get_job_status("1")

    assert 7 <= clock.monotonic() - began < 7 + 3


def test_weakness_10_a_token_that_stays_refused_ends_the_call_at_once(server: FluentServer) -> None:
    server.replies += [Reply(status=401)] * 9
    clock = ManualClock()
    began = clock.monotonic()

    with client_of(server, clock=clock) as client, pytest.raises(AuthenticationError):
        client.get_job_status("1")

    assert len(server.calls()) <= 3
    assert clock.monotonic() == began


def test_weakness_11_the_last_failure_keeps_status_code_request_id_and_body(server: FluentServer) -> None:
    body = {"errors": [{"code": "S0001E", "message": "on fire"}]}
    server.replies += [Reply(status=500, body=body, headers={"x-request-id": "rq-1"})] * 4

    with client_of(server) as client, pytest.raises(FluentUnavailableError) as caught:
        client.get_job_status("1")

    error = caught.value
    assert (error.status, error.code, error.request_id) == (500, "S0001E", "rq-1")
    assert "on fire" in error.body


def test_weakness_12_many_stale_calls_renew_the_token_once() -> None:
    with (
        Sandbox() as sandbox,
        FluentClient(base_url=sandbox.url, auth=CREDENTIALS, retailer_id="1") as client,
    ):
        job = client.create_job("j")
        logins = len(sandbox.requests(path="/oauth/token"))
        sandbox.revoke_tokens()
        gate = threading.Barrier(4)

        def ask(_: int) -> None:
            gate.wait()
            client.get_job_status(job.id)

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(ask, range(4)))
        answers = [r.status for r in sandbox.requests(path="/oauth/token")][logins:]

    assert answers.count(200) == 1


def test_weakness_12_a_token_from_elsewhere_that_is_refused_is_not_sent_again(server: FluentServer) -> None:
    server.replies += [Reply(status=401)] * 9

    with (
        client_of(server, auth=BearerToken("t0ken-from-elsewhere")) as client,
        pytest.raises(AuthenticationError) as caught,
    ):
        client.get_job_status("1")

    assert caught.value.status == 401
    assert len(server.seen) == 1


def test_weakness_13_a_refused_refresh_logs_in_and_an_odd_expiry_does_no_harm(server: FluentServer) -> None:
    server.token_replies += [
        Reply(body={"access_token": "a1", "refresh_token": "r1"}),  # no expires_in
        Reply(status=400, body={"error": "invalid_grant"}),
        Reply(body={"access_token": "a2", "expires_in": 20}),  # shorter than the buffer
    ]
    server.replies += [JOB, JOB, JOB]
    clock = ManualClock()

    with client_of(server, clock=clock) as client:
        client.get_job_status("1")
        clock.advance(timedelta(hours=1))
        client.get_job_status("1")
        client.get_job_status("1")

    assert [s.headers["authorization"] for s in server.calls()] == ["Bearer a1", "Bearer a2", "Bearer a2"]
    assert len(server.calls("/oauth")) == 3


def test_weakness_14_the_token_endpoint_is_asked_again_and_settings_are_shared_by_nobody(
    server: FluentServer,
) -> None:
    server.token_replies += [Reply(status=503), Reply(mode="drop")]
    server.replies += [JOB, JOB]
    options, login = ClientOptions(), replace(CREDENTIALS)

    with (
        client_of(server, auth=login, options=options) as one,
        client_of(server, auth=login, options=options) as two,
    ):
        one.get_job_status("1")
        two.get_job_status("1")

    assert (options, login) == (ClientOptions(), CREDENTIALS)
    assert len(server.calls("/oauth")) == 4  # three of the first, one of the second: tokens aren't shared


@pytest.mark.parametrize(
    "name", ["1/../../../graphql?x=1", "..", "a/b", "a%2fb", "a\\b", "a b", "", "ä", "a\n"]
)
def test_weakness_19_no_id_and_no_name_leads_elsewhere(
    server: FluentServer, tmp_path: Path, name: str
) -> None:
    (tmp_path / "profile.json").write_text("{}")
    folder = tmp_path / "home" / "P"
    folder.mkdir(parents=True)
    (folder / "profile.json").write_text('{"baseUrl": "b", "id": "i", "clientSecret": "s", "user": "u"}')

    with client_of(server) as client:
        for call in (client.get_job_status, client.get_job_results, client.events.get):
            with pytest.raises(ConfigurationError):
                call(name)
        with pytest.raises(ConfigurationError):
            client.get_batch_status("1", name)
        with pytest.raises(ConfigurationError):
            client.send_batch(name, entities=[ENTITY])
    for profile, retailer in ((name, None), ("P", name)):
        with pytest.raises(ConfigurationError):
            load_profile(profile, retailer=retailer, directory=folder.parent)

    assert server.seen == []


def test_weakness_19_secrets_are_in_no_log_even_if_the_server_says_them(
    server: FluentServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.replies += [Reply(status=500, body={"message": f"{SECRET} {PASSWORD} access-1"})] * 4

    with (
        caplog.at_level(logging.DEBUG),
        client_of(server) as client,
        pytest.raises(FluentUnavailableError) as caught,
    ):
        client.get_job_status("1")

    said = f"{caplog.text} {caught.value!r} {vars(caught.value)}"
    assert not [secret for secret in (SECRET, PASSWORD, "access-1") if secret in said]


def test_weakness_20_documentation_and_samples_hold_no_secret() -> None:
    # What follows a word for a secret, and looks made by a machine.
    secret = re.compile(r"(?i)(?:secret|password|token|api_?key)\W{1,4}([A-Za-z0-9+/_-]{20,})")
    files = [*ROOT.glob("docs/*.md"), *ROOT.glob("*.md"), *ROOT.glob("src/**/*.yaml")]

    found = [
        (file.name, match[1])
        for file in files
        for match in secret.finditer(file.read_text("utf-8"))
        if re.search(r"\d", match[1]) and re.search(r"[a-z]", match[1]) and re.search(r"[A-Z]", match[1])
    ]

    assert found == []


def test_weakness_19_plain_http_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    login = Credentials(client_id="c", client_secret="s")

    FluentClient(base_url="http://account.api.example.com", auth=login).close()

    assert "plain HTTP" in caplog.text
