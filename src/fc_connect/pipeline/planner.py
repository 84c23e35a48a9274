"""Plans a file: reads and maps all of it onto disk, before anything is sent; or, streaming, as it is sent."""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

from fc_connect.errors import MappingError, StoppedError, TooManyRejectsError
from fc_connect.faults import point
from fc_connect.formats.base import BadRecord, Format, Place, Records
from fc_connect.pipeline.config import RejectLimit
from fc_connect.pipeline.duplicates import DuplicateFinder
from fc_connect.pipeline.rejects import RejectsFile
from fc_connect.pipeline.spool import PlannedBatch, Spool, SpoolSummary, SpoolWriter
from fc_connect.sources.base import Source, SourceFile

__all__ = ["HashingReader", "Planner", "StreamingPlan"]

Encode = Callable[[dict[str, Any]], bytes]
Map = Callable[[Any], dict[str, Any]]

_PROGRESS_EVERY = 20_000  # records
_DETAILED_DUPLICATES = 10_000  # of more than these, the rejects file has the place but not the entity
_SAME_KEY = "has the same key as {} {}: which of them is right can't be known"


class HashingReader(io.RawIOBase):
    """Passes a stream through and takes its SHA-256 and MD5 on the way."""

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__()
        self._stream = stream
        self.sha256 = hashlib.sha256()
        self.md5 = hashlib.md5(usedforsecurity=False)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        self.sha256.update(data)
        self.md5.update(data)
        return len(data)

    def close(self) -> None:
        self._stream.close()
        super().close()

    def drain(self) -> None:
        """Read what the parser left, so that the digests are those of the whole file."""
        while data := self._stream.read(1 << 18):
            self.sha256.update(data)
            self.md5.update(data)


@dataclass(frozen=True, slots=True, kw_only=True)
class Planner:
    """How the files of one pipeline are planned. Safe to share between threads."""

    source: Source
    format: Format
    make_mapper: Callable[[Records], Map]
    """Compiles the mapping for a file's columns."""
    wanted: Collection[str] | None
    """What of a record the mapping looks at, at its top level; None where that may be anything."""
    encode: Encode
    key: Callable[[dict[str, Any]], bytes | None]
    """An entity's key; None where it has none."""
    envelope: tuple[bytes, bytes]
    batch_size: int
    duplicates: Literal["last", "reject", "keep"]
    limit: RejectLimit
    rejects_folder: Path
    plan_digest: str
    stop: threading.Event
    on_progress: Callable[[int, int], None]
    """Called with records read and rejected, now and then."""

    def plan(self, file: SourceFile, file_id: str, folder: Path, *, demand: Callable[[], None]) -> Spool:
        """Return the spool of `file`: one that an earlier worker left beside `folder`, or a new one there.

        `demand` raises where the file is another worker's by now.

        Raises:
            ParseError: the file isn't in its format.
            ConfigurationError: the mapping asks for a column that the file doesn't have.
            TooManyRejectsError: more records fail than `limit` allows.
            FileChangedError: the file isn't the listed version any more.
            RunError: the disk is full, or the run was told to stop.
        """
        found = Spool.adopt(folder, file_id=file_id, plan_digest=self.plan_digest, envelope=self.envelope)
        if found is not None:
            return found
        rejects = RejectsFile(self.rejects_folder, file_name=file.path, file_id=file_id, demand=demand)
        writer = SpoolWriter(folder, batch_size=self.batch_size, envelope=self.envelope)
        finder = None if self.duplicates == "keep" else DuplicateFinder(folder / "keys")
        try:
            with self.source.open(file) as stream:
                reading = _Reading(self, file, stream, rejects)
                index = 0
                for entity, encoded in reading.entities():
                    writer.add(encoded)
                    if finder is not None:
                        key = self.key(entity)
                        if key is not None:
                            finder.add(key, index, reading.position)
                    index += 1
                reading.finish()
            dropped = 0
            if finder is not None:
                writer, dropped = self._drop_duplicates(finder, writer, index, rejects, reading.counts)
                finder.close()
            writer.flush_batch()
            rejects_file = rejects.finish()
            if self.limit.exceeded(rejects.records, reading.read):
                raise self._too_many(rejects.records, reading.read, rejects_file)
            return writer.finish(
                SpoolSummary(
                    plan_digest=self.plan_digest,
                    file_id=file_id,
                    batch_size=self.batch_size,
                    batches=writer.batches,
                    entities=writer.entities,
                    records_read=reading.read,
                    rejected=rejects.records,
                    duplicates=dropped if self.duplicates == "last" else 0,
                    content_sha256=reading.sha256,
                    content_md5=reading.md5,
                    rejects_file=None if rejects_file is None else str(rejects_file),
                )
            )
        except BaseException:
            if finder is not None:
                finder.close()
            rejects.abandon()
            writer.abandon()
            raise

    def _drop_duplicates(
        self,
        finder: DuplicateFinder,
        writer: SpoolWriter,
        entities: int,
        rejects: RejectsFile,
        counts: Literal["line", "record"],
    ) -> tuple[SpoolWriter, int]:
        if self.duplicates == "keep":
            return writer, 0
        dropped = bytearray((entities >> 3) + 1)
        count = 0
        detailed: dict[int, tuple[int, int]] = {}
        for index, at, other in finder.find(self.duplicates):
            dropped[index >> 3] |= 1 << (index & 7)
            count += 1
            if self.duplicates == "reject":
                if len(detailed) < _DETAILED_DUPLICATES:
                    detailed[index] = (at, other)
                else:
                    rejects.add(_place(counts, at), _SAME_KEY.format(counts, other), None)
        for index, entity in writer.entities_at(detailed):
            at, other = detailed[index]
            rejects.add(_place(counts, at), _SAME_KEY.format(counts, other), entity)
        return (writer.without(dropped), count) if count else (writer, 0)

    def _too_many(self, rejected: int, read: int, path: Path | None) -> TooManyRejectsError:
        return TooManyRejectsError(
            f"{rejected:,} of {read:,} records were rejected, more than `rejects.max` ({self.limit}) allows. "
            f"Nothing was sent. The reasons are in {path}.",
            rejected=rejected,
            records_read=read,
            rejects_file=None if path is None else str(path),
        )

    def stream(self, file: SourceFile, file_id: str, *, demand: Callable[[], None]) -> StreamingPlan:
        """Return the batches of `file` as they are read; see `StreamingPlan`."""
        return StreamingPlan(self, file, file_id, demand)


