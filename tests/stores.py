"""Every kind of store by name, with a server of its own where it needs one: for the commands that try them all."""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tests import servers

__all__ = ["PROXIED", "SERVERS", "Remote", "Server", "store_url"]


class Server(Protocol):
    """What can be started in a folder."""

    @property
    def url(self) -> str: ...

    def start(self) -> None: ...

    def stop(self) -> None: ...


class _DynamoDB(servers.DynamoDBServer):
    """With a table, which is made when it is opened; the processes inherit what it is opened with."""

    @property
    def url(self) -> str:
        os.environ.update(AWS_ACCESS_KEY_ID="tester", AWS_SECRET_ACCESS_KEY="not-a-secret")
        return f"dynamodb://tried?region=eu-west-1&endpoint_url={self.endpoint_url}&durable=yes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """A store with a server."""

    make: Callable[[Path], Server]
    space: str | None = None
    """How a store of one's own is named, from the server's `url` and a `name`, where a proxy can stand before it.

    None where its address isn't in the URL's place for it: Deno's server tells its own, DynamoDB's is an option."""
    impatient: str = ""
    """What is added to that to give up an answer after two seconds."""

    bears: int | None = None
    """How many runs of the crash tests at once; None: as many as there are."""

    def url(self, server: Server, *, name: str | None = None, is_impatient: bool = False) -> str:
        """Return the URL of the store `name`, by default of one that holds nothing yet."""
        assert self.space is not None
        url = self.space.format(url=server.url, name=name or uuid.uuid4().hex)
        return url + self.impatient if is_impatient else url


SERVERS: dict[str, Remote] = {
    "redis": Remote(
        make=servers.RedisServer,
        space="{url}?namespace={name}",
        impatient="&socket_timeout=2&socket_connect_timeout=2",
    ),
    "postgresql": Remote(
        make=servers.PostgreSQLServer,
        space="{url}?application_name={name}",
        impatient="&answer_timeout=2",
    ),
    "nats": Remote(make=servers.NATSServer, space="{url}/{name}", impatient="?answer_timeout=2"),
    "deno": Remote(make=servers.DenoServer),
    # One Python process that carries out one request after the other: with eight runs on it, leases of 3 s run out.
    "dynamodb": Remote(make=_DynamoDB, bears=2),
}
"""A further store is one line, for the crash tests, the histories and the outages alike."""
PROXIED = {name: kind for name, kind in SERVERS.items() if kind.space is not None}


@contextmanager
def store_url(name: str) -> Iterator[str]:
    """Yield the URL of a store: one of `SERVERS`, started for the block, `sqlite`, `memory`, or a URL as it is."""
    with tempfile.TemporaryDirectory(prefix=f"fc-connect-{name.partition(':')[0]}-") as folder:
        if name in SERVERS:
            server = SERVERS[name].make(Path(folder))
            server.start()
            try:
                yield server.url
            finally:
                server.stop()
        elif name == "sqlite":
            yield f"sqlite:///{folder}/state.db"
        else:
            yield "memory:" if name == "memory" else name
