"""What writers of text have in common: bytes go out in blocks, and a file is ended once."""

from __future__ import annotations

from types import TracebackType
from typing import BinaryIO, Final, Self

__all__ = ["BlockWriter"]

_BLOCK_BYTES: Final = 1 << 16


class BlockWriter:
    """Gathers bytes for a stream; as a context manager it ends the file, unless the body fails."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._is_closed = False

    def close(self) -> None:
        """Write what ends the file; the caller closes the stream. Twice is no fault."""
        if not self._is_closed:
            self._append(self._ending())
            self._flush()
            self._is_closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()

    def _ending(self) -> bytes:
        return b""

    def _demand_open(self) -> None:
        if self._is_closed:
            raise ValueError("the file is closed")

    def _append(self, data: bytes) -> None:
        self._waiting.append(data)
        self._waiting_bytes += len(data)
        if self._waiting_bytes >= _BLOCK_BYTES:
            self._flush()

    def _flush(self) -> None:
        self._stream.write(b"".join(self._waiting))
        self._waiting.clear()
        self._waiting_bytes = 0
