"""What stands between a client of KV Connect and a real server, and spoils chosen exchanges."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

import httpx

__all__ = ["Front", "Spoilt"]

_KEPT = {
    "authorization",
    "content-type",
    "x-denokv-version",
    "x-denokv-database-id",
    "x-transaction-domain-id",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoilt:
    """What happens to one exchange."""

    reaches_server: bool = False
    status: int | None = None
    """What is answered; None cuts the connection without an answer."""
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


class Front:
    """An HTTP server that forwards to another, but for the exchanges that are told to be spoilt."""

    def __init__(self, address: str) -> None:
        self.asked: list[str] = []
        """The last part of each path, in the order of arrival."""
        self.changed: Callable[[str, bytes], bytes] = lambda method, answer: answer
        """What becomes of an answer on its way back."""
        self._spoilt: dict[str, deque[Spoilt]] = {}
        self._lock = threading.Lock()
        self._behind = httpx.Client(base_url=address, trust_env=False, timeout=30)
        front = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                front._answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    def spoil(self, method: str, *spoilt: Spoilt) -> None:
        """Spoil the next exchanges of a kind: `snapshot_read`, `atomic_write`, or `` for metadata."""
        with self._lock:
            self._spoilt.setdefault(method, deque()).extend(spoilt)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._behind.close()

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("content-length", 0)))
        method = handler.path.rpartition("/")[2]
        with self._lock:
            self.asked.append(method)
            waiting = self._spoilt.get(method)
            spoilt = waiting.popleft() if waiting else None
        answer = None
        if spoilt is None or spoilt.reaches_server:
            headers = {name: value for name, value in handler.headers.items() if name.lower() in _KEPT}
            answer = self._behind.post(handler.path, content=body, headers=headers)
        if spoilt is None and answer is not None:
            content = self.changed(method, answer.content)
            self._send(handler, answer.status_code, content, {"Date": answer.headers.get("date", "")})
        elif spoilt is not None and spoilt.status is not None:
            self._send(handler, spoilt.status, spoilt.body, spoilt.headers)
        else:
            handler.close_connection = True

    def _send(
        self, handler: BaseHTTPRequestHandler, status: int, content: bytes, headers: dict[str, str]
    ) -> None:
        handler.send_response_only(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(content)
