"""One connection to a NATS server: the driver's event loop in a thread of its own, asked from any thread.

The driver would reconnect by itself, and send late what it had kept: a commit that was reported as not sent could still
happen. So it may not. A link that broke is thrown away, with whatever wasn't written, and a new one is opened.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import threading
import time
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import CancelledError as Cancelled
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NATSError

from fc_connect.errors import ConfigurationError, KVUnavailableError

__all__ = ["ANSWER_TIMEOUT", "Link", "Login", "NobodyAnswersError"]

T = TypeVar("T")

ANSWER_TIMEOUT = 15.0
"""Seconds, for one answer."""
_CONNECT_TIMEOUT = 10.0
_PATIENCE = 40  # times an answer's time, while the server shows that it lives


class NobodyAnswersError(KVUnavailableError):
    """The server knows nobody who takes such a message; it was dropped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """Where to connect, and as whom."""

    servers: Sequence[str]
    """`host:port` each; tried in a random order."""
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    credentials: str | None = None
    """Path of a file with a JWT and a seed."""
    tls: ssl.SSLContext | None = None
    answer_timeout: float = ANSWER_TIMEOUT


class Link:
    """An open connection. Safe to share between threads, but not over a fork.

    Raises:
        KVUnavailableError: no server can be reached, or it refuses the user.
    """

    def __init__(self, login: Login) -> None:
        self.pid = os.getpid()
        self._login = login
        self._timeout = login.answer_timeout
        self._client = Client()
        self._inbox = f"_INBOX.{uuid.uuid4().hex}"
        self._waiting: dict[str, asyncio.Queue[Msg | None]] = {}
        self._sending: set[asyncio.Timeout] = set()
        self._complaint = ""
        self._is_given_up = False  # by us: what the driver says of it afterwards tells nothing
        self._gate = threading.Lock()
        self._is_closing = False
        self._is_broken = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fc-connect-nats", daemon=True)
        self._thread.start()
        try:
            self.run(self._connect())
        except BaseException:
            self.close()
            raise

    @property
    def is_up(self) -> bool:
        """Whether it can be used: it wasn't cut, and this is the process that opened it."""
        return self._client.is_connected and not self._is_broken and self.pid == os.getpid()

    @property
    def max_payload(self) -> int:
        """How many bytes a message may have, headers included."""
        return self._client.max_payload

    @property
    def version(self) -> tuple[int, int]:
        """The version of the server: major, minor."""
        version = self._client.connected_server_version
        return version.major, version.minor

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` on the link's loop and wait for it."""
        with self._gate:
            if self._is_closing:
                work.close()
                raise KVUnavailableError("This store was closed.")
            running = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return running.result()
        except Cancelled as exc:
            raise KVUnavailableError("This store was closed.") from exc

    def demand_up(self) -> None:
        """Raise where nothing can be sent."""
        if not self.is_up:
            raise KVUnavailableError(f"The connection to NATS is cut{self._complaint}.")

    async def ask(
        self,
        subject: str,
        payload: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        is_patient: bool = False,
    ) -> Msg:
        """Send one message and return its one answer; `is_patient` as for `answers`.

        Raises:
            KVUnavailableError: there was no answer; the message may have arrived.
        """
        async with self.answers(is_patient=is_patient) as (inbox, answer):
            await self.send(subject, payload, headers, inbox=inbox)
            return await answer()

    async def send(
        self, subject: str, payload: bytes, headers: Mapping[str, str] | None = None, *, inbox: str = ""
    ) -> None:
        """Send a message; its answers go to `inbox`."""
        self.demand_up()
        content = None if headers is None else dict(headers)
        with suppress(TimeoutError):
            async with asyncio.timeout(self._timeout) as limit:
                self._sending.add(limit)
                try:
                    await self._client.publish(subject, payload, inbox, content)
                except (NATSError, OSError) as exc:
                    self.abort()
                    reason = str(exc) or type(exc).__name__
                    raise KVUnavailableError(f"NATS: a message can't be sent ({reason}).") from exc
                finally:
                    self._sending.discard(limit)
        if limit.expired():  # the driver swallows a cancellation while it waits for the socket
            self.abort()
            raise KVUnavailableError(f"NATS: a message can't be sent{self._complaint}.")

    @asynccontextmanager
    async def answers(
        self, *, is_patient: bool = False
    ) -> AsyncIterator[tuple[str, Callable[[], Coroutine[Any, Any, Msg]]]]:
        """Give an inbox, and a function that waits for the next answer that arrives there.

        Where the question is much work, `is_patient` waits on as long as the server answers a ping in the time that an
        answer may take: it works, rather than that the connection is dead.
        """
        inbox = f"{self._inbox}.{uuid.uuid4().hex}"
        arrived: asyncio.Queue[Msg | None] = asyncio.Queue()
        self._waiting[inbox] = arrived
        deadline = time.monotonic() + self._timeout
        patience = _PATIENCE if is_patient else 0

        async def answer() -> Msg:
            nonlocal deadline, patience
            if not self.is_up and arrived.empty():
                raise KVUnavailableError(f"The connection to NATS is cut{self._complaint}.")
            while True:
                try:
                    message = await asyncio.wait_for(arrived.get(), deadline - time.monotonic())
                    break
                except TimeoutError as exc:
                    if patience > 0 and await self._is_alive():
                        patience -= 1
                        deadline = time.monotonic() + self._timeout
                        continue
                    told = self._complaint
                    self.abort(f"no answer within {self._timeout:g} s")  # what it holds must not arrive later
                    raise KVUnavailableError(f"NATS: no answer within {self._timeout:g} s{told}.") from exc
            if message is None:
                raise KVUnavailableError(f"The connection to NATS broke{self._complaint}.")
            if (message.headers or {}).get("Status") == "503":
                raise NobodyAnswersError(
                    "NATS: nobody answers. JetStream is off, or a leader is being elected. Nothing was written."
                )
            deadline = time.monotonic() + self._timeout
            return message

        try:
            yield inbox, answer
        finally:
            del self._waiting[inbox]

    async def _is_alive(self) -> bool:
        try:
            await self._client.flush(self._timeout)  # type: ignore[arg-type]
        except (NATSError, OSError, TimeoutError):
            return False
        return True

    def abort(self, reason: str = "") -> None:
        """Drop the connection at once, with what wasn't written yet; the others on it are told the `reason`.

        Called on the loop.
        """
        if reason and not self._is_given_up:
            self._complaint, self._is_given_up = f" ({reason})", True
        self._client._pending.clear()  # close() would first write these
        self._client._pending_data_size = 0
        writer = getattr(self._client._transport, "_bare_io_writer", None)
        if writer is not None:
            writer.transport.abort()

    def close(self) -> None:
        """End the connection and its thread. Twice is no fault."""
        if self.pid != os.getpid():
            return  # a forked child leaves its parent's connection alone
        with self._gate:
            if self._is_closing:
                return
            self._is_closing = (
                True  # what was begun before is on the loop by now, and ends with the connection
            )
        asyncio.run_coroutine_threadsafe(self._disconnect(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _connect(self) -> None:
        login = self._login
        connect_timeout = min(_CONNECT_TIMEOUT, self._timeout)
        scheme = "nats" if login.tls is None else "tls"
        client = self._client

        def password() -> str:
            # Called after the server's greeting. The driver goes on without TLS where the server offers none.
            if login.tls is not None and not client._server_info.get("tls_required"):
                raise NATSError("the server offers no TLS; the password wasn't sent")
            return login.password or login.token or ""

        try:
            await asyncio.wait_for(
                client.connect(
                    [f"{scheme}://{each}" for each in login.servers],
                    name="fc-connect",
                    allow_reconnect=False,
                    max_reconnect_attempts=1,
                    reconnect_time_wait=0,
                    connect_timeout=connect_timeout,  # type: ignore[arg-type]
                    ping_interval=20,
                    error_cb=self._complained,
                    tls=login.tls,
                    user=login.user,
                    password=None if login.password is None else password,
                    token=None if login.token is None else password,
                    user_credentials=login.credentials,
                ),
                connect_timeout * len(login.servers),  # one after the other
            )
            if login.tls is not None and not client._server_info.get("tls_required"):
                raise NATSError("the server offers no TLS")
            for task in (client._reading_task, client._flusher_task, client._ping_interval_task):
                if task is not None:
                    task.add_done_callback(self._ended)
            await client.subscribe(
                f"{self._inbox}.*", cb=self._arrived, pending_msgs_limit=0, pending_bytes_limit=0
            )
        except ImportError as exc:
            raise ConfigurationError("A NATS credentials file needs a library: pip install nkeys") from exc
        except (NATSError, OSError, TimeoutError) as exc:
            reason = self._complaint or f" ({str(exc) or f'no answer within {connect_timeout:g} s'})"
            raise KVUnavailableError(
                f"NATS can't be reached{reason}. Nothing was written; run again once the server is up."
            ) from exc

    async def _disconnect(self) -> None:
        self.abort()
        with suppress(NATSError, OSError, TimeoutError):
            await asyncio.wait_for(self._client.close(), 5)
        self._release()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _arrived(self, message: Msg) -> None:
        if (waiting := self._waiting.get(message.subject)) is not None:
            waiting.put_nowait(message)

    async def _complained(self, error: Exception) -> None:
        if not self._is_given_up:
            self._complaint = f" ({str(error) or type(error).__name__})"

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Note that one of the driver's tasks ended, which none does on a sound connection.

        A reset leaves the driver with an error of its own while it closes, before it would tell us.
        """
        if not task.cancelled() and (error := task.exception()) is not None and not self._is_given_up:
            self._complaint = f" ({str(error) or type(error).__name__})"
        self._is_broken = True
        self.abort()
        self._release()

    def _release(self) -> None:
        """Tell all who wait that no answer will come."""
        for waiting in self._waiting.values():
            waiting.put_nowait(None)
        for limit in self._sending:
            if not limit.expired():
                limit.reschedule(0)  # the driver leaves them waiting for a socket that is gone
