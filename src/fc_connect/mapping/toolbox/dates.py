"""Dates: read leniently, moved by days, compared.

Times that name no zone are of `tz`, UTC unless you say otherwise; the original took the machine's zone.
"""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any

from fc_connect.errors import MappingError
from fc_connect.mapping.compat_resolvers import parse_date
from fc_connect.mapping.javascript import (
    INVALID_DATE,
    InvalidDate,
    date_milliseconds,
    iso_text,
    to_number,
    to_string,
)
from fc_connect.mapping.javascript import parse_date as new_date
from fc_connect.mapping.toolbox.access import added

__all__ = ["add_days", "date_diff", "format_date", "parse_date", "subtract_days"]

_DAY = 86_400_000


def format_date(value: Any, *, tz: tzinfo = UTC) -> str:
    """Return a text or date as an ISO instant in UTC; any other value, and text that is no date, as text."""
    moment = date_milliseconds(value, tz=tz) if isinstance(value, str | date) else None
    return to_string(value) if moment is None else iso_text(moment)


def add_days(value: Any, days: Any, *, tz: tzinfo = UTC) -> datetime | InvalidDate:
    """Return the date so many days later, at the same time of day in `tz`."""
    found = new_date(value, tz=tz)
    if found is INVALID_DATE:
        return INVALID_DATE
    local = found.astimezone(tz)
    day = to_number(added(local.day, days))  # of a text, the day and it are joined: 15 and "2" are 152
    if not math.isfinite(day):
        return INVALID_DATE
    try:
        # The day of the month is cut to a whole one after the days were added, as `setDate` does it.
        return (local + timedelta(days=math.trunc(day) - local.day)).astimezone(UTC)
    except OverflowError:
        return INVALID_DATE


def subtract_days(value: Any, days: Any, *, tz: tzinfo = UTC) -> datetime | InvalidDate:
    """Return the date so many days earlier, at the same time of day in `tz`."""
    return add_days(value, -to_number(days), tz=tz)


def date_diff(first: Any, second: Any, *, tz: tzinfo = UTC) -> int | float:
    """Return the days between two dates, never negative, a started day counted whole; NaN where a text is no date.

    Raises:
        MappingError: one is neither text nor a date.
    """
    for each in (first, second):
        if not isinstance(each, str | date) and each is not INVALID_DATE:
            raise MappingError(f"dateDiff: {to_string(each)} is no date")
    earlier, later = date_milliseconds(first, tz=tz), date_milliseconds(second, tz=tz)
    if earlier is None or later is None:
        return math.nan
    return -(-abs(later - earlier) // _DAY)
