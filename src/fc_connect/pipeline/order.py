"""Hands the right to send from file to file, so that files reach Fluent in order of time whatever the workers.

Workers claim, read and map ahead. A file is sent once every older file of the listing is finished, under one more
fenced lock, `turn`. An older file that nobody works on (its worker died) is done first by whoever waits for it.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

from fc_connect.errors import LockHeldError, StateError, StoppedError
from fc_connect.pipeline.discovery import Candidate
from fc_connect.state import FileRecord, FileStatus, Lease, StateService

__all__ = ["HeldBackError", "Turns"]

logger = logging.getLogger(__name__)

_PAGE = 100


class HeldBackError(StateError):
    """An older file failed, and the pipeline says that nothing newer may be sent before it (`on_failure: stop`)."""


class Turns:
    """The turns of one run over one listing."""

    def __init__(
        self,
        candidates: Sequence[Candidate],
        *,
        state: StateService,
        timeout: timedelta,
        started_at: datetime,
        on_failure: str,
        stop: threading.Event,
        claim: Callable[[Candidate], bool],
        random_source: random.Random,
    ) -> None:
        self._candidates = candidates
        self._state = state
        self._timeout = timeout
        self._started_at = started_at
        self._on_failure = on_failure
        self._stop = stop
        self._claim = claim
        self._random = random_source
        self._finished = 0  # so many of the oldest candidates are known to be finished

    @contextmanager
    def turn(self, candidate: Candidate) -> Iterator[Lease]:
        """Wait until every older file is finished, then hold the turn.

        Raises:
            HeldBackError: an older file failed and holds this one back.
            StoppedError: the run was told to stop while waiting.
        """
        path = candidate.record.file_name
        while True:
            if self._stop.is_set():
                raise StoppedError(f"{path}: stopped before its turn to be sent. Run again to carry on.")
            if self._older_is_unfinished(candidate):
                continue
            try:
                lease = self._state.lock(
                    "turn", timeout=self._timeout, wait=timedelta(seconds=1), about=path, stop=self._stop
                )
            except LockHeldError:
                continue
            with lease:
                yield lease
                return

    def _older_is_unfinished(self, candidate: Candidate) -> bool:
        blocker, is_held = self._oldest_unfinished(candidate)
        if blocker is None:
            return False
        if is_held or not self._claim(blocker):  # another worker is at it
            # Who is next looks often; those behind needn't.
            is_next = self._candidates[self._finished + 1 : self._finished + 2] == [candidate]
            longest = 0.02 if is_next else 0.3
            pause = timedelta(seconds=self._random.uniform(longest / 2, longest))
            self._state.clock.wait(self._stop, pause)
        return True

    def _oldest_unfinished(self, candidate: Candidate) -> tuple[Candidate | None, bool]:
        """Return the oldest file that has to be finished first, and whether a worker is at it."""
        size = 1  # while it waits, a worker asks for one file
        while True:
            page = self._candidates[self._finished : self._finished + size]
            seen = self._state.look([each.record for each in page])
            for each, (record, holder) in zip(page, seen, strict=True):
                if each.record.position >= candidate.record.position:
                    return None, False
                if record is None or not self._is_finished(record, candidate):
                    return each, holder is not None
                self._finished += 1
            if not page:
                return None, False
            size = min(2 * size, _PAGE)

    def _is_finished(self, record: FileRecord, candidate: Candidate) -> bool:
        failed = record.status is FileStatus.FAILED and (
            (record.finished_at is not None and record.finished_at >= self._started_at)
            or (record.next_attempt_at is not None and record.next_attempt_at > self._state.kv.now())
        )
        if self._on_failure == "stop" and (failed or record.status is FileStatus.QUARANTINED):
            raise HeldBackError(
                f"{candidate.record.file_name} is held back by {record.file_name}, which {record.status}: "
                f"{record.error} (`on_failure: stop`). Mend it, then: fc-connect state retry {record.file_name}"
            )
        return failed or record.status.is_terminal
