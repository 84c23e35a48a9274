"""Small pipelines that between them pass every fault point, each with a sandbox of its own as the witness."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from fc_connect.pipeline import Pipeline
from fc_connect.sandbox import EntityKey, Fault, FaultKind, Sandbox
from fc_connect.state import FileStatus

__all__ = ["KINDS", "LEASE", "Scenario", "scenario"]

LEASE = timedelta(seconds=3)
"""The shortest that a pipeline may ask for."""


def _on_the_second_batch(kind: FaultKind, **details: Any) -> tuple[Fault, ...]:
    return (Fault(kind=kind, method="POST", path="*/batch", nth=2, **details),)


KINDS: dict[str, tuple[dict[str, Any], tuple[Fault, ...]]] = {
    "whole": ({}, ()),
    "streaming": ({"validate": "streaming", "duplicates": "keep", "order": "any", "job": "per-file"}, ()),
    "one-job": ({"job": "per-run", "order": "any"}, ()),
    "lost-reply": ({}, _on_the_second_batch(FaultKind.DROP, after_accepting=True)),
    "lost-request": ({}, _on_the_second_batch(FaultKind.DROP, after_accepting=False)),
    "refused": ({"on_failure": "stop"}, _on_the_second_batch(FaultKind.STATUS, status=422)),
    "slow": ({}, _on_the_second_batch(FaultKind.LATENCY, delay=LEASE / 2)),
}
"""Settings that differ from the plain pipeline's, and what goes wrong on the way to Fluent."""

_MAPPING = {
    "fields": {
        "ref": {"source": "sku", "required": True},
        "productRef": {"source": "sku"},
        "locationRef": {"source": "warehouse", "required": True},
        "qty": {"source": "quantity", "resolver": "sdk.parseInt", "required": True},
        "type": {"value": "LAST_ON_HAND"},
    }
}
_START = datetime(2026, 1, 15, 4, tzinfo=UTC)
_FILES = 3
_BAD = "not a number"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Three files, one pipeline, one sandbox."""

    kind: str
    folder: Path
    sandbox: Sandbox
    expected: frozenset[EntityKey]
    """Every entity that has to arrive."""

    @property
    def pipeline_file(self) -> Path:
        return self.folder / "pipeline.json"

    def faults_found(self) -> list[str]:
        """Return in what the world differs from one where nothing ever crashed; nothing, where all is well."""
        found = []
        deliveries = self.sandbox.deliveries()
        if lost := self.expected - deliveries.keys():
            found.append(f"{len(lost)} entities lost, such as {min(lost)}")
        if foreign := deliveries.keys() - self.expected:
            found.append(f"{len(foreign)} entities that no file holds, such as {min(foreign)}")
        if repeated := [key for key, times in deliveries.items() if times > 1]:
            found.append(f"{len(repeated)} entities delivered more than once, such as {min(repeated)}")
        return found + self._faults_in_the_state()

    def _faults_in_the_state(self) -> list[str]:
        pipeline = Pipeline.from_file(self.pipeline_file)
        found = []
        with pipeline.open_store() as kv:
            state = pipeline.open_state(kv)
            records = list(state.files.all())
            if len(records) != _FILES:
                found.append(f"the ledger has {len(records)} files, not {_FILES}")
            for record in records:
                if record.status is not FileStatus.COMPLETED:
                    found.append(f"{record.file_name} is {record.status}: {record.error}")
            if next(iter(kv.list((state.workflow_id, "batch"))), None) is not None:
                found.append("batches of completed files are left in the ledger")
            sync = state.get_sync_state()
            if sync.files_completed != _FILES or sync.records_completed != len(self.expected):
                found.append(
                    f"the sync state counts {sync.files_completed} files and {sync.records_completed} records"
                )
            if sync.last_processed_file != f"{_FILES}.csv":
                found.append(f"the watermark stands at {sync.last_processed_file}")
        if waiting := sorted(each.name for each in (self.folder / "inbox").glob("*.csv")):
            found.append(f"files weren't moved away: {', '.join(waiting)}")
        rejects = list((self.folder / "rejects").glob("*.jsonl"))
        if len(rejects) != 1 or sum(_BAD in line for line in rejects[0].read_text().splitlines()) != 1:
            found.append(f"the bad record isn't in one rejects file: {rejects}")
        if spools := list((self.folder / "spool").glob("*/*/plan.json")):
            found.append(f"{len(spools)} spools are left on the disk")
        return found


@contextmanager
def scenario(kind: str, folder: Path, *, state_url: str, rng: random.Random) -> Iterator[Scenario]:
    """Lay out the files of a scenario in `folder`, which gives the workflow its name, and start its sandbox."""
    settings, faults = KINDS[kind]
    with Sandbox(processing_time=timedelta(0)) as sandbox:
        for fault in faults:
            sandbox.inject(fault)
        expected = _write_files(folder, rng)
        document = {
            "pipeline": folder.name,
            "source": {"url": "inbox", "pattern": "*.csv"},
            "mapping": _MAPPING,
            "target": {"batch": {"size": 3, "concurrency": rng.choice([1, 2, 3])}},
            "rejects": {"max": 1, "to": "rejects"},
            "after": {"success": "done"},
            "retry": {"max_attempts": 20},
            "lease": {"timeout": f"{LEASE.seconds}s"},
            "spool": "spool",
            "state": "sqlite:///state.db" if state_url == "sqlite" else state_url,
            "fluent": {
                "base_url": sandbox.url,
                "client_id": "proof",
                "client_secret": "proof",
                "retailer_id": "1",
                "timeout": "10s",
            },
            **settings,
        }
        (folder / "pipeline.json").write_text(json.dumps(document))
        yield Scenario(kind=kind, folder=folder, sandbox=sandbox, expected=expected)


def _write_files(folder: Path, rng: random.Random) -> frozenset[EntityKey]:
    expected: set[EntityKey] = set()
    (folder / "inbox").mkdir(parents=True)
    for number in range(1, _FILES + 1):
        warehouse = f"W{number}"
        skus = [f"S{n}" for n in range(rng.randint(4, 14))]
        expected |= {(warehouse, sku, "LAST_ON_HAND") for sku in skus}
        rows: list[Sequence[Any]] = [(sku, warehouse, rng.randrange(100)) for sku in skus]
        if number == 2:
            rows.insert(rng.randrange(len(rows)), ("BAD", warehouse, _BAD))
        path = folder / "inbox" / f"{number}.csv"
        lines = ["sku,warehouse,quantity", *(",".join(map(str, row)) for row in rows)]
        path.write_text("\n".join(lines) + "\n")
        changed = (_START + timedelta(minutes=number)).timestamp()
        os.utime(path, (changed, changed))
    return frozenset(expected)
