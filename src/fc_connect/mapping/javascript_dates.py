"""Dates as JavaScript has them: milliseconds since 1970, read from text as leniently as V8 reads them.

V8 takes ISO 8601 first, and whatever else it can make sense of next: `01/15/2024`, `Jan 15, 2024 10:30 pm GMT+1`, and
also `5`, which is the first of May 2001. What these functions give is what a mapping in compat mode promises; nothing
else should read dates this way.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from enum import Enum
from functools import lru_cache
from typing import Final, NamedTuple

from fc_connect.ecmascript import WHITESPACE

__all__ = [
    "INVALID_DATE",
    "InvalidDate",
    "civil",
    "clipped",
    "date_text",
    "instant",
    "iso_text",
    "milliseconds_of",
    "read_date",
]


class InvalidDate(Enum):
    """The type of `INVALID_DATE`."""

    # Of no type that is written as JSON: one that gets into an entity is an error there, never a text or a null.
    INVALID_DATE = range(0)

    def __repr__(self) -> str:
        return "INVALID_DATE"


INVALID_DATE: Final = InvalidDate.INVALID_DATE
"""JavaScript's Invalid Date: an object, and so truthy. Also stands for the dates that `datetime` can't hold.

An entity that holds one can't be written.
"""

_REMEMBERED: Final = 40
_LONGEST: Final = 4096
_LARGEST: Final = 8_640_000_000_000_000
_DAY: Final = 86_400_000
_CYCLE: Final = 146_097 * _DAY
_FIRST: Final = -62_135_510_400_000  # a day inside what `datetime` holds, so that a zone can move it
_LAST: Final = 253_402_214_400_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_WEEKDAYS: Final = ("Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_ZONES: Final = {
    "ut": 0,
    "utc": 0,
    "z": 0,
    "gmt": 0,
    "cdt": -5,
    "cst": -6,
    "edt": -4,
    "est": -5,
    "mdt": -6,
    "mst": -7,
    "pdt": -7,
    "pst": -8,
}


def read_date(text: str, *, tz: tzinfo = UTC) -> int | None:
    """Return the milliseconds since 1970 that a text stands for; None where it is no date.

    A time without a zone is one of `tz`, and so is a date that isn't ISO 8601. A day that its month doesn't have runs
    over into the next month. Text of thousands of characters is never one, which V8 has no limit for.
    """
    if len(text) <= _REMEMBERED:
        return _read_again(text, tz)
    return _read(text, tz) if len(text) <= _LONGEST else None


@lru_cache(maxsize=4096)  # files have the same few days in many rows
def _read_again(text: str, tz: tzinfo) -> int | None:
    return _read(text, tz)


def _read(text: str, tz: tzinfo) -> int | None:
    scanner = _Scanner(text)
    parts = _Parts()
    if not _read_iso(scanner, parts) or not _read_rest(scanner, parts):
        return None
    return parts.milliseconds(tz)


def clipped(milliseconds: float) -> int | None:
    """Return the milliseconds of a date made from a number; None where there is no such date."""
    return int(milliseconds) if -_LARGEST <= milliseconds <= _LARGEST else None


def instant(milliseconds: int | None) -> datetime | InvalidDate:
    """Return the instant, in UTC."""
    if milliseconds is None:
        return INVALID_DATE
    try:
        return _EPOCH + timedelta(milliseconds=milliseconds)
    except OverflowError:
        return INVALID_DATE


def milliseconds_of(moment: datetime, *, tz: tzinfo = UTC) -> int:
    """Return the milliseconds since 1970, cut; a moment without a zone is one of `tz`."""
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=tz)
    return (aware - _EPOCH) // timedelta(milliseconds=1)


def civil(milliseconds: int) -> tuple[int, int, int]:
    """Return the year, month and day (in UTC) of any date of JavaScript, also of years that `datetime` doesn't have."""
    era, day_of_era = divmod(milliseconds // _DAY + 719_468, 146_097)
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    month_from_march = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * month_from_march + 2) // 5 + 1
    month = month_from_march + 3 if month_from_march < 10 else month_from_march - 9
    return era * 400 + year_of_era + (month <= 2), month, day


def iso_text(milliseconds: int) -> str:
    """Return ISO 8601 in UTC with milliseconds: `toISOString`."""
    year, month, day = civil(milliseconds)
    hours, minutes, seconds, rest = _clock(milliseconds)
    shown = f"{year:04}" if 0 <= year <= 9999 else f"{'-' if year < 0 else '+'}{abs(year):06}"
    return f"{shown}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}.{rest:03}Z"


