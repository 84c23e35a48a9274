"""Key-value stores: ordered keys, JSON values, versionstamps and atomic commits. What all state rests on."""

from __future__ import annotations

import re
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
    Guarantee,
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
    "Guarantee",
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
    "deno+https": ("deno", "DenoKV", "deno"),
    "deno+http": ("deno", "DenoKV", "deno"),
    "dynamodb": ("dynamodb", "DynamoDBKV", "dynamodb"),
    "nats": ("nats", "NATSKV", "nats"),
    "nats+tls": ("nats", "NATSKV", "nats"),
}


def open_kv(url: str, *, clock: Clock | None = None) -> KVStore:
    """Open the store at `url`; its driver is imported now.

    `memory:`, `sqlite:///relative/path`, `sqlite:////absolute/path`, `redis://…`, `rediss://…`, `postgresql://…`,
    `deno+https://…`, `nats://…`, `nats+tls://…`, `dynamodb://table?region=…`.
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
    elif scheme == "dynamodb" or scheme.startswith("deno+"):
        _check_server(scheme, url)
        store = backend(url, clock=clock)
    else:
        _check_server(scheme, url)
        store = backend(url)
    return store


def _check_server(scheme: str, url: str) -> None:
    """Refuse a URL that drivers would take apart elsewhere than its writer: they'd repeat pieces of its password."""
    rest = url.partition(":")[2].removeprefix("//")
    authority, *behind = re.split(r"[/?#]", rest, maxsplit=1)
    reason = None
    if authority.count("@") > 1 or ("@" in "".join(behind) and "@" not in authority):
        reason = "a user or password in it holds `@`, `/`, `?` or `#`: write these as %40, %2F, %3F and %23"
    elif re.search(r"%(?![0-9A-Fa-f]{2})", url):
        reason = "it holds a `%` that begins no escape: write it as %25"
    elif not url.isprintable() or " " in url:
        reason = "it holds a space or a control character: write a space as %20"
    else:
        try:
            if "\0" in unquote(url, errors="strict"):
                reason = "it holds %00"
            _ = urlsplit(url).port
        except UnicodeError:
            reason = "its escapes aren't UTF-8"
        except ValueError:
            reason = "its host or port can't be read"
    if reason is not None:
        # Without the URL and without a cause: either may hold the password.
        raise ConfigurationError(f"The {scheme}:// URL of the store can't be used: {reason}.")


def _path_of(url: str) -> Path:
    try:
        parts = urlsplit(url)
        path = unquote(parts.path, errors="strict")
        path.encode()
    except ValueError as exc:
        raise ConfigurationError(f"{url!r} names no file: {exc}.") from exc
    if parts.netloc or not path.startswith("/") or path == "/" or "\0" in path:
        raise ConfigurationError(
            f"{url!r} names no file: write sqlite:///relative/path or sqlite:////absolute/path."
        )
    return Path(path[1:])
