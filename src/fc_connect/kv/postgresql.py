"""A store in PostgreSQL (12 or newer): one table, a pool, migrations made on first use.

A commit is one transaction. It first takes transaction-level advisory locks on its keys, in one order, so that also
two commits that demand the same absent key exclude each other; no session state is used, so PgBouncer's transaction
pooling is fine. Durability is the server's: with `synchronous_commit = on`, its default, a commit that returned is on
disk.

Neither side waits for ever. An answer that doesn't come within 15 s (`?answer_timeout=` seconds in the URL) is given
up here; and the server ends a transaction whose client says nothing for a little less, so that a worker that was paused
or cut off holds up nobody, and a COMMIT that was lost on its way can't be carried out after it was given up.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlencode

import psycopg
from psycopg import errors
from psycopg_pool import ConnectionPool, PoolClosed, PoolTimeout

from fc_connect.errors import (
    ConfigurationError,
    KVCommitUnknownError,
    KVCorruptError,
    KVError,
    KVUnavailableError,
)
from fc_connect.kv.base import CommitResult, Entry, Guarantee, Key, OneKey
from fc_connect.kv.commit import Commit
from fc_connect.kv.keys import decode_key, decode_value, encode_key, key_range

__all__ = ["PostgreSQLKV"]

T = TypeVar("T")
Connection = psycopg.Connection[Any]

_PAGE = 500
_SWEEP_EVERY = 64  # commits
_ANSWER_TIMEOUT = 15  # seconds, for a connection and for each answer
_MIGRATION_LOCK = 0x46434B56  # "FCKV"
_LIVE = "(expires_at IS NULL OR expires_at > clock_timestamp())"
# A commit that was under way when a key expired has ended long before the key counts as gone for good.
_STATE = (
    f"CASE WHEN {_LIVE} THEN 'live' WHEN expires_at > clock_timestamp() - interval '1 minute' THEN 'expired'"
    " ELSE 'gone' END"
)

_MIGRATIONS = (
    """
    CREATE TABLE fc_connect_kv (
        key bytea PRIMARY KEY,
        value bytea NOT NULL,
        version bigint NOT NULL,
        expires_at timestamptz
    );
    CREATE INDEX fc_connect_kv_expires_at ON fc_connect_kv (expires_at) WHERE expires_at IS NOT NULL;
    CREATE SEQUENCE fc_connect_kv_version;
    """,
)


class PatientConnection(psycopg.Connection[Any]):
    """Gives up an answer that doesn't come: the driver would wait for as long as the connection stays."""

    patience: float = _ANSWER_TIMEOUT

    def wait(self, gen: Any, *args: Any, **kwargs: Any) -> Any:
        return super().wait(_bounded(gen, self.pgconn, self.patience), *args, **kwargs)


