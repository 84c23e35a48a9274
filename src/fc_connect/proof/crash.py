"""kill -9 at every named step of a run, on any store; then start again, and let the sandbox's log judge.

A run is decided by its seed alone: which point, at which passing, in which scenario, and whether the run that carries
on dies too. So a seed and the kind of store are enough to play it again.
"""

from __future__ import annotations

import os
import random
import shutil
import tempfile
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from fc_connect.errors import FCConnectError
from fc_connect.faults import POINTS
from fc_connect.proof.judge import faults_found, fencing_tokens
from fc_connect.proof.processes import Started, start
from fc_connect.proof.scenario import KINDS, LEASE, Scenario, scenario
from fc_connect.proof.victim import Blow

__all__ = [
    "NO_LIMITS",
    "RECOVERY",
    "CrashReport",
    "CrashRun",
    "Passings",
    "count_passings",
    "crash_runs",
    "in_order",
    "workplace",
]

Task = TypeVar("Task")
Done = TypeVar("Done")

NO_LIMITS: Mapping[str, int] = MappingProxyType({})
RECOVERY = LEASE + timedelta(seconds=5)
"""From a death to the end of the run that carries on, at most."""
_DEATHS_AT_MOST = 3
_GRACE = timedelta(seconds=60)
"""After which a run that neither dies nor ends counts as hanging."""

Passings = Mapping[str, Mapping[str, int]]
"""How often a run that nothing happens to passes each point, by kind of scenario."""

# Where a run has to die first for the next one to come by a point that no undisturbed run passes.
_LEADS_TO = {"sweep.clear": "state.completed", "sweep.cleared": "state.completed"}
_LEADS_TO_THE_REST = "send.answered"


@dataclass(frozen=True, slots=True, kw_only=True)
class CrashRun:
    """What came of one seed on one store."""

    seed: int
    store: str
    """Its name among those given."""
    kind: str
    deaths: tuple[str, ...]
    """Where runs were killed; fewer than planned where a run didn't come by."""
    recovery: timedelta
    """The longest time from a death to the end of a run that ended well."""
    faults: tuple[str, ...]


