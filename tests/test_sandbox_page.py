"""The sandbox's page, and what it asks for."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from fc_connect.sandbox import Fault, FaultKind, Sandbox
from tests.sandbox_caller import Caller, record


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def caller(sandbox: Sandbox) -> Iterator[Caller]:
    with Caller(sandbox.url) as caller:
        yield caller


def test_the_page_is_there_without_a_token_and_runs_its_own_script_alone(caller: Caller) -> None:
    first, second = caller.raw("GET", "/"), caller.raw("GET", "/")

    policy = first.headers["Content-Security-Policy"]
    (nonce,) = set(re.findall(r"nonce-([\w-]+)'", policy))
    assert (first.status, first.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert policy.startswith("default-src 'none'")
    assert set(re.findall(r'nonce="([^"]*)"', first.body.decode())) == {nonce}
    assert nonce not in second.headers["Content-Security-Policy"]
    assert "innerHTML" not in first.body.decode()
    assert not re.search(r"https?://", first.body.decode())


def test_what_the_page_reads_is_what_the_overview_tells(caller: Caller) -> None:
    told = caller.raw("GET", "/_sandbox/overview").json()

    script = caller.raw("GET", "/").body.decode()
    totals = re.search(r"const TOTALS = \{(.*?)\};", script, re.DOTALL)
    assert totals is not None
    assert set(re.findall(r"(\w+): ", totals[1])) == set(told["totals"])
    assert set(re.findall(r'^  \["(\w+)", "', script, re.MULTILINE)) == set(told["latest"])


def test_the_overview_counts_everything_and_lists_the_newest_first(caller: Caller, sandbox: Sandbox) -> None:
    sandbox.inject(Fault(kind=FaultKind.LATENCY, path="/nowhere"))
    job = caller.new_job()
    for _ in range(60):
        caller.send(job, record(), record(qty="5"))

    told = caller.raw("GET", "/_sandbox/overview").json()

    assert told["totals"] == {
        "requests": 62, "jobs": 1, "batches": 60, "events": 0, "records": 60, "rejected": 60
    }  # fmt: skip
    batches = [int(each["batch_id"]) for each in told["latest"]["batches"]]
    assert (len(batches), batches) == (50, sorted(batches, reverse=True))
    assert [each["fault"]["path"] for each in told["latest"]["faults"]] == ["/nowhere"]
    assert len(sandbox.batches()) == 60


def test_the_page_takes_no_other_method(caller: Caller) -> None:
    reply = caller.raw("POST", "/", json.dumps({}))

    assert (reply.status, reply.headers["Allow"]) == (405, "GET")
