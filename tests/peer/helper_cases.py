"""Random arguments for the SDK's helpers: what they are for, and what they aren't."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from tests.peer.record_cases import NAMES, NUMBERS, PATHS, TEXTS, scalar, value

__all__ = ["helper_case"]

Make = Callable[[Random], Any]
UNDEFINED = {"$js": "undefined"}
KEYS = ("a", "b", "k", "n", "length", "", "a.b", "0", "constructor")


def _one_of(*values: Any) -> Make:
    return lambda random: random.choice(values)


def _path(random: Random) -> Any:
    return random.choice(PATHS)


def _record(random: Random) -> Any:
    return {name: value(random, 1) for name in random.sample(NAMES, random.randrange(4))}


def _xml(random: Random) -> Any:
    names = (
        "$id",
        "$",
        "@id",
        "@",
        "id",
        "_attributes",
        "_",
        "#text",
        "value",
        "@attribute-id",
        "attributeId",
        "x",
    )
    return {
        name: random.choice(["id", "x", "1", 0, "", None, {"id": scalar(random)}, scalar(random)])
        for name in random.sample(names, random.randrange(5))
    }


def _xml_list(random: Random) -> Any:
    return [random.choice([_xml(random), _xml(random), scalar(random)]) for _ in range(random.randrange(4))]


def _list(random: Random) -> Any:
    return [value(random, 2) for _ in range(random.randrange(5))]


def _numbers(random: Random) -> Any:
    return [random.choice([*NUMBERS, *NUMBERS, scalar(random)]) for _ in range(random.randrange(5))]


def _rows(random: Random) -> Any:
    return [
        {name: scalar(random) for name in random.sample(("a", "b", "k", "n"), random.randrange(4))}
        if random.random() < 0.9
        else scalar(random)
        for _ in range(random.randrange(5))
    ]


def _small(random: Random) -> Any:
    return random.choice([0, 1, 2, 3, 5, 8, -1, -3, 1.5, 0.5, "2", "", None, UNDEFINED, {"$js": "NaN"}, True])


def _text(random: Random) -> Any:
    words = (
        "hello",
        "World",
        "foo_bar",
        "FOO",
        "fooBar",
        "x-y",
        " ",
        "  ",
        "_",
        "-",
        "Crème Brûlée",
        "{{a}}",
        "{{ b }}",
    )
    others = (
        "a@b.c",
        "@",
        ".",
        "1",
        "2x",
        "{{length}}",
        "{{a.b}}",
        "😀",
        "ß",
        "É",
        "\n",
        "\t",
        "{{",
        "}}",
        "__",
        "--",
    )
    if random.random() < 0.3:
        return random.choice(TEXTS)
    return "".join(random.choice(words + others) for _ in range(random.randrange(6)))


def _amount(random: Random) -> Any:
    kind = random.random()
    if kind < 0.5:
        return round(random.uniform(-200, 200), random.randrange(6))
    if kind < 0.7:
        return f"{random.uniform(-20, 2000):.{random.randrange(5)}f}"
    return random.choice(["1,234.5", "$12", " 12.5 ", "12abc", "", scalar(random), scalar(random)])


def _day(random: Random) -> Any:
    if random.random() < 0.4:
        day = f"2024-{random.randrange(1, 13):02d}-{random.randrange(1, 31):02d}"
        return day + random.choice(["", "T10:30:00Z", " 05:00"])
    return scalar(random)


def _email(random: Random) -> Any:
    if random.random() < 0.2:
        return scalar(random)
    return "".join(
        random.choice(["a", "b.c", "@", ".", " ", "x", "com", "\n", "é", "@@", ".."]) for _ in range(5)
    )


def _any(random: Random) -> Any:
    return value(random, 1)


def _key(random: Random) -> Any:
    return random.choice(KEYS)


def _names(random: Random) -> Any:
    return random.sample(KEYS, random.randrange(4))


def _json(random: Random) -> Any:
    return random.choice(
        [
            "[1]",
            '{"a":1}',
            "1",
            '"x"',
            "null",
            "true",
            "",
            " ",
            "{",
            "NaN",
            "1e400",
            '{"a":1,"a":2}',
            "[1,]",
            "01",
            scalar(random),
        ]
    )


def _table(random: Random) -> Any:
    keys = ("A", "1", "null", "undefined", "true", "", "12", "abc", "0")
    return {key: random.choice(["x", 0, None, False, ""]) for key in random.sample(keys, random.randrange(5))}


_SIGNATURES: dict[str, tuple[Make, ...]] = {
    "get": (_record, _path, _any),
    "formatDate": (_day,),
    "getXmlAttribute": (_xml, _one_of("id", "x", "", "lang"), _any),
    "getXmlTextContent": (_xml, _any),
    "normalizeEmpty": (scalar, scalar, _one_of(True, False, None, UNDEFINED, 0, "")),
    "formatCurrency": (_amount, _one_of(0, 1, 2, 3, 4, UNDEFINED, None, "2", 5)),
    "parseFloatSafe": (scalar, scalar),
    "parseIntSafe": (scalar, scalar),
    "extractCustomAttribute": (_xml_list, _one_of("id", "x", "1", "value"), _any),
    "safeJsonParse": (_json, scalar),
    "mapValue": (_one_of("A", "1", 1, None, UNDEFINED, True, "", 12, "abc", 0, "toString"), _table, scalar),
    "isValidEmail": (_email,),
    "requireField": (scalar, _one_of("f", "a.b", "", UNDEFINED, None)),
    "fullName": (_text, _text),
    "truncate": (_text, _one_of(0, 1, 2, 3, 4, 5, 8, 10, 12, 20, -1)),
    "normalizeWhitespace": (_text,),
    "deepClone": (_any,),
    "deepMerge": (_record, _record, _record),
    "toCamelCase": (_text,),
    "toSnakeCase": (_text,),
    "isEmpty": (_any,),
    "pick": (_record, _names),
    "omit": (_record, _names),
    "set": (_record, _path, scalar),
    "ensureArray": (_any,),
    "coalesce": (scalar, scalar, scalar),
    "groupBy": (_rows, _key),
    "keyBy": (_rows, _key),
    "chunk": (_list, _one_of(1, 2, 3, 10, 1.5)),
    "flatten": (_list, _one_of(0, 1, 2, 10, UNDEFINED, None, -1, "1", {"$js": "Infinity"})),
    "unique": (_list, _one_of(UNDEFINED, UNDEFINED, "a", "length", None, "")),
    "sortBy": (_rows, _key, _one_of("asc", "desc", UNDEFINED, "DESC", None)),
    "compact": (_list,),
    "sum": (_numbers, _one_of(UNDEFINED, UNDEFINED, "a", "", None)),
    "avg": (_numbers, _one_of(UNDEFINED, UNDEFINED, "a", "", None)),
    "min": (_numbers, _one_of(UNDEFINED, UNDEFINED, "a", "", None)),
    "max": (_numbers, _one_of(UNDEFINED, UNDEFINED, "a", "", None)),
    "clamp": (_amount, _small, _small),
    "merge": (_record, _record, _any),
    "template": (_text, _record),
    "slugify": (_text,),
    "hashString": (_text,),
    "addDays": (_day, _small),
    "subtractDays": (_day, _small),
    "dateDiff": (_day, _day),
    "parseDate": (_day,),
    "isString": (_any,),
    "isNumber": (_any,),
    "isArray": (_any,),
    "isObject": (_any,),
    "isDate": (_any,),
    "defaultTo": (scalar, scalar),
    "range": (_small, _small, _one_of(1, 2, -1, 0.5, 0, UNDEFINED)),
}
_ENDLESS = ("chunk", "range")
_KEYED = ("sum", "avg", "min", "max", "unique")


def helper_case(random: Random) -> dict[str, Any]:
    helper = random.choice(list(_SIGNATURES))
    arguments = [make(random) for make in _SIGNATURES[helper]]
    if helper in _KEYED and isinstance(arguments[1], str):
        arguments[0] = _rows(random)
    if helper in _ENDLESS:  # there, for odd sizes and steps
        return {"kind": "helper", "config": {"helper": helper}, "input": arguments}
    if random.random() < 0.3:  # an optional argument is left out, or a needed one is
        del arguments[random.randrange(len(arguments) + 1) :]
    if arguments and random.random() < 0.25:  # one is of another type
        arguments[random.randrange(len(arguments))] = value(random, 2)
    if random.random() < 0.03:
        arguments.append(scalar(random))
    return {"kind": "helper", "config": {"helper": helper}, "input": arguments}
