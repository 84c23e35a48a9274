"""Random values of records, and mappings of them."""

from __future__ import annotations

from random import Random
from typing import Any

__all__ = ["fields", "scalar", "universal_case", "value"]

TEXTS = (
    *(
        "",
        "  ",
        " x ",
        "abc",
        "ABC",
        "hey there",
        "a,b",
        "ß",
        "İ",
        "é",
        "٣",
        "\u00a0x\ufeff",
        "\t5\n",
        "constructor",
    ),
    *(
        "12",
        "12abc",
        "-7",
        "+5",
        "3.14",
        "3,14",
        "1e3",
        "0x1F",
        "007",
        "0",
        "1",
        "NaN",
        "Infinity",
        "-0",
        ".5",
        "5.",
    ),
    *(
        "1_000",
        "9007199254740993",
        "99999999999999999999",
        "5",
        "-12.7",
        "5e-7",
        "1e21",
        "1e400",
        "--5",
        "+-5",
        "5-5",
    ),
    *(
        "true",
        "TRUE",
        "yes",
        "Y",
        "on",
        "no",
        "null",
        '{"a":1}',
        "[1,2]",
        "{bad",
        '"x"',
        "undefined",
        "32",
        "13",
    ),
    *(
        "2024-01-15",
        "2024-01-15T10:30:00",
        "2024-01-15 10:30:00",
        "2024-01-15T10:30:00Z",
        "2024-01-15T23:30:00-05:00",
    ),
    *("2024-01-15T10:30:00.123456Z", "01/15/2024", "01-15-2024", "15/01/2024", "Jan 15, 2024", "15 Jan 2024"),
    *(
        "January 5 2024 3:04 PM",
        "Mon, 15 Jan 2024 10:00:00 GMT",
        "2024-02-30",
        "2024-13-45",
        "2024",
        "20240115",
    ),
    *(
        "1705314600000",
        "2024-1-5",
        "2024/01/15",
        "2024-01",
        "2024-01-15T24:00:00",
        "2024-01-15T10:30",
        "12:30",
    ),
    *("2024-06-15T10:30:00+0530", "Tue Jan 16 2024", "2024-01-15T10:30:00+05:30", "1/5/24", "Feb 31 2024"),
    *(
        "2024-02-29",
        "2023-02-29",
        "2024-00-10",
        "2024-01-15t10:30:00z",
        "Z",
        "T10:30",
        "2024-W03",
        "15.01.2024",
    ),
)
NUMBERS = (
    *(
        0,
        1,
        -1,
        2,
        5,
        7,
        12.7,
        -12.7,
        1e21,
        1e-7,
        1e300,
        123456789012,
        1705314600000,
        1705314600,
        0.1,
        100,
        -0.5,
    ),
    *(9007199254740991, 3.0, 1.005, 2.675, 1.235, 1.245, 0.125),
)
MARKED = (
    *({"$js": name} for name in ("NaN", "Infinity", "-Infinity", "undefined", "-0", "invalid-date")),
    {"$js": "date", "iso": "2024-01-15T10:30:00.000Z"},
)
NAMES = ("a", "b", "c", "edges", "node", "@id", "#text", "a.b", "length")
RESOLVERS = tuple(
    f"sdk.{name}"
    for name in (
        *(
            "uppercase",
            "lowercase",
            "trim",
            "parseInt",
            "parseFloat",
            "number",
            "boolean",
            "toString",
            "parseJson",
        ),
        *("toJson", "formatDate", "formatDateShort", "parseDate", "default", "identity", "coalesce"),
    )
)
OTHER_RESOLVERS = (
    *("test.throw", "test.undefined", "test.null", "test.empty", "test.zero", "test.args", "test.async"),
    *("test.reject", "test.require", "nope", "sdk.nope"),
)
PATHS = (
    *(
        "a",
        "b",
        "c",
        "a.b",
        "a.b.c",
        "a[0]",
        "a[1].b",
        "a.0",
        "a[0][1]",
        "edges",
        "a.edges",
        "b.0.a",
        "a.@id",
    ),
    *(
        "a.#text",
        "a..b",
        ".a",
        "a.",
        "",
        "a[-1]",
        "a[*]",
        "a[*].b",
        "[0]",
        "a[x]",
        "a[]",
        " a",
        "$.a",
        "a[01]",
    ),
    *("b[0].c", "c.0.1", "a.length", "a[0].length", "a[*].b[*]", "[*]", "a[*]b", "a[*].", "a['b']", "A"),
)
TARGETS = (
    *(
        "x",
        "y",
        "z",
        "x.y",
        "x.y.z",
        "l[0].n",
        "l[2].n",
        "m[1]",
        "a.0",
        "a[]",
        "x[0]",
        "n[0][1]",
        "__proto__x",
    ),
    *("10", "2", "x.length", "Ref", "x..y", ".x", "x."),
)


