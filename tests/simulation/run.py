"""One run: workers that run the pipeline over and over until all is delivered, and what befalls them meanwhile."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from fc_connect.errors import FCConnectError
from fc_connect.pipeline.archive import Archive
from fc_connect.pipeline.ingest import FileIngest
from fc_connect.pipeline.jobs import OwnJobSlot
from fc_connect.pipeline.run import Run
from fc_connect.state import StateService
from tests.simulation.clock import ProcessClock
from tests.simulation.fluent import Fluent, FluentConnection
from tests.simulation.judge import Judge
from tests.simulation.patches import simulated
from tests.simulation.scenario import Mishap, Scenario, scenario
from tests.simulation.shop import NOWHERE, Inbox, VirtualPlanner, known_file
from tests.simulation.store import Connection, Store
from tests.simulation.threads import Event
from tests.simulation.world import Host, Process, World

__all__ = ["Failure", "Outcome", "Tally", "run_chunk", "run_seeds", "simulate"]

_PATIENCE = 120.0
"""Seconds after the last trouble until a run counts as stuck."""
_PAUSES = (0.5, 1.0, 3.0)
"""Seconds from one run of a worker to its next, at most: a run that finds nothing to do costs as much as others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one seed."""

    seed: int
    faults: tuple[str, ...]
    gaps: int
    """Batches that a worker which had lost its lease sent a second time: Fluent checks no token."""
    doubts: int
    """Batches sent again because Fluent's list couldn't tell whose is whose; the product says so."""
    recovery: float
    """Seconds from the last trouble to the last completion."""
    digest: str
    """The same for the same seed, everywhere."""
    trace: tuple[str, ...] = ()

    @property
    def replay(self) -> str:
        """The command that shows it step by step."""
        return f"python -m tests.simulation --replay {self.seed}"


Failure = Outcome


def run_seeds(
    seeds: Iterable[int], *, mixes: tuple[str, ...] | None = None, at_most: int = 10
) -> list[Failure]:
    """Run each seed, and return those in which a promise was broken, `at_most` so many."""
    failures: list[Failure] = []
    for seed in seeds:
        outcome = simulate(seed, mixes=mixes)
        if outcome.faults:
            failures.append(outcome)
            if len(failures) >= at_most:
                break
    return failures


@dataclass(slots=True)
class Tally:
    """What came of many seeds."""

    runs: int = 0
    gaps: int = 0
    doubts: int = 0
    slowest: float = 0.0
    failed: list[Failure] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        self.runs += other.runs
        self.gaps += other.gaps
        self.doubts += other.doubts
        self.slowest = max(self.slowest, other.slowest)
        self.failed += other.failed


def run_chunk(task: tuple[int, int, tuple[str, ...] | None]) -> Tally:
    """Run so many seeds from a first one on."""
    first, count, mixes = task
    tally = Tally()
    for seed in range(first, first + count):
        outcome = simulate(seed, mixes=mixes)
        failed = [outcome] if outcome.faults else []
        tally.add(Tally(1, outcome.gaps, outcome.doubts, outcome.recovery, failed))
    return tally


def simulate(seed: int, *, mixes: tuple[str, ...] | None = None, is_traced: bool = False) -> Outcome:
    """Run one seed."""
    plan = scenario(seed, mixes=mixes)
    world = World(seed, start=plan.start, is_traced=is_traced)
    simulation = _Simulation(world, plan)
    with simulated(world):
        simulation.run()
    judge = simulation.judge
    recovery = (judge.done_at or world.now) - simulation.trouble_until
    ends = f"{world.now:.6f} {world.events} {simulation.store.kv._version} {world.faults} {recovery:.6f}"
    trace = tuple(world.trace or ())
    digest = hashlib.sha256("\n".join([ends, *trace]).encode()).hexdigest()
    return Outcome(
        seed=seed,
        faults=tuple(world.faults),
        gaps=judge.gaps,
        doubts=judge.doubts,
        recovery=recovery,
        digest=digest,
        trace=trace,
    )


class _Slot:
    """The place of a worker: when one dies, another is started."""

    def __init__(self, number: int, host: Host) -> None:
        self.number = number
        self.host = host
        self.lives = 0
        self.process: Process | None = None
        self.stop = Event()
        self.is_done = False


class _Simulation:
    def __init__(self, world: World, plan: Scenario) -> None:
        self.world = world
        self.plan = plan
        self.files = [
            known_file(f"{number}.csv", arrives=arrives, batches=batches, world=world)
            for number, (arrives, batches) in enumerate(plan.files)
        ]
        self.judge = Judge(
            world, self.files, has_clock=plan.has_clock, keeps_order=plan.config.order == "time"
        )
        self.store = Store(world, self.judge, plan.network, has_clock=plan.has_clock)
        self.fluent = Fluent(world, self.judge, plan.fluent)
        self.judge.is_closed = lambda job_id: self.fluent.is_closed(self.fluent.jobs[job_id])
        self.hosts = [Host(number + 1) for number in range(len(plan.hosts))]
        self.slots = [_Slot(number, self.hosts[host]) for number, host in enumerate(plan.hosts)]
        self.trouble_until = max(
            [0.0]
            + [each.arrives for each in self.files]
            + [end for _, end in plan.network.outages]
            + [plan.network.faults_until, plan.fluent.until]
        )
        self._everything_arrived = max(each.arrives for each in self.files)

    def run(self) -> None:
        world, plan = self.world, self.plan
        if world.trace is not None:
            world.trace.append(f"{plan}")
        for slot, start in zip(self.slots, plan.starts, strict=True):
            world.at(start, self._start, slot)
        for mishap in plan.mishaps:
            world.at(mishap.at, self._befall, mishap)
        world.at(self.trouble_until + _PATIENCE, self._give_up)
        world.run(until=1e9)
        if not world.faults:
            self._sweep()
            left = [entry.key for entry in self.store.kv.list(())]
            self.judge.judge_end(left)
            self._judge_jobs()

    # Workers

    def _start(self, slot: _Slot) -> None:
        slot.lives += 1
        offset = self.plan.offsets[slot.number]
        process = Process(self.world, slot.host, f"w{slot.number}.{slot.lives}", wall_offset=offset)
        dooms = self.plan.dooms.get(slot.number)
        if dooms:
            process.doom = dooms.pop(0)
            process.on_death = lambda: self._died(slot)
            process.on_pause = self._paused
        slot.process = process
        slot.stop = Event()
        process.begin(lambda: self._work(slot, process))

    def _work(self, slot: _Slot, process: Process) -> None:
        while self.judge.done_at is None:
            try:
                self._run_pipeline(process, slot.stop)
            except FCConnectError as exc:  # its state couldn't be opened
                self.world.note(f"can't run: {exc}")
            if slot.stop.is_set():
                slot.stop = Event()
            self.world.sleep(process.rng.choice(_PAUSES) * process.rng.random() + self._idle())
        slot.is_done = True
        if all(each.is_done for each in self.slots):
            self.world.end()

    def _idle(self) -> float:
        """Return for how long there is nothing to do: what is there is finished, and the next file is to come."""
        now = self.world.now
        left = [each.arrives for each in self.files if not each.is_finished]
        return max(0.0, min(left, default=now) - now)

    def _run_pipeline(self, process: Process, stop: Any) -> None:
        config, clock = self.plan.config, ProcessClock(process)
        connection: Any = Connection(self.store, process)
        client: Any = FluentConnection(self.fluent, process)
        source: Any = Inbox(self.world, self.files)
        planner: Any = VirtualPlanner(process, slowness=self.plan.slowness)
        state = StateService(connection, workflow_id=config.pipeline, clock=clock, random_source=process.rng)
        archive = Archive(config.after, pipeline=config.pipeline, marker=None)
        ingest = FileIngest(
            config=config,
            source=source,
            state=state,
            client=client,
            planner=planner,
            archive=archive,
            spool_folder=NOWHERE,
            run_job=OwnJobSlot(state, client, "run") if config.job == "per-run" else None,
            stop=stop,
            emit=_unheard,
        )
        Run(
            config=config,
            source=source,
            state=state,
            ingest=ingest,
            archive=archive,
            clock=clock,
            stop=stop,
            emit=_unheard,
            random_source=process.rng,
            wait=process.rng.random() < 0.7,
        ).run()

    # Trouble

    def _befall(self, mishap: Mishap) -> None:
        slot = self.slots[mishap.slot]
        process = slot.process
        if process is None or process.is_dead or slot.is_done:
            return
        if mishap.kind == "crash":
            self.world.note("is killed", by=process)
            process.kill()
            self._died(slot)
        elif mishap.kind == "pause":
            process.freeze(mishap.size)
            self._paused()
        elif mishap.kind == "stop":
            self.world.note("is told to stop", by=process)
            slot.stop.set()
        else:
            self.world.note(f"has its clock stepped by {mishap.size} s", by=process)
            process.wall_offset += mishap.size
        self._trouble(self.world.now)

    def _died(self, slot: _Slot) -> None:
        back = self.world.now + self.world.rng.choice([0.05, 0.5, self.plan.lease])
        self._trouble(back)
        self.world.at(back, self._start, slot)

    def _paused(self) -> None:
        self._trouble(max(each.process.frozen_until for each in self.slots if each.process is not None))

    def _trouble(self, until: float) -> None:
        self.trouble_until = max(self.trouble_until, until)

    def _give_up(self, _: object) -> None:
        since = self.trouble_until + _PATIENCE
        if self.world.now < since:
            self.world.at(since, self._give_up)
            return
        states = ", ".join(f"{each.record.file_name} {each.status}" for each in self.files)
        self.world.fault(f"stuck {_PATIENCE:.0f} s after the last trouble: {states}")
        self.world.end()

    # The end

    def _sweep(self) -> None:
        """Let one more worker come by, undisturbed, once every lease has run out."""
        process = Process(self.world, self.hosts[0], "sweeper")
        self.plan.network.lost_rate, self.plan.network.outages = 0.0, ()
        self.world.resume_time()
        self.world.at(
            self.world.now + self.plan.lease + 6,
            lambda _: process.begin(lambda: self._run_pipeline(process, Event())),
        )
        self.world.run(until=self.world.now + 60)

    def _judge_jobs(self) -> None:
        if self.plan.config.job != "daily":
            return
        named = {job_id for jobs in self.judge.daily.values() for job_id in jobs}
        for file in self.files:
            for each in (one for deliveries in file.deliveries.values() for one in deliveries):
                if each.job_id not in named:
                    self.world.fault(
                        f"{each.batch_id} went into {each.job_id}, which was never the day's job"
                    )


def _unheard(_: object) -> None:
    """Hear an event of a run."""
