"""CSV out: RFC 4180, the columns from the configuration, nothing that a spreadsheet would run.

A file holds text alone, so a value is written as the one text that says it: numbers in full, dates by ISO 8601, `true`
and `false`, objects and lists as JSON. What has no such text is refused: a record is written as it is, or not at all.
"""

from __future__ import annotations

import codecs
import csv
import json
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, BinaryIO, Final, Literal

from fc_connect.errors import ConfigurationError, FormatError, listed
from fc_connect.formats.blocks import BlockWriter
from fc_connect.formats.csv_dialect import CSVDialect, problems_of_names
from fc_connect.formats.plain import plain_text
from fc_connect.formats.text import text_encoding

__all__ = ["CSVRecordWriter", "CSVWriter"]


# What OWASP names as beginnings of formulas, with their wide forms: https://owasp.org/www-community/attacks/CSV_Injection
_FORMULA_STARTS: Final = frozenset("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
_PLAIN_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


class CSVWriter:
    """Writes CSV files with these options; holds no file, may be shared and used again.

    Args:
        columns: the keys of a record that become columns, in this order; or for each column the dotted path of its
            value in a record (`{"city": "address.city"}`).
        delimiter: one character between two values.
        quotechar: one character around values that hold delimiters, quotes or line ends.
        line_end: of each record.
        header: whether the first line names the columns.
        encoding: by Python's name; `utf-16` and `utf-32` are written little-endian, with their mark.
        bom: begin with a byte order mark, as Excel wants UTF-8; UTF-16 and UTF-32 have one anyway.
        quote: `all` values, or those that need it.
        formula_guard: put `'` before a text that a spreadsheet would take for a formula: it begins with =, +, -, @,
            a tab or a line end, and is no plain number. This changes the value: switch it off where only programs
            read the file.
        null: the text of a value that is None, or isn't there. A value that reads the same is refused, unless empty.
        lists: put between the plain values of a list; None: a list is written as JSON.
        nested: `json`, or `refuse` objects (and lists without `lists`).
        extra: what becomes of a record's keys that no column reads: `refuse` or `ignore`.

    Raises:
        ConfigurationError: names every option whose value can't be used.
    """

    def __init__(
        self,
        *,
        columns: Sequence[str] | Mapping[str, str],
        delimiter: str = ",",
        quotechar: str = '"',
        line_end: Literal["\r\n", "\n"] = "\r\n",
        header: bool = True,
        encoding: str = "utf-8",
        bom: bool = False,
        quote: Literal["minimal", "all"] = "minimal",
        formula_guard: bool = True,
        null: str = "",
        lists: str | None = None,
        nested: Literal["json", "refuse"] = "json",
        extra: Literal["refuse", "ignore"] = "refuse",
    ) -> None:
        dialect = CSVDialect(delimiter=delimiter, quotechar=quotechar, escapechar=None)
        problems = list(dialect.problems())
        if len(dialect.delimiter) > 1:
            problems.append(f"delimiter must be one character to be written, not {delimiter!r}")
        problems += [f"columns: {each}" for each in problems_of_names(tuple(columns))]
        for name, value, choices in (
            ("line_end", line_end, ("\r\n", "\n")),
            ("quote", quote, ("minimal", "all")),
            ("nested", nested, ("json", "refuse")),
            ("extra", extra, ("refuse", "ignore")),
        ):
            if value not in choices:
                problems.append(f"{name} must be {' or '.join(map(repr, choices))}, not {value!r}")
        if lists == "":
            problems.append(
                "lists must be some text: values without anything between them can't be told apart"
            )
        if "\0" in null:
            problems.append("null holds a NUL character")
        try:
            self.encoding = text_encoding(encoding)
        except ConfigurationError as exc:
            problems.append(f"encoding: {exc}")
        else:
            if bom and not self.encoding.startswith("utf-"):
                problems.append(f"bom: {encoding} has no byte order mark")
            bom = bom or self.encoding in {"utf-16", "utf-32"} or codecs.lookup(encoding).name == "utf-8-sig"
            if self.encoding in {"utf-16", "utf-32"}:
                self.encoding += "-le"  # whose codec writes no mark of its own, with every line
            self.is_unicode = self.encoding.startswith("utf-")
        # Without a mapping a key is meant as it stands, dots and all.
        self.paths = (
            {name: tuple(path.split(".")) for name, path in columns.items()}
            if isinstance(columns, Mapping)
            else {name: (name,) for name in columns}
        )
        problems += [f"columns: {name!r} has no path" for name, path in self.paths.items() if "" in path]
        if problems:
            raise ConfigurationError("CSV can't be written like that:", problems=problems)
        self.known = {path[0] for path in self.paths.values()}
        self.delimiter = dialect.delimiter
        self.quotechar = quotechar
        self.line_end = line_end
        self.header = header
        self.bom = bom
        self.quote = quote
        self.formula_guard = formula_guard
        self.null = null
        self.lists = lists
        self.nested = nested
        self.extra = extra

    def write(self, stream: BinaryIO) -> CSVRecordWriter:
        """Begin a file.

        Raises:
            FormatError: the encoding can't hold the name of a column.
        """
        return CSVRecordWriter(self, stream)

    def cell(self, value: Any) -> str:
        """Return the text of a value.

        Raises:
            FormatError: it has none.
        """
        if value.__class__ is str and value[:1] not in _FORMULA_STARTS and value != self.null:
            return str(value)  # most of all
        if value is None:
            return self.null
        text = self._text(value)
        if text == self.null != "":
            raise FormatError(f"is {text!r}, which stands for no value: set `null` to another.")
        return text

    def _text(self, value: Any) -> str:
        if isinstance(value, str):
            return self._guarded(str.__str__(value))
        if isinstance(value, list | tuple) and self.lists is not None:
            return self._guarded(self._joined(value, self.lists))
        if not isinstance(value, Mapping | list | tuple):
            return plain_text(value)
        if self.nested == "refuse":
            kind = "an object" if isinstance(value, Mapping) else "a list"
            raise FormatError(f"is {kind}: `nested: json` writes it.")
        try:
            return _json(value)
        except RecursionError as exc:
            raise FormatError("is nested too deeply.") from exc

    def _guarded(self, text: str) -> str:
        if self.formula_guard and text[:1] in _FORMULA_STARTS and not _PLAIN_NUMBER.fullmatch(text):
            return f"'{text}"
        return text

    def _joined(self, values: Sequence[Any], between: str) -> str:
        texts = [each if isinstance(each, str) else plain_text(each) for each in values]
        if not all(texts) or any(between in each for each in texts):
            raise FormatError(
                f"is a list of which a value is empty or holds {between!r}: leave `lists` out for JSON."
            )
        return between.join(texts)


class CSVRecordWriter(BlockWriter):
    """Writes the records of one file. Bytes go out in blocks; `close` writes the last."""

    def __init__(self, options: CSVWriter, stream: BinaryIO) -> None:
        super().__init__(stream)
        self._options = options
        self._line = _Line()
        self._csv = csv.writer(
            self._line,
            delimiter=options.delimiter,
            quotechar=options.quotechar,
            quoting=csv.QUOTE_ALL if options.quote == "all" else csv.QUOTE_MINIMAL,
            # Always this one: `csv` puts quotes around values that hold a character of it, and each must be.
            lineterminator="\r\n",
        )
        if options.bom:
            self._append("\ufeff".encode(options.encoding))
        if options.header:
            self._add(list(options.paths))

    def write(self, record: Mapping[str, Any]) -> None:
        """Add a record.

        Raises:
            FormatError: one of its values has no text, or has characters that the encoding lacks, or no column
                reads it. The file stays as it was.
        """
        self._demand_open()
        options = self._options
        if options.extra == "refuse" and (unread := record.keys() - options.known):
            raise FormatError(
                f"no column reads {listed(sorted(map(repr, unread)))}: name columns for them, or `extra: ignore`."
            )
        cells: list[str] = []
        try:
            for path in options.paths.values():
                cells.append(options.cell(record.get(path[0]) if len(path) == 1 else _found(record, path)))
        except FormatError as exc:
            column = list(options.paths)[len(cells)]
            raise FormatError(f"column {column!r}: {exc}") from exc
        self._add(cells)

    def _add(self, cells: list[str]) -> None:
        options = self._options
        self._csv.writerow(cells)
        line = self._line.text
        if options.line_end == "\n":
            line = line[:-2] + "\n"
        if "\0" in line:
            raise FormatError(self._blamed("\0", cells, "a NUL character, which no CSV file may hold."))
        try:
            data = line.encode(options.encoding)
        except UnicodeEncodeError as exc:
            raise FormatError(self._unwritable(exc.object[exc.start], cells)) from exc
        # Some old codecs write a character as another that looks like it: Shift JIS a yen sign as a backslash.
        if not options.is_unicode and (back := data.decode(options.encoding)) != line:
            raise FormatError(
                self._unwritable(next(a for a, b in zip(line, back, strict=False) if a != b), cells)
            )
        self._append(data)

    def _unwritable(self, wrong: str, cells: list[str]) -> str:
        return self._blamed(
            wrong, cells, f"{wrong!r}, which {self._options.encoding} can't hold: `encoding: utf-8` can."
        )

    def _blamed(self, wrong: str, cells: list[str], reason: str) -> str:
        column = next(name for name, cell in zip(self._options.paths, cells, strict=True) if wrong in cell)
        return f"column {column!r}: holds {reason}"


class _Line:
    """Takes the line that `csv.writer` makes of a record."""

    text = ""

    def write(self, text: str) -> None:
        self.text = text


def _found(record: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    """Return the value at a path; None where it, or an object on the way, isn't there."""
    value: Any = record
    for key in path:
        if value is None:
            return None
        if not isinstance(value, Mapping):
            raise FormatError(f"expected an object to read {key!r} of, not {type(value).__name__}.")
        value = value.get(key)
    return value


def _json(value: Any) -> str:
    """Return a value as JSON; as `json` writes it, but numbers keep every digit."""
    match value:
        case None:
            return "null"
        case str():
            return json.dumps(value, ensure_ascii=False)
        case Mapping():
            if wrong := [key for key in value if not isinstance(key, str)]:
                raise FormatError(f"is an object with the key {wrong[0]!r}, which isn't text.")
            return "{" + ",".join(f"{_json(key)}:{_json(each)}" for key, each in value.items()) + "}"
        case list() | tuple():
            return "[" + ",".join(map(_json, value)) + "]"
    text = plain_text(value)
    return text if isinstance(value, int | float | Decimal) else json.dumps(text)
