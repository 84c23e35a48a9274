"""A stream that can't be wound back, as a file that can: on disk, without a name, gone when it is closed."""

from __future__ import annotations

import errno
import io
import tempfile
from collections.abc import Callable
from typing import BinaryIO, Final

from fc_connect.errors import ParseError, RunError

__all__ = ["spooled"]

_CHUNK: Final = 1 << 20


def spooled(read: Callable[[int], bytes], *, path: str, max_bytes: int | None = None) -> BinaryIO:
    """Call `read` to the end, put all of it into an unnamed temporary file, and return that, wound back.

    Raises:
        ParseError: it is longer than `max_bytes`.
        RunError: the disk is full.
    """
    file = tempfile.TemporaryFile(prefix="fc-connect-", buffering=0)  # noqa: SIM115 - the caller's to close
    try:
        size = 0
        while data := read(_CHUNK):
            size += len(data)
            if max_bytes is not None and size > max_bytes:
                raise ParseError(
                    f"is longer than max_bytes ({max_bytes:,}) allows. Raise it if the file is right.",
                    path=path,
                )
            _write(file, data, path)
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return io.BufferedReader(file)


def _write(file: io.RawIOBase, data: bytes, path: str) -> None:
    rest = memoryview(data)
    try:
        while rest:
            rest = rest[file.write(rest) :]
    except OSError as exc:
        what = "the disk is full" if exc.errno in {errno.ENOSPC, errno.EDQUOT} else exc.strerror or str(exc)
        raise RunError(
            f"{path}: can't be kept in {tempfile.gettempdir()} while it is read: {what}. Make room there, or set "
            "TMPDIR to another folder, then run again."
        ) from exc
