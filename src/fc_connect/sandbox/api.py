"""The API itself: routes, jobs, batches. Knows nothing of sockets.

Paths, fields and states follow Fluent's Job and Batch API. Where an id is answered, both spellings are there
(`id`, and `jobId` or `batchId`), because both have been seen. States are worked out from the time of acceptance,
so nothing runs in the background.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Set
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from fc_connect.sandbox.auth import TokenIssuer
from fc_connect.sandbox.events import EventDesk
from fc_connect.sandbox.exchange import Answer, RefusedError, Request, answer
from fc_connect.sandbox.graphql import GraphQLDesk
from fc_connect.sandbox.query import page
from fc_connect.sandbox.records import BatchRecord, EventRecord, JobRecord
from fc_connect.sandbox.store import JobTally, SandboxStore, StoredBatch
from fc_connect.sandbox.validation import MAX_ENTITIES, check_batch, parse_json

__all__ = ["FluentAPI"]

Call = Callable[..., Answer]
Unchanged = Callable[[str], Set[int]]
"""Says which records of a batch, by their places, change nothing."""

UNCHANGED = "Unchanged: dropped by batch pre-processing"


class FluentAPI:
    """Answers requests from a store and a time. Every method may be called from any thread."""

    def __init__(
        self,
        store: SandboxStore,
        tokens: TokenIssuer,
        *,
        processing_time: timedelta,
        list_batches: bool,
        page_size: int,
        actions: tuple[str, ...],
        max_graphql_bytes: int,
        event_outcomes: Mapping[str, str],
        graphql: GraphQLDesk,
        unchanged: Unchanged | None,
        announce: Callable[[EventRecord], None],
    ) -> None:
        self._store = store
        self._tokens = tokens
        self._processing_time = processing_time
        self._list_batches = list_batches
        self._page_size = page_size
        self._actions = actions
        self._max_graphql_bytes = max_graphql_bytes
        self._desk = graphql
        self._unchanged = unchanged
        self._events = EventDesk(store, outcomes=event_outcomes, page_size=page_size, announce=announce)
        job, event = r"/api/v4\.1/job", r"/api/v4\.1/event"
        self._routes: list[tuple[re.Pattern[str], dict[str, Call]]] = [
            (re.compile(job), {"POST": self._create_job}),
            (re.compile(rf"{job}/([^/]+)"), {"GET": self._job}),
            (re.compile(rf"{job}/([^/]+)/batch"), {"POST": self._send_batch}),
            (re.compile(rf"{job}/([^/]+)/batch/([^/]+)"), {"GET": self._batch}),
            (re.compile(rf"{job}/([^/]+)/results"), {"GET": self._job_results}),
            (re.compile(rf"{event}/async"), {"POST": partial(self._events.send, mode="async")}),
            (re.compile(rf"{event}/sync"), {"POST": partial(self._events.send, mode="sync")}),
            (re.compile(event), {"GET": self._events.search}),
            (re.compile(rf"{event}/([^/]+)"), {"GET": self._events.one}),
            (re.compile("/graphql"), {"POST": self._graphql}),
        ]

    def handle(self, request: Request) -> Answer:
        """Do what `request` asks, or raise RefusedError."""
        if request.path == "/oauth/token":
            if request.method != "POST":
                raise _wrong_method(request, "POST")
            return self._tokens.issue(request)
        self._tokens.check(request)
        for pattern, calls in self._routes:
            if match := pattern.fullmatch(request.path):
                if request.method not in calls:
                    raise _wrong_method(request, ", ".join(calls))
                return calls[request.method](request, *match.groups())
        raise RefusedError(
            f"The sandbox has no {request.method} {request.path}.", status=404, code="NOT_FOUND"
        )

    def _create_job(self, request: Request) -> Answer:
        payload = parse_json(request.body)
        name, retailer, meta = (payload.get(field) for field in ("name", "retailerId", "meta"))
        problems = []
        if not isinstance(name, str) or not name.strip():
            problems.append("name must be a string that isn't empty.")
        if isinstance(retailer, bool) or not isinstance(retailer, str | int) or not str(retailer).strip():
            problems.append("retailerId must be a string or a number.")
        if not isinstance(meta, dict | None):
            problems.append("meta must be an object.")
        if problems:
            first, *others = problems
            raise RefusedError(
                first,
                status=400,
                code="INVALID_JOB",
                details=[{"code": "INVALID_JOB", "message": message} for message in others],
            )
        job = self._store.add_job(name=str(name), retailer_id=str(retailer), meta=meta, at=request.at)
        return answer({"id": job.job_id, "jobId": job.job_id}, job_id=job.job_id)

    def _job(self, request: Request, job_id: str) -> Answer:
        job = self._known_job(job_id)
        content: dict[str, Any] = {
            "id": job.job_id,
            "jobId": job.job_id,
            "name": job.name,
            "retailerId": job.retailer_id,
            "status": self._job_status(job, request.at),
            "createdOn": _written(job.created_at),
        }
        if self._list_batches:
            start, count = page(request.query, size=self._page_size, largest=MAX_ENTITIES)
            shown = self._store.batches(job.job_id, start=start, count=count)
            content |= {
                "batches": [
                    {
                        "batchId": batch.batch_id,
                        "id": batch.batch_id,
                        "status": self._batch_status(batch, request.at),
                        "createdOn": _written(batch.accepted_at),
                    }
                    for batch in shown
                ],
                "start": start,
                "count": len(shown),
                "total": self._tally(job, request.at).total,
            }
        return answer(content, job_id=job.job_id)

    def _send_batch(self, request: Request, job_id: str) -> Answer:
        job = self._known_job(job_id)
        payload = check_batch(request.body, job_id=job.job_id, actions=self._actions)
        if _is_closed(job, request.at):
            raise RefusedError(
                f"Job {job.job_id} was closed{'' if job.closed_at else ' at midnight UTC'}. Create a new job.",
                status=400,
                code="JOB_CLOSED",
                job_id=job.job_id,
                entities=len(payload.entities),
            )
        batch_id = self._store.add_batch(
            payload,
            job_id=job.job_id,
            at=request.at,
            correlation_id=request.headers.get("x-correlation-id"),
            body=request.body,
            body_sha256=hashlib.sha256(request.body).hexdigest(),
        )
        return answer(
            {"id": batch_id, "batchId": batch_id, "jobId": job.job_id},
            job_id=job.job_id,
            batch_id=batch_id,
            entities=len(payload.entities),
        )

    def _batch(self, request: Request, job_id: str, batch_id: str) -> Answer:
        job = self._known_job(job_id)
        stored = self._store.batch(job.job_id, batch_id)
        if stored is None:
            raise RefusedError(
                f"Job {job.job_id} has no batch {batch_id}.",
                status=404,
                code="BATCH_NOT_FOUND",
                job_id=job.job_id,
            )
        batch = stored.batch
        status = self._batch_status(batch, request.at)
        content: dict[str, Any] = {
            "id": batch.batch_id,
            "batchId": batch.batch_id,
            "jobId": batch.job_id,
            "status": status,
            "createdOn": _written(batch.accepted_at),
        }
        if status == "COMPLETE":
            start, count = page(request.query, size=self._page_size, largest=MAX_ENTITIES)
            dropped = self._dropped(stored, job)
            results = _results(stored, start, count, dropped)
            content |= {"results": results, "start": start, "count": len(results), "total": batch.entities}
        return answer(content, job_id=batch.job_id, batch_id=batch.batch_id)

    def _dropped(self, stored: StoredBatch, job: JobRecord) -> Set[int]:
        """Return the places of records that batch pre-processing drops: those that change nothing."""
        skipped = (job.meta or {}).get("preprocessing") == "skip"
        if self._unchanged is None or skipped:
            return frozenset()
        return self._unchanged(stored.batch.batch_id)

    def _job_results(self, request: Request, job_id: str) -> Answer:
        job = self._known_job(job_id)
        start, count = page(request.query, size=self._page_size, largest=MAX_ENTITIES)
        shown = self._store.batches(job.job_id, start=start, count=count)
        tally = self._tally(job, request.at)
        results = []
        for batch in shown:
            status = self._batch_status(batch, request.at)
            is_complete = status == "COMPLETE"
            results.append(
                {
                    "batchId": batch.batch_id,
                    "status": status,
                    "processedEntities": batch.entities if is_complete else 0,
                    "totalEntities": batch.entities,
                    "failedEntities": batch.rejected if is_complete else 0,
                }
            )
        content = {
            "id": job.job_id,
            "jobId": job.job_id,
            "status": self._job_status(job, request.at),
            "totalBatches": tally.total,
            "successfulBatches": tally.complete - tally.faulty,
            "failedBatches": tally.faulty,
            "results": results,
            "start": start,
            "count": len(shown),
            "total": tally.total,
        }
        return answer(content, job_id=job.job_id)

    def _graphql(self, request: Request) -> Answer:
        if len(request.body) > self._max_graphql_bytes:
            raise RefusedError(
                f"A GraphQL request holds at most {self._max_graphql_bytes} bytes.",
                status=413,
                code="PAYLOAD_TOO_LARGE",
            )
        return self._desk.execute(request)

    def _known_job(self, job_id: str) -> JobRecord:
        job = self._store.job(job_id)
        if job is None:
            raise RefusedError(f"There is no job {job_id}.", status=404, code="JOB_NOT_FOUND")
        return job

    def _job_status(self, job: JobRecord, at: datetime) -> str:
        if _is_closed(job, at):
            return "CLOSED"
        tally = self._tally(job, at)
        if not tally.total:
            return "PENDING"
        return "COMPLETE" if tally.complete == tally.total else "RUNNING"

    def _tally(self, job: JobRecord, at: datetime) -> JobTally:
        return self._store.tally(job.job_id, until=at - self._processing_time)

    def _batch_status(self, batch: BatchRecord, at: datetime) -> str:
        age = at - batch.accepted_at
        if age >= self._processing_time:
            return "COMPLETE"
        return "RUNNING" if age >= self._processing_time / 2 else "PENDING"


def _results(stored: StoredBatch, start: int, count: int, dropped: Set[int]) -> list[dict[str, Any]]:
    faults = {fault.index: fault for fault in stored.faults}
    results = []
    for index, entity in enumerate(stored.entities()[start : start + count], start):
        fault = faults.get(index)
        fields = entity if isinstance(entity, dict) else {}
        ref = fields.get("ref") or fields.get("productRef") or fields.get("skuRef")
        results.append(
            {
                "entityId": None if fault else f"{stored.batch.batch_id}-{index}",
                "entityRef": ref,
                "responseCode": fault.code if fault else 200,
                "message": fault.message if fault else UNCHANGED if index in dropped else "OK",
            }
        )
    return results


def _is_closed(job: JobRecord, at: datetime) -> bool:
    # Fluent: a job takes batches until midnight UTC of its day, then it is CLOSED.
    if job.closed_at is not None and job.closed_at <= at:
        return True
    return at.astimezone(UTC).date() > job.created_at.astimezone(UTC).date()


def _written(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds")


def _wrong_method(request: Request, allowed: str) -> RefusedError:
    return RefusedError(
        f"{request.path} takes {allowed}, not {request.method}.",
        status=405,
        code="METHOD_NOT_ALLOWED",
        headers=(("Allow", allowed),),
    )
