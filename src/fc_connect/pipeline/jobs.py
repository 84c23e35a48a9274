"""Which Fluent job a file's batches go into: one per day, per file or per run."""

from __future__ import annotations

import threading
from datetime import datetime
from typing import Literal

from fc_connect.faults import point
from fc_connect.fluent import FluentClient
from fc_connect.state import StateService

__all__ = ["DailyJobSlot", "OwnJobSlot", "open_job"]


class DailyJobSlot:
    """The workflow's job of the day, shared by all its workers and made once."""

    def __init__(self, state: StateService, client: FluentClient) -> None:
        self._state = state
        self._client = client

    def id(self) -> str:
        return self._state.daily_job(self._create).job_id

    def replace(self, closed: str) -> str:
        return self._state.daily_job(self._create, instead_of=closed).job_id

    def _create(self, now: datetime) -> str:
        name = f"{self._state.workflow_id}-{now:%Y-%m-%d}"
        return _created(self._state, self._client, name)


class OwnJobSlot:
    """A job for one file or one run, made with its first batch."""

    def __init__(
        self, state: StateService, client: FluentClient, name: str, *, known: str | None = None
    ) -> None:
        self._state = state
        self._client = client
        self._name = name
        self._job_id = known
        self._lock = threading.Lock()

    def id(self) -> str:
        with self._lock:
            if self._job_id is None:
                self._job_id = _created(self._state, self._client, self._name)
            return self._job_id

    def replace(self, closed: str) -> str:
        with self._lock:
            if self._job_id == closed:
                self._job_id = _created(self._state, self._client, self._name)
            return self._job_id or _created(self._state, self._client, self._name)


def open_job(
    strategy: Literal["daily", "per-file", "per-run"],
    state: StateService,
    client: FluentClient,
    *,
    name: str,
    known: str | None = None,
) -> DailyJobSlot | OwnJobSlot:
    """Return where batches go; `known` is the job that an earlier run of the same file made."""
    if strategy == "daily":
        return DailyJobSlot(state, client)
    return OwnJobSlot(state, client, f"{state.workflow_id}-{name}", known=known)


def _created(state: StateService, client: FluentClient, name: str) -> str:
    job = client.create_job(name)
    state.job_tracker.track(job.id, name=name)
    point("job.tracked")
    return job.id
