"""The sandbox's clock: it runs with another one, and can be moved."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

from fc_connect.errors import ConfigurationError
from fc_connect.sandbox.exchange import SandboxClock

__all__ = ["MovableClock"]


class MovableClock:
    """Says what time it is, ahead of or behind the clock it runs with. May be used from any thread.

    What was stored keeps its time: who moves the clock back may see a batch that isn't processed yet.
    """

    def __init__(self, running_with: SandboxClock) -> None:
        self._running_with = running_with
        self._mutex = threading.Lock()
        self._ahead = timedelta(0)

    def __call__(self) -> datetime:
        """Return the time, aware and in UTC."""
        with self._mutex:
            return self._running_with() + self._ahead

    @property
    def ahead(self) -> timedelta:
        """How far it was moved, negative where it was moved back."""
        with self._mutex:
            return self._ahead

    def move(self, by: timedelta) -> datetime:
        """Move it forward, or back with a negative `by`, and return what it says then.

        Raises:
            ConfigurationError: there is no such time.
        """
        with self._mutex:
            try:
                now = self._running_with() + self._ahead + by
                self._ahead += by
            except OverflowError as exc:
                raise ConfigurationError(
                    f"The clock can't be moved by {by}: calendars end in the year 9999."
                ) from exc
        return now

    def set(self, at: datetime) -> datetime:
        """Make it say `at`, which is aware, and run on from there.

        Raises:
            ConfigurationError: `at` has no time zone.
        """
        if at.tzinfo is None:
            raise ConfigurationError(f"The clock needs a time with its zone, not {at.isoformat()}.")
        with self._mutex:
            self._ahead = at - self._running_with()
        return at

    def reset(self) -> None:
        """Let it say again what the clock says that it runs with."""
        with self._mutex:
            self._ahead = timedelta(0)
