"""What a format promises: a stream of bytes becomes a stream of records, at constant memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, Protocol

__all__ = ["BadRecord", "Format", "Records"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BadRecord:
    """A record that isn't one: it becomes a reject, and the rest of the file goes on."""

    line: int
    """Where it begins, 1-based."""
    reason: str
    raw: str
    """The text at hand, cut to 1,000 characters."""


class Records(Protocol):
    """The records of one open file, read once."""

    columns: tuple[str, ...] | None
    """Names of the columns where records are positional rows (a `list` each); None where they are dicts."""

    @property
    def line(self) -> int:
        """Where the record that was yielded last begins, 1-based."""
        ...

    def __iter__(self) -> Iterator[Any]:
        """Yield each record in turn: a `list` as long as `columns`, a dict, or a `BadRecord`.

        Raises:
            ParseError: the rest of the file can't be read.
        """
        ...


class Format(Protocol):
    """Reads files of one format."""

    def read(self, stream: BinaryIO, *, path: str) -> Records:
        """Begin to read; `path` is for messages alone.

        Raises:
            ParseError: the file has no header, a wrong encoding, a repeated column.
        """
        ...
