"""A batch in doubt is looked up in Fluent, and no other's is ever taken for it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

from fc_connect.errors import KVUnavailableError
from fc_connect.fluent import FluentClient
from fc_connect.kv import Atomic, open_kv
from fc_connect.pipeline.doubt import Absent, Arrived, DoubtResolver, Unknown, refs_of
from fc_connect.sandbox import Sandbox
from fc_connect.state import BatchRecord, BatchState, FileRecord, StateService
from fc_connect.targets import BatchTarget
from tests.test_fluent_sandbox import connected, entities

DAY = datetime(2026, 1, 15, tzinfo=UTC)
BODY = BatchTarget(source="WMS", event="InventoryChanged").body(
    [json.dumps(each).encode() for each in entities(3)]
)


@pytest.fixture
def client() -> Iterator[FluentClient]:
    with Sandbox(processing_time=timedelta(0)) as sandbox, connected(sandbox) as connection:
        yield connection


@pytest.fixture
def state() -> Iterator[StateService]:
    with open_kv("memory:") as kv:
        yield StateService(kv, workflow_id="w")


def a_file(name: str) -> FileRecord:
    return FileRecord(
        source="file:///inbox", file_name=name, fingerprint="v1", last_modified=DAY, file_size=100
    )


def note(state: StateService, name: str, job_id: str, *, batch_id: str | None = None) -> BatchRecord:
    """Note the first batch of a file as on its way, or as sent."""
    batch = BatchRecord(
        number=0,
        state=BatchState.SENDING if batch_id is None else BatchState.SENT,
        sha256="0" * 64,
        count=3,
        job_id=job_id,
        batch_id=batch_id,
        at=DAY,  # so long ago that nothing of it is still on its way
    )
    with state.lock(name) as lease:
        state.save_batches(a_file(name), [batch], lease)
    return batch


def look_up(
    state: StateService, client: FluentClient, batch: BatchRecord, *, given_up_ago: float = 60.0
) -> Absent | Arrived | Unknown:
    resolver = DoubtResolver(state=state, client=client, file=a_file("a.csv"), stop=threading.Event())
    since = state.clock.monotonic() - given_up_ago
    return resolver.resolve(batch, refs_of(BODY), others=[], confirmed=set(), since=since)


def test_a_batch_that_arrived_is_found(state: StateService, client: FluentClient) -> None:
    job_id = client.create_job("inventory").id
    batch = note(state, "a.csv", job_id)
    receipt = client.send_batch_body(job_id, BODY, count=3)

    assert look_up(state, client, batch) == Arrived(receipt.id)


def test_another_files_batch_of_the_same_products_is_not_taken_for_it(
    state: StateService, client: FluentClient
) -> None:
    job_id = client.create_job("inventory").id
    batch = note(state, "a.csv", job_id)
    receipt = client.send_batch_body(job_id, BODY, count=3)
    note(state, "b.csv", job_id, batch_id=receipt.id)

    assert look_up(state, client, batch) == Absent()


def test_what_may_be_another_files_batch_proves_nothing(state: StateService, client: FluentClient) -> None:
    job_id = client.create_job("inventory").id
    batch = note(state, "a.csv", job_id)
    note(state, "b.csv", job_id)
    client.send_batch_body(job_id, BODY, count=3)

    assert isinstance(look_up(state, client, batch), Unknown)


def test_what_proved_nothing_proves_nothing_later_either(state: StateService, client: FluentClient) -> None:
    job_id = client.create_job("inventory").id
    batch = note(state, "a.csv", job_id)
    note(state, "b.csv", job_id)
    client.send_batch_body(job_id, BODY, count=3)
    look_up(state, client, batch)

    assert isinstance(look_up(state, client, batch), Unknown)  # as the next run asks, and a person's `retry`


def test_of_two_that_it_may_be_neither_is_taken_after_a_crash(
    state: StateService, client: FluentClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = client.create_job("inventory").id
    batch = note(state, "a.csv", job_id)
    for _ in range(2):
        client.send_batch_body(job_id, BODY, count=3)
    whole = state.kv.atomic

    def dies_at_the_second() -> Atomic:
        monkeypatch.setattr(state.kv, "atomic", dies)
        return whole()

    def dies() -> Atomic:
        raise KVUnavailableError("gone")

    monkeypatch.setattr(state.kv, "atomic", dies_at_the_second)
    with suppress(KVUnavailableError):
        look_up(state, client, batch)
    monkeypatch.setattr(state.kv, "atomic", whole)

    assert isinstance(look_up(state, client, batch), Unknown)


def test_where_an_earlier_request_proved_nothing_a_later_one_on_its_way_is_still_waited_for(
    state: StateService, client: FluentClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = client.create_job("inventory").id
    batch = note(state, "a.csv", job_id)
    note(state, "b.csv", job_id)
    client.send_batch_body(job_id, BODY, count=3)
    look_up(state, client, batch)
    note(state, "b.csv", job_id, batch_id="another")
    late: list[str] = []

    def arrives_meanwhile(stop: object, timeout: timedelta) -> bool:
        late.append(client.send_batch_body(job_id, BODY, count=3).id)
        return False

    monkeypatch.setattr(state.clock, "wait", arrives_meanwhile)

    answer = look_up(state, client, batch, given_up_ago=0.0)

    assert [answer] == [Arrived(each) for each in late]
