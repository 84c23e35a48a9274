"""The client against the sandbox: what the client tells must be what the sandbox has."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest

from fc_connect.clock import ManualClock, SystemClock
from fc_connect.errors import AuthenticationError, FluentAPIError, FluentOutcomeUnknownError
from fc_connect.fluent import ClientOptions, Credentials, FluentClient
from fc_connect.sandbox import Credentials as SandboxCredentials
from fc_connect.sandbox import Fault, FaultKind, Sandbox
from fc_connect.targets import BatchTarget, confirm

CREDENTIALS = Credentials(
    client_id="ACME", client_secret="s3cret-s3cret", username="robot", password="pa55word"
)


def entities(count: int, *, first: int = 0) -> list[dict[str, Any]]:
    return [
        {
            "ref": f"r{n}",
            "locationRef": "L1",
            "skuRef": f"S{n}",
            "qty": n,
            "type": "LAST_ON_HAND",
            "status": "ACTIVE",
        }
        for n in range(first, first + count)
    ]


@contextmanager
def connected(sandbox: Sandbox, **options: Any) -> Iterator[FluentClient]:
    settings: dict[str, Any] = {"auth": CREDENTIALS, "retailer_id": "1", "clock": ManualClock(), **options}
    with FluentClient(base_url=sandbox.url, **settings) as client:
        yield client


def test_a_batch_travels_all_the_way_and_its_rejects_come_back() -> None:
    sent = [*entities(249), {"ref": "bad", "skuRef": "S", "qty": 1}]
    target = BatchTarget(source="WMS", event="InventoryChanged")

    with Sandbox(page_size=100) as sandbox, connected(sandbox) as client:
        job = client.create_job("inventory")
        body = target.body([json.dumps(entity).encode() for entity in sent])
        receipt = client.send_batch_body(job.id, body, count=len(sent))
        batch = confirm(
            client, job.id, receipt.id, clock=SystemClock(), first_wait=timedelta(milliseconds=20)
        )
        status = client.get_job_status(job.id)
        results = client.get_job_results(job.id)
        delivered = sandbox.deliveries()

    assert (len(batch.results), batch.is_complete_list) == (250, True)
    assert [result.entity_ref for result in batch.rejected] == ["bad"]
    assert status.batches is not None
    assert [each.id for each in status.batches] == [receipt.id]
    assert (results.total_batches, results.failed_batches) == (1, 1)
    assert set(delivered.values()) == {1}
    assert len(delivered) == 249


def test_batches_sent_side_by_side_arrive_once_each() -> None:
    with Sandbox() as sandbox, connected(sandbox, options=ClientOptions(max_connections=4)) as client:
        job = client.create_job("inventory")

        def send(number: int) -> str:
            return client.send_batch(job.id, entities=entities(10, first=number * 10)).id

        with ThreadPoolExecutor(12) as pool:
            ids = list(pool.map(send, range(60)))
        listed = client.get_job_status(job.id).batches
        deliveries = sandbox.deliveries()
        logins = sandbox.requests(path="/oauth/token")

    assert listed is not None
    assert sorted(each.id for each in listed) == sorted(ids)
    assert (len(deliveries), set(deliveries.values())) == (600, {1})
    assert len(logins) == 1


def test_a_job_whose_batches_are_not_listed_says_that_it_cannot_tell() -> None:
    with Sandbox(list_batches=False) as sandbox, connected(sandbox) as client:
        job = client.create_job("inventory")
        client.send_batch(job.id, entities=entities(1))
        status = client.get_job_status(job.id)

    assert status.batches is None


FAULTS = [
    Fault(kind=FaultKind.STATUS, path="*/batch", status=503),
    Fault(kind=FaultKind.STATUS, path="*/batch", status=500, after_accepting=True),
    Fault(
        kind=FaultKind.STATUS,
        path="*/batch",
        status=503,
        retry_after=timedelta(seconds=1),
        after_accepting=True,
    ),
    Fault(kind=FaultKind.DROP, path="*/batch"),
    Fault(kind=FaultKind.DROP, path="*/batch", after_accepting=True),
    Fault(kind=FaultKind.TRUNCATED, path="*/batch"),
    Fault(kind=FaultKind.NOT_JSON, path="*/batch"),
    Fault(kind=FaultKind.EMPTY, path="*/batch"),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f"{f.kind}-{f.status}-{f.after_accepting}")
def test_a_batch_that_may_have_arrived_is_never_sent_twice(fault: Fault) -> None:
    with Sandbox() as sandbox, connected(sandbox) as client:
        job = client.create_job("inventory")
        sandbox.inject(fault)
        with pytest.raises(FluentOutcomeUnknownError):
            client.send_batch(job.id, entities=entities(3))
        arrived = len(sandbox.batches())
        asked = len(sandbox.requests(path=f"/api/v4.1/job/{job.id}/batch"))
        listed = client.get_job_status(job.id).batches

    assert asked == 1
    assert arrived <= 1
    assert listed is not None
    assert len(listed) == arrived


@pytest.mark.parametrize(
    "fault",
    [
        Fault(kind=FaultKind.STATUS, path="*/batch", status=429, times=3, retry_after=timedelta(seconds=5)),
        Fault(kind=FaultKind.STATUS, path="*/batch", status=401),
        Fault(kind=FaultKind.STATUS, path="/oauth/token", status=503, times=2),
        Fault(kind=FaultKind.DROP, path="/oauth/token", times=2),
    ],
    ids=lambda f: f"{f.kind}-{f.path}-{f.status}",
)
def test_a_batch_that_was_refused_for_now_arrives_once(fault: Fault) -> None:
    with Sandbox() as sandbox, connected(sandbox) as client:
        if fault.path != "/oauth/token":
            sandbox.inject(fault)
            job = client.create_job("inventory")
        else:
            job = client.create_job("inventory")
            sandbox.inject(fault)
            sandbox.revoke_tokens()
        client.send_batch(job.id, entities=entities(3))
        deliveries = sandbox.deliveries()

    assert Counter(deliveries.values()) == {1: 3}


def test_reads_survive_what_writes_may_not() -> None:
    kinds = [FaultKind.DROP, FaultKind.TRUNCATED]

    with Sandbox() as sandbox, connected(sandbox) as client:
        job = client.create_job("inventory")
        for kind in kinds:
            sandbox.inject(Fault(kind=kind, method="GET"))
        sandbox.inject(Fault(kind=FaultKind.STATUS, method="GET", status=502))
        status = client.get_job_status(job.id)

    assert status.id == job.id


def test_tokens_that_are_revoked_are_renewed_once_for_all_threads() -> None:
    with Sandbox() as sandbox, connected(sandbox) as client:
        job = client.create_job("inventory")
        sandbox.revoke_tokens()
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda _: client.get_job_status(job.id).id, range(8)))
        logins = sandbox.requests(path="/oauth/token")

    assert found == [job.id] * 8
    # The login, a refresh that is refused because it was revoked too, and one login more.
    assert len(logins) <= 3


def test_wrong_credentials_are_told_without_the_secret() -> None:
    right = SandboxCredentials(client_id="ACME", client_secret="another")

    with (
        Sandbox(credentials=right) as sandbox,
        connected(sandbox) as client,
        pytest.raises(AuthenticationError) as caught,
    ):
        client.create_job("inventory")

    assert "s3cret" not in f"{caught.value} {vars(caught.value)}"


def test_an_unknown_job_is_refused_with_fluents_code() -> None:
    with Sandbox() as sandbox, connected(sandbox) as client, pytest.raises(FluentAPIError) as caught:
        client.send_batch("999", entities=entities(1))

    assert (caught.value.status, caught.value.code) == (404, "JOB_NOT_FOUND")
    assert not isinstance(caught.value, FluentOutcomeUnknownError)


def test_the_one_who_asks_is_told() -> None:
    with Sandbox() as sandbox, connected(sandbox) as client:
        data = client.graphql("query { me { ref } }")

    assert "me" in data
