"""Time that a step of the wall clock can't move, for stores that have no clock of their own."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path

from fc_connect.clock import Clock, SystemClock

__all__ = ["Anchor", "ServedTime", "SteadyClock"]

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


class ServedTime:
    """The time of a server that tells it only by the `Date` of its answers, in whole seconds.

    It is this machine's wall clock as it was at the first look, held within what all answers since allow: so a wrong
    clock, or one that is set, is off by a second at most. Two machines may still differ by that second.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._offset = clock.now().timestamp() - clock.monotonic()
        self._low, self._high = float("-inf"), float("inf")
        self._last = _EPOCH

    def observe(self, date: str | None, *, sent_at: float) -> None:
        """Take the `Date` of an answer that came just now to a request sent at `sent_at` (monotonic seconds)."""
        received_at = self._clock.monotonic()
        try:
            told = parsedate_to_datetime(date or "")
            at = told.timestamp()
        except (ValueError, TypeError, OverflowError):
            return
        if told.tzinfo is None:  # of what zone it is can't be known
            return
        low, high = at - received_at, at + 1 - sent_at
        with self._lock:
            self._low, self._high = max(self._low, low), min(self._high, high)
            if self._low > self._high:  # a clock drifted, or this machine slept: the past no longer counts
                self._low, self._high = low, high
                self._last = _EPOCH
            self._offset = min(max(self._offset, self._low), self._high)

    def now(self) -> datetime:
        """Return the time, aware and in UTC; it doesn't go back unless the server's did."""
        with self._lock:
            now = _EPOCH + timedelta(seconds=self._clock.monotonic() + self._offset)
            self._last = max(self._last, now)
            return self._last


def _since_boot() -> int:
    # Linux's CLOCK_BOOTTIME counts through sleep; elsewhere the monotonic clock has to do.
    return time.clock_gettime_ns(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)) // 1000


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        started = time.time_ns() // 1000 - _since_boot()
        return f"about {started // 60_000_000}"  # no system without /proc tells more: the minute of the start
