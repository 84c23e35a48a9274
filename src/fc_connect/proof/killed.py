"""Histories whose clients are processes, some of which are killed in the middle of what they do."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import tempfile
import threading
import time
import uuid
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from fc_connect.kv import open_kv
from fc_connect.proof.histories import SPACE, Log, history_of, read_all, remove_all, work_on_keys
from fc_connect.proof.history import History, Operation, Outcome, frozen

__all__ = ["record_killed"]

_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(["fc_connect.proof.killed", "fc_connect.kv.sqlite"])


def record_killed(
    url: str, *, seed: int, clients: int = 4, operations: int = 60, kills: int = 2, within: float = 0.06
) -> History:
    """Record a history of processes, `kills` of which get a SIGKILL within so many seconds from the start.

    What a killed process was about is of unknown outcome. The store must be one that processes share.
    """
    rng = random.Random(f"{seed}/kills")
    space = (SPACE, uuid.uuid4().hex)
    deaths = {number: rng.uniform(0, within) for number in rng.sample(range(clients), kills)}
    with tempfile.TemporaryDirectory(prefix="fc-connect-killed-") as folder:
        paths = [Path(folder) / f"{number}.jsonl" for number in range(clients)]
        started = []
        for number, path in enumerate(paths):
            ours, theirs = _processes.Pipe()
            process = _processes.Process(
                target=_be_client,
                args=(theirs, url, space, seed, operations // clients, number, path, deaths.get(number)),
                daemon=True,
            )
            process.start()
            theirs.close()
            started.append((process, ours))
        for _, connection in started:
            connection.recv()
        for _, connection in started:
            connection.send("go")
        for process, connection in started:
            process.join(60)
            connection.close()
        broken = [p.exitcode for p, _ in started if p.exitcode not in {0, -signal.SIGKILL}]
        if broken:
            raise RuntimeError(f"A client of the history ended with {broken[0]}; its error is above.")
        logs = [_read(path, number) for number, path in enumerate(paths)]
    last = Log(clients)
    with open_kv(url) as kv:
        try:
            read_all(kv, space, last)
        finally:
            remove_all(kv, space)
        return history_of("kv", [*logs, last], seed=seed, store=kv, trouble="kill -9")


def _be_client(
    connection: Connection,
    url: str,
    space: tuple[str, ...],
    seed: int,
    operations: int,
    number: int,
    path: Path,
    dies_after: float | None,
) -> None:
    def die(after: float) -> None:
        time.sleep(after)
        os.kill(os.getpid(), signal.SIGKILL)

    with open_kv(url) as kv:
        log = _FileLog(number, path)
        connection.send("ready")
        connection.recv()
        if dies_after is not None:
            threading.Thread(target=die, args=(dies_after,), daemon=True).start()
        work_on_keys(kv, space, seed=seed, operations=operations, log=log)


class _FileLog(Log):
    """Writes each line at once: what is in the file outlives the process."""

    def __init__(self, client: int, path: Path) -> None:
        super().__init__(client)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def begin(self, invoked: int, calls: Sequence[tuple[Any, ...]]) -> None:
        self._write([invoked, calls])

    def end(
        self, invoked: int, calls: Sequence[tuple[Any, ...]], outcome: Outcome, results: Sequence[Any]
    ) -> None:
        super().end(invoked, calls, outcome, results)
        self._write([outcome, time.monotonic_ns(), results])

    def _write(self, fields: Sequence[Any]) -> None:
        os.write(self._file, json.dumps(fields).encode() + b"\n")


def _read(path: Path, number: int) -> Log:
    log = Log(number)
    lines = [frozen(json.loads(line)) for line in path.read_text().splitlines()] if path.exists() else []
    ends: list[Any] = [*lines[1::2]]
    if len(lines) % 2:
        ends.append((Outcome.UNKNOWN, lines[-1][0], (None,) * len(lines[-1][1])))
    for (invoked, calls), (outcome, returned, results) in zip(lines[::2], ends, strict=True):
        for call, result in zip(calls, results, strict=True):
            log.operations.append(
                Operation(
                    client=number,
                    call=call,
                    result=result,
                    outcome=Outcome(outcome),
                    invoked=invoked,
                    returned=returned,
                )
            )
    return log
