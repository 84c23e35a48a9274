"""What JavaScript makes of a value: the rules that mappings in compat mode were written for.

None stands for null, `ABSENT` for undefined, an aware `datetime` for a Date, numbers of any kind for its one kind of
number. Whole numbers that come out are `int` as far as JavaScript counts exactly (2**53), so that JSON shows them as
JavaScript does; minus zero stays a float. A whole number that JavaScript can't hold keeps its digits: it wasn't read by
JavaScript, and changing it here would be our doing.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal
from typing import Any, Final

from fc_connect.ecmascript import WHITESPACE, float_text
from fc_connect.mapping.javascript_dates import (
    INVALID_DATE,
    InvalidDate,
    clipped,
    date_text,
    instant,
    iso_text,
    milliseconds_of,
    read_date,
)
from fc_connect.mapping.values import ABSENT

__all__ = [
    "INVALID_DATE",
    "WHITESPACE",
    "InvalidDate",
    "as_number",
    "date_milliseconds",
    "instant",
    "is_number",
    "is_truthy",
    "iso_text",
    "number_text",
    "parse_date",
    "parse_float",
    "parse_int",
    "read_json",
    "to_json",
    "to_number",
    "to_string",
]

_EXACT: Final = 2**53
_INT = re.compile(rf"[{WHITESPACE}]*([+-]?[0-9]+)")
_FLOAT = re.compile(
    rf"[{WHITESPACE}]*([+-]?(?:Infinity|(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?))"
)
_NUMERIC = re.compile(r"[+-]?(?:Infinity|(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)")
_RADIX = re.compile(r"0(?:[xX][0-9a-fA-F]+|[oO][0-7]+|[bB][01]+)")
_ARRAY_INDEX = re.compile(r"0|[1-9][0-9]{0,9}")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_quoted = json.encoder.encode_basestring


def is_truthy(value: Any) -> bool:
    """Say whether `if (value)` holds: not for undefined, null, false, 0, NaN and empty text; for any list or object."""
    if value is None or value is ABSENT or value is False:
        return False
    if isinstance(value, str):
        return value != ""
    if isinstance(value, int | float | Decimal):
        return value != 0 and value == value
    return True


def is_number(value: Any) -> bool:
    """Say whether JavaScript would call it a number; NaN is one, a boolean isn't."""
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def as_number(number: float) -> int | float:
    """Return a whole number as `int` where that is exact in JavaScript, anything else as it is."""
    if -_EXACT <= number <= _EXACT and number == (whole := int(number)):
        return whole if whole or math.copysign(1, number) > 0 else number
    return number


def number_text(number: float | Decimal) -> str:
    """Return the text of a number: `5` for 5.0, `1e+21`, `1e-7`, `0` for minus zero."""
    if isinstance(number, Decimal):
        return _decimal_text(number)
    if isinstance(number, int):
        if -(10**21) < number < 10**21:
            return str(int(number))
        nearest = _doubled(number)
        return str(number) if math.isfinite(nearest) and nearest != number else float_text(float(nearest))
    return float_text(number)


def _decimal_text(number: Decimal) -> str:
    text = float_text(float(number))
    if not number.is_finite() or Decimal(text) == number or abs(number.adjusted()) > 400:
        return text
    return format(number, "f")


def to_string(value: Any, *, tz: tzinfo = UTC) -> str:
    """Return `String(value)`: items of a list joined by commas, `[object Object]` for an object."""
    if isinstance(value, str):
        return value
    if value is None:
        return "null"
    if value is ABSENT:
        return "undefined"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float | Decimal):
        return number_text(value)
    if isinstance(value, list | tuple):
        return _joined(value, tz, ())
    if value is INVALID_DATE:
        return "Invalid Date"
    if isinstance(value, date):
        return date_text(_milliseconds(value, tz), tz=tz)
    return "[object Object]"


def _joined(items: list[Any] | tuple[Any, ...], tz: tzinfo, above: tuple[int, ...]) -> str:
    if id(items) in above:  # JavaScript leaves out a list inside itself
        return ""
    above = (*above, id(items))
    return ",".join(
        _joined(item, tz, above)
        if isinstance(item, list | tuple)
        else ""
        if item is None or item is ABSENT
        else to_string(item, tz=tz)
        for item in items
    )


def parse_int(value: Any) -> int | float:
    """Return `parseInt(value, 10)`: the whole number that the text begins with, or NaN."""
    if value.__class__ is int and -_EXACT <= value <= _EXACT:
        return int(value)
    if value.__class__ is float and 1 <= abs(value) < _EXACT:
        return int(value)
    match = _INT.match(value if isinstance(value, str) else to_string(value))
    if match is None:
        return math.nan
    digits = match[1]
    if len(digits) < 16 and not digits.startswith("-"):
        return int(digits)
    return as_number(float(digits))


def parse_float(value: Any) -> int | float:
    """Return `parseFloat(value)`: the number that the text begins with, or NaN."""
    if value.__class__ is int and -_EXACT <= value <= _EXACT:
        return int(value)
    if value.__class__ is float:
        return as_number(value) if value else 0  # the text of minus zero has no sign
    match = _FLOAT.match(value if isinstance(value, str) else to_string(value))
    return math.nan if match is None else as_number(float(match[1]))


