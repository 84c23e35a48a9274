"""Dates in text, read exactly or refused: in `01/02/2026` the mapping must say which number is the day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any, Literal
from zoneinfo import ZoneInfo

__all__ = ["ISO", "DateStyle", "zone"]

_ISO = "expected a date in ISO 8601, such as 2026-01-31 or 2026-01-31T12:00:00Z"
_EPOCHS = {"epoch": 1, "epochMillis": 1000}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class DateStyle:
    """How dates are written."""

    formats: tuple[str, ...] = ("iso",)
    """`iso`, `epoch`, `epochMillis`, or a pattern of Python's `strptime`; the first that fits counts."""
    timezone: tzinfo = UTC
    """Of what is written without one."""
    ambiguous: Literal["earlier", "later"] | None = None
    """Which of two instants a time means that the clocks pass twice; None refuses it."""

    def instant(self, value: Any) -> datetime:
        """Return the instant in UTC.

        Raises:
            ValueError: it isn't written so, or there is no such date or time.
        """
        if isinstance(value, date) and not isinstance(value, datetime):
            value = datetime(value.year, value.month, value.day)  # noqa: DTZ001 (it gets its zone below)
        if not isinstance(value, datetime):
            value = self._read(value)
        return self._placed(value)

    def _read(self, value: Any) -> datetime:
        text = value.strip() if isinstance(value, str) else value
        for each in self.formats:
            try:
                if each in _EPOCHS:
                    return _EPOCH + timedelta(seconds=_number(text) / _EPOCHS[each])
                if not isinstance(text, str) or not text.isascii():
                    continue
                if each == "iso":
                    return datetime.fromisoformat(text)
                return datetime.strptime(text, each)  # noqa: DTZ007 (it gets its zone from the mapping)
            except (ValueError, OverflowError):
                continue
        if self.formats == ("iso",):
            raise ValueError(_ISO)
        raise ValueError(f"expected a date written as {' or '.join(self.formats)}")

    def _placed(self, value: datetime) -> datetime:
        if value.tzinfo is not None:
            return _in_utc(value)
        first, second = (_in_utc(value.replace(tzinfo=self.timezone, fold=fold)) for fold in (0, 1))
        if first == second:
            return first
        if first.astimezone(self.timezone).replace(tzinfo=None) != value:
            raise ValueError(f"expected a time that there is in {self.timezone}: the clocks skip it")
        if self.ambiguous is None:
            raise ValueError(
                f"expected a time with its offset: the clocks of {self.timezone} pass it twice; "
                "say which with `ambiguous`"
            )
        return first if self.ambiguous == "earlier" else second


ISO = DateStyle()


def zone(name: str) -> tzinfo:
    """Return a time zone by its name in the IANA database.

    Raises:
        ValueError: there is none of this name.
    """
    try:
        return UTC if name.upper() == "UTC" else ZoneInfo(name)
    except (OSError, ValueError, LookupError) as exc:
        raise ValueError(f"there is no time zone {name!r}; they are called as in Europe/Berlin") from exc


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(_ISO)  # noqa: TRY004 (a fault of the data)
    if isinstance(value, str) and not value.lstrip("-").replace(".", "", 1).isdecimal():
        raise ValueError(_ISO)
    return float(value)


def _in_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError as exc:
        raise ValueError("expected a date within the years 1 to 9999") from exc
