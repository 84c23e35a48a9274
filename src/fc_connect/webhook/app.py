"""The receiver as an ASGI 3 application (https://asgi.readthedocs.io): for `webhook serve`, or any ASGI server."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import Executor
from datetime import timedelta
from typing import Any

from fc_connect.errors import KVError
from fc_connect.webhook.receiver import Receiver, Reply

__all__ = ["WebhookApp"]

logger = logging.getLogger(__name__)

PREFIX = "/webhooks/"
HEALTH = "/health"

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class _RefusedError(Exception):
    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class WebhookApp:
    """Answers `POST /webhooks/<hook>` and `GET /health`; each connection for one request.

    Args:
        health: says how things are, for `/health`; its `status` is `ok`, else 503 is answered.
        max_bytes: of a body; larger ones are refused unread.
        body_timeout: for a whole body.
        answer_timeout: for the store; then 503, and the sender sends again. The platform waits 14 s in all.
    """

    def __init__(
        self,
        receiver: Receiver,
        *,
        health: Callable[[], dict[str, Any]],
        max_bytes: int,
        body_timeout: timedelta,
        answer_timeout: timedelta = timedelta(seconds=8),
        executor: Executor | None = None,
    ) -> None:
        self._receiver = receiver
        self._health = health
        self._max_bytes = max_bytes
        self._body_timeout = body_timeout.total_seconds()
        self._answer_timeout = answer_timeout.total_seconds()
        self._executor = executor

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise NotImplementedError(f"This application knows HTTP, not {scope['type']}.")
        try:
            reply = await self._answer(scope, receive)
        except _RefusedError as exc:
            logger.warning("webhook %s: refused: %s", _shown(scope["path"]), exc)
            reply = Reply(status=exc.status, content={"error": str(exc)})
        except TimeoutError:
            logger.warning("webhook %s: the store took too long", _shown(scope["path"]))
            reply = Reply(status=503, content={"error": "Try again."})
        except Exception:
            logger.exception("webhook %s: failed", _shown(scope["path"]))
            reply = Reply(status=500, content={"error": "The receiver failed; see its log."})
        body = json.dumps(reply.content).encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
            # So that the time a head may take bounds every connection, not only its first request.
            (b"connection", b"close"),
        ]
        if reply.status == 503:
            headers.append((b"retry-after", b"2"))
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, scope: Message, receive: Receive) -> Reply:
        path, method = scope["path"], scope["method"]
        if path == HEALTH:
            if method not in {"GET", "HEAD"}:
                raise _RefusedError(405, "GET only.")
            return await self._off_loop(self._asked)
        hook = path.removeprefix(PREFIX)
        if not path.startswith(PREFIX) or not self._receiver.knows(hook):
            raise _RefusedError(404, "There is no such hook.")
        if method != "POST":
            raise _RefusedError(405, "POST only.")
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        body = await self._read(headers, receive)
        client = scope.get("client") or ("unknown",)
        return await self._off_loop(
            lambda: self._receiver.receive(hook, headers, body, client=str(client[0]))
        )

    async def _off_loop(self, call: Callable[[], Reply]) -> Reply:
        # The store is synchronous, and may be slow: the loop goes on reading from the others.
        running = asyncio.get_running_loop().run_in_executor(self._executor, call)
        return await asyncio.wait_for(asyncio.shield(running), self._answer_timeout)

    def _asked(self) -> Reply:
        try:
            found = self._health()
        except KVError as exc:
            logger.warning("health: the store failed: %s", exc)
            found = {"status": "store unavailable"}
        return Reply(status=200 if found["status"] == "ok" else 503, content=found)

    async def _read(self, headers: MutableMapping[str, str], receive: Receive) -> bytes:
        told = headers.get("content-length", "0")
        if not (told.isascii() and told.isdigit()):
            raise _RefusedError(400, "Content-Length isn't a number.")
        if len(told) > 15 or int(told) > self._max_bytes:
            raise _RefusedError(413, f"A body holds at most {self._max_bytes} bytes.")
        pieces, size = [], 0
        try:
            async with asyncio.timeout(self._body_timeout):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise _RefusedError(400, "The sender went away in the middle of the body.")
                    piece = message.get("body", b"")
                    size += len(piece)
                    if size > self._max_bytes:
                        raise _RefusedError(413, f"A body holds at most {self._max_bytes} bytes.")
                    pieces.append(piece)
                    if not message.get("more_body", False):
                        return b"".join(pieces)
        except TimeoutError:
            raise _RefusedError(408, "The body took too long.") from None


def _shown(path: str) -> str:
    return ascii(path)[1:-1][:100]
