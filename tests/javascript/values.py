"""Random values of the kinds that JavaScript has its own ideas about."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from random import Random
from typing import Any

__all__ = ["KINDS"]

_DATE_PARTS = (
    *(
        "2024",
        "01",
        "15",
        "1",
        "31",
        "02",
        "29",
        "12",
        "99",
        "0",
        "00",
        "24",
        "60",
        "007",
        "123456",
        "1234567890",
    ),
    *(
        "0001234567891",
        "-",
        "-",
        "-",
        "/",
        "/",
        " ",
        " ",
        " ",
        ":",
        ":",
        ":",
        ".",
        "T",
        "Z",
        "z",
        "+",
        "+0530",
    ),
    *(
        "-05:00",
        "GMT",
        "UTC",
        "UT",
        "EST",
        "am",
        "PM",
        "Jan",
        "january",
        "Febr",
        "dec",
        "Mon",
        "MonX",
        "x",
        "_",
    ),
    *(
        "[",
        ",",
        "(",
        ")",
        "(note)",
        "10:30",
        "10:30:00.123",
        "T10:30:00Z",
        "T24:00",
        "2024-01-15",
        "é",
        "\u00a0",
    ),
    *(
        "\t",
        "\0",
        "\u2028",
        "𝒜",
        "+002024",
        "-000001",
        "-000000",
        "+275760",
        "-271821",
        "::",
        "İ",
        "\u1680",
        "#",
    ),
)
_NUMBER_PARTS = (
    *(
        "1",
        "2",
        "0",
        "9",
        ".",
        "e",
        "E",
        "+",
        "-",
        " ",
        "0x1F",
        "0b11",
        "0o7",
        "Infinity",
        "NaN",
        "abc",
        "_",
        ",",
    ),
    *("$", "%", "12", "1e5", "1e400", "1e-400", "\u00a0", "\ufeff", "\u180e", "\x85", "\x1c", "٣", "00"),
    *(
        "9007199254740993",
        "123456789012345678901234567890",
        '"',
        "\\",
        "\n",
        "\x01",
        "é",
        "😀",
        "\u2028",
        "null",
    ),
)
_JSON_PARTS = (
    *(
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        '"a"',
        '"b"',
        "1",
        "-0",
        "1.0",
        "1e3",
        "1E400",
        "0x1",
        "01",
        "true",
        "null",
    ),
    *(
        "NaN",
        "Infinity",
        " ",
        "\n",
        "\u00a0",
        '"\\u00e9"',
        '"\\ud800"',
        '"\x01"',
        "9007199254740993",
        ".5",
        "5.",
    ),
)
_CASED = ("Σ", "σ", "ς", "A", "a", "ß", "İ", "ı", "é", "\u0301", "ﬁ", ".", "ʼ", " ")
_SCALARS = (
    *(
        None,
        True,
        False,
        0,
        1,
        -1,
        5.0,
        12.7,
        1e21,
        1e-7,
        -0.0,
        "",
        " ",
        "7",
        "abc",
        "2024-01-15",
        "-5",
        "0x10",
    ),
    *(1705314600000, 8.64e15, 8.64e15 + 2, "1e3", 9007199254740991, 1e300, 'é"\n'),
)
_NAMES = ("a", "b", "1", "0", "10", "01", "é", "__proto__", "x y")


def _joined(parts: tuple[str, ...], most: int) -> Callable[[Random], str]:
    return lambda random: "".join(random.choice(parts) for _ in range(random.randint(1, most)))


def _iso(random: Random) -> str:
    day = f"{random.randint(1, 2100):04}-{random.randint(0, 13):02}-{random.randint(0, 32):02}"
    if random.random() < 0.2:
        return day
    clock = f"{random.randint(0, 25):02}:{random.randint(0, 61):02}:{random.randint(0, 61):02}"
    rest = random.choice(("", ".123", ".1", ".123456", ",123", ".12"))
    zone = random.choice(("", "Z", "z", "+05:30", "-00:00", "+24:00", "-2359", "+05:60", "+05:3", "Z "))
    return f"{day}{random.choice('TTT t')}{clock}{rest}{zone}"


def _spoken(random: Random) -> str:
    month = random.choice(("Jan", "feb", "MARCH", "June", "jul", "Sept", "xyz", "1", "13"))
    day = f"{random.randint(0, 33)}{random.choice((',', '', ' ', '-', '/', '.'))}"
    year = random.choice((random.randint(0, 100), random.randint(1900, 2100)))
    clock = random.choice(
        ("", f"{random.randint(0, 25)}:{random.randint(0, 60)}", "10:30 pm", "12:00 AM", "5")
    )
    zone = random.choice(("", "GMT", "GMT+0100 (CET)", "+05:30", "PST", "-8", "UTC-3:30"))
    return f"{month}{random.choice(' /-')}{day} {year} {clock} {zone}"


def _number(random: Random) -> float:
    number = float(struct.unpack("<d", random.randbytes(8))[0])
    if not math.isfinite(number) or random.random() < 0.5:
        number = random.uniform(-1, 1) * 10.0 ** random.randint(-10, 25)
    return random.choice((number, round(number, 2), float(int(number))) if abs(number) < 1e300 else (number,))


def _value(random: Random, depth: int = 3) -> Any:
    kind = random.random()
    if depth and kind < 0.25:
        return [_value(random, depth - 1) for _ in range(random.randint(0, 3))]
    if depth and kind < 0.45:
        return {random.choice(_NAMES): _value(random, depth - 1) for _ in range(random.randint(0, 4))}
    return random.choice(_SCALARS)


_READ_AS_DATE = ("milliseconds", "sdk.formatDate", "sdk.formatDateShort", "sdk.parseDate")
_READ_AS_NUMBER = ("number", "parseInt", "parseFloat", "sdk.parseInt", "sdk.parseFloat")
_ANY = ("text", "json", "truthy", "sdk.toString")

KINDS: dict[str, tuple[Callable[[Random], Any], tuple[str, ...]]] = {
    "pieces of dates": (_joined(_DATE_PARTS, 7), _READ_AS_DATE),
    "ISO 8601": (_iso, _READ_AS_DATE),
    "spoken dates": (_spoken, _READ_AS_DATE),
    "moments": (lambda random: random.randint(-8_640_000_000_000_000, 8_640_000_000_000_000), ("dateText",)),
    "pieces of numbers": (_joined(_NUMBER_PARTS, 5), (*_READ_AS_NUMBER, *_ANY, "trimmed")),
    "numbers": (_number, (*_READ_AS_NUMBER, *_ANY)),
    "pieces of JSON": (_joined(_JSON_PARTS, 6), ("readJson", "sdk.parseJson", "json")),
    "cased letters": (_joined(_CASED, 6), ("upper", "lower")),
    "values": (_value, (*_READ_AS_NUMBER, *_READ_AS_DATE, *_ANY)),
}
"""What is made, and what is asked about it."""
