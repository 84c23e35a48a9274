"""The connections of one source: driven by a thread of their own, shared by all operations, bounded in number."""

from __future__ import annotations

import asyncio
import logging
import random
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from concurrent.futures import CancelledError, Future
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any, Final, TypeVar

import asyncssh

from fc_connect.clock import Clock
from fc_connect.errors import SourceError, SourceUnavailableError
from fc_connect.sources.sftp_errors import BROKEN, mapped_errors

__all__ = ["Link", "Session"]

logger = logging.getLogger(__name__)

T = TypeVar("T")

_FIRST_WAIT = timedelta(milliseconds=200)
_LONGEST_WAIT = timedelta(seconds=10)
_CLOSING_SECONDS: Final = 2.0
_REST_SECONDS: Final = 60.0
_AT_ONCE: Final = 2
"""Operations on a connection before another one is made."""


class Session:
    """One connection and the SFTP session on it. Any number of operations ask it at once."""

    def __init__(
        self,
        connection: asyncssh.SSHClientConnection,
        sftp: asyncssh.SFTPClient,
        *,
        stall_seconds: float,
        naming: asyncio.Lock,
    ) -> None:
        self.sftp = sftp
        self.naming = naming
        """Held while a new name is looked at and taken: not every server's rename spares what is there. Shared by all
        sessions of a source.
        """
        self._connection = connection
        self._stall_seconds = stall_seconds
        self._heard_at = 0.0
        self._is_given_up = False

    @property
    def is_open(self) -> bool:
        return not self._is_given_up and not self._connection.is_closed()

    def heard(self) -> None:
        """Note that the server answered something."""
        self._heard_at = asyncio.get_running_loop().time()

    async def ask(self, request: Awaitable[T]) -> T:
        """Wait for an answer as long as the server answers anything at all on this connection.

        Raises:
            TimeoutError: it stalled; the connection is cut, for all who use it.
        """
        loop = asyncio.get_running_loop()
        task = asyncio.ensure_future(request)
        asked_at = loop.time()
        try:
            while not task.done():
                silent = loop.time() - max(asked_at, self._heard_at)
                if silent >= self._stall_seconds:
                    raise TimeoutError(
                        f"the server said nothing for {self._stall_seconds:g} s (stall_timeout)"
                    )
                await asyncio.wait({task}, timeout=self._stall_seconds - silent)
            answer = task.result()
        except BROKEN:
            self._is_given_up = True  # the SFTP session may be gone where the connection isn't
            self._connection.abort()
            raise
        else:
            self.heard()
            return answer
        finally:
            task.cancel()

    async def close_file(self, file: asyncssh.SFTPClientFile) -> None:
        """Close a file as well as can be: whatever mattered was asked for before."""
        if self.is_open:
            with suppress(asyncssh.Error, *BROKEN):
                await self.ask(file.close())

    async def close(self) -> None:
        """Say goodbye; to a server that doesn't listen, not for long."""
        self._connection.close()
        try:
            async with asyncio.timeout(_CLOSING_SECONDS):
                await self._connection.wait_closed()
        except (TimeoutError, OSError, asyncssh.Error):
            self._connection.abort()


class _Slot:
    """Room for one connection."""

    def __init__(self) -> None:
        self.users = 0
        self.opening: asyncio.Task[Session] | None = None
        self.rests_until = 0.0
        """Refused: the server may allow fewer connections than we do."""

    @property
    def session(self) -> Session | None:
        """The session, if it is open."""
        task = self.opening
        if task is None or not task.done() or task.cancelled() or task.exception() is not None:
            return None
        return task.result() if task.result().is_open else None

    @property
    def is_in_use(self) -> bool:
        """Whether there is a session, or one is being opened."""
        return self.session is not None or (self.opening is not None and not self.opening.done())


def _preference(slot: _Slot) -> tuple[int, int]:
    # One that has time, else a new one, else the least busy: to log in takes longer than to share.
    if not slot.is_in_use:
        return 1, slot.users
    return 0 if slot.users < _AT_ONCE else 2, slot.users


