"""The built-in resolvers, by the names of the TypeScript SDK, and strict.

Where that SDK turns text that is no number into 0, or "12abc" into 12, these raise: the record is rejected with the
value and the reason, and no wrong stock goes out. None stays None: an absent value is no fault of a resolver.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

__all__ = ["RESOLVERS", "resolver_names"]

_WHOLE = re.compile(r"[+-]?[0-9]+(?:\.0+)?")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_TRUE = {"true", "1", "yes", "y"}
_FALSE = {"false", "0", "no", "n"}
_LARGEST = 2**63 - 1


def uppercase(value: Any) -> Any:
    return value.upper() if isinstance(value, str) else value


def lowercase(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def trim(value: Any) -> Any:
    return value.strip(" \t\n\r\v\f\u00a0\ufeff\u2028\u2029") if isinstance(value, str) else value


def parse_int(value: Any) -> int | None:
    """Return a whole number; spaces around it and `.0` behind it are allowed."""
    if value is None or type(value) is int:
        return value
    if isinstance(value, str):
        text = value.strip()
        if _WHOLE.fullmatch(text):
            return _within(int(text.partition(".")[0]))
    elif isinstance(value, float) and value.is_integer():
        return _within(int(value))
    raise ValueError("expected a whole number")


def parse_number(value: Any) -> int | float | None:
    """Return a number; a whole one stays exact."""
    if value is None or type(value) is int:
        return value
    if isinstance(value, str):
        text = value.strip()
        if _WHOLE.fullmatch(text) and "." not in text:
            return _within(int(text))
        if _NUMBER.fullmatch(text) and math.isfinite(number := float(text)):
            return number
    elif isinstance(value, float | Decimal) and math.isfinite(value):
        return float(value)
    raise ValueError("expected a number")


def boolean(value: Any) -> bool | None:
    """Return true for true, 1, yes, y; false for false, 0, no, n; in any case."""
    if value is None or isinstance(value, bool):
        return value
    text = str(value).strip().lower() if isinstance(value, str | int) else ""
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValueError("expected true or false (or yes, no, y, n, 1, 0)")


def to_string(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float | Decimal):
        return str(value)
    raise ValueError("expected text or a number")


def parse_json(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value, parse_constant=_no_constant, object_pairs_hook=_once_each)
    except ValueError as exc:
        raise ValueError(f"expected JSON: {exc}") from exc


def to_json(value: Any) -> str | None:
    return (
        None
        if value is None
        else json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    )


def format_date(value: Any) -> Any:
    """Return an ISO 8601 instant in UTC with milliseconds; a date without a zone is UTC."""
    if value is None or value == "":
        return value
    return _instant(value).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def format_date_short(value: Any) -> Any:
    """Return the UTC date as YYYY-MM-DD."""
    return value if value is None or value == "" else _instant(value).date().isoformat()


def same(value: Any) -> Any:
    return value


RESOLVERS: dict[str, Callable[[Any], Any]] = {
    "sdk.uppercase": uppercase,
    "sdk.lowercase": lowercase,
    "sdk.trim": trim,
    "sdk.parseInt": parse_int,
    "sdk.parseFloat": parse_number,
    "sdk.number": parse_number,
    "sdk.boolean": boolean,
    "sdk.toString": to_string,
    "sdk.parseJson": parse_json,
    "sdk.toJson": to_json,
    "sdk.formatDate": format_date,
    "sdk.formatDateShort": format_date_short,
    "sdk.parseDate": format_date,
    "sdk.default": same,
    "sdk.identity": same,
    "sdk.coalesce": same,
}


def resolver_names() -> tuple[str, ...]:
    """Return the names of the built-in resolvers."""
    return tuple(RESOLVERS)


def _within(number: int) -> int:
    if abs(number) > _LARGEST:
        raise ValueError("expected a number within 64 bits")
    return number


def _instant(value: Any) -> datetime:
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError as exc:
            raise ValueError(
                "expected a date in ISO 8601, such as 2026-01-31 or 2026-01-31T12:00:00Z"
            ) from exc
    if not isinstance(value, datetime):
        raise ValueError("expected a date in ISO 8601")  # noqa: TRY004 (a fault of the data)
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} isn't JSON")


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        raise ValueError("a key is given twice, and which of the two counts can't be known")
    return content
