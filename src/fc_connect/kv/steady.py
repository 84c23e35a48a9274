"""Time that a step of the wall clock can't move, for stores that have no clock of their own."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from fc_connect.clock import Clock, SystemClock

__all__ = ["Anchor", "SteadyClock"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """What the wall clock said at one moment since the machine was started."""

    boot_id: str
    wall: int
    """Microseconds since 1970."""
    since_boot: int
    """Microseconds on the clock that counts from the start of the machine, sleep included."""


class SteadyClock:
    """Counts on from an anchor. All processes of one machine that share the anchor read the same time."""

    def __init__(self, clock: Clock, anchor: Anchor | None) -> None:
        self._clock = clock
        self._anchor = anchor if isinstance(clock, SystemClock) else None

    def now(self) -> datetime:
        """Return the time, aware and in UTC."""
        if self._anchor is None:
            return self._clock.now()
        return _EPOCH + timedelta(microseconds=self.now_us())

    def now_us(self) -> int:
        """Return the time in microseconds since 1970."""
        if self._anchor is None:
            return (self._clock.now() - _EPOCH) // timedelta(microseconds=1)
        return self._anchor.wall + _since_boot() - self._anchor.since_boot

    @staticmethod
    def anchor_now(previous: Anchor | None = None) -> Anchor:
        """Return `previous` if it is of this boot, else a new anchor that isn't before it."""
        boot_id = _boot_id()
        if previous is not None and previous.boot_id == boot_id:
            return previous
        wall = time.time_ns() // 1000
        return Anchor(
            boot_id=boot_id,
            wall=wall if previous is None else max(wall, previous.wall),
            since_boot=_since_boot(),
        )


def _since_boot() -> int:
    # Linux's CLOCK_BOOTTIME counts through sleep; elsewhere the monotonic clock has to do.
    return time.clock_gettime_ns(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)) // 1000


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        started = time.time_ns() // 1000 - _since_boot()
        return f"about {started // 60_000_000}"  # no system without /proc tells more: the minute of the start
