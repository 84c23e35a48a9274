"""Walks through JSON text of any length: to a value, over a value, always knowing line, column and byte."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, BinaryIO, Final

from fc_connect.errors import ParseError
from fc_connect.formats.json_values import STRING, NotJSONError, RecordDecoder, UnusableError, next_bracket
from fc_connect.formats.text import BLOCK_BYTES, UTF8Blocks

__all__ = ["AT_ONCE_BYTES", "JSONScanner"]

_SPACE = re.compile(rb"[ \t\r\n]*")
_BARE = re.compile(rb'[^ \t\r\n,:"\[\]{}]++')

AT_ONCE_BYTES: Final = 1 << 14
"""Decoded together. Measured: more leave the processor's cache, and wake the garbage collector."""


_MAX_LEVELS: Final = 10_000
"""So many brackets without an end are no record, not even a bad one."""

_MAX_WALK: Final = 100
"""Of containers longer than a block within one another, where they are only gone over."""

MAX_KEYS: Final = 100_000
"""Of one object that is walked through: its keys are kept, so that one given twice is noticed."""


class JSONScanner:
    """A place in a stream of JSON text, which only moves forward; holds little more than one record."""

    def __init__(
        self, stream: BinaryIO, *, encoding: str, path: str, max_record_bytes: int, decoder: RecordDecoder
    ) -> None:
        source = UTF8Blocks(stream, encoding=encoding, path=path)
        self._blocks = iter(source)
        self._path = path
        self._max_record_bytes = max_record_bytes
        self._decoder = decoder
        self._text = next(self._blocks, b"")  # what is at hand
        self._at = 0  # in it, the next byte
        self._column = 1
        self.line = 1
        self.offset = source.left_out
        self._is_offset_known = encoding == "utf-8"

    @property
    def at_hand(self) -> int:
        """Bytes that were read, but not gone over."""
        return len(self._text) - self._at

    @property
    def byte(self) -> int | None:
        """Offset of the next byte in the file; None where the file isn't in UTF-8."""
        return self.offset if self._is_offset_known else None

    def peek(self) -> bytes:
        """Go over white space and return the next byte, or nothing at the end of the file."""
        while True:
            match = _SPACE.match(self._text, self._at)
            if match is not None and match.end() > self._at:
                self.advance(match.end() - self._at)
            if self._at < len(self._text):
                return self._text[self._at : self._at + 1]
            if not self._fill():
                return b""

    def advance(self, count: int) -> None:
        """Go on by so many of the bytes at hand."""
        passed = self._text[self._at : self._at + count]
        self.line, self._column = _moved(self.line, self._column, passed)
        self.offset += count
        self._at += count

    def expect(self, char: bytes, *, where: str) -> None:
        """Go over a byte that must be there."""
        if (found := self.peek()) != char:
            raise self.error(f"{_named(found)} where {_named(char)} is expected {where}")
        self.advance(1)

    def key(self) -> str:
        """Go over a key and its colon."""
        if (found := self.peek()) != b'"':
            raise self.error(f"{_named(found)} where a key in double quotes is expected")
        raw = self.value()
        try:
            key: str = self.judge(raw)
        except UnusableError as exc:
            raise self.error(f"the key that begins here {exc}") from exc
        self.advance(len(raw))
        self.expect(b":", where="after a key")
        return key

    def members(self, *, unique: bool = True) -> Iterator[str]:
        """Go through an object: yield each key, whose value the caller goes over.

        Raises:
            ParseError: a key is given twice, where `unique`: which of its values is meant would be a guess.
        """
        self.expect(b"{", where="here")
        seen: set[str] = set()
        is_next = self.peek() != b"}"
        while is_next:
            self.peek()
            line, column = self.line, self._column
            key = self.key()
            if unique and (key in seen or len(seen) == MAX_KEYS):
                problem = f"the key {key!r} is given twice" if key in seen else f"more than {MAX_KEYS:,} keys"
                raise ParseError(
                    f"{problem} in an object on the way to the records.",
                    path=self._path,
                    line=line,
                    column=column,
                )
            if unique:
                seen.add(key)
            yield key
            if is_next := self.peek() == b",":
                self.advance(1)
        self.expect(b"}", where="after a value, or a comma")

    def elements(self) -> Iterator[None]:
        """Go through an array: yield where an element begins; the caller goes over it, or over several."""
        self.expect(b"[", where="here")
        is_next = self.peek() != b"]"
        while is_next:
            yield
            if is_next := self.peek() == b",":
                self.advance(1)
        self.expect(b"]", where="after a value, or a comma")

    def whole_objects(self) -> bytes:
        """Return text at hand that ends with an object and looks like whole elements; nothing if none is seen.

        Quick, and wrong where braces stand in text: only to decode it tells.
        """
        if self.at_hand < BLOCK_BYTES:
            self._fill()
        text, begin = self._text, self._at
        end = text.rfind(b"}", begin, begin + AT_ONCE_BYTES) + 1 or text.rfind(b"}", begin) + 1
        if not end:
            return b""
        surplus = text.count(b"{", begin, end) - text.count(b"}", begin, end)
        while surplus:
            before = text.rfind(b"}", begin, end - 1) + 1
            if not before:
                return b""
            surplus += 1 - text.count(b"{", before, end)
            end = before
        return text[begin:end]

    def value(self) -> bytes:
        """Return the text of the value that comes next; `advance` by its length goes over it.

        Raises:
            ParseError: it doesn't end, or not within `max_record_bytes`.
        """
        limit, char = self._max_record_bytes, self.peek()
        if char in {b"{", b"["}:
            raw = self._container(limit)
        elif char == b'"':
            raw = self._scalar(STRING, limit)
        elif char and char not in b",:]}":
            raw = self._scalar(_BARE, limit)
        else:
            raise self.error(f"{_named(char)} where a value is expected")
        if raw is None:
            self._point_at_fault(margin=8)  # where it is cut, a character or a word may be halved
            raise self.error(
                f"a record of more than {self._max_record_bytes:,} bytes begins here. Is a quote or a bracket not "
                "closed? If not, raise the format's max_record_bytes"
            )
        return raw

    def judge(self, raw: bytes, *, after: int = 0) -> Any:
        """Return the value of a text that begins `after` so many of the bytes at hand.

        Raises:
            ParseError: it isn't JSON.
            UnusableError: it is, but no record can be made of it.
        """
        try:
            return self._decoder.one(raw)
        except NotJSONError as exc:
            raise self.error(exc.reason, after=after + exc.at) from exc

    def skip(self, *, level: int = 1) -> None:
        """Go over a value of any length, once it is seen to be JSON."""
        is_object = self.peek() == b"{"
        if not is_object and self.peek() != b"[":
            raw: bytes | None = self.value()
        else:
            raw = self._container(BLOCK_BYTES)
        if raw is not None:
            with suppress(UnusableError):  # it isn't used
                self.judge(raw)
            self.advance(len(raw))
        elif level > _MAX_WALK:
            raise self.error(f"long arrays and objects within one another, deeper than {_MAX_WALK} levels")
        elif is_object:
            for _ in self.members(unique=False):
                self.skip(level=level + 1)
        else:
            careful_to = 0
            for _ in self.elements():
                text = self.whole_objects() if self.offset >= careful_to else b""
                if text and self._decoder.elements(text) is not None:
                    self.advance(len(text))
                else:
                    careful_to = careful_to if self.offset < careful_to else self.offset + AT_ONCE_BYTES
                    self.skip(level=level + 1)

    def end(self) -> None:
        """Make sure that nothing follows."""
        if found := self.peek():
            raise self.error(
                f"{_named(found)} after the end of the document. If each line is one, the format is ndjson"
            )

    def error(self, message: str, *, after: int = 0) -> ParseError:
        """Return an error that lies `after` so many of the bytes at hand."""
        line, column = _moved(self.line, self._column, self._text[self._at : self._at + after])
        byte = f" (byte {self.offset + after:,})" if self._is_offset_known else ""
        return ParseError(f"{message}{byte}.", path=self._path, line=line, column=column)

    def _container(self, limit: int) -> bytes | None:
        """Return the text of an array or object; None if it has more bytes than `limit`."""
        depth = scanned = 0
        while scanned <= limit:
            at = next_bracket(self._text, self._at + scanned)
            scanned = at - self._at
            if (char := self._text[at : at + 1]) in {b"", b'"'}:  # the rest isn't at hand
                if self.at_hand > limit:
                    return None
                self._fill_or_fail()
                continue
            depth += 1 if char in {b"{", b"["} else -1
            scanned += 1
            if depth > _MAX_LEVELS:
                raise self.error(f"more than {_MAX_LEVELS:,} levels of arrays and objects begin here")
            if not depth and scanned <= limit:
                return self._text[self._at : self._at + scanned]
        return None

    def _scalar(self, pattern: re.Pattern[bytes], limit: int) -> bytes | None:
        while True:
            match = pattern.match(self._text, self._at)
            # A number or a word may go on in the next block.
            if match is not None and (pattern is STRING or match.end() < len(self._text) or not self._fill()):
                raw = match[0]
                return raw if len(raw) <= limit else None
            if self.at_hand > limit:
                return None
            if match is None:
                self._fill_or_fail()

    def _fill_or_fail(self) -> None:
        if not self._fill():
            self._point_at_fault(margin=0)
            raise self.error("the file ends within what begins here")

    def _point_at_fault(self, *, margin: int) -> None:
        """Raise an error at what isn't JSON in a value that doesn't end, if it is before the last `margin` bytes."""
        raw = self._text[self._at : self._at + self._max_record_bytes]
        try:
            self._decoder.one(raw)
        except NotJSONError as exc:
            if exc.at < len(raw) - margin and "unterminated" not in exc.reason:
                raise self.error(exc.reason, after=exc.at) from exc
        except UnusableError:
            pass

    def _fill(self) -> bool:
        """Read on, at least as much again as is at hand, so that a long record isn't looked at many times."""
        rest = self._text[self._at :]
        parts = [rest]
        missing = max(len(rest), 1)
        for block in self._blocks:
            parts.append(block)
            missing -= len(block)
            if missing <= 0:
                break
        self._text, self._at = b"".join(parts), 0
        return len(self._text) > len(rest)


def _moved(line: int, column: int, passed: bytes) -> tuple[int, int]:
    """Return line and column, in characters, after the bytes that were passed."""
    newline = passed.rfind(b"\n")
    if newline >= 0:
        line, column, passed = line + passed.count(b"\n"), 1, passed[newline + 1 :]
    return line, column + (len(passed) if passed.isascii() else len(passed.decode("utf-8", "replace")))


def _named(char: bytes) -> str:
    if not char:
        return "the end of the file"
    return repr(char.decode("ascii")) if char.isascii() else f"byte 0x{char.hex()}"
