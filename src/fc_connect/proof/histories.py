"""Concurrent histories of a real store: many clients at once, while something disturbs them.

What a client does is decided by the seed; how clients meet isn't. So a history is saved to be judged again, and a seed
is played again to see whether the like comes back.
"""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any, Protocol

from fc_connect.errors import (
    KVCommitUnknownError,
    KVUnavailableError,
    LockHeldError,
    LockLostError,
    StateConflictError,
)
from fc_connect.kv import KVStore
from fc_connect.proof.history import History, Operation, Outcome
from fc_connect.state import Lease, StateService

__all__ = [
    "SPACE",
    "Disturbance",
    "Log",
    "history_of",
    "read_all",
    "record",
    "record_leases",
    "remove_all",
    "work_on_keys",
]

SPACE = "fc-connect-proof"
"""The first part of every key that a recording touches; the second is new each time. Nothing is left below it."""

KEYS = 4
_LEASE = timedelta(milliseconds=150)
_LIFETIMES = (20, 40, 80)  # milliseconds


class Disturbance(Protocol):
    """Something that makes trouble while a history is recorded."""

    def __call__(self, rng: random.Random, stop: threading.Event) -> None:
        """Make trouble until `stop` is set, and leave everything in order."""
        ...


class Log:
    """Notes the operations of one client."""

    def __init__(self, client: int) -> None:
        self.client = client
        self.operations: list[Operation] = []

    def begin(self, invoked: int, calls: Sequence[tuple[Any, ...]]) -> None:
        """Note what is about to be asked, in case no answer is ever noted."""

    def end(
        self, invoked: int, calls: Sequence[tuple[Any, ...]], outcome: Outcome, results: Sequence[Any]
    ) -> None:
        """Note the answers to `calls`, asked together."""
        returned = time.monotonic_ns()
        for call, result in zip(calls, results, strict=True):
            self.operations.append(
                Operation(
                    client=self.client,
                    call=call,
                    result=result,
                    outcome=outcome,
                    invoked=invoked,
                    returned=returned,
                )
            )

    def ask(
        self, calls: Sequence[tuple[Any, ...]], answer: Callable[[], Sequence[Any]]
    ) -> Sequence[Any] | None:
        """Ask, and note what came of it; None where there was no answer."""
        invoked = time.monotonic_ns()
        self.begin(invoked, calls)
        outcome, results = Outcome.DONE, None
        try:
            results = answer()
        except KVCommitUnknownError:
            outcome = Outcome.UNKNOWN
        except KVUnavailableError:  # nothing was written, it says: should that not be so, it shows
            outcome = Outcome.FAILED
        self.end(invoked, calls, outcome, results if results is not None else [None] * len(calls))
        return results


