"""Rows whose columns hold objects and lists, and which columns a mapping needs at all."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from fc_connect.errors import ConfigurationError, MappingError
from fc_connect.mapping import compile_mapping, encode_entity, fields_read, load_mapping

COLUMNS = ("no", "customer", "lines", "a.b")
NESTED = frozenset({"customer", "lines"})
ROW = [
    7,
    {"name": "Ann", "address": {"city": "Bern"}},
    [{"sku": "x", "qty": 2}, {"sku": "y", "qty": 1}],
    "dotted",
]


def mapped(fields: dict[str, Any], row: list[Any] | None = None) -> Any:
    mapper = compile_mapping(load_mapping({"fields": fields}), columns=COLUMNS, nested=NESTED)
    record = ROW if row is None else row
    assert mapper(record) == mapper.interpret(record)
    return mapper(record)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("no", 7),
        ("customer.name", "Ann"),
        ("customer.address.city", "Bern"),
        ("lines[0].sku", "x"),
        ("lines[-1].qty", 1),
        ("lines[*].sku", ["x", "y"]),
        ("lines[sku='y'].qty", 1),
        ("$.lines[1].sku", "y"),
        ("$.lines[?@.qty > 1].sku", ["x"]),
        ("$root.customer.name", "Ann"),
        ("a.b", "dotted"),
        ("customer", ROW[1]),
    ],
)
def test_a_path_leads_into_a_column(source: str, expected: Any) -> None:
    assert mapped({"out": {"source": source}}) == {"out": expected}


@pytest.mark.parametrize("customer", [None, {}, {"address": None}])
def test_what_is_not_there_leaves_the_field_out(customer: Any) -> None:
    assert mapped({"out": {"source": "customer.address.city"}}, [1, customer, [], ""]) == {}


def test_objects_and_lists_in_columns_are_mapped_by_fields() -> None:
    fields = {
        "customer": {"source": "customer", "fields": {"name": {"source": "name"}}},
        "items": {
            "source": "lines",
            "isArray": True,
            "fields": {"ref": {"source": "sku"}, "order": {"source": "$root.no"}},
        },
        "where": {"fields": {"city": {"source": "customer.address.city"}}},
    }

    assert mapped(fields) == {
        "customer": {"name": "Ann"},
        "items": [{"ref": "x", "order": 7}, {"ref": "y", "order": 7}],
        "where": {"city": "Bern"},
    }


def test_a_column_that_is_no_object_rejects_the_record() -> None:
    mapper = compile_mapping(
        load_mapping({"fields": {"c": {"source": "customer", "fields": {"n": {"source": "name"}}}}}),
        columns=COLUMNS,
        nested=NESTED,
    )

    with pytest.raises(MappingError, match="expected an object"):
        mapper([1, "Ann", [], ""])


@pytest.mark.parametrize("source", ["no.x", "other.name", "$root.no.x"])
def test_a_path_into_a_column_of_plain_values_is_refused_before_the_first_record(source: str) -> None:
    with pytest.raises(ConfigurationError, match="there is no column"):
        mapped({"out": {"source": source}})


def read_by(fields: dict[str, Any], **resolvers: Any) -> frozenset[str] | None:
    return fields_read(load_mapping({"fields": fields}), resolvers=resolvers)


def test_the_columns_that_a_mapping_reads_are_known() -> None:
    fields = {
        "a": {"source": "sku", "resolver": "sdk.trim"},
        "b": {"source": "price.net"},
        "c": {"resolver": {"name": "sdk.concat", "sources": ["x", "y"]}},
        "d": {"source": "z", "when": {"any": [{"source": "p", "equals": 1}, {"not": {"source": "q"}}]}},
        "e": {"source": "lines", "isArray": True, "fields": {"f": {"source": "inner"}, "g": {"source": "$root.no"}}},
        "h": {"fields": {"i": {"source": "deep"}}},
        "j": {"source": "$context.pipeline"},
        "k": {"value": 1, "source": "unread"},
        "l": {"source": "unit/price ()"},
        "m": {"source": "own", "resolver": "mine"},
    }  # fmt: skip

    assert read_by(fields, mine=lambda value: value) == frozenset({
        "sku", "price", "price.net", "x", "y", "z", "p", "q", "lines", "no", "deep", "unit/price ()", "own",
    })  # fmt: skip


@pytest.mark.parametrize(
    "field",
    [
        {"source": "$"},
        {"source": "$.lines[?@.qty > 1]"},
        {"source": "[*].a"},
        {"source": "a", "when": {"source": "$"}},
        {"source": "a", "resolver": "record"},
        {"source": "a", "resolver": "unknown"},
    ],
)
def test_a_mapping_that_may_look_at_anything_needs_every_column(field: dict[str, Any]) -> None:
    assert read_by({"a": field}, record=lambda value, record: record) is None


def test_a_mapping_of_the_original_sdk_may_look_at_anything() -> None:
    assert fields_read(load_mapping({"fields": {"a": {"source": "x"}}}, compat=True)) is None


# Dates as values, which Parquet has

DAY, INSTANT = date(2026, 1, 31), datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ({"source": "day"}, b'"2026-01-31"'),
        ({"source": "at"}, b'"2026-01-31T12:00:00Z"'),
        ({"source": "at", "resolver": "sdk.toString"}, b'"2026-01-31T12:00:00Z"'),
        ({"source": "day", "resolver": "sdk.formatDate"}, b'"2026-01-31T00:00:00.000Z"'),
        ({"resolver": {"name": "sdk.concat", "sources": ["no", "day"], "separator": "-"}}, b'"7-2026-01-31"'),
        ({"value": 1, "when": {"source": "day", "equals": "2026-01-31"}}, b"1"),
        ({"value": 1, "when": {"source": "at", "matches": "2026-01-31T.*"}}, b"1"),
        ({"source": "day", "lookup": {"values": {"2026-01-31": "end"}}}, b'"end"'),
    ],
)
def test_a_date_is_what_its_text_is(field: dict[str, Any], expected: bytes) -> None:
    mapper = compile_mapping(load_mapping({"fields": {"out": field}}), columns=("no", "day", "at"))

    assert encode_entity(mapper([7, DAY, INSTANT])) == b'{"out":' + expected + b"}"
    assert mapper([7, DAY, INSTANT]) == mapper.interpret([7, DAY, INSTANT])


def test_number_that_is_none_in_json_rejects_the_record() -> None:
    mapper = compile_mapping(load_mapping({"fields": {"out": {"source": "a"}}}), columns=("a",))

    with pytest.raises(MappingError, match="NaN or infinity"):
        encode_entity(mapper([float("nan")]))
