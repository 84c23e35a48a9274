"""The helpers for ported resolvers give what the TypeScript SDK's gave, without its holes."""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fc_connect.errors import MappingError
from fc_connect.mapping import toolbox
from fc_connect.mapping.javascript import INVALID_DATE
from fc_connect.mapping.toolbox import HELPERS
from fc_connect.mapping.values import ABSENT
from tests.mapping_cases import cases_of, decoded, encoded, needs_cases, same

NOT_PORTED = {"memoize", "debounce", "throttle", "batchProcess", "retry"}
LOOP: dict[str, Any] = {}
LOOP["self"] = LOOP


def outcome(helper: str, arguments: Any) -> Any:
    try:
        return HELPERS[helper](*arguments)
    except MappingError as exc:
        return {"$error": "Error", "message": str(exc)}


@needs_cases
@pytest.mark.parametrize("case", cases_of("helper"), ids=lambda case: case["name"])
def test_a_helper_gives_what_was_recorded(case: dict[str, Any]) -> None:
    found = outcome(case["config"]["helper"], decoded(case["input"]))

    assert same(found, case["output"]) or case.get("defect")


@pytest.mark.parametrize(
    ("helper", "arguments", "expected"),
    [
        ("get", [{"a": [{"b": 1}]}, "a[0].b"], 1),
        ("get", [{"a": [{"b": 1}]}, "a.0.b"], 1),
        ("get", [{"a": 1}, "a.b.c"], ABSENT),
        ("get", [{"a": [[1]]}, "a[0][0]", "d"], "d"),
        ("get", [{"a": [1]}, "a[-1]", "d"], "d"),
        ("get", [{"a": "héy"}, "a.length"], 3),
        ("get", [ABSENT, "a", "d"], "d"),
        ("get", [{"__proto__": 1}, "__proto__"], 1),
        ("get", [{"a": 1}, "a.__class__", "d"], "d"),
        ("getXmlAttribute", [{"@id": "", "_attributes": {"id": 6}}, "id", "d"], 6),
        ("getXmlAttribute", [{"id": 0}, "id", "d"], "d"),
        ("getXmlAttribute", [None, "id", "d"], "d"),
        ("getXmlTextContent", [{"_": None, "#text": 0, "value": 1}], 0),
        ("getXmlTextContent", [["x"], "d"], "d"),
        ("normalizeEmpty", [None, "d"], "d"),
        ("normalizeEmpty", [ABSENT], ABSENT),
        ("formatDate", [None], "null"),
        ("formatDate", [0], "0"),
        ("formatDate", ["2024-01-15"], "2024-01-15T00:00:00.000Z"),
        ("formatDate", ["soon"], "soon"),
        ("parseDate", [None], datetime(1970, 1, 1, tzinfo=UTC)),
        ("parseDate", ["soon"], None),
        ("parseDate", ["15/01/2024"], INVALID_DATE),
        ("formatCurrency", [1.235], "1.23"),
        ("formatCurrency", [1.236], "1.24"),
        ("formatCurrency", [-1.2354], "-1.23"),
        ("formatCurrency", [-0.001], "0.00"),
        ("formatCurrency", [1e20], "100000000000000000000.00"),
        ("formatCurrency", [math.inf], "Infinity"),
        ("formatCurrency", [ABSENT], "NaN"),
        ("parseFloatSafe", ["12.5kg"], 12.5),
        ("parseIntSafe", ["12.5kg"], 12),
        ("extractCustomAttribute", [[{"@attribute-id": "a", "#text": "x"}], "a", "d"], "x"),
        ("extractCustomAttribute", [["y", {"attributeId": "a", "value": "x"}], "a", "d"], "x"),
        ("extractCustomAttribute", ["abc", "0", "d"], "a"),
        ("extractCustomAttribute", [{"@attribute-id": "a", "#text": "x"}, "a", "d"], "x"),
        ("extractCustomAttribute", [{"b": "q"}, "a", "d"], "d"),
        ("extractCustomAttribute", [None, "a", "d"], "d"),
        ("safeJsonParse", [None, "d"], None),
        ("safeJsonParse", [{}, "d"], "d"),
        ("mapValue", [None, {"null": 1}], 1),
        ("mapValue", ["A", {"A": None}, 0], None),
        ("mapValue", ["0", ["x"], "d"], "x"),
        ("mapValue", ["constructor", {}, "d"], "d"),
        ("coalesce", [None, ABSENT, 0, 1], 0),
        ("coalesce", [None, ABSENT], ABSENT),
        ("isValidEmail", [None], False),
        ("isValidEmail", ["a@b.c\n"], False),
        ("requireField", [0, "f"], ABSENT),
        ("fullName", ["Ann", "Lee"], "Ann Lee"),
        ("fullName", ["Ann"], "Ann"),
        ("fullName", [None, "Lee"], "Lee"),
        ("truncate", ["hello world foo", 12], "hello..."),
        ("truncate", ["hello world foo", None], "..."),
        ("truncate", [" abcdef", 5], "..."),
        ("truncate", [[], 5], []),
        ("normalizeWhitespace", ["\u00a0a \n b\t"], "a b"),
        ("toSnakeCase", ["FooBar"], "_foo_bar"),
        ("toSnakeCase", ["fooBar"], "foo_bar"),
        ("toCamelCase", ["foo_bar-baz"], "fooBarBaz"),
        ("toCamelCase", ["a_-_b"], "aB"),
        ("toCamelCase", ["a--"], "a"),
        ("hashString", [5], "0"),
        ("fullName", [0, True], "true"),
        (
            "deepClone",
            [{"a": date(2024, 1, 15), "b": math.nan, "c": ABSENT, "d": [ABSENT, -0.0]}],
            {"a": "2024-01-15T00:00:00.000Z", "b": None, "d": [None, 0]},
        ),
        ("deepMerge", [{"a": {"b": 1}}, {"a": None}, {"c": 1}], {"a": None}),
        ("deepMerge", [[1, 2], {"1": {"x": 1}}], {"0": 1, "1": {"x": 1}}),
        ("deepMerge", [], {}),
        ("merge", [{"a": 1}, "xy", None, [0]], {"a": 1, "0": 0, "1": "y"}),
        ("pick", [[1, 2], [0, "length"]], {"0": 1, "length": 2}),
        ("omit", [[1, 2], [0]], {"1": 2}),
        ("omit", [{"a": 1, "b": 2}, ["a", "z"]], {"b": 2}),
        ("omit", [None, ["a"]], {}),
        ("isEmpty", [{}], True),
        ("isEmpty", [0], False),
        ("isEmpty", [False], False),
        ("isEmpty", [date(2024, 1, 1)], True),
        ("ensureArray", ["x"], ["x"]),
        ("ensureArray", [[1]], [1]),
        (
            "groupBy",
            [[{"k": "constructor"}, {"k": "__proto__"}], "k"],
            {"constructor": [{"k": "constructor"}], "__proto__": [{"k": "__proto__"}]},
        ),
        ("groupBy", ["ab", "k"], {"undefined": ["a", "b"]}),
        ("groupBy", [[{"a": 1}]], {"undefined": [{"a": 1}]}),
        ("flatten", [[1, [2, [3, [4]]]], math.inf], [1, 2, 3, 4]),
        ("flatten", [[1, [2]], 0], [1, [2]]),
        ("flatten", [[1, [2, [3]]], -1], [1, 2, 3]),
        ("flatten", [[1, [2, [3]]], None], [1, 2, 3]),
        ("flatten", [[1, [2, [3]]], ABSENT], [1, 2, [3]]),
        ("chunk", ["abcde", 2], ["ab", "cd", "e"]),
        ("chunk", [[1, 2, 3], 2.5], [[1, 2], [3]]),
        ("unique", ["aab"], ["a", "b"]),
        ("unique", [None], []),
        ("unique", [[-0.0, 1.5, 0]], [0, 1.5]),
        ("sortBy", [[{"a": 1}, {"a": 2}], "a", "DESC"], [{"a": 2}, {"a": 1}]),
        ("sortBy", [[{"a": 2}, {"a": 1}]], [{"a": 2}, {"a": 1}]),
        (
            "unique",
            [[1, "1", True, 1.0, math.nan, math.nan, None, ABSENT]],
            [1, "1", True, math.nan, None, ABSENT],
        ),
        ("sortBy", [[{"a": "b"}, {"a": "B"}, {"a": "a"}], "a"], [{"a": "B"}, {"a": "a"}, {"a": "b"}]),
        ("sortBy", [["10", "9"]], ["10", "9"]),
        ("compact", [[0, 1, "", "x", None, ABSENT, [], math.nan, False]], [1, "x", []]),
        ("sum", [[1, "2", None, 2.5]], 3.5),
        ("sum", [[1, math.nan]], math.nan),
        ("avg", [[math.nan, 1]], math.nan),
        ("avg", [""], 0),
        ("min", [[math.nan, 1]], 1),
        ("min", [[3, 1], ""], 1),
        ("min", [[math.inf]], ABSENT),
        ("sum", [[]], 0),
        ("avg", [[]], 0),
        ("avg", [[2, 4]], 3),
        ("min", [[3, "1", 2]], 2),
        ("max", [[{"a": 3}, {"a": 5}, {}], "a"], 5),
        ("max", [["x"]], ABSENT),
        ("clamp", ["x", 1, 3], math.nan),
        ("range", [3], [0, 1, 2]),
        ("range", [1, 2, 0.5], [1, 1.5]),
        ("range", [None, 3], [None, 1, 2]),
        ("range", ["", 3], ["", "1"]),
        ("range", [1, 5, 0], []),
        ("addDays", ["soon", 1], INVALID_DATE),
        ("addDays", ["2024-01-31", 1.9], datetime(2024, 2, 1, tzinfo=UTC)),
        ("addDays", ["2024-01-15", "2"], datetime(2024, 5, 31, tzinfo=UTC)),
        ("subtractDays", ["2024-01-15", "2"], datetime(2024, 1, 13, tzinfo=UTC)),
        ("formatCurrency", [24.33, None], "24"),
        ("formatCurrency", [1.005, "2"], "1.00"),
        ("formatCurrency", [1.5, "x"], "NaN"),
        ("isEmpty", [], True),
        ("isString", ["x", 1, 2], True),
        ("dateDiff", ["2024-01-01", "2024-01-01"], 0),
        ("isArray", [[]], True),
        ("isString", ["x"], True),
        ("isNumber", [True], False),
        ("isNumber", [Decimal(1)], True),
        ("isObject", [[]], False),
        ("isObject", [INVALID_DATE], True),
        ("isDate", [INVALID_DATE], False),
        ("isDate", [datetime(2024, 1, 1, tzinfo=UTC)], True),
    ],
)
def test_a_helper_gives(helper: str, arguments: list[Any], expected: Any) -> None:
    found = outcome(helper, arguments)

    assert same(found, encoded(expected))


