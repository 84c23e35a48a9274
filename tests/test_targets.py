from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fc_connect.clock import ManualClock, SystemClock
from fc_connect.errors import ConfigurationError, FluentAPIError, FluentUnavailableError
from fc_connect.targets import BatchTarget, confirm
from tests.fluent_server import FluentServer, Reply, client_of

words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(lambda text: text.strip() != "")
RUNNING = Reply(body={"id": "b", "status": "RUNNING"})
RESULTS = [
    {"entityRef": "a", "responseCode": 200},
    {"entityRef": "b", "responseCode": 404, "message": "no location"},
]
DONE = Reply(body={"id": "b", "status": "COMPLETE", "results": RESULTS})


@pytest.fixture
def server() -> Iterator[FluentServer]:
    with FluentServer() as running:
        yield running


@given(
    st.lists(st.dictionaries(words, words | st.integers() | st.none()), min_size=1, max_size=20),
    words,
    st.none() | words,
    st.none() | words,
)
def test_spliced_bodies_equal_the_documented_payload(
    entities: list[dict[str, Any]], source: str, event: str | None, catalogue_ref: str | None
) -> None:
    conditions = {"hasRelatedInventoryQuantities": [{"type": "RESERVED", "status": "ACTIVE"}]}
    target = BatchTarget(source=source, event=event, catalogue_ref=catalogue_ref, conditions=conditions)

    body = target.body([json.dumps(entity).encode() for entity in entities])

    optional = {"event": event, "catalogueRef": catalogue_ref}
    assert json.loads(body) == {
        "action": "UPSERT",
        "entityType": "INVENTORY",
        "source": source,
        **{key: value for key, value in optional.items() if value is not None},
        "conditions": conditions,
        "entities": entities,
    }


def test_the_envelope_surrounds_the_entities_and_leaves_out_what_is_not_set() -> None:
    prefix, suffix = BatchTarget().envelope()

    assert json.loads(prefix + b'{"qty":1}' + suffix) == {
        "action": "UPSERT",
        "entityType": "INVENTORY",
        "entities": [{"qty": 1}],
    }


@pytest.mark.parametrize("count", [0, 5001])
def test_a_body_of_the_wrong_size_is_refused(count: int) -> None:
    with pytest.raises(ConfigurationError):
        BatchTarget().body([b"{}"] * count)


def test_5000_entities_are_taken() -> None:
    body = BatchTarget().body([b"{}"] * 5000)

    assert len(json.loads(body)["entities"]) == 5000


def test_every_fault_of_a_target_is_told_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        BatchTarget(action="", entity_type=" ", source="", conditions={"a": object()})

    assert len(caught.value.problems) == 4


def test_a_batch_is_asked_after_until_it_is_done(server: FluentServer) -> None:
    server.replies += [RUNNING, RUNNING, DONE]

    with client_of(server) as client:
        batch = confirm(client, "j", "b", clock=ManualClock())

    assert batch.is_done
    assert [(r.entity_ref, r.message) for r in batch.rejected] == [("b", "no location")]
    assert len(server.calls()) == 3


def test_waits_grow_and_the_deadline_holds(server: FluentServer) -> None:
    server.replies += [RUNNING] * 50
    clock = ManualClock()
    before = clock.monotonic()

    with client_of(server) as client:
        batch = confirm(
            client, "j", "b", clock=clock, timeout=timedelta(seconds=60), max_wait=timedelta(seconds=10)
        )

    assert not batch.is_done
    assert clock.monotonic() - before == pytest.approx(60, abs=0.001)
    assert 8 <= len(server.calls()) <= 16


def test_an_outage_in_between_is_sat_out(server: FluentServer) -> None:
    server.replies += [RUNNING, Reply(status=503), DONE]

    with client_of(server, max_attempts=1) as client:
        batch = confirm(client, "j", "b", clock=ManualClock())

    assert batch.is_done


def test_an_outage_to_the_end_is_an_error(server: FluentServer) -> None:
    server.replies += [Reply(status=503)] * 50

    with client_of(server, max_attempts=1) as client, pytest.raises(FluentUnavailableError):
        confirm(client, "j", "b", clock=ManualClock(), timeout=timedelta(seconds=5))


def test_an_unknown_batch_is_an_error_at_once(server: FluentServer) -> None:
    server.replies.append(Reply(status=404))

    with client_of(server) as client, pytest.raises(FluentAPIError):
        confirm(client, "j", "b", clock=ManualClock())

    assert len(server.calls()) == 1


def test_stop_ends_the_asking_with_what_was_seen(server: FluentServer) -> None:
    server.replies += [RUNNING] * 3
    stop = threading.Event()
    stop.set()

    with client_of(server) as client:
        batch = confirm(client, "j", "b", clock=SystemClock(), first_wait=timedelta(hours=1), stop=stop)

    assert not batch.is_done
    assert len(server.calls()) == 1
