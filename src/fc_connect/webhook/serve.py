"""The receiver as a process: an HTTP server, the queue, the hand-over; started and stopped as one."""

from __future__ import annotations

import logging
import signal
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, Self

from fc_connect.errors import ConfigurationError, MissingExtraError
from fc_connect.fluent.webhooks import WebhookVerifier
from fc_connect.kv import Guarantee, KVStore, open_kv
from fc_connect.state import StateService
from fc_connect.webhook.api_keys import APIKeys
from fc_connect.webhook.app import WebhookApp
from fc_connect.webhook.config import WebhookConfig
from fc_connect.webhook.hand_over import Handler, HandOver, Retry
from fc_connect.webhook.handlers import load_function, pipeline_handler
from fc_connect.webhook.inbox import Inbox
from fc_connect.webhook.receiver import Receiver

__all__ = ["WebhookServer", "open_inbox", "serve"]

logger = logging.getLogger(__name__)

_AT_ONCE = 200  # connections; more are answered 503
_THREADS = 8  # that talk to the store
_HEAD_SECONDS = 5.0
_CLOSING_SECONDS = 5


def open_inbox(config: WebhookConfig, kv: KVStore) -> Inbox:
    """Return the queue of a receiver in `kv`.

    Raises:
        ConfigurationError: the store can't keep a queue.
    """
    lacks = kv.lacks()
    if Guarantee.ATOMIC in lacks:
        raise ConfigurationError(f"No queue can be kept in this store: {lacks[Guarantee.ATOMIC]}.")
    for guarantee, reason in lacks.items():
        logger.warning(
            "the store of the queue is not %s: %s. A crash of it may lose events.", guarantee, reason
        )
    state = StateService(kv, workflow_id=config.workflow_id)
    return Inbox(state, window=config.window, without_id=config.without_id)