@pytest.mark.parametrize(
    ("helper", "arguments"),
    [
        ("truncate", [None, 5]),
        ("truncate", [1.2]),
        ("toCamelCase", []),
        ("slugify", [5]),
        ("hashString", []),
        ("template", ["{{a}}", None]),
        ("groupBy", [None, "k"]),
        ("groupBy", [[None], "k"]),
        ("keyBy", [5, "k"]),
        ("sortBy", [None, "k"]),
        ("unique", [5]),
        ("compact", ["ab"]),
        ("flatten", []),
        ("chunk", [None, 1]),
        ("sum", ["abc"]),
        ("avg", [None]),
        ("min", [5]),
        ("pick", [None, ["a"]]),
        ("omit", [{}, None]),
        ("mapValue", ["a", None, "d"]),
        ("get", [{"5": 1}, 5]),
        ("set", ["x", "a", 1]),
        ("dateDiff", ["2024-01-01"]),
        ("deepClone", []),
        ("formatCurrency", [1, -1]),
        ("extractCustomAttribute", [[None], "a"]),
        ("requireField", [None, None]),
    ],
)
def test_what_the_original_throws_on_is_refused(helper: str, arguments: list[Any]) -> None:
    with pytest.raises(MappingError):
        HELPERS[helper](*arguments)


def test_every_helper_is_there_under_both_names() -> None:
    by_name = {function.__name__ for function in HELPERS.values()}

    assert by_name == set(toolbox.__all__) - {"HELPERS"}
    assert len(HELPERS) == 59 - len(NOT_PORTED)
    assert not NOT_PORTED & set(HELPERS)


def test_setting_a_path_makes_what_is_missing() -> None:
    entity: dict[str, Any] = {"scalar": 1}

    for path in ("a.b", "list[0].n", "list[2].n", "holes[1]", "scalar.x", "__proto__.y", "o.0"):
        toolbox.set_value(entity, path, 7)

    assert entity == {
        "scalar": {"x": 7},
        "a": {"b": 7},
        "list": [{"n": 7}, {}, {"n": 7}],
        "holes": [ABSENT, 7],
        "__proto__": {"y": 7},
        "o": {"0": 7},
    }


@pytest.mark.parametrize("path", ["a.b", "list[999999999].x", "list.name"])
def test_a_path_that_nothing_can_be_put_at_is_refused(path: str) -> None:
    entity: dict[str, Any] = {"a": None, "list": []}

    with pytest.raises(MappingError):
        toolbox.set_value(entity, path, 7)

    assert entity == {"a": None, "list": []}


def test_a_text_is_cut_by_the_units_of_javascript_but_no_character_is_halved() -> None:
    assert toolbox.truncate("😀😀😀😀", 8) == "😀😀😀😀"
    assert toolbox.truncate("😀😀😀😀", 6) == "😀..."


