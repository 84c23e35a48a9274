"""Small pipelines that between them pass every fault point, each with a sandbox of its own as the witness."""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Literal

from fc_connect.kv import KVStore
from fc_connect.pipeline import Pipeline
from fc_connect.sandbox import EntityKey, Fault, FaultKind, Sandbox
from fc_connect.state import StateService

__all__ = ["FILES", "KINDS", "LEASE", "Kind", "Scenario", "clear_workflow", "scenario"]

LEASE = timedelta(seconds=3)
"""The shortest that a pipeline may ask for."""
FILES = 3
BAD = "not a number"

_START = datetime(2026, 1, 15, 4, tzinfo=UTC)
_MAPPING = {
    "fields": {
        "ref": {"source": "sku", "required": True},
        "productRef": {"source": "sku"},
        "locationRef": {"source": "warehouse", "required": True},
        "qty": {"source": "quantity", "resolver": "sdk.parseInt", "required": True},
        "type": {"value": "LAST_ON_HAND"},
    }
}


def _on_the_second_batch(kind: FaultKind, **details: Any) -> tuple[Fault, ...]:
    return (Fault(kind=kind, method="POST", path="*/batch", nth=2, **details),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What is special about a scenario."""

    settings: dict[str, Any] = field(default_factory=dict)
    """Where the pipeline differs from the plain one."""
    action: str = "UPSERT"
    faults: tuple[Fault, ...] = ()
    """What goes wrong on the way to Fluent."""
    twist: Literal["mapping", "file", "midnight"] | None = None
    """What changes: the mapping or a file after the first death; the day, while a run is under way."""
    workers: int = 1
    """Runs that begin together; the first of them is struck."""

    @property
    def keeps_duplicates(self) -> bool:
        return self.settings.get("duplicates") == "keep"

    @property
    def is_ordered(self) -> bool:
        """Whether files have to arrive in the order of their names."""
        return self.settings.get("order") != "any" and self.twist != "file"

    @property
    def may_resend(self) -> bool:
        """Whether a record may come a second time, in another body: what it is made from has changed."""
        return self.twist in {"mapping", "file"}


KINDS: dict[str, Kind] = {
    "whole": Kind(),
    "streaming": Kind(
        settings={"validate": "streaming", "duplicates": "keep", "order": "any", "job": "per-file"}
    ),
    "one-job": Kind(settings={"job": "per-run", "order": "any"}),
    "kept-duplicates": Kind(settings={"duplicates": "keep"}),
    "lost-reply": Kind(faults=_on_the_second_batch(FaultKind.DROP, after_accepting=True)),
    "lost-request": Kind(faults=_on_the_second_batch(FaultKind.DROP, after_accepting=False)),
    "lost-reply-to-create": Kind(
        action="CREATE", faults=_on_the_second_batch(FaultKind.DROP, after_accepting=True)
    ),
    "refused": Kind(
        settings={"on_failure": "stop"}, faults=_on_the_second_batch(FaultKind.STATUS, status=422)
    ),
    "token-expired": Kind(faults=_on_the_second_batch(FaultKind.STATUS, status=401)),
    "slow": Kind(faults=_on_the_second_batch(FaultKind.LATENCY, delay=LEASE / 2)),
    "midnight": Kind(twist="midnight"),
    "changed-mapping": Kind(twist="mapping"),
    "replaced-file": Kind(twist="file"),
    "two-workers": Kind(workers=2),
    "two-workers-any-order": Kind(workers=2, settings={"order": "any"}),
}


@dataclass(slots=True, kw_only=True)
class Scenario:
    """Three files, one pipeline, one sandbox. The folder's name is the workflow's."""

    kind: Kind
    folder: Path
    sandbox: Sandbox
    kv: KVStore
    state: StateService
    document: dict[str, Any]
    deliveries: Counter[EntityKey] = field(default_factory=Counter)
    """How often each record has to arrive."""
    stock: dict[EntityKey, int] = field(default_factory=dict)
    """What has to stand in the end."""
    orders: dict[str, list[str]] = field(default_factory=dict)
    """The products of each file in their order, by warehouse."""
    is_twisted: bool = False

    @property
    def pipeline_file(self) -> Path:
        return self.folder / "pipeline.json"

    def write_pipeline(self) -> None:
        """Write the pipeline file anew."""
        self.pipeline_file.write_text(json.dumps(self.document))

    def write_file(
        self, number: int, rng: random.Random, *, age: int | None = None, bad: bool = False
    ) -> None:
        """Write the stock of one warehouse; some products twice where `rng` says so."""
        warehouse = f"W{number}"
        known = sorted(key[1] for key in self.deliveries if key[0] == warehouse)
        skus = known or [f"S{n}" for n in range(rng.randint(4, 14))]
        skus += rng.sample(skus, rng.randint(0, 2))
        rows = [(sku, rng.randrange(1000)) for sku in skus]
        for sku, quantity in rows:
            key = (warehouse, sku, "LAST_ON_HAND")
            self.stock[key] = quantity
            self.deliveries[key] = skus.count(sku) if self.kind.keeps_duplicates else 1
        self.orders[warehouse] = skus
        lines = [f"{sku},{warehouse},{quantity}" for sku, quantity in rows]
        if bad:
            lines.insert(rng.randrange(len(lines)), f"BAD,{warehouse},{BAD}")
        path = self.folder / "inbox" / f"{number}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.part")
        draft.write_text("\n".join(["sku,warehouse,quantity", *lines]) + "\n")
        changed = (_START + timedelta(minutes=age or number)).timestamp()
        os.utime(draft, (changed, changed))
        draft.replace(path)

    def twist(self, rng: random.Random) -> None:
        """Change what the kind says that changes; once."""
        if self.is_twisted:
            return
        self.is_twisted = True
        if self.kind.twist == "mapping":
            fields = {**_MAPPING["fields"], "status": {"value": "ACTIVE"}}
            self.document["mapping"] = {"fields": fields}
            self.write_pipeline()
        elif self.kind.twist == "file":
            self.write_file(2, rng, age=60)


@contextmanager
def scenario(name: str, folder: Path, *, state_url: str, rng: random.Random) -> Iterator[Scenario]:
    """Lay out a scenario in `folder`, and start its sandbox. Afterwards the store has no trace of it."""
    kind = KINDS[name]
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as opened:
        clock = _clock(jumps_at=rng.randint(5, 40)) if kind.twist == "midnight" else _clock(jumps_at=None)
        sandbox = opened.enter_context(
            Sandbox(processing_time=timedelta(0), clock=clock, actions=(kind.action,))
        )
        for fault in kind.faults:
            sandbox.inject(fault)
        document = {
            "pipeline": folder.name,
            "source": {"url": "inbox", "pattern": "*.csv"},
            "mapping": _MAPPING,
            "target": {"batch": {"size": 3, "concurrency": rng.choice([1, 2, 3]), "action": kind.action}},
            "rejects": {"max": 1, "to": "rejects"},
            "after": {"success": "done", "failure": "done"},
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
            **kind.settings,
        }
        (folder / "pipeline.json").write_text(json.dumps(document))
        pipeline = Pipeline.from_file(folder / "pipeline.json")
        kv = opened.enter_context(pipeline.open_store())
        one = Scenario(
            kind=kind,
            folder=folder,
            sandbox=sandbox,
            kv=kv,
            state=pipeline.open_state(kv),
            document=document,
        )
        opened.callback(clear_workflow, kv, folder.name)
        for number in range(1, FILES + 1):
            one.write_file(number, rng, bad=number == 2)
        yield one


def clear_workflow(kv: KVStore, workflow: str) -> None:
    """Remove every key of `workflow` and no other, fencing tokens included."""
    names = []
    for entry in kv.list((workflow,)):
        if entry.key[1] == "fence":
            names.append(entry.key[2])
        kv.delete(entry.key)
    for name in names:  # an expired lock is hidden, but there until it is swept
        kv.delete((workflow, "lock", name))


def _clock(*, jumps_at: int | None) -> Any:
    """Return a clock that is a day ahead from its `jumps_at`-th use on: jobs and tokens are then of yesterday."""
    return partial(_tell, count(1), jumps_at)


def _tell(uses: Iterator[int], jumps_at: int | None) -> datetime:
    now = datetime.now(UTC)
    return now if jumps_at is None or next(uses) < jumps_at else now + timedelta(days=1)
