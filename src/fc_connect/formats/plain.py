"""The one text that says a value, for formats that hold text alone."""

from __future__ import annotations

import math
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from fc_connect.errors import FormatError

__all__ = ["plain_text"]

_MOST_DIGITS: Final = 4300  # Python itself turns no longer number into text


def plain_text(value: Any) -> str:
    """Return the text of a value that is neither text nor made of others.

    Numbers in full, dates by ISO 8601, `true` and `false`.

    Raises:
        FormatError: it has none.
    """
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            if value.bit_length() > 3 * _MOST_DIGITS:
                raise FormatError("is a number of thousands of digits.")
            return int.__repr__(value)
        case float():
            if not math.isfinite(value):
                raise FormatError(f"is {value}, which is no number.")
            return float.__repr__(value)
        case Decimal():
            if not value.is_finite():
                raise FormatError(f"is {value}, which is no number.")
            if max(value.adjusted(), -value.as_tuple().exponent) > _MOST_DIGITS:  # type: ignore[operator]
                raise FormatError("is a number of thousands of digits.")
            return format(value, "f")
        case datetime() | time():
            return value.isoformat().replace("+00:00", "Z")
        case date():
            return value.isoformat()
        case UUID():
            return str(value)
    raise FormatError(f"is of type {type(value).__name__}, which has no text: map it to text first.")
