"""An HTTP transport whose deadline holds for a whole exchange, not for each read of it.

httpx's timeouts bound one read or write. A server that sends a byte now and then keeps a call alive for
ever under them, so the deadline is enforced where bytes are read and written.
"""

from __future__ import annotations

import logging
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import httpcore
import httpx

from fc_connect.clock import Clock
from fc_connect.faults import point

__all__ = ["DeadlineTransport"]

_PIECE = 16 * 1024  # a write is cut into pieces, so that a slow reader meets the deadline between two of them

_LOGGER = "httpcore.http11"

_MAPPED: tuple[tuple[type[Exception], type[httpx.TransportError]], ...] = (
    (httpcore.ConnectTimeout, httpx.ConnectTimeout),
    (httpcore.PoolTimeout, httpx.PoolTimeout),
    (httpcore.ReadTimeout, httpx.ReadTimeout),
    (httpcore.WriteTimeout, httpx.WriteTimeout),
    (httpcore.TimeoutException, httpx.TimeoutException),
    (httpcore.ConnectError, httpx.ConnectError),
    (httpcore.ReadError, httpx.ReadError),
    (httpcore.WriteError, httpx.WriteError),
    (httpcore.NetworkError, httpx.NetworkError),
    (httpcore.ProxyError, httpx.ProxyError),
    (httpcore.UnsupportedProtocol, httpx.UnsupportedProtocol),
    (httpcore.LocalProtocolError, httpx.LocalProtocolError),
    (httpcore.RemoteProtocolError, httpx.RemoteProtocolError),
    (httpcore.ProtocolError, httpx.ProtocolError),
)


@contextmanager
def _mapped_errors() -> Iterator[None]:
    try:
        yield
    except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError) as exc:
        raise _as_httpx(exc) from exc
    except (httpcore.ProxyError, httpcore.UnsupportedProtocol) as exc:
        raise _as_httpx(exc) from exc


def _as_httpx(exc: Exception) -> httpx.TransportError:
    kind = next((theirs for ours, theirs in _MAPPED if isinstance(exc, ours)), httpx.TransportError)
    return kind(str(exc))


_Bounded = Callable[[float | None], float | None]
_Demand = Callable[[], None]


class _Deadline(threading.local):
    """Of the exchange that this thread is in; None outside of one."""

    at: float | None = None
    demand: Callable[[], None] | None = None


class _Quiet(logging.Filter):
    """Keeps answers' headers out of httpcore's debug log: they may hold cookies, or echo a token.

    Only for exchanges of this transport; those of others in the process are logged as ever.
    """

    def __init__(self, deadline: _Deadline) -> None:
        super().__init__()
        self._deadline = deadline

    def filter(self, record: logging.LogRecord) -> bool:
        return self._deadline.at is None or not record.getMessage().startswith(
            "receive_response_headers.complete"
        )


