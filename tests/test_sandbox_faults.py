"""Faults on demand: what the client sees, and whether the work was done."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fc_connect.errors import ConfigurationError
from fc_connect.sandbox import Fault, FaultKind, Sandbox
from tests.sandbox_caller import JOBS, Caller, record


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def caller(sandbox: Sandbox) -> Iterator[Caller]:
    with Caller(sandbox.url) as caller:
        yield caller


@pytest.mark.parametrize("status", [401, 429, 500, 502, 503, 599])
@pytest.mark.parametrize("after", [False, True])
def test_a_status_is_answered_before_or_after_the_work(
    caller: Caller, sandbox: Sandbox, status: int, after: bool
) -> None:
    job = caller.new_job()
    sandbox.inject(Fault(kind=FaultKind.STATUS, status=status, path="*/batch", after_accepting=after))

    struck = caller.send(job, record())
    spared = caller.send(job, record())

    assert (struck.status, spared.status) == (status, 200)
    assert struck.json()["errors"][0]["message"]
    assert sandbox.deliveries().total() == (2 if after else 1)
    logged = sandbox.requests(path=f"{JOBS}/{job}/batch")[0]
    assert (logged.status, logged.fault, logged.batch_id is not None) == (status, "status", after)


@pytest.mark.parametrize(
    ("wait", "header"),
    [
        (timedelta(seconds=2), "2"),
        (timedelta(milliseconds=1200), "2"),
        (datetime(2026, 11, 24, 9, 5, tzinfo=UTC), "Tue, 24 Nov 2026 09:05:00 GMT"),
        (None, None),
    ],
)
def test_too_many_requests_says_when_to_come_again(
    caller: Caller, sandbox: Sandbox, wait: Any, header: str | None
) -> None:
    job = caller.new_job()
    sandbox.inject(Fault(kind=FaultKind.STATUS, status=429, retry_after=wait))

    reply = caller.send(job, record())

    assert (reply.status, reply.code) == (429, "TOO_MANY_REQUESTS")
    assert reply.headers.get("Retry-After") == header
    assert sandbox.batches() == []


@pytest.mark.parametrize("after", [False, True])
def test_a_connection_drops_before_or_after_the_work(caller: Caller, sandbox: Sandbox, after: bool) -> None:
    job = caller.new_job()
    sandbox.inject(Fault(kind=FaultKind.DROP, path="*/batch", after_accepting=after))

    with pytest.raises(http.client.RemoteDisconnected):
        caller.send(job, record())

    logged = sandbox.requests(path=f"{JOBS}/{job}/batch")[0]
    assert (logged.status, logged.fault) == (None, "drop")
    assert sandbox.deliveries().total() == (1 if after else 0)


@pytest.mark.parametrize(("kind", "body"), [(FaultKind.NOT_JSON, b"<!doctype html>"), (FaultKind.EMPTY, b"")])
@pytest.mark.parametrize("after", [None, False])
def test_an_answer_of_200_that_says_nothing(
    caller: Caller, sandbox: Sandbox, kind: FaultKind, body: bytes, after: bool | None
) -> None:
    job = caller.new_job()
    sandbox.inject(Fault(kind=kind, path="*/batch", after_accepting=after))

    reply = caller.send(job, record())

    assert reply.status == 200
    assert reply.body[: len(b"<!doctype html>")] == body
    assert sandbox.deliveries().total() == (1 if after is None else 0)


def test_a_truncated_answer_breaks_off_after_the_work(caller: Caller, sandbox: Sandbox) -> None:
    job = caller.new_job()
    sandbox.inject(Fault(kind=FaultKind.TRUNCATED, path="*/batch"))

    with pytest.raises(http.client.IncompleteRead) as caught:
        caller.send(job, record())

    assert caught.value.partial
    assert sandbox.deliveries().total() == 1


def test_a_slow_body_dribbles_in(caller: Caller, sandbox: Sandbox) -> None:
    job = caller.new_job()
    sandbox.inject(
        Fault(kind=FaultKind.SLOW_BODY, path=f"{JOBS}/*", delay=timedelta(milliseconds=20), chunk_bytes=10)
    )
    started = time.monotonic()

    reply = caller.call("GET", f"{JOBS}/{job}")

    assert reply.json()["id"] == job
    assert time.monotonic() - started >= 0.02 * (len(reply.body) // 10)


@pytest.mark.parametrize("after", [False, True])
def test_latency_holds_an_answer_back_before_or_after_the_work(
    caller: Caller, sandbox: Sandbox, after: bool
) -> None:
    job = caller.new_job()
    sandbox.inject(
        Fault(kind=FaultKind.LATENCY, path="*/batch", delay=timedelta(seconds=30), after_accepting=after)
    )
    caller.connection.timeout = 0.3
    caller.connection.close()

    with pytest.raises(TimeoutError):
        caller.send(job, record())

    assert sandbox.deliveries().total() == (1 if after else 0)


def test_latency_ends_in_the_usual_answer(caller: Caller, sandbox: Sandbox) -> None:
    job = caller.new_job()
    sandbox.inject(Fault(kind=FaultKind.LATENCY, delay=timedelta(milliseconds=100)))
    started = time.monotonic()

    reply = caller.send(job, record())

    assert reply.status == 200
    assert time.monotonic() - started >= 0.1


def test_what_the_api_refuses_is_refused_after_a_latency_too(caller: Caller, sandbox: Sandbox) -> None:
    caller.log_in()
    sandbox.inject(Fault(kind=FaultKind.LATENCY, delay=timedelta(0)))

    reply = caller.call("GET", f"{JOBS}/999")

    assert (reply.status, reply.code) == (404, "JOB_NOT_FOUND")


def test_a_fault_strikes_from_the_nth_match_as_often_as_told(caller: Caller, sandbox: Sandbox) -> None:
    job = caller.new_job()
    sandbox.inject(Fault(kind=FaultKind.STATUS, method="post", path_regex=r".*/batch", nth=2, times=2))

    statuses = [caller.send(job, record()).status for _ in range(4)]
    others = caller.call("GET", f"{JOBS}/{job}").status

    (state,) = sandbox.faults
    assert statuses == [200, 503, 503, 200]
    assert others == 200
    assert (state.matched, state.struck) == (4, 2)


def test_a_seed_strikes_the_same_requests_each_time(caller: Caller, sandbox: Sandbox) -> None:
    caller.log_in()

    def struck() -> list[int]:
        sandbox.clear_faults()
        sandbox.inject(Fault(kind=FaultKind.STATUS, probability=0.5, seed=7, times=None))
        return [caller.call("POST", "/graphql", {"query": "{me{ref}}"}).status for _ in range(20)]

    first, second = struck(), struck()

    assert first == second
    assert set(first) == {200, 503}


def test_the_first_fault_injected_that_is_due_wins(caller: Caller, sandbox: Sandbox) -> None:
    caller.log_in()
    sandbox.inject(Fault(kind=FaultKind.STATUS, status=500))
    sandbox.inject(Fault(kind=FaultKind.STATUS, status=502, times=None))

    statuses = [caller.call("GET", f"{JOBS}/1").status for _ in range(3)]

    assert statuses == [500, 502, 502]


def test_the_login_can_be_struck(caller: Caller, sandbox: Sandbox) -> None:
    sandbox.inject(Fault(kind=FaultKind.STATUS, status=503, path="/oauth/token"))

    assert [caller.log_in().status for _ in range(2)] == [503, 200]


def test_the_sandboxs_own_calls_are_never_struck(caller: Caller, sandbox: Sandbox) -> None:
    sandbox.inject(Fault(kind=FaultKind.DROP, times=None))

    assert caller.raw("GET", "/_sandbox/requests").status == 200


def test_stopping_waits_for_no_latency(sandbox: Sandbox, caller: Caller) -> None:
    caller.log_in()
    sandbox.inject(Fault(kind=FaultKind.LATENCY, delay=timedelta(minutes=10)))
    caller.connection.request("GET", f"{JOBS}/1", headers={"Authorization": f"Bearer {caller.token}"})
    while not any(state.struck for state in sandbox.faults):
        time.sleep(0.001)
    started = time.monotonic()

    sandbox.stop()

    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    "options",
    [
        {"nth": 0},
        {"times": 0},
        {"probability": 0.0},
        {"probability": 1.5},
        {"status": 200},
        {"path_regex": "("},
        {"delay": timedelta(seconds=-1)},
        {"chunk_bytes": 0},
        {"retry_after": datetime(2026, 1, 1)},  # noqa: DTZ001 - a naive one is the point
        {"kind": FaultKind.TRUNCATED, "after_accepting": False},
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        Fault(**{"kind": FaultKind.STATUS, **options})
