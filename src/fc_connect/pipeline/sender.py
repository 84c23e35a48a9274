"""Sends the batches of one file, each with its entry in the batch ledger before and after.

Per batch: write `sending` → POST → write `sent`; each sending thread joins a batch's `sent` with the next one's
`sending` in one commit. A batch whose outcome is unknown is looked up before it is sent again.
"""

from __future__ import annotations

import contextvars
import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Protocol

from fc_connect.errors import (
    ConfigurationError,
    FCConnectError,
    FluentAPIError,
    FluentOutcomeUnknownError,
    FluentUnavailableError,
    InDoubtError,
    StateConflictError,
    StoppedError,
)
from fc_connect.faults import point
from fc_connect.fluent import FluentClient
from fc_connect.pipeline.doubt import Absent, Arrived, DoubtResolver, Refs, refs_of
from fc_connect.pipeline.spool import PlannedBatch
from fc_connect.state import BatchRecord, BatchState, FileRecord, Lease, StateService

__all__ = ["Job", "PlanChangedError", "Sender", "SentBatch"]

logger = logging.getLogger(__name__)

_ATTEMPTS = 5
"""How often one batch may meet an unknown outcome or a closed job before the file gives up for now."""


class PlanChangedError(StateConflictError):
    """A batch that was sent earlier isn't the one planned now: mapping or file changed midway."""


class Job(Protocol):
    """Where the batches go: a job that is made when first needed, and replaced once Fluent has closed it."""

    def id(self) -> str:
        """Return the job's id, creating the job if need be."""
        ...

    def replace(self, closed: str) -> str:
        """Return the id of a job instead of `closed`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SentBatch:
    """A batch that Fluent has, as the ledger knows it."""

    number: int
    count: int
    job_id: str
    batch_id: str
    is_new: bool
    """Sent just now, not found to have arrived earlier."""


class _Flights:
    """Lets batches fly side by side, and a look-up only while none does."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._flying = 0
        self._looking = False

    @contextmanager
    def fly(self) -> Iterator[None]:
        with self._condition:
            self._condition.wait_for(lambda: not self._looking)
            self._flying += 1
        try:
            yield
        finally:
            with self._condition:
                self._flying -= 1
                self._condition.notify_all()

    @contextmanager
    def look(self) -> Iterator[None]:
        with self._condition:
            self._condition.wait_for(lambda: not self._looking)
            self._looking = True
            self._condition.wait_for(lambda: self._flying == 0)
        try:
            yield
        finally:
            with self._condition:
                self._looking = False
                self._condition.notify_all()


