"""Numbers: read from text, added up, shown as an amount."""

from __future__ import annotations

import math
from decimal import ROUND_HALF_UP, Context, Decimal
from itertools import islice
from typing import Any

from fc_connect.errors import MappingError
from fc_connect.mapping.javascript import as_number, number_text, parse_float, parse_int, to_number
from fc_connect.mapping.toolbox.checks import is_number
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
_EXACT = Context(prec=400)


def parse_float_safe(value: Any, default: Any = 0) -> Any:
    """Return the number that the text begins with, or the default."""
    number = parse_float(value)
    return number if number == number else default


def parse_int_safe(value: Any, default: Any = 0) -> Any:
    """Return the whole number that the text begins with, or the default."""
    number = parse_int(value)
    return number if number == number else default


def format_currency(value: Any, scale: int = 2) -> str:
    """Return an amount with `scale` decimals, as the original rounds: a next digit of 5 is cut off.

    1.235 becomes 1.23, and so does 1.2354. For amounts that are paid, round a `Decimal` instead.
    """
    number = float(to_number(value))
    if not math.isfinite(number):
        return number_text(number)
    factor = 10.0**scale
    if _rounded(abs(number) * 10.0 ** (scale + 1)) % 10 == 5:
        return _fixed(math.trunc(number * factor) / factor, scale)
    return _fixed(_rounded(number * factor) / factor, scale)


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
    """Return the sum of what is a number among the items."""
    result: int | float = 0
    for number in _numbers(items, key):  # one by one: `sum` adds floats otherwise from Python 3.12 on
        result += number
    return result


def average(items: Any, key: Key | None = None) -> int | float:
    """Return the sum of the numbers, divided by how many items there are, numbers or not; 0 for none."""
    count = len(items) if isinstance(items, list | tuple) else 0
    return as_number(total(items, key) / count) if count else 0


def smallest(items: Any, key: Key | None = None) -> int | float | Absent:
    """Return the smallest of the numbers, `ABSENT` where there is none."""
    return min(_numbers(items, key), default=ABSENT)


def largest(items: Any, key: Key | None = None) -> int | float | Absent:
    """Return the largest of the numbers, `ABSENT` where there is none."""
    return max(_numbers(items, key), default=ABSENT)


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
    first, last = (0, to_number(start)) if end is ABSENT else (to_number(start), to_number(end))
    numbers = list(islice(_steps(first, last, to_number(step)), _MOST_ITEMS + 1))
    if len(numbers) > _MOST_ITEMS:
        raise MappingError(f"range: more than {_MOST_ITEMS:,} numbers")
    return numbers


def _steps(first: Any, last: Any, step: Any) -> Any:
    while (step > 0 and first < last) or (step < 0 and first > last):
        yield first
        first = first + step


def _numbers(items: Any, key: Key | None) -> list[Any]:
    if not isinstance(items, list | tuple):
        return []
    values = (keyed(item, key) for item in items)
    return [float(value) if isinstance(value, Decimal) else value for value in values if is_number(value)]