def to_number(value: Any, *, tz: tzinfo = UTC) -> int | float:
    """Return `Number(value)`: the number that the whole text is, 0 for empty text and null, or NaN."""
    if value is None or value is False:
        return 0
    if value is ABSENT or value is INVALID_DATE:
        return math.nan
    if isinstance(value, bool):
        return 1
    if isinstance(value, int | float | Decimal):
        return _doubled(value)
    if isinstance(value, date):
        return _milliseconds(value, tz)
    text = to_string(value, tz=tz).strip(WHITESPACE)
    if not text:
        return 0
    if _NUMERIC.fullmatch(text):
        return as_number(float(text))
    if _RADIX.fullmatch(text):
        return _doubled(int(text, 0))
    return math.nan


def _doubled(number: float | Decimal) -> int | float:
    try:
        return as_number(float(number))
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def date_milliseconds(value: Any, *, tz: tzinfo = UTC) -> int | None:
    """Return the milliseconds since 1970 of `new Date(value)`, None where that is an Invalid Date.

    The zone is that of times that don't name one; JavaScript takes the machine's, which makes a mapping mean
    something else on another machine.
    """
    if isinstance(value, str):
        return read_date(value, tz=tz)
    if value is ABSENT or value is INVALID_DATE:
        return None
    if isinstance(value, date):
        return _milliseconds(value, tz)
    if value is None or isinstance(value, int | float | Decimal):
        return clipped(to_number(value))
    return read_date(to_string(value, tz=tz), tz=tz)


def parse_date(value: Any, *, tz: tzinfo = UTC) -> datetime | InvalidDate:
    """Return `new Date(value)` in UTC, to the millisecond. A year that `datetime` can't hold is an `INVALID_DATE`."""
    return instant(date_milliseconds(value, tz=tz))


def _milliseconds(value: date, tz: tzinfo) -> int:
    if not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day, tzinfo=UTC)
    return milliseconds_of(value, tz=tz)


# JSON


def read_json(text: str) -> Any:
    """Return `JSON.parse(text)`; a number becomes the nearest that JavaScript has.

    Raises:
        ValueError: it isn't JSON, or is nested more deeply than can be read.
    """
    try:
        return _decode(text)
    except RecursionError as exc:
        raise ValueError("nested too deeply") from exc


def _read_number(text: str) -> int | float:
    return as_number(float(text))


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} isn't JSON")


_decode = json.JSONDecoder(
    parse_constant=_no_constant, parse_float=_read_number, parse_int=_read_number
).decode


def to_json(value: Any, *, tz: tzinfo = UTC) -> str | Any:
    """Return `JSON.stringify(value)`, `ABSENT` for what has no JSON: undefined, a function.

    Raises:
        ValueError: it holds itself, or is nested too deeply.
    """
    try:
        return _json(value, tz, set())
    except RecursionError as exc:
        raise ValueError("nested too deeply") from exc


def _json(value: Any, tz: tzinfo, above: set[int]) -> Any:
    if isinstance(value, str):
        text = _quoted(value)
        return text if text.isascii() else _SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
    if value is None or value is INVALID_DATE:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float | Decimal):
        return number_text(value) if math.isfinite(_doubled(value)) else "null"
    if isinstance(value, date):
        return f'"{iso_text(_milliseconds(value, tz))}"'
    if isinstance(value, list | tuple | Mapping):
        if id(value) in above:
            raise ValueError("Converting circular structure to JSON")
        above.add(id(value))
        text = _json_object(value, tz, above) if isinstance(value, Mapping) else _json_list(value, tz, above)
        above.remove(id(value))
        return text
    return ABSENT if value is ABSENT or callable(value) else "{}"


def _json_list(value: list[Any] | tuple[Any, ...], tz: tzinfo, above: set[int]) -> str:
    items = (_json(item, tz, above) for item in value)
    return f"[{','.join('null' if item is ABSENT else item for item in items)}]"


def _json_object(value: Mapping[Any, Any], tz: tzinfo, above: set[int]) -> str:
    fields = []
    for name, item in _in_key_order(value):
        written = _json(item, tz, above)
        if written is not ABSENT:
            fields.append(f"{_json(name, tz, above)}:{written}")
    return f"{{{','.join(fields)}}}"


def _in_key_order(value: Mapping[Any, Any]) -> list[tuple[str, Any]]:
    """Return the fields of an object as JavaScript lists them: whole numbers first, the rest as they were put in."""
    fields = [(name if isinstance(name, str) else to_string(name), item) for name, item in value.items()]
    positions = [name for name, _ in fields if name[:1].isdigit() and _is_index(name)]
    if not positions:
        return fields
    by_name = dict(fields)
    ordered = sorted(positions, key=int)
    return [(name, by_name[name]) for name in dict.fromkeys([*ordered, *by_name])]


def _is_index(name: str) -> bool:
    return _ARRAY_INDEX.fullmatch(name) is not None and int(name) < 2**32 - 1
