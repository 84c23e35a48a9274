"""The wall clock is set by an hour in the middle of a run, or is another one for each worker: nothing comes of it."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from fc_connect.sandbox import Fault, FaultKind, Sandbox
from tests.servers import MissingServerError, find_program, missing
from tests.shop import Shop

pytestmark = pytest.mark.crash

ROWS = 200
# libfaketime takes the end of an absolute sleep on the monotonic clock for a wall time, and fails: sleep otherwise.
START = (
    "import runpy, threading, time; time.sleep = lambda seconds: threading.Event().wait(seconds); "
    "runpy.run_module('fc_connect', run_name='__main__')"
)


@pytest.fixture(scope="module")
def faketime() -> str:
    try:
        return find_program(
            "libfaketimeMT.so.1",
            package="libfaketime",
            folders=("/usr/lib/*/faketime/libfaketimeMT.so.1",),
        )
    except MissingServerError as exc:
        missing("libfaketime", str(exc))
        raise AssertionError from exc


class Clocked:
    """Starts runs whose wall clock is a file's word."""

    def __init__(self, shop: Shop, library: str) -> None:
        self.shop = shop
        self._library = library

    def set(self, name: str, offset: str) -> None:
        draft = self.shop.folder / f"{name}.part"
        draft.write_text(offset)
        draft.replace(self.shop.folder / name)

    def start(self, name: str) -> subprocess.Popen[str]:
        environment = {
            **os.environ,
            "LD_PRELOAD": self._library,
            "FAKETIME_TIMESTAMP_FILE": str(self.shop.folder / name),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        command = [sys.executable, "-c", START, "run", str(self.shop.pipeline_file), "--wait"]
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
        )


@pytest.fixture
def clocked(folder: Path, sandbox: Sandbox, faketime: str) -> Clocked:
    shop = Shop(folder, sandbox, lease={"timeout": "3s"}, job="daily")
    for number in range(4):
        shop.stock(f"{number}.csv", warehouse=f"W{number}", rows=ROWS, age=number)
    delay = timedelta(milliseconds=30)
    sandbox.inject(Fault(kind=FaultKind.LATENCY, method="POST", path="*/batch", delay=delay, times=10**6))
    return Clocked(shop, faketime)


def ended(process: subprocess.Popen[str]) -> str:
    output, _ = process.communicate(timeout=110)
    assert process.returncode == 0, output
    return output


def test_a_step_of_the_wall_clock_in_a_run_repeats_and_loses_nothing(
    clocked: Clocked, sandbox: Sandbox
) -> None:
    clocked.set("clock", "+0")
    process = clocked.start("clock")
    for batches, offset in [(10, "+1h"), (30, "-1h"), (60, "+0")]:
        clocked.shop.wait_for_batches(batches)
        clocked.set("clock", offset)

    ended(process)

    assert set(clocked.shop.deliveries().values()) == {1}
    assert len(clocked.shop.deliveries()) == 4 * ROWS
    assert len(sandbox.jobs()) == 1


def test_workers_whose_wall_clocks_lie_two_hours_apart_share_the_work(
    clocked: Clocked, sandbox: Sandbox
) -> None:
    clocked.set("early", "-1h")
    clocked.set("late", "+1h")
    workers = [clocked.start("early"), clocked.start("late")]
    clocked.shop.wait_for_batches(20)
    clocked.set("early", "+1h")
    clocked.set("late", "-1h")

    for each in workers:
        ended(each)

    assert set(clocked.shop.deliveries().values()) == {1}
    assert len(clocked.shop.deliveries()) == 4 * ROWS
    assert len(sandbox.jobs()) == 1
