from __future__ import annotations

import gzip
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from fc_connect.clock import ManualClock
from fc_connect.errors import AuthenticationError, ConfigurationError, FluentUnavailableError
from fc_connect.fluent import BearerToken, ClientOptions, Credentials, FluentClient, Hooks, RequestEvent
from fc_connect.fluent.pace import Rate, RetryBudget, Slots
from fc_connect.sandbox import Sandbox
from tests.fluent_server import FluentServer, Reply, client_of

SECOND = timedelta(seconds=1)
JOB = Reply(body={"id": "1", "status": "OPEN"})
ENVIRONMENT = {
    "FLUENT_BASE_URL": "https://fluent.example",
    "FLUENT_CLIENT_ID": "ACME",
    "FLUENT_CLIENT_SECRET": "s3cret-of-acme",
}


@pytest.fixture
def server() -> Iterator[FluentServer]:
    with FluentServer() as running:
        yield running


def test_a_push_back_halves_what_may_be_under_way_once_and_answers_raise_it_again() -> None:
    slots = Slots(8)
    tickets = [slots.acquire(timeout=SECOND) for _ in range(8)]
    for ticket in tickets[:4]:
        assert ticket is not None
        slots.release(ticket, is_answered=True, is_pushed_back=True)

    assert slots.limit == 4
    assert slots.acquire(timeout=timedelta(0)) is None

    for ticket in tickets[4:]:
        assert ticket is not None
        slots.release(ticket, is_answered=True, is_pushed_back=False)

    while slots.limit < 8:
        ticket = slots.acquire(timeout=SECOND)
        assert ticket is not None
        slots.release(ticket, is_answered=True, is_pushed_back=False)


def test_requests_leave_evenly_and_none_is_booked_beyond_its_time() -> None:
    rate = Rate(4, clock=ManualClock())

    turns = [rate.reserve(within=SECOND) for _ in range(6)]

    assert turns == [timedelta(seconds=n / 4) for n in range(5)] + [None]


def test_a_retry_budget_ends_and_comes_back_with_time_and_answers() -> None:
    clock = ManualClock()
    budget = RetryBudget(2, clock=clock)

    assert [budget.spend() for _ in range(3)] == [True, True, False]
    clock.advance(SECOND)
    assert [budget.spend() for _ in range(2)] == [True, False]
    for _ in range(5):
        budget.earn()
    assert [budget.spend() for _ in range(2)] == [True, False]


def test_the_rate_of_a_client_holds_for_its_logins_too(server: FluentServer) -> None:
    server.replies += [JOB] * 3
    clock = ManualClock()
    began = clock.monotonic()

    with client_of(server, clock=clock, requests_per_second=2) as client:
        for _ in range(3):
            client.get_job_status("1")

    assert clock.monotonic() - began == pytest.approx(1.5)


def test_without_a_retry_budget_nothing_is_sent_twice(server: FluentServer) -> None:
    server.replies += [Reply(status=503), JOB]

    with client_of(server, retry_budget=0) as client, pytest.raises(FluentUnavailableError):
        client.get_job_status("1")

    assert len(server.calls()) == 1


def test_waits_end_where_the_time_of_the_call_does(server: FluentServer) -> None:
    server.replies += [Reply(status=429, headers={"Retry-After": "30"}), JOB]

    with (
        client_of(server, total_timeout=20 * SECOND) as client,
        pytest.raises(FluentUnavailableError, match="after 1 attempt; nothing was done"),
    ):
        client.get_job_status("1")

    assert len(server.calls()) == 1


def test_bodies_are_packed_until_a_server_does_not_take_them(server: FluentServer) -> None:
    body = b'{"entities": [' + b" " * 2000 + b"]}"
    server.replies += [Reply(body={"id": "a"}), Reply(status=415), Reply(body={"id": "b"})]

    with client_of(server, compress=True) as client:
        client.send_batch_body("1", body, count=1)
        client.send_batch_body("1", body, count=1)

    packed, refused, plain = server.calls()
    assert packed.headers["content-encoding"] == refused.headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed.body) == plain.body == body
    assert "content-encoding" not in plain.headers


def test_the_sandbox_takes_no_packed_bodies_and_says_so() -> None:
    login = Credentials(client_id="c", client_secret="s")
    packed = ClientOptions(compress=True)
    with (
        Sandbox() as sandbox,
        FluentClient(base_url=sandbox.url, auth=login, retailer_id="1", options=packed) as client,
    ):
        client.create_job("j", meta={"note": "x" * 2000})

        assert len(sandbox.jobs()) == 1
        assert [r.status for r in sandbox.requests(path="/api/v4.1/job")] == [415, 200]