def _place(counts: Literal["line", "record"], at: int) -> Place:
    return Place(line=at) if counts == "line" else Place(record=at)


class StreamingPlan:
    """The batches of a file that is sent while it is read (`validate: streaming`).

    After the last batch `summary` tells what there was. A limit on rejects can only stop what is not yet sent.
    """

    def __init__(self, planner: Planner, file: SourceFile, file_id: str, demand: Callable[[], None]) -> None:
        self._planner = planner
        self._file = file
        self._file_id = file_id
        self._demand = demand
        self.summary: SpoolSummary | None = None

    def __iter__(self) -> Iterator[PlannedBatch]:
        planner = self._planner
        prefix, suffix = planner.envelope
        rejects = RejectsFile(
            planner.rejects_folder, file_name=self._file.path, file_id=self._file_id, demand=self._demand
        )
        number = entities = 0
        pending: list[bytes] = []

        def cut() -> PlannedBatch:
            body = prefix + b",\n".join(pending) + suffix
            digest = hashlib.sha256(body).hexdigest()
            return PlannedBatch(number=number, count=len(pending), sha256=digest, body=body)

        try:
            with planner.source.open(self._file) as stream:
                reading = _Reading(planner, self._file, stream, rejects)
                for _, encoded in reading.entities():
                    pending.append(encoded)
                    if len(pending) == planner.batch_size:
                        yield cut()
                        number, entities = number + 1, entities + len(pending)
                        pending.clear()
                reading.finish()
            rejects_file = rejects.finish()
            if planner.limit.exceeded(rejects.records, reading.read):
                error = planner._too_many(rejects.records, reading.read, rejects_file)
                sent = "Nothing was sent" if not number else f"The first {number} batches were sent before"
                error.args = (str(error).replace("Nothing was sent", sent),)
                raise error
            if pending:
                yield cut()
                number, entities = number + 1, entities + len(pending)
        except BaseException:
            rejects.abandon()
            raise
        self.summary = SpoolSummary(
            plan_digest=planner.plan_digest,
            file_id=self._file_id,
            batch_size=planner.batch_size,
            batches=number,
            entities=entities,
            records_read=reading.read,
            rejected=rejects.records,
            duplicates=0,
            content_sha256=reading.sha256,
            content_md5=reading.md5,
            rejects_file=None if rejects_file is None else str(rejects_file),
        )


class _Reading:
    """One pass over one file: entities out, rejects aside."""

    def __init__(self, planner: Planner, file: SourceFile, stream: BinaryIO, rejects: RejectsFile) -> None:
        self._planner = planner
        self._path = file.path
        self._hashing = HashingReader(stream)
        self._rejects = rejects
        self._records: Records | None = None
        self._buffered: BinaryIO | None = None
        self.read = 0

    @property
    def position(self) -> int:
        """Of the record that was read last."""
        return 0 if self._records is None else self._records.position

    @property
    def counts(self) -> Literal["line", "record"]:
        """What its position is."""
        return "record" if self._records is None else self._records.counts

    @property
    def sha256(self) -> str:
        return self._hashing.sha256.hexdigest()

    @property
    def md5(self) -> str:
        return self._hashing.md5.hexdigest()

    def entities(self) -> Iterator[tuple[dict[str, Any], bytes]]:
        """Yield each record as an entity and its JSON."""
        planner, encode, rejects, limit = (
            self._planner,
            self._planner.encode,
            self._rejects,
            self._planner.limit,
        )
        point("source.opened")
        # Kept, since it closes what it reads when nobody does: the end is still to be read then.
        buffered = self._buffered = io.BufferedReader(self._hashing, buffer_size=1 << 18)
        records = self._records = planner.format.read(buffered, path=self._path, wanted=planner.wanted)
        mapper = planner.make_mapper(records)
        read = 0
        for record in records:
            read += 1
            if read % _PROGRESS_EVERY == 0:
                self._pause(read)
            if record.__class__ is BadRecord:
                rejects.add(record.place, record.reason, record.raw)
                continue
            try:
                entity = mapper(record)
                encoded = encode(entity)
            except MappingError as exc:
                columns = records.columns
                named = dict(zip(columns, record, strict=False)) if columns is not None else record
                rejects.add_mapping_error(records.place(), exc, named)
                if limit.count is not None and rejects.records > limit.count + 1000:
                    # Enough to see what is wrong; the rest of a wrong file would only fill the disk.
                    self.read = read
                    path = rejects.finish()
                    raise planner._too_many(rejects.records, read, path) from exc
                continue
            yield entity, encoded
        self.read = read

    def finish(self) -> None:
        """Read to the end, so that the source can tell whether the file changed meanwhile."""
        self._hashing.drain()
        point("source.read")
        self._planner.on_progress(self.read, self._rejects.records)

    def _pause(self, read: int) -> None:
        self._planner.on_progress(read, self._rejects.records)
        if self._planner.stop.is_set():
            raise StoppedError(
                f"{self._path}: stopped while reading. Nothing is lost: run again to carry on."
            )
