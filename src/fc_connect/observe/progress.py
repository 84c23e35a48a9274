"""What happens during a run, as typed events for whoever listens: a terminal, a web page, a test."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
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
class RunStarted:
    """The source was listed."""

    files: int
    """To do."""
    skipped: int = 0
    """Done by an earlier run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileStarted:
    """A file's lock is held; it is read now."""

    path: str
    size: int
    """Bytes."""
    batches: int | None = None
    """Planned by an earlier run; None where they aren't known yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileMapped:
    """All of a file was read and mapped."""

    path: str
    records: int
    rejected: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSent:
    """Fluent accepted a batch, and the ledger says so."""

    path: str
    number: int
    of: int | None
    """Batches of the file; None where it is sent while it is read."""
    entities: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchConfirmed:
    """Fluent has processed a batch."""

    path: str
    number: int
    rejected: int = 0
    """Entities that Fluent refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFinished:
    """The work on a file has ended, one way or the other."""

    path: str
    outcome: str
    """A word, such as `completed` or `failed`."""
    records_sent: int = 0
    rejected: int = 0
    error: str | None = None
    """Why it isn't completed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSkipped:
    """A file was left alone."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFinished:
    """The run has ended."""

    result: Any
    """What the run returns."""


Event = (
    RunStarted
    | FileStarted
    | FileMapped
    | BatchSent
    | BatchConfirmed
    | FileFinished
    | FileSkipped
    | RunFinished
)
"""Anything that a run tells."""

Listener = Callable[[Event], None]
"""Takes events; called from whichever thread the thing happened in, possibly several at once."""


class Listeners:
    """Passes each event to every listener, in the order they were given. Safe between threads.

    A listener only watches: one that fails is logged once and called on, and the run doesn't notice. What isn't
    an `Exception`, such as KeyboardInterrupt, passes.
    """

    def __init__(self, listeners: Iterable[Listener] = ()) -> None:
        self._listeners = tuple(listeners)
        self._lock = threading.Lock()
        self._failed: set[int] = set()

    def __call__(self, event: Event) -> None:
        """Tell every listener of `event`."""
        for number, listener in enumerate(self._listeners):
            try:
                listener(event)
            except Exception:  # noqa: BLE001 (a progress bar must not cost a delivery)
                self._log_once(number, listener, event)

    def _log_once(self, number: int, listener: Listener, event: Event) -> None:
        with self._lock:
            if number in self._failed:
                return
            self._failed.add(number)
        name = getattr(listener, "__qualname__", type(listener).__qualname__)
        logger.warning(
            "the listener %s failed on %s; the run goes on, and further failures of it aren't logged",
            name,
            type(event).__name__,
            exc_info=True,
        )
