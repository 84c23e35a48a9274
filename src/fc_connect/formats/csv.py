"""CSV: one header line, then one record per line, read a block at a time.

The grammar is that of RFC 4180 (https://www.rfc-editor.org/rfc/rfc4180) as Python's `csv` reads it in strict
mode: a quote inside a quoted value is doubled, or follows the escape character; quotes within a value that doesn't
begin with one are text (`5" pipe`). Values are never changed: no trimming, no numbers, no nulls. Only the header's
names are trimmed.
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator, Sequence
from itertools import chain
from typing import Any, BinaryIO, Final, Literal

from fc_connect.errors import ConfigurationError, ParseError, listed
from fc_connect.formats.base import BadRecord, Place
from fc_connect.formats.csv_dialect import STAND_IN, CSVDialect, problems_of_names
from fc_connect.formats.text import LineBlocks, text_encoding

__all__ = ["CSVFormat", "CSVRecords"]

DEFAULT_MAX_FIELD_BYTES: Final = 131_072
"""As Python's `csv`. Enough for any value; an unclosed quote is noticed before it swallows the file."""

DEFAULT_MAX_COLUMNS: Final = 10_000
"""More than any spreadsheet that people make; a header of a million names is no header."""

_RAW_CHARACTERS = 1000


class CSVFormat:
    """Reads CSV files with these options; holds no file, may be shared and used again.

    Args:
        delimiter: between two values; one character or several.
        quotechar: one character around values that hold delimiters, quotes or line ends; None: there is none,
            and every quote is text.
        escapechar: one character that takes the meaning from a quote, a delimiter or itself right after it;
            before anything else it is text.
        encoding: by Python's name. A byte order mark is left out, and one that contradicts it is an error.
        columns: names, for files whose first line is a record already.
        required: columns without which a file is refused.
        skip_rows: lines before the header, or before the first record where `columns` are given.
        comment: what lines begin with that are left out; not inside a quoted value.
        skip_blank_lines: leave out empty lines, and lines of white space alone where there are several
            columns; otherwise each is a bad record.
        max_field_bytes: a longer value (counted in characters, as Python's `csv` does) is an error.
        max_columns: a header of more columns is an error, and a record of more values is a bad one.

    Raises:
        ConfigurationError: names every option whose value can't be used.
    """

    def __init__(
        self,
        *,
        delimiter: str = ",",
        quotechar: str | None = '"',
        escapechar: str | None = None,
        encoding: str = "utf-8",
        columns: Sequence[str] | None = None,
        required: Sequence[str] = (),
        skip_rows: int = 0,
        comment: str | None = None,
        skip_blank_lines: bool = True,
        max_field_bytes: int = DEFAULT_MAX_FIELD_BYTES,
        max_columns: int = DEFAULT_MAX_COLUMNS,
    ) -> None:
        self.dialect = CSVDialect(delimiter=delimiter, quotechar=quotechar, escapechar=escapechar)
        problems = list(self.dialect.problems())
        if columns is not None:
            problems += [f"columns: {problem}" for problem in problems_of_names(columns, max_columns)]
            if missing := [name for name in required if name not in columns]:
                problems.append(f"required: not among columns: {listed(missing)}")
        if comment is not None and (
            not comment or comment[0] in {quotechar, escapechar} or any(each in comment for each in "\r\n\0")
        ):
            problems.append(f"comment must be what lines begin with, and not with a quote: {comment!r}")
        if skip_rows < 0:
            problems.append(f"skip_rows must be at least 0, not {skip_rows}")
        problems += [
            f"{name} must be at least 1, not {value}"
            for name, value in (("max_field_bytes", max_field_bytes), ("max_columns", max_columns))
            if value < 1
        ]
        try:
            self.encoding = text_encoding(encoding)
        except ConfigurationError as exc:
            problems.append(f"encoding: {exc}")
        if problems:
            raise ConfigurationError("The CSV format can't be used:", problems=problems)
        self.columns = None if columns is None else tuple(columns)
        self.required = tuple(required)
        self.skip_rows = skip_rows
        self.comment = comment
        self.skip_blank_lines = skip_blank_lines
        self.max_field_bytes = max_field_bytes
        self.max_columns = max_columns

    def read(self, stream: BinaryIO, *, path: str, wanted: Collection[str] | None = None) -> CSVRecords:
        """Read the header and return the records, which go on to read `stream`; the caller closes it.

        Raises:
            ParseError: no header line, a column without a name or named twice, a required one that isn't there,
                a wrong encoding.
        """
        return CSVRecords(self, stream, path=path)


