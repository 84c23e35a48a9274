"""A store in Redis (6.2 or newer) or Valkey: one Lua script per commit.

All keys with the same first part (a workflow's) carry one hash tag, so they can be committed together on a cluster; a
commit across first parts is refused. Per first part there are a sorted set of names (for listing), one of names by
expiry, a counter (versionstamps) and a hash per key. Expiry is Redis' own.

Durability is the server's: run it with `appendonly yes` and `appendfsync always`, and `maxmemory-policy noeviction`.
With `?wait_replicas=N` in the URL a commit counts only once N replicas have it. `lacks()` asks the server for these
settings; `?durable=yes` vouches for one that doesn't tell.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from importlib import resources
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import redis
from redis import exceptions as failures
from redis.backoff import NoBackoff
from redis.retry import Retry

from fc_connect.errors import (
    ConfigurationError,
    KVCommitUnknownError,
    KVCorruptError,
    KVError,
    KVUnavailableError,
    KVValueError,
)
from fc_connect.kv.base import CommitResult, Entry, Guarantee, Key, OneKey
from fc_connect.kv.commit import Commit
from fc_connect.kv.keys import decode_key, decode_value, encode_key, key_range

__all__ = ["RedisKV"]

T = TypeVar("T")

_SCHEMA = 1
_PAGE = 500
_TIMEOUT = 15.0  # seconds, for one answer
_REPLICAS_WITHIN = 5000  # milliseconds
_SCRIPT = (resources.files("fc_connect.kv") / "commit.lua").read_text(encoding="utf-8")
_PAGE_SCRIPT = (resources.files("fc_connect.kv") / "page.lua").read_text(encoding="utf-8")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class RedisKV(OneKey):
    """A `KVStore` in Redis or Valkey. Safe to share between threads, and after a fork.

    Versionstamps increase among keys with the same first part.

    Raises:
        ConfigurationError: the URL can't be used.
        KVUnavailableError: the server can't be reached, or refuses the user.
        KVCorruptError: what it holds was written by a newer version.
    """

    has_clock = True

    def __init__(self, url: str) -> None:
        address, options = _split(url)
        self._space = options["namespace"].encode()
        self._replicas = int(options["wait_replicas"])
        self._is_durable = options["durable"] == "yes"
        try:
            self._client = redis.Redis.from_url(
                address,
                socket_timeout=_TIMEOUT,
                socket_connect_timeout=_TIMEOUT,
                retry=Retry(NoBackoff(), 0),  # a commit is never repeated by the driver
                health_check_interval=30,
            )
        except ValueError as exc:
            raise ConfigurationError(f"The Redis URL can't be used: {exc}") from exc
        _check_options(self._client)
        self._tags: set[bytes] = set()
        self._is_closed = False
        try:
            self._check_schema()
        except BaseException:
            self._client.close()
            raise

    def __repr__(self) -> str:
        return "RedisKV(…)"  # the URL may hold a password

    def get_many(self, keys: Sequence[Key]) -> list[Entry | None]:
        names = [encode_key(key) for key in keys]
        hashes = [self._hash(_tag(key), name) for key, name in zip(keys, names, strict=True)]
        return [
            None if found is None else _entry(key, *found)
            for key, found in zip(keys, self._read(hashes), strict=True)
        ]

    def list(
        self,
        prefix: Key,
        *,
        start: Key | None = None,
        end: Key | None = None,
        limit: int | None = None,
        reverse: bool = False,
    ) -> Iterator[Entry]:
        low, high = key_range(prefix, start=start, end=end)
        left = limit
        for tag in [_tag(prefix)] if prefix else self._all_tags(reverse=reverse):
            for entry in self._list_tag(tag, low, high, left, reverse=reverse):
                yield entry
                if left is not None:
                    left -= 1
            if left is not None and left <= 0:
                return

    def atomic(self) -> Commit:
        return Commit(self._apply)

    def now(self) -> datetime:
        seconds, microseconds = self._ask(self._client.time)
        return _EPOCH + timedelta(seconds=seconds, microseconds=microseconds)

    def lacks(self) -> Mapping[Guarantee, str]:
        if self._is_durable:
            return {}

        def ask() -> Any:
            try:
                return self._client.config_get("append*", "maxmemory*")
            except failures.ResponseError as exc:  # hosted servers often have no CONFIG
                return exc

        told = self._ask(ask)
        if isinstance(told, failures.ResponseError):
            reason = f"the server doesn't tell how it writes to disk ({told})"
            return {
                Guarantee.DURABLE: f"{reason}; if you know that it keeps every commit, put durable=yes in its URL"
            }
        wrong = []
        if told.get("appendonly") != "yes" or told.get("appendfsync") != "always":
            wrong.append("`appendonly yes` and `appendfsync always`")
        if told.get("maxmemory", "0") != "0" and told.get("maxmemory-policy") != "noeviction":
            wrong.append("`maxmemory-policy noeviction`")
        if not wrong:
            return {}
        return {Guarantee.DURABLE: f"the server may forget commits: set {' and '.join(wrong)}"}

    def close(self) -> None:
        self._is_closed = True
        self._client.close()

    def _apply(self, commit: Commit) -> CommitResult:
        tags = {_tag(key) for key in commit.keys.values()}
        if not tags:
            return CommitResult(ok=True, versionstamp=None)
        if len(tags) > 1:
            firsts = sorted({repr(key[0]) for key in commit.keys.values()})
            raise KVValueError(
                "Redis commits keys together only where they share their first part (one hash slot on a cluster); "
                f"this commit has {', '.join(firsts)}."
            )
        tag = tags.pop()
        self._know(tag)
        keys = [self._named(tag, kind) for kind in (b"names", b"counter", b"expiry")]
        place = {name: number for number, name in enumerate(commit.keys, len(keys) + 1)}
        keys += [self._hash(tag, name) for name in commit.keys]
        arguments: list[Any] = [len(commit.checks), len(commit.writes)]
        for name, versionstamp in commit.checks.items():
            arguments += [place[name], versionstamp or ""]
        for name, write in commit.writes.items():
            if write.value is None:
                arguments += [place[name], name, "delete", "", ""]
            else:
                expiry = (
                    ""
                    if write.expire_in is None
                    else max(1, math.ceil(write.expire_in.total_seconds() * 1000))
                )
                arguments += [place[name], name, "set", write.value, expiry]
        ok, versionstamp = self._evaluate(keys, arguments)
        return CommitResult(ok=bool(ok), versionstamp=versionstamp.decode() if ok else None)

    def _evaluate(self, keys: Sequence[bytes], arguments: Sequence[Any]) -> Any:
        """Send the script over one connection, and tell a failure before sending from one after it."""
        self._demand_open()
        pool = self._client.connection_pool
        with _mapped_errors(is_write=False):
            connection: Any = pool.get_connection()
        try:
            with _mapped_errors(is_write=True):
                connection.send_command("EVAL", _SCRIPT, len(keys), *keys, *arguments)
                answer = connection.read_response()
                if answer[0] and self._replicas:
                    connection.send_command("WAIT", self._replicas, _REPLICAS_WITHIN)
                    reached = int(connection.read_response())
                    if reached < self._replicas:
                        raise KVCommitUnknownError(
                            f"Redis: only {reached} of {self._replicas} replicas have the commit (`wait_replicas`)."
                        )
                return answer
        except BaseException:
            connection.disconnect()
            raise
        finally:
            pool.release(connection)

    def _list_tag(
        self, tag: bytes, low: bytes, high: bytes, limit: int | None, *, reverse: bool
    ) -> Iterator[Entry]:
        names_key = self._named(tag, b"names")
        left = limit
        # One script: names and values read one after the other would miss what a commit moved from key to key.
        command, before = ("ZREVRANGEBYLEX" if reverse else "ZRANGEBYLEX"), self._hash(tag, b"")
        low, high = b"[" + low, b"(" + high
        while left is None or left > 0:
            bounds = (high, low) if reverse else (low, high)

            def read(bounds: tuple[bytes, bytes] = bounds) -> Any:
                return self._client.eval(_PAGE_SCRIPT, 1, names_key, command, *bounds, _PAGE, before)

            page = self._ask(read)
            for name, value, stamp in page:
                if value is not None and (left is None or left > 0):
                    yield _entry(decode_key(name), value, stamp.decode())
                    left = None if left is None else left - 1
            if len(page) < _PAGE:
                return
            low, high = (low, b"(" + page[-1][0]) if reverse else (b"(" + page[-1][0], high)

    def _read(self, hashes: Sequence[bytes]) -> Sequence[tuple[bytes, str] | None]:
        if not hashes:
            return []

        def read() -> Any:
            with self._client.pipeline(transaction=False) as pipeline:
                for each in hashes:
                    pipeline.hmget(each, "v", "s")
                return pipeline.execute()

        return [None if value is None else (value, stamp.decode()) for value, stamp in self._ask(read)]

    def _all_tags(self, *, reverse: bool) -> Sequence[bytes]:
        return sorted(self._ask(lambda: self._client.smembers(self._space + b":tags")), reverse=reverse)

    def _know(self, tag: bytes) -> None:
        """Note the first part, for who lists everything; before its first key, so that none is overlooked."""
        if tag not in self._tags:
            self._ask(lambda: self._client.sadd(self._space + b":tags", tag))
            self._tags.add(tag)

    def _check_schema(self) -> None:
        name = self._space + b":schema"
        self._ask(lambda: self._client.set(name, _SCHEMA, nx=True))
        schema = int(self._ask(lambda: self._client.get(name)))
        if schema > _SCHEMA:
            raise KVCorruptError(
                f"What Redis holds was written by a newer version of fc-connect (schema {schema}, this one knows "
                f"{_SCHEMA}). Upgrade fc-connect; nothing was changed."
            )

    def _ask(self, read: Callable[[], Any]) -> Any:
        """Ask something that may be asked twice; a connection that died in the meantime is replaced once."""
        self._demand_open()
        with _mapped_errors(is_write=False):
            try:
                return read()
            except failures.ConnectionError:
                return read()

    def _demand_open(self) -> None:
        if self._is_closed:
            raise KVUnavailableError("This store was closed.")

    def _named(self, tag: bytes, kind: bytes) -> bytes:
        return self._space + b":{" + tag + b"}:" + kind

    def _hash(self, tag: bytes, name: bytes) -> bytes:
        return self._space + b":{" + tag + b"}:k:" + name


def _tag(key: Key) -> bytes:
    """Return the hash tag of a key: its first part, encoded, in digits that sort as the parts do."""
    return encode_key(key[:1]).hex().encode()


def _split(url: str) -> tuple[str, dict[str, str]]:
    """Part our own options from the driver's."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    ours = {
        "namespace": query.pop("namespace", "fc-connect"),
        "wait_replicas": query.pop("wait_replicas", "0"),
        "durable": query.pop("durable", "ask"),
    }
    if not ours["wait_replicas"].isdecimal():
        raise ConfigurationError("wait_replicas in the Redis URL must be a whole number.")
    if ours["durable"] not in {"ask", "yes"}:
        raise ConfigurationError("durable in the Redis URL must be yes (you vouch for the server) or ask.")
    return urlunsplit(parts._replace(query=urlencode(query))), ours