class Sender:
    """Sends one file, once."""

    def __init__(
        self,
        *,
        state: StateService,
        client: FluentClient,
        file: FileRecord,
        leases: Sequence[Lease],
        job: Job,
        concurrency: int,
        may_repeat: bool,
        stop: threading.Event,
        on_sent: Callable[[SentBatch], None],
    ) -> None:
        """`leases` begin with the file's own."""
        self._state = state
        self._client = client
        self._file = file
        self._leases = leases
        # An earlier holder's requests left while the file was still its own: before we knew that it is ours.
        self._since = leases[0].held_since
        self._job = job
        self._concurrency = concurrency
        self._may_repeat = may_repeat
        self._stop = stop
        self._on_sent = on_sent
        self._known = {each.number: each for each in state.batches.of(file)}
        self._resolver = DoubtResolver(state=state, client=client, file=file, stop=stop)
        self._flights = _Flights()
        self._failed = threading.Event()
        self._lock = threading.Lock()
        self._doubts: dict[int, Refs] = {}
        self._confirmed: set[tuple[str, str]] = set()

    @property
    def sent(self) -> list[SentBatch]:
        """What Fluent has of the file, in order of number."""
        known = sorted(self._known.values(), key=lambda each: each.number)
        return [_sent(each, is_new=False) for each in known if each.state is BatchState.SENT]

    @property
    def settled(self) -> frozenset[int]:
        """The numbers of the batches that need not be sent."""
        return frozenset(each.number for each in self.sent)

    @property
    def in_doubt(self) -> frozenset[int]:
        """The numbers of the batches that an earlier run left on their way."""
        return frozenset(self._known) - self.settled

    def verify(self, digests: Iterable[tuple[int, str]]) -> None:
        """Check that the plan is the one that earlier batches were sent from.

        Raises:
            PlanChangedError: it isn't. Nothing was sent by this call.
        """
        left = set(self._known)
        for number, digest in digests:
            if number in left:
                left.discard(number)
                self._compare(self._known[number], digest)
        if left:
            raise PlanChangedError(f"{self._file.file_name}: the plan has no batch {min(left)} any more.")

    def settle(self, batches: Iterable[PlannedBatch]) -> None:
        """Look up all of `batches`, which an earlier run left in doubt, before anything else is sent."""
        doubtful = list(batches)
        self._doubts = {each.number: refs_of(each.body) for each in doubtful}
        for batch in doubtful:
            sent = self._look_up(self._known[batch.number], batch, since=self._since)
            if sent is not None:
                self._state.save_batches(self._file, [sent], *self._leases)
            else:
                del self._known[batch.number]
                self._state.forget_batch(self._file, batch.number, *self._leases)
            point("send.settled")

    def send(self, batches: Iterable[PlannedBatch]) -> None:
        """Send what isn't settled, and return when the ledger has every batch as `sent`.

        Raises:
            LockLostError: another worker took over; what was under way is in the ledger as `sending`.
            InDoubtError: a batch may have arrived, can't be looked up and may not be repeated.
            FluentAPIError: Fluent refused, or can't be reached.
            StoppedError: the run was told to stop.
        """
        feed = iter(batches)
        with ThreadPoolExecutor(self._concurrency, thread_name_prefix="fc-connect-send") as pool:
            futures = [
                pool.submit(contextvars.copy_context().run, self._send_from, feed)
                for _ in range(self._concurrency)
            ]
            try:
                wait(futures, return_when=FIRST_EXCEPTION)
            except BaseException:
                self._failed.set()  # each thread finishes the batch that is under way
                raise
        errors = [error for error in (future.exception() for future in futures) if error is not None]
        if errors:
            # A lost lock or a dead store explains the others.
            raise min(errors, key=lambda error: isinstance(error, FluentAPIError))
        if self._stop.is_set():
            raise StoppedError(
                f"{self._file.file_name}: stopped between two batches. Nothing is lost: run again to carry on."
            )

    def _send_from(self, feed: Iterator[PlannedBatch]) -> None:
        done: list[BatchRecord] = []
        try:
            while not (self._stop.is_set() or self._failed.is_set()):
                batch = self._next(feed)
                if batch is None:
                    break
                sent = self._send_one(batch, done)
                done = [sent]
            if done:
                self._state.save_batches(self._file, done, *self._leases)
                done = []
        except BaseException:
            self._failed.set()
            if done:
                self._save_quietly(done)
            raise

    def _save_quietly(self, done: list[BatchRecord]) -> None:
        try:
            self._state.save_batches(self._file, done, *self._leases)
        except FCConnectError as exc:
            logger.warning("%s: batch %d will be looked up: %s", self._file.file_name, done[0].number, exc)

    def _next(self, feed: Iterator[PlannedBatch]) -> PlannedBatch | None:
        with self._lock:
            for batch in feed:
                known = self._known.get(batch.number)
                if known is not None:
                    self._compare(known, batch.sha256)
                    if known.state is BatchState.SENT:
                        continue
                return batch
        return None

    def _send_one(self, batch: PlannedBatch, done: list[BatchRecord]) -> BatchRecord:
        known = self._known.get(batch.number)
        if known is not None and (sent := self._look_up(known, batch, since=self._since)) is not None:
            return sent
        job_id = self._job.id()
        for _ in range(_ATTEMPTS):
            record = BatchRecord(
                number=batch.number,
                state=BatchState.SENDING,
                sha256=batch.sha256,
                count=batch.count,
                job_id=job_id,
                at=self._state.kv.now(),
            )
            try:
                with self._flights.fly():
                    self._state.save_batches(self._file, [*done, record], *self._leases)
                    done.clear()
                    point("send.intended")
                    receipt = self._client.send_batch_body(
                        job_id, batch.body, count=batch.count, demand=self._demand_held
                    )
                    point("send.answered")
                    return self._confirm(record, receipt.id, is_new=True)
            except FluentOutcomeUnknownError as exc:
                logger.warning("%s: batch %d: %s", self._file.file_name, batch.number, exc)
                if (sent := self._look_up(record, batch, since=self._state.clock.monotonic())) is not None:
                    return sent
            except (FluentUnavailableError, ConfigurationError):
                self._state.forget_batch(self._file, batch.number, *self._leases)  # it never left
                raise
            except FluentAPIError as exc:
                self._state.forget_batch(self._file, batch.number, *self._leases)  # refused as a whole
                if not self._is_closed(job_id, exc):
                    raise
                logger.warning("job %s takes no more batches: %s", job_id, exc)
                job_id = self._job.replace(job_id)
        raise FluentUnavailableError(
            f"{self._file.file_name}: batch {batch.number} could not be delivered in {_ATTEMPTS} attempts. "
            "Fluent isn't well: run again later, it carries on here."
        )

    def _confirm(self, record: BatchRecord, batch_id: str, *, is_new: bool) -> BatchRecord:
        record = replace(record, state=BatchState.SENT, batch_id=batch_id, at=self._state.kv.now())
        with self._lock:
            self._known[record.number] = record
            self._confirmed.add((record.job_id, batch_id))
            self._on_sent(_sent(record, is_new=is_new))
        return record

    def _demand_held(self) -> None:
        for lease in self._leases:
            lease.demand_held()

    def _look_up(self, record: BatchRecord, batch: PlannedBatch, *, since: float) -> BatchRecord | None:
        """Return the record as sent where Fluent has the batch, None where it may be sent.

        Its sender can't have sent it later than `since`, by the state's monotonic clock.

        Raises:
            InDoubtError: it can't be told, and the batch may not be repeated.
        """
        refs = refs_of(batch.body)
        with self._lock:
            self._doubts[batch.number] = refs
        with self._flights.look():
            others = [each for number, each in self._doubts.items() if number != batch.number]
            point("send.in-doubt")
            answer = self._resolver.resolve(
                record, refs, others=others, confirmed=self._confirmed, since=since
            )
            point("send.looked-up")
            del self._doubts[batch.number]
            if isinstance(answer, Arrived):
                logger.info("%s: batch %d had arrived", self._file.file_name, batch.number)
                return self._confirm(record, answer.batch_id, is_new=False)
        if isinstance(answer, Absent):
            return None
        if self._may_repeat:
            logger.warning(
                "%s: batch %d may have arrived (%s); it is sent again, which an UPSERT allows",
                self._file.file_name,
                batch.number,
                answer.reason,
            )
            return None
        raise InDoubtError(
            f"{self._file.file_name}: in doubt: batch {batch.number} ({batch.count} entities) of job "
            f"{record.job_id} may have arrived, and can't be looked up: {answer.reason}. Look in Fluent whether "
            f"its first entity {next(iter(refs), '')!r} was updated. `fc-connect state reset` sends the file anew."
        )

    def _is_closed(self, job_id: str, refusal: FluentAPIError) -> bool:
        if refusal.status not in {400, 403, 404, 409, 410, 422}:
            return False
        try:
            return self._client.get_job_status(job_id).is_closed
        except FluentAPIError as exc:
            return exc.status == 404

    def _compare(self, known: BatchRecord, digest: str) -> None:
        if known.sha256 != digest:
            raise PlanChangedError(
                f"{self._file.file_name}: batch {known.number} is not the one that was sent before."
            )


def _sent(record: BatchRecord, *, is_new: bool) -> SentBatch:
    return SentBatch(
        number=record.number,
        count=record.count,
        job_id=record.job_id,
        batch_id=record.batch_id or "",
        is_new=is_new,
    )
