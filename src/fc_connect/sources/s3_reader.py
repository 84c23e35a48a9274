"""Reads one version of an object as a stream that outlives broken connections."""

from __future__ import annotations

import io
import logging
import random
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import FlexibleChecksumError

from fc_connect.clock import Clock
from fc_connect.errors import FileChangedError, SourceUnavailableError
from fc_connect.sources.base import SourceFile
from fc_connect.sources.s3_errors import STREAM_FAILURES

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["ObjectReader", "changed"]

logger = logging.getLogger(__name__)

MAX_ATTEMPTS: Final = 6
"""In a row without a byte of progress."""
_FIRST_WAIT = timedelta(milliseconds=200)
_LONGEST_WAIT = timedelta(seconds=10)


class ObjectReader(io.RawIOBase):
    """Asks for the rest of the same version when a connection breaks; `request(start)` opens it.

    Gives exactly the listed number of bytes, or raises.

    Raises from a read:
        FileChangedError: the object isn't the listed version any more.
        SourceUnavailableError: the connection broke again and again.
    """

    def __init__(
        self,
        file: SourceFile,
        request: Callable[[int], Any],
        *,
        url: str,
        clock: Clock,
        random: random.Random,
    ) -> None:
        super().__init__()
        self._file = file
        self._request = request
        self._url = url
        self._clock = clock
        self._random = random
        self._position = 0
        self._failures = 0
        self._body = request(0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")
        wanted = min(len(view), self._file.size - self._position)
        if not wanted:
            if len(view) and self._body is not None:
                self._check_end()
            return 0
        while True:
            try:
                if self._body is None:
                    self._body = self._request(self._position)
                data = self._body.read(wanted)
                if not data:
                    raise EOFError(f"the body ended at byte {self._position:,} of {self._file.size:,}")
            except (SourceUnavailableError, EOFError, *STREAM_FAILURES) as exc:
                self._drop_body()
                self._wait_or_give_up(exc)
                continue
            self._failures = 0
            view[: len(data)] = data
            self._position += len(data)
            return len(data)

    def close(self) -> None:
        self._drop_body()
        super().close()

    def _check_end(self) -> None:
        """Read the nothing after the last byte: only then does the driver compare checksums."""
        try:
            surplus = self._body.read(1)
        except FlexibleChecksumError as exc:
            raise SourceUnavailableError(
                f"{self._url} doesn't fit its checksum: it was damaged on its way. Run again. ({exc})"
            ) from exc
        except STREAM_FAILURES:
            surplus = b""  # every byte is here; a connection that breaks now is no loss
        self._drop_body()
        if surplus:
            raise changed(self._file, f"gave more than {self._file.size} bytes")

    def _wait_or_give_up(self, exc: Exception) -> None:
        self._failures += 1
        if self._failures >= MAX_ATTEMPTS:
            raise SourceUnavailableError(
                f"Reading {self._url!r} broke off at byte {self._position:,} of {self._file.size:,}, "
                f"{self._failures} times in a row ({type(exc).__name__}: {exc})."
            ) from exc
        logger.warning("%s: reading broke off at byte %d, resuming: %s", self._url, self._position, exc)
        # Full jitter: many readers cut off together must not come back together.
        longest = min(_LONGEST_WAIT, _FIRST_WAIT * 2**self._failures)
        self._clock.sleep(longest * self._random.random())

    def _drop_body(self) -> None:
        body, self._body = self._body, None
        if body is not None:
            with suppress(*STREAM_FAILURES):  # the connection is given up anyway
                body.close()


def changed(file: SourceFile, what: str) -> FileChangedError:
    """Return the error for an object that isn't the listed version."""
    return FileChangedError(
        f"{file.path!r} {what}: it isn't the version listed (etag {file.etag}). List again."
    )
