"""A store in one SQLite file: the default. Any number of processes of one machine may use it.

WAL, `synchronous=FULL`: a commit that returned survives a power cut. Writers take the write lock at once (BEGIN
IMMEDIATE) and wait for it with jitter, so none starves and none fails half-way. A network file system is refused:
SQLite's locks don't hold there (https://www.sqlite.org/wal.html).
"""

from __future__ import annotations

import os
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from fc_connect.clock import Clock, SystemClock
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
from fc_connect.kv.steady import Anchor, SteadyClock

__all__ = ["SQLiteKV"]

T = TypeVar("T")

_APPLICATION = 0x46434B56  # "FCKV" in the file's header
_SCHEMA = 1
_PAGE = 500
_SWEEP_EVERY = 64  # commits
_BUSY_FOR = 30.0  # seconds
_IDLE = 8  # connections kept open
_NETWORK = {
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "9p",
    "afs",
    "ceph",
    "glusterfs",
    "lustre",
    "fuse.sshfs",
    "beegfs",
}

_CREATE = (
    "CREATE TABLE kv (key BLOB PRIMARY KEY, value BLOB NOT NULL, version INTEGER NOT NULL, expires_at INTEGER)"
    " WITHOUT ROWID",
    "CREATE INDEX kv_expires_at ON kv (expires_at) WHERE expires_at IS NOT NULL",
    "CREATE TABLE counter (version INTEGER NOT NULL)",
    "INSERT INTO counter VALUES (0)",
    "CREATE TABLE anchor (boot_id TEXT NOT NULL, wall INTEGER NOT NULL, since_boot INTEGER NOT NULL)",
    f"PRAGMA application_id = {_APPLICATION}",
    f"PRAGMA user_version = {_SCHEMA}",
)
_DAMAGED = (
    "{path} can't be read as a store ({what}). Put back a copy of it, or move it away: without it, files that were "
    "delivered count as new."
)
_LIVE = "(expires_at IS NULL OR expires_at > ?)"