def test_a_merged_object_leaves_its_parts_as_they_were() -> None:
    first: dict[str, Any] = {"a": {"b": 1}}

    merged = toolbox.deep_merge(first, {"a": {"c": 2}})

    assert merged == {"a": {"b": 1, "c": 2}}
    assert first == {"a": {"b": 1}}


def test_what_holds_itself_can_not_be_cloned() -> None:
    with pytest.raises(MappingError, match="inside itself"):
        toolbox.deep_clone(LOOP)


def test_a_size_that_the_original_never_ends_on_is_refused() -> None:
    with pytest.raises(MappingError):
        toolbox.chunk([1], 0)
    with pytest.raises(MappingError):
        toolbox.number_range(0, 1, 1e-12)


def test_a_key_may_be_a_function() -> None:
    assert toolbox.group_by([1, 2, 3], lambda number: number % 2) == {"1": [1, 3], "0": [2]}
    assert toolbox.sort_by([3, 1, 2], lambda number: -number) == [3, 2, 1]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers())))
def test_sorting_is_stable(pairs: list[tuple[int, int]]) -> None:
    items = [{"k": key, "v": value} for key, value in pairs]

    assert toolbox.sort_by(items, "k") == sorted(items, key=lambda item: item["k"])


def test_days_are_those_of_the_zone() -> None:
    new_york = ZoneInfo("America/New_York")

    moved = toolbox.add_days("2024-03-09T12:00:00-05:00", 1, tz=new_york)

    assert moved == datetime(2024, 3, 10, 16, tzinfo=UTC)
    assert toolbox.subtract_days(moved, 1, tz=new_york) == datetime(2024, 3, 9, 17, tzinfo=UTC)


def test_a_uuid_is_random_and_of_version_4() -> None:
    first, second = toolbox.uuid(), toolbox.uuid()

    assert UUID(first).version == 4
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", first)
    assert first != second


def test_long_lists_need_no_deep_stack() -> None:
    nested: list[Any] = []
    for _ in range(100_000):
        nested = [nested]

    assert toolbox.flatten(nested, math.inf) == []
    assert len(toolbox.flatten([list(range(300_000))])) == 300_000
