"""Fluent and the way to it: jobs that close at midnight, batches that take a while, answers that get lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from fc_connect.errors import FluentAPIError, FluentOutcomeUnknownError, FluentUnavailableError
from fc_connect.fluent import BatchReceipt, BatchResult, BatchStatus, BatchSummary, Job, JobStatus
from tests.simulation.judge import Delivery, Judge, KnownFile
from tests.simulation.world import Killed, Process, World

__all__ = ["Fluent", "FluentConnection", "FluentFaults"]


@dataclass(slots=True, kw_only=True)
class FluentFaults:
    """How calls to Fluent fare."""

    refused_rate: float = 0.0
    """How often it says that it is too busy."""
    unknown_rate: float = 0.0
    """How often the answer to a write is lost, whatever became of the request."""
    until: float = 0.0
    processing: float = 0.5
    """Seconds that a batch takes, at most."""
    in_flight: float = 0.8
    """Seconds that a request is on its way, at most, also after its sender gave up or died."""


@dataclass(slots=True, kw_only=True)
class _Batch:
    id: str
    refs: list[str]
    done_at: float


@dataclass(slots=True, kw_only=True)
class _Job:
    id: str
    name: str
    day: date
    batches: dict[str, _Batch] = field(default_factory=dict)


class Fluent:
    """The server."""

    def __init__(self, world: World, judge: Judge, faults: FluentFaults) -> None:
        self.world = world
        self.faults = faults
        self.judge = judge
        self.jobs: dict[str, _Job] = {}
        self._batches = 0

    def create_job(self, name: str) -> str:
        job = _Job(id=f"job-{len(self.jobs) + 1}", name=name, day=self.world.wall().date())
        self.jobs[job.id] = job
        return job.id

    def is_closed(self, job: _Job) -> bool:
        return job.day != self.world.wall().date()

    def accept(self, process: Process, job_id: str, body: bytes, was_fenced: bool) -> str:
        """Take a batch, or raise."""
        job = self.jobs[job_id]
        if self.is_closed(job):
            raise FluentAPIError(f"The job {job_id} is closed.", status=400)
        refs = _refs(body)
        file_id, number, _ = refs[0].split(":")
        file = self.judge.by_id[file_id]
        self._batches += 1
        batch = _Batch(
            id=f"batch-{self._batches}",
            refs=refs,
            done_at=self.world.now + self.world.rng.random() * self.faults.processing,
        )
        job.batches[batch.id] = batch
        self.world.note(f"fluent: {job_id} takes {batch.id}: {file.record.file_name} {number}", by=process)
        delivery = Delivery(
            batch_id=batch.id, job_id=job_id, at=self.world.now, process=process, was_fenced=was_fenced
        )
        self.judge.delivered(file, int(number), delivery)
        return batch.id


class FluentConnection:
    """One process's `FluentClient`."""

    def __init__(self, fluent: Fluent, process: Process) -> None:
        self._fluent = fluent
        self._world = fluent.world
        self._process = process
        self._random = process.rng.random

    def create_job(self, name: str) -> Job:
        job_id: str = self._call(lambda: self._fluent.create_job(name), writes=True)
        return Job(id=job_id, name=name, retailer_id="1", raw={})

    def send_batch_body(
        self, job_id: str, body: bytes, *, count: int, demand: Callable[[], None]
    ) -> BatchReceipt:
        if self._process.is_dead:
            raise Killed
        demand()
        fluent, process = self._fluent, self._process
        file: KnownFile = fluent.judge.by_id[_refs(body)[0].split(":")[0]]
        was_fenced = fluent.judge.holds(process, file.lock_name)
        batch_id: str = self._call(lambda: fluent.accept(process, job_id, body, was_fenced), writes=True)
        return BatchReceipt(id=batch_id, job_id=job_id, count=count, raw={})

    def get_job_status(self, job_id: str) -> JobStatus:
        def look() -> JobStatus:
            job = self._fluent.jobs[job_id]
            batches = tuple(BatchSummary(id=each, status="", raw={}) for each in job.batches)
            status = "CLOSED" if self._fluent.is_closed(job) else "OPEN"
            return JobStatus(id=job_id, status=status, batches=batches, raw={})

        status: JobStatus = self._call(look)
        return status

    def get_batch_status(self, job_id: str, batch_id: str) -> BatchStatus:
        def look() -> BatchStatus:
            batch = self._fluent.jobs[job_id].batches[batch_id]
            is_done = batch.done_at <= self._world.now
            results = [
                BatchResult(entity_id=None, entity_ref=ref, response_code=200, message=None, raw={})
                for ref in batch.refs
            ]
            return BatchStatus(
                id=batch_id,
                job_id=job_id,
                status="COMPLETE" if is_done else "PENDING",
                results=tuple(results) if is_done else (),
                is_complete_list=is_done,
                raw={},
            )

        status: BatchStatus = self._call(look)
        return status

    def _call(self, do: Callable[[], Any], *, writes: bool = False) -> Any:
        world, faults, random = self._world, self._fluent.faults, self._random
        thread = world.current
        if thread is None or self._process.is_dead:
            raise Killed
        is_hard = world.now < faults.until
        if is_hard and random() < faults.refused_rate:
            world.sleep(0.05 * random())
            raise FluentUnavailableError("Fluent is too busy.", status=429)
        turn = thread.turn

        def deliver(_: object) -> None:
            try:
                answer: Any = (True, do())
            except Exception as exc:  # noqa: BLE001 (the caller raises it)
                answer = (False, exc)
            if not is_lost:
                world.at(world.now + 0.01 * random(), reply, answer)

        def reply(answer: Any) -> None:
            if thread.turn == turn:
                thread.answer = answer
                thread.resume(turn)

        is_lost = writes and is_hard and random() < faults.unknown_rate
        if is_lost:
            given_up = 0.3 * random()
            if random() < 0.7:
                world.at(world.now + faults.in_flight * random(), deliver)
            world.sleep(given_up)
            raise FluentOutcomeUnknownError("The connection to Fluent broke off.")
        slow = faults.in_flight if random() < 0.05 else 0.02
        world.at(world.now + slow * random(), deliver)
        thread.answer = None
        world.park()
        is_good, value = thread.answer
        if not is_good:
            raise value
        return value


def _refs(body: bytes) -> list[str]:
    return body[len(PREFIX) : -len(SUFFIX)].decode().split('"},{"ref":"')


PREFIX, SUFFIX = b'{"entities":[{"ref":"', b'"}]}'