class PostgreSQLKV(OneKey):
    """A `KVStore` in a PostgreSQL database. Safe to share between threads; a forked child opens its own pool.

    Raises:
        ConfigurationError: the URL can't be used.
        KVUnavailableError: the server can't be reached, or refuses the user.
        KVCorruptError: the tables were made by a newer version.
    """

    has_clock = True

    def __init__(self, url: str, *, max_connections: int = 8) -> None:
        self._url, self._timeout = _split(url)
        self._max = max_connections
        self._lock = threading.Lock()
        self._is_closed = False
        self._pid = os.getpid()
        self._pool = self._open_pool()
        try:
            self._do(_migrate)
        except BaseException:
            self._pool.close()
            raise

    def __repr__(self) -> str:
        return "PostgreSQLKV(…)"  # the URL may hold a password

    def get_many(self, keys: Sequence[Key]) -> list[Entry | None]:
        names = [encode_key(key) for key in keys]

        query = f"SELECT key, value, version, {_STATE} FROM fc_connect_kv WHERE key = ANY(%s)"  # noqa: S608
        rows = self._do(lambda connection: _read(connection, query, (names,)))
        found = {name: (value, version) for name, value, version, state in rows if state == "live"}
        return [
            _entry(key, *found[name]) if name in found else None
            for key, name in zip(keys, names, strict=True)
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
        query = (
            f"SELECT key, value, version, {_STATE} FROM fc_connect_kv WHERE key >= %s AND key < %s "  # noqa: S608
            f"ORDER BY key {'DESC' if reverse else 'ASC'} LIMIT %s"
        )
        while left is None or left > 0:
            size = _PAGE if left is None else min(_PAGE, left)
            bounds = (low, high, size)

            def read(connection: Connection, bounds: tuple[bytes, bytes, int] = bounds) -> Sequence[Any]:
                return _read(connection, query, bounds)

            page = self._do(read)
            live = [row for row in page if row[3] == "live"]
            for name, value, version, _ in live:
                yield _entry(decode_key(name), value, version)
            if len(page) < size:
                return
            left = None if left is None else left - len(live)
            last = page[-1][0]
            low, high = (low, last) if reverse else (last + b"\x00", high)

    def atomic(self) -> Commit:
        return Commit(self._apply)

    def now(self) -> datetime:
        [(now,)] = self._do(lambda connection: connection.execute("SELECT clock_timestamp()").fetchall())
        return now.astimezone(UTC)  # type: ignore[no-any-return]

    def lacks(self) -> Mapping[Guarantee, str]:
        query = (
            "SELECT name FROM pg_settings WHERE name IN ('fsync', 'synchronous_commit') AND setting = 'off'"
        )
        off = sorted(name for (name,) in self._do(lambda connection: connection.execute(query).fetchall()))
        if not off:
            return {}
        return {
            Guarantee.DURABLE: f"the server may forget commits: set {' and '.join(f'`{each} = on`' for each in off)}"
        }

    def close(self) -> None:
        with self._lock:
            self._is_closed = True
        if self._pid == os.getpid():
            self._pool.close()

    def _apply(self, commit: Commit) -> CommitResult:
        return self._do(lambda connection: _commit(connection, commit), is_write=True)

    def _do(self, work: Callable[[Connection], T], *, is_write: bool = False) -> T:
        """Do `work` in a transaction. Only a COMMIT that was sent and not answered has an unknown outcome."""
        with self._mapped_errors(is_write=False):
            pool = self._current_pool()
            connection = self._begin(pool)
        try:
            with self._mapped_errors(is_write=False):
                result = work(connection)
            with self._mapped_errors(is_write=is_write):
                connection.commit()
            return result
        finally:
            pool.putconn(connection)  # which rolls back what is unfinished, and drops what is broken

    def _begin(self, pool: ConnectionPool[Connection]) -> Connection:
        """Begin a transaction, on a connection that answers: a restart of the server leaves dead ones in the pool."""
        milliseconds = int(self._timeout * 1000)
        limits = (
            f"SET LOCAL idle_in_transaction_session_timeout = {milliseconds * 9 // 10};"
            f"SET LOCAL lock_timeout = {milliseconds * 2 // 3};"
            f"SET LOCAL statement_timeout = {milliseconds * 9 // 10}"
        )
        deadline = time.monotonic() + self._timeout
        while time.monotonic() < deadline:
            connection = pool.getconn()
            try:
                connection.execute(limits)
            except psycopg.OperationalError:
                pool.putconn(connection)
            except BaseException:
                pool.putconn(connection)
                raise
            else:
                return connection
        raise PoolTimeout("no connection answers")

    def _current_pool(self) -> ConnectionPool[Connection]:
        with self._lock:
            if self._is_closed:
                raise KVUnavailableError("This store was closed.")
            if self._pid != os.getpid():
                self._pid = os.getpid()
                self._pool = self._open_pool()  # the parent's connections are the parent's
            return self._pool

    def _open_pool(self) -> ConnectionPool[Connection]:
        # The driver takes whole seconds, and at least two.
        options: dict[str, Any] = {
            "connect_timeout": max(2, min(10, int(self._timeout))),
            "prepare_threshold": None,
        }
        with self._mapped_errors(is_write=False):
            # One try at once, for an error that says why; the pool by itself only says that it waited.
            psycopg.connect(self._url, connect_timeout=options["connect_timeout"]).close()
            return ConnectionPool(
                self._url,
                connection_class=PatientConnection,
                min_size=1,
                max_size=self._max,
                timeout=self._timeout,
                open=True,
                configure=self._configure,
                kwargs=options,
                reconnect_timeout=5,
            )

    def _configure(self, connection: Connection) -> None:
        if isinstance(connection, PatientConnection):
            connection.patience = self._timeout
        connection.prepare_threshold = None  # a pooler may hand each transaction another server connection

    @contextmanager
    def _mapped_errors(self, *, is_write: bool) -> Iterator[None]:
        try:
            yield
        except (PoolTimeout, PoolClosed) as exc:
            raise KVUnavailableError(
                f"PostgreSQL can't be reached: no connection within {self._timeout:g} s ({exc}). Nothing was written; "
                "run again once the server is up."
            ) from exc
        except (
            errors.SerializationFailure,
            errors.DeadlockDetected,
            errors.LockNotAvailable,
            errors.QueryCanceled,
            errors.TooManyConnections,
            errors.DiskFull,
            errors.ReadOnlySqlTransaction,
            errors.IdleInTransactionSessionTimeout,
        ) as exc:
            raise KVUnavailableError(f"PostgreSQL: {exc}. Nothing was written.") from exc
        except psycopg.OperationalError as exc:
            if is_write:
                raise KVCommitUnknownError(f"PostgreSQL: the connection died during a commit: {exc}") from exc
            raise KVUnavailableError(
                f"PostgreSQL can't be reached: {exc}. Nothing was written; run again once the server is up."
            ) from exc
        except psycopg.Error as exc:
            raise KVError(f"PostgreSQL: {exc}") from exc


def _split(url: str) -> tuple[str, float]:
    """Part our own option from the driver's."""
    address, mark, query = url.partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True))
    given = options.pop("answer_timeout", None)
    if given is None:
        return url, _ANSWER_TIMEOUT
    try:
        timeout = float(given)
    except ValueError:
        timeout = 0.0
    if not 0.5 <= timeout <= 600:
        raise ConfigurationError("answer_timeout in the PostgreSQL URL must be 0.5 to 600 seconds.")
    return address + mark + urlencode(options), timeout