def _check_options(client: redis.Redis) -> None:
    """Refuse options that the driver doesn't know; it would fail with a TypeError at its first connection."""
    try:
        client.connection_pool.connection_class(**client.connection_pool.connection_kwargs)
    except (TypeError, ValueError) as exc:
        client.close()
        raise ConfigurationError(
            f"The Redis URL can't be used: it holds an option that the driver doesn't take ({exc})."
        ) from exc


@contextmanager
def _mapped_errors(*, is_write: bool) -> Iterator[None]:
    try:
        yield
    except (failures.AuthenticationError, failures.NoPermissionError) as exc:
        raise KVUnavailableError(f"Redis refuses the user: {exc}") from exc
    except (failures.ConnectionError, failures.TimeoutError) as exc:
        if is_write and not isinstance(exc, failures.BusyLoadingError | failures.MaxConnectionsError):
            raise KVCommitUnknownError(f"Redis: the connection died during a commit: {exc}") from exc
        raise KVUnavailableError(
            f"Redis can't be reached: {exc}. Nothing was written; run again once the server is up."
        ) from exc
    except failures.ResponseError as exc:
        refused = (
            "OOM",
            "READONLY",
            "LOADING",
            "CLUSTERDOWN",
            "TRYAGAIN",
            "MASTERDOWN",
            "NOREPLICAS",
            "BUSY",
            "MISCONF",
        )
        if str(exc).startswith(refused) or isinstance(
            exc, failures.ReadOnlyError | failures.OutOfMemoryError
        ):
            raise KVUnavailableError(f"Redis refuses for now: {exc}. Nothing was written.") from exc
        raise KVError(f"Redis: {exc}") from exc
    except failures.RedisError as exc:
        raise KVError(f"Redis: {exc}") from exc


def _entry(key: Key, value: bytes, versionstamp: str) -> Entry:
    return Entry(key=key, value=decode_value(key, value), versionstamp=versionstamp)
