"""The daily job, made once however many workers ask, and the tracker of jobs and batches."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from fc_connect.clock import Clock
from fc_connect.errors import LockLostError, StateConflictError, StateError
from fc_connect.faults import point
from fc_connect.kv.base import Atomic, KVStore
from fc_connect.state.lease import Leases
from fc_connect.state.records import from_entry, to_json

__all__ = ["KEPT", "DailyJob", "DailyJobs", "JobTracker", "TrackedBatch", "TrackedJob"]

_AFTER_CLOSING = timedelta(days=7)  # for a person who asks what became of a file
KEPT = timedelta(days=1) + _AFTER_CLOSING
"""No record of a job is kept for longer."""
_CREATION_LEASE = timedelta(seconds=5)  # renewed while it takes longer; after a crash nobody waits longer
_CREATION_WAIT = timedelta(minutes=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class DailyJob:
    """The job of one UTC day. Fluent closes it at midnight UTC."""

    job_id: str
    created_at: datetime
    expires_at: datetime
    closed: tuple[str, ...] = ()
    """Earlier jobs of the day that Fluent closed or lost."""


class DailyJobs:
    """One job per UTC day, by the store's clock: no worker's own clock decides which day it is."""

    def __init__(self, kv: KVStore, workflow: str, leases: Leases) -> None:
        self._kv = kv
        self._workflow = workflow
        self._leases = leases

    def get(self) -> DailyJob | None:
        """Return today's job, if it was made."""
        entry = self._kv.get(self._key(self._kv.now()))
        return None if entry is None else from_entry(entry, DailyJob)

    def set(self, job_id: str) -> DailyJob:
        """Make `job_id` the job of today, whatever it was."""
        job = _job_of(job_id, self._kv.now(), closed=())
        self._put(self._kv.atomic(), job).commit()
        return job

    def get_or_create(self, create: Callable[[datetime], str], *, instead_of: str | None = None) -> DailyJob:
        """Return today's job; where there is none, one caller of all makes it with `create(now)`.

        The job `instead_of` counts as none: Fluent closed it. A crash between Fluent's answer and the record
        leaves an empty job behind, never two that are used.

        Raises:
            LockHeldError: another worker was still making it after two minutes.
        """
        job = self.get()
        if job is not None and job.job_id != instead_of:
            return job
        with self._leases.acquire(
            "daily-job", timeout=_CREATION_LEASE, wait=_CREATION_WAIT, about="making the daily job"
        ) as lease:
            now = self._kv.now()
            job = self.get()
            if job is not None and job.job_id != instead_of:
                return job
            closed = (*job.closed, job.job_id) if job is not None else ()
            point("job.create")
            job_id = create(now)
            point("job.created")
            made = _job_of(job_id, now, closed=closed)
            try:
                lease.commit(self._put(self._kv.atomic(), made))
            except LockLostError:
                # This worker was held up for so long that another made one meanwhile: ours stays empty.
                job = self.get()
                if job is None or job.job_id == instead_of:
                    raise
                return job
            point("job.stored")
            return made

    def _put(self, write: Atomic, job: DailyJob) -> Atomic:
        kept = job.expires_at - job.created_at + _AFTER_CLOSING
        return write.set(self._key(job.created_at), to_json(job), expire_in=kept)

    def _key(self, now: datetime) -> tuple[str, ...]:
        return (self._workflow, "job", "daily", now.date().isoformat())


def _job_of(job_id: str, now: datetime, *, closed: tuple[str, ...]) -> DailyJob:
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    return DailyJob(job_id=job_id, created_at=now, expires_at=midnight, closed=closed)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedBatch:
    """A batch as it was last seen in Fluent."""

    batch_id: str
    status: str
    count: int = 0
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedJob:
    """A job as it was last seen in Fluent."""

    job_id: str
    name: str
    status: str
    created_at: datetime
    updated_at: datetime
    batches: dict[str, TrackedBatch]
    meta: dict[str, Any]
    error: str | None = None


class JobTracker:
    """Remembers jobs and batches until they expire. Every change is a compare-and-set; no error is swallowed."""

    def __init__(
        self,
        kv: KVStore,
        *,
        workflow_id: str,
        expire_in: timedelta = _AFTER_CLOSING,
        clock: Clock,
        random_source: random.Random | None = None,
    ) -> None:
        self._kv = kv
        self._workflow = workflow_id
        self._expire_in = expire_in
        self._clock = clock
        self._random = random_source or random.Random()

    def get(self, job_id: str) -> TrackedJob | None:
        """Return the job, or None where it is unknown or expired."""
        entry = self._kv.get(self._key(job_id))
        return None if entry is None else from_entry(entry, TrackedJob)

    def list(self) -> Iterator[TrackedJob]:
        """Yield the jobs that haven't expired."""
        for entry in self._kv.list((self._workflow, "job", "tracked")):
            yield from_entry(entry, TrackedJob)

    def track(
        self, job_id: str, *, name: str, status: str = "CREATED", meta: dict[str, Any] | None = None
    ) -> TrackedJob:
        """Begin to track a job; a job that is tracked already is returned as it is."""
        now = self._kv.now()
        job = TrackedJob(
            job_id=job_id,
            name=name,
            status=status,
            created_at=now,
            updated_at=now,
            batches={},
            meta=meta or {},
        )
        key = self._key(job_id)
        result = self._kv.atomic().check(key, None).set(key, to_json(job), expire_in=self._expire_in).commit()
        return job if result.ok else self.get(job_id) or job

    def update(self, job_id: str, *, status: str, error: str | None = None) -> TrackedJob:
        """Store a job's status.

        Raises:
            StateError: the job isn't tracked.
        """
        return self._change(job_id, lambda job: replace(job, status=status, error=error))

    def update_batch(self, job_id: str, batch: TrackedBatch) -> TrackedJob:
        """Store a batch of a job; errors as `update`. Meant for up to some thousand batches a job."""
        return self._change(job_id, lambda job: replace(job, batches={**job.batches, batch.batch_id: batch}))

    def _change(self, job_id: str, change: Callable[[TrackedJob], TrackedJob]) -> TrackedJob:
        key = self._key(job_id)
        for attempt in range(50):
            entry = self._kv.get(key)
            if entry is None:
                raise StateError(
                    f"The job {job_id} isn't tracked, or its record expired. Call track() first."
                )
            job = replace(change(from_entry(entry, TrackedJob)), updated_at=self._kv.now())
            write = self._kv.atomic().check(key, entry.versionstamp)
            if write.set(key, to_json(job), expire_in=self._expire_in).commit().ok:
                return job
            self._clock.sleep(timedelta(milliseconds=self._random.uniform(0, 5 * min(attempt + 1, 20))))
        raise StateConflictError(f"The job {job_id} keeps changing; try again.")

    def _key(self, job_id: str) -> tuple[str, ...]:
        return (self._workflow, "job", "tracked", job_id)
