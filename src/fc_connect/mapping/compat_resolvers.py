"""The `sdk.*` resolvers with the results of the TypeScript SDK, for mappings in compat mode.

Text that is no number is 0 here, and a date that can't be read goes through as it is: that is what the mapping was
written against. `fc_connect.mapping.resolvers` has the strict ones. None of these raises.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from fc_connect.mapping.javascript import (
    INVALID_DATE,
    WHITESPACE,
    InvalidDate,
    date_milliseconds,
    is_truthy,
    iso_text,
    read_json,
)
from fc_connect.mapping.javascript import parse_date as new_date
from fc_connect.mapping.javascript import parse_float as js_parse_float
from fc_connect.mapping.javascript import parse_int as js_parse_int
from fc_connect.mapping.javascript import to_json as js_to_json
from fc_connect.mapping.javascript import to_string as js_to_string
from fc_connect.mapping.values import ABSENT

__all__ = ["COMPAT_RESOLVERS"]

_TRUE: Final = {"true", "1", "yes", "y"}
_LOOKS_LIKE_A_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{2}([-/])[0-9]{2}\1[0-9]{4}|[0-9]{8}")


def uppercase(value: Any) -> Any:
    return value.upper() if isinstance(value, str) else value


def lowercase(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def trim(value: Any) -> Any:
    return value.strip(WHITESPACE) if isinstance(value, str) else value


def parse_int(value: Any) -> int | float:
    """Return the whole number that the text begins with, 0 where there is none."""
    number = js_parse_int(value)
    return number if number == number else 0


def parse_float(value: Any) -> int | float:
    """Return the number that the text begins with, 0 where there is none."""
    number = js_parse_float(value)
    return number if number == number else 0


def boolean(value: Any) -> bool:
    """Return true for true, 1, and for the texts true, 1, yes, y in any case; false for all else."""
    if isinstance(value, str):
        return value.lower() in _TRUE
    return isinstance(value, int | float | Decimal) and value == 1


def to_string(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None or value is ABSENT else js_to_string(value)


def parse_json(value: Any) -> Any:
    """Return what a text says as JSON; what isn't JSON goes through as it is."""
    if not isinstance(value, str):
        return value
    try:
        return read_json(value)
    except ValueError:
        return value


def to_json(value: Any) -> Any:
    """Return compact JSON; a value that holds itself goes through as it is."""
    try:
        return js_to_json(value)
    except ValueError:
        return value


def format_date(value: Any) -> Any:
    """Return a text or date as an ISO instant in UTC; what isn't one goes through, anything else becomes text."""
    if not is_truthy(value):
        return value
    if isinstance(value, str | date):
        moment = date_milliseconds(value)
        return value if moment is None else iso_text(moment)
    return js_to_string(value)


def format_date_short(value: Any) -> Any:
    """Return the day in UTC; a number counts milliseconds since 1970, and what is no date goes through as it is."""
    if not is_truthy(value):
        return value
    moment = date_milliseconds(value)
    return value if moment is None else iso_text(moment).partition("T")[0]


def parse_date(value: Any) -> datetime | InvalidDate | None:
    """Return the instant in UTC, or None; `INVALID_DATE` for what is written like a date and isn't one."""
    found = new_date(value)
    if found is not INVALID_DATE:
        return found
    return INVALID_DATE if isinstance(value, str) and _LOOKS_LIKE_A_DATE.fullmatch(value) else None


def same(value: Any) -> Any:
    return value


def coalesce(value: Any) -> Any:
    """Return the value; null is left out."""
    return ABSENT if value is None else value


COMPAT_RESOLVERS: Final[dict[str, Callable[[Any], Any]]] = {
    "sdk.uppercase": uppercase,
    "sdk.lowercase": lowercase,
    "sdk.trim": trim,
    "sdk.parseInt": parse_int,
    "sdk.parseFloat": parse_float,
    "sdk.number": parse_float,
    "sdk.boolean": boolean,
    "sdk.toString": to_string,
    "sdk.parseJson": parse_json,
    "sdk.toJson": to_json,
    "sdk.formatDate": format_date,
    "sdk.formatDateShort": format_date_short,
    "sdk.parseDate": parse_date,
    "sdk.default": same,
    "sdk.identity": same,
    "sdk.coalesce": coalesce,
}
