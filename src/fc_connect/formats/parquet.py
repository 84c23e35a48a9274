"""Parquet: typed columns in row groups, read a few rows at a time, and none but the columns that are wanted.

A Parquet file is read from its end, so the stream is first put on disk, in a file without a name. What it says of
itself is looked at before the library believes it; checksums are compared where pages have them.
"""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, Final, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from fc_connect.errors import ConfigurationError, ParseError, listed
from fc_connect.formats.base import BadRecord, Place
from fc_connect.formats.parquet_layout import Chunk, Dictionary, RowGroup, chunk_pages, read_layout
from fc_connect.formats.parquet_types import Conversion, UnreadableTypeError, faults_in
from fc_connect.formats.spooled import spooled

__all__ = ["ParquetFormat", "ParquetRecords"]

DEFAULT_MAX_PAGE_BYTES: Final = 128 << 20
"""A page is 1 MiB as most programs write them."""

_BATCH_ROWS = 1024
_BATCH_BYTES = 8 << 20
_MOST_BATCH_BYTES = 48 << 20  # where every row names the longest values
_SMALL_DICTIONARY = 4 << 10
_BYTE_ARRAY = 6  # Parquet's number of the type, as those of the codecs
_CODECS = {0: None, 1: "snappy", 2: "gzip", 4: "brotli", 6: "zstd", 7: "lz4_raw"}
_READ_BYTES = 1 << 16
_RAW_CHARACTERS = 1000
_MOST_REASONS = 5


class ParquetFormat:
    """Reads Parquet files with these options; holds no file, may be shared and used again.

    Args:
        binary: what columns of bytes hold that aren't said to be text: text all the same, as older programs write
            it (bytes that aren't UTF-8 make a bad record), or anything, to be given as Base64.
        max_page_bytes: more bytes in the largest pages of all columns that are read, unpacked, are an error: one of
            each column lies in memory.

    Raises:
        ConfigurationError: names every option whose value can't be used.
    """

    def __init__(
        self,
        *,
        binary: Literal["text", "base64"] = "text",
        max_page_bytes: int = DEFAULT_MAX_PAGE_BYTES,
    ) -> None:
        problems = []
        if binary not in {"text", "base64"}:
            problems.append(f"binary must be text or base64, not {binary!r}")
        if max_page_bytes < 1:
            problems.append(f"max_page_bytes must be at least 1, not {max_page_bytes}")
        if problems:
            raise ConfigurationError("The Parquet format can't be used:", problems=problems)
        self.binary: Literal["text", "base64"] = binary
        self.max_page_bytes = max_page_bytes

    def read(self, stream: BinaryIO, *, path: str, wanted: Collection[str] | None = None) -> ParquetRecords:
        """Read all of `stream` onto disk, then its schema; the caller closes it.

        Raises:
            ParseError: it isn't a Parquet file, is damaged, names a column twice, or has one that can't be read.
            RunError: the disk is full.
        """
        return ParquetRecords(self, spooled(stream.read, path=path), path=path, wanted=wanted)


