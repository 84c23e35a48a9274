"""How a Parquet file lies on disk, as far as it must be known before a library may read it.

The library believes what a file says of itself: a page that announces 2 GB is given 2 GB. And it ends the process where
columns are encrypted and the footer isn't. So the frame, the footer, and the header of every page that will be read are
looked at first. All of it is in the compact protocol of Thrift
(https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md); the structs are those of
https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

from fc_connect.errors import ParseError

__all__ = ["Chunk", "ChunkPages", "Dictionary", "RowGroup", "chunk_pages", "read_layout"]

_MAGIC: Final = b"PAR1"
_ENCRYPTED: Final = b"PARE"
_MAX_FOOTER: Final = 16 << 20
_MAX_SCHEMA: Final = 20_000  # columns, and objects around them
_MAX_HEADER: Final = 1 << 20  # of a page; it may hold the least and the greatest value


class _MalformedError(ValueError):
    """The bytes aren't what Thrift writes, or not what Parquet has there."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """One column in one row group."""

    type: int
    """Physical, by Parquet's numbers."""
    codec: int
    """Likewise."""
    start: int
    """Byte where its first page begins."""
    values: int
    unpacked: int
    """Bytes of all its pages."""


@dataclass(frozen=True, slots=True)
class RowGroup:
    """Some of the rows, as the footer says."""

    rows: int
    chunks: tuple[Chunk, ...]


def read_layout(file: BinaryIO, *, path: str) -> tuple[RowGroup, ...]:
    """Return what row groups a file says it has.

    Raises:
        ParseError: it is no Parquet file, is cut off or encrypted, or its footer is damaged.
    """
    footer = _footer(file, path)
    thrift = _Thrift(footer)
    groups: tuple[RowGroup, ...] = ()
    try:
        for number, kind in thrift.fields():
            if number == 2 and (count := thrift.peek_count()) > _MAX_SCHEMA:
                raise ParseError(f"has {count:,} columns; at most {_MAX_SCHEMA:,} are read.", path=path)
            if number == 4:
                groups = tuple(_group(each) for each in thrift.items(kind))
            elif number == 8:  # the footer is plain, but columns aren't
                raise ParseError("is encrypted. Have it sent without.", path=path)
            else:
                thrift.value(kind)
    except _MalformedError as exc:
        raise ParseError(f"has a damaged footer ({exc}). Have it sent again.", path=path) from exc
    except IndexError as exc:
        raise ParseError("has a damaged footer (it ends too early). Have it sent again.", path=path) from exc
    return groups


def _group(struct: Any) -> RowGroup:
    columns = struct.get(1) if isinstance(struct, dict) else None
    if not isinstance(columns, list):
        raise _MalformedError("a row group without columns")
    return RowGroup(_size(struct, 3), tuple(map(_chunk, columns)))


def _chunk(struct: Any) -> Chunk:
    meta = struct.get(3) if isinstance(struct, dict) else None
    if not isinstance(meta, dict):
        raise _MalformedError("a column without its pages")
    start = _size(meta, 9)
    dictionary = meta.get(11, 0)
    if isinstance(dictionary, int) and 0 < dictionary < start:  # 0 is written for none
        start = dictionary
    return Chunk(_size(meta, 1), _size(meta, 4), start, _size(meta, 5), _size(meta, 6))


def _footer(file: BinaryIO, path: str) -> bytes:
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    head = file.read(4)
    if not head:
        raise ParseError("is empty: even a Parquet file of no records isn't.", path=path)
    if head not in {_MAGIC, _ENCRYPTED}:
        raise ParseError(f"isn't a Parquet file: it begins with {head!r}, not {_MAGIC!r}.", path=path)
    file.seek(max(size - 8, 0))
    tail = file.read(8)
    if head == _ENCRYPTED or tail[4:] == _ENCRYPTED:
        raise ParseError("is encrypted. Have it sent without.", path=path)
    if size < 12 or tail[4:] != _MAGIC:
        raise ParseError(
            f"is cut off, or isn't a Parquet file: it should end with {_MAGIC!r}, and ends with {tail[4:]!r} "
            f"at byte {size:,}. Have it sent again.",
            path=path,
        )
    length = int.from_bytes(tail[:4], "little")
    if length > size - 12:
        raise ParseError(
            f"is damaged: its footer should be {length:,} bytes long, and the file has {size:,}. "
            "Have it sent again.",
            path=path,
        )
    if length > _MAX_FOOTER:
        raise ParseError(
            f"has a footer of {length:,} bytes; at most {_MAX_FOOTER:,} are read. "
            "Have it written with larger row groups, or as several files.",
            path=path,
        )
    file.seek(size - 8 - length)
    return file.read(length)


