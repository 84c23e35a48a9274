"""JSON text into values, exactly or not at all: no digit lost, no repeated key guessed at.

A fast library decodes, and its result is used only where cheap counts prove that it left nothing out. Whatever is in
doubt is decoded again by Python's own `json` with hooks, whose result **defines** the values; a property test holds
the two together.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from decimal import Clamped, Context, InvalidOperation, Overflow, Rounded, Subnormal
from typing import Any, Final

import msgspec

__all__ = [
    "MAX_NESTING",
    "STRING",
    "NotJSONError",
    "RecordDecoder",
    "UnusableError",
    "is_deeper",
    "kind_of",
    "next_bracket",
    "shown",
]

MAX_NESTING: Final = 500
"""The most that `max_depth` may allow: Python's own recursion ends at about twice that."""

_MAX_DIGITS: Final = 4300
"""Of a whole number, as in Python: to read one takes time in the square of its digits."""
_EXACT_DIGITS: Final = 400
"""Of a fraction, and of its exponent: as the mapping reads numbers in text."""

_RAW_CHARACTERS = 1000

_FAULTS = (msgspec.MsgspecError, UnicodeDecodeError, ArithmeticError, RecursionError)
_NOT_OPENING = bytes(set(range(256)) - set(b"{[\n"))
_OUTSIDE_STRINGS = re.compile(r'"(?:[^"\\]++|\\.)*+"|(-?Infinity|NaN)', re.DOTALL)
_PLAIN = re.compile(rb'[^"\[\]{}]*+')
STRING: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)


class UnusableError(Exception):
    """Text that is JSON, but of which no record can be made; its text is the reason."""