class SQLiteKV(OneKey):
    """A `KVStore` in a file. Safe to share between threads; a forked child opens connections of its own.

    Raises:
        ConfigurationError: the file lies on a network file system.
        KVUnavailableError: the file can't be opened or written.
        KVCorruptError: it is no store, is damaged, or was written by a newer version.
    """

    has_clock = True

    def __init__(
        self, path: Path | str, *, clock: Clock | None = None, random_source: random.Random | None = None
    ) -> None:
        self._path = Path(path)
        self._random = random_source or random.Random()
        self._lock = threading.Lock()
        self._idle: list[sqlite3.Connection] = []
        self._pid = os.getpid()
        self._is_closed = False
        _refuse_network_file_system(self._path)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise KVUnavailableError(
                f"{self._path}: the folder of the state can't be made: {exc.strerror}."
            ) from exc
        anchor = self._patiently(self._prepare)
        self._clock = SteadyClock(clock or SystemClock(), anchor)

    def __repr__(self) -> str:
        return f"SQLiteKV({str(self._path)!r})"

    def get_many(self, keys: Sequence[Key]) -> list[Entry | None]:
        names = [encode_key(key) for key in keys]
        found: dict[bytes, tuple[bytes, int]] = {}
        for at in range(0, len(names), _PAGE):
            page = names[at : at + _PAGE]
            marks = ",".join("?" * len(page))
            # Only question marks are put into the text.
            query = f"SELECT key, value, version, {_LIVE} FROM kv WHERE key IN ({marks})"  # noqa: S608
            for name, value, version, is_live in self._read(query, page):
                if is_live:
                    found[name] = (value, version)
        return [
            self._entry(key, *found[name]) if name in found else None
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
            f"SELECT key, value, version, {_LIVE} FROM kv WHERE key >= ? AND key < ? "  # noqa: S608
            f"ORDER BY key {'DESC' if reverse else 'ASC'} LIMIT ?"
        )
        while left is None or left > 0:
            size = _PAGE if left is None else min(_PAGE, left)
            page = self._read(query, (low, high, size))
            live = [row for row in page if row[3]]
            for name, value, version, _ in live:
                if type(name) is not bytes:
                    raise self._damaged(f"the key {name!r} isn't one")
                yield self._entry(decode_key(name), value, version)
            if len(page) < size:
                return
            left = None if left is None else left - len(live)
            last = page[-1][0]
            low, high = (low, last) if reverse else (last + b"\x00", high)

    def atomic(self) -> Commit:
        return Commit(self._apply)

    def now(self) -> datetime:
        return self._clock.now()

    def lacks(self) -> Mapping[Guarantee, str]:
        return {}

    def close(self) -> None:
        with self._lock:
            self._is_closed = True
            idle, self._idle = self._idle, []
        if self._pid == os.getpid():
            for connection in idle:
                connection.close()

    def _read(self, query: str, parameters: Sequence[Any]) -> Sequence[Any]:
        """Read rows of key, value, version and whether it lives; where one has expired, behind the present writer.

        Else a reader could see it gone, and after that a commit take effect that had checked that it was there.
        """

        def read(connection: sqlite3.Connection) -> Sequence[Any]:
            rows = connection.execute(query, (self._clock.now_us(), *parameters)).fetchall()
            if all(row[3] for row in rows):
                return rows
            with _transaction(connection, self._path):
                return connection.execute(query, (self._clock.now_us(), *parameters)).fetchall()

        return self._patiently(read)

    def _apply(self, commit: Commit) -> CommitResult:
        return self._patiently(lambda connection: self._commit(connection, commit))

    def _commit(self, connection: sqlite3.Connection, commit: Commit) -> CommitResult:
        with _transaction(connection, self._path):
            now = self._clock.now_us()
            for name, versionstamp in commit.checks.items():
                row = connection.execute(
                    f"SELECT version FROM kv WHERE key = ? AND {_LIVE}",  # noqa: S608
                    (name, now),
                ).fetchone()
                if row is not None and type(row[0]) is not int:
                    raise self._damaged("a versionstamp isn't one")
                if (None if row is None else _versionstamp(row[0])) != versionstamp:
                    return CommitResult(ok=False, versionstamp=None)
            counted = connection.execute(
                "UPDATE counter SET version = version + 1 WHERE typeof(version) = 'integer' RETURNING version"
            ).fetchall()
            if len(counted) != 1 or type(counted[0][0]) is not int:
                raise self._damaged("its count of versions isn't one")
            version = counted[0][0]
            for name, write in commit.writes.items():
                if write.value is None:
                    connection.execute("DELETE FROM kv WHERE key = ?", (name,))
                    continue
                expires_at = (
                    None if write.expire_in is None else now + write.expire_in // timedelta(microseconds=1)
                )
                connection.execute(
                    "INSERT INTO kv VALUES (?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET"
                    " value = excluded.value, version = excluded.version, expires_at = excluded.expires_at",
                    (name, write.value, version, expires_at),
                )
            if version % _SWEEP_EVERY == 0:
                connection.execute(
                    "DELETE FROM kv WHERE key IN (SELECT key FROM kv WHERE expires_at <= ? LIMIT 200)", (now,)
                )
        return CommitResult(ok=True, versionstamp=_versionstamp(version))

    def _prepare(self, connection: sqlite3.Connection) -> Anchor:
        """Make the schema if it isn't there, and return the anchor of this boot."""
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        if application == 0:
            with _transaction(connection, self._path):
                is_empty = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
                if is_empty:
                    for statement in _CREATE:
                        connection.execute(statement)
            application = connection.execute("PRAGMA application_id").fetchone()[0]
        if application != _APPLICATION:
            raise KVCorruptError(
                f"{self._path} is an SQLite database of another program. Name another file in `state:`."
            )
        schema = connection.execute("PRAGMA user_version").fetchone()[0]
        if schema > _SCHEMA:
            raise KVCorruptError(
                f"{self._path} was written by a newer version of fc-connect (schema {schema}, this one knows "
                f"{_SCHEMA}). Upgrade fc-connect; nothing was changed."
            )
        with _transaction(connection, self._path):
            row = connection.execute("SELECT boot_id, wall, since_boot FROM anchor").fetchone()
            if row is not None and [type(each) for each in row] != [str, int, int]:
                raise self._damaged("its clock isn't one")
            known = None if row is None else Anchor(boot_id=row[0], wall=row[1], since_boot=row[2])
            anchor = SteadyClock.anchor_now(known)
            if anchor != known:
                connection.execute("DELETE FROM anchor")
                connection.execute(
                    "INSERT INTO anchor VALUES (?, ?, ?)", (anchor.boot_id, anchor.wall, anchor.since_boot)
                )
        return anchor

    def _patiently(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do `work`, again and again while the file is busy: then nothing of it was done."""
        deadline = time.monotonic() + _BUSY_FOR
        attempt = 0
        while True:
            try:
                with self._connection() as connection:
                    return work(connection)
            except sqlite3.OperationalError as exc:
                if not _is_busy(exc):
                    raise _as_ours(exc, self._path) from exc
                if time.monotonic() > deadline:
                    raise KVUnavailableError(
                        f"{self._path}: busy for {_BUSY_FOR:.0f} s. Which process holds it? See: fuser {self._path}"
                    ) from exc
                attempt += 1
                time.sleep(self._random.uniform(0.0005, min(0.02, 0.001 * 2 ** min(attempt, 5))))
            except sqlite3.Error as exc:
                raise _as_ours(exc, self._path) from exc
            except UnicodeDecodeError as exc:  # the driver, reading a damaged name of a table
                raise self._damaged(str(exc)) from exc

    def _damaged(self, what: str) -> KVCorruptError:
        return KVCorruptError(_DAMAGED.format(path=self._path, what=what))

    def _entry(self, key: Key, value: Any, version: Any) -> Entry:
        # SQLite keeps any type in any column: what isn't of ours was damaged, or written by something else.
        if type(value) is not bytes or type(version) is not int:
            raise self._damaged(f"the value of {key!r} isn't one")
        return Entry(key=key, value=decode_value(key, value), versionstamp=_versionstamp(version))

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            if self._is_closed:
                raise KVUnavailableError(f"{self._path}: this store was closed.")
            if self._pid != os.getpid():
                # SQLite's connections must not cross a fork, not even to be closed.
                self._pid = os.getpid()
                _ABANDONED.extend(self._idle)
                self._idle = []
            connection = self._idle.pop() if self._idle else None
        if connection is None:
            connection = self._connect()
        try:
            yield connection
        except BaseException as exc:
            if _is_busy(exc) and not connection.in_transaction:
                self._give_back(connection)
            else:
                connection.close()
            raise
        self._give_back(connection)

    def _give_back(self, connection: sqlite3.Connection) -> None:
        with self._lock:
            if not self._is_closed and len(self._idle) < _IDLE:
                self._idle.append(connection)
                return
        connection.close()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=0, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
        except BaseException:
            connection.close()
            raise
        return connection


_ABANDONED: list[sqlite3.Connection] = []  # of a parent process: kept, so that nothing closes them


@contextmanager
def _transaction(connection: sqlite3.Connection, path: Path) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        _roll_back(connection)
        raise
    try:
        connection.execute("COMMIT")
    except sqlite3.OperationalError as exc:
        if _family(exc) == sqlite3.SQLITE_IOERR:
            raise KVCommitUnknownError(f"{path}: the disk failed during a commit: {exc}.") from exc
        _roll_back(connection)
        raise


def _roll_back(connection: sqlite3.Connection) -> None:
    in_transaction: bool = connection.in_transaction  # a full disk has rolled back already
    if in_transaction:
        connection.execute("ROLLBACK")


def _is_busy(exc: BaseException) -> bool:
    return isinstance(exc, sqlite3.OperationalError) and _family(exc) in {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
    }


def _family(exc: sqlite3.Error) -> int:
    return getattr(exc, "sqlite_errorcode", 0) & 0xFF  # an extended code keeps its family here


def _as_ours(exc: sqlite3.Error, path: Path) -> KVError:
    family = _family(exc)
    if family in {sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT}:
        return KVCorruptError(_DAMAGED.format(path=path, what=exc))
    if family == sqlite3.SQLITE_FULL:
        return KVUnavailableError(
            f"{path}: the disk is full. Nothing was written; free some space and run again."
        )
    if family in {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH}:
        return KVUnavailableError(
            f"{path}: {exc}. The file and its folder must be readable and writable by this user."
        )
    if family == sqlite3.SQLITE_IOERR:
        return KVUnavailableError(f"{path}: the disk failed: {exc}.")
    return KVError(f"{path}: SQLite: {exc}")


def _refuse_network_file_system(path: Path) -> None:
    kind = _file_system_of(path)
    if kind in _NETWORK:
        raise ConfigurationError(
            f"{path} lies on a network file system ({kind}), where SQLite's locks don't hold. Put the state on a "
            "local disk, or use redis:// or postgresql:// to share it between machines."
        )


def _file_system_of(path: Path) -> str | None:
    try:
        mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return None
    place = str(path.absolute().parent.resolve())
    best, kind = "", None
    for line in mounts.splitlines():
        fields, _, rest = line.partition(" - ")
        point = fields.split(" ")[4].replace("\\040", " ")
        inside = place == point or place.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, rest.split(" ")[0]
    return kind


def _versionstamp(version: int) -> str:
    return f"{version:020d}"
