"""Numbers of JSON and Parquet come as `Decimal`: whatever compares or asks for a number takes them for one."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from fc_connect.mapping import compile_mapping, load_mapping
from fc_connect.mapping.jsonpath import find

LINES = [
    {"p": Decimal("1.10"), "n": 1},
    {"p": Decimal("2.5"), "n": 2},
    {"p": 3, "n": 3},
    {"p": "1.1", "n": 4},
]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("$[?@.p == 1.1].n", [1]),
        ("$[?@.p < 2.5].n", [1]),
        ("$[?@.p <= 2.5].n", [1, 2]),
        ("$[?@.p > 2].n", [2, 3]),
        ("$[?@.p != 1.1].n", [2, 3, 4]),
        ("$[?@.p == $[0].p].n", [1]),
    ],
)
def test_a_query_compares_them_as_numbers(query: str, found: list[int]) -> None:
    assert find(query, LINES) == found


def test_a_query_finds_them_with_all_their_digits() -> None:
    exact = Decimal("1.12345678901234567890")

    found = find("$.lines[?@.p > 1.0].p", {"lines": [{"p": exact}]})

    assert found == [exact]
    assert type(found[0]) is Decimal


@pytest.mark.parametrize(
    ("value", "equals", "holds"),
    [
        (Decimal("1.1"), 1.1, True),
        (Decimal("1.10"), 1.1, True),
        (Decimal("2.0"), 2, True),
        (Decimal("1.5"), 1.25, False),
        (Decimal("1.1"), "1.1", True),
        (Decimal("1.0"), True, False),
    ],
)
def test_a_condition_compares_them_as_numbers(value: Any, equals: Any, holds: bool) -> None:
    fields = {"a": {"source": "v", "when": {"source": "v", "equals": equals}}}

    entity = compile_mapping(load_mapping({"fields": fields}), columns=None)({"v": value})

    assert ("a" in entity) is holds
