"""Stores that talk over TCP, each with a server of its own that tests may stop and start."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tests.servers import NATSServer, PostgreSQLServer, RedisServer

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
    space: str
    """How a store of one's own is named, from the server's `url` and a `name`."""
    impatient: str = ""
    """What is added to its URL to give up an answer after two seconds."""

    def url(self, server: Server, *, name: str | None = None, is_impatient: bool = False) -> str:
        """Return the URL of the store `name`, by default of one that holds nothing yet."""
        url = self.space.format(url=server.url, name=name or uuid.uuid4().hex)
        return url + self.impatient if is_impatient else url


REMOTES = {
    "redis": Remote(
        make_server=RedisServer,
        space="{url}?namespace={name}",
        impatient="&socket_timeout=2&socket_connect_timeout=2",
    ),
    "postgresql": Remote(
        make_server=PostgreSQLServer, space="{url}?application_name={name}", impatient="&answer_timeout=2"
    ),
    "nats": Remote(make_server=NATSServer, space="{url}/{name}"),
}
