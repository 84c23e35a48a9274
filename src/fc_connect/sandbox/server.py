"""The HTTP server: connections, bodies, faults. HTTP/1.1 with keep-alive, one thread per connection."""

from __future__ import annotations

import hashlib
import logging
import secrets
import socket
import socketserver
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from http import HTTPStatus
from http.client import responses
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from fc_connect.sandbox.exchange import Answer, RefusedError, Request, SandboxClock, answer, refusal
from fc_connect.sandbox.faults import Fault, FaultKind, FaultPlan
from fc_connect.sandbox.query import loggable, single_values
from fc_connect.sandbox.store import SandboxStore

__all__ = ["SandboxServer"]

logger = logging.getLogger(__name__)

# How much of a body that is too large is read and thrown away, so that the client gets to read its 413.
_DRAINED_BYTES = 64 * 1024 * 1024
_CODES = {401: "INVALID_TOKEN", 403: "FORBIDDEN", 429: "TOO_MANY_REQUESTS", 500: "INTERNAL_ERROR"}


class _ClientGoneError(Exception):
    """The client closed the connection in the middle of its request."""


class SandboxServer(ThreadingHTTPServer):
    """Serves until stopped; `stop` breaks open connections and waits for their threads."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 512

    def __init__(
        self,
        address: tuple[str, int],
        *,
        api: Callable[[Request], Answer],
        control: Callable[[Request], Answer],
        control_prefix: str,
        store: SandboxStore,
        faults: FaultPlan,
        clock: SandboxClock,
        max_body_bytes: int,
    ) -> None:
        self.api = api
        self.control = control
        self.control_prefix = control_prefix
        self.store = store
        self.faults = faults
        self.clock = clock
        self.max_body_bytes = max_body_bytes
        self.stopping = threading.Event()
        self._mutex = threading.Lock()
        self._connections: dict[threading.Thread, socket.socket] = {}
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        """Bind without the parent's look-up of the host's name, which may take seconds where DNS is ill."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection on a thread of its own, and remember both."""
        thread = threading.Thread(
            target=self.process_request_thread,
            args=(request, client_address),
            name=f"sandbox-{client_address[1]}",
            daemon=True,
        )
        with self._mutex:
            self._connections = {t: c for t, c in self._connections.items() if t.is_alive()}
            thread.start()
            self._connections[thread] = request

    def stop(self) -> None:
        """Stop accepting, break every connection, wait for the threads, close the sockets."""
        self.stopping.set()
        self.shutdown()
        with self._mutex:
            connections = dict(self._connections)
        for connection in connections.values():
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError as exc:
                logger.debug("sandbox: a connection was closed already: %s", exc)
        for thread in connections:
            thread.join(timeout=10)
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log what escaped a handler, where the parent would print it."""
        logger.exception("sandbox: connection from %s failed", client_address)


class _Handler(BaseHTTPRequestHandler):
    server: SandboxServer
    protocol_version = "HTTP/1.1"
    server_version = "fc-connect-sandbox"
    sys_version = ""
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the parent's name
        logger.debug(format, *args)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        # Without the query, which may be a login.
        logger.debug("%s %s: %s", self.command, self.path.partition("?")[0], code)

    def handle(self) -> None:
        try:
            super().handle()
        except (ConnectionError, TimeoutError, _ClientGoneError) as exc:
            logger.debug("sandbox: a client went away: %s", exc)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        # The parent calls this for requests it can't parse, and would answer in HTML.
        text = message or explain or HTTPStatus(code).phrase
        self.close_connection = True
        self._send(answer({"errors": [{"code": "BAD_REQUEST", "message": text}]}, status=code), _new_id())

    def _serve(self) -> None:
        server, request_id, at = self.server, _new_id(), self.server.clock()
        path, _, query = self.path.partition("?")
        is_control = path in {"/", server.control_prefix} or path.startswith(f"{server.control_prefix}/")
        body = b""
        fault: Fault | None = None
        done: Answer | None = None
        sent: Answer | None = None
        try:
            body = self._read_body()
            if (packed := self.headers.get("content-encoding", "identity").lower()) != "identity":
                raise RefusedError(
                    f"Bodies packed with {packed[:40]!r} aren't taken here.",
                    status=415,
                    code="UNSUPPORTED_ENCODING",
                )
            if not is_control:
                fault = server.faults.take(self.command, path)
            request = Request(
                method=self.command,
                path=path,
                query=single_values(query),
                headers={name.lower(): value for name, value in self.headers.items()},
                body=body,
                at=server.clock(),
            )
            if fault is None:
                done = sent = server.control(request) if is_control else server.api(request)
            else:
                done, sent = self._strike(fault, request)
        except RefusedError as exc:
            done = sent = refusal(exc)
            self.close_connection |= exc.code in _BODY_LEFT_UNREAD
        except Exception as exc:
            if isinstance(exc, ConnectionError | _ClientGoneError):
                self._log(at, path, query, body, request_id, fault, done=None, status=None)
                raise
            logger.exception("sandbox: %s %s failed", self.command, path)
            sent = answer(_errors("SANDBOX_BUG", "The sandbox failed; see its log."), status=500)
        if not is_control:
            # Before the answer: whoever has the answer finds the request in the log.
            status = None if sent is None else sent.status
            self._log(at, path, query, body, request_id, fault, done=done, status=status)
        if sent is None:
            self.close_connection = True
        elif fault is not None and fault.kind in {FaultKind.SLOW_BODY, FaultKind.TRUNCATED}:
            self._send_spoilt(sent, request_id, fault)
        else:
            self._send(sent, request_id)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _serve  # noqa: N815 - the parent calls these names

    def _strike(self, fault: Fault, request: Request) -> tuple[Answer | None, Answer | None]:
        """Return what the API did, if it was asked, and what to send, if anything."""
        done = None
        if fault.kind is FaultKind.LATENCY and not fault.is_after_accepting:
            self._pause(fault.delay)
            request = replace(request, at=self.server.clock())
        if fault.is_after_accepting or fault.kind is FaultKind.LATENCY:
            try:
                done = self.server.api(request)
            except RefusedError as exc:
                done = refusal(exc)
        if fault.kind is FaultKind.LATENCY and fault.is_after_accepting:
            self._pause(fault.delay)
        return done, _spoken(fault, done)

    def _pause(self, delay: timedelta) -> None:
        # Real time, whatever the clock: it is the client who is to wait. Stopping the server ends it.
        self.server.stopping.wait(delay.total_seconds())

    def _log(
        self,
        at: datetime,
        path: str,
        query: str,
        body: bytes,
        request_id: str,
        fault: Fault | None,
        *,
        done: Answer | None,
        status: int | None,
    ) -> None:
        self.server.store.add_request(
            at=at,
            method=self.command,
            path=path,
            query=loggable(query),
            status=status,
            request_id=request_id,
            correlation_id=self.headers.get("x-correlation-id"),
            job_id=None if done is None else done.job_id,
            batch_id=None if done is None else done.batch_id,
            entities=None if done is None else done.entities,
            body_bytes=len(body),
            body_sha256=hashlib.sha256(body).hexdigest(),
            fault=None if fault is None else fault.kind.value,
        )

    def _read_body(self) -> bytes:
        """Read the body to its end, or refuse it."""
        coding, length = self.headers.get("transfer-encoding"), self.headers.get("content-length")
        if coding is not None:
            # Both headers together are how requests are smuggled past proxies.
            if coding.strip().lower() != "chunked" or length is not None:
                raise _bad_body("Transfer-Encoding must be chunked, without a Content-Length.")
            return self._read_chunks()
        if length is None:
            return b""
        if not (length.isascii() and length.isdigit() and len(length) <= 15):
            raise _bad_body(f"Content-Length must be a number of bytes, not {length[:40]!r}.")
        if int(length) > self.server.max_body_bytes:
            self._drain(int(length))
            raise _too_large(self.server.max_body_bytes)
        return self._read_exactly(int(length))

    def _read_chunks(self) -> bytes:
        chunks: list[bytes] = []
        total = 0
        while True:
            size = self.rfile.readline(1_024).partition(b";")[0].strip()
            if not size:
                raise _ClientGoneError("the body ended inside its chunks")
            try:
                if not _HEX.issuperset(size):
                    raise ValueError(size)
                wanted = int(size, 16)
            except ValueError as exc:
                raise _bad_body(f"A chunk's size must be hexadecimal, not {size[:40]!r}.") from exc
            if not wanted:
                break
            total += wanted
            if total > self.server.max_body_bytes:
                self._drain(wanted)
                raise _too_large(self.server.max_body_bytes)
            chunks.append(self._read_exactly(wanted))
            if self._read_exactly(2) != b"\r\n":
                raise _bad_body("A chunk isn't as long as it says.")
        # Trailers follow, up to an empty line; none of them means anything here.
        while self.rfile.readline(65_536) not in {b"\r\n", b"\n", b""}:
            continue
        return b"".join(chunks)

    def _read_exactly(self, size: int) -> bytes:
        data = self.rfile.read(size)
        if len(data) < size:
            raise _ClientGoneError(f"the body ended after {len(data)} of {size} bytes")
        return data

    def _drain(self, size: int) -> None:
        left = min(size, _DRAINED_BYTES)
        while left > 0 and (data := self.rfile.read(min(left, 65_536))):
            left -= len(data)

    def _send(self, found: Answer, request_id: str) -> None:
        # One write: head and body leave in one packet where they fit.
        self.wfile.write(self._head(found, request_id) + found.body)

    def _send_spoilt(self, found: Answer, request_id: str, fault: Fault) -> None:
        head = self._head(found, request_id)
        if fault.kind is FaultKind.TRUNCATED:
            self.close_connection = True
            self.wfile.write(head + found.body[: len(found.body) // 2])
            return
        self.wfile.write(head)
        for start in range(0, len(found.body), fault.chunk_bytes):
            self._pause(fault.delay)
            self.wfile.write(found.body[start : start + fault.chunk_bytes])

    def _head(self, found: Answer, request_id: str) -> bytes:
        headers = [
            ("Date", self.date_time_string()),
            ("Content-Type", found.content_type),
            ("Content-Length", str(len(found.body))),
            ("x-request-id", request_id),
            *found.headers,
            *([("Connection", "close")] if self.close_connection else []),
        ]
        lines = [
            f"HTTP/1.1 {found.status} {responses.get(found.status, 'Unnamed')}",
            *(f"{k}: {v}" for k, v in headers),
        ]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


_HEX = frozenset(b"0123456789abcdefABCDEF")
_BODY_LEFT_UNREAD = {"PAYLOAD_TOO_LARGE", "MALFORMED_BODY"}


def _spoken(fault: Fault, done: Answer | None) -> Answer | None:
    """Return what a client struck by `fault` gets to see; None for a dropped connection."""
    match fault.kind:
        case FaultKind.DROP:
            return None
        case FaultKind.STATUS:
            code = fault.code or _CODES.get(
                fault.status, "SERVICE_UNAVAILABLE" if fault.status > 499 else "REFUSED"
            )
            retry_after = fault.retry_after_header()
            return answer(
                _errors(code, f"Fault on demand: {fault.status}."),
                status=fault.status,
                headers=() if retry_after is None else (("Retry-After", retry_after),),
            )
        case FaultKind.NOT_JSON:
            page = b"<!doctype html><title>Sign in</title><p>Please sign in."
            return Answer(status=200, body=page, content_type="text/html; charset=utf-8")
        case FaultKind.EMPTY:
            return Answer(status=200, body=b"")
        case _:
            return done


def _errors(code: str, message: str) -> dict[str, Any]:
    return {"errors": [{"code": code, "message": message}]}


def _bad_body(message: str) -> RefusedError:
    return RefusedError(message, status=400, code="MALFORMED_BODY")


def _too_large(limit: int) -> RefusedError:
    return RefusedError(f"A body holds at most {limit} bytes.", status=413, code="PAYLOAD_TOO_LARGE")


def _new_id() -> str:
    return secrets.token_hex(8)