def date_text(milliseconds: int, *, tz: tzinfo = UTC) -> str:
    """Return what `String(date)` gives: `Mon Jan 15 2024 10:30:00 GMT+0000 (Coordinated Universal Time)`."""
    offset, name = _offset_at(milliseconds, tz)
    local = milliseconds + offset
    year, month, day = civil(local)
    hours, minutes, seconds, _ = _clock(local)
    sign, shift = ("-", -offset) if offset < 0 else ("+", offset)
    shown = f"{'-' if year < 0 else ''}{abs(year):04}"
    return (
        f"{_WEEKDAYS[local // _DAY % 7]} {_MONTHS[month - 1]} {day:02} {shown} {hours:02}:{minutes:02}:{seconds:02} "
        f"GMT{sign}{shift // 3_600_000:02}{shift // 60_000 % 60:02} ({name})"
    )


def _clock(milliseconds: int) -> tuple[int, int, int, int]:
    seconds, rest = divmod(milliseconds % _DAY, 1000)
    return seconds // 3600, seconds // 60 % 60, seconds % 60, rest


def _days(year: int, month: int, day: int) -> int:
    year -= month <= 2
    era, year_of_era = divmod(year, 400)
    day_of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146_097 + year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year - 719_468


def _offset_at(milliseconds: int, tz: tzinfo) -> tuple[int, str]:
    if tz is UTC:
        return 0, "Coordinated Universal Time"
    local = (_EPOCH + timedelta(milliseconds=_in_range(milliseconds))).astimezone(tz)
    offset = local.utcoffset() or timedelta()
    return offset // timedelta(milliseconds=1), local.tzname() or ""


def _to_utc(local: int, tz: tzinfo) -> int:
    if tz is UTC:
        return local
    moment = (_EPOCH + timedelta(milliseconds=_in_range(local))).replace(tzinfo=tz)
    return local - (moment.utcoffset() or timedelta()) // timedelta(milliseconds=1)


def _in_range(milliseconds: int) -> int:
    """Return the like moment of a year that `datetime` has; the calendar repeats every 400 years."""
    if _FIRST <= milliseconds < _LAST:
        return milliseconds
    start = _FIRST if milliseconds < _FIRST else _LAST - _CYCLE
    return start + (milliseconds - start) % _CYCLE


# Reading


class _Token(NamedTuple):
    kind: str
    """`number`, `word`, `space`, `end`, `other`; of a symbol the symbol itself."""
    value: int | str = 0
    """Of a number its first nine digits, of a word its first three letters."""
    length: int = 0


_END = _Token("end")
_SPACE = WHITESPACE.replace("\u2028", "").replace("\u2029", "")  # V8 takes these two for letters here
_TOKEN = re.compile(rf"([0-9]+)|([-:+.)])|([{_SPACE}])|([^\0-@{_SPACE}]+)|\(")
_PARENTHESIS = re.compile(r"[()\0]")


