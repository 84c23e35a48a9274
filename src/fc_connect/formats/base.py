"""What a format promises: a stream of bytes becomes a stream of records and back, at constant memory."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, BinaryIO, Literal, Protocol, Self

__all__ = ["BadRecord", "Format", "Place", "RecordWriter", "Records", "WriteFormat"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a record begins, as far as its format can tell."""

    line: int | None = None
    """1-based."""
    record: int | None = None
    """Its number in the file, 1-based, where a line doesn't tell it from others (JSON, XML, Parquet)."""
    byte: int | None = None
    """Offset in the file as the parser read it: unpacked, where it was compressed."""

    def __str__(self) -> str:
        parts = [f"record {self.record}"] if self.record is not None else []
        parts += [f"line {self.line}"] if self.line is not None else []
        return ", ".join(parts) or f"byte {self.byte}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BadRecord:
    """A record that isn't one: it becomes a reject, and the rest of the file goes on."""

    place: Place
    reason: str
    raw: str
    """The text at hand, cut to 1,000 characters."""


class Records(Protocol):
    """The records of one open file, read once."""

    columns: tuple[str, ...] | None
    """Names of the columns where records are positional rows (a `list` each); None where they are dicts."""

    nested: frozenset[str]
    """Those of `columns` whose values may be objects and lists; all others hold one value."""

    counts: Literal["line", "record"]
    """What `position` is."""

    @property
    def position(self) -> int:
        """Line, or number, of the record that was yielded last, 1-based; 0 before the first. Cheap."""
        ...

    def place(self) -> Place:
        """Return where the record that was yielded last begins, for a message: it may take a while."""
        ...

    def __iter__(self) -> Iterator[Any]:
        """Yield each record in turn: a `list` as long as `columns`, a dict, or a `BadRecord`.

        Raises:
            ParseError: the rest of the file can't be read.
        """
        ...


class Format(Protocol):
    """Reads files of one format with its options; holds no file, may be shared and used again."""

    def read(self, stream: BinaryIO, *, path: str, wanted: Collection[str] | None = None) -> Records:
        """Begin to read; the caller closes `stream`. `path` is for messages alone.

        `wanted` names all that will be looked at of a record, at its top level (None: anything): a format that
        keeps its columns apart reads no others.

        Raises:
            ParseError: the file has no header, a wrong encoding, a repeated column.
        """
        ...


class RecordWriter(Protocol):
    """Writes the records of one file. As a context manager it finishes the file, unless the body fails."""

    def write(self, record: Mapping[str, Any]) -> None:
        """Add a record.

        Raises:
            FormatError: the format can't hold one of its values; says which. The file stays as it was.
        """
        ...

    def close(self) -> None:
        """Write what ends the file; the caller closes the stream. Twice is no fault."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class WriteFormat(Protocol):
    """Writes files of one format with its options; holds no file, may be shared and used again."""

    def write(self, stream: BinaryIO) -> RecordWriter:
        """Begin a file."""
        ...
