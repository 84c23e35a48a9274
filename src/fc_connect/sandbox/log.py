"""Reading what the sandbox received: the witness of a test, in any process that can open the file."""

from __future__ import annotations

import json
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from fc_connect.errors import ConfigurationError
from fc_connect.sandbox.records import (
    BatchRecord,
    Delivery,
    DeliverySummary,
    EntityKey,
    EventRecord,
    JobRecord,
    RequestRecord,
    StockKey,
    StockLevel,
    WebhookAttempt,
)
from fc_connect.sandbox.store import (
    BATCH_COLUMNS,
    EVENT_COLUMNS,
    JOB_COLUMNS,
    REQUEST_COLUMNS,
    batch_from_row,
    connect,
    event_from_row,
    faults_from_text,
    job_from_row,
    request_from_row,
)
from fc_connect.sandbox.validation import entity_key
from fc_connect.sandbox.webhook_log import read_attempts

__all__ = ["SandboxLog"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _OpenedBatch:
    batch: BatchRecord
    retailer_id: str
    refused: frozenset[int]
    entities: list[Any]

    def accepted(self) -> Iterator[tuple[int, dict[str, Any]]]:
        return ((index, entity) for index, entity in enumerate(self.entities) if index not in self.refused)


class SandboxLog:
    """Reads a sandbox's database, while the sandbox runs or after it stopped.

    Each call sees one consistent moment. A batch counts as delivered once the sandbox has accepted it, whatever the
    client was then told: a fault after accepting leaves a delivery behind.
    """

    def __init__(self, database: Path | str) -> None:
        self.database = Path(database)
        if not self.database.is_file():
            raise ConfigurationError(f"{self.database} doesn't exist: no sandbox has written there.")

    def requests(self, *, path: str | None = None, last: int | None = None) -> list[RequestRecord]:
        """Return the requests in the order in which they were logged, all or those for one exact path.

        Args:
            last: only so many, those logged last.
        """
        rows = self._last(
            f"SELECT {REQUEST_COLUMNS} FROM request WHERE ?1 IS NULL OR path = ?1 ORDER BY number DESC",  # noqa: S608
            path,
            last=last,
        )
        return [request_from_row(row) for row in rows]

    def jobs(self, *, last: int | None = None) -> list[JobRecord]:
        """Return the jobs in the order of creation, or only the `last` so many."""
        rows = self._last(f"SELECT {JOB_COLUMNS} FROM job ORDER BY id DESC", last=last)  # noqa: S608
        return [job_from_row(row) for row in rows]

    def batches(self, *, job_id: str | None = None, last: int | None = None) -> list[BatchRecord]:
        """Return the accepted batches in the order of acceptance, all or those of one job, or the `last` so many."""
        rows = self._last(
            f"SELECT {BATCH_COLUMNS} FROM batch WHERE ?1 IS NULL OR job_id = ?1 ORDER BY id DESC",  # noqa: S608
            job_id,
            last=last,
        )
        return [batch_from_row(row) for row in rows]

    def events(self, *, last: int | None = None) -> list[EventRecord]:
        """Return the events in the order in which they were taken, or only the `last` so many."""
        rows = self._last(f"SELECT {EVENT_COLUMNS} FROM event ORDER BY number DESC", last=last)  # noqa: S608
        return [event_from_row(row) for row in rows]

    def totals(self) -> dict[str, int]:
        """Count requests, jobs, batches, events, and the records of batches: accepted, and refused on their own."""
        (row,) = self._rows(
            "SELECT (SELECT count(*) FROM request), (SELECT count(*) FROM job), (SELECT count(*) FROM batch), "
            "(SELECT count(*) FROM event), (SELECT coalesce(sum(entities - rejected), 0) FROM batch), "
            "(SELECT coalesce(sum(rejected), 0) FROM batch)"
        )
        return dict(zip(("requests", "jobs", "batches", "events", "records", "rejected"), row, strict=True))

    def webhooks(self, *, last: int | None = None) -> list[WebhookAttempt]:
        """Return the attempts to deliver webhooks, in the order in which they ended, or only the `last` so many."""
        with closing(connect(self.database)) as connection:
            connection.execute("PRAGMA query_only = ON")
            return read_attempts(connection, last=last)

    def entities(self) -> Iterator[Delivery]:
        """Yield every record accepted, in the order applied, one batch in memory at a time."""
        for opened in self._bodies():
            for index, entity in opened.accepted():
                yield Delivery(
                    key=entity_key(entity),
                    qty=entity["qty"],
                    ref=entity.get("ref"),
                    batch_id=opened.batch.batch_id,
                    job_id=opened.batch.job_id,
                    index=index,
                    source=opened.batch.source,
                )

    def deliveries(self) -> Counter[EntityKey]:
        """Count how often each record was delivered: (location, product or SKU, type or "") → times.

        Every key is held in memory: about 300 bytes each.
        """
        counts: Counter[EntityKey] = Counter()
        for opened in self._bodies():
            counts.update(entity_key(entity) for _, entity in opened.accepted())
        return counts

    def summary(self) -> DeliverySummary:
        """Return the deliveries in figures."""
        counts: Counter[EntityKey] = Counter()
        by_job: Counter[str] = Counter()
        by_source: Counter[str] = Counter()
        batches = rejected = 0
        for opened in self._bodies():
            batch = opened.batch
            counts.update(entity_key(entity) for _, entity in opened.accepted())
            batches += 1
            rejected += batch.rejected
            by_job[batch.job_id] += batch.entities - batch.rejected
            by_source[batch.source or ""] += batch.entities - batch.rejected
        repeated = ((key, times) for key, times in counts.items() if times > 1)
        return DeliverySummary(
            batches=batches,
            entities=counts.total(),
            distinct=len(counts),
            repeated=counts.total() - len(counts),
            rejected=rejected,
            by_job=dict(by_job),
            by_source=dict(by_source),
            repeated_keys=tuple(islice(repeated, 100)),
        )

    def stock(self) -> dict[StockKey, StockLevel]:
        """Return the stock once every batch accepted so far is processed: the last write of a key wins."""
        levels: dict[StockKey, StockLevel] = {}
        for opened in self._bodies():
            for _, entity in opened.accepted():
                retailer = str(entity.get("retailerId") or opened.retailer_id)
                levels[(retailer, *entity_key(entity))] = StockLevel(
                    qty=entity["qty"],
                    status=entity.get("status"),
                    ref=entity.get("ref"),
                    batch_id=opened.batch.batch_id,
                )
        return levels

    def unchanged(self, batch_id: str) -> frozenset[int]:
        """Return the places of a batch's records whose quantity and status are those that were there already.

        Every batch up to it is read, and the keys of this one held in memory.
        """
        known: dict[StockKey, tuple[int, str | None]] = {}
        same: set[int] = set()
        for opened in self._bodies():
            is_it = opened.batch.batch_id == batch_id
            for index, entity in opened.accepted():
                key = (str(entity.get("retailerId") or opened.retailer_id), *entity_key(entity))
                level = (entity["qty"], entity.get("status"))
                if is_it and known.get(key) == level:
                    same.add(index)
                known[key] = level
            if is_it:
                break
        return frozenset(same)

    def _bodies(self) -> Iterator[_OpenedBatch]:
        columns = ", ".join(f"batch.{name}" for name in BATCH_COLUMNS.split(", "))
        rows = self._rows(
            f"SELECT {columns}, retailer_id, faults, body FROM batch JOIN job ON job.id = job_id ORDER BY batch.id"  # noqa: S608
        )
        for *about, retailer, faults, body in rows:
            yield _OpenedBatch(
                batch=batch_from_row(about),
                retailer_id=retailer,
                refused=frozenset(fault.index for fault in faults_from_text(faults)),
                entities=json.loads(zlib.decompress(body))["entities"],
            )

    def _last(self, statement: str, *values: str | None, last: int | None) -> list[tuple[Any, ...]]:
        """Return what a statement that looks backwards finds, all or so many, in the order of time."""
        limit = "" if last is None else f" LIMIT {last:d}"
        return list(self._rows(statement + limit, *values))[::-1]

    def _rows(self, statement: str, *values: str | None) -> Iterator[tuple[Any, ...]]:
        # A connection per call: readers in WAL mode see a snapshot and never hold up the sandbox.
        with closing(connect(self.database)) as connection:
            connection.execute("PRAGMA query_only = ON")
            yield from connection.execute(statement, values)