class CSVRecords:
    """The records of one open file, as lists of text; may be iterated over once.

    A record with too few or too many values, or with broken quotes on its one line, is a `BadRecord`.
    Where broken quotes leave it open where the next record begins, the file is refused, not guessed at.
    """

    def __init__(self, options: CSVFormat, stream: BinaryIO, *, path: str) -> None:
        self._options = options
        self._path = path
        limit = options.max_field_bytes
        if csv.field_size_limit() < limit:
            csv.field_size_limit(limit)  # of the whole process, so it is only ever raised
        self._checks_size = csv.field_size_limit() > limit
        self._max_record = max(limit, DEFAULT_MAX_FIELD_BYTES) * 8
        self._source = LineBlocks(
            stream, encoding=options.encoding, path=path, max_line_chars=self._max_record
        )
        self._lines: list[str] = []  # as read, from the first of the record in progress on
        self._lines_start = 1  # line number of the first of them
        self._known = (1, 0)  # a line among them, and the byte where it begins
        self._ended = False
        self._begin = 1  # line where the record in progress begins
        self._line = 0
        self._left_out = 0  # line of the last comment
        self._broken_at: int | None = None
        lines: Iterator[str] = chain.from_iterable(self._blocks())
        if options.comment is not None:
            lines = self._without_comments(lines, options.dialect.prepared(options.comment))
        self._reader = csv.reader(lines, **options.dialect.for_csv)
        self.columns: tuple[str, ...] | None = options.columns or self._read_header()
        self._width = len(self.columns)
        self.nested: frozenset[str] = frozenset()
        self.counts: Literal["line", "record"] = "line"

    @property
    def position(self) -> int:
        """Line where the record that was yielded last begins, 1-based; 0 before the first."""
        return self._line

    def place(self) -> Place:
        """Return where the record that was yielded last begins."""
        line, byte = self._known
        start = self._lines_start
        first, last = sorted((line, self._line))
        between = self._source.size("".join(self._lines[first - start : last - start]))
        if between is None:
            return Place(line=self._line)
        byte += between if self._line > line else -between
        self._known = (self._line, byte)  # so that many bad records don't measure the same lines again
        return Place(line=self._line, byte=byte)

    def __iter__(self) -> Iterator[Any]:
        reader, width = self._reader, self._width
        is_plain = not self._checks_size and len(self._options.dialect.delimiter) == 1
        rows: Iterator[list[str]] = reader if is_plain else self._careful_rows()
        while True:
            try:
                # Nearly all of the time to read a file goes by in this loop: it looks at place and width alone.
                for row in rows:
                    self._line = self._begin
                    self._begin = reader.line_num + 1
                    if len(row) == width:
                        yield row
                    elif (judged := self._judged(row)) is not None:
                        yield judged
                return
            except csv.Error as exc:
                bad = self._broken(exc)
            yield bad
            rows = self._careful_rows()

    def _blocks(self) -> Iterator[list[str]]:
        for lines in self._source:
            # The record in progress may go on in this block; its text is wanted if it turns out bad.
            kept = self._lines[self._begin - self._lines_start :]
            self._lines_start = self._begin
            if sum(map(len, kept)) > self._max_record:
                raise self._too_long()
            self._lines = kept + lines if kept else lines
            line = self._begin + len(kept)
            self._known = (line, self._source.offset)
            yield self._prepared(lines, line)
        self._ended = True

    def _prepared(self, lines: list[str], line: int) -> list[str]:
        """Return what csv.reader is to have of `lines`, the first of which is number `line`: as many of them."""
        if (skipped := min(self._options.skip_rows + 1 - line, len(lines))) > 0:
            lines = ["\n"] * skipped + lines[skipped:]
        dialect = self._options.dialect
        if not dialect.prepares:
            return lines
        if len(dialect.delimiter) > 1:
            for number, each in enumerate(lines, line):
                if STAND_IN in each:
                    raise ParseError(
                        "holds U+FDD0, which no text should: with a delimiter of several characters it can't be read.",
                        path=self._path,
                        line=number,
                        column=each.index(STAND_IN) + 1,
                    )
        return list(map(dialect.prepared, lines))

    def _without_comments(self, lines: Iterator[str], comment: str) -> Iterator[str]:
        """Put a blank line for each comment, so that csv.reader goes on counting."""
        for line in lines:
            # csv.reader asks for the next line where a record begins, or goes on.
            if line.startswith(comment) and self._reader.line_num < self._begin:
                self._left_out = self._begin
                yield "\n"
            else:
                yield line

    def _is_left_out(self, line: int) -> bool:
        return line == self._left_out or line <= self._options.skip_rows

    def _careful_rows(self) -> Iterator[list[str]]:
        """Do what the quick loop doesn't: the size of values, long delimiters, stray quotes once some were broken."""
        limit, dialect = self._options.max_field_bytes, self._options.dialect
        for row in map(dialect.restored, self._reader):
            if self._checks_size and row and max(map(len, row)) > limit:
                raise self._too_long()
            if row and self._broken_at is not None:
                lines = self._record_lines(self._begin)
                if not dialect.is_proper("".join(map(dialect.prepared, lines))):
                    # It may be the tail of the broken value rather than a record: `end",5` after `"a "b`.
                    raise self._error(
                        f"stray quotes after the broken ones of line {self._broken_at} leave it open where a "
                        "record begins. Have the quotes inside quoted values doubled."
                    )
            yield row

    def _judged(self, row: list[str]) -> list[str] | BadRecord | None:
        """Say what a row of the wrong width is; None: a blank line to leave out."""
        if not row or (len(row) == 1 and row[0].isspace()):
            if not row and self._is_left_out(self._line):
                return None
            if self._options.skip_blank_lines:
                return None
            if not row and self._width == 1:
                return [""]
        reason = f"has {len(row)} {'value' if len(row) == 1 else 'values'} where {self._width} are expected"
        return BadRecord(place=self.place(), reason=reason, raw=self._cut_raw(self._line))

    def _broken(self, exc: csv.Error) -> BadRecord:
        """Turn what stopped csv.reader into a reject if the next line begins a record for certain."""
        if self._ended:
            raise self._error("a quoted value that begins here is never closed.") from exc
        if len(self._raw(self._begin)) > csv.field_size_limit():
            raise self._too_long() from exc
        if self._reader.line_num > self._begin:
            raise self._error(
                "a quoted value that begins here isn't closed before "
                f"line {self._reader.line_num}, or holds quotes that aren't doubled ({exc})."
            ) from exc
        self._line = self._broken_at = self._begin
        self._begin = self._reader.line_num + 1
        reason = f"has broken quotes: quotes inside a quoted value must be doubled ({exc})"
        return BadRecord(place=self.place(), reason=reason, raw=self._cut_raw(self._line))

    def _read_header(self) -> tuple[str, ...]:
        try:
            for row in self._reader:
                line, self._begin = self._begin, self._reader.line_num + 1
                if not row and self._is_left_out(line):
                    continue
                if not any(map(str.strip, row)) and len(row) <= 1 and self._options.skip_blank_lines:
                    continue
                names = tuple(map(str.strip, self._options.dialect.restored(row)))
                if problems := problems_of_names(names, self._options.max_columns):
                    raise ParseError(
                        f"header: {'; '.join(problems)}. Or give the names by `columns`, and `skip_rows: {line}`.",
                        path=self._path,
                        line=line,
                    )
                if missing := [name for name in self._options.required if name not in names]:
                    raise ParseError(
                        f"header: lacks {listed(list(map(repr, missing)))}; there is "
                        f"{listed(list(map(repr, names)))}. Is the delimiter {self._options.dialect.delimiter!r}?",
                        path=self._path,
                        line=line,
                    )
                return names
        except csv.Error as exc:
            raise self._error(f"the header line has broken quotes ({exc}).") from exc
        skipped = self._options.skip_rows
        after = f" after the {skipped:,} lines of skip_rows" if skipped else ""
        raise ParseError(f"is empty: expected a header line{after}.", path=self._path, line=1)

    def _record_lines(self, begin: int) -> list[str]:
        """Return the lines from `begin` to the one that csv.reader took last."""
        start = self._lines_start
        return self._lines[begin - start : self._reader.line_num + 1 - start]

    def _raw(self, begin: int) -> str:
        return "".join(self._record_lines(begin))

    def _cut_raw(self, begin: int) -> str:
        return self._raw(begin).rstrip("\r\n")[:_RAW_CHARACTERS]

    def _too_long(self) -> ParseError:
        limit = self._options.max_field_bytes
        return self._error(
            f"a value of more than {limit:,} characters. Is a quote not closed? If not, raise max_field_bytes."
        )

    def _error(self, message: str) -> ParseError:
        return ParseError(message, path=self._path, line=self._begin)
