"""The sandbox as a witness: what it received, from Python, from another process and over HTTP."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from fc_connect.errors import ConfigurationError
from fc_connect.sandbox import Sandbox, SandboxLog
from tests.sandbox_caller import JOBS, Caller, SteadyClock, batch, record


@pytest.fixture
def clock() -> SteadyClock:
    return SteadyClock()


@pytest.fixture
def sandbox(clock: SteadyClock) -> Iterator[Sandbox]:
    with Sandbox(clock=clock) as sandbox:
        yield sandbox


@pytest.fixture
def caller(sandbox: Sandbox) -> Iterator[Caller]:
    with Caller(sandbox.url) as caller:
        yield caller


def test_each_record_is_counted_each_time_it_arrives(caller: Caller, sandbox: Sandbox) -> None:
    job = caller.new_job()
    caller.send(job, record("A"), record("B", type="LAST_ON_HAND"), record("B"))
    caller.send(job, record("A", 9), {"locationRef": "L", "productRef": "P", "skuRef": "S", "qty": 1})

    assert sandbox.deliveries() == Counter(
        {("LOC-1", "A", ""): 2, ("LOC-1", "B", "LAST_ON_HAND"): 1, ("LOC-1", "B", ""): 1, ("L", "P", ""): 1}
    )


def test_the_summary_tells_repeats_by_job_and_source(caller: Caller, sandbox: Sandbox) -> None:
    first, second = caller.new_job(), caller.new_job()
    caller.send(first, record("A"), record("B"))
    caller.send(second, record("A"), record("C", None), source="ERP")

    summary = sandbox.summary()

    assert (summary.batches, summary.entities, summary.distinct, summary.repeated) == (2, 3, 2, 1)
    assert summary.rejected == 1
    assert summary.by_job == {first: 2, second: 1}
    assert summary.by_source == {"WMS": 2, "ERP": 1}
    assert summary.repeated_keys == ((("LOC-1", "A", ""), 2),)


def test_the_last_write_of_a_key_is_its_stock(caller: Caller, sandbox: Sandbox) -> None:
    one, two = caller.new_job(retailer="1"), caller.new_job(retailer="2")
    caller.send(one, record("A", 1), record("A", 2, status="ACTIVE"))
    last = caller.send(one, record("B", 7, retailerId=3), record("A", 3, ref="row")).json()["id"]
    caller.send(two, record("A", 50))

    stock = sandbox.stock()

    assert {key: level.qty for key, level in stock.items()} == {
        ("1", "LOC-1", "A", ""): 3,
        ("3", "LOC-1", "B", ""): 7,
        ("2", "LOC-1", "A", ""): 50,
    }
    level = stock[("1", "LOC-1", "A", "")]
    assert (level.batch_id, level.ref, level.status) == (last, "row", None)


def test_a_request_is_logged_with_what_identifies_it(
    caller: Caller, sandbox: Sandbox, clock: SteadyClock
) -> None:
    job = caller.new_job()
    body = json.dumps(batch(record("A"), record("B"))).encode()

    reply = caller.call("POST", f"{JOBS}/{job}/batch?x=1", body, {"X-Correlation-ID": "run-42"})

    logged = sandbox.requests()[-1]
    assert (logged.method, logged.path, logged.query, logged.status) == (
        "POST",
        f"{JOBS}/{job}/batch",
        "x=1",
        200,
    )
    assert (logged.job_id, logged.batch_id, logged.entities) == (job, reply.json()["id"], 2)
    assert (logged.correlation_id, logged.at, logged.fault) == ("run-42", clock.now, None)
    assert (logged.body_bytes, logged.body_sha256) == (len(body), hashlib.sha256(body).hexdigest())
    assert sandbox.batches()[0].correlation_id == "run-42"


def test_batches_sent_side_by_side_are_all_accepted(sandbox: Sandbox, caller: Caller) -> None:
    job = caller.new_job()

    def send(worker: int) -> list[int]:
        with Caller(sandbox.url) as mine:
            return [mine.send(job, record(f"{worker}-{i}")).status for i in range(20)]

    with ThreadPoolExecutor(8) as pool:
        statuses = [status for found in pool.map(send, range(8)) for status in found]

    assert statuses == [200] * 160
    assert sandbox.deliveries() == Counter(
        {("LOC-1", f"{w}-{i}", ""): 1 for w in range(8) for i in range(20)}
    )


def test_another_process_reads_the_log_while_the_sandbox_runs(sandbox: Sandbox, caller: Caller) -> None:
    caller.send(caller.new_job(), record("A", 4))
    code = (
        "import sys; from fc_connect.sandbox import SandboxLog; log = SandboxLog(sys.argv[1]);"
        "print([(d.key, d.qty) for d in log.entities()], len(log.requests()))"
    )

    seen = subprocess.run(
        [sys.executable, "-c", code, str(sandbox.database)], capture_output=True, text=True, check=True
    ).stdout

    assert seen.strip() == "[(('LOC-1', 'A', ''), 4)] 3"


def test_a_database_outlives_its_sandbox(tmp_path: Path) -> None:
    path = tmp_path / "sandbox with #odd? name.db"
    with Sandbox(database=path) as first, Caller(first.url) as caller:
        job = caller.new_job()
        caller.send(job, record("A"))
    kept = SandboxLog(path).deliveries()

    with Sandbox(database=path) as second, Caller(second.url) as caller:
        caller.send(job, record("A"))

    assert kept == Counter({("LOC-1", "A", ""): 1})
    assert first.deliveries() == second.deliveries() == Counter({("LOC-1", "A", ""): 2})


def test_a_temporary_database_is_deleted() -> None:
    with Sandbox() as sandbox:
        path = sandbox.database
        existed = path.exists()

    assert existed
    assert not path.parent.exists()
    with pytest.raises(ConfigurationError, match="can't open"):
        sandbox.requests()


def test_a_log_that_isnt_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="doesn't exist"):
        SandboxLog(tmp_path / "nothing.db")

    assert list(tmp_path.iterdir()) == []


def test_reading_a_log_that_was_deleted_makes_no_empty_one(tmp_path: Path) -> None:
    path = tmp_path / "sandbox.db"
    with Sandbox(database=path) as sandbox:
        pass
    path.unlink()

    with pytest.raises(ConfigurationError, match="can't open"):
        sandbox.batches()

    assert not path.exists()


def test_somebody_elses_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE kv (k)")
    before = path.read_bytes()

    with pytest.raises(ConfigurationError, match="isn't a sandbox database"):
        Sandbox(database=path).start()

    assert path.read_bytes() == before


def test_a_newer_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sandbox.db"
    with Sandbox(database=path):
        pass
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")

    with pytest.raises(ConfigurationError, match="newer sandbox"):
        Sandbox(database=path).start()


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("Milk, eggs, and enough text for a header of SQLite to be looked for.\n" * 20)

    with pytest.raises(ConfigurationError, match=r"notes\.txt"):
        Sandbox(database=path).start()


def test_everything_is_told_over_http_without_a_token(caller: Caller, sandbox: Sandbox) -> None:
    job = caller.new_job()
    sent = caller.send(job, record("A", 4), record("B", 2)).json()["id"]
    caller.send(job, record("A", 5))

    def ask(path: str) -> dict[str, object]:
        return dict(caller.raw("GET", f"/_sandbox/{path}").json())

    deliveries = ask("deliveries")
    assert {name: deliveries[name] for name in ("entities", "distinct", "repeated", "by_job")} == {
        "entities": 3,
        "distinct": 2,
        "repeated": 1,
        "by_job": {job: 3},
    }
    assert ask("stock?count=1")["total"] == 2
    assert ask("stock")["stock"] == [
        {
            "retailer_id": "1",
            "location": "LOC-1",
            "product": sku,
            "type": "",
            "qty": qty,
            "status": None,
            "ref": None,
            "batch_id": batch_id,
        }
        for sku, qty, batch_id in (("A", 5, "2"), ("B", 2, sent))
    ]
    assert ask(f"batches?job_id={job}")["total"] == 2
    assert ask("batches?job_id=77")["total"] == 0
    assert ask("jobs")["total"] == 1
    assert ask(f"requests?path={JOBS}/{job}/batch")["total"] == 2
    assert ask("requests?path_regex=.*/batch&count=1")["count"] == 1
    assert len(sandbox.requests()) == 4  # the sandbox's own calls aren't on the log


def test_faults_are_injected_counted_and_lifted_over_http(caller: Caller) -> None:
    job = caller.new_job()
    fault = {"kind": "status", "status": 429, "retry_after": 3, "path": "*/batch", "times": None}

    injected = caller.raw("POST", "/_sandbox/faults", json.dumps(fault))
    struck = caller.send(job, record())
    (listed,) = caller.raw("GET", "/_sandbox/faults").json()["faults"]
    again = caller.raw("POST", "/_sandbox/faults", json.dumps(listed["fault"]))
    caller.raw("DELETE", "/_sandbox/faults")
    spared = caller.send(job, record())

    assert (injected.status, again.status) == (201, 201)
    assert (struck.status, struck.headers["Retry-After"], spared.status) == (429, "3", 200)
    assert (listed["matched"], listed["struck"]) == (1, 1)
    assert injected.json() == again.json()


@pytest.mark.parametrize(
    "fault",
    [
        {},
        {"kind": "meteor"},
        {"kind": ["drop"]},
        {"kind": "drop", "nth": "2"},
        {"kind": "drop", "nth": None},
        {"kind": "drop", "after_accepting": 1},
        {"kind": "drop", "delay": "soon"},
        {"kind": "status", "retry_after": "2026-13-01"},
        {"kind": "status", "retry_after": "2026-01-01T00:00:00"},
        {"kind": "latency", "delay": 1e300},
        {"kind": "drop", "surprise": 1},
    ],
)
def test_a_fault_that_cant_be_read_is_refused(caller: Caller, sandbox: Sandbox, fault: object) -> None:
    reply = caller.raw("POST", "/_sandbox/faults", json.dumps(fault))

    assert (reply.status, reply.code) == (400, "INVALID_FAULT")
    assert sandbox.faults == ()


def test_a_reset_forgets_all_but_never_gives_a_number_twice(caller: Caller, sandbox: Sandbox) -> None:
    old = caller.new_job()
    caller.send(old, record())
    caller.raw("POST", "/_sandbox/faults", json.dumps({"kind": "drop", "path": "/nowhere"}))

    reply = caller.raw("DELETE", "/_sandbox")

    assert reply.status == 200
    assert (sandbox.requests(), sandbox.batches(), sandbox.jobs(), sandbox.faults) == ([], [], [], ())
    assert caller.new_job() != old


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/_sandbox/moon", 404),
        ("PUT", "/_sandbox/faults", 404),
        ("GET", "/_sandbox/requests?path_regex=(", 400),
    ],
)
def test_a_call_the_sandbox_doesnt_know_is_refused(
    caller: Caller, method: str, path: str, status: int
) -> None:
    assert caller.raw(method, path).status == status