def record(
    stores: Sequence[KVStore],
    *,
    seed: int,
    operations: int = 40,
    disturbance: Disturbance | None = None,
    quiet: KVStore | None = None,
) -> History:
    """Record gets, lists and commits of a few keys by one client for each of `stores`, at once.

    A store may stand there more than once. `quiet` is a way to the store that nothing disturbs: by it every key is
    read once more at the end, so that what got lost shows, and what was written is removed.
    """
    space = (SPACE, uuid.uuid4().hex)
    logs = [Log(number) for number in range(len(stores) + 1)]
    share = max(1, operations // len(stores))

    def work(number: int) -> None:
        work_on_keys(stores[number], space, seed=seed, operations=share, log=logs[number])

    _together(len(stores), work, random.Random(f"{seed}/disturbance"), disturbance)
    kv = quiet or stores[0]
    try:
        read_all(kv, space, logs[-1])
    finally:
        remove_all(kv, space)
    return history_of("kv", logs, seed=seed, store=kv, trouble=_named(disturbance))


def read_all(kv: KVStore, space: tuple[str, ...], log: Log) -> None:
    """Read every key at the end of a history."""
    for key in range(KEYS):
        log.ask([("get", key)], lambda key=key: [_answer(kv, (*space, key))])  # type: ignore[misc]


def work_on_keys(kv: KVStore, space: tuple[str, ...], *, seed: int, operations: int, log: Log) -> None:
    """Do one client's part: `operations` on a few keys below `space`, as `seed` and the log's client decide."""
    rng = random.Random(f"{seed}/{log.client}")
    known: dict[int, str | None] = {}  # the versions this client saw last

    def look(key: int) -> None:
        answers = log.ask([("get", key)], lambda: [_answer(kv, (*space, key))])
        if answers is not None:
            known[key] = answers[0][1] if answers[0] else None

    def look_at_many(keys: Sequence[int]) -> None:
        def answer() -> list[Any]:
            entries = kv.get_many([(*space, key) for key in keys])
            return [None if entry is None else (entry.value, entry.versionstamp) for entry in entries]

        log.ask([("get", key) for key in keys], answer)

    def list_all() -> None:
        def answer() -> list[Any]:
            found = {entry.key[-1]: (entry.value, entry.versionstamp) for entry in kv.list(space)}
            return [tuple(found.get(key) for key in range(KEYS))]

        log.ask([("snapshot", tuple(range(KEYS)))], answer)

    def commit(checks: dict[int, str | None], sets: dict[int, int | None], deletes: Sequence[int]) -> None:
        value = f"{log.client}.{len(log.operations)}"
        written = tuple((key, value, lifetime) for key, lifetime in sets.items())
        call = ("commit", tuple(checks.items()), written, tuple(deletes))

        def answer() -> list[Any]:
            if not checks and len(sets) + len(deletes) == 1:  # the plain calls for what needs no commit
                for key, _, lifetime in written:
                    return [(True, kv.set((*space, key), value, expire_in=_time(lifetime)))]
                kv.delete((*space, deletes[0]))
                return [(True, None)]
            write = kv.atomic()
            for key, versionstamp in checks.items():
                write.check((*space, key), versionstamp)
            for key, _, lifetime in written:
                write.set((*space, key), value, expire_in=_time(lifetime))
            for key in deletes:
                write.delete((*space, key))
            result = write.commit()
            return [(result.ok, result.versionstamp if sets else None)]

        answers = log.ask([call], answer)
        if answers is not None and answers[0][0]:
            known.update(dict.fromkeys(sets, answers[0][1]))
            known.update(dict.fromkeys(deletes))

    for _ in range(operations):
        dice = rng.random()
        key = rng.randrange(KEYS)
        lifetime = rng.choice(_LIFETIMES) if rng.random() < 0.25 else None
        if dice < 0.25:
            look(key)
        elif dice < 0.30:
            look_at_many(rng.sample(range(KEYS), 2))
        elif dice < 0.37:
            list_all()
        elif dice < 0.45:
            commit({}, {key: lifetime}, [])
        elif dice < 0.52:
            commit({}, {}, [key])
        elif dice < 0.60:
            commit({key: None}, {key: lifetime}, [])
        elif dice < 0.75:
            commit({key: known.get(key)}, {key: lifetime}, [])
        elif dice < 0.80:
            commit({key: known.get(key)}, {}, [key])
        else:
            checked, set_, deleted = (rng.sample(range(KEYS), count) for count in (2, 2, 1))
            commit(
                {each: known.get(each) for each in checked[: rng.randrange(3)]},
                {each: lifetime if rng.random() < 0.5 else None for each in set_},
                [each for each in deleted if each not in set_ and rng.random() < 0.3],
            )
        if rng.random() < 0.1:
            time.sleep(rng.uniform(0, 0.01))


def record_leases(
    stores: Sequence[KVStore],
    *,
    seed: int,
    operations: int = 40,
    disturbance: Disturbance | None = None,
    quiet: KVStore | None = None,
) -> History:
    """Record how one client for each of `stores` takes, renews, loses and frees one lock, and writes under it.

    Some clients hang for longer than the lock lasts, with nobody to renew it, and then write.
    """
    name = uuid.uuid4().hex
    value_key = (SPACE, "value", name)
    logs = [Log(number) for number in range(len(stores) + 1)]
    share = max(1, operations // len(stores))

    states = [StateService(each, workflow_id=SPACE) for each in stores]

    def work(number: int) -> None:
        worker = _LeaseWorker(
            states[number],
            name,
            value_key,
            logs[number],
            random.Random(f"{seed}/{number}"),
            disturbance is not None,
        )
        worker.run(share)

    _together(len(stores), work, random.Random(f"{seed}/disturbance"), disturbance)
    kv = quiet or stores[0]
    try:
        logs[-1].ask([("read",)], lambda: [_value(kv, value_key)])
    finally:
        for key in (value_key, (SPACE, "lock", name), (SPACE, "fence", name), (SPACE, "schema")):
            kv.delete(key)
    return history_of("lease", logs, seed=seed, store=kv, trouble=_named(disturbance))


class _LeaseWorker:
    def __init__(
        self,
        state: StateService,
        name: str,
        value_key: tuple[str, ...],
        log: Log,
        rng: random.Random,
        is_disturbed: bool,
    ) -> None:
        self._state = state
        self._name = name
        self._value_key = value_key
        self._log = log
        self._rng = rng
        self._is_disturbed = is_disturbed
        self._lease: Lease | None = None
        self._milliseconds = _LEASE // timedelta(milliseconds=1)

    def run(self, operations: int) -> None:
        try:
            for _ in range(operations):
                self._do_one()
                if self._rng.random() < 0.3:
                    time.sleep(self._rng.uniform(0, 0.005))
        finally:
            if self._lease is not None:
                self._release(self._lease)

    def _do_one(self) -> None:
        dice = self._rng.random()
        if dice < 0.15:
            self._log.ask([("read",)], lambda: [_value(self._state.kv, self._value_key)])
        elif dice < 0.18:
            self._force()
        elif self._lease is None:
            self._acquire()
        elif dice < 0.30:
            self._pause(self._lease)
        elif dice < 0.45:
            self._renew(self._lease)
        elif dice < 0.60:
            self._release(self._lease)
        else:
            self._write(self._lease)

    def _acquire(self) -> None:
        call = ("acquire", self._milliseconds)
        invoked = time.monotonic_ns()
        outcome, result = Outcome.DONE, None
        try:
            self._lease = self._state.lock(self._name, timeout=_LEASE)
            result = (self._lease.token,)
        except LockHeldError as exc:
            if exc.owner == "another worker":  # it may be free by now, or its commit's outcome unknown
                outcome = Outcome.UNKNOWN if self._is_disturbed else Outcome.FAILED
        except (KVUnavailableError, KVCommitUnknownError):
            outcome = Outcome.UNKNOWN  # the commit may have arrived before the store went away
        self._log.end(invoked, [call], outcome, [result])

    def _write(self, lease: Lease) -> None:
        value = f"{self._log.client}.{len(self._log.operations)}"
        write = self._state.kv.atomic().set(self._value_key, value)
        self._refusable(("write", lease.token, value), lambda: lease.commit(write))

    def _renew(self, lease: Lease) -> None:
        call = ("renew", lease.token, self._milliseconds)
        self._refusable(call, lease.renew, is_unknown=self._is_disturbed)

    def _refusable(
        self, call: tuple[Any, ...], act: Callable[[], object], *, is_unknown: bool = False
    ) -> None:
        """Ask for what a lost lock refuses. `is_unknown`: an outage says nothing of what was done before it."""

        def answer() -> list[Any]:
            try:
                act()
            except (LockLostError, StateConflictError):
                return [False]
            except KVUnavailableError as exc:
                if is_unknown:
                    raise KVCommitUnknownError(str(exc)) from exc
                raise
            return [True]

        answers = self._log.ask([call], answer)
        if answers is not None and not answers[0]:
            self._lease = None  # its thread ends by itself, as the lock is lost

    def _pause(self, lease: Lease) -> None:
        """Hang: nobody renews the lock from here on."""
        invoked = time.monotonic_ns()
        lease._stop.set()
        lease._thread.join()
        if not self._is_disturbed:  # else a renewal may still be on its way
            self._log.end(invoked, [("pause", lease.token, self._milliseconds)], Outcome.DONE, [True])
        time.sleep(_LEASE.total_seconds() * self._rng.choice([0.2, 0.9, 1.2]))

    def _release(self, lease: Lease) -> None:
        lease._stop.set()
        lease._thread.join()
        invoked = time.monotonic_ns()
        outcome = Outcome.UNKNOWN if self._is_disturbed else Outcome.DONE
        if lease.lost.is_set():  # nothing is asked of the store then: what it holds expires by itself
            outcome = Outcome.FAILED
        with suppress(KVUnavailableError):
            lease.release()
        self._log.end(invoked, [("release", lease.token)], outcome, [True])
        self._lease = None

    def _force(self) -> None:
        def answer() -> list[Any]:
            try:
                was = self._state.force_release(self._name, reason="a history is recorded")
            except StateConflictError as exc:
                raise KVUnavailableError("it changed just now") from exc
            if was is None:
                raise KVUnavailableError("there was none")
            return [True]

        self._log.ask([("force",)], answer)


def _together(
    clients: int,
    work: Callable[[int], None],
    rng: random.Random,
    disturbance: Disturbance | None,
) -> None:
    """Do `work` for each client at once, while the disturbance lasts; raise what one of them raised."""
    ready = threading.Barrier(clients)
    stop = threading.Event()
    errors: list[BaseException] = []

    def guarded(task: Callable[[], None]) -> None:
        try:
            task()
        except BaseException as exc:  # noqa: BLE001 (raised again below, on the caller's thread)
            errors.append(exc)
            ready.abort()

    def begin(number: int) -> None:
        with suppress(threading.BrokenBarrierError):
            ready.wait()
            work(number)

    threads = [
        threading.Thread(target=guarded, args=(lambda number=number: begin(number),), daemon=True)
        for number in range(clients)
    ]
    trouble = None
    if disturbance is not None:
        trouble = threading.Thread(target=guarded, args=(lambda: disturbance(rng, stop),), daemon=True)
        trouble.start()
    try:
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    finally:
        stop.set()
        if trouble is not None:
            trouble.join()
    if errors:
        raise errors[0]


def remove_all(kv: KVStore, space: tuple[str, ...]) -> None:
    """Remove everything below `space`."""
    for entry in kv.list(space):
        kv.delete(entry.key)


def history_of(model: str, logs: Sequence[Log], *, seed: int, store: KVStore, trouble: str | None) -> History:
    """Put the clients' logs together."""
    operations = sorted((each for log in logs for each in log.operations), key=lambda each: each.invoked)
    about = {"seed": seed, "store": type(store).__name__, "clients": len(logs) - 1, "trouble": trouble}
    return History(model=model, operations=tuple(operations), about=about)


def _named(disturbance: Disturbance | None) -> str | None:
    return None if disturbance is None else type(disturbance).__name__


def _answer(kv: KVStore, key: tuple[str | int, ...]) -> tuple[Any, str] | None:
    entry = kv.get(key)
    return None if entry is None else (entry.value, entry.versionstamp)


def _value(kv: KVStore, key: tuple[str, ...]) -> Any:
    entry = kv.get(key)
    return None if entry is None else entry.value


def _time(milliseconds: int | None) -> timedelta | None:
    return None if milliseconds is None else timedelta(milliseconds=milliseconds)