class WebhookServer:
    """Takes calls, queues them, hands them on. A context manager: it listens once entered.

    Raises:
        ConfigurationError: a handler or a key can't be used, or the port is taken.
        MissingExtraError: the extra `webhooks` isn't installed.
        KVUnavailableError: the store can't be reached.
    """

    def __init__(self, config: WebhookConfig) -> None:
        self.config = config
        self._stopping = threading.Event()
        self._closing = ExitStack()
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._server: Any = None
        self._hand_over: HandOver | None = None
        self._inbox: Inbox | None = None
        self._health: tuple[float, dict[str, Any]] = (0.0, {})

    @property
    def url(self) -> str:
        """Where it listens."""
        if self._socket is None:
            raise ConfigurationError("The receiver isn't running.")
        host, port = self._socket.getsockname()[:2]
        return f"http://{f'[{host}]' if ':' in host else host}:{port}"

    @property
    def is_alive(self) -> bool:
        """Whether it still takes calls."""
        return self._thread is not None and self._thread.is_alive()

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._closing.close()
            raise
        return self

    def _start(self) -> None:
        config = self.config
        server_class, server_config, protocol = _uvicorn()
        handlers = {name: self._handler(name) for name in config.hooks}
        keys = [each.get_secret_value() for each in config.fluent_keys]
        verifier = WebhookVerifier(keys, legacy=config.legacy) if keys else None
        kv = self._closing.enter_context(open_kv(config.state_url))
        inbox = self._inbox = open_inbox(config, kv)
        hand_over = self._hand_over = HandOver(
            inbox,
            handlers,
            retry=Retry(
                max_attempts=config.retry.max_attempts,
                backoff=config.retry.backoff,
                max_backoff=config.retry.max_backoff,
            ),
            concurrency=config.concurrency,
            lease=config.lease,
        )
        receiver = Receiver(
            inbox,
            callers={name: frozenset(hook.accepts) for name, hook in config.hooks.items()},
            verifier=verifier,
            keys=APIKeys(kv, workflow_id=config.workflow_id),
            wake=hand_over.wake,
        )
        executor = self._closing.enter_context(ThreadPoolExecutor(_THREADS, "fc-connect-webhook-store"))
        app = WebhookApp(
            receiver,
            health=self._how_it_is,
            max_bytes=config.max_bytes,
            body_timeout=config.body_timeout,
            executor=executor,
        )
        host, port = config.listen.host, config.listen.port
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            self._socket = self._closing.enter_context(
                socket.create_server((host, port), family=family, backlog=512)
            )
        except (OSError, OverflowError) as exc:
            raise ConfigurationError(
                f"The receiver can't listen on {host}:{port}: {exc}. Choose another port."
            ) from exc
        self._server = server_class(
            server_config(
                app,
                http=protocol,
                ws="none",
                loop="asyncio",
                lifespan="off",
                log_config=None,
                access_log=False,
                log_level="warning",
                server_header=False,
                date_header=True,
                proxy_headers=False,
                limit_concurrency=_AT_ONCE,
                h11_max_incomplete_event_size=16 * 1024,
                timeout_graceful_shutdown=_CLOSING_SECONDS,
            )
        )
        # On a thread: there it leaves the signals alone.
        self._thread = threading.Thread(
            target=self._server.run,
            kwargs={"sockets": [self._socket]},
            name="fc-connect-webhook-http",
            daemon=True,
        )
        hand_over.start()
        self._thread.start()
        while not self._server.started:
            if not self._thread.is_alive():
                raise ConfigurationError("The receiver's HTTP server didn't start; see the log.")
            time.sleep(0.01)

    def _handler(self, name: str) -> Handler:
        hook = self.config.hooks[name]
        if hook.pipeline is not None:
            return pipeline_handler(hook.pipeline, stop=self._stopping)
        return load_function(hook.handler or "", base=self.config.base_dir)

    def _how_it_is(self) -> dict[str, Any]:
        at, found = self._health
        if time.monotonic() - at < 1 and found:
            return found  # whoever asks often asks the store no more often
        assert self._inbox is not None  # noqa: S101 (set before anybody can ask)
        assert self._hand_over is not None  # noqa: S101
        waiting, dead = self._inbox.counts()
        due = self._inbox.oldest()
        overdue = 0.0 if due is None else max(0.0, (self._inbox.state.kv.now() - due).total_seconds())
        found = {
            "status": "ok" if self._hand_over.is_alive else "handing on has stopped",
            "waiting": waiting,
            "dead": dead,
            "overdue_seconds": round(overdue, 1),
            "hands_on": self._hand_over.is_holder,
        }
        self._health = (time.monotonic(), found)
        return found

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take no more calls, answer those under way, let handlers under way end within `grace`."""
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join()
        self._stopping.set()
        if self._hand_over is not None and not self._hand_over.stop(self.config.grace):
            logger.warning("a handler is still at work: its event stays in the queue, and is handed on again")
        self._closing.close()


def serve(config: WebhookConfig, *, announce: Callable[[str], None]) -> None:
    """Run a receiver until SIGINT or SIGTERM, then stop it cleanly and return. Call it on the main thread."""
    signals: SimpleQueue[int] = (
        SimpleQueue()
    )  # unlike an Event's, its lock may be met again in a signal handler
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, lambda received, _: signals.put(received))
    try:
        with WebhookServer(config) as server:
            for name, hook in config.hooks.items():
                announce(
                    f"{server.url}/webhooks/{name}  ({', '.join(hook.accepts)}) -> {hook.handler or hook.pipeline}"
                )
            announce(f"Health: {server.url}/health")
            announce("Stop: Ctrl-C, or SIGTERM")
            while server.is_alive:
                try:
                    signals.get(timeout=1)
                    break
                except Empty:
                    continue
            announce("Stopping ...")
        announce("Stopped.")
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _uvicorn() -> tuple[Any, Any, Any]:
    try:
        from uvicorn import Config, Server
        from uvicorn.protocols.http.h11_impl import H11Protocol
    except ModuleNotFoundError as exc:
        raise MissingExtraError("`webhook serve` needs a server: pip install 'fc-connect[webhooks]'") from exc

    class Protocol(H11Protocol):
        """Ends a connection whose request doesn't begin in time; the server itself would wait for ever."""

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._late = self.loop.call_later(_HEAD_SECONDS, self._end_if_idle)

        def connection_lost(self, exc: Exception | None) -> None:
            self._late.cancel()
            super().connection_lost(exc)

        def _end_if_idle(self) -> None:
            begun: object = self.cycle
            if begun is None:
                self.transport.close()

    return Server, Config, Protocol