def test_a_named_proxy_goes_before_the_environments(
    server: FluentServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    server.replies.append(JOB)

    options: dict[str, Any] = {"auth": BearerToken("t"), "proxy": server.url}
    with client_of(server, **options) as client:
        client.get_job_status("1")

    assert server.seen[0].path == f"{server.url}/api/v4.1/job/1"


def test_hooks_see_each_request_once_and_add_the_headers_of_a_trace_alone(server: FluentServer) -> None:
    server.replies += [Reply(status=503), JOB]
    seen: list[Any] = []

    def on_request(event: RequestEvent) -> dict[str, str]:
        seen.append(event)
        return {"traceparent": "00-1-2-01", "authorization": "Basic x", "tracestate": "a\nb"}

    hooks = Hooks(on_request=on_request, on_response=seen.append, on_retry=seen.append)
    with client_of(server, hooks=hooks, auth=BearerToken("t")) as client:
        client.get_job_status("1")

    first, failed, again, second, done = seen
    assert (failed.request, again.request, done.request) == (first, first, second)
    assert (failed.status, done.status, first.attempt, second.attempt) == (503, 200, 1, 2)
    assert first.call_id == second.call_id
    assert {s.headers["x-request-id"] for s in server.seen} == {first.request_id, second.request_id}
    assert [s.headers["traceparent"] for s in server.seen] == ["00-1-2-01"] * 2
    assert [s.headers["authorization"] for s in server.seen] == ["Bearer t"] * 2
    assert not any("tracestate" in s.headers for s in server.seen)


def test_a_provider_of_ones_own_is_told_of_a_401_and_asked_again(server: FluentServer) -> None:
    class Vault:
        def __init__(self) -> None:
            self.tokens = ["old", "new"]

        def token(self) -> str:
            return self.tokens[0]

        def refused(self, token: str) -> None:
            self.tokens.remove(token)

    server.replies += [Reply(status=401), JOB]

    with client_of(server, auth=Vault()) as client:
        client.get_job_status("1")

    assert [s.headers["authorization"] for s in server.seen] == ["Bearer old", "Bearer new"]


def test_a_token_no_header_can_hold_is_not_sent(server: FluentServer) -> None:
    class Broken:
        def token(self) -> str:
            return "a\nb"

        def refused(self, token: str) -> None:
            """There is no other."""

    with (
        client_of(server, auth=Broken()) as client,
        pytest.raises(AuthenticationError, match="nothing was sent"),
    ):
        client.get_job_status("1")

    assert server.seen == []


def test_the_environment_names_an_account() -> None:
    more = {"FLUENT_RETAILER_ID": "7", "FLUENT_USERNAME": "u", "FLUENT_PASSWORD": "p"}

    with FluentClient.from_env(environ={**ENVIRONMENT, **more}) as client:
        assert (client.base_url, client.retailer_id) == ("https://fluent.example", "7")
        assert "s3cret" not in repr(client)


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({}, {"FLUENT_BASE_URL", "FLUENT_CLIENT_ID", "FLUENT_CLIENT_SECRET", "FLUENT_PROFILE"}),
        ({**ENVIRONMENT, "FLUENT_CLIENT_SECRET": " "}, {"FLUENT_CLIENT_SECRET"}),
        ({**ENVIRONMENT, "FLUENT_USERNAME": "u"}, {"FLUENT_PASSWORD"}),
        ({**ENVIRONMENT, "FLUENT_PROFILE": "P"}, set(ENVIRONMENT)),
    ],
)
def test_what_the_environment_lacks_is_told_at_once(environ: dict[str, str], named: set[str]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        FluentClient.from_env(environ=environ)

    assert all(name in str(caught.value) for name in named)
    assert len(caught.value.problems) == len(named)
    assert "s3cret" not in str(caught.value)


def test_a_certificate_that_cannot_be_read_is_named(tmp_path: Any) -> None:
    (tmp_path / "client.pem").write_text("none")
    login = Credentials(client_id="c", client_secret="s")
    with pytest.raises(ConfigurationError, match=r"client\.pem"):
        FluentClient(
            base_url="https://fluent.example",
            auth=login,
            options=ClientOptions(certificate=tmp_path / "client.pem", key_password="k"),
        )
