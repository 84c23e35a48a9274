"""JSON: the records are the elements of an array, wherever in the document it is, read a block at a time.

The grammar is that of RFC 8259 (https://www.rfc-editor.org/rfc/rfc8259) to the letter: no comments, no trailing
commas, no NaN. Where it leaves the meaning open, as with a key given twice, the record is refused, not guessed at.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, Final, Literal

from fc_connect.errors import ConfigurationError, listed
from fc_connect.formats.base import BadRecord, Place
from fc_connect.formats.json_path import ALL, record_path, written
from fc_connect.formats.json_scan import AT_ONCE_BYTES, JSONScanner
from fc_connect.formats.json_values import MAX_NESTING, RecordDecoder, UnusableError, kind_of, shown
from fc_connect.formats.text import text_encoding

__all__ = [
    "DEFAULT_MAX_DEPTH",
    "DEFAULT_MAX_RECORD_BYTES",
    "JSONFormat",
    "JSONRecords",
    "checked_options",
]

DEFAULT_MAX_DEPTH: Final = 100
"""Nothing that people write is nested deeper, and whatever walks through a record later bears it."""

DEFAULT_MAX_RECORD_BYTES: Final = 4 << 20
"""Thousands of order lines. As Python objects it may take twenty times as much memory."""


class JSONFormat:
    """Reads JSON files with these options; holds no file, may be shared and used again.

    Args:
        records: where the records are. `$[*]`: the document is an array of them; `$.data.items[*]`: the elements
            of an array further down; `$.edges[*].node`: a part of each element; `$`: the document is one record.
        encoding: by Python's name. A byte order mark is left out, and one that contradicts it is an error.
        max_depth: a record in which arrays and objects are nested deeper is a bad one.
        max_record_bytes: a longer record, in UTF-8, is an error: it is held in memory.

    Raises:
        ConfigurationError: names every option whose value can't be used.
    """

    def __init__(
        self,
        *,
        records: str = "$[*]",
        encoding: str = "utf-8",
        max_depth: int = DEFAULT_MAX_DEPTH,
        max_record_bytes: int = DEFAULT_MAX_RECORD_BYTES,
    ) -> None:
        problems = []
        try:
            self.records = record_path(records)
        except ConfigurationError as exc:
            problems.append(f"records: {exc}")
        self.encoding = checked_options("JSON", problems, encoding, max_depth, max_record_bytes)
        self.max_depth = max_depth
        self.max_record_bytes = max_record_bytes

    def read(self, stream: BinaryIO, *, path: str, wanted: Collection[str] | None = None) -> JSONRecords:
        """Return the records, which read `stream` as they are iterated over; the caller closes it.

        Raises:
            ParseError: a wrong encoding.
        """
        return JSONRecords(self, stream, path=path)


class JSONRecords:
    """The records of one open file, as dicts; may be iterated over once.

    Whole numbers are `int`, all others `Decimal`: both exact. A record that is no object, gives a key twice, or
    holds what has no exact value is a `BadRecord`; text that isn't JSON ends the file with an error.
    """

    columns: tuple[str, ...] | None = None
    nested: frozenset[str] = frozenset()

    def __init__(self, options: JSONFormat, stream: BinaryIO, *, path: str) -> None:
        first_array = options.records.index(ALL) if ALL in options.records else len(options.records)
        self._way = options.records[:first_array]
        self._is_array = first_array < len(options.records)
        self._within = options.records[first_array + 1 :]
        self._limit = options.max_record_bytes
        self._decoder = RecordDecoder(options.max_depth)
        self._scanner = JSONScanner(
            stream,
            encoding=options.encoding,
            path=path,
            max_record_bytes=self._limit,
            decoder=self._decoder,
        )
        self._record = 0
        # Elements at hand, where their text begins, and which of them was yielded last.
        self._text = b""
        self._line: int = 1
        self._byte: int | None = None
        self._index = 0
        self._elements_found: Sequence[tuple[int, bytes]] | None = ((0, b""),)
        self.counts: Literal["line", "record"] = "record"

    @property
    def position(self) -> int:
        """Number of the record that was yielded last, 1-based; 0 before the first."""
        return self._record

    def place(self) -> Place:
        """Return where the record that was yielded last begins, or the element that it is a part of."""
        offset, _ = self._element()
        return Place(
            record=self._record,
            line=self._line + self._text.count(b"\n", 0, offset),
            byte=None if self._byte is None else self._byte + offset,
        )

    def __iter__(self) -> Iterator[Any]:
        yield from self._follow(0)
        self._scanner.end()

    def _follow(self, step: int) -> Iterator[Any]:
        """Go over the value that comes next, and yield the records that are in it."""
        scanner, here = self._scanner, written(self._way[:step])
        found = scanner.peek()
        if not found:
            raise scanner.error("the file ends where JSON is expected" if step else "is empty: expected JSON")
        if step < len(self._way):
            wanted = self._way[step]
            if found != b"{":
                raise scanner.error(
                    f"{here} isn't an object, where the format's records ask for its key {wanted!r}"
                )
            others: list[str] = []
            for key in scanner.members():
                if key == wanted:
                    yield from self._follow(step + 1)
                    wanted = ALL
                else:
                    others.append(repr(key))
                    scanner.skip()
            if wanted != ALL:
                keys = f"it has {listed(others)}" if others else "it has none"
                raise scanner.error(f"{here} has no key {wanted!r}, where the format's records are: {keys}")
        elif not self._is_array:
            yield from self._alone()
        elif found != b"[":
            other = f"{here} if it is one record, or to the path of an array, such as {here}.items[*]"
            raise scanner.error(f"{here} isn't an array: set the format's records to {other}")
        else:
            yield from self._elements()

    def _elements(self) -> Iterator[Any]:
        scanner, within, limit, careful_to = self._scanner, self._within, self._limit, 0
        for _ in scanner.elements():
            if scanner.offset < careful_to:
                yield from self._alone()
                continue
            text = scanner.whole_objects()
            records = self._decoder.elements(text) if text else None
            if records is not None and len(text) > limit:
                records = records if max(len(raw) for _, raw in self._decoder.split(text)) <= limit else None
            if records is None:
                careful_to = scanner.offset + AT_ONCE_BYTES  # to look again at once may find no more
                yield from self._alone()
                continue
            self._begin(text, None)
            # Nearly all of the time to read a file goes by here and in the decoder.
            for self._index, record in enumerate(records):
                if within:
                    yield from self._parts(record)
                else:
                    self._record += 1
                    yield record
            del record, records  # before the next are made: fewer at once is quicker
            scanner.advance(len(text))

    def _alone(self) -> Iterator[Any]:
        """Go over one element and yield what it is, or why it is nothing."""
        raw = self._scanner.value()
        self._begin(raw, ((0, raw),))
        try:
            element = self._scanner.judge(raw)
        except UnusableError as exc:
            self._record += 1
            yield self._bad(str(exc))
        else:
            yield from self._parts(element)
        self._scanner.advance(len(raw))

    def _parts(self, element: Any) -> Iterator[Any]:
        """Yield the records that are in one element."""
        parts: list[Any] = [element]
        for step in self._within:
            found: list[Any] = []
            for part in parts:
                if step == ALL and isinstance(part, list):
                    found += part
                elif step != ALL and isinstance(part, dict) and step in part:
                    found.append(part[step])
                elif isinstance(part, _Missing):
                    found.append(part)
                else:
                    found.append(
                        _Missing(f"has no {'array' if step == ALL else repr(step)} where records are")
                    )
            parts = found
        for part in parts:
            self._record += 1
            if type(part) is dict:
                yield part
            elif isinstance(part, _Missing):
                yield self._bad(part.reason)
            else:
                yield self._bad(f"is {kind_of(part)}, not an object{self._hint(part)}")

    def _hint(self, value: Any) -> str:
        if self._is_array or not isinstance(value, list):
            return ""
        return f": for its elements, set the format's records to {written(self._way)}[*]"

    def _begin(self, text: bytes, elements: Sequence[tuple[int, bytes]] | None) -> None:
        self._text, self._elements_found, self._index = text, elements, 0
        self._line, self._byte = self._scanner.line, self._scanner.byte

    def _element(self) -> tuple[int, bytes]:
        """Return offset and text of the element at hand."""
        if self._elements_found is None:
            self._elements_found = list(self._decoder.split(self._text))
        return self._elements_found[self._index]

    def _bad(self, reason: str) -> BadRecord:
        return BadRecord(place=self.place(), reason=reason, raw=shown(self._element()[1]))


@dataclass(frozen=True, slots=True)
class _Missing:
    """A part that an element doesn't have."""

    reason: str


def checked_options(
    format_name: str, problems: list[str], encoding: str, max_depth: int, max_record_bytes: int
) -> str:
    """Return Python's name of the encoding.

    Raises:
        ConfigurationError: names the `problems` given, and those of these options.
    """
    if not 1 <= max_depth <= MAX_NESTING:
        problems.append(f"max_depth must be between 1 and {MAX_NESTING}, not {max_depth}")
    if max_record_bytes < 1:
        problems.append(f"max_record_bytes must be at least 1, not {max_record_bytes}")
    try:
        encoding = text_encoding(encoding)
    except ConfigurationError as exc:
        problems.append(f"encoding: {exc}")
    if problems:
        raise ConfigurationError(f"The {format_name} format can't be used:", problems=problems)
    return encoding
