"""One file, from its lock to its mark: plan, wait for its turn, send, confirm, complete.

Nothing here is left to the caller to remember. Whatever goes wrong, the ledger says how far the file got, and the
next run carries on from there.
"""

from __future__ import annotations

import contextvars
import logging
import shutil
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from fc_connect.errors import (
    AuthenticationError,
    FCConnectError,
    FileChangedError,
    FluentAPIError,
    FluentOutcomeUnknownError,
    FluentUnavailableError,
    KVError,
    LockHeldError,
    LockLostError,
    RunError,
    SourceUnavailableError,
    StoppedError,
    TooManyRejectsError,
)
from fc_connect.faults import point
from fc_connect.fluent import BatchResult, FluentClient
from fc_connect.observe import (
    BatchConfirmed,
    BatchSent,
    FileFinished,
    FileMapped,
    FileStarted,
    Listener,
)
from fc_connect.pipeline.archive import Archive
from fc_connect.pipeline.config import PipelineConfig
from fc_connect.pipeline.discovery import Candidate
from fc_connect.pipeline.jobs import OwnJobSlot, open_job
from fc_connect.pipeline.order import HeldBackError
from fc_connect.pipeline.planner import Planner, StreamingPlan
from fc_connect.pipeline.rejects import RejectsFile
from fc_connect.pipeline.result import FileOutcome, FileResult
from fc_connect.pipeline.sender import PlanChangedError, Sender, SentBatch
from fc_connect.pipeline.spool import Spool, SpoolSummary
from fc_connect.sources import Source
from fc_connect.state import FileRecord, FileStatus, Lease, Plan, StateService
from fc_connect.state.files import MAX_BATCH_IDS
from fc_connect.targets import confirm

__all__ = ["FileIngest", "RunAbortedError", "retry_delay"]

logger = logging.getLogger(__name__)

_CONFIRMED_AT_ONCE = 64  # batches; what waits in memory stays small however large the file

Turn = Callable[[Candidate], AbstractContextManager[Lease | None]]


class RunAbortedError(RunError):
    """What failed isn't the file's fault and would fail for every other one: the run stops here."""


def retry_delay(attempts: int, *, backoff: timedelta, cap: timedelta) -> timedelta:
    """Return how long a file rests after its `attempts`-th failure: the first retry comes with the next run."""
    return timedelta(0) if attempts < 2 else min(cap, backoff * 2 ** min(attempts - 2, 30))


@dataclass(frozen=True, slots=True, kw_only=True)
class FileIngest:
    """What the files of one run have in common."""

    config: PipelineConfig
    source: Source
    state: StateService
    client: FluentClient
    planner: Planner
    archive: Archive
    spool_folder: Path
    run_job: OwnJobSlot | None
    """The job of the whole run, where the pipeline wants one."""
    stop: threading.Event
    emit: Listener

    def sweep(self, *, stop: threading.Event | None = None, watch: bool = True) -> bool:
        """Clear up after finished files whose run was killed before it could: disk space and batch ledger.

        Say whether nothing is left that another holds; `watch` as for a lock.
        """
        is_clear = True
        left = set(self.state.batches.files())
        if self.spool_folder.is_dir():
            left |= {each.name for each in self.spool_folder.iterdir() if each.is_dir()}
        for record in self.state.files.get_many(sorted(left)):
            if record is None or not record.status.is_terminal:
                continue
            try:
                with self.state.lock(
                    record.lock_name,
                    timeout=self.config.lease.timeout,
                    about="clearing up",
                    stop=stop,
                    watch=watch,
                ) as lease:
                    self._clear(record.file_id, lease)
            except (LockHeldError, LockLostError):
                logger.info("%s: another worker clears up after it", record.file_name)
                is_clear = False
        return is_clear

    def _clear(self, file_id: str, lease: Lease) -> None:
        record = self.state.files.get(file_id)  # it may have been reset meanwhile
        if record is not None and record.status.is_terminal:
            point("sweep.clear")
            self.state.batches.clear(file_id, lease)
            lease.demand_held()
            self.clear_disk(record)
            point("sweep.cleared")

    def clear_disk(self, record: FileRecord) -> None:
        """Remove what a worker that died has left on the disk for a file that nobody will carry on."""
        shutil.rmtree(self.spool_folder / record.file_id, ignore_errors=True)
        rejects = self.planner.rejects_folder
        RejectsFile.drop_drafts(rejects, file_name=record.file_name, file_id=record.file_id)

    def run(self, candidate: Candidate, lease: Lease, *, turn: Turn) -> FileResult | None:
        """Process one file under its lock; None where another worker has finished it meanwhile.

        `turn` waits until the file may be sent, and gives the lock that proves it, if there is one.

        Raises:
            RunAbortedError: nothing else can be processed either.
            KVError: the ledger can't be reached: nothing may be sent.
        """
        record = self.state.files.get(candidate.record.file_id) or candidate.record
        if record.status.is_terminal:
            return None
        work = _Work(self, candidate, record, lease, turn)
        result = work.run()
        why = f": {result.reason}" if result.reason else ""
        logger.info("%s: %s, %d records sent%s", result.path, result.outcome, result.records_sent, why)
        self.emit(
            FileFinished(
                path=result.path,
                outcome=result.outcome.value,
                records_sent=result.records_sent,
                rejected=result.records_rejected,
                error=result.reason,
            )
        )
        return result


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fate:
    """What became of a batch: what is kept of Fluent's answer, which names every entity."""

    status: str
    is_failed: bool
    rejected: tuple[BatchResult, ...]


