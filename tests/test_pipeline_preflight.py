from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from graphql import build_schema
from hypothesis import given
from hypothesis import strategies as st

from fc_connect.mapping import input_type
from fc_connect.pipeline import preflight

STOCK = {"locationRef": "W1", "skuRef": "S1", "qty": 5, "type": "LAST_ON_HAND", "status": "ACTIVE"}


def told(entities: Any, **options: Any) -> list[tuple[int | None, str | None, str]]:
    return [(each.index, each.field, each.severity) for each in preflight(entities, **options).problems]


@pytest.mark.parametrize("qty", [0, 1, -1, 2**31 - 1])
def test_a_whole_number_of_stock_passes_and_none_is_one_too(qty: int) -> None:
    assert preflight([{**STOCK, "qty": qty}]).problems == ()


@pytest.mark.parametrize(
    "qty",
    [float("nan"), float("inf"), -float("inf"), True, False, 5.0, 2**31, -(2**31) - 1, "5", None, [], {}],
)
def test_what_is_no_whole_number_of_stock_is_told(qty: Any) -> None:
    assert told([STOCK, {**STOCK, "skuRef": "S2", "qty": qty}]) == [(1, "qty", "error")]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"locationRef": ""}, "locationRef"),
        ({"locationRef": "  "}, "locationRef"),
        ({"locationRef": None}, "locationRef"),
        ({"locationRef": 7}, "locationRef"),
        ({"skuRef": ""}, "skuRef"),
        ({"skuRef": None}, "skuRef"),
        ({"attributes": {"a": [float("nan")]}}, None),
        ({"attributes": object()}, None),
        ({"attributes": Decimal("Infinity")}, None),
    ],
)
def test_what_fluent_would_refuse_of_an_entity_is_told(change: dict[str, Any], field: str | None) -> None:
    assert told([{**STOCK, **change}]) == [(0, field, "error")]


def test_every_entity_is_looked_at_and_so_is_what_is_no_entity() -> None:
    without = {"skuRef": "S2", "qty": 1}

    assert told([STOCK, without, None, ["a"]]) == [
        (1, "locationRef", "error"),
        (2, None, "error"),
        (3, None, "error"),
    ]


@pytest.mark.parametrize(
    ("other", "is_same"),
    [
        ({}, True),
        ({"qty": 9, "ref": "another"}, True),
        ({"locationRef": "W2"}, False),
        ({"skuRef": "S2"}, False),
        ({"type": "DELTA"}, False),
        ({"skuRef": None, "productRef": "S1"}, False),
    ],
)
def test_two_are_the_same_record_by_location_product_and_type(other: dict[str, Any], is_same: bool) -> None:
    found = preflight([{**STOCK, "ref": "x"}, {**STOCK, "ref": "x", **other}])

    assert [(each.index, "entity 0" in each.message) for each in found.problems] == (
        [(1, True)] if is_same else []
    )


def test_other_kinds_are_known_by_their_ref() -> None:
    assert told([{"ref": "a"}, {"ref": "b"}, {"ref": "a"}], entity_type="LOCATION") == [
        (None, None, "warning"),
        (2, None, "error"),
    ]


@pytest.mark.parametrize(
    ("count", "options", "expected"),
    [
        (0, {}, "at least one"),
        (5001, {}, "5,001 entities"),
        (1, {"entity_type": "INVENTORI"}, "isn't one of"),
        (1, {"action": "DELETE"}, "isn't UPSERT"),
    ],
)
def test_the_batch_itself_is_looked_at(count: int, options: dict[str, Any], expected: str) -> None:
    found = preflight([{**STOCK, "ref": str(n), "skuRef": str(n)} for n in range(count)], **options)

    [problem] = found.errors
    assert problem.index is None
    assert expected in problem.message
    assert not found.is_ok


def test_a_field_that_is_not_documented_is_a_warning_and_of_a_schema_an_error() -> None:
    schema = build_schema("type Query { a: Int } input In { ref: String!, level: Int }")
    expected = input_type(schema, "In")

    assert told([{**STOCK, "colour": "red"}]) == [(0, "colour", "warning")]
    assert told([{"ref": "a", "level": 1, "colour": "red"}], expected=expected, key=("ref",)) == [
        (0, "colour", "error")
    ]
    assert told([{"level": 1.5}], expected=expected, key=("ref",)) == [
        (0, "ref", "error"),
        (0, "level", "error"),
    ]


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.decimals(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.lists(
        values | st.dictionaries(st.sampled_from([*STOCK, "attributes", "other"]), values, max_size=6),
        max_size=4,
    )
)
def test_nothing_that_is_given_stops_the_look(entities: list[Any]) -> None:
    found = preflight(entities)

    assert found.entities == len(entities)
    assert all(each.index is None or each.index < len(entities) for each in found.problems)
