from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl

import pytest

from fc_connect.clock import ManualClock
from fc_connect.errors import AuthenticationError, FluentAPIError, FluentUnavailableError
from fc_connect.fluent import Credentials
from fc_connect.fluent.auth import Grant, TokenSource, read_grant
from tests.fluent_server import CREDENTIALS, PASSWORD, SECRET, FluentServer, Reply, client_of

JOB = Reply(body={"id": "1", "status": "OPEN"})


@pytest.fixture
def server() -> Iterator[FluentServer]:
    with FluentServer() as running:
        yield running


def forms(server: FluentServer) -> list[list[tuple[str, str]]]:
    return [parse_qsl(seen.body.decode()) for seen in server.calls("/oauth")]


def grants(server: FluentServer) -> list[str]:
    return [dict(form)["grant_type"] for form in forms(server)]


def test_a_user_logs_in_with_the_password_grant(server: FluentServer) -> None:
    server.replies.append(JOB)

    with client_of(server) as client:
        client.get_job_status("1")

    assert forms(server) == [
        [
            ("grant_type", "password"),
            ("client_id", "ACME"),
            ("client_secret", SECRET),
            ("username", "robot"),
            ("password", PASSWORD),
            ("scope", "api"),
        ]
    ]
    assert server.calls("/oauth")[0].headers["content-type"] == "application/x-www-form-urlencoded"
    assert "authorization" not in server.calls("/oauth")[0].headers
    assert server.calls()[0].headers["authorization"] == "Bearer access-1"


def test_without_a_user_the_client_logs_in_for_itself(server: FluentServer) -> None:
    server.replies.append(JOB)

    with client_of(server, auth=Credentials(client_id="c", client_secret="secret")) as client:
        client.get_job_status("1")

    assert grants(server) == ["client_credentials"]


def test_a_token_is_kept_until_a_minute_before_it_expires(server: FluentServer) -> None:
    clock = ManualClock()
    server.replies += [JOB] * 3

    with client_of(server, clock=clock) as client:
        client.get_job_status("1")
        clock.advance(timedelta(seconds=3539))
        client.get_job_status("1")
        clock.advance(timedelta(seconds=2))
        client.get_job_status("1")

    assert grants(server) == ["password", "refresh_token"]
    assert dict(forms(server)[1])["refresh_token"] == "refresh-1"


def test_a_refused_refresh_falls_back_to_a_full_login(server: FluentServer) -> None:
    clock = ManualClock()
    server.replies += [JOB] * 2

    with client_of(server, clock=clock) as client:
        client.get_job_status("1")
        clock.advance(timedelta(hours=2))
        server.token_replies.append(Reply(status=400, body={"error": "invalid_grant"}))
        client.get_job_status("1")

    assert grants(server) == ["password", "refresh_token", "password"]
    assert server.calls()[1].headers["authorization"] == "Bearer access-2"


def test_a_token_that_lives_shorter_than_the_buffer_is_still_used_twice(server: FluentServer) -> None:
    server.token_replies.append(Reply(body={"access_token": "brief", "expires_in": 30}))
    server.replies += [JOB] * 2

    with client_of(server) as client:
        client.get_job_status("1")
        client.get_job_status("1")

    assert len(grants(server)) == 1


def test_a_401_renews_the_token_and_the_call_goes_on(server: FluentServer) -> None:
    server.replies += [Reply(status=401), Reply(body={"id": "j"})]

    with client_of(server) as client:
        job = client.create_job("x")

    assert job.id == "j"
    assert grants(server) == ["password", "refresh_token"]
    assert [s.headers["authorization"] for s in server.calls()] == ["Bearer access-1", "Bearer access-2"]


def test_a_token_that_is_never_accepted_ends_in_an_error(server: FluentServer) -> None:
    server.replies += [Reply(status=401)] * 9

    with client_of(server) as client, pytest.raises(AuthenticationError) as caught:
        client.create_job("x")

    assert caught.value.status == 401
    assert len(server.calls()) == 3
    assert grants(server) == ["password", "refresh_token", "password"]


@pytest.mark.parametrize("status", [400, 401, 403])
def test_refused_credentials_are_told_once_and_not_tried_again(server: FluentServer, status: int) -> None:
    server.token_replies += [
        Reply(status=status, body={"error": "invalid_grant", "error_description": SECRET})
    ]

    with client_of(server) as client, pytest.raises(AuthenticationError) as caught:
        client.create_job("x")

    assert (caught.value.status, caught.value.code) == (status, "invalid_grant")
    assert SECRET not in f"{caught.value} {vars(caught.value)}"
    assert len(grants(server)) == 1
    assert server.calls() == []


