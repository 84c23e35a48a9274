"""The store goes away, falls silent or is started anew in the middle of a run."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from fc_connect.pipeline import RunResult
from fc_connect.proof.proxy import Proxy
from fc_connect.proof.toxics import Latency, Timeout
from fc_connect.sandbox import Sandbox
from fc_connect.state.batches import BatchRecord
from fc_connect.state.records import from_entry
from tests.shop import Shop
from tests.stores import Remote, Server

pytestmark = [pytest.mark.service, pytest.mark.crash]

ROWS = 600
BATCHES = ROWS // 10


class Outage:
    """A shop whose state lies behind a proxy, at the same place as seen past it."""

    def __init__(self, folder: Path, sandbox: Sandbox, remote: Remote, server: Server, proxy: Proxy) -> None:
        self.sandbox = sandbox
        self.proxy = proxy
        name = uuid.uuid4().hex
        self.direct = remote.url(server, name=name)
        through = proxy.url(remote.url(server, name=name, is_impatient=True))
        self.shop = Shop(folder, sandbox, pipeline=f"outage-{uuid.uuid4().hex}", state=through)
        self.shop.stock("a.csv", warehouse="W1", rows=ROWS)

    def run_until(self, batches: int, then: Callable[[], object]) -> RunResult:
        """Begin a run, do `then` once the sandbox has so many batches, and return how it ended."""
        results: list[RunResult] = []
        thread = threading.Thread(target=lambda: results.append(self.shop.run()))
        thread.start()
        self.shop.wait_for_batches(batches)
        then()
        thread.join(100)
        assert not thread.is_alive(), "the run hangs"
        return results[0]

    def every_batch_has_its_entry(self) -> bool:
        self.shop.configure(state=self.direct)
        pipeline = self.shop.pipeline()
        with pipeline.open_store() as kv:
            known = {
                from_entry(entry, BatchRecord).sha256
                for entry in kv.list((pipeline.config.pipeline, "batch"))
            }
        return {each.body_sha256 for each in self.sandbox.batches()} <= known

    def the_next_run_delivers_each_record_once(self) -> bool:
        self.shop.configure(state=self.direct)
        pipeline = self.shop.pipeline()
        with pipeline.open_store() as kv:
            state = pipeline.open_state(kv)
            for lock in list(state.locks.list()):  # else they free themselves after their timeout
                state.force_release(lock.name, reason="the run that held it has ended")
        result = pipeline.run()
        assert result.success, result.errors
        assert set(self.shop.deliveries().values()) == {1}
        return len(self.shop.deliveries()) == ROWS


@pytest.fixture
def outage(folder: Path, sandbox: Sandbox, remote: Remote, server: Server, proxy: Proxy) -> Outage:
    return Outage(folder, sandbox, remote, server, proxy)


def test_a_store_that_goes_away_ends_the_run_and_the_next_one_carries_on(outage: Outage) -> None:
    result = outage.run_until(10, outage.proxy.down)

    assert not result.success
    assert "can't be reached" in result.errors[0] or "died during a commit" in result.errors[0]
    assert len(outage.sandbox.batches()) < BATCHES
    assert outage.every_batch_has_its_entry()
    assert outage.the_next_run_delivers_each_record_once()


def test_a_store_that_falls_silent_does_not_hold_up_a_run_for_ever(outage: Outage) -> None:
    def fall_silent() -> None:
        outage.proxy.add(Timeout(), direction="upstream")
        outage.proxy.add(Timeout(), direction="downstream")

    result = outage.run_until(10, fall_silent)

    assert not result.success
    assert "no answer" in result.errors[0] or "Timeout" in result.errors[0] or "within" in result.errors[0]
    assert outage.every_batch_has_its_entry()
    assert outage.the_next_run_delivers_each_record_once()


def test_a_server_that_is_started_anew_in_the_middle_loses_nothing(outage: Outage, server: Server) -> None:
    def restart() -> None:
        server.stop()
        server.start()

    result = outage.run_until(10, restart)

    assert result.success or "can't be reached" in result.errors[0] or "died" in result.errors[0]
    assert result.success or outage.every_batch_has_its_entry()
    assert outage.the_next_run_delivers_each_record_once()


def test_the_command_line_says_what_became_of_the_store(outage: Outage) -> None:
    process = outage.shop.start()
    outage.shop.wait_for_batches(10)
    outage.proxy.down()

    output, _ = process.communicate(timeout=100)

    assert process.returncode == 1, output
    assert "Traceback" not in output
    assert "run again" in " ".join(output.split())


def test_a_slow_store_slows_a_run_and_no_more(outage: Outage) -> None:
    outage.shop.configure(lease={"timeout": "5s"}, target={"batch": {"size": 300, "concurrency": 2}})
    for direction in ("upstream", "downstream"):
        outage.proxy.add(
            Latency(delay=timedelta(milliseconds=20), jitter=timedelta(milliseconds=15)), direction=direction
        )

    result = outage.shop.run()

    assert result.success, result.errors
    assert outage.the_next_run_delivers_each_record_once()
