"""NDJSON (JSON Lines): one JSON object a line, so that a bad one is a reject and the rest goes on.

The grammar is that of https://github.com/ndjson/ndjson-spec; CRLF ends a line too. Values as in `json`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any, BinaryIO, Final, Literal

from fc_connect.formats.base import BadRecord, Place
from fc_connect.formats.json import DEFAULT_MAX_DEPTH, DEFAULT_MAX_RECORD_BYTES, checked_options
from fc_connect.formats.json_values import NotJSONError, RecordDecoder, UnusableError, kind_of, shown
from fc_connect.formats.text import UTF8Blocks

__all__ = ["NDJSONFormat", "NDJSONRecords"]

_AT_ONCE: Final = 32
"""Lines decoded together. Measured: more leave the processor's cache, and wake the garbage collector."""

_WHITE_SPACE = b" \t\r"


class NDJSONFormat:
    """Reads NDJSON files with these options; holds no file, may be shared and used again.

    Args:
        encoding: by Python's name. A byte order mark is left out, and one that contradicts it is an error.
        max_depth: a record in which arrays and objects are nested deeper is a bad one.
        max_record_bytes: a longer line, in UTF-8, is a bad record.
        skip_blank_lines: leave out empty lines and lines of white space; otherwise each is a bad record.

    Raises:
        ConfigurationError: names every option whose value can't be used.
    """

    def __init__(
        self,
        *,
        encoding: str = "utf-8",
        max_depth: int = DEFAULT_MAX_DEPTH,
        max_record_bytes: int = DEFAULT_MAX_RECORD_BYTES,
        skip_blank_lines: bool = True,
    ) -> None:
        self.encoding = checked_options("NDJSON", [], encoding, max_depth, max_record_bytes)
        self.max_depth = max_depth
        self.max_record_bytes = max_record_bytes
        self.skip_blank_lines = skip_blank_lines

    def read(self, stream: BinaryIO, *, path: str, wanted: Collection[str] | None = None) -> NDJSONRecords:
        """Return the records, which read `stream` as they are iterated over; the caller closes it."""
        return NDJSONRecords(self, stream, path=path)


class NDJSONRecords:
    """The records of one open file, as dicts; may be iterated over once.

    A line that isn't JSON, or isn't one object, or holds what has no exact value is a `BadRecord`.
    """

    columns: tuple[str, ...] | None = None
    nested: frozenset[str] = frozenset()

    def __init__(self, options: NDJSONFormat, stream: BinaryIO, *, path: str) -> None:
        self._options = options
        self._source = UTF8Blocks(stream, encoding=options.encoding, path=path)
        self._decoder = RecordDecoder(options.max_depth)
        self._line = 0
        # Lines at hand, the number of the first, and where it begins.
        self._raws: Sequence[bytes] = ()
        self._first = 1
        self._begin = 0
        self.counts: Literal["line", "record"] = "line"

    @property
    def position(self) -> int:
        """Line of the record that was yielded last, 1-based; 0 before the first."""
        return self._line

    def place(self) -> Place:
        """Return where the record that was yielded last begins."""
        before = self._raws[: self._line - self._first]
        byte = self._source.left_out + self._begin + sum(map(len, before)) + len(before)
        return Place(line=self._line, byte=byte if self._options.encoding == "utf-8" else None)

    def __iter__(self) -> Iterator[Any]:
        limit = self._options.max_record_bytes
        for text, length in self._whole_lines():
            raws = self._raws = text.split(b"\n")
            if text.endswith(b"\n"):
                raws.pop()
            self._first = self._line + 1
            for begin in range(0, len(raws), _AT_ONCE):
                some = raws[begin : begin + _AT_ONCE]
                first = self._first + begin
                is_short = len(text) <= limit or max(map(len, some)) <= limit
                records = self._decoder.lines(some) if is_short else None
                if records is not None:
                    # Nearly all of the time to read a file goes by here and in the decoder.
                    for line, record in enumerate(records, first):
                        self._line = line
                        yield record
                    del record, records  # before the next are made: fewer at once is quicker
                else:
                    for line, raw in enumerate(some, first):
                        self._line = line
                        if (record := self._judged(raw)) is not None:
                            yield record
            self._begin += length

    def _whole_lines(self) -> Iterator[tuple[bytes, int]]:
        """Yield text that ends where a line does, and its length in the file; a line beyond the limit is cut."""
        limit = self._options.max_record_bytes
        rest, dropped = b"", 0
        for block in self._source:
            cut = block.find(b"\n") + 1 if dropped else block.rfind(b"\n") + 1
            if dropped:
                if not cut:
                    dropped += len(block)
                    continue
                yield rest, len(rest) + dropped + cut
                rest, block, dropped = b"", block[cut:], 0
                cut = block.rfind(b"\n") + 1
            if cut:
                text = rest + block[:cut]
                yield text, len(text)
                rest = block[cut:]
            else:
                rest += block
            if len(rest) > limit:
                dropped = len(rest) - limit - 1
                rest = rest[: limit + 1]
        if rest:
            yield rest, len(rest) + dropped

    def _judged(self, raw: bytes) -> Any:
        """Return the record of a line, or why there is none; None: a blank line to leave out."""
        limit = self._options.max_record_bytes
        if len(raw) > limit:
            reason = f"has more than {limit:,} bytes: raise the format's max_record_bytes if that is right"
        elif not raw.strip(_WHITE_SPACE):
            if self._options.skip_blank_lines:
                return None
            reason = "is blank"
        else:
            try:
                value = self._decoder.one(raw)
            except NotJSONError as exc:
                column = len(raw[: exc.at].decode("utf-8", "replace")) + 1
                reason = f"isn't JSON: {exc.reason} (column {column})"
            except UnusableError as exc:
                reason = str(exc)
            else:
                if type(value) is dict:
                    return value
                reason = f"is {kind_of(value)}, not an object"
        return BadRecord(place=self.place(), reason=reason, raw=shown(raw))
