"""Parquet out: columns and their types from the configuration, every value exact or refused."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, BinaryIO, Final, Literal, Self

import pyarrow as pa
import pyarrow.parquet as pq

from fc_connect.errors import ConfigurationError, FormatError, listed
from fc_connect.formats.parquet_schema import Fit, TypeTextError, column_type

__all__ = ["ParquetRecordWriter", "ParquetWriter"]

_BATCH_ROWS: Final = 1024  # of Python objects, which take ten times the memory
_GROUP_BYTES: Final = 32 << 20


class ParquetWriter:
    """Writes Parquet files with these options; holds no file, may be shared and used again.

    Args:
        schema: the columns, in this order, and the type of each: see `fc_connect.formats.parquet_schema`. All of them
            may be null.
        compression: of the pages.
        row_group_rows: a row group ends at so many records, or at 32 MiB.
        extra: what becomes of a record's keys that are no columns: `refuse` or `ignore`.

    Raises:
        ConfigurationError: names every option whose value can't be used.
    """

    def __init__(
        self,
        *,
        schema: Mapping[str, str],
        compression: Literal["zstd", "snappy", "gzip", "none"] = "zstd",
        row_group_rows: int = 100_000,
        extra: Literal["refuse", "ignore"] = "refuse",
    ) -> None:
        problems = []
        fields: list[Any] = []
        self.fits: dict[str, Fit] = {}
        for name, text in schema.items():
            try:
                kind, self.fits[name] = column_type(text)
            except TypeTextError as exc:
                problems.append(f"schema.{name}: {exc}")
            else:
                fields.append(pa.field(name, kind))
        if not schema:
            problems.append("schema names no column")
        if compression not in {"zstd", "snappy", "gzip", "none"}:
            problems.append(f"compression must be zstd, snappy, gzip or none, not {compression!r}")
        if row_group_rows < 1:
            problems.append(f"row_group_rows must be at least 1, not {row_group_rows}")
        if extra not in {"refuse", "ignore"}:
            problems.append(f"extra must be refuse or ignore, not {extra!r}")
        if problems:
            raise ConfigurationError("Parquet can't be written so:", problems=problems)
        self.schema = pa.schema(fields)
        self.compression = compression
        self.row_group_rows = row_group_rows
        self.extra = extra

    def write(self, stream: BinaryIO) -> ParquetRecordWriter:
        """Begin a file."""
        return ParquetRecordWriter(self, stream)


class ParquetRecordWriter:
    """Writes one file: a row group at a time is in memory."""

    def __init__(self, options: ParquetWriter, stream: BinaryIO) -> None:
        self._options = options
        self._sink = _Sink(stream)
        self._file = pq.ParquetWriter(
            pa.PythonFile(self._sink, mode="w"),
            options.schema,
            compression=options.compression,
            write_page_checksum=True,
        )
        self._rows: list[list[Any]] = []
        self._batches: list[Any] = []
        self._group_rows = self._group_bytes = 0
        self._records = 0
        self._is_open = True

    def write(self, record: Mapping[str, Any]) -> None:
        """Add a record; a column that it lacks is null.

        Raises:
            FormatError: a value isn't of its column's type; the record is left out.
        """
        if not self._is_open:
            raise FormatError("The file is closed: nothing can be added to it.")
        fits = self._options.fits
        row = []
        for name, fit in fits.items():
            value = record.get(name)
            if value is not None:
                try:
                    value = fit(value)
                except FormatError as exc:
                    raise FormatError(f"record {self._records + 1}, column {name!r}: {exc}.") from exc
            row.append(value)
        if self._options.extra == "refuse" and (unknown := record.keys() - fits.keys()):
            raise FormatError(
                f"record {self._records + 1}: the schema has no column {listed(sorted(map(repr, unknown)))}. "
                "Add it there, or set extra to `ignore`."
            )
        self._rows.append(row)
        self._records += 1
        if (
            len(self._rows) >= _BATCH_ROWS
            or self._group_rows + len(self._rows) >= self._options.row_group_rows
        ):
            self._pack()

    def close(self) -> None:
        """Write what ends the file; the caller closes the stream. Twice is no fault."""
        if not self._is_open:
            return
        try:
            self._pack()
            self._end_group()
            self._file.close()
        except BaseException:
            self._abandon()
            raise
        self._is_open = False

    def _pack(self) -> None:
        if not self._rows:
            return
        columns = [
            pa.array(values, field.type)
            for values, field in zip(zip(*self._rows, strict=True), self._options.schema, strict=True)
        ]
        batch = pa.record_batch(columns, schema=self._options.schema)
        self._rows.clear()
        self._batches.append(batch)
        self._group_rows += batch.num_rows
        self._group_bytes += batch.nbytes
        if self._group_rows >= self._options.row_group_rows or self._group_bytes >= _GROUP_BYTES:
            self._end_group()

    def _end_group(self) -> None:
        if self._batches:
            self._file.write_table(pa.Table.from_batches(self._batches), row_group_size=self._group_rows)
            self._batches.clear()
            self._group_rows = self._group_bytes = 0

    def _abandon(self) -> None:
        # The library ends each file that it lets go of; this one would pass for a whole one.
        self._is_open = False
        self._sink.is_deaf = True
        with suppress(Exception):
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self._abandon()


class _Sink:
    """A stream as the library wants one: it asks where it is, and closes what it was given."""

    closed = False

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._at = 0
        self.is_deaf = False

    def write(self, data: Any) -> int:
        size = len(memoryview(data).cast("B"))
        if not self.is_deaf:
            self._stream.write(data)
        self._at += size
        return size

    def tell(self) -> int:
        return self._at

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass
