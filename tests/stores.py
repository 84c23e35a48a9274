"""Every kind of store by name, with a server of its own where it needs one: for the commands that try them all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from tests import servers

__all__ = ["SERVERS", "store_url"]


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


SERVERS: dict[str, Callable[[Path], Server]] = {
    "redis": servers.RedisServer,
    "postgresql": servers.PostgreSQLServer,
    "nats": servers.NATSServer,
    "deno": servers.DenoServer,
    "dynamodb": _DynamoDB,
}
"""A further store is one line."""


@contextmanager
def store_url(name: str) -> Iterator[str]:
    """Yield the URL of a store: one of `SERVERS`, started for the block, `sqlite`, `memory`, or a URL as it is."""
    with tempfile.TemporaryDirectory(prefix=f"fc-connect-{name.partition(':')[0]}-") as folder:
        if name in SERVERS:
            server = SERVERS[name](Path(folder))
            server.start()
            try:
                yield server.url
            finally:
                server.stop()
        elif name == "sqlite":
            yield f"sqlite:///{folder}/state.db"
        else:
            yield "memory:" if name == "memory" else name
