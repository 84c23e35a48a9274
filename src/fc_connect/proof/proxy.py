"""A TCP proxy that does to a connection what a network does on its worst days, at a word from the test.

    with Proxy("127.0.0.1", 6379, seed=7) as proxy:
        kv = open_kv(proxy.url("redis://127.0.0.1:6379/0"))
        with proxy.toxic(LimitData(max_bytes=10), direction="downstream"):
            ...

Without a toxic it forwards faithfully: bytes, their order, half-closed streams and resets. One thread serves all
connections, and alone touches them; whoever asks for a change waits until it is made.
"""

from __future__ import annotations

import contextlib
import math
import random
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from types import TracebackType
from typing import Literal, Self, TypeVar
from urllib.parse import urlsplit, urlunsplit

from fc_connect.proof.link import Applied, Connection, Direction
from fc_connect.proof.toxics import Kind, Toxic

__all__ = ["Direction", "Proxy"]

T = TypeVar("T")

_PORTS = {"redis": 6379, "postgresql": 5432, "postgres": 5432, "nats": 4222, "http": 80, "https": 443}


class Proxy:
    """Listens on a spare port of the loopback interface and forwards to `host` and `port`.

    Stops listening, cuts what is open and ends its thread at `close()`, or at the end of its `with` block.
    """

    def __init__(self, host: str, port: int, *, seed: int = 0) -> None:
        self.target = (host, port)
        self.seed = seed
        self._passed: dict[Direction, int] = {"upstream": 0, "downstream": 0}
        self.accepted = 0
        """Connections since the start."""
        self._applied: list[Applied] = []
        self._connections: list[Connection] = []
        self._selector = selectors.DefaultSelector()
        self._tasks: deque[Callable[[], None]] = deque()
        self._alarm, self._bell = socket.socketpair()
        self._alarm.setblocking(False)
        self._selector.register(self._alarm, selectors.EVENT_READ, self._hear)
        self._listener: socket.socket | None = None
        self._is_closed = False
        self.port = self._listen(0)
        self._thread = threading.Thread(target=self._run, name=f"fc-connect-proxy-{self.port}", daemon=True)
        self._thread.start()

    @classmethod
    def before(cls, url: str, *, seed: int = 0) -> Self:
        """Make a proxy before the server that `url` names."""
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme)
        if parts.hostname is None or port is None:
            raise ValueError(f"{parts.scheme}: names no server that a proxy could stand before.")
        return cls(parts.hostname, port, seed=seed)

    @property
    def address(self) -> tuple[str, int]:
        """Where clients connect to."""
        return "127.0.0.1", self.port

    def url(self, url: str) -> str:
        """Return `url` with this proxy in the place of its server; all else in it stays."""
        parts = urlsplit(url)
        user, at, _ = parts.netloc.rpartition("@")
        return urlunsplit(parts._replace(netloc=f"{user}{at}127.0.0.1:{self.port}"))

    def add(
        self, toxic: Toxic, *, direction: Direction, toxicity: float = 1.0, spares_new: bool = False
    ) -> Callable[[], None]:
        """Let `toxic` loose on open and (unless it `spares_new`) on new connections; return what takes it back.

        With a `toxicity` below 1 only so many of them are hit, by chance. Toxics of one direction act in the order of
        their addition. What a removed toxic held goes on its way at once.
        """
        applied = Applied(toxic=toxic, direction=direction, toxicity=toxicity)

        def add() -> None:
            if not spares_new:
                self._applied.append(applied)
            for each in self._connections:
                each.ways[direction].begin(applied, time.monotonic())

        self._do(add)
        return lambda: self._do(lambda: self._remove([applied]))

    @contextmanager
    def toxic(
        self, toxic: Toxic, *, direction: Direction, toxicity: float = 1.0, spares_new: bool = False
    ) -> Iterator[None]:
        """Let `toxic` loose for the block."""
        remove = self.add(toxic, direction=direction, toxicity=toxicity, spares_new=spares_new)
        try:
            yield
        finally:
            remove()

    def clear(self) -> None:
        """Take every toxic back."""
        self._do(lambda: self._remove(list(self._applied)))

    def down(self) -> None:
        """Refuse new connections, and cut those that are open."""

        def stop_listening() -> None:
            self._stop_listening()
            self._cut_all(Kind.RESET)

        self._do(stop_listening)

    def up(self) -> None:
        """Accept connections again, on the same port."""
        self._do(lambda: self._listener or self._listen(self.port))

    def cut(self, kind: Literal[Kind.CLOSE, Kind.RESET] = Kind.RESET) -> int:
        """Cut every connection now, and return how many there were."""
        return self._do(lambda: self._cut_all(kind))

    @property
    def passed(self) -> dict[Direction, int]:
        """Bytes that were passed on so far, of all connections together."""
        return self._do(lambda: dict(self._passed))

    @property
    def open_connections(self) -> int:
        """How many there are now."""
        return self._do(lambda: len(self._connections))

    def close(self) -> None:
        """Leave nothing behind: no port, no connection, no thread. Twice is no fault."""
        if self._is_closed:
            return

        def end() -> None:
            self._is_closed = True

        self._do(end)
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # What follows runs on the proxy's own thread (the first _listen excepted).

    def _run(self) -> None:
        try:
            while not self._is_closed:
                for key, mask in self._selector.select(self._until_next()):
                    key.data(mask)
                while self._tasks:
                    self._tasks.popleft()()
                now = time.monotonic()
                for connection in list(self._connections):
                    connection.advance(now)
                self._connections = [each for each in self._connections if not each.is_over]
        finally:
            self._stop_listening()
            self._cut_all(Kind.RESET)
            self._selector.close()
            self._alarm.close()
            self._bell.close()

    def _until_next(self) -> float | None:
        nearest = min((each.next_event() for each in self._connections), default=math.inf)
        return None if nearest == math.inf else max(0.0, nearest - time.monotonic())

    def _do(self, task: Callable[[], T]) -> T:
        if self._is_closed:
            raise ValueError("This proxy was closed.")
        done: Future[T] = Future()

        def run() -> None:
            try:
                done.set_result(task())
            except Exception as exc:  # noqa: BLE001 (whoever asked gets to see it)
                done.set_exception(exc)

        self._tasks.append(run)
        with contextlib.suppress(
            OSError
        ):  # the thread may have found the task already, and it may be the last
            self._bell.send(b"!")
        return done.result(timeout=30)

    def _hear(self, mask: int) -> None:
        with contextlib.suppress(BlockingIOError):
            self._alarm.recv(4096)

    def _listen(self, port: int) -> int:
        listener = socket.create_server(("127.0.0.1", port), backlog=256)
        listener.setblocking(False)
        self._selector.register(listener, selectors.EVENT_READ, self._accept)
        self._listener = listener
        bound: int = listener.getsockname()[1]
        return bound

    def _stop_listening(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            self._selector.unregister(listener)
            listener.close()

    def _accept(self, mask: int) -> None:
        while self._listener is not None:
            try:
                client, _ = self._listener.accept()
            except OSError:  # nobody waits any more
                return
            connection = Connection(client, self.target, self._selector, self._passed)
            now = time.monotonic()
            for direction, way in connection.ways.items():
                # Of its own, so that what befalls a connection doesn't hang on how others are scheduled.
                way.rng = random.Random(f"{self.seed}/{self.accepted}/{direction}")
                for applied in self._applied:
                    if applied.direction == direction:
                        way.begin(applied, now)
            self.accepted += 1
            self._connections.append(connection)

    def _remove(self, gone: Sequence[Applied]) -> None:
        self._applied = [each for each in self._applied if each not in gone]
        for connection in self._connections:
            for applied in gone:
                connection.ways[applied.direction].end(applied, time.monotonic())

    def _cut_all(self, kind: Kind) -> int:
        count = len(self._connections)
        for each in self._connections:
            each.cut(kind)
        self._connections = []
        return count