@dataclass(frozen=True, slots=True)
class Dictionary:
    """A page of values that other pages name by number."""

    at: int
    """Byte where it begins, behind its header."""
    packed: int
    unpacked: int
    values: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkPages:
    """The pages of one column in one row group."""

    largest: int
    """Bytes, unpacked."""
    dictionary: Dictionary | None


def chunk_pages(file: BinaryIO, *, start: int, values: int, where: str, path: str) -> ChunkPages:
    """Walk over the headers of the pages from byte `start` on, until they hold so many values.

    Raises:
        ParseError: one can't be read, or lies beyond the end of the file.
    """
    size = file.seek(0, io.SEEK_END)
    largest = seen = 0
    dictionary = None
    at = start
    while seen < values:
        try:
            header, length = _page_header(file, at)
            unpacked, packed = _size(header, 2), _size(header, 3)
            data = header.get(5) or header.get(8)
            if data is not None:
                seen += _size(data, 1)
            elif 7 in header:
                dictionary = Dictionary(at + length, packed, unpacked, _size(header[7], 1))
        except _MalformedError as exc:
            raise ParseError(
                f"{where}: the header of a page at byte {at:,} is damaged ({exc}). Have it sent again.",
                path=path,
            ) from exc
        at += length + packed
        if at > size:
            raise ParseError(
                f"{where}: a page ends at byte {at:,}, and the file at {size:,}. Have it sent again.",
                path=path,
            )
        largest = max(largest, unpacked, packed)
    return ChunkPages(largest=largest, dictionary=dictionary)


def _page_header(file: BinaryIO, at: int) -> tuple[dict[int, Any], int]:
    """Return a page's header, and how many bytes it takes."""
    window = 256
    while True:
        file.seek(at)
        data = file.read(window)
        try:
            thrift = _Thrift(data)
            return thrift.struct(), thrift.at
        except IndexError as exc:
            if len(data) < window or window >= _MAX_HEADER:
                raise _MalformedError("it doesn't end") from exc
            window *= 16


def _size(struct: Any, field: int) -> int:
    value = struct.get(field) if isinstance(struct, dict) else None
    if not isinstance(value, int) or value < 0:
        raise _MalformedError(f"field {field} is {value!r}")
    return value


class _Thrift:
    """Reads values of the compact protocol; IndexError where the bytes end too early."""

    _DEPTH = 16  # of structs in structs: those of Parquet need six

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0

    def struct(self, depth: int = 0) -> dict[int, Any]:
        """Read a struct, by the numbers of its fields."""
        if depth > self._DEPTH:
            raise _MalformedError("structs are nested too deeply")
        return {number: self.value(kind, depth) for number, kind in self.fields()}

    def fields(self) -> Iterator[tuple[int, int]]:
        """Yield the number and the type of each field; whoever asks for the next has read its value."""
        number = 0
        while head := self._byte():
            number = number + (head >> 4) if head >> 4 else self._zigzag()
            yield number, head & 0x0F

    def value(self, kind: int, depth: int = 0) -> Any:
        """Read a value of a field."""
        if kind in {1, 2}:
            return kind == 1
        if kind == 3:
            return self._byte()
        if kind in {4, 5, 6}:
            return self._zigzag()
        if kind == 7:
            return self._bytes(8)
        if kind == 8:
            return self._bytes(self._varint())
        if kind in {9, 10}:
            return list(self.items(kind, depth))
        if kind == 12:
            return self.struct(depth + 1)
        raise _MalformedError(f"a value of type {kind}")

    def items(self, kind: int, depth: int = 0) -> Iterator[Any]:
        """Yield each value of a list."""
        if kind not in {9, 10}:
            raise _MalformedError(f"no list, but a value of type {kind}")
        head = self._byte()
        count = head >> 4 if head >> 4 < 15 else self._varint()
        inner = head & 0x0F
        for _ in range(count):
            yield self._byte() if inner in {1, 2} else self.value(inner, depth + 1)

    def peek_count(self) -> int:
        """Return how many values the list has that is read next."""
        at, head = self.at, self._byte()
        count = head >> 4 if head >> 4 < 15 else self._varint()
        self.at = at
        return count

    def _byte(self) -> int:
        value = self._data[self.at]
        self.at += 1
        return value

    def _bytes(self, size: int) -> bytes:
        if size > len(self._data) - self.at:
            raise IndexError
        self.at += size
        return self._data[self.at - size : self.at]

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7
            if shift > 63:
                raise _MalformedError("a number of too many bytes")

    def _zigzag(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)
