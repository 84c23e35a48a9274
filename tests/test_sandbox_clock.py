"""The sandbox's time, jobs that are closed when told, and batch pre-processing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fc_connect.errors import ConfigurationError, StateError
from fc_connect.sandbox import Sandbox
from tests.sandbox_caller import JOBS, Caller, SteadyClock, record

CLOCK = "/_sandbox/clock"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(clock=SteadyClock(), processing_time=timedelta(0)) as sandbox:
        yield sandbox


@pytest.fixture
def caller(sandbox: Sandbox) -> Iterator[Caller]:
    with Caller(sandbox.url) as caller:
        yield caller


def ask(caller: Caller, method: str, path: str, payload: Any = None) -> Any:
    return caller.raw(method, path, None if payload is None else json.dumps(payload)).json()


def messages(caller: Caller, job: str, batch: str) -> list[str]:
    results = caller.call("GET", f"{JOBS}/{job}/batch/{batch}").json()["results"]
    return [each["message"].partition(":")[0] for each in results]


def test_a_clock_moved_past_midnight_closes_the_job(caller: Caller, sandbox: Sandbox) -> None:
    job = caller.new_job()

    sandbox.clock.move(timedelta(hours=12))

    reply = caller.send(job, record())
    assert (reply.status, reply.code) == (400, "JOB_CLOSED")
    assert caller.call("GET", f"{JOBS}/{job}").json()["status"] == "CLOSED"


def test_a_moved_clock_ends_the_life_of_a_token(caller: Caller, sandbox: Sandbox) -> None:
    caller.log_in()

    sandbox.clock.move(timedelta(days=2))

    reply = caller.raw("GET", f"{JOBS}/1", headers={"Authorization": f"Bearer {caller.token}"})
    assert (reply.status, reply.code) == (401, "EXPIRED_TOKEN")


def test_the_clock_is_read_set_moved_and_reset_over_http(caller: Caller) -> None:
    told = [
        ask(caller, "GET", CLOCK),
        ask(caller, "POST", CLOCK, {"at": "2026-03-10T23:59:00Z"}),
        ask(caller, "POST", CLOCK, {"forward_seconds": 90.5}),
        ask(caller, "DELETE", CLOCK),
    ]

    assert [each["now"] for each in told] == [
        "2026-03-10T12:00:00+00:00",
        "2026-03-10T23:59:00+00:00",
        "2026-03-11T00:00:30.500000+00:00",
        "2026-03-10T12:00:00+00:00",
    ]
    assert [each["ahead_seconds"] for each in told] == [0, 43_140, 43_230.5, 0]


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"at": "tomorrow"},
        {"at": "2026-03-10T23:59:00"},
        {"at": 5},
        {"forward_seconds": "5"},
        {"forward_seconds": True},
        {"forward_seconds": 1e300},
        {"forward_seconds": 1e12},
        {"at": "2026-03-10T23:59:00Z", "forward_seconds": 1},
    ],
)
def test_a_time_that_is_none_is_refused_and_the_clock_stays(caller: Caller, payload: Any) -> None:
    reply = caller.raw("POST", CLOCK, json.dumps(payload))

    assert (reply.status, reply.code) == (400, "INVALID_TIME")
    assert ask(caller, "GET", CLOCK)["ahead_seconds"] == 0


def test_a_time_without_a_zone_is_refused(sandbox: Sandbox) -> None:
    with pytest.raises(ConfigurationError, match="with its zone"):
        sandbox.clock.set(datetime(2026, 3, 1))  # noqa: DTZ001 (that is the case)


def test_a_time_before_the_present_is_taken(sandbox: Sandbox) -> None:
    sandbox.clock.set(datetime(2020, 1, 1, tzinfo=UTC))

    assert sandbox.clock() == datetime(2020, 1, 1, tzinfo=UTC)


def test_a_job_is_closed_when_told_and_others_stay_open(caller: Caller, sandbox: Sandbox) -> None:
    first, second = caller.new_job(), caller.new_job()

    sandbox.close_job(first)
    told = ask(caller, "POST", "/_sandbox/jobs/close", {"job_id": first})

    assert told == {"job_id": first, "status": "CLOSED"}
    assert caller.send(first, record()).code == "JOB_CLOSED"
    assert caller.send(second, record()).status == 200
    assert [job.closed_at is not None for job in sandbox.jobs()] == [True, False]


def test_a_job_that_is_unknown_cannot_be_closed(caller: Caller, sandbox: Sandbox) -> None:
    reply = caller.raw("POST", "/_sandbox/jobs/close", json.dumps({"job_id": "99"}))

    assert (reply.status, reply.code) == (404, "JOB_NOT_FOUND")
    with pytest.raises(StateError, match="no job 99"):
        sandbox.close_job("99")


def test_preprocessing_drops_what_changes_nothing_and_says_so() -> None:
    with Sandbox(preprocessing=True, processing_time=timedelta(0)) as sandbox, Caller(sandbox.url) as caller:
        job = caller.new_job()
        same, other = record(skuRef="A", qty=5), record(skuRef="B", qty=5)
        caller.send(job, same, other)

        batch = caller.send(job, same, {**other, "qty": 4}, other, other).json()["id"]

        assert messages(caller, job, batch) == ["Unchanged", "OK", "OK", "Unchanged"]
        assert sandbox.summary().entities == 6


def test_a_job_may_skip_preprocessing() -> None:
    with Sandbox(preprocessing=True, processing_time=timedelta(0)) as sandbox, Caller(sandbox.url) as caller:
        created = {"name": "n", "retailerId": 1, "meta": {"preprocessing": "skip"}}
        job = caller.call("POST", JOBS, created).json()["id"]
        caller.send(job, record())

        batch = caller.send(job, record()).json()["id"]

        assert messages(caller, job, batch) == ["OK"]


def test_without_preprocessing_nothing_is_dropped(caller: Caller) -> None:
    job = caller.new_job()
    caller.send(job, record())

    batch = caller.send(job, record()).json()["id"]

    assert messages(caller, job, batch) == ["OK"]
