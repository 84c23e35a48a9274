"""The two rules of JavaScript that both files and mappings follow: what is trimmed, how a number reads as text."""

from __future__ import annotations

import math
from typing import Final

__all__ = ["WHITESPACE", "float_text"]

WHITESPACE: Final = (
    "\t\n\v\f\r \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029"
    "\u202f\u205f\u3000\ufeff"
)
"""What JavaScript trims."""


def float_text(number: float) -> str:
    """Return the text of a double: `5` for 5.0, `1e+21`, `1e-7`, `0` for minus zero."""
    if not math.isfinite(number):
        return "NaN" if number != number else "Infinity" if number > 0 else "-Infinity"
    text = repr(number)
    if "e" not in text:
        text = text.removesuffix(".0")
        return "0" if text == "-0" else text
    sign = "-" if number < 0 else ""
    mantissa, _, exponent = text.removeprefix("-").partition("e")
    digits = mantissa.replace(".", "")
    point = int(exponent) + 1
    if len(digits) <= point <= 21:
        return sign + digits.ljust(point, "0")
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    rest = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{rest}e{'+' if point > 0 else ''}{point - 1}"
