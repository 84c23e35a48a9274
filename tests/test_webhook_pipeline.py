"""A webhook that starts a pipeline's run: the file that it speaks of is delivered, whoever else is at work."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fc_connect.errors import ConfigurationError, RunError, StoppedError
from fc_connect.sandbox import Fault, FaultKind, Sandbox
from fc_connect.webhook import QueuedEvent
from fc_connect.webhook.handlers import pipeline_handler
from tests.shop import Shop

EVENT = QueuedEvent(
    item_id="1",
    hook="stock",
    event_id="e-1",
    name="StockArrived",
    sender="fluent",
    sha256="",
    packed="",
    accepted_at=datetime(2026, 1, 1, tzinfo=UTC),
    due_at=datetime(2026, 1, 1, tzinfo=UTC),
)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with Sandbox(processing_time=timedelta(0)) as sandbox:
        yield Shop(tmp_path / "shop", sandbox)


def test_an_event_starts_a_run_that_delivers(shop: Shop) -> None:
    handle = pipeline_handler(shop.pipeline_file, stop=threading.Event())
    shop.stock("a.csv", warehouse="W1", rows=3)

    handle(EVENT)
    handle(EVENT)

    assert shop.deliveries().total() == len(shop.deliveries()) == 3


def test_a_file_that_came_while_another_run_was_at_work_is_delivered_too(shop: Shop) -> None:
    handle = pipeline_handler(shop.pipeline_file, stop=threading.Event())
    shop.stock("a.csv", warehouse="W1", rows=3)
    shop.sandbox.inject(Fault(kind=FaultKind.LATENCY, path="*/batch", delay=timedelta(seconds=1)))
    other = threading.Thread(target=shop.run)
    other.start()
    while not any(state.matched for state in shop.sandbox.faults):
        other.join(timeout=0.01)
    shop.stock("b.csv", warehouse="W2", rows=4, age=1)

    handle(EVENT)

    assert shop.deliveries().total() == len(shop.deliveries()) == 7
    other.join()


def test_a_file_that_another_run_holds_is_waited_for(shop: Shop) -> None:
    handle = pipeline_handler(shop.pipeline_file, stop=threading.Event())
    shop.stock("a.csv", warehouse="W1", rows=3)
    shop.sandbox.inject(Fault(kind=FaultKind.LATENCY, path="*/batch", delay=timedelta(seconds=1)))
    other = threading.Thread(target=shop.run)
    other.start()
    while not any(state.matched for state in shop.sandbox.faults):
        other.join(timeout=0.01)

    handle(EVENT)

    assert shop.deliveries().total() == len(shop.deliveries()) == 3
    other.join()


def test_a_run_that_fails_leaves_the_event_to_be_tried_again(shop: Shop) -> None:
    handle = pipeline_handler(shop.pipeline_file, stop=threading.Event())
    shop.put("a.csv", "no,such,columns\n1,2,3\n")

    with pytest.raises(RunError, match=r"pipeline\.json: .*a\.csv"):
        handle(EVENT)


def test_a_receiver_that_stops_leaves_the_event_too(shop: Shop) -> None:
    stop = threading.Event()
    handle = pipeline_handler(shop.pipeline_file, stop=stop)
    shop.stock("a.csv", warehouse="W1", rows=3)
    stop.set()

    with pytest.raises(StoppedError):
        handle(EVENT)


def test_a_pipeline_file_that_is_wrong_is_told_before_the_first_event(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"missing\.yaml"):
        pipeline_handler(tmp_path / "missing.yaml", stop=threading.Event())
