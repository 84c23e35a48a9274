"""Several processes on one pipeline, and runs that come again and again."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from multiprocessing.connection import Connection
from multiprocessing.connection import wait as wait_for
from pathlib import Path
from typing import Any

from fc_connect.errors import FCConnectError
from fc_connect.observe import Event, Listener, Listeners
from fc_connect.pipeline.pipeline import Pipeline
from fc_connect.pipeline.result import RunResult

__all__ = ["run_workers"]

logger = logging.getLogger(__name__)


def run_workers(
    path: str | Path,
    *,
    count: int,
    wait: bool = False,
    stop: threading.Event,
    listeners: Sequence[Listener] = (),
    prepare: Callable[[], None] | None = None,
) -> RunResult:
    """Run the pipeline file at `path` in `count` processes side by side, and join their results.

    They share the work through the state alone, as processes on other machines would. A worker that dies takes
    nothing with it: its files are carried on by the others or by the next run. `prepare` is called first in each
    process (it must be importable); `stop` ends them all after the batches under way.
    """
    emit = Listeners(listeners)
    began = time.monotonic()
    context = multiprocessing.get_context("spawn")
    workers: dict[Connection, Any] = {}
    for number in range(count):
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(
            target=_work, args=(str(path), wait, theirs, prepare), name=f"fc-connect-worker-{number + 1}"
        )
        process.start()
        theirs.close()
        workers[ours] = process
    results: list[RunResult] = []
    told = False
    while workers:
        if stop.is_set() and not told:
            told = True
            for process in workers.values():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGTERM)
        for ready in wait_for(list(workers), timeout=0.2):
            if not isinstance(ready, Connection):
                continue
            try:
                message = ready.recv()
            except EOFError:
                process = workers.pop(ready)
                process.join()
                ready.close()
                if process.exitcode != 0:
                    results.append(_died(process.name, process.exitcode))
                continue
            if isinstance(message, RunResult):
                results.append(message)
            else:
                emit(message)
    return RunResult.merged(results, duration=timedelta(seconds=time.monotonic() - began))


def _work(path: str, wait: bool, results: Connection, prepare: Callable[[], None] | None) -> None:
    if prepare is not None:
        prepare()
    lock = threading.Lock()  # events come from several threads

    def send(message: Event | RunResult) -> None:
        with lock:
            results.send(message)

    try:
        pipeline = Pipeline.from_file(path, listeners=[send])
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: pipeline.stop())
        result = pipeline.run(wait=wait)
    except FCConnectError as exc:
        result = RunResult.of([], errors=[str(exc)])
    send(result)
    results.close()


def _died(name: str, code: int | None) -> RunResult:
    how = f"was killed by signal {-code}" if code is not None and code < 0 else f"ended with exit code {code}"
    return RunResult.of([], errors=[f"{name} {how}. Nothing is lost: run again to carry on its files."])
