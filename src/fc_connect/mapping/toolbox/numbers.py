"""Numbers: read from text, added up, shown as an amount."""

from __future__ import annotations

import math
from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Context, Decimal
from itertools import islice
from typing import Any

from fc_connect.errors import MappingError
from fc_connect.mapping.javascript import (
    as_number,
    is_number,
    number_text,
    parse_float,
    parse_int,
    to_number,
    to_string,
)
from fc_connect.mapping.toolbox.access import added, field_of, items_of
from fc_connect.mapping.toolbox.lists import Key, keyed
from fc_connect.mapping.values import ABSENT, Absent

__all__ = [
    "average",
    "clamp",
    "format_currency",
    "largest",
    "number_range",
    "parse_float_safe",
    "parse_int_safe",
    "smallest",
    "total",
]

_MOST_ITEMS = 1_000_000
_LONGEST = 400
_EXACT = Context(prec=400)


def parse_float_safe(value: Any, default: Any = 0) -> Any:
    """Return the number that the text begins with, or the default."""
    number = parse_float(value)
    return number if number == number else default


def parse_int_safe(value: Any, default: Any = 0) -> Any:
    """Return the whole number that the text begins with, or the default."""
    number = parse_int(value)
    return number if number == number else default


def format_currency(value: Any, scale: Any = 2) -> str:
    """Return an amount with `scale` decimals, as the original rounds: a next digit of 5 is cut off.

    1.235 becomes 1.23, and so does 1.2354. For amounts that are paid, round a `Decimal` instead.

    Raises:
        MappingError: the scale is below 0 or above 100.
    """
    number = float(to_number(value))
    digits = to_number(scale)
    places = 0 if digits != digits else digits
    if not 0 <= places < 101:
        raise MappingError(f"formatCurrency: the scale must be between 0 and 100, not {to_string(scale)}")
    factor = _tens(digits)
    if not math.isfinite(number) or factor != factor:
        return number_text(number if math.isinf(number) and factor == factor else math.nan)
    shifted = abs(number) * _tens(to_number(added(scale, 1)))
    if math.isfinite(shifted) and _rounded(shifted) % 10 == 5:
        return _fixed(math.trunc(number * factor) / factor, int(places))
    return _fixed(_rounded(number * factor) / factor, int(places))


def _tens(power: float) -> float:
    try:
        return float(10.0**power)
    except OverflowError:
        return math.inf


def _rounded(number: float) -> float:
    """Return `Math.round(number)`: halves go up; minus zero stays."""
    if abs(number) >= 2**52:
        return number
    whole = math.floor(number)
    return math.copysign(whole + (number - whole >= 0.5), number) if number else number


def _fixed(number: float, scale: int) -> str:
    """Return `number.toFixed(scale)`."""
    if abs(number) >= 1e21:
        return number_text(number)
    exact = Decimal(number).quantize(Decimal(1).scaleb(-scale), rounding=ROUND_HALF_UP, context=_EXACT)
    return format(abs(exact) if number == 0 else exact, "f")


def total(items: Any, key: Key | None = None) -> int | float:
    """Return the sum of what is a number among the items, NaN included.

    Raises:
        MappingError: it is no list, or an item is null and has no key.
    """
    if not isinstance(items, list | tuple):
        raise MappingError(f"sum: {to_string(items)} is no list")
    result: int | float = 0
    for number in _numbers(items, key):  # one by one: `sum` adds floats otherwise from Python 3.12 on
        result += number
    return result


def average(items: Any, key: Key | None = None) -> int | float:
    """Return the sum of the numbers, divided by how many items there are, numbers or not; 0 for none.

    Raises:
        MappingError: it is no list, or an item is null and has no key.
    """
    if _is_of_length_0(items, "avg"):
        return 0
    return as_number(total(items, key) / len(items))


def smallest(items: Any, key: Key | None = None) -> int | float | Absent:
    """Return the smallest of the numbers, `ABSENT` where there is none.

    Raises:
        MappingError: it is no list, or an item is null and has no key.
    """
    if _is_of_length_0(items, "min"):
        return ABSENT
    found = min(_real_numbers(items, key, "min"), default=math.inf)
    return ABSENT if found == math.inf else found


def largest(items: Any, key: Key | None = None) -> int | float | Absent:
    """Return the largest of the numbers, `ABSENT` where there is none.

    Raises:
        MappingError: it is no list, or an item is null and has no key.
    """
    if _is_of_length_0(items, "max"):
        return ABSENT
    found = max(_real_numbers(items, key, "max"), default=-math.inf)
    return ABSENT if found == -math.inf else found


def _is_of_length_0(items: Any, helper: str) -> bool:
    if items is None or items is ABSENT:
        raise MappingError(f"{helper}: {to_string(items)} is no list")
    length = field_of(items, "length")
    return is_number(length) and bool(length == 0)


def clamp(value: Any, lowest: Any, highest: Any) -> int | float:
    """Return the number, moved into the bounds; NaN where one of them is no number."""
    number, low, high = to_number(value), to_number(lowest), to_number(highest)
    if number != number or low != low or high != high:
        return math.nan
    return min(max(number, low), high)


def number_range(start: Any, end: Any = ABSENT, step: Any = 1) -> list[int | float]:
    """Return the numbers from `start` up to `end` without it; from 0 up to `start` where there is no end.

    Raises:
        MappingError: there are more of them than any record needs.
    """
    first, last = (0, start) if end is ABSENT else (start, end)
    numbers = list(islice(_steps(first, to_number(last), step), _MOST_ITEMS + 1))
    if len(numbers) > _MOST_ITEMS:
        raise MappingError(f"range: more than {_MOST_ITEMS:,} numbers")
    return numbers


def _steps(first: Any, last: Any, step: Any) -> Iterator[Any]:
    number = to_number(step)
    while (number > 0 and to_number(first) < last) or (number < 0 and to_number(first) > last):
        yield first
        first = added(first, step)
        if isinstance(first, str) and len(first) > _LONGEST:
            raise MappingError("range: the start or the step is no number")


def _numbers(items: Any, key: Key | None) -> list[Any]:
    values = (keyed(item, key) for item in items)
    return [float(value) if isinstance(value, Decimal) else value for value in values if is_number(value)]


def _real_numbers(items: Any, key: Key | None, helper: str) -> list[Any]:
    return [number for number in _numbers(items_of(items, helper), key) if number == number]
