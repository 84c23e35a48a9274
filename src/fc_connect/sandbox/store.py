"""The sandbox's SQLite file: jobs, batches and the log of requests.

A batch is one row: its body compressed, its refused records beside it. Deliveries and stock are worked out from
the bodies when somebody asks (`log.py`), so that accepting 1,000,000 records stays quick.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from fc_connect.errors import ConfigurationError
from fc_connect.sandbox.data.kinds import create_tables, forget_entities
from fc_connect.sandbox.records import BatchRecord, EventRecord, JobRecord, RequestRecord
from fc_connect.sandbox.validation import BatchPayload, RecordFault

__all__ = [
    "EVENT_COLUMNS",
    "JobTally",
    "SandboxStore",
    "StoredBatch",
    "batch_from_row",
    "connect",
    "event_from_row",
    "from_micros",
    "job_from_row",
    "request_from_row",
    "to_micros",
]

APPLICATION_ID = 0x46435342  # "FCSB": tells our file from somebody's state
SCHEMA_VERSION = 4
_EVENTS = """
CREATE TABLE event (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    at INTEGER NOT NULL,
    mode TEXT NOT NULL,
    name TEXT NOT NULL,
    retailer_id TEXT NOT NULL,
    status TEXT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX event_at ON event (at, number);
"""
SCHEMA = f"""{_EVENTS}
CREATE TABLE job (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    retailer_id TEXT NOT NULL,
    meta TEXT,
    created_at INTEGER NOT NULL,
    closed_at INTEGER
);
CREATE TABLE batch (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    job_id INTEGER NOT NULL REFERENCES job (id),
    accepted_at INTEGER NOT NULL,
    action TEXT NOT NULL,
    entity_type TEXT NOT NULL,
    source TEXT,
    event TEXT,
    entities INTEGER NOT NULL,
    rejected INTEGER NOT NULL,
    correlation_id TEXT,
    body_sha256 TEXT NOT NULL,
    faults TEXT NOT NULL,
    body BLOB NOT NULL
);
CREATE INDEX batch_of_job ON batch (job_id, id);
CREATE TABLE request (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    method TEXT NOT NULL,
    path TEXT NOT NULL,
    query TEXT NOT NULL,
    status INTEGER,
    request_id TEXT NOT NULL,
    correlation_id TEXT,
    job_id TEXT,
    batch_id TEXT,
    entities INTEGER,
    body_bytes INTEGER NOT NULL,
    body_sha256 TEXT NOT NULL,
    fault TEXT
);
"""
_ENTITIES = ";".join(create_tables())
_CHANGES = {1: _EVENTS, 2: "ALTER TABLE job ADD COLUMN closed_at INTEGER", 3: _ENTITIES}
"""What makes of a file's schema the next one."""

JOB_COLUMNS = "id, name, retailer_id, created_at, meta, closed_at"
BATCH_COLUMNS = (
    "id, job_id, accepted_at, action, entity_type, source, event, entities, rejected, correlation_id, "
    "body_sha256"
)
REQUEST_COLUMNS = (
    "number, at, method, path, query, status, request_id, correlation_id, job_id, batch_id, entities, body_bytes, "
    "body_sha256, fault"
)
EVENT_COLUMNS = "id, at, mode, name, retailer_id, status, body"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredBatch:
    """A batch with what is needed to answer for its records."""

    batch: BatchRecord
    faults: tuple[RecordFault, ...]
    body: bytes

    def entities(self) -> list[Any]:
        """Return the records as they were sent, refused ones included."""
        found: list[Any] = json.loads(zlib.decompress(self.body))["entities"]
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class JobTally:
    """The batches of a job in figures."""

    total: int
    complete: int
    faulty: int
    """Complete ones that hold at least one refused record."""


def connect(path: Path, *, create: bool = False) -> sqlite3.Connection:
    """Open the sandbox's file, or refuse one that isn't. Only `create` makes a new one."""
    address = f"{path.resolve().as_uri()}?mode={'rwc' if create else 'rw'}"
    try:
        # Transactions are ours to begin and end; calls come from many threads, one at a time.
        connection = sqlite3.connect(
            address, uri=True, timeout=30, isolation_level=None, check_same_thread=False
        )
    except sqlite3.Error as exc:
        raise ConfigurationError(f"The sandbox can't open {path}: {exc}. Choose another file.") from exc
    try:
        (application_id,) = connection.execute("PRAGMA application_id").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if tables and application_id != APPLICATION_ID:
            raise ConfigurationError(f"{path} isn't a sandbox database. Choose another file.")
        if version > SCHEMA_VERSION:
            raise ConfigurationError(
                f"{path} was written by a newer sandbox (version {version}). Upgrade fc-connect, or delete the file."
            )
        connection.execute("PRAGMA foreign_keys = ON")
    except sqlite3.Error as exc:
        connection.close()
        raise ConfigurationError(
            f"{path} can't be used as a sandbox database: {exc}. Choose another file."
        ) from exc
    except ConfigurationError:
        connection.close()
        raise
    return connection


class SandboxStore:
    """Writes what the API accepts, and finds it again. Every method may be called from any thread.

    A method that returned has committed: nothing a client does afterwards loses it. (`synchronous` is NORMAL: a
    power cut of this machine may lose the last moments, a killed process doesn't.)
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._mutex = threading.Lock()
        self._connection = connect(path, create=True)
        try:
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = NORMAL")
            self._create()
        except sqlite3.Error as exc:
            self._connection.close()
            raise ConfigurationError(
                f"The sandbox can't write to {path}: {exc}. Choose another file."
            ) from exc

    def _create(self) -> None:
        with self._transaction() as connection:
            # Inside the transaction: two sandboxes may open one new file together.
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version == SCHEMA_VERSION:
                return
            steps = (
                [SCHEMA, _ENTITIES]
                if version == 0
                else [_CHANGES[old] for old in range(version, SCHEMA_VERSION)]
            )
            for statement in filter(str.strip, ";".join(steps).split(";")):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def transaction(self) -> AbstractContextManager[sqlite3.Connection]:
        """Begin a transaction; it commits at the end of the block, or is undone where that raised."""
        return self._transaction()

    def close(self) -> None:
        """Close the file. Nothing may be called afterwards."""
        with self._mutex:
            self._connection.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._mutex:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                # After some errors (a full disk) SQLite has rolled back on its own.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def add_job(self, *, name: str, retailer_id: str, meta: Any, at: datetime) -> JobRecord:
        """Store a new job under the next number."""
        row = (name, retailer_id, json.dumps(meta), to_micros(at))
        with self._transaction() as connection:
            number = connection.execute(
                "INSERT INTO job (name, retailer_id, meta, created_at) VALUES (?, ?, ?, ?)", row
            ).lastrowid
        return JobRecord(
            job_id=str(number), name=name, retailer_id=retailer_id, created_at=at, meta=meta, closed_at=None
        )

    def job(self, job_id: str) -> JobRecord | None:
        """Return a job, or None."""
        number = _number(job_id)
        if number is None:
            return None
        with self._mutex:
            row = self._connection.execute(
                f"SELECT {JOB_COLUMNS} FROM job WHERE id = ?",  # noqa: S608
                (number,),
            ).fetchone()
        return None if row is None else job_from_row(row)

    def close_job(self, job_id: str, *, at: datetime) -> bool:
        """Close a job to further batches; say whether there is such a job. One that is closed stays as it is."""
        with self._transaction() as connection:
            changed = connection.execute(
                "UPDATE job SET closed_at = coalesce(closed_at, ?) WHERE id = ?",
                (to_micros(at), _number(job_id)),
            )
            return changed.rowcount == 1

    def add_batch(
        self,
        payload: BatchPayload,
        *,
        job_id: str,
        at: datetime,
        correlation_id: str | None,
        body: bytes,
        body_sha256: str,
    ) -> str:
        """Store an accepted batch and return its number: once this returns, it has been delivered."""
        packed = zlib.compress(body, 1)  # outside the lock: it is the long part
        faults = json.dumps([(f.index, f.code, f.message) for f in payload.faults])
        row = (
            int(job_id),
            to_micros(at),
            payload.action,
            payload.entity_type,
            payload.source,
            payload.event,
            len(payload.entities),
            len(payload.faults),
            correlation_id,
            body_sha256,
            faults,
            packed,
        )
        with self._transaction() as connection:
            number = connection.execute(
                "INSERT INTO batch (job_id, accepted_at, action, entity_type, source, event, entities, rejected, "
                "correlation_id, body_sha256, faults, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                row,
            ).lastrowid
        return str(number)

    def batch(self, job_id: str, batch_id: str) -> StoredBatch | None:
        """Return a batch of this job, or None."""
        job, batch = _number(job_id), _number(batch_id)
        if job is None or batch is None:
            return None
        with self._mutex:
            row = self._connection.execute(
                f"SELECT {BATCH_COLUMNS}, faults, body FROM batch WHERE id = ? AND job_id = ?",  # noqa: S608
                (batch, job),
            ).fetchone()
        if row is None:
            return None
        *columns, faults, body = row
        return StoredBatch(batch=batch_from_row(columns), faults=faults_from_text(faults), body=body)

    def batches(self, job_id: str, *, start: int, count: int) -> list[BatchRecord]:
        """Return a page of the batches of a job, in the order of acceptance."""
        with self._mutex:
            rows = self._connection.execute(
                f"SELECT {BATCH_COLUMNS} FROM batch WHERE job_id = ? ORDER BY id LIMIT ? OFFSET ?",  # noqa: S608
                (_number(job_id), count, start),
            ).fetchall()
        return [batch_from_row(row) for row in rows]

    def tally(self, job_id: str, *, until: datetime) -> JobTally:
        """Count the batches of a job, and how those accepted up to `until` fared."""
        with self._mutex:
            row = self._connection.execute(
                "SELECT count(*), coalesce(sum(accepted_at <= ?1), 0), "
                "coalesce(sum(accepted_at <= ?1 AND rejected > 0), 0) FROM batch WHERE job_id = ?2",
                (to_micros(until), _number(job_id)),
            ).fetchone()
        total, complete, faulty = row
        return JobTally(total=total, complete=complete, faulty=faulty)

    def add_request(
        self,
        *,
        at: datetime,
        method: str,
        path: str,
        query: str,
        status: int | None,
        request_id: str,
        correlation_id: str | None,
        job_id: str | None,
        batch_id: str | None,
        entities: int | None,
        body_bytes: int,
        body_sha256: str,
        fault: str | None,
    ) -> None:
        """Put a request on the log, before its answer goes out."""
        row = (
            to_micros(at),
            method,
            path,
            query,
            status,
            request_id,
            correlation_id,
            job_id,
            batch_id,
            entities,
            body_bytes,
            body_sha256,
            fault,
        )
        with self._transaction() as connection:
            connection.execute(
                "INSERT INTO request (at, method, path, query, status, request_id, correlation_id, job_id, batch_id, "
                "entities, body_bytes, body_sha256, fault) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                row,
            )

    def add_event(self, event: EventRecord) -> None:
        """Store an event: once this returns, it has been taken."""
        row = (
            event.event_id,
            to_micros(event.received_at),
            event.mode,
            event.name,
            event.retailer_id,
            event.status,
            json.dumps(event.body),
        )
        with self._transaction() as connection:
            connection.execute(
                "INSERT INTO event (id, at, mode, name, retailer_id, status, body) VALUES (?, ?, ?, ?, ?, ?, ?)",
                row,
            )

    def event(self, event_id: str) -> EventRecord | None:
        """Return an event, or None."""
        with self._mutex:
            row = self._connection.execute(
                f"SELECT {EVENT_COLUMNS} FROM event WHERE id = ?",  # noqa: S608
                (event_id,),
            ).fetchone()
        return None if row is None else event_from_row(row)

    def events(self, *, since: datetime, until: datetime) -> list[EventRecord]:
        """Return the events that were taken between two instants, the newest first."""
        with self._mutex:
            rows = self._connection.execute(
                f"SELECT {EVENT_COLUMNS} FROM event WHERE at >= ? AND at <= ? ORDER BY number DESC",  # noqa: S608
                (to_micros(since), to_micros(until)),
            ).fetchall()
        return [event_from_row(row) for row in rows]

    def reset(self) -> None:
        """Forget jobs, batches, events, entities and requests. Ids go on, so that old ones name nothing."""
        with self._transaction() as connection:
            for table in ("request", "batch", "job", "event"):
                connection.execute(f"DELETE FROM {table}")  # noqa: S608
            for statement in forget_entities():
                connection.execute(statement)


def job_from_row(row: Any) -> JobRecord:
    """Build a job from the columns of JOB_COLUMNS."""
    number, name, retailer_id, created_at, meta, closed_at = row
    return JobRecord(
        job_id=str(number),
        name=name,
        retailer_id=retailer_id,
        created_at=from_micros(created_at),
        meta=json.loads(meta),
        closed_at=None if closed_at is None else from_micros(closed_at),
    )


def batch_from_row(row: Any) -> BatchRecord:
    """Build a batch from the columns of BATCH_COLUMNS."""
    number, job, at, action, entity_type, source, event, entities, rejected, correlation_id, sha256 = row
    return BatchRecord(
        batch_id=str(number),
        job_id=str(job),
        accepted_at=from_micros(at),
        action=action,
        entity_type=entity_type,
        source=source,
        event=event,
        entities=entities,
        rejected=rejected,
        correlation_id=correlation_id,
        body_sha256=sha256,
    )


def event_from_row(row: Any) -> EventRecord:
    """Build an event from the columns of EVENT_COLUMNS."""
    event_id, at, mode, name, retailer_id, status, body = row
    return EventRecord(
        event_id=event_id,
        received_at=from_micros(at),
        mode=mode,
        name=name,
        retailer_id=retailer_id,
        status=status,
        body=json.loads(body),
    )


def request_from_row(row: Any) -> RequestRecord:
    """Build a request from the columns of REQUEST_COLUMNS."""
    number, at, *rest = row
    names = REQUEST_COLUMNS.split(", ")[2:]
    return RequestRecord(number=number, at=from_micros(at), **dict(zip(names, rest, strict=True)))


def faults_from_text(text: str) -> tuple[RecordFault, ...]:
    """Read the refused records of a batch."""
    return tuple(RecordFault(index=i, code=code, message=message) for i, code, message in json.loads(text))


def from_micros(value: int) -> datetime:
    """Return the instant of a stored time."""
    return _EPOCH + timedelta(microseconds=value)


def to_micros(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1)


def _number(text: str) -> int | None:
    # Ids are numbers that fit SQLite; anything else names nothing.
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None
