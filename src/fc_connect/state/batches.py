"""The batch ledger: for every batch of a file, whether it is on its way or has arrived.

Protocol: write `sending` → POST → write `sent`. So after a crash a batch without a record never left, a `sent` one is
never sent again, and a `sending` one is in doubt: it is looked up, not guessed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from fc_connect.errors import KVCorruptError
from fc_connect.faults import point
from fc_connect.kv.base import MAX_COMMIT_KEYS, Atomic, Entry, Key, KVStore
from fc_connect.state.files import FileRecord
from fc_connect.state.lease import Lease, commit_under
from fc_connect.state.records import from_entry, to_json

__all__ = ["OWNER_KEPT", "BatchLedger", "BatchRecord", "BatchState"]

OWNER_KEPT = timedelta(days=3)  # a job closes at midnight UTC; nothing in it is in doubt for longer


class BatchState(StrEnum):
    SENDING = "sending"
    """The intent is stored; the request may have gone out."""
    SENT = "sent"
    """Fluent took it and gave it an id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRecord:
    """One batch of one file."""

    number: int
    """From 0, in the order of the file."""
    state: BatchState
    sha256: str
    """Of the body, in hexadecimal."""
    count: int
    """Entities."""
    job_id: str
    batch_id: str | None = None
    at: datetime


class BatchLedger:
    """The batches of the files of one workflow."""

    def __init__(self, kv: KVStore, workflow: str) -> None:
        self._kv = kv
        self._workflow = workflow

    def of(self, file: FileRecord) -> Iterator[BatchRecord]:
        """Yield what is known of the file's present run, in order of number."""
        for entry in self._kv.list(self._prefix(file)):
            batch = from_entry(entry, BatchRecord)
            if batch.number != entry.key[-1]:
                raise KVCorruptError(f"The state at {entry.key!r} holds batch {batch.number}: it isn't ours.")
            yield batch

    def put(self, write: Atomic, file: FileRecord, batches: Iterable[BatchRecord]) -> Atomic:
        """Add the batches to `write`: one key each, and one more that says whose a sent batch is."""
        for batch in batches:
            write.set((*self._prefix(file), batch.number), to_json(batch))
            if batch.batch_id is not None:
                owner = self._owner_key(batch.job_id, batch.batch_id)
                write.set(owner, file.file_id, expire_in=OWNER_KEPT)
        return write

    def forget(self, write: Atomic, file: FileRecord, numbers: Iterable[int]) -> Atomic:
        """Add the removal of batches that are known not to have left."""
        for number in numbers:
            write.delete((*self._prefix(file), number))
        return write

    def unowned(self, job_id: str, batch_ids: Sequence[str]) -> list[str]:
        """Return those of a job's batches that no file's ledger has marked as sent."""
        owners = self._owners(job_id, batch_ids)
        return [each for each, owner in owners.items() if owner is None or owner.value is None]

    def disowned(self, job_id: str, batch_ids: Sequence[str]) -> frozenset[str]:
        """Return those of a job's batches that `disown` has noted."""
        owners = self._owners(job_id, batch_ids)
        return frozenset(each for each, owner in owners.items() if owner is not None and owner.value is None)

    def disown(self, job_id: str, batch_ids: Sequence[str]) -> None:
        """Note that batches can't be told to be anybody's, so that nobody takes them for theirs.

        All in one commit: were one of two left, it would look like the only one that it can be.
        """
        while left := [each for each, owner in self._owners(job_id, batch_ids).items() if owner is None]:
            write = self._kv.atomic()
            for batch_id in left[:MAX_COMMIT_KEYS]:
                key = self._owner_key(job_id, batch_id)
                write.check(key, None).set(key, None, expire_in=OWNER_KEPT)
            write.commit()

    def others_sending(self, job_id: str, file: FileRecord) -> bool:
        """Say whether another file has a batch on its way, or in doubt, in this job."""
        for entry in self._kv.list((self._workflow, "batch")):
            if entry.key[2] != file.file_id:
                batch = from_entry(entry, BatchRecord)
                if batch.state is BatchState.SENDING and batch.job_id == job_id:
                    return True
        return False

    def files(self) -> Iterator[str]:
        """Yield the id of every file that has batches here, at the cost of one look per file."""
        prefix = (self._workflow, "batch")
        entry = next(self._kv.list(prefix, limit=1), None)
        while entry is not None:
            file_id = str(entry.key[2])
            yield file_id
            entry = next(self._kv.list(prefix, start=(*prefix, file_id + "\0"), limit=1), None)

    def clear(self, file_id: str, *leases: Lease) -> int:
        """Remove every batch of a file version, of all its runs, and return how many there were.

        Not one commit: do it once they no longer count. Every commit of it needs `leases`.

        Raises:
            LockLostError: another worker may have begun the file anew; its batches were not touched.
        """
        removed = 0
        keys: list[Key] = []
        at_once = MAX_COMMIT_KEYS - len(leases)  # each lease is one more key of the commit
        for entry in self._kv.list((self._workflow, "batch", file_id)):
            keys.append(entry.key)
            if len(keys) == at_once:
                removed += self._delete(keys, leases)
        return removed + self._delete(keys, leases)

    def _delete(self, keys: list[Key], leases: Sequence[Lease]) -> int:
        if not keys:
            return 0
        write = self._kv.atomic()
        for key in keys:
            write.delete(key)
        point("state.clear-batches")
        commit_under(leases, write)
        point("state.cleared-batches")
        count = len(keys)
        keys.clear()
        return count

    def _owners(self, job_id: str, batch_ids: Sequence[str]) -> dict[str, Entry | None]:
        keys = [self._owner_key(job_id, each) for each in batch_ids]
        return dict(zip(batch_ids, self._kv.get_many(keys), strict=True))

    def _owner_key(self, job_id: str, batch_id: str) -> Key:
        return (self._workflow, "sent", job_id, batch_id)

    def _prefix(self, file: FileRecord) -> Key:
        return (self._workflow, "batch", file.file_id, file.run)