class Link:
    """Runs operations on up to `connections` sessions. Safe to share between threads.

    An operation never waits for another one to give a connection up: where all are in use, the least busy is shared.
    So a thread that holds an open file can do anything else meanwhile, with a single connection too.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[asyncssh.SSHClientConnection]],
        *,
        name: str,
        connections: int,
        stall_timeout: timedelta,
        max_attempts: int,
        clock: Clock,
        random: random.Random,
    ) -> None:
        self._connect = connect
        self._name = name
        self._stall_seconds = stall_timeout.total_seconds()
        self._max_attempts = max_attempts
        self._clock = clock
        self._random = random
        self._slots = [_Slot() for _ in range(connections)]
        # Over the thread's beginning and end; again from whoever holds it, where the garbage collector calls `leave`.
        self._lock = threading.RLock()
        self._endings: set[Future[None]] = set()
        self._is_closed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._naming = asyncio.Lock()

    def do(self, doing: str, operation: Callable[[Session], Coroutine[Any, Any, T]]) -> T:
        """Run `operation` on a session; while the server is unavailable, again, on a new connection."""

        async def attempt() -> T:
            async with self.session() as session:
                return await operation(session)

        return self.retried(doing, attempt)

    def retried(self, doing: str, attempt: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run `attempt` until it succeeds, as `patiently` does.

        Raises:
            SourceError: the driver's errors, as ours; `doing` begins the message.
        """
        return self.patiently(lambda: self.once(doing, attempt))

    def patiently(self, attempt: Callable[[], T]) -> T:
        """Call `attempt` until it succeeds, `max_attempts` times at most; only unavailability is tried again."""
        failures = 0
        while True:
            try:
                return attempt()
            except SourceUnavailableError as exc:
                failures += 1
                if failures >= self._max_attempts:
                    if failures == 1:
                        raise
                    raise SourceUnavailableError(f"{exc} Tried {failures} times.") from exc
                logger.warning("%s Trying again.", exc)
            # Full jitter: many who were cut off together must not come back together.
            longest = min(_LONGEST_WAIT, _FIRST_WAIT * 2**failures)
            self._clock.sleep(longest * self._random.random())

    def once(self, doing: str, attempt: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run `attempt` on the link's own thread and wait for it.

        Raises:
            SourceError: the driver's errors, as ours; `doing` begins the message.
        """

        async def mapped() -> T:
            with mapped_errors(doing):
                return await attempt()

        with self._lock:  # so that nothing is handed to a thread that has ended
            loop = self._started(doing)
            future = asyncio.run_coroutine_threadsafe(mapped(), loop)
        try:
            return future.result()
        except CancelledError as exc:
            raise SourceError(f"Can't {doing}: the source was closed meanwhile.") from exc
        finally:
            future.cancel()  # of no effect unless whoever waited was interrupted

    def leave(self, ending: Coroutine[Any, Any, None]) -> None:
        """Have what ends something run soon. It isn't waited for: the garbage collector may call, at any moment."""
        with self._lock:
            if self._is_closed or self._loop is None:
                ending.close()
                return
            future = asyncio.run_coroutine_threadsafe(ending, self._loop)
        self._endings.add(future)
        future.add_done_callback(self._endings.discard)

    def close(self) -> None:
        """Close the connections and end the thread."""
        with self._lock:
            loop, self._loop = self._loop, None
            self._is_closed = True
        if loop is None or self._thread is None:
            return
        asyncio.run_coroutine_threadsafe(self._close_all(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        self._thread.join()

    def _started(self, doing: str) -> asyncio.AbstractEventLoop:
        if self._is_closed:
            raise SourceError(f"Can't {doing}: the source was closed.")
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(
                target=_drive, args=[self._loop], name=f"fc-connect-sftp {self._name}", daemon=True
            )
            self._thread.start()
        return self._loop

    # What follows runs on the link's own thread.

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Session]:
        """Give a session to use; connect where those that there are have enough to do, and there is room."""
        slot = self._chosen()
        slot.users += 1
        try:
            yield await self._opened(slot)
        finally:
            slot.users -= 1

    def _chosen(self) -> _Slot:
        now = asyncio.get_running_loop().time()
        usable = [slot for slot in self._slots if slot.is_in_use or slot.rests_until <= now]
        return min(usable or self._slots, key=_preference)

    async def _opened(self, slot: _Slot) -> Session:
        if (session := slot.session) is not None:
            return session
        if not slot.is_in_use or slot.opening is None:
            slot.opening = asyncio.get_running_loop().create_task(self._new_session())
        try:
            return await asyncio.shield(slot.opening)
        except BROKEN as exc:
            others = [each for each in self._slots if each.session is not None]
            session = min(others, key=lambda each: each.users).session if others else None
            if session is None:
                raise
            slot.rests_until = asyncio.get_running_loop().time() + _REST_SECONDS
            logger.warning("%s: no further connection, so the open ones are shared: %s", self._name, exc)
            return session

    async def _new_session(self) -> Session:
        connection = await self._connect()
        session: Session | None = None
        try:
            seconds = self._stall_seconds
            async with asyncio.timeout(seconds):
                sftp = await connection.start_sftp_client(path_encoding=None)
            session = Session(connection, sftp, stall_seconds=seconds, naming=self._naming)
            return session
        finally:
            if session is None:
                connection.abort()

    async def _close_all(self) -> None:
        await asyncio.gather(*(slot.session.close() for slot in self._slots if slot.session is not None))
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


def _drive(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
    finally:
        loop.close()
