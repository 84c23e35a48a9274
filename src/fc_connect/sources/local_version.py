"""One version of a local file: what tells it from another, reading it, and the faults of file systems."""

from __future__ import annotations

import errno
import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from fc_connect.errors import FileChangedError, SourceError, SourceUnavailableError
from fc_connect.sources.base import SourceFile

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["VersionReader", "as_file", "changed", "check_version", "identity", "mapped_errors"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# A network file system that is away for now, not a fault of the file.
_PASSING = {
    errno.EAGAIN,
    errno.EHOSTDOWN,
    errno.EHOSTUNREACH,
    errno.EIO,
    errno.ENETDOWN,
    errno.ENETUNREACH,
    errno.ENOTCONN,
    errno.ESTALE,
    errno.ETIMEDOUT,
}


class VersionReader(io.RawIOBase):
    """Reads one version of a file; its end is told only if the file is still that version."""

    def __init__(self, raw: io.FileIO, file: SourceFile, target: Path) -> None:
        super().__init__()
        self._raw = raw
        self._file = file
        self._target = target
        self._read = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        with mapped_errors("read", self._file.path):
            count = self._raw.readinto(buffer) or 0
            self._read += count
            if self._read > self._file.size:
                raise changed(self._file, "grew while it was read")
            if count == 0 and len(memoryview(buffer)):
                self._check_end()
        return count

    def _check_end(self) -> None:
        here = os.fstat(self._raw.fileno())
        check_version(self._file, here)
        if self._read != self._file.size:
            raise changed(self._file, f"gave {self._read} bytes")
        try:
            if identity(self._target.stat())[:2] != identity(here)[:2]:
                raise changed(self._file, "was replaced while it was read")
        except FileNotFoundError as exc:
            raise changed(self._file, "was removed while it was read") from exc

    def close(self) -> None:
        self._raw.close()
        super().close()


def as_file(path: str, found: os.stat_result) -> SourceFile:
    """Return the version that was found."""
    return SourceFile(path=path, size=found.st_size, last_modified=_modified(found))


def _modified(found: os.stat_result) -> datetime:
    # Whole numbers: a float of seconds since 1970 isn't exact to the microsecond.
    try:
        return _EPOCH + timedelta(microseconds=found.st_mtime_ns // 1000)
    except OverflowError as exc:
        raise SourceError(
            f"The modification time {found.st_mtime_ns} ns is outside the years 1 to 9999: touch the file."
        ) from exc


def identity(found: os.stat_result) -> tuple[int, int, int, int]:
    """Return what differs when a file was replaced or changed: device, inode, size, time."""
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def check_version(file: SourceFile, found: os.stat_result) -> None:
    """Raise FileChangedError unless what was found is the listed version."""
    if not stat.S_ISREG(found.st_mode):
        raise changed(file, "is no file any more")
    if found.st_size != file.size:
        raise changed(file, f"has {found.st_size} bytes, not {file.size}")
    if (now := _modified(found)) != file.last_modified:
        raise changed(file, f"was modified at {now.isoformat()}")


def changed(file: SourceFile, what: str) -> FileChangedError:
    """Return the error for a file that isn't the listed version."""
    return FileChangedError(
        f"{file.path!r} {what}: it isn't the version listed ({file.last_modified.isoformat()}). List again."
    )


@contextmanager
def mapped_errors(doing: str, path: str) -> Iterator[None]:
    """Turn the system's errors into ours; `doing` and `path` begin the message: "Can't list '/inbox'"."""
    try:
        yield
    except FileNotFoundError as exc:
        raise SourceError(f"Can't {doing} {path!r}: {exc.filename or path} isn't there.") from exc
    except PermissionError as exc:
        raise SourceError(
            f"Can't {doing} {path!r}: access to {exc.filename or path} is denied. Give this user the right to it."
        ) from exc
    except OSError as exc:
        if exc.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise SourceError(
                f"Can't {doing} {path!r}: the disk is full. Make room, then run again."
            ) from exc
        cls = SourceUnavailableError if exc.errno in _PASSING else SourceError
        raise cls(f"Can't {doing} {path!r}: {exc.strerror or exc}.") from exc
