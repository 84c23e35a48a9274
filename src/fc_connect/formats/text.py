"""Turns a stream of bytes into lines of text, or into UTF-8, a block at a time, and says exactly where it can't."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from typing import BinaryIO, Final

from fc_connect.errors import ConfigurationError, ParseError

__all__ = ["MARKS", "LineBlocks", "UTF8Blocks", "text_encoding"]

BLOCK_BYTES: Final = 1 << 16
"""Read at once. Measured: larger blocks aren't faster, they only fall out of the processor's cache."""

# Text only by name: they decode to lone surrogates or take no stream, and no shop writes files in them.
_NOT_FOR_FILES = {"idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape", "utf-7"}

# UTF-32's marks begin like UTF-16's, so they are asked first.
MARKS = (
    (codecs.BOM_UTF8, "utf-8", ""),
    (codecs.BOM_UTF32_LE, "utf-32", "-le"),
    (codecs.BOM_UTF32_BE, "utf-32", "-be"),
    (codecs.BOM_UTF16_LE, "utf-16", "-le"),
    (codecs.BOM_UTF16_BE, "utf-16", "-be"),
)


def text_encoding(name: str) -> str:
    """Return Python's name of an encoding of text.

    Raises:
        ConfigurationError: there is no such encoding, or files of text aren't written in it.
    """
    try:
        found = codecs.lookup(name).name
        if found.replace("_", "-") in _NOT_FOR_FILES:
            raise LookupError(name)
        "a".encode(found)  # refuses codecs that aren't of text, such as hex
        codecs.getincrementaldecoder(found)
    except (LookupError, ValueError) as exc:
        raise ConfigurationError(
            f"There is no encoding {name!r} for files. Usual ones: utf-8, utf-16, cp1252, iso-8859-1, shift_jis."
        ) from exc
    return "utf-8" if found == "utf-8-sig" else found


# Some characters have two forms there, or what comes before decides: bytes can't be counted from the text.
_UNCOUNTABLE = ("iso2022", "euc_jp", "euc_jis", "hz")


class _Blocks:
    """Reads a stream a block at a time, cut by count of bytes alone, and decodes it."""

    def __init__(self, stream: BinaryIO, *, encoding: str, path: str) -> None:
        self._stream = stream
        self._encoding = encoding
        self._path = path
        self._decoder = codecs.getincrementaldecoder(encoding)("strict")
        self._offset = 0  # of the bytes decoded so far
        self._line = 1  # of the first line not yielded yet
        self._written_in = encoding  # without a mark
        self._is_countable = not encoding.startswith(_UNCOUNTABLE)
        self.ended = False
        """Whether the stream was read to its end."""

    def _read_block(self) -> bytes:
        parts: list[bytes] = []
        missing = BLOCK_BYTES
        while missing and (data := self._stream.read(missing)):
            parts.append(data)
            missing -= len(data)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _decode(self, data: bytes) -> tuple[str, str | None]:
        """Return the text, up to the first byte that is wrong, and what is wrong there."""
        state = self._decoder.getstate()
        try:
            text = self._decoder.decode(data, self.ended)
        except UnicodeDecodeError as exc:
            # The decoder held back bytes of the block before; exc counts from the first of those.
            kept = len(exc.object) - len(data)
            self._decoder.setstate(state)
            try:
                text = self._decoder.decode(data[: max(0, exc.start - kept)])
            except UnicodeError:
                text = ""  # too few bytes are left even for a beginning
            wrong = exc.object[exc.start : max(exc.end, exc.start + 1)][:4]
            where = self._offset + exc.start - kept
            fault = f"byte 0x{wrong.hex()} at offset {where:,} isn't {self._encoding} ({exc.reason})"
            return text, fault
        except UnicodeError as exc:
            return "", f"isn't {self._encoding} ({exc})"  # UTF-16 and UTF-32 without their mark
        self._offset += len(data)
        return text, None

    def _check_mark(self, data: bytes) -> None:
        """Refuse a mark that contradicts the encoding: the values would be garbled without a word."""
        for mark, marked, order in MARKS:
            if data.startswith(mark):
                if self._encoding not in {marked, marked + order}:
                    raise ParseError(
                        f"begins with the byte order mark of {marked}, but is read as {self._encoding}. "
                        f"Set the format's encoding to {marked}.",
                        path=self._path,
                        line=1,
                        column=1,
                    )
                self._written_in = marked + order
                return

    def _fault(self, fault: str, *, line: int, column: int) -> ParseError:
        return ParseError(
            f"{fault}. Set the format's encoding to the one that the file is written in, or have the file mended.",
            path=self._path,
            line=line,
            column=column,
        )


class LineBlocks(_Blocks):
    """Iterates over lists of lines, each with its line end (LF, CRLF or CR), the last perhaps without.

    A byte order mark is left out. The lines before a fault are yielded before it is raised, and blocks
    are cut by count of bytes alone, so nothing depends on how much each read of the stream returns.
    Whatever the stream itself raises passes through.

    Raises while iterating:
        ParseError: bytes that aren't in the encoding, a NUL, or a line of more than `max_line_chars` characters.
    """

    def __init__(self, stream: BinaryIO, *, encoding: str, path: str, max_line_chars: int) -> None:
        super().__init__(stream, encoding=encoding, path=path)
        self._max_line_chars = max_line_chars
        self.offset = 0
        """Byte of the stream where the first line of the block that was yielded last begins."""

    def size(self, text: str) -> int | None:
        """Return how many bytes of the stream `text` takes; None: that can't be told in its encoding."""
        try:
            return len(text.encode(self._written_in)) if self._is_countable else None
        except UnicodeError:  # a codec that reads more than it writes
            self._is_countable = False
            return None

    def __iter__(self) -> Iterator[list[str]]:
        rest = ""
        while not self.ended:
            data = self._read_block()
            self.ended = len(data) < BLOCK_BYTES
            at_start = self._offset == 0
            begin = self._offset - len(self._decoder.getstate()[0])
            if at_start:
                self._check_mark(data)
            text, fault = self._decode(data)
            if at_start:
                if marks := (self._encoding in {"utf-16", "utf-32"}) + text.startswith("\ufeff"):
                    begin = marks * (self.size("\ufeff") or 0)
                text = text.removeprefix("\ufeff")
            self.offset = begin - (self.size(rest) or 0)
            nul = text.find("\0")
            if nul >= 0:
                text, fault = text[:nul], "a NUL character"
            lines = io.StringIO(rest + text, newline="").readlines()
            # A last line may go on in the next block, and a CR may be half of a CRLF.
            rest = (
                lines.pop() if lines and not (self.ended and fault is None) and lines[-1][-1] != "\n" else ""
            )
            self._line += len(lines)
            if lines:
                yield lines
            if fault is not None:
                half = rest.endswith("\r")  # of a line end, perhaps
                raise self._fault(fault, line=self._line + half, column=1 if half else len(rest) + 1)
            if len(rest) > self._max_line_chars:
                raise ParseError(
                    f"a line of more than {self._max_line_chars:,} characters. Is it a text file with line ends? "
                    "If so, raise the format's max_field_bytes.",
                    path=self._path,
                    line=self._line,
                )


class UTF8Blocks(_Blocks):
    """Iterates over blocks of bytes in UTF-8, whatever the encoding; for parsers that work on bytes.

    A byte order mark is left out. Bytes in UTF-8 are handed on as they are: the parser judges them, and knows
    which record they spoil. In other encodings, what comes before a fault is yielded before it is raised.

    Raises while iterating:
        ParseError: a mark that contradicts the encoding, or bytes that aren't in it.
    """

    left_out = 0
    """Bytes of the mark, once the first block was read."""

    def __iter__(self) -> Iterator[bytes]:
        is_first, column = True, 1
        while not self.ended:
            data = self._read_block()
            self.ended = len(data) < BLOCK_BYTES
            if is_first:
                self._check_mark(data)
            if self._encoding == "utf-8":
                if is_first and data.startswith(codecs.BOM_UTF8):
                    data, self.left_out = data[3:], 3
                yield data
            else:
                text, fault = self._decode(data)
                if is_first:
                    text = text.removeprefix("\ufeff")
                yield text.encode("utf-8")
                self._line += text.count("\n")
                column = len(text) - text.rfind("\n") if "\n" in text else column + len(text)
                if fault is not None:
                    raise self._fault(fault, line=self._line, column=column)
            is_first = False
