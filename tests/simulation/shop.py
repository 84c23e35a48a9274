"""What the workers of a simulation work on: files that arrive, a planner that cuts them, the pipeline's settings."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import timedelta
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from fc_connect.pipeline.config import PipelineConfig, parse_config
from fc_connect.pipeline.planner import StreamingPlan
from fc_connect.pipeline.spool import PlannedBatch, Spool, SpoolSummary
from fc_connect.sources import SourceFile
from fc_connect.state import FileRecord
from tests.simulation.fluent import PREFIX, SUFFIX
from tests.simulation.judge import KnownFile
from tests.simulation.world import Process, World

__all__ = ["NOWHERE", "Inbox", "VirtualPlanner", "known_file", "pipeline_config"]

NOWHERE = Path("/nonexistent/fc-connect-simulation")
PLAN = "plan-1"
SIZE = 2


@cache
def pipeline_config(
    *, order: str, job: str, validation: str, concurrency: int, confirms: bool, lease: float
) -> PipelineConfig:
    """Return the settings of a pipeline."""
    settings: dict[str, Any] = {
        "pipeline": "p",
        "source": {"url": "inbox", "fingerprint": "mtime"},
        "mapping": {"fields": {"ref": {"source": "sku"}}},
        "target": {"batch": {"size": SIZE, "concurrency": concurrency}},
        "fluent": {
            "base_url": "http://localhost",
            "client_id": "c",
            "client_secret": "s",
            "retailer_id": "1",
        },
        "job": job,
        "order": order,
        "validate": validation,
        "duplicates": "keep" if validation == "streaming" else "last",
        "lease": {"timeout": f"{lease}s"},
        "retry": {"max_attempts": 100, "backoff": "1s", "max_backoff": "2s"},
        "confirm": {"wait": confirms, "timeout": "10s"},
    }
    return parse_config(settings, base_dir=NOWHERE, environ={})


def known_file(path: str, *, arrives: float, batches: int, world: World) -> KnownFile:
    """Return a file of `batches` batches that arrives at that moment."""
    modified = world.start + timedelta(microseconds=round(arrives * 1e6))
    size = batches * SIZE
    record = FileRecord(
        source="sim:///inbox",
        file_name=path,
        fingerprint=f"mtime:{size}:{modified.isoformat()}",
        last_modified=modified,
        file_size=size,
    )
    return KnownFile(record=record, batches=batches, entities=size, arrives=arrives)


class Inbox:
    """The source."""

    url = "sim:///inbox"

    def __init__(self, world: World, files: list[KnownFile]) -> None:
        self._world = world
        self._files = files

    def list(self, pattern: str) -> Iterator[SourceFile]:
        del pattern
        for each in self._files:
            if each.arrives <= self._world.now:
                record = each.record
                yield SourceFile(
                    path=record.file_name, size=record.file_size, last_modified=record.last_modified
                )


class VirtualPlanner:
    """Stands for the planner of one process: it takes its time, and cuts every file into the same batches always."""

    batch_size = SIZE
    plan_digest = PLAN
    rejects_folder = NOWHERE

    def __init__(self, process: Process, *, slowness: float) -> None:
        self._process = process
        self._slowness = slowness

    def plan(self, file: SourceFile, file_id: str, folder: Path, *, demand: object) -> Spool:
        del folder, demand
        self._process.world.sleep(self._process.rng.random() * self._slowness)
        return _Spool(file, file_id)

    def stream(self, file: SourceFile, file_id: str, *, demand: object) -> StreamingPlan:
        del demand
        return _Stream(file, file_id, self._process, self._slowness)


class _Spool(Spool):
    def __init__(self, file: SourceFile, file_id: str) -> None:
        self.summary = _summary(file, file_id)
        self._batches = _cut(file_id, file.size // SIZE)

    def digests(self) -> Iterator[tuple[int, str]]:
        for each in self._batches:
            yield each.number, each.sha256

    def batches(self, *, skip: frozenset[int] | set[int] = frozenset()) -> Iterator[PlannedBatch]:
        for each in self._batches:
            if each.number not in skip:
                yield each

    def remove(self) -> None:
        pass


class _Stream(StreamingPlan):
    def __init__(self, file: SourceFile, file_id: str, process: Process, slowness: float) -> None:
        self.summary = None
        self._listed = file
        self._id = file_id
        self._process = process
        self._slowness = slowness

    def __iter__(self) -> Iterator[PlannedBatch]:
        for each in _cut(self._id, self._listed.size // SIZE):
            self._process.world.sleep(self._process.rng.random() * self._slowness / 4)
            yield each
        self.summary = _summary(self._listed, self._id)


@lru_cache(maxsize=512)
def _cut(file_id: str, batches: int) -> tuple[PlannedBatch, ...]:
    planned = []
    for number in range(batches):
        refs = '"},{"ref":"'.join(f"{file_id}:{number}:{entity}" for entity in range(SIZE))
        body = PREFIX + refs.encode() + SUFFIX
        digest = hashlib.sha256(body).hexdigest()
        planned.append(PlannedBatch(number=number, count=SIZE, sha256=digest, body=body))
    return tuple(planned)


@lru_cache(maxsize=512)
def _summary(file: SourceFile, file_id: str) -> SpoolSummary:
    return SpoolSummary(
        plan_digest=PLAN,
        file_id=file_id,
        batch_size=SIZE,
        batches=file.size // SIZE,
        entities=file.size,
        records_read=file.size,
        rejected=0,
        duplicates=0,
        content_sha256=hashlib.sha256(file_id.encode()).hexdigest(),
        content_md5="0" * 32,
        rejects_file=None,
    )
