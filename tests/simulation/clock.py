"""The clocks of the simulation: one per process, and the store's own."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from tests.simulation.world import EPOCH, Process, World

__all__ = ["ProcessClock", "StoreClock"]


class ProcessClock:
    """What a process reads: its own wall clock, which may be stepped, and the machine's monotonic one."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._world = process.world

    def now(self) -> datetime:
        return self._world.wall() + timedelta(seconds=self._process.wall_offset)

    def monotonic(self) -> float:
        return self._world.now + self._process.host.uptime

    def wait(self, event: Any, timeout: timedelta) -> bool:
        is_set: bool = event.wait(timeout.total_seconds())
        return is_set

    def sleep(self, duration: timedelta) -> None:
        self._world.sleep(duration.total_seconds())


class StoreClock:
    """The store's steady clock."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._start = (world.start - EPOCH) // timedelta(microseconds=1)

    def now(self) -> datetime:
        return self._world.wall()

    def now_us(self) -> int:
        return self._start + round(self._world.now * 1e6)
