"""The types of columns as a configuration writes them, and which values fit in one.

    string  int8 … int64  uint8 … uint64  float  double  bool  binary  date  json
    timestamp[s|ms|us|ns]  timestamp[us, UTC]  decimal(10, 2)
    list<string>  struct<a: int64, b: list<date>>  map<double>

A value is written as what it is, or refused: nothing is rounded, cut or read out of text, dates aside, which are text
by ISO 8601 in all JSON.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Context, Decimal
from typing import Any, Final

import pyarrow as pa

from fc_connect.errors import FormatError

__all__ = ["Fit", "TypeTextError", "column_type"]

Fit = Callable[[Any], Any]
"""From a value, to one that the library takes for the same; a FormatError where there is none."""

_TOKEN: Final = re.compile(r"\s*([A-Za-z0-9_]+|[<>(),:\[\]]|'[^']*'|\"[^\"]*\")")
_INTEGERS: Final = {f"{sign}int{bits}": (sign, bits) for sign in ("", "u") for bits in (8, 16, 32, 64)}
_MOST_NESTED: Final = 32
_EXACT: Final = Context(prec=100)
_SHOWN: Final = 80

_PER_SECOND: Final = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_INSTANT: Final = re.compile(
    r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d)?)(?:\.(\d{1,9}))?(Z|[+-]\d\d:?\d\d)?", re.ASCII
)


class TypeTextError(ValueError):
    """The text names no type."""


def column_type(text: str) -> tuple[Any, Fit]:
    """Return the type of Arrow that a text names, and what makes values fit in it.

    Raises:
        TypeTextError: it names none.
    """
    parser = _Parser(text)
    kind, fit = parser.type(0)
    parser.end()
    return kind, fit


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens: list[str] = []
        at = 0
        while text[at:].strip():
            match = _TOKEN.match(text, at)
            if match is None:
                raise TypeTextError(f"{text[at:].strip()[:_SHOWN]!r} is no part of a type")
            self._tokens.append(match[1])
            at = match.end()
        self._tokens.reverse()

    def type(self, depth: int) -> tuple[Any, Fit]:
        if depth > _MOST_NESTED:
            raise TypeTextError("it is nested too deeply")
        name = self._next("a type")
        if name in _INTEGERS:
            return getattr(pa, name)(), _integer(*_INTEGERS[name])
        match name:
            case "string":
                return pa.string(), _text
            case "bool":
                return pa.bool_(), _boolean
            case "double":
                return pa.float64(), _double
            case "float":
                return pa.float32(), _float
            case "binary":
                return pa.binary(), _bytes
            case "date":
                return pa.date32(), _date
            case "json":
                return pa.string(), _json
            case "timestamp":
                return self._timestamp()
            case "decimal":
                return self._decimal()
            case "list":
                self._take("<")
                kind, fit = self.type(depth + 1)
                self._take(">")
                return pa.list_(kind), _list(fit)
            case "map":
                self._take("<")
                kind, fit = self.type(depth + 1)
                self._take(">")
                return pa.map_(pa.string(), kind), _map(fit)
            case "struct":
                return self._struct(depth)
        raise TypeTextError(
            f"there is no type {name!r}: string, int64, double, bool, date, timestamp[ms, UTC], decimal(10, 2), "
            "list<…>, struct<name: …>, map<…>, json, binary, or a number of another width"
        )

    def end(self) -> None:
        if self._tokens:
            raise TypeTextError(f"{self._tokens[-1]!r} is too much")

    def _timestamp(self) -> tuple[Any, Fit]:
        self._take("[")
        unit, zone = self._next("a unit"), None
        if unit not in _PER_SECOND:
            raise TypeTextError(f"a timestamp counts in s, ms, us or ns, not {unit!r}")
        if self._peek() == ",":
            self._take(",")
            zone = self._next("UTC")
            if zone != "UTC":
                raise TypeTextError(f"the zone of a timestamp is UTC, not {zone!r}: the file holds instants")
        self._take("]")
        return pa.timestamp(unit, tz=zone), _timestamp(_PER_SECOND[unit], has_zone=zone is not None)

    def _decimal(self) -> tuple[Any, Fit]:
        self._take("(")
        precision = self._number()
        scale = 0
        if self._peek() == ",":
            self._take(",")
            scale = self._number()
        self._take(")")
        if not 1 <= precision <= 76 or scale > precision:
            raise TypeTextError("a decimal has 1 to 76 digits, no more of them behind the point than in all")
        kind = pa.decimal128 if precision <= 38 else pa.decimal256
        return kind(precision, scale), _decimal(precision, scale)

    def _struct(self, depth: int) -> tuple[Any, Fit]:
        fields: dict[str, tuple[Any, Fit]] = {}
        self._take("<")
        while True:
            name = self._next("a name").strip("'\"")
            if name in fields:
                raise TypeTextError(f"it names {name!r} twice")
            self._take(":")
            fields[name] = self.type(depth + 1)
            if self._peek() != ",":
                break
            self._take(",")
        self._take(">")
        kind = pa.struct([pa.field(name, kind) for name, (kind, _) in fields.items()])
        return kind, _struct({name: fit for name, (_, fit) in fields.items()})

    def _number(self) -> int:
        token = self._next("a number")
        if not token.isdecimal() or len(token) > 3:
            raise TypeTextError(f"expected a number, not {token!r}")
        return int(token)

    def _peek(self) -> str | None:
        return self._tokens[-1] if self._tokens else None

    def _next(self, expected: str) -> str:
        if not self._tokens:
            raise TypeTextError(f"expected {expected} at the end")
        return self._tokens.pop()

    def _take(self, token: str) -> None:
        if (found := self._next(repr(token))) != token:
            raise TypeTextError(f"expected {token!r}, not {found!r}")


def _refused(value: Any, expected: str) -> FormatError:
    shown = repr(value)
    return FormatError(f"{shown if len(shown) <= _SHOWN else shown[:_SHOWN] + '…'} isn't {expected}")


def _text(value: Any) -> Any:
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError as exc:
            raise _refused(value, "text that has a form in UTF-8") from exc
        return value
    raise _refused(value, "text")


def _boolean(value: Any) -> Any:
    if isinstance(value, bool):
        return value
    raise _refused(value, "true or false")


def _bytes(value: Any) -> Any:
    if isinstance(value, bytes):
        return value
    raise _refused(value, "bytes")


def _integer(sign: str, bits: int) -> Fit:
    least = 0 if sign else -(1 << bits - 1)
    greatest = (1 << bits) - 1 + least if not sign else (1 << bits) - 1

    def fit(value: Any) -> Any:
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= greatest:
            return value
        raise _refused(value, f"a whole number from {least:,} to {greatest:,}")

    return fit


def _double(value: Any) -> Any:
    if isinstance(value, float):
        return value
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    if is_whole or (isinstance(value, Decimal) and value.is_finite()):
        try:
            number = float(value)
        except OverflowError as exc:
            raise _refused(value, "a number that a double holds") from exc
        # 0.1 isn't held exactly, but reads back as 0.1.
        if number == value or (not is_whole and Decimal(repr(number)) == value):
            return number
    raise _refused(value, "a number that a double holds")


def _float(value: Any) -> Any:
    number = _double(value)
    try:
        stored: float = struct.unpack("f", struct.pack("f", number))[0]
    except OverflowError as exc:
        raise _refused(value, "a number that 32 bits hold") from exc
    # 0.1 isn't held exactly, but reads back as 0.1.
    if (
        stored == number
        or number != number
        or any(float(f"{stored:.{digits}g}") == number for digits in range(6, 10))
    ):
        return number
    raise _refused(value, "a number that 32 bits hold")


def _decimal(precision: int, scale: int) -> Fit:
    unit = Decimal(1).scaleb(-scale)

    def fit(value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
            raise _refused(value, "a number")
        number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
        if number.is_finite() and number.adjusted() < precision - scale:
            exact = number.quantize(unit, context=_EXACT)
            if exact == number:
                return exact
        raise _refused(
            value, f"a number of at most {precision - scale} digits before the point and {scale} behind it"
        )

    return fit


def _date(value: Any) -> Any:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    if isinstance(value, str) and len(value) == 10:
        try:
            return date.fromisoformat(value)
        except ValueError as exc:
            raise _refused(value, "a date in ISO 8601") from exc
    raise _refused(value, "a date, nor one in ISO 8601, such as '2026-01-31'")


def _timestamp(per_second: int, *, has_zone: bool) -> Fit:
    expected = "a time in ISO 8601 with a zone, such as '2026-01-31T12:00:00Z'"
    if not has_zone:
        expected = "a time in ISO 8601 without a zone, such as '2026-01-31T12:00:00'"

    def fit(value: Any) -> Any:
        if isinstance(value, datetime):
            moment, nanoseconds = value.replace(microsecond=0), value.microsecond * 1000
        elif isinstance(value, str) and (match := _INSTANT.fullmatch(value)):
            try:
                moment = datetime.fromisoformat(match[1] + (match[3] or ""))
            except ValueError as exc:
                raise _refused(value, expected) from exc
            nanoseconds = int((match[2] or "0").ljust(9, "0"))
        else:
            raise _refused(value, expected)
        if (moment.tzinfo is not None) is not has_zone:
            raise _refused(value, expected)
        since = moment.replace(tzinfo=moment.tzinfo or UTC) - datetime(1970, 1, 1, tzinfo=UTC)
        whole, rest = divmod(nanoseconds * per_second, 10**9)
        stored = (since.days * 86_400 + since.seconds) * per_second + whole
        if rest or not -(1 << 63) <= stored < 1 << 63:
            raise _refused(value, f"a time that {per_second:,} parts of a second hold in 64 bits")
        return stored

    return fit


def _json(value: Any) -> Any:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as exc:
        raise _refused(value, f"JSON ({exc})") from exc


def _list(fit: Fit) -> Fit:
    def fit_list(value: Any) -> Any:
        if not isinstance(value, list | tuple):
            raise _refused(value, "a list")
        return [None if each is None else fit(each) for each in value]

    return fit_list


def _map(fit: Fit) -> Fit:
    def fit_map(value: Any) -> Any:
        if not isinstance(value, Mapping):
            raise _refused(value, "an object")
        return [(_text(key), None if each is None else fit(each)) for key, each in value.items()]

    return fit_map


def _struct(fits: Mapping[str, Fit]) -> Fit:
    def fit_struct(value: Any) -> Any:
        if not isinstance(value, Mapping):
            raise _refused(value, "an object")
        if unknown := value.keys() - fits.keys():
            raise _refused(value, f"an object of the schema: it knows no {min(map(str, unknown))!r}")
        return {
            name: None if (each := value.get(name)) is None else _within(name, fit, each)
            for name, fit in fits.items()
        }

    return fit_struct


def _within(name: str, fit: Fit, value: Any) -> Any:
    try:
        return fit(value)
    except FormatError as exc:
        raise FormatError(f"in {name!r}: {exc}") from exc
