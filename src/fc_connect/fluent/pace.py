"""How much a client asks of Fluent at a time: all its threads share these. Safe between threads."""

from __future__ import annotations

import logging
import threading
from datetime import timedelta

from fc_connect.clock import Clock

__all__ = ["Rate", "RetryBudget", "Slots"]

logger = logging.getLogger(__name__)

_NONE = timedelta(0)
_EARNED_PER_SECOND = 1.0
_EARNED_PER_ANSWER = 0.2


class Slots:
    """How many requests may be under way: up to `most`, half of them after a push-back, one more per round of answers.

    Additive increase, multiplicative decrease, as TCP does it (RFC 5681).
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._limit = float(most)
        self._busy = 0
        self._cuts = 0
        self._freed = threading.Condition()

    @property
    def limit(self) -> int:
        """How many may be under way now."""
        return int(self._limit)

    def acquire(self, *, timeout: timedelta) -> int | None:
        """Take a slot and return what `release` asks for; None where none gets free in time."""
        with self._freed:
            if not self._freed.wait_for(
                lambda: self._busy < self.limit, timeout=max(0.0, timeout.total_seconds())
            ):
                return None
            self._busy += 1
            return self._cuts

    def release(self, ticket: int, *, is_answered: bool, is_pushed_back: bool) -> None:
        """Give the slot back, and say how its request fared."""
        with self._freed:
            busy, self._busy = self._busy, self._busy - 1
            if is_pushed_back:
                # Those that left before the last cut tell of the same jam: one cut for all of them.
                if ticket == self._cuts:
                    self._limit = max(1.0, min(self._limit, busy) / 2)
                    self._cuts += 1
                    logger.info("Fluent pushes back: at most %d requests at once for now", self.limit)
            elif is_answered:
                self._limit = min(float(self._most), self._limit + 1 / self._limit)
            self._freed.notify_all()


class Rate:
    """A token bucket that holds one token: requests leave evenly, so no second sees more than `per_second`."""

    def __init__(self, per_second: float | None, *, clock: Clock) -> None:
        self._interval = 0.0 if per_second is None else 1 / per_second
        self._clock = clock
        self._next = 0.0
        self._lock = threading.Lock()

    def reserve(self, *, within: timedelta) -> timedelta | None:
        """Take the next turn and return how long it is until then; None, and no turn, where that is beyond `within`."""
        if not self._interval:
            return _NONE
        with self._lock:
            now = self._clock.monotonic()
            turn = max(now, self._next)
            if turn - now > within.total_seconds():
                return None
            self._next = turn + self._interval
            return timedelta(seconds=turn - now)


class RetryBudget:
    """How many attempts may be repeated: where Fluent is down for all, four times the requests would not help it up."""

    def __init__(self, size: int | None, *, clock: Clock) -> None:
        self._size = size
        self._left = float(size or 0)
        self._clock = clock
        self._counted_at = clock.monotonic()
        self._lock = threading.Lock()

    def earn(self) -> None:
        """Count an answer that is of use."""
        with self._lock:
            self._left = min(float(self._size or 0), self._left + _EARNED_PER_ANSWER)

    def spend(self) -> bool:
        """Take one repeat; False where none is left."""
        if self._size is None:
            return True
        with self._lock:
            now = self._clock.monotonic()
            self._left = min(float(self._size), self._left + (now - self._counted_at) * _EARNED_PER_SECOND)
            self._counted_at = now
            if self._left < 1:
                return False
            self._left -= 1
            return True