def scalar(random: Random) -> Any:
    kind = random.random()
    if kind < 0.5:
        return random.choice(TEXTS)
    if kind < 0.75:
        return random.choice(NUMBERS)
    if kind < 0.85:
        return random.random() < 0.5
    return None if kind < 0.93 else random.choice(MARKED)


def value(random: Random, depth: int = 0, names: tuple[str, ...] = NAMES) -> Any:
    kind = random.random()
    if depth > 3 or kind < 0.5:
        return scalar(random)
    if kind < 0.75:
        return {
            name: value(random, depth + 1, names)
            for name in random.sample(names, random.randrange(min(4, len(names) + 1)))
        }
    return [value(random, depth + 1, names) for _ in range(random.randrange(4))]


def fields(random: Random, depth: int = 0) -> dict[str, Any]:
    targets = TARGETS if random.random() < 0.5 else TARGETS[:3]
    count = random.randrange(4) if depth else random.randrange(1, 4)
    return {target: _field(random, depth) for target in random.sample(targets, count)}


def _field(random: Random, depth: int) -> Any:
    if random.random() < 0.02:
        return random.choice(["str", 5, [], True, ""])
    field: dict[str, Any] = {}
    if random.random() < 0.75:
        paths = PATHS[:12] if random.random() < 0.7 else PATHS
        field["source"] = random.choice(paths if random.random() < 0.97 else [None, 5, ["a"], True, 0])
    if random.random() < 0.15:
        field["value"] = value(random, 2)
    if random.random() < 0.3:
        field["defaultValue"] = value(random, 2)
    if random.random() < 0.2:
        field["required"] = random.choice([True, True, True, False, "yes", 0, 1])
    if random.random() < 0.45:
        is_odd = random.random() > 0.97
        odd: tuple[Any, ...] = (["sdk.trim"], 5, "", None, {})
        field["resolver"] = random.choice(odd if is_odd else RESOLVERS + OTHER_RESOLVERS)
    if depth < 3 and random.random() < 0.22:
        field["fields"] = fields(random, depth + 1)
    if random.random() < 0.2:
        field["isArray"] = random.choice([True, True, False, "yes", 0])
    if random.random() < 0.1:
        name = random.choice(["when", "comment", "validation", "transform", "nullable", "xmlPath"])
        field[name] = value(random, 2)
    return field


def universal_case(random: Random) -> dict[str, Any]:
    kind = random.random()
    record: Any
    if kind < 0.4:  # a resolver of a value
        config = {"fields": {"a": {"source": "a", "resolver": random.choice(RESOLVERS)}}}
        record = {"a": value(random, 3)}
    else:
        config = {"fields": fields(random)}
        record = value(random) if kind < 0.5 else _record(random)
        if kind > 0.85:
            record = _batch(random)
    case = {"kind": "universal", "config": config, "input": record}
    if random.random() < 0.2:
        case["context"] = value(random, 1, ("config", "retailerId", "a"))
        if not isinstance(case["context"], dict) or "$js" in case["context"]:
            case["context"] = {"retailerId": "1"}
    return case


def _record(random: Random) -> dict[str, Any]:
    return {name: value(random, 1) for name in "abc" if random.random() < 0.8}


def _batch(random: Random, depth: int = 0) -> list[Any]:
    """Make a list of records, with lists and what is no record among them."""
    return [
        _batch(random, depth + 1)
        if depth < 2 and random.random() < 0.15
        else value(random, 1)
        if random.random() < 0.15
        else _record(random)
        for _ in range(random.randrange(4))
    ]
