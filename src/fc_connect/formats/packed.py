"""A format whose files may be packed: unpacked on the way to its reader."""

from __future__ import annotations

from collections.abc import Collection
from typing import BinaryIO

from fc_connect.formats.base import Format, Records
from fc_connect.formats.compressed import (
    DEFAULT_MAX_RATIO,
    DEFAULT_MAX_UNPACKED_BYTES,
    Compression,
    unpacked,
)

__all__ = ["PackedFormat"]


class PackedFormat:
    """Reads what `inner` reads, packed or not; see `unpacked` for the options."""

    def __init__(
        self,
        inner: Format,
        *,
        compression: Compression = "auto",
        max_unpacked_bytes: int = DEFAULT_MAX_UNPACKED_BYTES,
        max_ratio: float = DEFAULT_MAX_RATIO,
    ) -> None:
        self._inner = inner
        self._compression: Compression = compression
        self._max_bytes = max_unpacked_bytes
        self._max_ratio = max_ratio

    def read(self, stream: BinaryIO, *, path: str, wanted: Collection[str] | None = None) -> Records:
        """Begin to read; bytes of places are those of the unpacked file.

        Raises:
            ParseError: it isn't packed as it should be, or isn't in its format.
        """
        plain = unpacked(
            stream,
            path=path,
            compression=self._compression,
            max_bytes=self._max_bytes,
            max_ratio=self._max_ratio,
        )
        return self._inner.read(plain, path=path, wanted=wanted)
