"""Stores that talk over TCP, each with a server of its own that tests may stop and start."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tests.servers import PostgreSQLServer, RedisServer

__all__ = ["REMOTES", "Remote", "Server"]


class Server(Protocol):
    """A real server."""

    url: str

    def start(self) -> None: ...

    def stop(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """A store over TCP. To have another go through every test here, add its line below."""

    make_server: Callable[[Path], Server]
    impatient: str
    """Options in its URL by which an answer is given up after two seconds."""
    own_space: str = ""
    """An option that keeps one test's keys from another's; `{}` is a new name."""

    def url(self, server: Server, *, is_impatient: bool = False) -> str:
        """Return the URL of a store that holds nothing yet."""
        options = [self.own_space.format(uuid.uuid4().hex), self.impatient if is_impatient else ""]
        query = "&".join(each for each in options if each)
        return f"{server.url}?{query}" if query else server.url


REMOTES = {
    "redis": Remote(
        make_server=RedisServer,
        impatient="socket_timeout=2&socket_connect_timeout=2",
        own_space="namespace={}",
    ),
    "postgresql": Remote(make_server=PostgreSQLServer, impatient="answer_timeout=2"),
}
