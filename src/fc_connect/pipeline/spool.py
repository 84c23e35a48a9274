"""The bodies of one file on disk: planned once, sent as planned, also by a run that carries on after a crash.

Every worker has a folder of its own below the file's, named by its fencing token; whoever takes a file over renames a
complete spool to its own name. So a worker that was held up for long, and doesn't know yet, touches nothing that
another uses.

A spool is a folder of three files: `bodies` (encoded entities, `,` and a newline between them), `index` (per batch
where its entities lie, how many, and the SHA-256 of its whole body) and `plan.json`, which is renamed into place last:
a spool without it is rubbish from a crash and is planned again. Its seal, a SHA-256 over itself and the index, ties the
three together: a part that was damaged, cut or taken from another spool is noticed before anything of it is sent.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import struct
from collections.abc import Container, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fc_connect.errors import RunError
from fc_connect.faults import point

__all__ = ["PlannedBatch", "Spool", "SpoolSummary", "SpoolWriter", "disk_errors"]

_ENTRY = struct.Struct("<QQQ32s")  # offset, length, entities, SHA-256 of the body
_SEPARATOR = b",\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedBatch:
    """One request body."""

    number: int
    count: int
    sha256: str
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolSummary:
    """What planning a file came to."""

    plan_digest: str
    file_id: str
    batch_size: int
    batches: int
    entities: int
    records_read: int
    rejected: int
    duplicates: int
    content_sha256: str
    content_md5: str
    rejects_file: str | None


class Spool:
    """A complete spool, read batch by batch."""

    def __init__(self, folder: Path, summary: SpoolSummary, envelope: tuple[bytes, bytes]) -> None:
        self.folder = folder
        self.summary = summary
        self._prefix, self._suffix = envelope

    @classmethod
    def adopt(
        cls, folder: Path, *, file_id: str, plan_digest: str, envelope: tuple[bytes, bytes]
    ) -> Spool | None:
        """Rename a complete spool of this file and plan to `folder`, and remove what else lies beside it.

        None where there is none.
        """
        with disk_errors(folder):
            beside = sorted(folder.parent.iterdir()) if folder.parent.is_dir() else []
            for each in beside:
                if cls.find(each, file_id=file_id, plan_digest=plan_digest, envelope=envelope) is None:
                    continue
                if each != folder:
                    shutil.rmtree(folder, ignore_errors=True)
                    each.replace(folder)
                break
            else:
                shutil.rmtree(folder, ignore_errors=True)
            for each in beside:
                if each == folder:
                    continue
                if each.is_dir():
                    shutil.rmtree(each, ignore_errors=True)
                else:
                    each.unlink(missing_ok=True)
        return cls.find(folder, file_id=file_id, plan_digest=plan_digest, envelope=envelope)

    @classmethod
    def find(
        cls, folder: Path, *, file_id: str, plan_digest: str, envelope: tuple[bytes, bytes]
    ) -> Spool | None:
        """Return the complete spool of this file and plan, or None."""
        try:
            found: dict[str, Any] = json.loads((folder / "plan.json").read_bytes())
            seal = found.pop("seal")
            if seal != _seal(found, folder / "index"):
                return None  # damaged, or its parts are of two spools
            summary = SpoolSummary(**found)
        except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError):
            return None  # absent, or of another version: it is planned again
        if (summary.file_id, summary.plan_digest) != (file_id, plan_digest):
            return None
        return cls(folder, summary, envelope)

    def digests(self) -> Iterator[tuple[int, str]]:
        """Yield number and SHA-256 of every batch."""
        for number, (_, _, _, digest) in enumerate(self._entries()):
            yield number, digest.hex()

    def batches(self, *, skip: frozenset[int] | set[int] = frozenset()) -> Iterator[PlannedBatch]:
        """Yield the batches in order, but for the numbers in `skip`.

        Raises:
            RunError: the disk gave back other bytes than were planned.
        """
        with disk_errors(self.folder / "bodies"):
            bodies = (self.folder / "bodies").open("rb")
        with bodies:
            size = os.fstat(bodies.fileno()).st_size
            for number, (offset, length, count, digest) in enumerate(self._entries()):
                if number in skip:
                    continue
                body = b""
                if offset + length <= size:  # else the index changed since its seal was checked
                    with disk_errors(self.folder / "bodies"):
                        bodies.seek(offset)
                        body = self._prefix + bodies.read(length) + self._suffix
                if hashlib.sha256(body).digest() != digest:
                    raise RunError(
                        f"The spooled bodies in {self.folder} are damaged at batch {number}. "
                        "Remove that folder and run again."
                    )
                yield PlannedBatch(number=number, count=count, sha256=digest.hex(), body=body)

    def remove(self) -> None:
        """Free the disk space."""
        point("spool.remove")
        _remove(self.folder)
        point("spool.removed")

    def _entries(self) -> Iterator[tuple[int, int, int, bytes]]:
        with disk_errors(self.folder / "index"):
            index = (self.folder / "index").open("rb")
        with index:
            for _ in range(self.summary.batches):
                with disk_errors(self.folder / "index"):
                    entry = index.read(_ENTRY.size)
                if len(entry) < _ENTRY.size:
                    raise RunError(
                        f"{self.folder / 'index'} was cut short. Remove that folder and run again."
                    )
                yield _ENTRY.unpack(entry)


class SpoolWriter:
    """Takes encoded entities one by one, and cuts them into batches."""

    def __init__(self, folder: Path, *, batch_size: int, envelope: tuple[bytes, bytes]) -> None:
        self.folder = folder
        self.entities = 0
        self.batches = 0
        self._size = batch_size
        self._prefix, self._suffix = envelope
        self._pending: list[bytes] = []
        self._offset = 0
        with disk_errors(folder):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True, mode=0o700)
            self._bodies = (folder / "bodies").open("wb", buffering=1 << 18)
            self._index = (folder / "index").open("wb")
        point("spool.opened")

    def add(self, entity: bytes) -> None:
        """Append one entity; the encoded text holds no newline."""
        self._pending.append(entity)
        if len(self._pending) == self._size:
            self._cut()

    def without(self, dropped: bytearray) -> SpoolWriter:
        """Return a writer that holds the same entities but for the positions whose bit is set in `dropped`."""
        self._finish_files()
        slim = SpoolWriter(
            self.folder.with_name(self.folder.name + ".slim"),
            batch_size=self._size,
            envelope=(self._prefix, self._suffix),
        )
        with (self.folder / "bodies").open("rb") as lines:
            for number, line in enumerate(lines):
                if not dropped[number >> 3] & (1 << (number & 7)):
                    slim.add(line.removesuffix(b"\n").removesuffix(b","))
        slim._finish_files()
        with disk_errors(self.folder):
            for name in ("bodies", "index"):
                (slim.folder / name).replace(self.folder / name)
            slim.folder.rmdir()
        slim.folder = self.folder
        return slim

    def entities_at(self, positions: Container[int]) -> Iterator[tuple[int, Any]]:
        """Yield the entities at `positions`, decoded, in their order."""
        self._flush()
        with (self.folder / "bodies").open("rb") as lines:
            for number, line in enumerate(lines):
                if number in positions:
                    yield number, json.loads(line.removesuffix(b"\n").removesuffix(b","))

    def finish(self, summary: SpoolSummary) -> Spool:
        """Make the spool complete and durable."""
        self._finish_files()
        with disk_errors(self.folder):
            draft = self.folder / "plan.json.part"
            content = asdict(summary)
            content["seal"] = _seal(content, self.folder / "index")
            with draft.open("w") as file:
                json.dump(content, file)
                file.flush()
                os.fsync(file.fileno())
            point("spool.rename")
            draft.replace(self.folder / "plan.json")
            point("spool.renamed")
        return Spool(self.folder, summary, (self._prefix, self._suffix))

    def flush_batch(self) -> None:
        """Cut what is pending into a last, smaller batch."""
        if self._pending:
            self._cut()

    def abandon(self) -> None:
        """Close and remove everything."""
        for file in (self._bodies, self._index):
            try:
                file.close()
            except OSError:
                continue  # a full disk: what couldn't be flushed is being thrown away
        _remove(self.folder)

    def _cut(self) -> None:
        entities = _SEPARATOR.join(self._pending)
        digest = hashlib.sha256(self._prefix)
        digest.update(entities)
        digest.update(self._suffix)
        count = len(self._pending)
        with disk_errors(self.folder):
            self._bodies.write(entities + _SEPARATOR)
            self._index.write(_ENTRY.pack(self._offset, len(entities), count, digest.digest()))
        self._offset += len(entities) + len(_SEPARATOR)
        point("spool.cut")
        self._pending.clear()
        self.entities += count
        self.batches += 1

    def _flush(self) -> None:
        self.flush_batch()
        with disk_errors(self.folder):
            self._bodies.flush()

    def _finish_files(self) -> None:
        if self._bodies.closed:
            return
        self._flush()
        point("spool.sync")
        with disk_errors(self.folder):
            for file in (self._bodies, self._index):
                file.flush()
                os.fsync(file.fileno())
                file.close()


def _seal(content: dict[str, Any], index: Path) -> str:
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode())
    with index.open("rb") as file:
        while data := file.read(1 << 18):
            digest.update(data)
    return digest.hexdigest()


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):  # another worker's spool is in it
        folder.parent.rmdir()


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn a failing local disk into an error that says what to do; nothing was sent from what it holds."""
    try:
        yield
    except OSError as exc:
        what = "The disk is full" if exc.errno in {errno.ENOSPC, errno.EDQUOT} else exc.strerror or str(exc)
        raise RunError(
            f"{path}: {what}. Free some space, or set `spool:` in the pipeline file to another folder, "
            "and run again: it carries on where it stopped."
        ) from exc
