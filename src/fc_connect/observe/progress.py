"""What happens in a run, as values that a terminal, a log or a metric can listen to."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = [
    "BatchConfirmed",
    "BatchSent",
    "Event",
    "FileFinished",
    "FileMapped",
    "FileSkipped",
    "FileStarted",
    "Listener",
    "Listeners",
    "RunFinished",
    "RunStarted",
]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted(Event):
    """The source is listed."""

    files: int
    """To do."""
    skipped: int
    """Completed before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileStarted(Event):
    """A file is being read."""

    path: str
    size: int
    """Bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileMapped(Event):
    """A file is read and mapped; now it waits for its turn and is sent."""

    path: str
    records: int
    rejected: int
    batches: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSent(Event):
    """Fluent has a batch."""

    path: str
    number: int
    """From 0."""
    of: int | None
    """How many there are; None where that isn't known yet."""
    entities: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchConfirmed(Event):
    """Fluent has processed a batch."""

    path: str
    number: int
    rejected: int
    """Entities that Fluent refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFinished(Event):
    """A file is done with, well or not."""

    path: str
    outcome: str
    records_sent: int
    rejected: int
    error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSkipped(Event):
    """A file is left out of this run."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFinished(Event):
    """The run is over."""

    result: Any


Listener = Callable[[Event], None]
"""Called on the thread where the event happens; must be quick and safe to call from several threads."""


class Listeners:
    """Tells everybody. A listener that fails is logged once, and never stops a run."""

    def __init__(self, listeners: Sequence[Listener] = ()) -> None:
        self._listeners = tuple(listeners)
        self._failed: set[int] = set()
        self._lock = threading.Lock()

    def __call__(self, event: Event) -> None:
        for number, listener in enumerate(self._listeners):
            try:
                listener(event)
            except Exception:  # noqa: BLE001: whatever a display does wrong, the files come first
                with self._lock:
                    is_first = number not in self._failed
                    self._failed.add(number)
                if is_first:
                    logger.warning("a progress listener failed, and may again", exc_info=True)
