"""Virtual time, machines, processes and threads, of which one runs at a time; the seed says which is next.

A thread is a greenlet. It runs until it waits for something; then the event that is due first wakes the next one.
What happens between two waits takes no time, so everything that can go wrong goes wrong while somebody waits: a
request is on its way, a thread sleeps. Named fault points can be made into such moments too.
"""

from __future__ import annotations

import random
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from typing import Any

from greenlet import getcurrent, greenlet  # type: ignore[import-untyped]

__all__ = ["Doom", "Host", "Killed", "Process", "Thread", "World", "here"]

MAX_EVENTS = 200_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Killed(BaseException):
    """Unwinds the threads of a dead process. Whatever their `finally` blocks try, they reach nothing any more."""


class World:
    """What happens, in order. `now` counts seconds from the beginning of the run."""

    def __init__(self, seed: int, *, start: datetime, is_traced: bool = False) -> None:
        self.now = 0.0
        self.start = start
        self.rng = random.Random(seed)
        self.events = 0
        self.current: Thread | None = None
        self.processes: list[Process] = []
        self.faults: list[str] = []
        """What was found broken."""
        self.trace: list[str] | None = [] if is_traced else None
        self._queue: list[tuple[float, float, int, Callable[[Any], object], Any]] = []
        self._pushed = 0
        self.hub = getcurrent()
        self._is_over = False

    def at(self, when: float, do: Callable[[Any], object], argument: Any = None) -> None:
        """Call `do(argument)` at `when`; the seed decides between what is due at the same moment."""
        self._pushed += 1
        heappush(self._queue, (when, self.rng.random(), self._pushed, do, argument))

    def run(self, *, until: float) -> None:
        """Let time pass until nothing is left to happen, `end` is called, or it is `until`."""
        queue = self._queue
        while queue and not self._is_over:
            when, _, _, do, argument = heappop(queue)
            if when > until:
                self.now = until
                break
            self.now = when
            self.events += 1
            if self.events > MAX_EVENTS:
                self.fault(f"{MAX_EVENTS:,} events, and no end")
                break
            do(argument)

    def end(self) -> None:
        """Stop `run` after the present event."""
        self._is_over = True

    def resume_time(self) -> None:
        """Let `run` be called again."""
        self._is_over = False

    def close(self) -> None:
        """Unwind every thread that is left."""
        for process in self.processes:
            process.kill()

    def park(self, timeout: float | None = None) -> None:
        """Let the present thread wait until it is woken or `timeout` is over; it may also wake for nothing."""
        thread = self.current
        if thread is None:
            raise RuntimeError("only a thread of the simulation can wait")
        if thread.process.is_dead:
            raise Killed
        if timeout is not None:
            self.at(self.now + max(0.0, timeout), thread.resume, thread.turn)
        self.hub.switch()

    def wake(self, thread: Thread) -> None:
        """Let a waiting thread go on."""
        self.at(self.now, thread.resume, thread.turn)

    def sleep(self, duration: float) -> None:
        """Let the present thread wait for the whole of `duration`."""
        until = self.now + max(0.0, duration)
        self.park(duration)
        while self.now < until:
            self.park(until - self.now)

    def wall(self) -> datetime:
        """Return the true time of day."""
        return self.start + timedelta(microseconds=round(self.now * 1e6))

    def note(self, text: str, *, by: Process | None = None) -> None:
        """Add a line to the trace, if one is kept."""
        if self.trace is not None:
            if by is None and self.current is not None:
                by = self.current.process
            self.trace.append(f"{self.now:10.4f}  {'-' if by is None else by.name:8} {text}")

    def fault(self, text: str) -> None:
        """Note that a promise was broken."""
        self.note(f"*** {text}")
        self.faults.append(f"at {self.now:.3f} s: {text}")


class Host:
    """A machine: processes on it can tell whether one of theirs is dead."""

    def __init__(self, number: int) -> None:
        self.name = f"host{number}"
        self.boot_id = f"boot-{number}"
        self.namespace = f"pid:[{number}]"
        self.uptime = 1000.0 * number
        self.started: dict[int, str] = {}
        """By pid, of the processes that live."""
        self.pids = 100 * number


