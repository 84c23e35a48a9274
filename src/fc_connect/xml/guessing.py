"""What the TypeScript SDK takes the text of an XML element for: `0012` is 12 there, and `true` isn't a text."""

from __future__ import annotations

import re
from typing import Any

__all__ = ["guessed"]

_DECIMAL = re.compile(r"([+-]?)(0*)([0-9]*)(?:\.([0-9]*))?")
_SCIENTIFIC = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)[eE][+-]?[0-9]+")
_HEXADECIMAL = re.compile(r"[+-]?0x[0-9a-fA-F]+")
_EXACT = 2**53


def guessed(text: str, as_written: str) -> Any:
    """Return the number or truth that `text` is for the TypeScript SDK; else the text `as_written`.

    It stays a text where it would lose digits as a number.
    """
    if text in {"true", "false"}:
        return text == "true"
    number = _number_of(text)
    return as_written if number is None else number


def _number_of(text: str) -> int | float | None:
    if len(text) > 200:  # no number that JavaScript could hold exactly, and none that takes long here
        return None
    if _HEXADECIMAL.fullmatch(text):
        return _signed(float(int(text, 16)), text)
    if _SCIENTIFIC.fullmatch(text):
        number = float(text)
        return _number(number) if abs(number) != float("inf") else None
    match = _DECIMAL.fullmatch(text)
    if match is None or not (match[2] or match[3] or match[4]):
        return None
    number = float(text)
    if number == 0 or abs(number) >= 1e21 or abs(number) < 1e-6:
        return _number(number)
    fraction = (match[4] or "").rstrip("0")
    written = (match[3] or "0") + (f".{fraction}" if fraction else "")
    shown = repr(abs(number))
    plain = str(int(abs(number))) if number.is_integer() and abs(number) < _EXACT else shown
    if number.is_integer() and abs(number) >= _EXACT:
        plain = written if int(written) == int(abs(number)) and int(written) <= _EXACT else ""
    return _number(number) if written == plain else None


def _signed(number: float, text: str) -> int | float:
    return -0.0 if not number and text.startswith("-") else _number(number)


def _number(number: float) -> int | float:
    return int(number) if number.is_integer() and (number or str(number)[0] != "-") else number