def _bounded(steps: Generator[Any, Any, T], connection: Any, timeout: float) -> Generator[Any, Any, T]:
    """Drive the driver's exchange, whose waits come back ten times a second; close the connection when it's late."""
    deadline = time.monotonic() + timeout
    ready = None
    try:
        while True:
            wanted = steps.send(ready)
            ready = yield wanted
            if not ready and time.monotonic() > deadline:
                connection.finish()
                raise psycopg.OperationalError(f"no answer within {timeout:g} s")
    except StopIteration as end:
        value: T = end.value
        return value


def _read(connection: Connection, query: str, parameters: Sequence[Any]) -> Sequence[Any]:
    """Read rows; where one has expired just now, once more, behind the commits that found it alive.

    Else a reader could see it gone, and after that a commit take effect that had checked that it was there.
    """
    waited: set[bytes] = set()
    while True:
        rows = connection.execute(query, parameters).fetchall()
        expired = {name for name, _, _, state in rows if state == "expired"}
        if expired <= waited:
            return rows
        _lock(connection, "pg_advisory_xact_lock_shared", expired)
        waited |= expired


def _lock(connection: Connection, how: str, names: Iterable[bytes]) -> None:
    """Take the locks of keys until the transaction ends, in one order for all."""
    locks = {
        int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "big", signed=True) for name in names
    }
    connection.execute(
        f"SELECT {how}(lock)"  # noqa: S608
        " FROM (SELECT unnest(%s::bigint[]) AS lock ORDER BY 1) AS locks",
        (sorted(locks),),
    )


def _commit(connection: Connection, commit: Commit) -> CommitResult:
    _lock(connection, "pg_advisory_xact_lock", commit.keys)
    if commit.checks:
        rows = connection.execute(
            f"SELECT key, version FROM fc_connect_kv WHERE key = ANY(%s) AND {_LIVE}",  # noqa: S608
            (list(commit.checks),),
        ).fetchall()
        found = {name: _versionstamp(version) for name, version in rows}
        if any(found.get(name) != versionstamp for name, versionstamp in commit.checks.items()):
            connection.rollback()
            return CommitResult(ok=False, versionstamp=None)
    [(version,)] = connection.execute("SELECT nextval('fc_connect_kv_version')").fetchall()
    deleted = [name for name, write in commit.writes.items() if write.value is None]
    if deleted:
        connection.execute("DELETE FROM fc_connect_kv WHERE key = ANY(%s)", (deleted,))
    written = [
        (name, write.value, write.expire_in)
        for name, write in commit.writes.items()
        if write.value is not None
    ]
    if written:
        names, values, expiries = (list(column) for column in zip(*written, strict=True))
        connection.execute(
            "INSERT INTO fc_connect_kv SELECT key, value, %s, clock_timestamp() + expire_in"
            " FROM unnest(%s::bytea[], %s::bytea[], %s::interval[]) AS written (key, value, expire_in)"
            " ON CONFLICT (key) DO UPDATE SET value = excluded.value, version = excluded.version,"
            " expires_at = excluded.expires_at",
            (version, names, values, expiries),
        )
    if version % _SWEEP_EVERY == 0:
        connection.execute(
            "DELETE FROM fc_connect_kv WHERE key IN (SELECT key FROM fc_connect_kv"
            " WHERE expires_at <= clock_timestamp() LIMIT 200 FOR UPDATE SKIP LOCKED)"
        )
    return CommitResult(ok=True, versionstamp=_versionstamp(version))


def _migrate(connection: Connection) -> None:
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (_MIGRATION_LOCK,))  # one of 8 that start together
    connection.execute(
        "CREATE TABLE IF NOT EXISTS fc_connect_kv_migrations (number integer PRIMARY KEY,"
        " applied_at timestamptz NOT NULL DEFAULT now())"
    )
    [(done,)] = connection.execute("SELECT coalesce(max(number), 0) FROM fc_connect_kv_migrations").fetchall()
    if done > len(_MIGRATIONS):
        raise KVCorruptError(
            f"The tables in PostgreSQL were made by a newer version of fc-connect (schema {done}, this one knows "
            f"{len(_MIGRATIONS)}). Upgrade fc-connect; nothing was changed."
        )
    for number, statements in enumerate(_MIGRATIONS[done:], done + 1):
        connection.execute(statements)
        connection.execute("INSERT INTO fc_connect_kv_migrations (number) VALUES (%s)", (number,))


def _entry(key: Key, value: bytes, version: int) -> Entry:
    return Entry(key=key, value=decode_value(key, bytes(value)), versionstamp=_versionstamp(version))


def _versionstamp(version: int) -> str:
    return f"{version:020d}"
