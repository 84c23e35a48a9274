"""CSV (RFC 4180 and its everyday relatives): rows out, at constant memory, values untouched.

What the file says is what comes out: no trimming, no guessing of types. A row of the wrong length, or a quote that
is never closed, is told, never mended.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

from fc_connect.errors import ConfigurationError, ParseError
from fc_connect.formats.base import BadRecord, Records

__all__ = ["CSVFormat"]

_RAW = 1000  # characters of a bad row that are kept


class CSVFormat:
    """Reads CSV files.

    The first line names the columns, unless `columns` does. Blank lines are left out. Names are trimmed, values are
    not. A field may hold `max_field_bytes` characters: what is longer is nearly always a quote that was never closed.

    Raises:
        ConfigurationError: an option can't be used; all of them are named.
    """

    def __init__(
        self,
        *,
        delimiter: str = ",",
        quotechar: str = '"',
        encoding: str = "utf-8",
        columns: Sequence[str] | None = None,
        max_field_bytes: int = 1024 * 1024,
    ) -> None:
        problems = []
        for name, value in (("delimiter", delimiter), ("quotechar", quotechar)):
            if len(value) != 1 or value in "\r\n\0":
                problems.append(f"{name} must be one character, not {value!r}")
        if delimiter == quotechar:
            problems.append("delimiter and quotechar must differ")
        try:
            codec = codecs.lookup(encoding).name
        except LookupError:
            problems.append(f"there is no encoding {encoding!r}; usual ones: utf-8, latin-1, cp1252, utf-16")
            codec = "utf-8"
        if columns is not None:
            problems += _problems_of(columns)
        if problems:
            raise ConfigurationError("The CSV format can't be used:", problems=problems)
        self._delimiter = delimiter
        self._quotechar = quotechar
        # With a mark at the start of the file, "utf-8-sig" leaves it out; without one it is plain UTF-8.
        self._encoding = "utf-8-sig" if codec == "utf-8" else codec
        self._columns = None if columns is None else tuple(columns)
        self._limit = max_field_bytes

    def read(self, stream: BinaryIO, *, path: str) -> Records:
        return _CSVRecords(self, stream, path)


class _CSVRecords:
    """One open file. `line` is where the row that was yielded last begins."""

    def __init__(self, form: CSVFormat, stream: BinaryIO, path: str) -> None:
        self._path = path
        self._form = form
        self._encoding = form._encoding
        # newline="": the csv module sees line ends as they are, inside quotes too.
        self._text = io.TextIOWrapper(stream, encoding=form._encoding, errors="strict", newline="")
        csv.field_size_limit(max(csv.field_size_limit(), form._limit))
        self._reader = csv.reader(
            self._text, delimiter=form._delimiter, quotechar=form._quotechar, strict=True
        )
        self._before = 0
        header = form._columns
        if header is None:
            first = next((row for row in self._rows() if row), None)
            if first is None:
                raise ParseError("is empty: a line with the names of the columns was expected", path=path)
            header = tuple(name.strip() for name in first)
            problems = _problems_of(header)
            if problems:
                raise ParseError(
                    f"the header can't be used: {'; '.join(problems)}", path=path, line=self.line
                )
        self.columns: tuple[str, ...] | None = header

    @property
    def line(self) -> int:
        return self._before + 1

    def __iter__(self) -> Iterator[Any]:
        columns = self.columns or ()
        width = len(columns)
        for row in self._rows():
            if len(row) == width:
                yield row
            elif row:
                yield BadRecord(
                    line=self.line,
                    reason=f"has {len(row)} fields; the header has {width} columns",
                    raw=self._form._delimiter.join(row)[:_RAW],
                )

    def _rows(self) -> Iterator[list[str]]:
        reader = self._reader
        begins = reader.line_num
        try:
            for row in reader:
                self._before = begins
                yield row
                begins = reader.line_num
        except UnicodeDecodeError as exc:
            raise ParseError(
                f"isn't {self._encoding.removesuffix('-sig')}: byte 0x{exc.object[exc.start]:02x} "
                f"({exc.reason}), in this line or soon after. Set `format: {{encoding: …}}` to the file's encoding "
                "(often cp1252 or latin-1).",
                path=self._path,
                line=begins + 1,
            ) from exc
        except UnicodeError as exc:
            raise ParseError(
                f"isn't {self._encoding}: {exc}. Set `format: {{encoding: …}}` to the file's encoding.",
                path=self._path,
                line=begins + 1,
            ) from exc
        except csv.Error as exc:
            raise ParseError(f"{_explained(str(exc))}", path=self._path, line=begins + 1) from exc


def _explained(message: str) -> str:
    if "unexpected end of data" in message or "field larger than" in message:
        return "a quote opens a field that is never closed; the row begins at this line"
    if "NUL" in message:
        return "holds a NUL byte: it isn't text, or is in another encoding (UTF-16?)"
    return f"isn't valid CSV: {message}"


def _problems_of(names: Sequence[str]) -> list[str]:
    problems = []
    repeated = [name for name, count in Counter(names).items() if count > 1 and name]
    if repeated:
        problems.append(f"columns appear more than once: {', '.join(map(repr, repeated))}")
    empty = [str(number) for number, name in enumerate(names, 1) if not name]
    if empty:
        problems.append(f"column {', '.join(empty)} has no name")
    return problems
