"""A real HTTP server on a real socket that answers as told: for the answers that a sound server never gives."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Literal, Self

from fc_connect.clock import Clock, ManualClock
from fc_connect.fluent import ClientOptions, Credentials, FluentClient

SECRET = 's3cret/with+odd chars&"'
PASSWORD = "pa55-wörd%"
CREDENTIALS = Credentials(client_id="ACME", client_secret=SECRET, username="robot", password=PASSWORD)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One answer, or what comes instead of it."""

    status: int = 200
    body: Any = b""
    """Bytes as they are; anything else as JSON."""
    headers: Mapping[str, str] = field(default_factory=dict)
    mode: Literal["whole", "drop", "hang", "dribble", "cut"] = "whole"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A request that arrived whole."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class FluentServer:
    """Answers `/oauth/token` with new tokens and everything else from its queue, unless told otherwise."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.lock = threading.Lock()
        self.replies: deque[Reply] = deque()
        self.token_replies: deque[Reply] = deque()
        self.tokens = 0
        self.released = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 10

            def do_GET(self) -> None:
                server.handle(self)

            do_POST = do_GET  # noqa: N815 - likewise

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - likewise
                """Keep the output of the tests clean."""

        self._httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(
            target=self._httpd.serve_forever,
            kwargs={"poll_interval": 0.02},
            name="fluent-server",
            daemon=True,
        )
        self.url = f"http://127.0.0.1:{self._httpd.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.released.set()
        self._httpd.shutdown()
        self._httpd.server_close()
        self._thread.join()

    def calls(self, path: str = "/api", *, method: str | None = None) -> list[Seen]:
        """Return what was asked below `path`."""
        return [s for s in self.seen if s.path.startswith(path) and method in {None, s.method}]

    def handle(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in handler.headers.items()}
        with self.lock:
            self.seen.append(Seen(method=handler.command, path=handler.path, headers=headers, body=body))
            reply = self._next(handler.path)
        self._answer(handler, reply)

    def _next(self, path: str) -> Reply:
        if not path.endswith("/oauth/token"):  # a proxy is asked for whole URLs
            return (
                self.replies.popleft() if self.replies else Reply(status=418, body=b"nothing is left to say")
            )
        if self.token_replies:
            return self.token_replies.popleft()
        self.tokens += 1
        token = {"access_token": f"access-{self.tokens}", "refresh_token": f"refresh-{self.tokens}"}
        return Reply(body={**token, "expires_in": 3600})

    def _answer(self, handler: BaseHTTPRequestHandler, reply: Reply) -> None:
        if reply.mode == "drop":
            handler.close_connection = True
            return
        if reply.mode == "hang":
            self.released.wait()
            handler.close_connection = True
            return
        body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        handler.send_response(reply.status)
        for name, value in reply.headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body) + (1000 if reply.mode != "whole" else 0)))
        handler.end_headers()
        try:
            handler.wfile.write(body)
            while reply.mode == "dribble" and not self.released.wait(0.05):
                handler.wfile.write(b" ")
        except OSError:
            handler.close_connection = True  # the client has gone, as some tests want
        if reply.mode == "cut":
            handler.close_connection = True


@contextmanager
def client_of(server: FluentServer, *, clock: Clock | None = None, **options: Any) -> Iterator[FluentClient]:
    """A client of `server` on a clock that passes waits at once."""
    names = {each.name for each in fields(ClientOptions)}
    chosen = ClientOptions(**{name: options.pop(name) for name in sorted(names & set(options))})
    settings: dict[str, Any] = {"retailer_id": "1", "auth": CREDENTIALS, "options": chosen, **options}
    with FluentClient(base_url=server.url, clock=clock or ManualClock(), **settings) as client:
        yield client
