"""Values that are too large for one entry of Deno KV (64 KiB), or for one commit (800 KiB): kept in chunks.

The chunks are written before the commit, under a name of their own, and come to life when the commit stores that name
in the entry. Until then a `pending` record guards them: the commit checks and deletes it, so who finds neither it nor
an entry that holds the name may delete the chunks, for no commit can bring them to life any more.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, TypeVar

import msgspec

from fc_connect.errors import KVCorruptError, KVError, KVUnavailableError
from fc_connect.kv.base import MAX_VALUE_BYTES
from fc_connect.kv.deno_connect import KVConnect
from fc_connect.kv.deno_keys import encode_part, next_key
from fc_connect.kv.deno_messages import ReadRange, Stored

__all__ = ["CHUNK", "Blobs", "ChunksName", "Spilled", "point_range"]

logger = logging.getLogger(__name__)

CHUNK = 60_000
_PER_WRITE = 10  # chunks; an atomic write takes 800 KiB
_PENDING_FOR = timedelta(days=1)
_NAME_PART = len(encode_part("0" * 32))

T = TypeVar("T")
ChunksName = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}$")]
Writes = list[tuple[bytes, bytes | None, int]]


class _Pending(msgspec.Struct):
    since: datetime


class _Blob(msgspec.Struct):
    """What is known of the chunks of one value; stored below its key."""

    commit: ChunksName
    chunks: Annotated[int, msgspec.Meta(ge=1, le=MAX_VALUE_BYTES // CHUNK + 1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spilled:
    """Values that wait for their commit."""

    names: Mapping[bytes, str]
    """Of the chunks, by the rest of the entry's key."""
    checks: Sequence[tuple[bytes, str | None]]
    writes: Writes
    """With `checks` a part of the commit."""


class Blobs:
    """The chunks of one store.

    Args:
        entries: the encoded prefix of the entries; `blobs`, `chunks` and `pending`: of what belongs to chunks.
    """

    def __init__(
        self,
        connection: KVConnect,
        *,
        now: Callable[[], datetime],
        entries: bytes,
        blobs: bytes,
        chunks: bytes,
        pending: bytes,
    ) -> None:
        self._connection = connection
        self._now = now
        self._entries = entries
        self._blobs = blobs
        self._chunks = chunks
        self._pending = pending

    def spill(self, values: Mapping[bytes, bytes]) -> Spilled:
        """Write the chunks of `values`, by the rest of their keys.

        Raises:
            KVUnavailableError: nothing that anyone will see was written.
        """
        commit = uuid.uuid4().hex
        guard = self._pending + encode_part(commit)
        stamp: str | None = None
        names = {rest: uuid.uuid4().hex for rest in values}
        writes: Writes = [(guard, msgspec.json.encode(_Pending(since=self._now())), 0)]
        try:
            for rest, content in values.items():
                name = names[rest]
                pieces = [content[at : at + CHUNK] for at in range(0, len(content), CHUNK)]
                record = msgspec.json.encode(_Blob(commit=commit, chunks=len(pieces)))
                writes.append((self._record(rest, name), record, 0))
                for number, piece in enumerate(pieces):
                    writes.append((self._chunk(name, number), piece, 0))
                    if len(writes) > _PER_WRITE:
                        stamp = self._write_guarded(guard, stamp, writes)
                        writes = []
            if writes:
                stamp = self._write_guarded(guard, stamp, writes)
        except KVError as exc:
            raise KVUnavailableError(f"A large value wasn't written, nor its commit begun: {exc}") from exc
        return Spilled(names=names, checks=[(guard, stamp)], writes=[(guard, None, 0)])

    def read(self, wanted: Mapping[str, int]) -> dict[str, bytes]:
        """Return the values by name, given their sizes; a name whose chunks are gone is left out."""
        found: dict[str, bytes] = {}
        names = list(wanted)
        for at in range(0, len(names), 10):
            page = names[at : at + 10]
            ranges = [
                ReadRange(
                    start=self._chunks + encode_part(name) + b"\0",
                    end=self._chunks + encode_part(name) + b"\xff",
                    limit=wanted[name] // CHUNK + 1,
                )
                for name in page
            ]
            for name, each in zip(page, self._connection.read(ranges), strict=True):
                content = b"".join(chunk.value for chunk in each)
                if len(content) == wanted[name]:
                    found[name] = content
                elif content:
                    # Chunks live and die together: part of them is no sight of any moment.
                    raise KVCorruptError(f"Part of a large value is missing in Deno KV (chunks {name}).")
        return found

    def discard(self, spilled: Spilled) -> None:
        """Delete what was spilled for a commit that failed. A fault is logged."""
        try:
            self._connection.write([], spilled.writes)
        except KVError as exc:
            logger.warning("Deno KV: chunks of a commit that failed stay for a day: %s", exc)
        for rest in spilled.names:
            self.sweep(below=rest)

    def sweep(self, *, below: bytes = b"", limit: int = 100) -> None:
        """Delete chunks that no entry will ever hold; looks at `limit` values below a part of the entries.

        A fault is logged: what is left is found the next time.
        """
        try:
            for record in self._records(below, limit):
                self._sweep(record)
        except KVError as exc:
            logger.warning("Deno KV: chunks of large values weren't swept: %s", exc)

    def _sweep(self, record: Stored) -> None:
        blob = _decoded(record, _Blob)
        rest = record.key[len(self._blobs) : -_NAME_PART]
        name = record.key[-_NAME_PART + 1 : -1].decode("ascii", "replace")
        guard = self._pending + encode_part(blob.commit)
        entry, pending = self._connection.read([point_range(self._entries + rest), point_range(guard)])
        if entry and name.encode() in entry[0].value:
            return  # it may be mere text that looks so: then it is kept for longer
        if pending:
            if self._now() - _decoded(pending[0], _Pending).since < _PENDING_FOR:
                return
            if self._connection.write([(guard, pending[0].versionstamp)], [(guard, None, 0)]) is None:
                return
        chunks = [(self._chunk(name, number), None, 0) for number in range(blob.chunks)]
        self._connection.write([], [*chunks, (record.key, None, 0)])

    def _records(self, below: bytes, limit: int) -> Iterator[Stored]:
        area = self._blobs + below
        [found] = self._connection.read([ReadRange(start=area + b"\0", end=area + b"\xff", limit=limit)])
        yield from found

    def _write_guarded(self, guard: bytes, stamp: str | None, writes: Writes) -> str:
        """Write a part of the chunks while the guard stands, and return the guard's versionstamp."""
        written = self._connection.write([(guard, stamp)], writes)
        if written is None:
            raise KVUnavailableError("it took so long that its chunks were swept")
        return stamp or written

    def _record(self, rest: bytes, name: str) -> bytes:
        return self._blobs + rest + encode_part(name)

    def _chunk(self, name: str, number: int) -> bytes:
        return self._chunks + encode_part(name) + encode_part(number)


def point_range(key: bytes) -> ReadRange:
    """Return the range that holds one key."""
    return ReadRange(start=key, end=next_key(key))


def _decoded(stored: Stored, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(stored.value, type=kind)
    except msgspec.MsgspecError as exc:
        raise KVCorruptError(f"Deno KV holds a record that isn't ours at {stored.key!r}: {exc}.") from exc
