"""Key-value stores: ordered keys, JSON values, versionstamps and atomic commits. What all state rests on."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from fc_connect.errors import ConfigurationError, MissingExtraError
from fc_connect.kv.base import (
    MAX_COMMIT_KEYS,
    MAX_KEY_BYTES,
    MAX_VALUE_BYTES,
    Atomic,
    CommitResult,
    Entry,
    Key,
    KVStore,
)

if TYPE_CHECKING:
    from fc_connect.clock import Clock

__all__ = [
    "MAX_COMMIT_KEYS",
    "MAX_KEY_BYTES",
    "MAX_VALUE_BYTES",
    "Atomic",
    "CommitResult",
    "Entry",
    "KVStore",
    "Key",
    "open_kv",
]

# scheme: module, class, extra
_BACKENDS = {
    "memory": ("memory", "MemoryKV", None),
    "sqlite": ("sqlite", "SQLiteKV", None),
    "redis": ("redis", "RedisKV", "redis"),
    "rediss": ("redis", "RedisKV", "redis"),
    "postgresql": ("postgresql", "PostgreSQLKV", "postgres"),
    "postgres": ("postgresql", "PostgreSQLKV", "postgres"),
}


def open_kv(url: str, *, clock: Clock | None = None) -> KVStore:
    """Open the store at `url`; its driver is imported now.

    `memory:`, `sqlite:///relative/path`, `sqlite:////absolute/path`, `redis://…`, `rediss://…`, `postgresql://…`.
    `clock` is for stores that have no clock of their own, and for tests.

    Raises:
        ConfigurationError: no such kind of store, or a path is missing.
        MissingExtraError: its driver isn't installed.
        KVUnavailableError: it can't be opened or reached.
    """
    scheme = url.partition(":")[0].lower()
    if scheme not in _BACKENDS:
        known = ", ".join(f"{each}:" for each in _BACKENDS)
        raise ConfigurationError(f"There is no store of kind {scheme!r}. Known: {known}")
    module, name, extra = _BACKENDS[scheme]
    try:
        backend = getattr(import_module(f"{__name__}.{module}"), name)
    except ModuleNotFoundError as exc:
        if extra is None or (exc.name or "").startswith("fc_connect"):
            raise
        raise MissingExtraError(f"{scheme}:// needs a driver: pip install 'fc-connect[{extra}]'") from exc
    if scheme == "memory":
        store: KVStore = backend(clock=clock)
    elif scheme == "sqlite":
        store = backend(_path_of(url), clock=clock)
    else:
        store = backend(url)
    return store


def _path_of(url: str) -> Path:
    parts = urlsplit(url)
    path = unquote(parts.path)
    if parts.netloc or not path.startswith("/") or path == "/":
        raise ConfigurationError(
            f"{url!r} names no file: write sqlite:///relative/path or sqlite:////absolute/path."
        )
    return Path(path[1:])
