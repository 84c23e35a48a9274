"""Progress events, and listeners that can't hurt a run."""

from __future__ import annotations

import logging
import threading

import pytest

from fc_connect.observe import (
    BatchSent,
    Event,
    FileSkipped,
    Listeners,
    RunStarted,
    correlate,
    current_correlation_id,
)


def test_every_listener_hears_every_event_in_order() -> None:
    first: list[Event] = []
    second: list[Event] = []
    events: list[Event] = [RunStarted(files=1), BatchSent(path="a.csv", number=0, of=1, entities=10)]

    tell = Listeners([first.append, second.append])
    for event in events:
        tell(event)

    assert first == second == events


def test_a_failing_listener_is_logged_once_and_hurts_nobody(caplog: pytest.LogCaptureFixture) -> None:
    heard: list[Event] = []

    def broken(event: Event) -> None:
        raise OSError("the terminal is gone")

    tell = Listeners([broken, heard.append])
    with caplog.at_level(logging.WARNING):
        for number in range(5):
            tell(FileSkipped(path=str(number), reason="is locked"))

    assert len(heard) == 5
    assert len(caplog.records) == 1
    assert "broken failed on FileSkipped" in caplog.text
    assert "the terminal is gone" in caplog.text


def test_each_failing_listener_is_logged_even_where_they_are_equal(caplog: pytest.LogCaptureFixture) -> None:
    def broken(event: Event) -> None:
        raise ValueError("no")

    Listeners([broken, broken])(RunStarted(files=0))

    assert len(caplog.records) == 2


def test_an_interrupt_passes_through() -> None:
    def interrupted(event: Event) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Listeners([interrupted])(RunStarted(files=0))


def test_events_from_many_threads_all_arrive() -> None:
    heard: list[Event] = []
    tell = Listeners([heard.append])
    ready = threading.Barrier(8)

    def work() -> None:
        ready.wait()
        for number in range(100):
            tell(BatchSent(path="a.csv", number=number, of=None, entities=1))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(heard) == 800


def test_a_run_inside_a_run_has_its_own_id() -> None:
    with correlate() as outer:
        with correlate("inner"):
            assert current_correlation_id() == "inner"

        assert current_correlation_id() == outer

    assert current_correlation_id() is None
