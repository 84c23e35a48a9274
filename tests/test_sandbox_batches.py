"""Jobs and batches of the sandbox: what is accepted, what is refused, how it is processed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fc_connect.sandbox import MAX_ENTITIES, Sandbox
from tests.sandbox_caller import JOBS, Caller, SteadyClock, batch, record


@pytest.fixture
def clock() -> SteadyClock:
    return SteadyClock()


@pytest.fixture
def sandbox(clock: SteadyClock) -> Iterator[Sandbox]:
    with Sandbox(clock=clock, processing_time=timedelta(seconds=10)) as sandbox:
        yield sandbox


@pytest.fixture
def caller(sandbox: Sandbox) -> Iterator[Caller]:
    with Caller(sandbox.url) as caller:
        yield caller


def test_a_job_answers_under_both_spellings_of_its_id(caller: Caller, sandbox: Sandbox) -> None:
    created = caller.call(
        "POST", JOBS, {"name": "today", "retailerId": 7, "meta": {"preprocessing": "skip"}}
    ).json()

    read = caller.call("GET", f"{JOBS}/{created['id']}").json()

    assert created["id"] == created["jobId"] == read["id"] == read["jobId"]
    assert (read["status"], read["name"], read["retailerId"]) == ("PENDING", "today", "7")
    assert [job.name for job in sandbox.jobs()] == ["today"]


@pytest.mark.parametrize(
    "payload",
    [
        {"retailerId": 1},
        {"name": " ", "retailerId": 1},
        {"name": "n"},
        {"name": "n", "retailerId": True},
        {"name": "n", "retailerId": ""},
        {"name": "n", "retailerId": 1, "meta": []},
    ],
)
def test_a_job_that_lacks_something_is_refused(
    caller: Caller, sandbox: Sandbox, payload: dict[str, Any]
) -> None:
    reply = caller.call("POST", JOBS, payload)

    assert (reply.status, reply.code) == (400, "INVALID_JOB")
    assert sandbox.jobs() == []


def test_a_batch_is_processed_while_time_passes(caller: Caller, clock: SteadyClock) -> None:
    job = caller.new_job()
    sent = caller.send(job, record()).json()
    statuses = []

    for _ in range(3):
        at_batch = caller.call("GET", f"{JOBS}/{job}/batch/{sent['id']}").json()
        at_job = caller.call("GET", f"{JOBS}/{job}").json()
        statuses.append((at_batch["status"], at_job["status"], "results" in at_batch))
        clock.advance(timedelta(seconds=5))

    assert sent["id"] == sent["batchId"]
    assert statuses == [
        ("PENDING", "RUNNING", False),
        ("RUNNING", "RUNNING", False),
        ("COMPLETE", "COMPLETE", True),
    ]


def test_a_bad_record_fails_alone(caller: Caller, sandbox: Sandbox, clock: SteadyClock) -> None:
    job = caller.new_job()
    sent = caller.send(job, record("A", 1), record("B", "many", ref="row-2"), record("C", 3)).json()
    clock.advance(timedelta(seconds=10))

    results = caller.call("GET", f"{JOBS}/{job}/batch/{sent['id']}").json()["results"]

    assert [(r["entityRef"], r["responseCode"]) for r in results] == [("A", 200), ("row-2", 400), ("C", 200)]
    assert results[1]["message"] == 'qty must be a whole number, not "many".'
    assert {key[2]: level.qty for key, level in sandbox.stock().items()} == {"A": 1, "C": 3}
    assert sandbox.batches()[0].rejected == 1


@pytest.mark.parametrize(
    ("bad", "named"),
    [
        ({"skuRef": "A", "qty": 1}, "locationRef"),
        ({"locationRef": "", "skuRef": "A", "qty": 1}, "locationRef"),
        ({"locationRef": 5, "skuRef": "A", "qty": 1}, "locationRef"),
        ({"locationRef": "L", "skuRef": "A"}, "qty"),
        ({"locationRef": "L", "skuRef": "A", "qty": 1.5}, "qty"),
        ({"locationRef": "L", "skuRef": "A", "qty": "1"}, "qty"),
        ({"locationRef": "L", "skuRef": "A", "qty": True}, "qty"),
        ({"locationRef": "L", "qty": 1}, "skuRef or productRef"),
        ({"locationRef": "L", "qty": 1, "productRef": 9}, "skuRef or productRef"),
        ({"locationRef": "L", "qty": 1, "skuRef": "A", "type": 1}, "type"),
        ({"locationRef": "L", "qty": 1, "skuRef": "A", "status": []}, "status"),
        ("text", "object"),
        (None, "object"),
    ],
)
def test_the_result_of_a_bad_record_names_the_fault(
    caller: Caller, sandbox: Sandbox, clock: SteadyClock, bad: Any, named: str
) -> None:
    job = caller.new_job()
    sent = caller.send(job, bad, record()).json()
    clock.advance(timedelta(seconds=10))

    results = caller.call("GET", f"{JOBS}/{job}/batch/{sent['id']}").json()["results"]

    assert [result["responseCode"] for result in results] == [400, 200]
    assert named in results[0]["message"]
    assert sandbox.deliveries().total() == 1


@pytest.mark.parametrize(
    "good", [record(qty=0), record(qty=-3), {**record(), "skuRef": None, "productRef": "P"}]
)
def test_a_record_that_is_merely_unusual_is_applied(
    caller: Caller, sandbox: Sandbox, good: dict[str, Any]
) -> None:
    caller.send(caller.new_job(), good)

    assert [level.qty for level in sandbox.stock().values()] == [good["qty"]]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "MALFORMED_JSON"),
        (b"{", "MALFORMED_JSON"),
        (b'{"entities": [NaN]}', "MALFORMED_JSON"),
        (b'{"a": "\xff"}', "MALFORMED_JSON"),
        (b"[" * 100_000, "MALFORMED_JSON"),
        (b"[]", "MALFORMED_PAYLOAD"),
        (json.dumps(batch(record(), action="DELETE")).encode(), "INVALID_ACTION"),
        (json.dumps(batch(record(), action=["UPSERT"])).encode(), "INVALID_ACTION"),
        (json.dumps(batch(record(), entityType="PRODUCT")).encode(), "INVALID_ENTITY_TYPE"),
        (json.dumps(batch(record(), source=5)).encode(), "INVALID_FIELD"),
        (json.dumps(batch(record(), entities={})).encode(), "INVALID_ENTITIES"),
        (json.dumps(batch()).encode(), "EMPTY_ENTITIES"),
        (json.dumps(batch(*[record()] * (MAX_ENTITIES + 1))).encode(), "TOO_MANY_ENTITIES"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_batch_that_is_wrong_as_a_whole_is_refused_whole(
    caller: Caller, sandbox: Sandbox, body: bytes, code: str
) -> None:
    job = caller.new_job()

    reply = caller.call("POST", f"{JOBS}/{job}/batch", body)

    assert (reply.status, reply.code) == (400, code)
    assert sandbox.batches() == []


def test_every_problem_of_a_batch_is_told_at_once(caller: Caller) -> None:
    reply = caller.send(caller.new_job(), action="DROP", entityType="ORDER")

    codes = [error["code"] for error in reply.json()["errors"]]
    assert codes == ["INVALID_ACTION", "INVALID_ENTITY_TYPE", "EMPTY_ENTITIES"]


def test_the_largest_batch_is_accepted(caller: Caller, sandbox: Sandbox) -> None:
    reply = caller.send(caller.new_job(), *(record(f"S{i}") for i in range(MAX_ENTITIES)))

    assert reply.status == 200
    assert sandbox.summary().distinct == MAX_ENTITIES


@pytest.mark.parametrize("job", ["999", "abc", "1e3", "9" * 40, "-1", "%31", "²"])
def test_an_unknown_job_isnt_found(caller: Caller, job: str) -> None:
    caller.new_job()
    path = f"{JOBS}/{job.encode().decode('latin-1')}"

    replies = [
        _raw_line(caller, "GET", path),
        _raw_line(caller, "POST", f"{path}/batch", json.dumps(batch(record())).encode()),
        _raw_line(caller, "GET", f"{path}/results"),
    ]

    assert replies == [404, 404, 404]


def _raw_line(caller: Caller, method: str, path: str, body: bytes = b"") -> int:
    # http.client refuses odd paths before they reach the wire, so the line is written by hand.
    connection = caller.connection
    connection.close()
    connection.connect()
    connection.sock.sendall(
        f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {caller.token}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n".encode("latin-1")
        + body
    )
    with connection.sock.makefile("rb") as answer:
        return int(answer.readline().split()[1])


def test_a_batch_belongs_to_its_job(caller: Caller) -> None:
    mine, other = caller.new_job(), caller.new_job()
    sent = caller.send(mine, record()).json()

    reply = caller.call("GET", f"{JOBS}/{other}/batch/{sent['id']}")

    assert (reply.status, reply.code) == (404, "BATCH_NOT_FOUND")


def test_a_job_closes_at_midnight_utc_and_its_batches_finish(
    caller: Caller, sandbox: Sandbox, clock: SteadyClock
) -> None:
    clock.now = datetime(2026, 3, 10, 23, 59, 59, 999_999, tzinfo=UTC)
    job = caller.new_job()
    before = caller.send(job, record())
    clock.advance(timedelta(microseconds=1))

    after = caller.send(job, record())

    clock.advance(timedelta(seconds=10))
    assert before.status == 200
    assert (after.status, after.code) == (400, "JOB_CLOSED")
    assert caller.call("GET", f"{JOBS}/{job}").json()["status"] == "CLOSED"
    assert caller.call("GET", f"{JOBS}/{job}/batch/{before.json()['id']}").json()["status"] == "COMPLETE"
    assert len(sandbox.batches()) == 1


def test_results_come_in_pages(caller: Caller, clock: SteadyClock) -> None:
    job = caller.new_job()
    sent = caller.send(job, *(record(f"S{i}") for i in range(250))).json()
    clock.advance(timedelta(seconds=10))
    path = f"{JOBS}/{job}/batch/{sent['id']}"
    refs: list[str] = []

    while True:
        page = caller.call("GET", f"{path}?start={len(refs)}").json()
        refs += [result["entityRef"] for result in page["results"]]
        assert page["total"] == 250
        if len(refs) >= page["total"] or not page["results"]:
            break

    assert refs == [f"S{i}" for i in range(250)]
    assert caller.call("GET", f"{path}?start=240&count=100").json()["count"] == 10


@pytest.mark.parametrize("query", ["start=-1", "start=x", "count=0", "count=1.5", "start=" + "9" * 5000])
def test_a_page_that_makes_no_sense_is_refused(caller: Caller, query: str) -> None:
    job = caller.new_job()

    reply = caller.call("GET", f"{JOBS}/{job}?{query}")

    assert (reply.status, reply.code) == (400, "INVALID_PAGE")


def test_a_job_lists_its_batches_in_pages(caller: Caller, clock: SteadyClock) -> None:
    job = caller.new_job()
    sent = [caller.send(job, record()).json()["id"] for _ in range(3)]
    clock.advance(timedelta(seconds=10))
    sent.append(caller.send(job, record()).json()["id"])

    page = caller.call("GET", f"{JOBS}/{job}?start=2&count=2").json()

    assert [(b["batchId"], b["status"]) for b in page["batches"]] == [
        (sent[2], "COMPLETE"),
        (sent[3], "PENDING"),
    ]
    assert (page["start"], page["count"], page["total"]) == (2, 2, 4)


def test_a_job_lists_no_batches_where_told_so() -> None:
    with Sandbox(list_batches=False) as sandbox, Caller(sandbox.url) as caller:
        job = caller.new_job()
        caller.send(job, record())

        content = caller.call("GET", f"{JOBS}/{job}").json()

    assert not {"batches", "total"} & set(content)


def test_job_results_count_what_is_done(caller: Caller, clock: SteadyClock) -> None:
    job = caller.new_job()
    caller.send(job, record())
    caller.send(job, record(), record(qty=None))
    clock.advance(timedelta(seconds=10))
    caller.send(job, record())

    content = caller.call("GET", f"{JOBS}/{job}/results").json()

    assert (content["totalBatches"], content["successfulBatches"], content["failedBatches"]) == (3, 1, 1)
    assert [(r["status"], r["processedEntities"], r["failedEntities"]) for r in content["results"]] == [
        ("COMPLETE", 1, 0),
        ("COMPLETE", 2, 1),
        ("PENDING", 0, 0),
    ]