class _Scanner:
    """Cuts a text into tokens, one ahead."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0
        self.ahead = self._scan()

    def next(self) -> _Token:
        token = self.ahead
        self.ahead = self._scan()
        return token

    def skips(self, symbol: str) -> bool:
        if self.ahead.kind != symbol:
            return False
        self.next()
        return True

    def sees_number(self, length: int, least: int, most: int) -> bool:
        kind, value, digits = self.ahead
        return kind == "number" and digits == length and least <= int(value) <= most

    def sees_word(self, *words: str) -> bool:
        return self.ahead.kind == "word" and self.ahead.value in words

    def _scan(self) -> _Token:
        text, position = self._text, self._position
        if position >= len(text) or text[position] == "\0":
            return _END
        match = _TOKEN.match(text, position)
        if match is None:
            self._position += 1
            return _Token("other")
        self._position = match.end()
        found = match[0]
        if match[1]:
            return _Token("number", int(found.lstrip("0")[:9] or 0), len(found))
        if match[2]:
            return _Token(found)
        if match[3]:
            return _Token("space")
        if match[4]:
            lowered = found[:3].lower() if found[:3].isascii() else found[:3]
            return _Token("word", lowered, len(found))
        self._skip_parentheses()
        return _Token("other")

    def _skip_parentheses(self) -> None:
        depth = 1
        for match in _PARENTHESIS.finditer(self._text, self._position):
            depth += {"(": 1, ")": -1, "\0": -depth}[match[0]]
            if depth == 0:
                self._position = match.end() - (match[0] == "\0")
                return
        self._position = len(self._text)


class _Parts:
    """What was read so far."""

    def __init__(self) -> None:
        self.day: list[int] = []
        self.month: int | None = None
        self.is_iso = False
        self.time: list[int] = []
        self.afternoon: int | None = None
        self.sign: int | None = None
        self.zone_hours: int | None = None
        self.zone_minutes: int | None = None

    def add_day(self, number: int) -> bool:
        self.day.append(number)
        return len(self.day) <= 3

    def add_time(self, number: int) -> bool:
        self.time.append(number)
        return len(self.time) <= 4

    def finish_time(self, number: int) -> None:
        if len(self.time) < 4:
            self.time.append(number)
        self.time += [0] * (4 - len(self.time))

    def expects_time(self, number: int) -> bool:
        return len(self.time) in {1, 2, 3} and 0 <= number < (0, 60, 60, 1000)[len(self.time)]

    def expects_zone_minutes(self, number: int) -> bool:
        return self.zone_hours is not None and self.zone_minutes is None and number < 60

    def is_utc(self) -> bool:
        return self.zone_hours == 0 and self.zone_minutes == 0

    def set_zone(self, hours: int) -> None:
        self.sign = -1 if hours < 0 else 1
        self.zone_hours, self.zone_minutes = abs(hours), 0

    def milliseconds(self, tz: tzinfo) -> int | None:
        date, clock = self._date(), self._clock()
        if date is None or clock is None:
            return None
        local = _days(*date) * _DAY + clock
        if self.sign is not None:
            # V8 counts in 32 bits, so that a zone of millions of hours is taken for another.
            shift = ((self.zone_hours or 0) * 3600 + (self.zone_minutes or 0) * 60) % 2**32
            return clipped(local - self.sign * shift * 1000) if shift < 2**31 else None
        return clipped(_to_utc(local, tz))

    def _date(self) -> tuple[int, int, int] | None:
        if not self.day:
            return None
        first, second, third = (*self.day, 1, 1)[:3]
        is_day = 1 <= first <= 31
        if self.month is not None:
            month = self.month
            # Where the name of the month stands alone with one number, that is the day.
            year, day = (second, first) if is_day else (first, second)
        elif self.is_iso or not is_day:
            year, month, day = first, second, third
        else:
            month, day, year = first, second, third
        if not self.is_iso and 0 <= year <= 99:
            year += 2000 if year < 50 else 1900
        return (year, month, day) if 1 <= month <= 12 and 1 <= day <= 31 else None

    def _clock(self) -> int | None:
        hour, minute, second, rest = (*self.time, 0, 0, 0, 0)[:4]
        if self.afternoon is not None:
            if hour > 12:
                return None
            hour = hour % 12 + self.afternoon
        is_fit = hour < 24 and minute < 60 and second < 60 and rest < 1000
        if not is_fit and (hour, minute, second, rest) != (24, 0, 0, 0):
            return None
        return ((hour * 60 + minute) * 60 + second) * 1000 + rest


def _thousandths(token: _Token) -> int:
    number, length = int(token.value), min(token.length, 9)
    return int(number * 1000 // 10**length)


def _read_iso(scanner: _Scanner, parts: _Parts) -> bool:
    """Read ISO 8601 as far as it goes; False where its time is wrong, which no other way of reading mends."""
    if scanner.ahead.kind in {"+", "-"}:
        # A sign that no year of six digits follows means nothing, and is left out.
        sign = -1 if scanner.next().kind == "-" else 1
        if not scanner.sees_number(6, 0, 999_999):
            return True
        year = int(scanner.next().value)
        if sign < 0 and year == 0:
            return True
        parts.add_day(sign * year)
    elif scanner.sees_number(4, 0, 9999):
        parts.add_day(int(scanner.next().value))
    else:
        return True
    for most in (12, 31):
        if not scanner.skips("-"):
            break
        if not scanner.sees_number(2, 1, most):
            return True
        parts.add_day(int(scanner.next().value))
    if scanner.sees_word("t") and scanner.ahead.length == 1:
        scanner.next()
        if not _read_iso_time(scanner, parts) or scanner.ahead.kind != "end":
            return False
    elif scanner.ahead.kind != "end":
        return True
    elif not parts.time:
        parts.set_zone(0)
    parts.is_iso = True
    return True


def _read_iso_time(scanner: _Scanner, parts: _Parts) -> bool:
    if not scanner.sees_number(2, 0, 24):
        return False
    hour = int(scanner.next().value)
    most = 0 if hour == 24 else 59
    parts.add_time(hour)
    if not scanner.skips(":") or not scanner.sees_number(2, 0, most):
        return False
    parts.add_time(int(scanner.next().value))
    if scanner.skips(":"):
        if not scanner.sees_number(2, 0, most):
            return False
        parts.add_time(int(scanner.next().value))
        if scanner.skips("."):
            if scanner.ahead.kind != "number" or (hour == 24 and int(scanner.ahead.value) > 0):
                return False
            parts.add_time(_thousandths(scanner.next()))
    return _read_iso_zone(scanner, parts)


def _read_iso_zone(scanner: _Scanner, parts: _Parts) -> bool:
    if scanner.sees_word("z") and scanner.ahead.length == 1:
        scanner.next()
        parts.set_zone(0)
    elif scanner.ahead.kind in {"+", "-"}:
        parts.sign = 1 if scanner.next().kind == "+" else -1
        if scanner.ahead.kind == "number" and scanner.ahead.length == 4:
            hours, minutes = divmod(int(scanner.next().value), 100)
            if hours > 23 or minutes > 59:
                return False
            parts.zone_hours, parts.zone_minutes = hours, minutes
            return True
        if not scanner.sees_number(2, 0, 23):
            return False
        parts.zone_hours = int(scanner.next().value)
        if not scanner.skips(":") or not scanner.sees_number(2, 0, 59):
            return False
        parts.zone_minutes = int(scanner.next().value)
    return True


def _read_rest(scanner: _Scanner, parts: _Parts) -> bool:
    """Read what is left in the older way; False where it makes no sense."""
    has_number = bool(parts.day)
    while (token := scanner.next()).kind != "end":
        if token.kind == "number":
            has_number = True
            if not _read_number(int(token.value), scanner, parts):
                return False
        elif token.kind == "word":
            if not _read_word(token, scanner, parts, has_number=has_number):
                return False
        elif token.kind in {"+", "-"} and (parts.is_utc() or parts.time):
            has_number = True
            if not _read_offset(token.kind, scanner, parts):
                return False
        elif token.kind in {"+", "-", ")"} and has_number:
            return False
    return True


def _read_number(number: int, scanner: _Scanner, parts: _Parts) -> bool:
    if scanner.skips(":"):
        if scanner.skips(":"):
            if parts.time:
                return False
            parts.time = [number, 0]
            return True
        is_fit = parts.add_time(number)
        scanner.skips(".")
        return is_fit
    if scanner.skips(".") and parts.expects_time(number):
        parts.add_time(number)
        if scanner.ahead.kind != "number":
            return False
        parts.finish_time(_thousandths(scanner.next()))
        return True
    if parts.expects_zone_minutes(number):
        parts.zone_minutes = number
        return True
    if parts.expects_time(number):
        parts.finish_time(number)
        return scanner.ahead.kind in {"end", "space", "+", "-"} or (
            scanner.sees_word("z") and scanner.ahead.length == 1
        )
    is_fit = parts.add_day(number)
    scanner.skips("-")
    return is_fit


def _read_word(token: _Token, scanner: _Scanner, parts: _Parts, *, has_number: bool) -> bool:
    word = str(token.value)
    is_short = token.length <= 3
    if is_short and word in {"am", "pm"} and parts.time:
        parts.afternoon = 12 if word == "pm" else 0
        return True
    if word.title() in _MONTHS:
        parts.month = _MONTHS.index(word.title()) + 1
        scanner.skips("-")
        return True
    if is_short and word in _ZONES and has_number:
        parts.set_zone(_ZONES[word])
        return True
    # Other words may only stand before the first number, and apart from it.
    return not has_number and scanner.ahead.kind != "number"


def _read_offset(sign: str, scanner: _Scanner, parts: _Parts) -> bool:
    parts.sign = 1 if sign == "+" else -1
    number = length = 0
    if scanner.ahead.kind == "number":
        _, value, length = scanner.next()
        number = int(value)
    if scanner.ahead.kind == ":":
        parts.zone_hours, parts.zone_minutes = number, None
    elif length in {1, 2}:
        parts.zone_hours, parts.zone_minutes = number, 0
    elif length in {3, 4}:
        parts.zone_hours, parts.zone_minutes = divmod(number, 100)
    else:
        return False
    return True
