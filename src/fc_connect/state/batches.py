"""The batch ledger: for every batch of a file, whether it is on its way or has arrived.

Protocol: write `sending` → POST → write `sent`. So after a crash a batch without a record never left, a `sent` one is
never sent again, and a `sending` one is in doubt: it is looked up, not guessed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from fc_connect.kv.base import MAX_COMMIT_KEYS, Atomic, Key, KVStore
from fc_connect.state.files import FileRecord
from fc_connect.state.records import from_entry, to_json

__all__ = ["BatchLedger", "BatchRecord", "BatchState"]


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
            yield from_entry(entry, BatchRecord)

    def put(self, write: Atomic, file: FileRecord, batches: Iterable[BatchRecord]) -> Atomic:
        """Add the batches to `write`, one key each."""
        for batch in batches:
            write.set((*self._prefix(file), batch.number), to_json(batch))
        return write

    def clear(self, file_id: str) -> int:
        """Remove every batch of a file version, of all its runs, and return how many there were.

        Not one commit: do it once they no longer count.
        """
        removed = 0
        keys: list[Key] = []
        for entry in self._kv.list((self._workflow, "batch", file_id)):
            keys.append(entry.key)
            if len(keys) == MAX_COMMIT_KEYS:
                removed += self._delete(keys)
        return removed + self._delete(keys)

    def _delete(self, keys: list[Key]) -> int:
        if not keys:
            return 0
        write = self._kv.atomic()
        for key in keys:
            write.delete(key)
        write.commit()
        count = len(keys)
        keys.clear()
        return count

    def _prefix(self, file: FileRecord) -> Key:
        return (self._workflow, "batch", file.file_id, file.run)