class ParquetRecords:
    """The records of one open file, as rows of values; may be iterated over once.

    A record with a value that can't be read is a `BadRecord`; where pages are damaged, the file is refused.
    """

    def __init__(
        self, options: ParquetFormat, file: BinaryIO, *, path: str, wanted: Collection[str] | None
    ) -> None:
        weakref.finalize(self, file.close)
        self._options = options
        self._file = file
        self._path = path
        self._groups = read_layout(file, path=path)
        file.seek(0)
        self._opening: dict[str, Any] = {
            "pre_buffer": False,
            "buffer_size": _READ_BYTES,
            "page_checksum_verification": True,
        }
        with self._errors("its footer"):
            self._parquet = pq.ParquetFile(file, **self._opening)
            self._told: int = self._parquet.metadata.num_rows
            schema = self._parquet.schema_arrow
        names = [str(name) for name in schema.names]
        chosen = self._chosen(names, wanted)
        self.columns: tuple[str, ...] | None = tuple(chosen)
        self._conversion = Conversion(binary=options.binary)
        self._converters = [self._converter(schema.field(name)) for name in chosen]
        self.nested: frozenset[str] = frozenset(
            name for name in chosen if pa.types.is_nested(_stored(schema.field(name).type))
        )
        self.counts: Literal["line", "record"] = "record"
        self._record = 0
        with self._errors("its footer"):
            leaves = [self._parquet.schema.column(i) for i in range(len(self._parquet.schema))]
        self._all_leaves = len(leaves)
        tops = tuple(f"{name}." for name in chosen)
        self._leaves = [
            i for i, leaf in enumerate(leaves) if leaf.path in chosen or leaf.path.startswith(tops)
        ]
        self._paths = [leaves[i].path for i in self._leaves]
        self._has_int96 = any(leaves[i].physical_type == "INT96" for i in self._leaves)

    @property
    def position(self) -> int:
        """Number of the record that was yielded last, 1-based; 0 before the first."""
        return self._record

    def place(self) -> Place:
        """Return which record was yielded last."""
        return Place(record=self._record)

    def __iter__(self) -> Iterator[Any]:
        try:
            for number, group in enumerate(self._groups):
                for rows in self._batches_of(number, group):
                    for row in rows:  # nearly all of the time goes by here
                        self._record += 1
                        yield row
            if self._record != (self._told or self._record):  # some programs leave it at 0
                raise ParseError(
                    f"holds {self._record:,} records, and should hold {self._told:,}. Have it sent again.",
                    path=self._path,
                )
        finally:
            self._file.close()

    # Columns

    def _chosen(self, names: list[str], wanted: Collection[str] | None) -> list[str]:
        if not names:
            raise ParseError("has no columns.", path=self._path)
        if repeated := [repr(name) for name, count in Counter(names).items() if count > 1]:
            raise ParseError(f"has several columns of the same name: {listed(repeated)}.", path=self._path)
        if wanted is None:
            return names
        chosen = [name for name in names if name in wanted]
        if any(not _is_part(name, chosen) for name in wanted):
            return names  # one isn't there: whoever says so should see all that are
        return chosen or names[:1]  # of one column at least, to know how many records there are

    def _converter(self, field: Any) -> Any:
        try:
            return self._conversion.of(field.type)
        except UnreadableTypeError as exc:
            raise ParseError(
                f"column {field.name!r} is of a type that can't be read: {exc}. Have it written as another, "
                "or left out.",
                path=self._path,
            ) from exc

    # Rows

    def _batches_of(self, number: int, group: RowGroup) -> Iterator[Iterator[Any]]:
        where = f"row group {number + 1}"
        size = self._batch_rows(group, where)
        begin = self._record
        for batch, microseconds in self._batches(number, size, where):
            with self._errors(where):
                batch.validate()
                columns = [
                    convert(batch.column(name), None if microseconds is None else microseconds.column(name))
                    for name, convert in zip(self.columns or (), self._converters, strict=True)
                ]
            rows = map(list, zip(*columns, strict=True))
            yield map(self._judged, rows) if self._conversion.has_faults else rows
            self._conversion.has_faults = False
        if self._record - begin != group.rows:
            raise ParseError(
                f"{where} holds {self._record - begin:,} records, and should hold {group.rows:,}. "
                "Have it sent again.",
                path=self._path,
            )

    def _judged(self, row: list[Any]) -> list[Any] | BadRecord:
        """Return a row, or what is wrong with it."""
        named = list(zip(self.columns or (), row, strict=True))
        reasons = [f"column {name!r} {fault.reason}" for name, value in named for fault in faults_in(value)]
        if not reasons:
            return row
        raw = ", ".join(f"{name}: {_shown(value)}" for name, value in named)[:_RAW_CHARACTERS]
        return BadRecord(
            place=Place(record=self._record + 1), reason="; ".join(reasons[:_MOST_REASONS]), raw=raw
        )

    def _batches(self, group: int, size: int, where: str) -> Iterator[tuple[Any, Any]]:
        def batches(**options: Any) -> Iterator[Any]:
            with self._errors(where):
                opened = self._parquet
                if options:
                    opened = pq.ParquetFile(self._file, **self._opening, **options)
                found = opened.iter_batches(
                    batch_size=size, row_groups=[group], columns=self._paths, use_threads=False
                )
            while True:
                with self._errors(where):
                    batch = next(found, None)
                if batch is None:
                    return
                yield batch

        if not self._has_int96:
            for batch in batches():
                yield batch, None
            return
        # Nanoseconds since 1970 fit in 64 bits for 292 years alone, so a library makes 1816 of the year 9999.
        with self._errors(where):
            yield from zip(batches(), batches(coerce_int96_timestamp_unit="us"), strict=True)

    def _batch_rows(self, group: RowGroup, where: str) -> int:
        """Look at the size of the pages, and return how many rows to read at once."""
        if len(group.chunks) != self._all_leaves:
            raise ParseError(
                f"{where} has {len(group.chunks)} columns where there should be {self._all_leaves}. "
                "Have it sent again.",
                path=self._path,
            )
        pages = 0
        row_bytes = longest_row = 0.0
        for leaf, name in zip(self._leaves, self._paths, strict=True):
            chunk, of_column = group.chunks[leaf], f"{where}, column {name!r}"
            found = chunk_pages(
                self._file, start=chunk.start, values=chunk.values, where=of_column, path=self._path
            )
            pages += found.largest
            if pages > self._options.max_page_bytes:
                raise ParseError(
                    f"{of_column}: a page of {found.largest:,} bytes, and with those of other columns more than "
                    f"max_page_bytes ({self._options.max_page_bytes:,}) allows. Have it written with smaller "
                    "pages, or raise it.",
                    path=self._path,
                )
            rows, per_row = max(group.rows, 1), max(chunk.values / max(group.rows, 1), 1)
            row_bytes += chunk.unpacked / rows
            if found.dictionary is not None:
                # One value may stand for each row: a few bytes that unpack to gigabytes.
                average, longest = self._dictionary_values(chunk, found.dictionary)
                row_bytes += average * per_row
                longest_row += longest * per_row
        fitting = min(_BATCH_BYTES / max(row_bytes, 1), _MOST_BATCH_BYTES / max(longest_row, 1))
        return int(max(1, min(_BATCH_ROWS, fitting)))

    def _dictionary_values(self, chunk: Chunk, dictionary: Dictionary) -> tuple[float, float]:
        """Return how many bytes a value has on average, and at most."""
        average = dictionary.unpacked / max(dictionary.values, 1)
        if chunk.type != _BYTE_ARRAY:
            return average, average
        if dictionary.unpacked <= _SMALL_DICTIONARY or chunk.codec not in _CODECS:
            return average, dictionary.unpacked
        self._file.seek(dictionary.at)
        data = self._file.read(dictionary.packed)
        try:
            if codec := _CODECS[chunk.codec]:
                data = pa.decompress(data, dictionary.unpacked, codec, asbytes=True)
        except (pa.ArrowException, OSError, ValueError):
            return average, dictionary.unpacked  # the library will say what is wrong
        longest = at = 0
        while at + 4 <= len(data):
            length = int.from_bytes(data[at : at + 4], "little")
            longest = max(longest, length)
            at += 4 + length
        return average, min(longest, dictionary.unpacked)

    @contextmanager
    def _errors(self, where: str) -> Iterator[None]:
        try:
            yield
        except (pa.ArrowException, OSError, ValueError, MemoryError) as exc:
            told = (str(exc).strip().splitlines() or [type(exc).__name__])[0][:300]
            raise ParseError(f"{where} can't be read: {told}. Have it sent again.", path=self._path) from exc


def _is_part(name: str, columns: Collection[str]) -> bool:
    """Say whether a column has this name, or one that a path of this name leads into."""
    return any(name == each or name.startswith(each) or each.startswith(name) for each in columns)


def _stored(kind: Any) -> Any:
    return kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind


def _shown(value: Any) -> str:
    return "?" if next(faults_in(value), None) is not None else str(value)[:_RAW_CHARACTERS]
