"""The structure of a source: what each path holds, what it looks like, and the resolver that it wants."""

from __future__ import annotations

from typing import Any

import pytest

from fc_connect.mapping import SourceProfiler, records_in
from fc_connect.mapping.analyze import MAX_PATHS, FieldProfile, Suggestion


def profiled(*records: dict[str, Any], is_flat: bool = False) -> dict[str, FieldProfile]:
    profiler = SourceProfiler(is_flat=is_flat)
    for each in records:
        profiler.add(each)
    return {each.path: each for each in profiler.fields}


def suggested(*values: Any, name: str = "x") -> Suggestion:
    return profiled(*({name: each} for each in values))[name].suggestion()


def test_gaps_are_told_apart() -> None:
    found = profiled({"a": "1"}, {"a": None}, {"a": ""}, {"a": "  "}, {})["a"]

    assert (found.parents, found.present, found.absent, found.nulls, found.empty) == (5, 4, 1, 1, 2)
    assert found.missing == 4
    assert found.samples == ["1"]


def test_what_lies_in_objects_and_lists_has_a_path_of_its_own() -> None:
    found = profiled(
        {"a": {"b": {"c": 1}}, "items": [{"sku": "A"}, {"sku": "B", "qty": 2}]},
        {"a": {}, "items": []},
    )

    assert list(found) == ["a", "a.b", "a.b.c", "items", "items[*].sku", "items[*].qty"]
    assert (found["a.b"].parents, found["a.b"].absent) == (2, 1)
    assert (found["items[*].qty"].parents, found["items[*].qty"].absent) == (2, 1)


@pytest.mark.parametrize("is_reversed", [False, True])
def test_an_object_where_other_records_have_a_list_counts_as_a_list_of_one(is_reversed: bool) -> None:
    records = [{"o": {"l": {"a": {"b": 1}}}}, {"o": {"l": [{"a": {"b": 2}}, {"a": {"b": 3}}]}}]

    found = profiled(*(reversed(records) if is_reversed else records))

    assert list(found) == ["o", "o.l", "o.l[*].a", "o.l[*].a.b"]
    assert (found["o.l[*].a.b"].parents, found["o.l[*].a.b"].present) == (3, 3)


def test_keys_that_a_path_can_not_hold_are_quoted() -> None:
    found = profiled({"a.b": {"c'd": 1}, "@id": "x", "#text": "y", "Qty On Hand": 3, "//x": 1, "e'.f": 2})

    assert list(found) == ["['a.b']", "['a.b'].c'd", "@id", "#text", "Qty On Hand", "['//x']", "['e\\'.f']"]


def test_columns_are_names_and_no_paths() -> None:
    assert list(profiled({"a.b": "1", "c[0]": "2"}, is_flat=True)) == ["a.b", "c[0]"]


@pytest.mark.parametrize(
    ("values", "looks_like", "resolver"),
    [
        (("1", "-2", "+3"), "whole number", "sdk.parseInt"),
        (("1", "2.5", ".5"), "number, decimal point", "sdk.parseFloat"),
        (("1,5", "22"), "number, decimal comma", {"name": "sdk.parseFloat", "decimal": ",", "group": "."}),
        (
            ("1.234,50", "7"),
            "number, decimal comma, grouped by points",
            {"name": "sdk.parseFloat", "decimal": ",", "group": "."},
        ),
        (
            ("1,234.50", "7"),
            "number, decimal point, grouped by commas",
            {"name": "sdk.parseFloat", "decimal": ".", "group": ","},
        ),
        (("true", "FALSE", "yes"), "boolean", "sdk.boolean"),
        (("2026-01-31", "2026-02-01"), "date, ISO 8601", "sdk.parseDate"),
        (("2026-01-31T10:00:00Z", "2026-02-01 11:00"), "date, ISO 8601", "sdk.parseDate"),
        (("31/01/2026", "01/02/2026"), "date, DD/MM/YYYY", {"name": "sdk.parseDate", "format": "%d/%m/%Y"}),
        (("01/31/2026", "02/01/2026"), "date, MM/DD/YYYY", {"name": "sdk.parseDate", "format": "%m/%d/%Y"}),
        (("31.12.2026",), "date, DD.MM.YYYY", {"name": "sdk.parseDate", "format": "%d.%m.%Y"}),
        (
            ("31.12.2026 23:59",),
            "date, DD.MM.YYYY hh:mm",
            {"name": "sdk.parseDate", "format": "%d.%m.%Y %H:%M"},
        ),
        (("20260131",), "whole number", "sdk.parseInt"),
        (("a", "b"), "text", None),
        (("a ", "b"), "text", "sdk.trim"),
        ((1, 2), "whole number", None),
        ((1, 2.5), "number", None),
        ((True, False), "boolean", None),
        (([],), "list", None),
        (({},), "object", None),
        (("10.2.13",), "text", None),
        (("2026-02-30",), "text", None),
        (("1e5",), "number, decimal point", "sdk.parseFloat"),
    ],
)
def test_values_tell_the_resolver(values: tuple[Any, ...], looks_like: str, resolver: Any) -> None:
    found = suggested(*values)

    assert (found.looks_like, found.resolver, found.must_decide) == (looks_like, resolver, False)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        (("01/02/2026", "03/04/2026"), "which number is the day"),
        (("12/1/10 8:26",), "which number is the day"),
        (("1,234", "5,678"), "may be a thousand"),
        (("1.234", "5.678"), "may be a thousand"),
        (("a", 1), "several types"),
        ((None, None), "no value"),
        (("", " "), "every value is empty"),
    ],
)
def test_what_values_do_not_tell_is_left_to_a_person(values: tuple[Any, ...], why: str) -> None:
    found = suggested(*values)

    assert found.must_decide
    assert why in found.why


