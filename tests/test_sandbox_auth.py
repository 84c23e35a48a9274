"""Logging in to the sandbox, and what a token is good for."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from fc_connect.errors import ConfigurationError
from fc_connect.sandbox import Credentials, Sandbox
from tests.sandbox_caller import JOBS, Caller, SteadyClock

ROBOT = Credentials(client_id="ACME", client_secret="secret", username="robot", password="pw")


@pytest.fixture
def clock() -> SteadyClock:
    return SteadyClock()


@pytest.fixture
def open_house(clock: SteadyClock) -> Iterator[Caller]:
    with Sandbox(clock=clock, token_lifetime=timedelta(minutes=10)) as sandbox, Caller(sandbox.url) as caller:
        yield caller


@pytest.fixture
def guarded() -> Iterator[Caller]:
    with Sandbox(credentials=ROBOT) as sandbox, Caller(sandbox.url) as caller:
        yield caller


def test_any_credentials_get_a_token_where_none_are_configured(open_house: Caller) -> None:
    reply = open_house.log_in(grant_type="password", username="anyone", password="anything", scope="api")

    assert reply.status == 200
    assert {name: reply.json()[name] for name in ("token_type", "expires_in", "scope")} == {
        "token_type": "bearer",
        "expires_in": 600,
        "scope": "api",
    }
    assert open_house.call("POST", "/graphql", {"query": "query { me { ref } }"}).status == 200


def test_the_token_request_may_stand_in_the_query_string(open_house: Caller) -> None:
    reply = open_house.raw(
        "POST", "/oauth/token?grant_type=client_credentials&client_id=ACME&client_secret=secret&scope=api"
    )

    assert reply.status == 200
    assert reply.json()["access_token"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"client_id": "OTHER"},
        {"client_secret": "guess"},
        {"grant_type": "password", "username": "robot", "password": "guess"},
        {"grant_type": "password", "username": "other", "password": "pw"},
    ],
)
def test_wrong_credentials_are_refused(guarded: Caller, wrong: dict[str, str]) -> None:
    reply = guarded.log_in(**wrong)

    assert (reply.status, reply.code) == (401, "invalid_client")


def test_the_configured_credentials_get_a_token(guarded: Caller) -> None:
    assert guarded.log_in(grant_type="password", username="robot", password="pw").status == 200
    assert guarded.log_in().status == 200


@pytest.mark.parametrize(
    ("fields", "code"),
    [({"grant_type": "magic"}, "unsupported_grant_type"), ({"grant_type": "password"}, "invalid_request")],
)
def test_a_token_request_that_makes_no_sense_is_refused(
    open_house: Caller, fields: dict[str, str], code: str
) -> None:
    reply = open_house.log_in(**fields)

    assert (reply.status, reply.code) == (400, code)


def test_a_refresh_token_works_once(open_house: Caller) -> None:
    refresh = open_house.log_in().json()["refresh_token"]

    first = open_house.log_in(grant_type="refresh_token", refresh_token=refresh)
    second = open_house.log_in(grant_type="refresh_token", refresh_token=refresh)

    assert first.status == 200
    assert first.json()["refresh_token"] != refresh
    assert (second.status, second.code) == (401, "invalid_grant")


def test_a_refresh_token_of_another_client_is_refused_and_stays_good(open_house: Caller) -> None:
    refresh = open_house.log_in().json()["refresh_token"]

    stolen = open_house.log_in(grant_type="refresh_token", client_id="OTHER", refresh_token=refresh)
    own = open_house.log_in(grant_type="refresh_token", refresh_token=refresh)

    assert (stolen.status, own.status) == (401, 200)


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "MISSING_TOKEN"),
        ({"Authorization": "Bearer "}, "MISSING_TOKEN"),
        ({"Authorization": "Basic QQ=="}, "MISSING_TOKEN"),
        ({"Authorization": "Bearer made-up"}, "INVALID_TOKEN"),
    ],
)
@pytest.mark.parametrize("path", ["/graphql", JOBS, f"{JOBS}/1/batch", "/api/v4.1/event/async"])
def test_every_call_needs_a_token(open_house: Caller, path: str, headers: dict[str, str], code: str) -> None:
    reply = open_house.raw("POST", path, b"{}", headers)

    assert (reply.status, reply.code) == (401, code)
    assert reply.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_token_dies_at_the_end_of_its_life(open_house: Caller, clock: SteadyClock) -> None:
    open_house.log_in()
    clock.advance(timedelta(minutes=10) - timedelta(microseconds=1))
    alive = open_house.call("POST", JOBS, {"name": "n", "retailerId": 1})
    clock.advance(timedelta(microseconds=1))

    expired = open_house.call("POST", JOBS, {"name": "n", "retailerId": 1})

    assert alive.status == 200
    assert (expired.status, expired.code) == (401, "EXPIRED_TOKEN")


def test_revoked_tokens_are_refused() -> None:
    with Sandbox() as sandbox, Caller(sandbox.url) as caller:
        job = caller.new_job()
        sandbox.revoke_tokens()

        reply = caller.call("GET", f"{JOBS}/{job}")

    assert (reply.status, reply.code) == (401, "INVALID_TOKEN")


def test_secrets_stay_out_of_the_repr_of_credentials() -> None:
    credentials = Credentials(client_id="ACME", client_secret="s3cret", username="robot", password="pa55")

    assert "s3cret" not in repr(credentials)
    assert "pa55" not in repr(credentials)


def test_half_a_user_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="username and password"):
        Credentials(client_id="ACME", client_secret="s", username="robot")