@dataclass(slots=True, kw_only=True)
class CrashReport:
    """What came of many."""

    runs: Counter[str] = field(default_factory=Counter)
    """By store."""
    kills: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By store and point."""
    slowest: timedelta = timedelta(0)
    failed: list[CrashRun] = field(default_factory=list)

    def add(self, run: CrashRun) -> None:
        """Count one run."""
        self.runs[run.store] += 1
        self.kills.update((run.store, each.partition("#")[0]) for each in run.deaths)
        self.slowest = max(self.slowest, run.recovery)
        if run.faults:
            self.failed.append(run)

    def never_killed_at(self, store: str) -> list[str]:
        """Return the points that no run on `store` died at."""
        return [point for point in POINTS if not self.kills[store, point]]


def crash_runs(
    stores: Mapping[str, str],
    *,
    seeds: Iterable[int],
    side_by_side: int = 8,
    bears: Mapping[str, int] = NO_LIMITS,
    on_run: Callable[[CrashRun], None] = lambda run: None,
    kinds: Sequence[str] = tuple(KINDS),
    recovery: timedelta | None = RECOVERY,
    sabotage: Callable[[], None] | None = None,
    keep_in: Path | None = None,
) -> CrashReport:
    """Kill and restart once for every seed on every one of `stores`, and leave no trace in them.

    Args:
        stores: name → URL; the URL `sqlite` is a file in the run's own folder.
        seeds: asked for the next one when it can begin.
        bears: name → how many runs at once the server of a store bears, where that is less than `side_by_side`: on one
            that is too slow for its neighbours, leases run out.
        on_run: called with each run's outcome, in the order of the seeds, on the calling thread.
        recovery: what may pass at most from a death to the end of the run that carries on; None where the machine
            is too busy to judge by time.
        sabotage: breaks the product in each process before it begins; must be importable.
        keep_in: where the folders of failed runs are kept for a person to look at.
    """
    report = CrashReport()
    tasks = ((seed, name, url) for seed in seeds for name, url in stores.items())
    with workplace() as place, ThreadPoolExecutor(side_by_side) as pool:
        passings = count_passings(place, kinds=kinds, pool=pool)
        room = {name: threading.BoundedSemaphore(bears.get(name, side_by_side)) for name in stores}

        def one(task: tuple[int, str, str]) -> CrashRun:
            play = _Play(allowed=recovery, sabotage=sabotage)
            with room[task[1]]:
                return _crash(*task, play=play, place=place, passings=passings, keep_in=keep_in)

        for done in in_order(pool, one, tasks, at_once=2 * side_by_side):
            report.add(done)
            on_run(done)
    return report


def in_order(
    pool: Executor, one: Callable[[Task], Done], tasks: Iterable[Task], *, at_once: int
) -> Iterator[Done]:
    """Do each task in the pool and yield what came of it, in order; a task is asked for when it can soon begin."""
    waiting: deque[Future[Done]] = deque()
    for task in tasks:
        waiting.append(pool.submit(one, task))
        if len(waiting) >= at_once:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


@contextmanager
def workplace() -> Iterator[Path]:
    """Yield a folder for the runs: in memory where it can be, since what is killed here is never the machine."""
    memory = Path("/dev/shm")  # noqa: S108 (a name of our own is made in it)
    in_memory = memory.is_dir() and os.access(memory, os.W_OK)
    with tempfile.TemporaryDirectory(
        prefix="fc-connect-proof-", dir=memory if in_memory else None, ignore_cleanup_errors=True
    ) as place:
        yield Path(place)


def count_passings(place: Path, *, kinds: Sequence[str], pool: ThreadPoolExecutor) -> Passings:
    """Return how often a run that nothing happens to passes each point, by kind of scenario."""

    def count(kind: str) -> dict[str, int]:
        folder = Path(tempfile.mkdtemp(prefix=f"count-{kind}-", dir=place))
        with scenario(kind, folder, state_url="sqlite", rng=random.Random(1)) as one:
            counts = one.folder / "passed.txt"
            start(one, counts_to=counts).wait(_GRACE)
            lines = counts.read_text().splitlines()
            return {name: int(times) for name, _, times in (line.partition(" ") for line in lines)}

    return dict(zip(kinds, pool.map(count, kinds), strict=True))


def _planned(rng: random.Random, point: str, kind: str, passed: Mapping[str, int]) -> list[Blow]:
    plan = [Blow(point=point, hit=rng.randint(1, passed.get(point, 1)))]
    if point not in passed:  # only a run that carries on comes by
        before = _LEADS_TO.get(point, _LEADS_TO_THE_REST)
        plan.insert(0, Blow(point=before, hit=rng.randint(1, passed.get(before, 1))))
    while len(plan) < _DEATHS_AT_MOST and rng.random() < 0.3:
        other = rng.choice(sorted(passed))
        plan.append(Blow(point=other, hit=rng.randint(1, passed[other])))
    return plan


def _crash(
    seed: int,
    store: str,
    url: str,
    *,
    play: _Play,
    place: Path,
    passings: Passings,
    keep_in: Path | None,
) -> CrashRun:
    rng = random.Random(seed)
    point = POINTS[seed % len(POINTS)]
    passing = [kind for kind, passed in passings.items() if point in passed]
    if not passing:
        # What only a run that carries on comes by, a second worker would do while the first is dead.
        before = _LEADS_TO.get(point, _LEADS_TO_THE_REST)
        leading = [kind for kind, passed in passings.items() if before in passed]
        passing = [kind for kind in leading if KINDS[kind].workers == 1] or leading or list(passings)
    kind = rng.choice(passing)
    play.is_stranger = rng.random() < 0.1
    plan = _planned(rng, point, kind, passings[kind])
    # The store is shared by all runs; the folder's name is the workflow's.
    folder = Path(tempfile.mkdtemp(prefix=f"crash-{seed}-", dir=place))
    try:
        with scenario(kind, folder, state_url=url, rng=rng) as one:
            play.until_the_end(one, plan, rng)
            play.faults += faults_found(one)
    except FCConnectError as exc:
        play.faults.append(f"the store failed: {exc}")
    if play.faults and keep_in is not None:
        shutil.copytree(folder, keep_in / f"{store}-{folder.name}", dirs_exist_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    return CrashRun(
        seed=seed,
        store=store,
        kind=kind,
        deaths=tuple(play.deaths),
        recovery=play.recovery,
        faults=tuple(play.faults),
    )


@dataclass(slots=True, kw_only=True)
class _Play:
    """One run of the plan, as it goes."""

    allowed: timedelta | None
    sabotage: Callable[[], None] | None
    is_stranger: bool = False
    deaths: list[str] = field(default_factory=list)
    recovery: timedelta = timedelta(0)
    faults: list[str] = field(default_factory=list)

    def until_the_end(self, one: Scenario, plan: Sequence[Blow], rng: random.Random) -> None:
        died_at: float | None = None
        tokens: dict[str, int] = {}
        # A run may end with an error that the next one mends.
        for blow in [*plan, *[None] * 5]:
            runs = [self._start(one, each) for each in (blow, *[None] * (one.kind.workers - 1))]
            codes = [each.wait(_GRACE) for each in runs]
            if None in codes:
                self.faults.append(f"a run hung for {_GRACE.total_seconds():.0f} s")
                return
            self._note_locks(one, {each.process.pid for each in runs if each.process.exitcode in {0, 1}})
            self._note_tokens(fencing_tokens(one), tokens)
            now = time.monotonic()
            if codes[0] is not None and codes[0] < 0:
                self.deaths.append(str(blow))
                one.twist(rng)
                died_at = now if len(runs) == 1 else None  # the others may have carried it on already
            else:
                if died_at is not None:
                    self.recovery = max(self.recovery, timedelta(seconds=now - died_at))
                died_at = None
                if codes[0] == 0 and blow is None:
                    break
        else:
            self.faults.append("no run ended well")
        if self.is_stranger:  # what has to be cleared up may have been locked until now
            time.sleep(LEASE.total_seconds())
            self._start(one, None).wait(_GRACE)
            self._note_tokens(fencing_tokens(one), tokens)
        if self.allowed is not None and self.recovery > self.allowed:
            self.faults.append(f"recovery took {self.recovery.total_seconds():.1f} s")

    def _start(self, one: Scenario, blow: Blow | None) -> Started:
        return start(one, blow=blow, is_stranger=self.is_stranger, sabotage=self.sabotage)

    def _note_locks(self, one: Scenario, ended: set[int | None]) -> None:
        """Note locks that runs which ended in order have left; a killed run's lock stays until it expires."""
        for lock in one.state.locks.list():
            if lock.owner.pid in ended:
                self.faults.append(f"the lock {lock.name} is left by a run that ended")

    def _note_tokens(self, now: dict[str, int], before: dict[str, int]) -> None:
        if sunk := [name for name, token in before.items() if now.get(name, 0) < token]:
            self.faults.append(
                f"the fencing token of {sunk[0]} went from {before[sunk[0]]} to {now.get(sunk[0])}"
            )
        before.update(now)