class _Work:
    """The state of one file while it is worked on."""

    def __init__(
        self, ingest: FileIngest, candidate: Candidate, record: FileRecord, lease: Lease, turn: Turn
    ) -> None:
        self._in = ingest
        self._candidate = candidate
        self._path = candidate.file.path
        self._record = record
        self._lease = lease
        self._turn = turn
        self._sent_entities = 0
        self._sent_batches = 0
        self._was_begun = False

    def run(self) -> FileResult:
        try:
            return self._run()
        except LockLostError as exc:  # whatever else went wrong, the file is another worker's
            logger.warning("%s: %s", self._path, exc)
            return self._result(FileOutcome.HELD, str(exc))

    def _run(self) -> FileResult:
        state = self._in.state
        try:
            return self._refused_by_policy() or self._process()
        except StoppedError as exc:
            return self._result(FileOutcome.STOPPED, str(exc))
        except HeldBackError as exc:
            return self._result(FileOutcome.HELD, str(exc))
        except (LockLostError, KVError):
            raise
        except FileChangedError as exc:
            reason = f"{exc} Its new version is taken by the next run."
            self._save(self._record.moved_to(FileStatus.SKIPPED, at=state.kv.now(), error=str(exc)))
            return self._result(FileOutcome.SKIPPED, reason)
        except TooManyRejectsError as exc:
            self._record = replace(
                self._record,
                records_read=exc.records_read,
                rejected_count=exc.rejected,
                rejects_file=exc.rejects_file,
            )
            return self._failed(exc)
        except (AuthenticationError, FluentUnavailableError, FluentOutcomeUnknownError) as exc:
            raise self._aborted(exc) from exc
        except FluentAPIError as exc:
            if exc.status in {400, 413, 422}:
                return self._failed(exc)
            raise self._aborted(exc) from exc
        except (SourceUnavailableError, RunError) as exc:
            raise self._aborted(exc) from exc
        except FCConnectError as exc:
            return self._failed(exc)

    # Before

    def _refused_by_policy(self) -> FileResult | None:
        state, config, record = self._in.state, self._in.config, self._record
        latest_id = state.files.latest([record.path_id])[0]
        if latest_id is None or latest_id == record.file_id:
            return None
        earlier = state.files.get(latest_id)
        if earlier is None:
            return None
        if not earlier.status.is_terminal:
            reason = "a newer version of the file has taken its place"
            state.save_file(
                earlier.moved_to(FileStatus.SUPERSEDED, at=state.kv.now(), error=reason), self._lease
            )
            state.batches.clear(earlier.file_id, self._lease)
            self._lease.demand_held()
            self._in.clear_disk(earlier)
        if config.source.changed == "process":
            return None
        reason = f"the file changed since it was {earlier.status} (`changed: {config.source.changed}`)"
        if config.source.changed == "skip":
            return self._skipped(FileStatus.SKIPPED, reason)
        return self._failed(RunError(f"{self._path}: {reason}."), for_good=True)

    # The way through

    def _process(self) -> FileResult:
        planner = self._in.planner
        self._begin(planner)
        point("file.begun")
        # Asked once more when it may be sent: a newer file can be delivered while this one is read.
        if self._in.config.order == "time" and (newer := self._overtaken_by()) is not None:
            return self._superseded(newer)
        self._in.emit(FileStarted(path=self._path, size=self._candidate.file.size))
        if self._in.config.validation == "streaming":
            plan: Spool | StreamingPlan = planner.stream(
                self._candidate.file, self._record.file_id, demand=self._lease.demand_held
            )
        else:
            plan = planner.plan(
                self._candidate.file, self._record.file_id, self._folder, demand=self._lease.demand_held
            )
            self._take_over(plan.summary)
            point("file.planned")
            self._in.emit(
                FileMapped(
                    path=self._path,
                    records=plan.summary.records_read,
                    rejected=plan.summary.rejected,
                )
            )
            twin = self._twin()
            if twin is not None:
                plan.remove()
                return self._skipped(FileStatus.SKIPPED, f"has the same content as {twin.file_name}")
        with self._turn(self._candidate) as turn:
            point("file.turn")
            leases = [self._lease] if turn is None else [self._lease, turn]
            if turn is not None and (newer := self._overtaken_by()) is not None:
                if isinstance(plan, Spool):
                    plan.remove()
                return self._superseded(newer)
            return self._deliver(plan, leases)

    def _superseded(self, newer: str) -> FileResult:
        result = self._skipped(
            FileStatus.SUPERSEDED,
            f"was cut short or failed earlier, and {newer} is newer and has been delivered since: sending the rest "
            "would bring stale stock back",
        )
        # Not before: while a run may still carry on the file, the batches say what was sent.
        self._in.state.batches.clear(self._record.file_id, self._lease)
        return result

    def _begin(self, planner: Planner) -> None:
        record = self._record
        wanted = Plan(batch_size=planner.batch_size, mapping_digest=planner.plan_digest)
        planned = record.plan
        if planned is not None and (planned.batch_size, planned.mapping_digest) != (
            wanted.batch_size,
            wanted.mapping_digest,
        ):
            logger.info("%s: the pipeline has changed since it was begun; it starts anew", self._path)
            record = _anew(record)
        if record.plan is None:
            record = replace(record, plan=wanted)
        self._was_begun = self._record.status in {FileStatus.PROCESSING, FileStatus.FAILED}
        is_anew = record.run != self._record.run
        self._save(record.moved_to(FileStatus.PROCESSING, at=self._in.state.kv.now()))
        if is_anew:
            self._in.state.batches.clear(record.file_id, self._lease)

    def _deliver(self, plan: Spool | StreamingPlan, leases: Sequence[Lease]) -> FileResult:
        try:
            return self._send(plan, leases)
        except PlanChangedError as exc:
            if isinstance(plan, StreamingPlan) and self._sent_batches:
                raise
            logger.warning("%s Nothing of it was sent by this run; it starts anew.", exc)
            planner = self._in.planner
            fresh = replace(
                _anew(self._record),
                plan=Plan(batch_size=planner.batch_size, mapping_digest=planner.plan_digest),
            )
            self._save(fresh)
            self._in.state.batches.clear(fresh.file_id, self._lease)
            if isinstance(plan, StreamingPlan):
                plan = planner.stream(
                    self._candidate.file, self._record.file_id, demand=self._lease.demand_held
                )
            return self._send(plan, leases)

    def _send(self, plan: Spool | StreamingPlan, leases: Sequence[Lease]) -> FileResult:
        config, state = self._in.config, self._in.state
        job = self._in.run_job or open_job(
            config.job, state, self._in.client, name=self._path, known=self._record.job_id
        )
        sender = Sender(
            state=state,
            client=self._in.client,
            file=self._record,
            leases=leases,
            job=job,
            # With `keep`, two records of one key may follow each other: they must arrive in their order.
            concurrency=1 if config.duplicates == "keep" else config.target.batch.concurrency,
            may_repeat=config.target.batch.action == "UPSERT",
            stop=self._in.stop,
            on_sent=self._note_sent,
        )
        if isinstance(plan, Spool):
            sender.verify(plan.digests())
            if sender.in_doubt:
                sender.settle(batch for batch in plan.batches() if batch.number in sender.in_doubt)
            sender.send(plan.batches(skip=sender.settled))
            summary: SpoolSummary | None = plan.summary
        else:
            sender.send(plan)
            summary = plan.summary
        if summary is None:
            raise RunError(f"{self._path}: the file was not read to its end.")
        self._take_over(summary)
        point("file.delivered")
        refused = self._confirm(sender.sent)
        point("file.confirmed")
        self._complete(summary, sender.sent, refused, leases)
        if isinstance(plan, Spool):
            plan.remove()
        return self._result(
            FileOutcome.COMPLETED,
            records_read=summary.records_read,
            records_rejected=summary.rejected + refused,
            duplicates=summary.duplicates,
            rejects_file=self._record.rejects_file,
            refused=refused,
        )

    def _note_sent(self, batch: SentBatch) -> None:
        if batch.is_new:
            self._sent_batches += 1
            self._sent_entities += batch.count
        planned = self._record.plan.batches if self._record.plan is not None else None
        self._in.emit(BatchSent(path=self._path, number=batch.number, of=planned, entities=batch.count))

    def _confirm(self, batches: Sequence[SentBatch]) -> int:
        """Wait until Fluent has processed every batch; return how many entities it refused."""
        settings = self._in.config.confirm
        if not settings.wait or not batches:
            return 0
        rejects = RejectsFile(
            self._in.planner.rejects_folder,
            file_name=self._path,
            file_id=self._record.file_id,
            demand=self._lease.demand_held,
        )
        if self._record.rejects_file is not None:
            rejects.append(Path(self._record.rejects_file))
        workers = self._in.config.target.batch.concurrency
        try:
            with ThreadPoolExecutor(workers, thread_name_prefix="fc-connect-confirm") as pool:
                for at in range(0, len(batches), _CONFIRMED_AT_ONCE):
                    some = batches[at : at + _CONFIRMED_AT_ONCE]
                    pending = [
                        pool.submit(contextvars.copy_context().run, self._confirmed, each) for each in some
                    ]
                    try:
                        for batch, future in zip(some, pending, strict=True):
                            self._note_refusals(rejects, batch, future.result())
                    except BaseException:
                        for future in pending:
                            future.cancel()
                        raise
        except BaseException:
            rejects.abandon()
            raise
        path = rejects.finish()
        self._record = replace(self._record, rejects_file=None if path is None else str(path))
        if rejects.records and settings.on_reject == "fail":
            raise FCConnectError(
                f"{self._path}: Fluent refused {rejects.records:,} entities (`on_reject: fail`). See {path}."
            )
        return rejects.records

    def _confirmed(self, batch: SentBatch) -> _Fate:
        settings = self._in.config.confirm
        point("confirm.ask")
        status = confirm(
            self._in.client,
            batch.job_id,
            batch.batch_id,
            timeout=settings.timeout,
            first_wait=timedelta(milliseconds=50),
            clock=self._in.state.clock,
            stop=self._in.stop,
        )
        point("confirm.told")
        if not status.is_done:
            if self._in.stop.is_set():
                raise StoppedError(
                    f"{self._path}: stopped before Fluent had processed everything. Run again to carry on."
                )
            raise FluentUnavailableError(
                f"{self._path}: batch {batch.batch_id} of job {batch.job_id} is still {status.status} after "
                f"{settings.timeout}. Nothing is sent again: the next run asks once more."
            )
        return _Fate(status=status.status, is_failed=status.is_failed, rejected=status.rejected)

    def _note_refusals(self, rejects: RejectsFile, batch: SentBatch, fate: _Fate) -> None:
        self._in.emit(BatchConfirmed(path=self._path, number=batch.number, rejected=len(fate.rejected)))
        if fate.is_failed:
            raise FCConnectError(
                f"{self._path}: Fluent failed batch {batch.batch_id} of job {batch.job_id} as a whole "
                f"({fate.status}): its {batch.count} entities may not be applied. To send the file anew: "
                f"fc-connect state reset {self._path}"
            )
        for result in fate.rejected:
            reason = f"refused by Fluent ({result.response_code}): {result.message}"
            rejects.add(
                None, reason, {"ref": result.entity_ref, "batch": batch.batch_id, "job": batch.job_id}
            )

    def _complete(
        self, summary: SpoolSummary, sent: Sequence[SentBatch], refused: int, leases: Sequence[Lease]
    ) -> None:
        self._record = replace(
            self._record,
            error=None,
            record_count=summary.entities - refused,
            rejected_count=summary.rejected + refused,
            job_id=sent[-1].job_id if sent else None,
            batch_count=len(sent),
            batch_ids=tuple(each.batch_id for each in sent[:MAX_BATCH_IDS]),
        )
        after_due = self._in.archive.wants(FileStatus.COMPLETED)
        self._in.state.complete_file(self._record, *leases, after_due=after_due)

    # Ways out

    def _failed(self, error: FCConnectError, *, for_good: bool = False) -> FileResult:
        state, retry = self._in.state, self._in.config.retry
        now = state.kv.now()
        attempts = self._record.attempts + 1
        final = for_good or attempts >= retry.max_attempts
        status = FileStatus.QUARANTINED if final else FileStatus.FAILED
        delay = retry_delay(attempts, backoff=retry.backoff, cap=retry.max_backoff)
        ended = self._record.moved_to(
            status, at=now, error=str(error), after_due=self._in.archive.wants(status)
        )
        record = replace(ended, attempts=attempts)
        if not final and delay:
            record = replace(record, next_attempt_at=now + delay)
        self._save(record)
        outcome = FileOutcome.QUARANTINED if final else FileOutcome.FAILED
        reason = str(error) if str(error).startswith(self._path) else f"{self._path}: {error}"
        return self._result(
            outcome,
            reason,
            records_read=record.records_read,
            records_rejected=record.rejected_count,
            rejects_file=record.rejects_file,
        )

    def _aborted(self, error: FCConnectError) -> RunAbortedError:
        """Leave the file as it is, to be carried on: no attempt is counted against it."""
        try:
            self._save(replace(self._record, error=str(error)))
        except LockLostError:
            raise
        except FCConnectError as exc:
            logger.warning("%s: the reason isn't in the ledger: %s", self._path, exc)
        return RunAbortedError(str(error))

    def _skipped(self, status: FileStatus, reason: str) -> FileResult:
        now, after_due = self._in.state.kv.now(), self._in.archive.wants(status)
        self._save(self._record.moved_to(status, at=now, error=reason, after_due=after_due))
        logger.warning("%s: %s: %s", self._path, status, reason)
        return self._result(FileOutcome.SKIPPED, reason)

    def _save(self, record: FileRecord) -> None:
        self._in.state.save_file(record, self._lease)
        self._record = record

    def _take_over(self, summary: SpoolSummary) -> None:
        plan = Plan(
            batch_size=summary.batch_size,
            mapping_digest=summary.plan_digest,
            batches=summary.batches,
            entities=summary.entities,
        )
        record = replace(
            self._record,
            plan=plan,
            records_read=summary.records_read,
            rejected_count=summary.rejected,
            duplicate_count=summary.duplicates,
            rejects_file=summary.rejects_file,
            content_digest=summary.content_sha256,
            checksum_md5=summary.content_md5,
        )
        self._save(record)

    def _twin(self) -> FileRecord | None:
        if self._in.config.source.same_content != "skip" or self._record.content_digest is None:
            return None
        twin = self._in.state.files.with_content(self._record.content_digest)
        return None if twin is None or twin.file_id == self._record.file_id else twin

    def _overtaken_by(self) -> str | None:
        """Return the newer file that was delivered since this one was begun, if that counts against it."""
        watermark = self._in.state.get_sync_state().watermark
        if watermark is None or watermark <= self._record.position:
            return None
        if not self._was_begun:
            logger.warning("%s: is older than %s, which was delivered before it", self._path, watermark[1])
            return None
        has_sent = next(self._in.state.batches.of(self._record), None) is not None
        return watermark[1] if has_sent or self._in.config.on_failure == "supersede" else None

    @property
    def _folder(self) -> Path:
        return self._in.spool_folder / self._record.file_id / str(self._lease.token)

    def _result(self, outcome: FileOutcome, reason: str | None = None, **counts: object) -> FileResult:
        result = FileResult(
            path=self._path,
            outcome=outcome,
            reason=reason,
            records_sent=self._sent_entities,
            batches_sent=self._sent_batches,
        )
        return replace(result, **counts)  # type: ignore[arg-type]


def _anew(record: FileRecord) -> FileRecord:
    """Return the record for a new run of the file. Once it is saved, batches of earlier runs don't count any more."""
    return replace(record, run=record.run + 1, plan=None, job_id=None, batch_count=0, batch_ids=())