class DeadlineTransport(httpx.BaseTransport):
    """Connections of one pool, under a deadline that the calling thread sets with `within`."""

    def __init__(
        self,
        *,
        clock: Clock,
        ssl_context: ssl.SSLContext,
        max_connections: int,
        keepalive_expiry: timedelta,
        proxy: httpx.Proxy | None = None,
        proxy_ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._clock = clock
        self._deadline = _Deadline()
        self._quiet = _Quiet(self._deadline)
        logging.getLogger(_LOGGER).addFilter(self._quiet)
        options: dict[str, Any] = {
            "ssl_context": ssl_context,
            "max_connections": max_connections,
            "max_keepalive_connections": max_connections,
            "keepalive_expiry": keepalive_expiry.total_seconds(),
            "network_backend": _Network(httpcore.SyncBackend(), self._bounded, self._demand, clock),
        }
        self._pool: httpcore.ConnectionPool
        if proxy is None:
            self._pool = httpcore.ConnectionPool(**options)
        else:
            self._pool = httpcore.HTTPProxy(
                proxy_url=str(proxy.url),
                proxy_auth=proxy.raw_auth,
                proxy_headers=proxy.headers.raw,
                proxy_ssl_context=proxy_ssl_context,
                **options,
            )

    @contextmanager
    def within(self, duration: timedelta, *, demand: Callable[[], None] | None = None) -> Iterator[None]:
        """Let what this thread sends and receives in the block take at most `duration` altogether.

        `demand` is called before each piece that is sent; what it raises closes the connection.
        """
        self._deadline.at = self._clock.monotonic() + duration.total_seconds()
        self._deadline.demand = demand
        try:
            yield
        finally:
            self._deadline.at = self._deadline.demand = None

    def _demand(self) -> None:
        point("http.leave")
        if self._deadline.demand is not None:
            self._deadline.demand()

    def _bounded(self, timeout: float | None) -> float | None:
        """Return the smaller of `timeout` and what is left, which may be negative."""
        if self._deadline.at is None:
            return timeout
        left = self._deadline.at - self._clock.monotonic()
        return left if timeout is None else min(left, timeout)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        url = httpcore.URL(
            scheme=request.url.raw_scheme,
            host=request.url.raw_host,
            port=request.url.port,
            target=request.url.raw_path,
        )
        outgoing = httpcore.Request(
            method=request.method,
            url=url,
            headers=request.headers.raw,
            content=request.read(),
            extensions=request.extensions,
        )
        with _mapped_errors():
            answer = self._pool.handle_request(outgoing)
        # Its reason phrase is left out: httpx would log it, and a server may have put anything there.
        return httpx.Response(answer.status, headers=answer.headers, stream=_Body(answer))

    def close(self) -> None:
        logging.getLogger(_LOGGER).removeFilter(self._quiet)
        self._pool.close()


class _Body(httpx.SyncByteStream):
    def __init__(self, answer: httpcore.Response) -> None:
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        with _mapped_errors():
            yield from self._answer.iter_stream()

    def close(self) -> None:
        with _mapped_errors():
            self._answer.close()


class _Network(httpcore.NetworkBackend):
    """Opens connections whose reads and writes keep to the deadline."""

    def __init__(
        self, inner: httpcore.NetworkBackend, bounded: _Bounded, demand: _Demand, clock: Clock
    ) -> None:
        self._inner = inner
        self._clock = clock
        self._bounded = bounded
        self._demand = demand

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        timeout = _left(self._bounded(timeout), httpcore.ConnectTimeout)
        until = None if timeout is None else self._clock.monotonic() + timeout
        addresses = _addresses(host, port)
        for waiting in range(len(addresses), 0, -1):
            # Any of a name's addresses may be one that never answers: none may eat up the time of those after it.
            left = None if until is None else (until - self._clock.monotonic()) / waiting
            try:
                stream = self._inner.connect_tcp(
                    addresses[-waiting],
                    port,
                    _left(left, httpcore.ConnectTimeout),
                    local_address,
                    socket_options,
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if waiting == 1:
                    raise
            else:
                return _Stream(stream, self._bounded, self._demand)
        raise httpcore.ConnectError("the name of the server has no address")

    def sleep(self, seconds: float) -> None:
        self._inner.sleep(seconds)


class _Stream(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream, bounded: _Bounded, demand: _Demand) -> None:
        self._inner = inner
        self._bounded = bounded
        self._demand = demand

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, _left(self._bounded(timeout), httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for start in range(0, len(buffer), _PIECE):
            left = _left(self._bounded(timeout), httpcore.WriteTimeout)
            self._demand()  # nothing may come between this and the write
            self._inner.write(buffer[start : start + _PIECE], left)

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = _left(self._bounded(timeout), httpcore.ConnectTimeout)
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, left), self._bounded, self._demand)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


def _addresses(host: str, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as exc:
        raise httpcore.ConnectError(str(exc)) from exc
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def _left(seconds: float | None, late: type[Exception]) -> float | None:
    # A timeout of zero would mean "don't block" to a socket, and a negative one is an error.
    if seconds is not None and seconds <= 0:
        raise late("the deadline of the call has passed")
    return seconds
