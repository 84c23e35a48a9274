"""The time of a server that tells it only in the `Date` of its answers, in whole seconds."""

from __future__ import annotations

from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

from fc_connect.clock import Clock

__all__ = ["ServerTime"]

_TOLERANCE = timedelta(seconds=2)


class ServerTime:
    """This machine's time, mended where it is seconds off the server's, and steady between two answers.

    So those who use one store agree on the time to a few seconds, whatever their own clocks say: enough for records
    that are kept for days, not for leases.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._anchor = (clock.now(), clock.monotonic())

    def now(self) -> datetime:
        wall, monotonic = self._anchor
        return wall + timedelta(seconds=self._clock.monotonic() - monotonic)

    def note(self, date: str | None, *, asked_at: float) -> datetime:
        """Learn from an answer to what was asked at `asked_at`, of the monotonic clock; return its time."""
        answered_at = self._clock.monotonic()
        trip = timedelta(seconds=answered_at - asked_at)
        try:
            told = parsedate_to_datetime(date or "") + timedelta(seconds=0.5) + trip / 2
            if abs(told - self.now()) > _TOLERANCE + trip / 2:
                self._anchor = (told, answered_at)
        except (ValueError, TypeError, OverflowError):  # none, none that can be read, or without a zone
            pass
        return self.now()