@dataclass(slots=True, kw_only=True)
class Doom:
    """What happens when a process passes a fault point for the `passings`-th time."""

    passings: int
    point: str | None = None
    """Which one; None for any."""
    pause: float | None = None
    """For how long it is stopped; None: it is killed."""

    def strikes(self, name: str) -> bool:
        if self.point is None or self.point == name:
            self.passings -= 1
        return self.passings <= 0


class Process:
    """A process, with a wall clock of its own that may be wrong."""

    def __init__(self, world: World, host: Host, name: str, *, wall_offset: float = 0.0) -> None:
        self.world = world
        self.host = host
        self.name = name
        self.rng = random.Random(world.rng.getrandbits(64))
        self.is_dead = False
        self.frozen_until = 0.0
        self.wall_offset = wall_offset
        """Seconds by which its clock is ahead."""
        self.points = 0
        """Fault points passed so far."""
        self.doom: Doom | None = None
        """What is to happen to it at a fault point."""
        self.on_death: Callable[[], object] | None = None
        self.on_pause: Callable[[], object] | None = None
        self.threads: list[Thread] = []
        host.pids += 1
        self.pid = host.pids
        host.started[self.pid] = f"{host.uptime + world.now:.6f}"
        world.processes.append(self)

    def begin(self, main: Callable[[], object]) -> None:
        """Start the process; it ends when `main` returns, as one whose other threads are daemons."""

        def run() -> None:
            main()
            self.world.note("ends", by=self)
            self.world.at(self.world.now, self._ended)

        Thread(self, run, "main").start()

    def freeze(self, duration: float) -> None:
        """Stop all threads for a while, as SIGSTOP does."""
        self.world.note(f"is paused for {duration:.3f} s", by=self)
        self.frozen_until = max(self.frozen_until, self.world.now + duration)

    def kill(self, _: object = None) -> None:
        """End the process without a word, as SIGKILL does. What it sent before is still on its way."""
        if self.world.current is not None:
            raise RuntimeError("a process is killed between two events")
        self.mark_dead()
        threads, self.threads = self.threads, []
        for thread in threads:
            thread.unwind()

    def mark_dead(self) -> None:
        """Let nothing more that this process does reach anybody."""
        if not self.is_dead:
            self.is_dead = True
            self.host.started.pop(self.pid, None)

    def _ended(self, _: object) -> None:
        self.kill()


class Thread:
    """A thread of a process."""

    def __init__(self, process: Process, target: Callable[[], object], name: str) -> None:
        self.process = process
        self.name = name
        self.turn = 0
        """Counts how often it was resumed: what was to wake an earlier wait is too late."""
        self.is_over = False
        self.answer: Any = None
        """What it was woken with."""
        self.joiners: list[Thread] = []
        self.shim: object = None
        """What the code under test knows it by."""
        self._target = target
        self._greenlet = greenlet(self._run, parent=process.world.hub)  # where it ends, the hub goes on

    def start(self) -> None:
        world = self.process.world
        self.process.threads.append(self)
        world.at(world.now, self.resume, self.turn)

    def resume(self, turn: int) -> None:
        """Go on, unless it has been resumed since `turn`."""
        process = self.process
        if turn != self.turn or process.is_dead or self.is_over:
            return
        world = process.world
        if process.frozen_until > world.now:
            world.at(process.frozen_until, self.resume, turn)
            return
        self.turn += 1
        world.current = self
        self._greenlet.switch()
        world.current = None

    def unwind(self) -> None:
        """Throw the thread off its stack."""
        world = self.process.world
        if not self.is_over and self._greenlet:
            world.current = self
            self._greenlet.throw(Killed)
            world.current = None
        self.is_over = True

    def _run(self) -> None:
        world = self.process.world
        try:
            self._target()
        except Killed:
            return
        except Exception as exc:  # noqa: BLE001 (an escaped error is a finding, not the simulator's end)
            world.fault(f"{self.process.name}: {self.name} ended by {type(exc).__name__}: {exc}")
            if world.trace is not None:
                world.trace.append(traceback.format_exc())
        finally:
            self.is_over = True
            for joiner in self.joiners:
                world.wake(joiner)


_world: World | None = None


def here() -> World:
    """Return the world that is running."""
    if _world is None:
        raise RuntimeError("no simulation is running")
    return _world


def enter(world: World | None) -> None:
    """Make `world` the one that virtual threads and clocks belong to."""
    global _world  # noqa: PLW0603 (code under test reaches its world by module attributes alone)
    _world = world
