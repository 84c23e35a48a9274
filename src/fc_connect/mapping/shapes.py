"""What texts look like: which forms of dates, numbers and truth values every one of them could be."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

__all__ = ["DateForm", "TextShape", "date_forms"]

_SEPARATORS = ("-", "/", ".")
_WHOLE = re.compile(r"[+-]?[0-9]+")
_NUMBERS = {
    "point": re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"),
    "comma": re.compile(r"[+-]?(?:[0-9]+(?:,[0-9]*)?|,[0-9]+)"),
    "point, grouped by commas": re.compile(r"[+-]?[0-9]{1,3}(?:,[0-9]{3})*(?:\.[0-9]+)?"),
    "comma, grouped by points": re.compile(r"[+-]?[0-9]{1,3}(?:\.[0-9]{3})*(?:,[0-9]+)?"),
}
_LEADING_ZERO = re.compile(r"0[0-9]+")
_BOOLEANS = {"true", "false", "yes", "no", "y", "n"}
_MAX_NUMBER = 40
_MAX_DATE = 40
_CLOCK = ("%H:%M:%S", "%H:%M")


@dataclass(frozen=True, slots=True, order=True)
class DateForm:
    """A way to write dates."""

    name: str
    """For people: `DD/MM/YYYY`."""
    pattern: str
    """`iso`, or what Python's `strptime` reads it with."""


ISO_DATE = DateForm("ISO 8601", "iso")


def date_forms(text: str) -> Iterator[DateForm]:
    """Yield each form in which the text is a date that there is."""
    if not (6 <= len(text) <= _MAX_DATE) or not text.isascii() or not any(map(str.isdigit, text)):
        return
    if "-" in text[:5] or (text[:4].isdigit() and "T" in text):
        try:
            datetime.fromisoformat(text)
            yield ISO_DATE
        except ValueError:
            pass
    day, space, clock = text.partition(" ")
    times = (
        [(f" {each}", _clock_name(each)) for each in _CLOCK if _reads(clock, each)] if space else [("", "")]
    )
    for tail, tail_name in times:
        for name, pattern in _day_forms(day):
            yield DateForm(name + tail_name, pattern + tail)


def _day_forms(day: str) -> Iterator[tuple[str, str]]:
    if len(day) == 8 and day.isdigit() and _reads(day, "%Y%m%d"):
        yield "YYYYMMDD", "%Y%m%d"
    for mark in _SEPARATORS:
        if day.count(mark) != 2:
            continue
        for parts in (("YYYY", "MM", "DD"), ("DD", "MM", "YYYY"), ("MM", "DD", "YYYY")):
            pattern = mark.join({"YYYY": "%Y", "MM": "%m", "DD": "%d"}[part] for part in parts)
            year = len(day.split(mark)[parts.index("YYYY")])
            if pattern != "%Y-%m-%d" and year == 4 and _reads(day, pattern):
                yield mark.join(parts), pattern
            elif mark == "/" and year == 2 and _reads(day, short := pattern.replace("%Y", "%y")):
                yield mark.join(parts).replace("YYYY", "YY"), short


def _clock_name(pattern: str) -> str:
    return " " + pattern.replace("%H", "hh").replace("%M", "mm").replace("%S", "ss")


def _reads(text: str, pattern: str) -> bool:
    try:
        datetime.strptime(text, pattern)  # noqa: DTZ007 - only whether it can be read
    except ValueError:
        return False
    return True


@dataclass(slots=True)
class TextShape:
    """What every text that was added could be; empty ones aren't added."""

    count: int = 0
    whole: bool = True
    """Whether each is a whole number."""
    numbers: set[str] = field(default_factory=lambda: set(_NUMBERS))
    """Ways to write numbers that all of them follow."""
    dates: set[DateForm] | None = None
    """Ways to write dates that all of them follow; None before the first."""
    booleans: bool = True
    leading_zeros: int = 0
    """How many are digits alone with a zero before them."""
    padded: int = 0
    """How many have spaces around them."""
    longest_digits: int = 0

    def add(self, text: str) -> None:
        """Take one more text into account."""
        self.count += 1
        bare = text.strip()
        self.padded += bare != text
        self.whole = self.whole and _WHOLE.fullmatch(bare) is not None
        if self.numbers:
            fits = len(bare) <= _MAX_NUMBER
            self.numbers = {name for name in self.numbers if fits and _NUMBERS[name].fullmatch(bare)}
        if self.dates is None or self.dates:
            forms = set(date_forms(bare))
            self.dates = forms if self.dates is None else self.dates & forms
        self.booleans = self.booleans and bare.lower() in _BOOLEANS
        if _LEADING_ZERO.fullmatch(bare):
            self.leading_zeros += 1
        if bare.isdigit():
            self.longest_digits = max(self.longest_digits, len(bare))
