"""Numbers in text, read exactly or refused: `1.234,5` is a number only where the mapping says how it is written."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

__all__ = ["LOCALES", "NumberStyle", "parse_decimal", "parse_int", "parse_number"]

_PLAIN = re.compile(r"-?[0-9]{1,9}(?:\.[0-9]{1,9})?")
"""What most numbers look like."""
_WHOLE = re.compile(r"[+-]?[0-9]+(?:\.0+)?")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_LARGEST = 2**63 - 1
_DIGITS = 400  # more is no quantity, and arithmetic with it takes time

_SPACES = " \u00a0\u2009\u202f"
LOCALES = {
    "en": (".", ","),
    "de": (",", "."),
    "de-AT": (",", _SPACES),
    "de-CH": (".", "’'"),
    "es": (",", "."),
    "fr": (",", _SPACES),
    "it": (",", "."),
    "nl": (",", "."),
    "pl": (",", _SPACES),
    "pt": (",", "."),
    "sv": (",", _SPACES),
}
"""Decimal mark and the marks between groups of three digits, by language (Unicode CLDR, number symbols)."""


@dataclass(frozen=True, slots=True)
class NumberStyle:
    """How numbers are written."""

    decimal: str
    """One character."""
    group: str
    """Each of these characters may stand between groups of three digits, one kind in a number."""

    def plain(self, text: str) -> str:
        """Return the number as a programmer writes it.

        Raises:
            ValueError: a group isn't of three digits, or marks are mixed.
        """
        whole, mark, rest = text.strip().partition(self.decimal)
        used = {each for each in whole if each in self.group}
        if len(used) > 1:
            raise ValueError("expected one kind of mark between groups of digits")
        for each in used:
            first, *groups = whole.lstrip("+-").split(each)
            if not 1 <= len(first) <= 3 or any(len(group) != 3 for group in groups):
                raise ValueError(f"expected groups of three digits between {each!r}")
            whole = whole.replace(each, "")
        if "." in whole or "." in rest or (mark != "." and "," in rest):
            raise ValueError(f"expected a number with {self.decimal!r} as its decimal mark")
        return f"{whole}.{rest}" if mark else whole


def parse_int(value: Any, style: NumberStyle | None = None) -> int | None:
    """Return a whole number; spaces around it and `.0` behind it are allowed."""
    if value is None or type(value) is int:
        return value
    if isinstance(value, str):
        text = value.strip() if style is None else style.plain(value)
        if len(text) < _DIGITS and _WHOLE.fullmatch(text):
            return _within(int(text.partition(".")[0]))
    elif isinstance(value, float | Decimal) and _is_whole(value):
        return int(value)
    raise ValueError("expected a whole number")


def parse_number(value: Any, style: NumberStyle | None = None) -> int | float | None:
    """Return a number; a whole one stays exact."""
    if value is None or type(value) is int:
        return value
    if isinstance(value, str):
        if style is None and _PLAIN.fullmatch(value):
            return float(value) if "." in value else int(value)
        text = value.strip() if style is None else style.plain(value)
        if len(text) < _DIGITS:
            if _WHOLE.fullmatch(text) and "." not in text:
                return _within(int(text))
            if _NUMBER.fullmatch(text) and math.isfinite(number := float(text)):
                return number
    elif isinstance(value, float | Decimal) and math.isfinite(value):
        return float(value)
    raise ValueError("expected a number")


def parse_decimal(value: Any, style: NumberStyle | None = None) -> Decimal | None:
    """Return a number with all the digits that it was written with: `10.50` stays `10.50`."""
    if value is None:
        return None
    if isinstance(value, str):
        text = value.strip() if style is None else style.plain(value)
        if len(text) < _DIGITS and _NUMBER.fullmatch(text):
            try:
                number = Decimal(text)
            except InvalidOperation as exc:
                raise ValueError("expected a number") from exc
            if abs(number.adjusted()) < _DIGITS:
                return number
    elif isinstance(value, int | float | Decimal) and not isinstance(value, bool) and math.isfinite(value):
        return Decimal(str(value))
    raise ValueError("expected a number")


def _is_whole(value: float | Decimal) -> bool:
    return math.isfinite(value) and -_LARGEST <= value <= _LARGEST and value == int(value)


def _within(number: int) -> int:
    if abs(number) > _LARGEST:
        raise ValueError("expected a number within 64 bits")
    return number
