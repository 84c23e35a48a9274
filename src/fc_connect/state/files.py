"""The file ledger: which version of which file has got how far.

A file version is workflow + source + path + fingerprint. Its record has a key of its own, so that asking and marking
cost the same however many files there are; two small pointers find the latest version of a path and a content's
first file. Every change is made under the file's lock and is safe to make twice.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Self

from fc_connect.errors import KVCorruptError, StateError
from fc_connect.kv.base import Atomic, Entry, Key, KVStore
from fc_connect.state.records import from_entry, pointer_from, to_json

__all__ = ["FileLedger", "FileRecord", "FileStatus", "Plan", "digest_of"]


class FileStatus(StrEnum):
    """How far a file version has got."""

    PENDING = "pending"
    """Known, not begun."""
    PROCESSING = "processing"
    """Begun. Without a live lock: cut short, and the next run carries on."""
    COMPLETED = "completed"
    """Delivered whole. Never sent again."""
    FAILED = "failed"
    """Tried again by a later run, not before `next_attempt_at`."""
    QUARANTINED = "quarantined"
    """Failed too often, or in a way that trying again can't mend: a person must look."""
    SKIPPED = "skipped"
    """Left out by a policy: same content, or a changed file."""
    SUPERSEDED = "superseded"
    """Given up because a newer file has been delivered: sending it now would bring stale stock back."""

    @property
    def is_terminal(self) -> bool:
        """Whether no run will touch the file again by itself."""
        return self not in {FileStatus.PENDING, FileStatus.PROCESSING, FileStatus.FAILED}


