"""JSON out: what each value is written as, what is refused, and that everything reads back."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fc_connect.errors import ConfigurationError, FormatError
from fc_connect.formats import open_format, open_writer


def written(items: Sequence[Mapping[str, Any]], kind: str = "json", **options: Any) -> bytes:
    stream = io.BytesIO()
    with open_writer(kind, **options).write(stream) as file:
        for item in items:
            file.write(item)
    return stream.getvalue()


def read_back(content: bytes, kind: str = "json", **options: Any) -> list[Any]:
    return list(open_format(kind, **options).read(io.BytesIO(content), path="out"))


# Files


def test_an_array_has_a_record_a_line() -> None:
    assert written([{"a": 1}, {"b": "é"}]) == '[\n{"a":1},\n{"b":"é"}\n]\n'.encode()


def test_an_array_without_records_is_json_too() -> None:
    assert written([]) == b"[]\n"
    assert written([], records="$.data.items[*]") == b'{"data":{"items":[]}}\n'
    assert json.loads(written([], records="$.data[*]", indent=2)) == {"data": []}


def test_the_array_may_be_further_down() -> None:
    content = written([{"a": 1}, {"a": 2}], records="$.data['line items'][*]")

    assert content == b'{"data":{"line items":[\n{"a":1},\n{"a":2}\n]}}\n'
    assert read_back(content, records="$.data['line items'][*]") == [{"a": 1}, {"a": 2}]


def test_indented_it_is_as_python_writes_it() -> None:
    records: list[dict[str, Any]] = [{"a": [1, {"b": "x\ny"}], "c": "d"}, {"e": None}]

    content = written(records, records="$.data.items[*]", indent=2)

    assert content.decode() == json.dumps({"data": {"items": records}}, indent=2) + "\n"


def test_each_line_of_ndjson_is_a_record() -> None:
    assert written([{"a": 1}, {"b": "x\n"}], "ndjson") == b'{"a":1}\n{"b":"x\\n"}\n'
    assert written([], "jsonl") == b""


@pytest.mark.parametrize("kind", ["json", "ndjson"])
def test_other_characters_may_be_written_as_escapes(kind: str) -> None:
    content = written([{"é": "🧦\u2028"}], kind, ensure_ascii=True)

    assert b'{"\\u00e9":"\\ud83e\\udde6\\u2028"}' in content
    assert read_back(content, kind) == [{"é": "🧦\u2028"}]


def test_a_file_is_left_unfinished_where_the_body_fails() -> None:
    stream = io.BytesIO()

    def body() -> None:
        with open_writer("json").write(stream) as file:
            file.write({"a": 1})
            raise RuntimeError

    with pytest.raises(RuntimeError):
        body()

    assert stream.getvalue() == b'[\n{"a":1}'


def test_a_file_may_be_finished_twice_but_not_written_after() -> None:
    stream = io.BytesIO()
    file = open_writer("json").write(stream)
    file.close()
    file.close()

    with pytest.raises(ValueError, match="finished"):
        file.write({})
    assert stream.getvalue() == b"[]\n"


@pytest.mark.parametrize(
    "options", [{"records": "$"}, {"records": "$.a[*].b[*]"}, {"records": "$.a"}, {"indent": 0}]
)
def test_options_that_cannot_be_used_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        open_writer("json", **options)


# Values


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (2**70, "1180591620717411303424"),
        (Decimal("1.10"), "1.10"),
        (Decimal("1E+400"), "1E+400"),
        (Decimal("-0.00"), "-0.00"),
        (0.1, "0.1"),
        ("", '""'),
        (datetime(2026, 1, 31, 12, tzinfo=UTC), '"2026-01-31T12:00:00Z"'),
        (datetime(2026, 1, 31, 12, 0, 0, 5), '"2026-01-31T12:00:00.000005"'),  # noqa: DTZ001 - without a zone
        (date(2026, 1, 31), '"2026-01-31"'),
        (time(1, 2, 3), '"01:02:03"'),
        ([], "[]"),
        ((1, [2], {"a": {}}), '[1,[2],{"a":{}}]'),
    ],
)
def test_values_are_written_exactly(value: Any, text: str) -> None:
    assert written([{"v": value}], "ndjson").decode() == f'{{"v":{text}}}\n'


def test_any_mapping_will_do() -> None:
    assert written([MappingProxyType({"a": 1})], "ndjson") == b'{"a":1}\n'


CYCLE: dict[str, Any] = {}
CYCLE["again"] = CYCLE


@pytest.mark.parametrize(
    ("record", "told"),
    [
        ({"a": {"b": [1, float("nan")]}}, r"'a'\.b\[1\] can't be written as JSON: JSON has no form for nan"),
        ({"a": float("-inf")}, "'a' can't be written as JSON: JSON has no form for -inf"),
        ({"a": Decimal("sNaN")}, "JSON has no form for sNaN"),
        ({"a": "\ud800"}, "'a' can't be written as JSON.*surrogates"),
        ({"\udfff": 1}, "can't be written as JSON.*surrogates"),
        ({"a": {1, 2}}, "'a' can't be written as JSON: JSON has no form for the type set"),
        ({"a": [{"b": b"x"}]}, r"'a'\[0\]\.b can't be written as JSON: JSON has no form for the type bytes"),
        ({"a": object()}, "the type object"),
        ({1: 2}, "the key is of type int, where only text can be"),
        ({"a": {None: 2}}, r"'a'\.None can't be written as JSON: the key is of type NoneType"),
        ({"a": CYCLE}, "it is nested deeper than 100 levels"),
        ({"a": 10**5000}, "'a' can't be written as JSON"),
    ],
)
@pytest.mark.parametrize("kind", ["json", "ndjson"])
def test_what_json_has_no_form_for_is_refused_and_nothing_of_it_is_written(
    kind: str, record: Any, told: str
) -> None:
    stream = io.BytesIO()
    file = open_writer(kind).write(stream)
    file.write({"n": 1})

    with pytest.raises(FormatError, match=told):
        file.write({"before": 1, **record})
    file.write({"n": 2})
    file.close()

    assert read_back(stream.getvalue(), kind) == [{"n": 1}, {"n": 2}]


TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
NUMBERS = st.integers() | st.decimals(allow_nan=False, allow_infinity=False, places=3) | st.sampled_from(
    [Decimal("1.10"), Decimal("1E+300"), Decimal("-0.0"), Decimal("1E-7"), 2**64, -(2**63) - 1, 10**4000]
)  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


@given(
    st.lists(st.dictionaries(TEXT, VALUES, max_size=5), max_size=5),
    st.sampled_from(
        [("json", {}), ("json", {"indent": 3}), ("json", {"records": "$.a.b[*]"}), ("ndjson", {})]
    ),
    st.booleans(),
)
def test_what_is_written_reads_back_equal(
    records: list[dict[str, Any]], how: tuple[str, dict[str, Any]], ensure_ascii: bool
) -> None:
    kind, options = how
    content = written(records, kind, ensure_ascii=ensure_ascii, **options)

    found = read_back(content, kind, **({"records": options["records"]} if "records" in options else {}))

    assert repr(found) == repr(records)
    assert content.isascii() or not ensure_ascii


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_is_written_with_the_digits_that_tell_it(value: float) -> None:
    ((found,),) = (record.values() for record in read_back(written([{"v": value}])))

    assert float(found) == value