@pytest.mark.parametrize("reply", [Reply(status=503), Reply(status=429), Reply(mode="drop")])
def test_a_token_endpoint_in_trouble_is_asked_again(server: FluentServer, reply: Reply) -> None:
    server.token_replies += [reply, reply]
    server.replies.append(Reply(body={"id": "j"}))

    with client_of(server) as client:
        client.create_job("x")

    assert len(grants(server)) == 3


def test_a_token_endpoint_that_stays_away_means_nothing_was_done(server: FluentServer) -> None:
    server.token_replies += [Reply(status=503)] * 4

    with client_of(server) as client, pytest.raises(FluentUnavailableError):
        client.create_job("x")

    assert server.calls() == []


@pytest.mark.parametrize(
    "body", [b"<html>log in</html>", b"", {}, {"access_token": ""}, {"access_token": "a\nb"}]
)
def test_a_login_without_a_token_says_so(server: FluentServer, body: Any) -> None:
    server.token_replies.append(Reply(body=body))

    with client_of(server) as client, pytest.raises(FluentAPIError, match="holds no access_token"):
        client.create_job("x")


class Endpoint:
    """A token endpoint that lets go when told to."""

    def __init__(self, outcome: Grant | BaseException) -> None:
        self.asked = 0
        self.entered = threading.Event()
        self.let_go = threading.Event()
        self.outcome = outcome

    def __call__(self, form: dict[str, str]) -> Grant:
        self.asked += 1
        self.entered.set()
        assert self.let_go.wait(10)
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome


GRANT = Grant(access_token="t1", refresh_token=None, lifetime=timedelta(hours=1))


def gather(source: TokenSource, threads: int, endpoint: Endpoint) -> list[Any]:
    found: list[Any] = []

    def ask() -> None:
        try:
            found.append(source.token())
        except FluentAPIError as exc:
            found.append(exc)

    running = [threading.Thread(target=ask) for _ in range(threads)]
    for thread in running:
        thread.start()
    assert endpoint.entered.wait(10)
    endpoint.let_go.set()
    for thread in running:
        thread.join()
    return found


def test_threads_share_one_renewal() -> None:
    endpoint = Endpoint(GRANT)
    source = TokenSource(CREDENTIALS, request=endpoint, clock=ManualClock())

    found = gather(source, 16, endpoint)

    assert found == ["t1"] * 16
    assert endpoint.asked == 1


def test_those_who_waited_share_the_error_as_copies() -> None:
    endpoint = Endpoint(AuthenticationError("no", status=401))
    source = TokenSource(CREDENTIALS, request=endpoint, clock=ManualClock())

    found = gather(source, 8, endpoint)

    assert {(type(e), e.status) for e in found} == {(AuthenticationError, 401)}
    assert len({id(e) for e in found}) == 8


def test_a_late_401_does_not_drop_a_token_that_is_newer() -> None:
    endpoint = Endpoint(GRANT)
    endpoint.let_go.set()
    source = TokenSource(CREDENTIALS, request=endpoint, clock=ManualClock())
    source.token()

    for _ in range(4):
        source.refused("an older one")
    source.token()

    assert endpoint.asked == 1


def test_an_interrupt_of_the_one_who_renews_leaves_the_way_open() -> None:
    endpoint = Endpoint(KeyboardInterrupt())
    endpoint.let_go.set()
    source = TokenSource(CREDENTIALS, request=endpoint, clock=ManualClock())
    with pytest.raises(KeyboardInterrupt):
        source.token()
    endpoint.outcome = GRANT

    token = source.token()

    assert token == "t1"


@pytest.mark.parametrize("seconds", [None, 0, -1, "soon", 1e400, [], True])
def test_a_lifetime_that_makes_no_sense_counts_as_an_hour_or_less(seconds: Any) -> None:
    grant = read_grant({"access_token": "t", "expires_in": seconds})

    assert grant is not None
    assert timedelta(0) < grant.lifetime <= timedelta(hours=1)


def test_secrets_are_masked_in_repr() -> None:
    shown = f"{CREDENTIALS!r} {GRANT!r} {TokenSource(CREDENTIALS, request=Endpoint(GRANT), clock=ManualClock())!r}"

    assert SECRET not in shown
    assert PASSWORD not in shown
    assert "t1" not in shown
    assert "ACME" in shown
