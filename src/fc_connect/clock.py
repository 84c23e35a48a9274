"""The only place that reads time, so that tests can hold it still."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

__all__ = ["Clock", "ManualClock", "SystemClock"]


class Clock(Protocol):
    """Wall time, monotonic time and sleep."""

    def now(self) -> datetime:
        """Return the wall time, aware and in UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never go back, a sleep of the machine included; only differences mean anything."""
        ...

    def wait(self, event: threading.Event, timeout: timedelta) -> bool:
        """Wait for `event` at most `timeout`; say whether it is set."""
        ...

    def sleep(self, duration: timedelta) -> None:
        """Sleep for `duration`."""
        ...


# Linux's CLOCK_MONOTONIC stands still while the machine sleeps: whoever trusted it would wake up with leases that
# others have taken over long ago. Elsewhere it counts on.
_COUNTS_SLEEP = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class SystemClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.clock_gettime(_COUNTS_SLEEP)

    def wait(self, event: threading.Event, timeout: timedelta) -> bool:
        return event.wait(timeout.total_seconds())

    def sleep(self, duration: timedelta) -> None:
        time.sleep(max(0.0, duration.total_seconds()))


class ManualClock:
    """A clock that moves only when told to: for tests. `sleep` moves it and returns at once."""

    def __init__(self, start: datetime = datetime(2026, 1, 15, 12, 0, tzinfo=UTC)) -> None:
        self._now = start
        self._monotonic = 1000.0
        self._moved = threading.Condition()

    def now(self) -> datetime:
        with self._moved:
            return self._now

    def monotonic(self) -> float:
        with self._moved:
            return self._monotonic

    def advance(self, duration: timedelta) -> None:
        """Move wall and monotonic time forward."""
        with self._moved:
            self._now += duration
            self._monotonic += duration.total_seconds()
            self._moved.notify_all()

    def step_wall_clock(self, by: timedelta) -> None:
        """Move the wall time alone, as an administrator or NTP may."""
        with self._moved:
            self._now += by

    def wait(self, event: threading.Event, timeout: timedelta) -> bool:
        deadline = self.monotonic() + timeout.total_seconds()
        with self._moved:
            while not event.is_set() and self._monotonic < deadline:
                self._moved.wait(0.02)  # real time: an event set elsewhere doesn't notify this condition
        return event.is_set()

    def sleep(self, duration: timedelta) -> None:
        self.advance(duration)
