"""Workers that are paused for longer than their lease: none of them writes behind the back of who took over."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import random
import signal
import time
import uuid
from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from fc_connect.errors import KVError, LockHeldError, LockLostError, StateConflictError
from fc_connect.kv import open_kv
from fc_connect.state import StateService
from tests.servers import MissingServerError, missing
from tests.stores import PROXIED

pytestmark = [pytest.mark.service, pytest.mark.crash]

WORKERS = 6
LOCKS = 2
LEASE = timedelta(seconds=1)
SECONDS = float(os.environ.get("FC_CONNECT_PAUSES_SECONDS", "4"))
"""How long the workers are paused and woken; a few minutes find more."""


@pytest.fixture(params=["sqlite", *PROXIED])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/state.db"
        return
    remote = PROXIED[request.param]
    try:
        server = remote.make(tmp_path)
        server.start()
    except MissingServerError as exc:
        missing("A server", str(exc))
        return
    yield remote.url(server)
    server.stop()


def work(url: str, workflow: str, seed: int) -> None:
    """Take locks in turn, and under each write on: number, token, and who."""
    rng = random.Random(seed)
    with open_kv(url) as kv:
        state = StateService(kv, workflow_id=workflow)
        while True:
            name = f"lock-{rng.randrange(LOCKS)}"
            with (
                contextlib.suppress(LockHeldError, LockLostError, KVError),
                state.lock(name, timeout=LEASE, wait=timedelta(milliseconds=200)) as lease,
            ):
                for _ in range(rng.randint(1, 20)):
                    last = kv.get((workflow, "last", name))
                    number = 0 if last is None else last.value["number"] + 1
                    entry = {"number": number, "token": lease.token, "pid": os.getpid()}
                    # No check of what was read: only the lease keeps others out.
                    write = kv.atomic().set((workflow, "last", name), entry)
                    with contextlib.suppress(StateConflictError):
                        lease.commit(write.set((workflow, "log", name, uuid.uuid4().hex), entry))
                    time.sleep(rng.uniform(0, 0.02))


def test_a_paused_worker_never_writes_once_another_has_the_lock(url: str) -> None:
    workflow = uuid.uuid4().hex
    rng = random.Random(7)
    open_kv(url).close()
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=work, args=(url, workflow, seed)) for seed in range(WORKERS)]
    for each in workers:
        each.start()
    try:
        with open_kv(url) as kv:
            deadline = time.monotonic() + 60
            while next(iter(kv.list((workflow, "log"), limit=1)), None) is None:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        paused = 0
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            chosen = rng.sample(workers, rng.randint(1, WORKERS // 2))
            for each in chosen:
                os.kill(each.pid or 0, signal.SIGSTOP)
            paused += len(chosen)
            time.sleep(LEASE.total_seconds() * rng.uniform(1.05, 1.8))
            for each in chosen:
                os.kill(each.pid or 0, signal.SIGCONT)
            time.sleep(rng.uniform(0.05, 0.5))
    finally:
        for each in workers:
            each.kill()
            each.join()

    with open_kv(url) as kv:
        logs: dict[str, list[tuple[str, int, int]]] = defaultdict(list)
        for entry in kv.list((workflow, "log")):
            logs[str(entry.key[2])].append((entry.versionstamp, entry.value["number"], entry.value["token"]))
    assert paused >= 2
    for name, log in logs.items():
        log.sort()  # by versionstamp: in the order in which the store took them
        assert [number for _, number, _ in log] == list(range(len(log))), f"{name}: two wrote at once"
        tokens = [token for _, _, token in log]
        assert tokens == sorted(tokens), f"{name}: an old token wrote after a newer one"
        assert len(set(tokens)) > 2
