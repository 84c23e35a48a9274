"""The parts of `threading` and `concurrent.futures` that the code under test uses, over virtual threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

from tests.simulation import world
from tests.simulation.world import Killed, here

__all__ = ["Event", "FutureShim", "PoolShim", "threading_shim", "wait_shim"]


class Event:
    """As `threading.Event`."""

    def __init__(self) -> None:
        self._is_set = False
        self._waiting: list[world.Thread] = []

    def is_set(self) -> bool:
        return self._is_set

    def set(self) -> None:
        self._is_set = True
        waiting, self._waiting = self._waiting, []
        for thread in waiting:
            here().wake(thread)

    def wait(self, timeout: float | None = None) -> bool:
        now = here()
        until = None if timeout is None else now.now + timeout
        while not self._is_set:
            if until is not None and now.now >= until:
                break
            thread = now.current
            assert thread is not None
            self._waiting.append(thread)
            now.park(None if until is None else until - now.now)
            if not self._is_set:
                self._waiting.remove(thread)
        return self._is_set


class RLock:
    """As `threading.RLock`; a `Lock` is one that nobody takes twice."""

    def __init__(self) -> None:
        self._owner: world.Thread | None = None
        self._depth = 0
        self._waiting: deque[world.Thread] = deque()

    def acquire(self) -> bool:
        now = here()
        thread = now.current
        assert thread is not None
        while self._owner is not None and self._owner is not thread:
            self._waiting.append(thread)
            now.park()
        self._owner = thread
        self._depth += 1
        return True

    def release(self) -> None:
        self._depth -= 1
        if self._depth == 0:
            self._owner = None
            while self._waiting:
                thread = self._waiting.popleft()
                if not thread.is_over:
                    here().wake(thread)
                    break

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


class Condition:
    """As `threading.Condition`."""

    def __init__(self) -> None:
        self._lock = RLock()
        self._waiting: list[world.Thread] = []

    def __enter__(self) -> bool:
        return self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def wait_for(self, predicate: Callable[[], bool]) -> bool:
        now = here()
        while not predicate():
            thread = now.current
            assert thread is not None
            self._waiting.append(thread)
            self._lock.release()
            try:
                now.park()
            finally:
                self._lock.acquire()
        return True

    def notify_all(self) -> None:
        waiting, self._waiting = self._waiting, []
        for thread in waiting:
            here().wake(thread)


class ThreadShim:
    """As `threading.Thread`, of the process of the thread that starts it."""

    def __init__(
        self, *, target: Callable[..., object], name: str = "", daemon: bool = True, args: Iterable[Any] = ()
    ) -> None:
        current = here().current
        assert current is not None
        self._thread = world.Thread(current.process, lambda: target(*args), name)
        self._thread.shim = self
        self.name = name
        self.daemon = daemon

    def start(self) -> None:
        if self._thread.process.is_dead:
            raise Killed
        self._thread.start()

    def is_alive(self) -> bool:
        return not self._thread.is_over

    def join(self, timeout: float | None = None) -> None:
        now = here()
        while not self._thread.is_over:
            assert now.current is not None
            self._thread.joiners.append(now.current)
            now.park(timeout)
            if timeout is not None:
                return


class FutureShim:
    """As `Future`."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self._call = call
        self._result: Any = None
        self._error: BaseException | None = None
        self.is_done = False
        self.is_begun = False
        self.on_done: list[Event] = []

    def run(self) -> None:
        if self.is_done:
            return
        self.is_begun = True
        try:
            self._result = self._call()
        except Killed:
            raise
        except BaseException as exc:  # noqa: BLE001 (handed to whoever asks for the result)
            self._error = exc
        self._finish()

    def cancel(self) -> bool:
        if not self.is_begun and not self.is_done:
            self._error = RuntimeError("cancelled")
            self._finish()
        return not self.is_begun

    def exception(self) -> BaseException | None:
        self._wait()
        return self._error

    def result(self) -> Any:
        self._wait()
        if self._error is not None:
            raise self._error
        return self._result

    def _wait(self) -> None:
        while not self.is_done:
            done = Event()
            self.on_done.append(done)
            done.wait()

    def _finish(self) -> None:
        self.is_done = True
        for event in self.on_done:
            event.set()


class PoolShim:
    """As `ThreadPoolExecutor`."""

    def __init__(self, size: int, *, thread_name_prefix: str = "") -> None:
        self._size = size
        self._name = thread_name_prefix
        self._todo: deque[FutureShim] = deque()
        self._threads: list[ThreadShim] = []
        self._busy = 0

    def submit(self, call: Callable[..., Any], *args: Any) -> FutureShim:
        future = FutureShim(lambda: call(*args))
        self._todo.append(future)
        if self._busy < self._size:
            self._busy += 1
            thread = ThreadShim(target=self._work, name=f"{self._name}_{len(self._threads)}")
            self._threads.append(thread)
            thread.start()
        return future

    def _work(self) -> None:
        while self._todo:
            self._todo.popleft().run()
        self._busy -= 1

    def __enter__(self) -> PoolShim:
        return self

    def __exit__(self, *_: object) -> None:
        for thread in self._threads:
            thread.join()


def wait_shim(futures: Iterable[FutureShim], *, return_when: str) -> None:
    """As `concurrent.futures.wait` with FIRST_EXCEPTION."""
    futures = list(futures)
    while not all(each.is_done for each in futures):
        if any(each.is_done and each._error is not None for each in futures):
            return
        changed = Event()
        for each in futures:
            if not each.is_done:
                each.on_done.append(changed)
        changed.wait()


def _current_thread() -> object:
    current = here().current
    assert current is not None
    return current.shim or current


def threading_shim() -> SimpleNamespace:
    """Return what stands for the module `threading`."""
    return SimpleNamespace(
        Condition=Condition,
        Event=Event,
        Lock=RLock,
        RLock=RLock,
        Thread=ThreadShim,
        current_thread=_current_thread,
    )
