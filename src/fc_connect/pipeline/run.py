"""One run: list, then take each file in turn until there is none left that this worker may have."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from fc_connect.clock import Clock
from fc_connect.errors import (
    FCConnectError,
    KVError,
    LockHeldError,
    LockLostError,
    SourceError,
    StoppedError,
)
from fc_connect.faults import point
from fc_connect.observe import FileSkipped, Listener, RunFinished, RunStarted
from fc_connect.pipeline.archive import Archive
from fc_connect.pipeline.config import PipelineConfig
from fc_connect.pipeline.discovery import Candidate, Listing, discover
from fc_connect.pipeline.ingest import FileIngest, RunAbortedError
from fc_connect.pipeline.order import Turns
from fc_connect.pipeline.result import FileOutcome, FileResult, RunResult
from fc_connect.sources import Source
from fc_connect.state import FileRecord, FileStatus, Lease, StateService

__all__ = ["Run"]

logger = logging.getLogger(__name__)

_POLL = timedelta(milliseconds=300)
_PAGE = 32  # files that are looked at together


@dataclass(slots=True, kw_only=True)
class Run:
    """One worker's pass over one source. Used once."""

    config: PipelineConfig
    source: Source
    state: StateService
    ingest: FileIngest
    archive: Archive
    clock: Clock
    stop: threading.Event
    emit: Listener
    random_source: random.Random
    wait: bool = False
    """Whether to stay until files that others hold are free or finished."""
    results: dict[str, FileResult] = field(default_factory=dict)
    completed_before: int = 0
    _turns: Turns | None = None
    _elsewhere: set[str] = field(default_factory=set)
    """Ids of files that others finished since we listed."""

    def run(self) -> RunResult:
        """Do all there is to do, and say what came of it. Only bugs escape as exceptions."""
        began = self.clock.monotonic()
        errors: list[str] = []
        try:
            point("run.opened")
            started_at = self.state.kv.now()
            listing = discover(
                self.config, self.source, self.state, self.archive, clock=self.clock, stop=self.stop
            )
            point("run.listed")
            self.completed_before = listing.completed_before
            self.emit(RunStarted(files=len(listing.candidates), skipped=listing.completed_before))
            for skipped in listing.skipped:
                self._note(skipped)
            is_tidy = self._tidy_up(listing, watch=False)
            self._take_all(listing, started_at)
            if not (is_tidy or self.state.kv.has_clock or self.stop.is_set()):
                # What a dead machine left: in a store without a clock its locks have to be watched, for as long as they
                # last. That was begun above, and holds up no file.
                self._tidy_up(listing, watch=True)
            self._remove_old()
        except RunAbortedError as exc:
            errors.append(str(exc))
        except StoppedError as exc:
            logger.info("%s", exc)
        except FCConnectError as exc:
            errors.append(str(exc))
        duration = timedelta(seconds=self.clock.monotonic() - began)
        result = RunResult.of(
            list(self.results.values()),
            completed_before=self.completed_before,
            errors=errors,
            duration=duration,
            stopped=self.stop.is_set(),
        )
        self._note_result(result)
        point("run.ended")
        logger.info(
            "run %s: %d files processed, %d records sent, errors: %s",
            "succeeded" if result.success else "failed",
            result.files_processed,
            result.records_sent,
            "; ".join(result.errors) or "none",
        )
        self.emit(RunFinished(result=result))
        return result

    def _take_all(self, listing: Listing, started_at: datetime) -> None:
        if self.config.order == "time":
            self._turns = Turns(
                listing.candidates,
                state=self.state,
                timeout=self.config.lease.timeout,
                started_at=started_at,
                on_failure=self.config.on_failure,
                stop=self.stop,
                claim=self._claim,
                random_source=self.random_source,
            )
        left = listing.candidates
        while left:
            held = [each for page in _pages(left) for each in self._take_page(page)]
            if not self.wait:
                self._take_over(held)
            if not (held and self.wait) or self.stop.is_set():
                break
            self.clock.wait(self.stop, _POLL)
            left = held

    def _take_page(self, page: Sequence[Candidate]) -> list[Candidate]:
        """Take one file of the page after the other while any is free; return those that others have.

        All of the page is looked at anew each time: side by side, others finish it meanwhile.
        """
        while page and not self.stop.is_set():
            free, held = self._survey(page)
            if not free:
                return held
            # Where order doesn't matter, workers keep out of each other's way.
            candidate = self.random_source.choice(free) if self._turns is None else free[0]
            if not self._claim(candidate):
                held.append(candidate)
            page = [each for each in page if each in held or (each in free and each is not candidate)]
        return []

    def _take_over(self, held: Sequence[Candidate]) -> None:
        """Claim what a dead machine may hold. In a store without a clock nobody who doesn't wait for it finds out."""
        if self.state.kv.has_clock:
            return  # an expired lock would be absent
        for page in _pages(held):
            holders = [holder for _, holder in self.state.look([each.record for each in page])]
            for candidate, holder in zip(page, holders, strict=True):
                if self.stop.is_set():
                    return
                if holder is None or holder.expires_at <= self.state.kv.now():
                    self._claim(candidate)

    def _survey(self, page: Sequence[Candidate]) -> tuple[list[Candidate], list[Candidate]]:
        """Return which files are free to be taken and which are held; note those that are neither."""
        free, held = [], []
        seen = self.state.look([each.record for each in page])
        for candidate, (record, holder) in zip(page, seen, strict=True):
            if self._is_settled(record or candidate.record):
                continue
            if holder is None:
                free.append(candidate)
            else:
                self._note_held(candidate, str(holder.owner), holder.expires_at)
                held.append(candidate)
        return free, held

    @contextmanager
    def _turn(self, candidate: Candidate) -> Iterator[Lease | None]:
        """Wait for the candidate's turn to be sent, where the pipeline keeps an order."""
        with nullcontext(None) if self._turns is None else self._turns.turn(candidate) as lease:
            yield lease

    def _claim(self, candidate: Candidate) -> bool:
        """Process the file unless another worker has it; say whether there is nothing left to wait for."""
        path = candidate.record.file_name
        record = self.state.files.get(candidate.record.file_id) or candidate.record
        if self._is_settled(record):
            return True
        try:
            lease = self.state.lock(
                record.lock_name, timeout=self.config.lease.timeout, about=path, stop=self.stop
            )
        except LockHeldError as exc:
            self._note_held(candidate, exc.owner, exc.expires_at)
            return False
        self.results.pop(path, None)
        with lease:
            point("run.claimed")
            result = self.ingest.run(candidate, lease, turn=self._turn)
            if result is None:
                self._finished_elsewhere(record)
            else:
                self.results[path] = result
                self._put_away(record.file_id, lease)
        return True

    def _is_settled(self, record: FileRecord) -> bool:
        """Say whether this run has nothing more to do with the file, and note why."""
        known = self.results.get(record.file_name)
        if known is not None and known.outcome is not FileOutcome.HELD:
            return True
        if record.status.is_terminal:
            self._finished_elsewhere(record)
            return True
        return self._rests(record)

    def _note_held(self, candidate: Candidate, owner: str, expires_at: datetime) -> None:
        path = candidate.record.file_name
        if path not in self.results:
            reason = f"held by {owner} until {expires_at:%H:%M:%S} UTC unless renewed"
            self._note(FileResult(path=path, outcome=FileOutcome.HELD, reason=reason))

    def _finished_elsewhere(self, record: FileRecord) -> None:
        self.results.pop(record.file_name, None)
        if record.file_id not in self._elsewhere:
            self._elsewhere.add(record.file_id)
            self.completed_before += 1

    def _rests(self, record: FileRecord) -> bool:
        if record.status is not FileStatus.FAILED or record.next_attempt_at is None:
            return False
        was_changed = (
            record.plan is not None and record.plan.mapping_digest != self.ingest.planner.plan_digest
        )
        # The time last: to ask the store for it is a round trip, and a survey looks at a whole page of files.
        if was_changed or record.next_attempt_at <= self.state.kv.now():
            return False
        reason = (
            f"failed {record.attempts} times ({record.error}); tried again after "
            f"{record.next_attempt_at:%H:%M:%S} UTC, or at once with: fc-connect state retry {record.file_name}"
        )
        self._note(FileResult(path=record.file_name, outcome=FileOutcome.SKIPPED, reason=reason))
        return True

    def _note(self, result: FileResult) -> None:
        self.results[result.path] = result
        self.emit(FileSkipped(path=result.path, reason=result.reason or ""))

    def _tidy_up(self, listing: Listing, *, watch: bool) -> bool:
        """Put away what runs that were killed have left of finished files, and clear up; say whether it is all gone."""
        is_moved = self._put_leftovers_away(listing, watch=watch)
        return self.ingest.sweep(stop=self.stop, watch=watch) and is_moved

    def _put_leftovers_away(self, listing: Listing, *, watch: bool) -> bool:
        held = []
        left = sorted({*listing.done, *self.state.files.due()})
        timeout = self.config.lease.timeout
        for file_id, record in zip(left, self.state.files.get_many(left), strict=True):
            if record is None:
                self.state.note_put_away(file_id, None)
                continue
            about = f"putting {record.file_name} away"
            try:
                with self.state.lock(
                    record.lock_name, timeout=timeout, about=about, stop=self.stop, watch=watch
                ) as lease:
                    self._put_away(file_id, lease)
            except LockHeldError:
                logger.info("%s: another worker puts it away", record.file_name)
                held.append(file_id)
        listing.done[:] = held
        return not held

    def _put_away(self, file_id: str, lease: Lease) -> None:
        """Move a finished file out of the way. Whatever happens here, it won't be sent again."""
        record = self.state.files.get(file_id)
        if record is None or not (self.archive.wants(record.status) or record.after_due):
            return
        try:
            path = self.archive.put_away(self.source, record)
            self.state.note_put_away(file_id, path, lease)
        except SourceError as exc:
            logger.warning(
                "%s: is %s, but can't be put away; the next run tries again: %s",
                record.file_name,
                record.status,
                exc,
            )
        except LockLostError as exc:
            logger.warning("%s: another worker puts it away: %s", record.file_name, exc)

    def _remove_old(self) -> None:
        try:
            if removed := self.archive.remove_old(self.source, now=self.clock.now()):
                logger.info("%d files removed that were kept for %s", removed, self.config.after.keep)
        except SourceError as exc:
            logger.warning("old files can't be removed; the next run tries again: %s", exc)

    def _note_result(self, result: RunResult) -> None:
        try:
            self.state.note_result("success" if result.success else "failed")
        except KVError as exc:
            logger.warning("how the run ended isn't in the state: %s", exc)


def _pages(candidates: Sequence[Candidate]) -> Iterator[Sequence[Candidate]]:
    for at in range(0, len(candidates), _PAGE):
        yield candidates[at : at + _PAGE]
