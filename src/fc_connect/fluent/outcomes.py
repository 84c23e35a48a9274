"""What became of each of many that were sent: done, not done, or unknown, and nothing left out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from fc_connect.errors import FCConnectError

__all__ = ["ItemResult", "ItemResults", "Outcome"]

T = TypeVar("T")


class Outcome(StrEnum):
    """What is known of something that was sent."""

    DONE = "done"
    """Sending it again would do it twice."""
    NOT_DONE = "not done"
    """Certainly not: it may be sent again, if need be mended."""
    UNKNOWN = "unknown"
    """Look before sending it again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemResult(Generic[T]):
    """What became of one of many."""

    index: int
    """Of what was given, from 0."""
    outcome: Outcome
    value: T | None = None
    """What came back."""
    error: FCConnectError | None = None
    """Why it isn't done or not known; of one that is done, what else was said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemResults(Generic[T]):
    """What became of all of them, in the order in which they were given."""

    items: tuple[ItemResult[T], ...]

    @property
    def done(self) -> tuple[ItemResult[T], ...]:
        return self._of(Outcome.DONE)

    @property
    def not_done(self) -> tuple[ItemResult[T], ...]:
        return self._of(Outcome.NOT_DONE)

    @property
    def unknown(self) -> tuple[ItemResult[T], ...]:
        return self._of(Outcome.UNKNOWN)

    @property
    def is_all_well(self) -> bool:
        """Whether each is done, and nothing was said against it."""
        return all(each.outcome is Outcome.DONE and each.error is None for each in self.items)

    def _of(self, outcome: Outcome) -> tuple[ItemResult[T], ...]:
        return tuple(each for each in self.items if each.outcome is outcome)
