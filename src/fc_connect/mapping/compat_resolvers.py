"""The `sdk.*` resolvers with the results of the TypeScript SDK, for mappings in compat mode.

Text that is no number is 0 here, and a date that can't be read goes through as it is: that is what the mapping was
written against. `fc_connect.mapping.resolvers` has the strict ones. None of these raises.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal
from typing import Any, Final

from fc_connect.mapping.javascript import (
    INVALID_DATE,
    WHITESPACE,
    InvalidDate,
    as_number,
    date_milliseconds,
    instant,
    is_truthy,
    iso_text,
    read_json,
)
from fc_connect.mapping.javascript import parse_float as js_parse_float
from fc_connect.mapping.javascript import parse_int as js_parse_int
from fc_connect.mapping.javascript import to_json as js_to_json
from fc_connect.mapping.javascript import to_string as js_to_string
from fc_connect.mapping.values import ABSENT

__all__ = ["COMPAT_RESOLVERS", "parse_date"]

_SMALL: Final = 2**53
_DIGITS: Final = frozenset("0123456789")
_BEGINS: Final = _DIGITS | {"-", "+", "."}
_SIZES: Final = frozenset(
    {len("2024-01-15"), len("2024-01-15T10:30:00"), len("2024-01-15T10:30:00Z"), 24, 25, 29}
)
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
    if value.__class__ is str and value.isdecimal() and value.isascii() and len(value) < 16:
        return int(value)
    number = js_parse_int(value)
    return number if number == number else 0


def parse_float(value: Any) -> int | float:
    """Return the number that the text begins with, 0 where there is none."""
    if value.__class__ is str and value and value[0] in _BEGINS and value[-1] in _DIGITS:
        try:
            # Python reads more than JavaScript: 1_000, and digits of other scripts.
            if "_" not in value and value.isascii():
                return as_number(float(value))
        except ValueError:
            pass
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
    if value.__class__ is int and -_SMALL < value < _SMALL:
        return str(value)
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


def _iso(text: str) -> str | None:
    """Return the instant that a text stands for, None where it stands for none."""
    found = _plain_iso(text)
    if found is not None:
        return found
    moment = date_milliseconds(text)
    return None if moment is None else iso_text(moment)


def _plain_iso(text: str) -> str | None:
    """Do the same for the usual forms of ISO 8601 alone, which is most dates of most files; quicker by far."""
    size = len(text)
    if (
        size not in _SIZES or text[4] != "-" or text[7] != "-" or text[:2] == "00"
    ):  # such years have rules of their own
        return None
    try:
        if size == 10:
            date.fromisoformat(text)
            return text + "T00:00:00.000Z"
        if text[10] not in "T " or text[13] != ":" or text[16] != ":" or text[11:13] > "23":
            return None
        moment = datetime.fromisoformat(text)
        if size == 19:
            return f"{text[:10]}T{text[11:]}.000Z"
        if text[10] == " ":
            return None
        if text[-1] == "Z":
            return text[:-1] + ".000Z" if size == 20 else text if size == 24 and text[19] == "." else None
        if text[-6] not in "+-" or text[-3] != ":" or text[-2:] > "59" or (size == 29) != (text[19] == "."):
            return None
        return moment.astimezone(UTC).isoformat(timespec="milliseconds")[:23] + "Z"
    except (ValueError, OverflowError):  # a day that its month doesn't have, or no date at all
        return None


def format_date(value: Any) -> Any:
    """Return a text or date as an ISO instant in UTC; what isn't one goes through, anything else becomes text."""
    if isinstance(value, str):
        return _iso(value) or value
    if isinstance(value, date):
        moment = date_milliseconds(value)
        return value if moment is None else iso_text(moment)
    return js_to_string(value) if is_truthy(value) else value


def format_date_short(value: Any) -> Any:
    """Return the day in UTC; a number counts milliseconds since 1970, and what is no date goes through as it is."""
    if isinstance(value, str):
        found = _iso(value)
        return value if found is None else found.partition("T")[0]
    moment = date_milliseconds(value) if is_truthy(value) else None
    return value if moment is None else iso_text(moment).partition("T")[0]


def parse_date(value: Any, *, tz: tzinfo = UTC) -> datetime | InvalidDate | None:
    """Return the instant in UTC, or None where there is none.

    `INVALID_DATE` stands for what is written like a date and isn't one, and for a year that `datetime` can't hold.
    """
    if tz is UTC and value.__class__ is str and (plain := _plain_iso(value)) is not None:
        return datetime.fromisoformat(plain)
    moment = date_milliseconds(value, tz=tz)
    if moment is not None:
        return instant(moment)
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
