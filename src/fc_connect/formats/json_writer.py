"""Values into JSON text, exactly or not at all: as an array, or one object a line."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import date, datetime, time
from decimal import Decimal
from math import isfinite
from types import TracebackType
from typing import Any, BinaryIO, Final, Self

import msgspec

from fc_connect.errors import ConfigurationError, FormatError
from fc_connect.formats.json_path import ALL, record_path

__all__ = ["JSONRecordWriter", "JSONWriter", "NDJSONRecordWriter", "NDJSONWriter"]

_PLAIN = {str, int, bool, type(None)}
_DATES = (datetime, date, time)
_MAX_DEPTH: Final = 100
"""As the reader takes by default."""
_NOT_ASCII = re.compile(r"[^\x00-\x7f]+")

_encode = msgspec.json.Encoder(decimal_format="number").encode


class JSONWriter:
    """Writes JSON files: the records as an array, here or further down in a document.

    Args:
        records: where the array is, as for the reader: `$[*]`, or `$.data.items[*]`.
        indent: spaces for each level; None writes no white space within a record, and a record a line.
        ensure_ascii: write every other character as an escape, for readers that don't know UTF-8.

    Raises:
        ConfigurationError: names every option whose value can't be used.
    """

    def __init__(
        self, *, records: str = "$[*]", indent: int | None = None, ensure_ascii: bool = False
    ) -> None:
        problems = []
        keys: list[str] = []
        try:
            *way, last = record_path(records) or ("",)
            if last != ALL or ALL in way:
                problems.append(f"records: to write, the path must have one [*], at its end, not {records!r}")
            keys = [str(key) for key in way]
        except ConfigurationError as exc:
            problems.append(f"records: {exc}")
        if indent is not None and not 0 < indent <= 16:
            problems.append(f"indent must be between 1 and 16, or left out, not {indent}")
        if problems:
            raise ConfigurationError("The JSON format can't be written:", problems=problems)
        self.keys = keys
        self.indent = indent
        self.ensure_ascii = ensure_ascii

    def write(self, stream: BinaryIO) -> JSONRecordWriter:
        """Begin a file; the caller closes `stream`."""
        return JSONRecordWriter(self, stream)


class NDJSONWriter:
    """Writes NDJSON files: one object a line, each ended by LF.

    Args:
        ensure_ascii: write every other character as an escape, for readers that don't know UTF-8.
    """

    def __init__(self, *, ensure_ascii: bool = False) -> None:
        self.ensure_ascii = ensure_ascii

    def write(self, stream: BinaryIO) -> NDJSONRecordWriter:
        """Begin a file; the caller closes `stream`."""
        return NDJSONRecordWriter(stream, ensure_ascii=self.ensure_ascii)


class NDJSONRecordWriter:
    """Writes each record in one go; as a context manager like any other writer."""

    def __init__(self, stream: BinaryIO, *, ensure_ascii: bool) -> None:
        self._stream = stream
        self._ensure_ascii = ensure_ascii
        self._is_closed = False

    def write(self, record: Mapping[str, Any]) -> None:
        """Add a record.

        Raises:
            FormatError: JSON has no form for one of its values; nothing of it was written.
        """
        if self._is_closed:
            raise ValueError("The file was finished already.")
        self._write(encoded(record, ensure_ascii=self._ensure_ascii))

    def close(self) -> None:
        """Write what ends the file; the caller closes the stream. Twice is no fault."""
        if not self._is_closed:
            self._is_closed = True
            self._finish()

    def _write(self, text: bytes) -> None:
        self._stream.write(text + b"\n")

    def _finish(self) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()


class JSONRecordWriter(NDJSONRecordWriter):
    """Writes an array, a record at a time; without any record it is an empty one."""

    def __init__(self, options: JSONWriter, stream: BinaryIO) -> None:
        super().__init__(stream, ensure_ascii=options.ensure_ascii)
        self._indent = options.indent
        levels = len(options.keys)
        opening = [
            b"{" + self._new_line(level) + _key(key, options) for level, key in enumerate(options.keys, 1)
        ]
        self._next = b"".join(opening) + b"["  # goes before the next record
        self._new_record = self._new_line(levels + 1) or b"\n"
        closing = [self._new_line(level) + b"}" for level in reversed(range(levels))]
        self._empty_end = b"]" + b"".join(closing) + b"\n"
        self._end = (self._new_line(levels) or b"\n") + self._empty_end
        self._is_empty = True

    def _new_line(self, level: int) -> bytes:
        return b"" if self._indent is None else b"\n" + b" " * (self._indent * level)

    def _write(self, text: bytes) -> None:
        if self._indent is not None:
            text = msgspec.json.format(text, indent=self._indent).replace(b"\n", self._new_record)
        self._stream.write(self._next + self._new_record + text)
        self._next, self._is_empty = b",", False

    def _finish(self) -> None:
        self._stream.write(self._next + self._empty_end if self._is_empty else self._end)


def _key(key: str, options: JSONWriter) -> bytes:
    colon = ":" if options.indent is None else ": "
    return (json.dumps(key, ensure_ascii=options.ensure_ascii) + colon).encode()


def encoded(record: Mapping[str, Any], *, ensure_ascii: bool) -> bytes:
    """Return a record as JSON in one line.

    Raises:
        FormatError: JSON has no form for one of its values, and names its key.
    """
    fields = record if type(record) is dict else dict(record)
    if not (set(map(type, fields)) <= {str} and set(map(type, fields.values())) <= _PLAIN):
        _check(fields, "", 1)
    try:
        text = _encode(fields)
    except (TypeError, ValueError, OverflowError) as exc:
        for key, value in fields.items():
            try:
                _encode({key: value})
            except (TypeError, ValueError, OverflowError) as inner:
                raise _no_form(repr(key), str(inner)) from exc
        raise FormatError(f"The record can't be written as JSON: {exc}") from exc
    if ensure_ascii and not text.isascii():
        return _NOT_ASCII.sub(lambda found: json.dumps(found[0])[1:-1], text.decode()).encode()
    return text


def _check(value: Any, where: str, depth: int) -> None:
    """Refuse what a library would write in a form of its own choice, or not as it is."""
    kind = type(value)
    if kind in _PLAIN or kind in _DATES:
        return
    if depth > _MAX_DEPTH:
        raise _no_form(where, f"it is nested deeper than {_MAX_DEPTH} levels")
    if kind is dict:
        for key, inner in value.items():
            at = f"{where}.{key}" if where else repr(key)
            if type(key) is not str:
                raise _no_form(at, f"the key is of type {type(key).__name__}, where only text can be")
            _check(inner, at, depth + 1)
    elif kind in {list, tuple}:
        for index, inner in enumerate(value):
            _check(inner, f"{where}[{index}]", depth + 1)
    elif kind not in {float, Decimal}:
        raise _no_form(where, f"JSON has no form for the type {kind.__name__}")
    elif not (isfinite(value) if kind is float else value.is_finite()):
        raise _no_form(where, f"JSON has no form for {value}")


def _no_form(where: str, why: str) -> FormatError:
    return FormatError(f"The field {where} can't be written as JSON: {why}")
