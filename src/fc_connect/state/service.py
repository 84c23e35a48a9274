"""The state of one workflow: locks, file and batch ledger, watermark and daily job, over any KV store."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from fc_connect.clock import Clock, SystemClock
from fc_connect.errors import (
    FCConnectError,
    KVCommitUnknownError,
    KVError,
    LockLostError,
    StateConflictError,
)
from fc_connect.faults import point
from fc_connect.kv.base import Atomic, Entry, Key, KVStore
from fc_connect.state.batches import BatchLedger, BatchRecord
from fc_connect.state.files import FileLedger, FileRecord, FileStatus
from fc_connect.state.jobs import DailyJob, DailyJobs, JobTracker
from fc_connect.state.lease import Lease, Leases, LockInfo, commit_under
from fc_connect.state.records import from_entry, to_json
from fc_connect.state.schema import Schema
from fc_connect.state.watermark import SyncState

__all__ = ["StateService"]

logger = logging.getLogger(__name__)

_CHANGES_WITHIN = timedelta(seconds=60)
"""How long a change of the sync state is tried again, while others change it or the store gives no certain answer."""
_LONGEST_PAUSE = timedelta(seconds=5)
"""Between two tries."""
_SYNC_PARTS = 16
"""Records that the sync state is kept in. A worker adds to one of them: dozens that change one hold each other up."""
_FILES_PER_COMMIT = 30  # three keys each, and the sync state, within the 100 of a commit


class StateService:
    """What one workflow knows. Two workflows never see each other's files, locks or jobs.

    Safe to share between threads and processes. Nothing here answers "not processed" because a store can't be
    reached: an outage is a `KVUnavailableError`. Opening it upgrades records of an earlier version.

    Raises:
        KVCorruptError: the state is of a newer version; nothing was changed.
        StateError: an import into it was cut short, or workers of an earlier version are still at work.
    """

    def __init__(
        self,
        kv: KVStore,
        *,
        workflow_id: str,
        clock: Clock | None = None,
        random_source: random.Random | None = None,
    ) -> None:
        self.kv = kv
        self.workflow_id = workflow_id
        self.clock: Clock = clock or SystemClock()
        self._random = random_source or random.Random()
        self.files = FileLedger(kv, workflow_id)
        self.batches = BatchLedger(kv, workflow_id)
        schema = Schema(kv, workflow_id)
        self.locks = Leases(
            kv, workflow_id, clock=self.clock, random=self._random, guard=schema.demand_current
        )
        self.jobs = DailyJobs(kv, workflow_id, self.locks)
        self._part_key = (workflow_id, "sync", self._random.randrange(_SYNC_PARTS))
        self.job_tracker = JobTracker(
            kv, workflow_id=workflow_id, clock=self.clock, random_source=self._random
        )
        schema.open(self.locks)

    # Locks

    def lock(
        self,
        name: str,
        *,
        timeout: timedelta = timedelta(minutes=15),
        wait: timedelta = timedelta(0),
        about: str = "",
        stop: threading.Event | None = None,
        watch: bool = True,
    ) -> Lease:
        """Take a lock; use it with `with`. It is renewed until released, so `timeout` bounds a crash, not the work.

        In a store without a clock a lock that seems to have expired is watched for its whole timeout before it is taken
        over, unless `watch` is off.

        Raises:
            LockHeldError: another worker holds it, and still did after `wait`.
        """
        return self.locks.acquire(name, timeout=timeout, wait=wait, about=about, stop=stop, watch=watch)

    def force_release(self, name: str, *, reason: str) -> LockInfo | None:
        """Take a lock away from its holder, on a person's word; return who held it.

        If it lives, each of its sending threads may send one more batch until it notices: when it next writes or
        renews, at the latest when the lock would have expired.
        """
        return self.locks.force_release(name, reason=reason)

    # Files

    def is_file_processed(self, file: FileRecord) -> bool:
        """Say whether this version of the file has been completed."""
        record = self.files.get(file.file_id)
        return record is not None and record.status is FileStatus.COMPLETED

    def look(self, files: Sequence[FileRecord]) -> list[tuple[FileRecord | None, LockInfo | None]]:
        """Return, in one round trip, what the ledger has of each version, and who is at work on its path.

        Where a lock may be taken over, nobody is.
        """
        keys = [self.files.key(each.file_id) for each in files]
        keys += [self.locks.key(each.lock_name) for each in files]
        entries = self.kv.get_many(keys)
        records = [None if each is None else from_entry(each, FileRecord) for each in entries[: len(files)]]
        holders = [self.locks.holder(each) for each in entries[len(files) :]]
        return list(zip(records, holders, strict=True))

    def save_file(self, record: FileRecord, *leases: Lease) -> None:
        """Store a file's record while `leases` are held.

        Raises:
            LockLostError: nothing was written.
        """
        point("state.save-file")
        self._commit_idempotent(lambda: self.files.put(self.kv.atomic(), record), leases)
        point("state.saved-file")

    def save_batches(self, file: FileRecord, batches: Sequence[BatchRecord], *leases: Lease) -> None:
        """Store up to 45 batches of a file in one commit while `leases` are held.

        Raises:
            LockLostError: nothing was written.
        """
        point("state.save-batches")
        self._commit_idempotent(lambda: self.batches.put(self.kv.atomic(), file, batches), leases)
        point("state.saved-batches")

    def forget_batch(self, file: FileRecord, number: int, *leases: Lease) -> None:
        """Take back the intent to send a batch that is known not to have left."""
        point("state.forget-batch")
        self._commit_idempotent(lambda: self.batches.forget(self.kv.atomic(), file, [number]), leases)
        point("state.forgot-batch")

    def complete_file(self, record: FileRecord, *leases: Lease, after_due: bool = False) -> None:
        """Mark a file as completed and move the watermark in one commit, while `leases` are held.

        `after_due` notes in the same commit that it is still to be put away. Afterwards its batches are compacted into
        the record. Twice is no fault.
        """
        point("state.complete")
        self._mark([record], leases, after_due=after_due)
        point("state.completed")
        try:
            self.batches.clear(record.file_id, *leases)
        except (KVError, LockLostError) as exc:
            logger.warning("%s: is completed; the next run clears up after it: %s", record.file_name, exc)

    def note_put_away(self, file_id: str, archived_as: str | None, *leases: Lease) -> None:
        """Note where a finished file was put away (None: nowhere), so that no later run does it again.

        Raises:
            LockLostError: nothing was written.
        """
        record = self.files.get(file_id)
        if record is not None:
            record = replace(record, after_due=False, archived_as=archived_as)
        point("state.put-away")
        self._commit_idempotent(lambda: self.files.put_away(self.kv.atomic(), file_id, record), leases)
        point("state.noted-away")

    def update_sync_state(self, files: Sequence[FileRecord]) -> SyncState:
        """Mark `files` as completed and move the watermark, in one commit for every 30 files.

        The watermark never moves back, and marking a file version twice changes nothing.

        Raises:
            KVUnavailableError: nothing of the present commit was written.
        """
        for at in range(0, len(files), _FILES_PER_COMMIT):
            self._mark(files[at : at + _FILES_PER_COMMIT], ())
        return self.get_sync_state()

    def reset_file(self, record: FileRecord, lease: Lease) -> None:
        """Forget a file version and its batches: the next run sends it whole, as if never seen."""
        # The record goes last: cut short before, the reset can be asked for again; and batches that outlive their
        # record would be taken for sent by the run that begins anew.
        self.batches.clear(record.file_id, lease)
        self._commit_idempotent(lambda: self.files.forget(self.kv.atomic(), record), (lease,))

    # Sync state

    def get_sync_state(self) -> SyncState:
        """Return the watermark and the counts."""
        parts: list[Key] = [(*self._sync_key, number) for number in range(_SYNC_PARTS)]
        entries = self.kv.get_many([self._sync_key, *parts])
        return SyncState.together([from_entry(entry, SyncState) for entry in entries if entry is not None])

    def note_result(self, result: str) -> None:
        """Store how a run ended."""

        now = self.kv.now()  # once: what a lost answer leaves in doubt is then known again when it is read

        def change(sync: SyncState, *_: object) -> SyncState:
            return replace(sync, last_sync_result=result, last_sync_at=now)

        self._change_sync(change)

    # Jobs

    def daily_job(self, create: Callable[[datetime], str], *, instead_of: str | None = None) -> DailyJob:
        """Return today's job (UTC, by the store's clock); of N callers at once exactly one creates it."""
        return self.jobs.get_or_create(create, instead_of=instead_of)

    def get_daily_job(self) -> DailyJob | None:
        """Return today's job, if it was made."""
        return self.jobs.get()

    def set_daily_job(self, job_id: str) -> DailyJob:
        """Make `job_id` today's job."""
        return self.jobs.set(job_id)

    # Housekeeping

    def prune(self, *, older_than: timedelta, lookback: timedelta = timedelta(minutes=10)) -> int:
        """Forget finished files whose last change is older than that; return how many.

        Files so old count as handled from then on, should they still lie in the source. Nothing within `lookback`
        of the watermark is forgotten.
        """
        sync = self.get_sync_state()
        if sync.last_processed_timestamp is None:
            return 0
        horizon = min(self.kv.now() - older_than, sync.last_processed_timestamp - lookback)
        kept = [each for each in self.files.all() if not each.status.is_terminal or each.after_due]
        horizon = min([horizon, *(each.last_modified for each in kept)])

        def change(sync: SyncState, *_: object) -> SyncState:
            return replace(sync, pruned_before=max(horizon, sync.pruned_before or horizon))

        self._change_sync(change)  # before the records go: a crash between the two loses nothing
        removed = 0
        for record in self.files.all():
            if record.last_modified < horizon and self._forget_if_finished(record):
                self.batches.clear(record.file_id)
                removed += 1
        return removed

    def _forget_if_finished(self, record: FileRecord) -> bool:
        """Forget a record unless a person has let it be tried again meanwhile: it would count as handled."""
        entry = self.kv.get(self.files.key(record.file_id))
        if entry is None:
            return False
        now = from_entry(entry, FileRecord)
        if not now.status.is_terminal or now.after_due:
            return False
        write = self.kv.atomic().check(entry.key, entry.versionstamp)
        return self.files.forget(write, record).commit().ok

    def clear(self) -> int:
        """Forget everything of this workflow but its version and fencing tokens; return how many keys went.

        Every file is sent again by the next run. Locks go too: make sure that no run is under way.
        """
        removed = 0
        for entry in self.kv.list((self.workflow_id,)):
            if entry.key[1] not in {"fence", "schema"}:  # tokens only grow, for ever
                self.kv.delete(entry.key)
                removed += 1
        logger.warning("workflow %s: its state was cleared, %d keys", self.workflow_id, removed)
        return removed

    @property
    def _sync_key(self) -> tuple[str, ...]:
        return (self.workflow_id, "sync")

    def _mark(self, files: Sequence[FileRecord], leases: Sequence[Lease], *, after_due: bool = False) -> None:
        now = self.kv.now()

        def change(sync: SyncState, write: Atomic, entries: Sequence[Entry | None]) -> SyncState:
            new: dict[str, FileRecord] = {}
            for record, entry in zip(files, entries, strict=True):
                if entry is not None and from_entry(entry, FileRecord).status is FileStatus.COMPLETED:
                    continue
                if record.file_id not in new:
                    write.check(self.files.key(record.file_id), None if entry is None else entry.versionstamp)
                    new[record.file_id] = record.moved_to(FileStatus.COMPLETED, at=now, after_due=after_due)
            for record in new.values():
                self.files.put(write, record)
            return sync.after(list(new.values()), at=now)

        self._change_sync(
            change, leases, key=self._part_key, also=[self.files.key(each.file_id) for each in files]
        )

    def _change_sync(
        self,
        change: Callable[[SyncState, Atomic, Sequence[Entry | None]], SyncState],
        leases: Sequence[Lease] = (),
        *,
        key: Key | None = None,
        also: Sequence[Key] = (),
    ) -> None:
        """Change a part of the sync state by what `change` makes of it and of the entries at `also`.

        All is read at once and committed right after: the longer that takes, the more often another worker comes first.
        """
        deadline = self.clock.monotonic() + _CHANGES_WITHIN.total_seconds()
        key = key or self._sync_key
        attempt = 0
        while True:
            attempt += 1
            began = self.clock.monotonic()
            entry, *others = self.kv.get_many([key, *also])
            before = SyncState() if entry is None else from_entry(entry, SyncState)
            write = self.kv.atomic()
            after = change(before, write, others)
            if after == before:
                return
            write.check(key, None if entry is None else entry.versionstamp)
            write.set(key, to_json(after))
            try:
                commit_under(leases, write)
            except (StateConflictError, KVCommitUnknownError) as exc:
                # Read again: what was done isn't done twice.
                if self.clock.monotonic() >= deadline:
                    raise self._gave_up(exc) from exc
                # Dozens may want to change it. Each waits some times what a try takes, and more from try to try, until
                # about one comes at a time: on a slow machine or store a fixed wait would leave most tries in vain.
                took = max(timedelta(milliseconds=5), timedelta(seconds=self.clock.monotonic() - began))
                self.clock.sleep(min(_LONGEST_PAUSE, took * 2 ** min(attempt, 8)) * self._random.random())
            else:
                return

    def _gave_up(self, last: StateConflictError | KVCommitUnknownError) -> FCConnectError:
        within = f"within {_CHANGES_WITHIN.total_seconds():.0f} s"
        if isinstance(last, KVCommitUnknownError):
            return KVCommitUnknownError(
                f"The sync state of {self.workflow_id!r} could not be stored for certain {within}: {last} Mend the "
                "store, then run again: what was delivered is not sent twice."
            )
        return StateConflictError(
            f"The sync state of {self.workflow_id!r} was changed by others each time {within}. Run again, with fewer "
            "workers at once."
        )

    def _commit_idempotent(self, build: Callable[[], Atomic], leases: Sequence[Lease]) -> None:
        for _ in range(3):
            try:
                commit_under(leases, build())
            except KVCommitUnknownError as exc:
                # The same keys get the same values, fenced: writing them again is safe. But the first commit may be
                # on its way still, and must not arrive after what follows: a renewal moves what it checks.
                unknown = exc
                for lease in leases:
                    lease.renew()
            else:
                return
        raise unknown