class NotJSONError(Exception):
    """Text that isn't JSON: `reason`, and `at`, the offset in bytes."""

    def __init__(self, reason: str, at: int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.at = at


class RecordDecoder:
    """Decodes records of up to `max_depth` levels; for one thread.

    Whole numbers become `int`, all others `Decimal` with the digits that they are written with, so that the kind of
    a value never depends on how many digits it happens to have.
    """

    def __init__(self, max_depth: int) -> None:
        self._max_depth = max_depth
        context = Context(
            prec=_EXACT_DIGITS,
            Emax=_EXACT_DIGITS,
            Emin=-_EXACT_DIGITS,
            traps=[InvalidOperation, Overflow, Rounded, Subnormal, Clamped],  # whatever would change a number
        )
        self._to_decimal = context.create_decimal
        self._decode = msgspec.json.Decoder(float_hook=self._to_decimal).decode
        self._decode_list = msgspec.json.Decoder(list[Any], float_hook=self._to_decimal).decode
        self._split = msgspec.json.Decoder(list[msgspec.Raw]).decode
        encoder = msgspec.json.Encoder(decimal_format="number")
        self._encode = encoder.encode
        self._encode_lines = encoder.encode_lines
        self._careful = json.JSONDecoder(
            object_pairs_hook=self._object,
            parse_float=self._fraction,
            parse_int=self._whole,
            parse_constant=self._constant,
        )
        self._problems: list[str] = []

    def lines(self, raws: Sequence[bytes]) -> list[dict[str, Any]] | None:
        """Return the record of each text; None if any needs a closer look."""
        try:
            records = list(map(self._decode, raws))
            lines = self._encode_lines(records)
            return records if self._are_whole(records, lines, b"\n".join(raws), b"\n") else None
        except _FAULTS:
            return None

    def elements(self, text: bytes) -> list[dict[str, Any]] | None:
        """Return the records of an array's elements, commas between them; None if any needs a closer look."""
        try:
            records = self._decode_list(b"[%b]" % text)
            lines = self._encode_lines(records)
            return records if self._are_whole(records, lines, text, b",") else None
        except _FAULTS:
            return None

    def split(self, text: bytes) -> Iterator[tuple[int, bytes]]:
        """Yield offset and text of each of an array's elements, commas between them; all must be JSON."""
        at = 0
        for raw in map(bytes, self._split(b"[%b]" % text)):
            at = text.index(raw, at)  # before it are white space and a comma, and with neither a text begins
            yield at, raw
            at += len(raw)

    def one(self, raw: bytes) -> Any:
        """Return the value of a text.

        Raises:
            NotJSONError: says where and why.
            UnusableError: says why.
        """
        if is_deeper(raw, self._max_depth):
            raise UnusableError(
                f"is nested deeper than {self._max_depth} levels: raise the format's max_depth if that is right"
            )
        try:
            value = self._decode(raw)
            if _has_no_less(self._encode(value), raw):
                return value
        except _FAULTS:
            pass
        return self._one_carefully(raw)

    def _are_whole(self, records: list[Any], lines: bytes, text: bytes, between: bytes) -> bool:
        """Prove that each is an object, that no key was repeated, and that none is too deep."""
        if set(map(type, records)) != {dict} or not _has_no_less(lines[:-1].replace(b"\n", between), text):
            return False
        # Each record has a brace of its own, so no one has more than all the rest.
        brackets = lines.count(b"{") + lines.count(b"[")
        if brackets < len(records) + self._max_depth:
            return True
        opening = lines.translate(None, _NOT_OPENING).split(b"\n")
        return max(map(len, opening)) <= self._max_depth or not any(
            is_deeper(line, self._max_depth) for line in lines.split(b"\n")
        )

    def _one_carefully(self, raw: bytes) -> Any:
        self._problems = []
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError as exc:
            raise NotJSONError(f"byte 0x{raw[exc.start]:02x} isn't UTF-8 ({exc.reason})", exc.start) from exc
        try:
            value = self._careful.decode(text)
        except _ConstantError as exc:
            at = next((m.start(1) for m in _OUTSIDE_STRINGS.finditer(text) if m[1] is not None), 0)
            raise NotJSONError(f"JSON has no number {exc}", len(text[:at].encode())) from exc
        except json.JSONDecodeError as exc:
            raise NotJSONError(_in_words(exc, text), len(text[: exc.pos].encode())) from exc
        except RecursionError as exc:
            raise UnusableError("is nested too deeply") from exc
        if self._problems:
            raise UnusableError(self._problems[0])
        try:
            self._encode(value)
        except UnicodeEncodeError as exc:
            half = f"\\u{ord(exc.object[exc.start]):04x}"
            raise UnusableError(
                f"has text with half a surrogate pair ({half}), which is no character"
            ) from exc
        return value

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            seen: set[str] = set()
            twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
            self._problems.append(f"has the key {_cut(twice)} twice in one object")
        return found

    def _fraction(self, text: str) -> Any:
        try:
            return self._to_decimal(text)
        except ArithmeticError:
            self._problems.append(
                f"has the number {_cut(text, quoted=False)}, beyond the {_EXACT_DIGITS} digits that are kept exactly"
            )
            return None

    def _whole(self, text: str) -> int | None:
        try:
            if len(text.lstrip("-")) <= _MAX_DIGITS:
                return int(text)
        except ValueError:  # the process was told to take fewer
            pass
        self._problems.append(f"has a whole number of {len(text):,} digits, too many to be one")
        return None

    def _constant(self, text: str) -> None:
        raise _ConstantError(text)


class _ConstantError(Exception):
    """Python's json takes NaN and Infinity, which aren't JSON."""


def is_deeper(raw: bytes, limit: int) -> bool:
    """Say whether arrays and objects are within one another in more than `limit` levels."""
    if raw.count(b"{") + raw.count(b"[") <= limit:
        return False
    depth = at = 0
    while depth <= limit and (at := next_bracket(raw, at)) < len(raw):
        depth += 1 if raw[at] in b"{[" else -1
        at += 1
    return depth > limit


def next_bracket(text: bytes, at: int) -> int:
    """Return the offset of the first bracket or brace outside strings, or of a string that doesn't end."""
    # Not one pattern that repeats both: where what is repeated possessively fails half-way, Python before 3.11.5 goes
    # on from there (python/cpython#106052), and Debian 12 has such a Python.
    while (plain := _PLAIN.match(text, at)) is not None:
        at = plain.end()
        if text[at : at + 1] != b'"' or (string := STRING.match(text, at)) is None:
            break
        at = string.end()
    return at


def kind_of(value: Any) -> str:
    """Return what a value is, with its article."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, str):
        return "a text"
    return "an object" if isinstance(value, dict) else "an array" if isinstance(value, list) else "a number"


def shown(raw: bytes) -> str:
    """Return the beginning of a text, for a reject."""
    return raw[: 4 * _RAW_CHARACTERS].decode("utf-8", "replace")[:_RAW_CHARACTERS]


def _has_no_less(encoded: bytes, text: bytes) -> bool:
    """Prove that no key of `text` was dropped on the way to `encoded`: a colon would be gone with it.

    As long as no colon is written as an escape, that is. Most programs write JSON just as our library does.
    """
    if encoded == text:
        return True
    is_plain = b"\\" not in text or b"\\u003" not in text  # one byte is found many times faster than five
    return is_plain and encoded.count(b":") == text.count(b":")


def _in_words(exc: json.JSONDecodeError, text: str) -> str:
    if exc.pos >= len(text):
        return "it ends too early"
    what = exc.msg[0].lower() + exc.msg[1:]
    found = text[exc.pos : exc.pos + 1]
    return f"{what.removesuffix(' at').removesuffix(' starting')}, at {found!r}"


def _cut(text: str, *, quoted: bool = True) -> str:
    cut = text if len(text) <= 80 else text[:80] + "…"
    return repr(cut) if quoted else cut