@pytest.mark.parametrize("values", [("00123", "456"), ("0012 ", "7")])
def test_leading_zeros_are_pointed_out(values: tuple[str, ...]) -> None:
    found = suggested(*values, name="quantity")

    assert found.resolver in {"sdk.toString", "sdk.trim"}
    assert "keep as text: 1 have leading zeros" in found.why


@pytest.mark.parametrize("name", ["sku", "storeId", "POST_CODE", "GTIN", "phone number"])
def test_digits_that_name_something_stay_text(name: str) -> None:
    assert suggested("123", "456", name=name).resolver == "sdk.toString"


@pytest.mark.parametrize(
    ("name", "value", "resolver"),
    [
        ("createdOn", 1_705_314_600, {"name": "sdk.parseDate", "format": "epoch"}),
        ("updated_at", 1_705_314_600_000, {"name": "sdk.parseDate", "format": "epochMillis"}),
        ("delivery_date", "20260131", {"name": "sdk.parseDate", "format": "%Y%m%d"}),
        ("quantity", 1_705_314_600, None),
    ],
)
def test_a_name_that_says_date_makes_digits_one(name: str, value: Any, resolver: Any) -> None:
    assert suggested(value, name=name).resolver == resolver


def test_few_values_that_repeat_are_an_enum() -> None:
    assert suggested(*["NEW", "USED"] * 5).looks_like == "enum: NEW, USED"
    assert suggested("NEW", "USED").looks_like == "text"


def test_memory_is_bounded_whatever_comes() -> None:
    profiler = SourceProfiler()
    for number in range(3):
        profiler.add({f"k{n}": "x" * 10_000 for n in range(number * 1000, (number + 1) * 1000)})
    for number in range(3000):
        profiler.add({"k0": f"value {number}"})

    assert len(profiler.fields) == MAX_PATHS
    assert profiler.paths_left_out == 1000
    first = profiler.to_dict()["fields"][0]
    assert (first["distinct"], first["distinctIsMore"]) == (1000, True)
    assert max(map(len, first["samples"])) <= 60


def test_nesting_without_end_is_cut() -> None:
    deep: dict[str, Any] = {}
    for _ in range(2000):
        deep = {"a": deep}

    profiler = SourceProfiler()
    profiler.add(deep)

    assert profiler.paths_left_out == 1


@pytest.mark.parametrize(
    ("document", "records", "path"),
    [
        ([{"a": 1}], [{"a": 1}], ""),
        ({"data": {"orders": [{"a": 1}]}, "tags": ["x"]}, [{"a": 1}], "data.orders"),
        ({"data": {"orders": {"edges": [{"node": {"a": 1}}]}}}, [{"a": 1}], "data.orders.edges"),
        ({"a": {"b": 1}}, [{"a": {"b": 1}}], ""),
        ({"deep": {"list": [{"a": 1}]}, "near": [{"b": 1}]}, [{"b": 1}], "near"),
        ("text", ["text"], ""),
    ],
)
def test_the_records_of_a_document_are_found(document: Any, records: list[Any], path: str) -> None:
    assert records_in(document) == (records, path)


def test_huge_numbers_are_numbers_and_do_not_spoil_the_json() -> None:
    profiler = SourceProfiler()
    profiler.add({"a": 10**400})

    (found,) = profiler.to_dict()["fields"]

    assert (found["looksLike"], found["max"]) == ("whole number", None)