_NEXT: dict[FileStatus, frozenset[FileStatus]] = {
    FileStatus.PENDING: frozenset(FileStatus) - {FileStatus.PENDING},
    FileStatus.PROCESSING: frozenset(FileStatus),
    FileStatus.FAILED: frozenset(FileStatus),
    FileStatus.COMPLETED: frozenset({FileStatus.COMPLETED}),
    FileStatus.QUARANTINED: frozenset({FileStatus.PENDING}),
    FileStatus.SKIPPED: frozenset({FileStatus.PENDING}),
    FileStatus.SUPERSEDED: frozenset({FileStatus.PENDING}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a file was cut into before its first batch went out. A resume must come to the same."""

    batch_size: int
    mapping_digest: str
    """Of everything that decides the bodies: mapping, format, target, duplicates."""
    batches: int | None = None
    """None while a streaming run is still reading."""
    entities: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRecord:
    """One version of one file, and what became of it."""

    source: str
    """The source's URL, without secrets."""
    file_name: str
    """The path below the source."""
    fingerprint: str
    """What tells this version from another: by policy an etag, size and time, a digest, or nothing."""
    last_modified: datetime
    file_size: int
    status: FileStatus = FileStatus.PENDING
    etag: str | None = None
    version_id: str | None = None
    attempts: int = 0
    next_attempt_at: datetime | None = None
    error: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    processed_at: datetime | None = None
    """When it was completed."""
    records_read: int = 0
    record_count: int = 0
    """Entities delivered."""
    rejected_count: int = 0
    duplicate_count: int = 0
    """Records left out because a later record of the file has the same key."""
    rejects_file: str | None = None
    job_id: str | None = None
    batch_count: int = 0
    batch_ids: tuple[str, ...] = ()
    """The first `MAX_BATCH_IDS` of them."""
    checksum_md5: str | None = None
    content_digest: str | None = None
    """SHA-256 of the content, in hexadecimal."""
    plan: Plan | None = None
    run: int = 0
    """Grows each time the file is begun anew; batches of an earlier run don't count."""
    after_due: bool = False
    """Whether it is finished but hasn't been put away yet."""
    archived_as: str | None = None
    """Where it was put away, below the source."""

    @property
    def file_id(self) -> str:
        """The name of this version in the ledger."""
        return digest_of(self.source, self.file_name, self.fingerprint)

    @property
    def path_id(self) -> str:
        """The name of this path, whatever the version."""
        return digest_of(self.source, self.file_name)

    @property
    def lock_name(self) -> str:
        """The lock under which this path is worked on, whatever the version."""
        return f"file:{self.path_id}"

    @property
    def position(self) -> tuple[datetime, str]:
        """Where the file stands in order of time; the watermark is the greatest of these."""
        return self.last_modified, self.file_name

    def moved_to(
        self, status: FileStatus, *, at: datetime, error: str | None = None, after_due: bool = False
    ) -> Self:
        """Return the record after a move to `status`; the caller commits it.

        `after_due` says that the file, finished by it, is still to be put away.

        Raises:
            StateError: no file may go that way.
        """
        if status not in _NEXT[self.status]:
            raise StateError(f"{self.file_name}: a {self.status} file can't become {status}.")
        ended = status not in {FileStatus.PENDING, FileStatus.PROCESSING}
        return replace(
            self,
            status=status,
            error=error,
            next_attempt_at=None,
            started_at=at if status is FileStatus.PROCESSING else self.started_at,
            finished_at=at if ended else None,
            processed_at=at if status is FileStatus.COMPLETED else self.processed_at,
            after_due=after_due,
            archived_as=None,
        )


MAX_BATCH_IDS = 1000
_MAX_ERROR = (
    4000  # characters: a hostile file has a say in them, and a record has to fit into a store's value
)


def digest_of(*parts: str) -> str:
    """Return a short name for `parts`; no two lists of parts share one."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


class FileLedger:
    """The file records of one workflow."""

    def __init__(self, kv: KVStore, workflow: str) -> None:
        self._kv = kv
        self._workflow = workflow

    def key(self, file_id: str) -> Key:
        return (self._workflow, "file", file_id)

    def get(self, file_id: str) -> FileRecord | None:
        """Return the record of a version."""
        return _record(self._kv.get(self.key(file_id)))

    def get_many(self, file_ids: Sequence[str]) -> list[FileRecord | None]:
        """Return the records in the order of `file_ids`."""
        return [_record(entry) for entry in self._kv.get_many([self.key(each) for each in file_ids])]

    def all(self) -> Iterator[FileRecord]:
        """Yield every record, in no particular order."""
        for entry in self._kv.list((self._workflow, "file")):
            yield _read(entry)

    def latest(self, paths: Sequence[str]) -> list[str | None]:
        """Return the id of the latest known version of each path, given as `FileRecord.path_id`."""
        entries = self._kv.get_many([(self._workflow, "path", path) for path in paths])
        return [None if entry is None else pointer_from(entry) for entry in entries]

    def with_content(self, content_digest: str) -> FileRecord | None:
        """Return the first completed file with this content."""
        entry = self._kv.get((self._workflow, "content", content_digest))
        found = None if entry is None else self.get(pointer_from(entry))
        return found if found is not None and found.content_digest == content_digest else None

    def put(self, write: Atomic, record: FileRecord) -> Atomic:
        """Add the record and its pointers to `write`; at most four keys."""
        file_id = record.file_id
        if record.error is not None and len(record.error) > _MAX_ERROR:
            record = replace(record, error=record.error[:_MAX_ERROR] + "…")
        write.set(self.key(file_id), to_json(record))
        write.set((self._workflow, "path", record.path_id), file_id)
        if record.status is FileStatus.COMPLETED and record.content_digest is not None:
            write.set((self._workflow, "content", record.content_digest), file_id)
        if record.after_due:
            write.set((self._workflow, "after", file_id), None)
        return write

    def due(self) -> Iterator[str]:
        """Yield the id of every file that is finished but hasn't been put away."""
        for entry in self._kv.list((self._workflow, "after")):
            yield str(entry.key[2])

    def put_away(self, write: Atomic, file_id: str, record: FileRecord | None) -> Atomic:
        """Add to `write` that nothing is left to be done with a file, and its record where it has one."""
        write.delete((self._workflow, "after", file_id))
        return write if record is None else self.put(write, record)

    def forget(self, write: Atomic, record: FileRecord) -> Atomic:
        """Add the removal of the record to `write`; pointers to it then lead nowhere, which is no fault."""
        return write.delete(self.key(record.file_id))


def _record(entry: Entry | None) -> FileRecord | None:
    return None if entry is None else _read(entry)


def _read(entry: Entry) -> FileRecord:
    record = from_entry(entry, FileRecord)
    if record.file_id != entry.key[-1]:
        raise KVCorruptError(
            f"The state at {entry.key!r} holds the record of another file, {record.file_name!r}: something else has "
            "written into it, or the disk has changed it."
        )
    return record
