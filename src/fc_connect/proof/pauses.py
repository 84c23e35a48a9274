"""Stop a worker at a named step for longer than its lease; let another take over; then let the first go on.

The first must not deliver again what the second has delivered, and must write nothing of its own to the state: it was
overtaken without knowing. A run is decided by its seed alone, as in `crash`.
"""

from __future__ import annotations

import random
import shutil
import signal
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from fc_connect.errors import FCConnectError
from fc_connect.faults import POINTS
from fc_connect.proof.crash import NO_LIMITS, Passings, count_passings, in_order, workplace
from fc_connect.proof.judge import faults_found, fencing_tokens
from fc_connect.proof.processes import start
from fc_connect.proof.scenario import LEASE, Scenario, scenario
from fc_connect.proof.victim import Blow

__all__ = ["PAUSED_KINDS", "PauseReport", "PauseRun", "pause_runs"]

PAUSED_KINDS = (
    "whole",
    "streaming",
    "one-job",
    "kept-duplicates",
    "lost-reply",
    "lost-request",
    "refused",
    "token-expired",
)
"""Scenarios in which the second worker can do it all."""
_GRACE = timedelta(seconds=90)

# Whatever the point: the step before the bytes leave is the one where a pause does most harm.
_OFTEN = ("send.intended", "http.leave", "http.request", "send.answered")


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseRun:
    """What came of one seed on one store."""

    seed: int
    store: str
    kind: str
    paused: str | None
    """Where the first worker stood still; None where it ended first."""
    went_on: str
    """When it went on: `after` the second had ended, or `amid` its work."""
    faults: tuple[str, ...]


@dataclass(slots=True, kw_only=True)
class PauseReport:
    """What came of many."""

    runs: Counter[str] = field(default_factory=Counter)
    """By store."""
    pauses: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By store and point."""
    failed: list[PauseRun] = field(default_factory=list)

    def add(self, run: PauseRun) -> None:
        """Count one run."""
        self.runs[run.store] += 1
        if run.paused is not None:
            self.pauses[run.store, run.paused.partition("#")[0]] += 1
        if run.faults:
            self.failed.append(run)


def pause_runs(
    stores: Mapping[str, str],
    *,
    seeds: Iterable[int],
    side_by_side: int = 8,
    bears: Mapping[str, int] = NO_LIMITS,
    on_run: Callable[[PauseRun], None] = lambda run: None,
    points: Sequence[str] = POINTS,
    kinds: Sequence[str] = PAUSED_KINDS,
    sabotage: Callable[[], None] | None = None,
    keep_in: Path | None = None,
) -> PauseReport:
    """Stop and overtake a worker once for every seed on every one of `stores`; arguments as `crash_runs`."""
    report = PauseReport()
    tasks = ((seed, name, url) for seed in seeds for name, url in stores.items())
    room = {name: threading.BoundedSemaphore(bears.get(name, side_by_side)) for name in stores}
    with workplace() as place, ThreadPoolExecutor(side_by_side) as pool:
        passings = count_passings(place, kinds=kinds, pool=pool)

        def one(task: tuple[int, str, str]) -> PauseRun:
            with room[task[1]]:
                return _pause(
                    *task, points=points, place=place, passings=passings, sabotage=sabotage, keep_in=keep_in
                )

        for done in in_order(pool, one, tasks, at_once=2 * side_by_side):
            report.add(done)
            on_run(done)
    return report


def _pause(
    seed: int,
    store: str,
    url: str,
    *,
    points: Sequence[str],
    place: Path,
    passings: Passings,
    sabotage: Callable[[], None] | None,
    keep_in: Path | None,
) -> PauseRun:
    rng = random.Random(seed)
    point = rng.choice(_OFTEN) if len(points) == len(POINTS) and seed % 3 == 0 else points[seed % len(points)]
    kind = rng.choice([kind for kind, passed in passings.items() if point in passed] or list(passings))
    blow = Blow(point=point, hit=rng.randint(1, passings[kind].get(point, 1)), signal=signal.SIGSTOP)
    went_on = rng.choice(["after", "amid"])
    faults: list[str] = []
    folder = Path(tempfile.mkdtemp(prefix=f"pause-{seed}-", dir=place))
    is_paused = False
    try:
        with scenario(kind, folder, state_url=url, rng=rng) as one:
            is_paused = _overtake(one, blow, went_on, rng, sabotage, faults)
            faults += faults_found(one)
    except FCConnectError as exc:
        faults.append(f"the store failed: {exc}")
    if faults and keep_in is not None:
        shutil.copytree(folder, keep_in / f"{store}-{folder.name}", dirs_exist_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    return PauseRun(
        seed=seed,
        store=store,
        kind=kind,
        paused=str(blow) if is_paused else None,
        went_on=went_on,
        faults=tuple(faults),
    )


def _overtake(
    one: Scenario,
    blow: Blow,
    went_on: str,
    rng: random.Random,
    sabotage: Callable[[], None] | None,
    faults: list[str],
) -> bool:
    first = start(one, blow=blow, sabotage=sabotage)
    is_paused = first.wait_until_stopped(_GRACE)
    second = start(one, sabotage=sabotage)
    before: dict[Any, Any] | None = None
    if is_paused and went_on == "amid":
        time.sleep(LEASE.total_seconds() + rng.uniform(0, 2.5))
    else:
        code = second.wait(_GRACE)
        if is_paused and code == 0:  # with an error it would leave work to the first
            # What the first held when it was stopped was taken over, or has expired unasked for.
            time.sleep(LEASE.total_seconds())
            before = _decisive(one)
    tokens = fencing_tokens(one)
    if is_paused:
        first.go_on()
    if None in (first.wait(_GRACE), second.wait(_GRACE)):
        faults.append("a worker hung")
    if before is not None and (changed := _changes(before, _decisive(one))):
        faults.append(f"the first worker changed the state after it was overtaken: {', '.join(changed)}")
    # Whoever comes next clears up.
    start(one).wait(_GRACE)
    after = fencing_tokens(one)
    if sunk := [name for name, token in tokens.items() if after.get(name, 0) < token]:
        faults.append(f"fencing tokens went down: {sunk}")
    return is_paused


def _decisive(one: Scenario) -> dict[Any, Any]:
    """Return what only the holder of a lock may write: all but how a run ended, fences and the jobs tracked."""
    found = {}
    for entry in one.kv.list((one.state.workflow_id,)):
        if entry.key[1] in {"fence", "lock"} or entry.key[1:3] == ("job", "tracked"):
            continue
        value = entry.value
        if entry.key[1] == "sync":
            value = {name: each for name, each in value.items() if not name.startswith("last_sync")}
        found[entry.key[1:]] = value
    return found


def _changes(before: dict[Any, Any], after: dict[Any, Any]) -> list[str]:
    return sorted(str(key) for key in before.keys() | after.keys() if before.get(key) != after.get(key))
