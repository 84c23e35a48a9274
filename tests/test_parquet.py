"""Parquet: exact values of every type, which columns are read, what is refused, and at how much memory."""

from __future__ import annotations

import io
import math
import struct
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fc_connect.errors import ConfigurationError, ParseError
from fc_connect.formats import BadRecord, Place, open_format
from fc_connect.formats.parquet import ParquetFormat, ParquetRecords


def written(table: pa.Table, **options: Any) -> bytes:
    file = io.BytesIO()
    pq.write_table(table, file, **options)
    return file.getvalue()


def reading(content: bytes, wanted: Any = None, **options: Any) -> ParquetRecords:
    return ParquetFormat(**options).read(io.BytesIO(content), path="stock.parquet", wanted=wanted)


def values_of(
    values: list[Any], kind: Any, *, into: dict[str, Any] | None = None, **options: Any
) -> list[Any]:
    """Write one column, and return what is read of it."""
    content = written(pa.table({"a": pa.array(values, kind)}), **(into or {}))
    return [row[0] for row in reading(content, **options)]


moment = datetime.fromisoformat


def refused(content: bytes, **options: Any) -> str:
    with pytest.raises(ParseError) as caught:
        list(reading(content, **options))
    assert caught.value.path == "stock.parquet"
    return str(caught.value)


STOCK = pa.table({"sku": ["A", "B", None], "qty": [1, 2, 3], "site": ["X", "Y", "Z"]})


# Rows


def test_records_are_rows_by_the_columns_of_the_file() -> None:
    records = reading(written(STOCK))

    assert records.columns == ("sku", "qty", "site")
    assert records.position == 0
    assert list(records) == [["A", 1, "X"], ["B", 2, "Y"], [None, 3, "Z"]]


def test_each_record_is_counted_through_all_row_groups() -> None:
    records = reading(written(pa.table({"a": range(5000)}), row_group_size=1300))

    assert [(records.position, records.place(), row[0]) for row in records] == [
        (number, Place(record=number), number - 1) for number in range(1, 5001)
    ]


def test_a_file_of_no_records_has_columns_all_the_same() -> None:
    for table in (STOCK.slice(0, 0), pa.table({"a": pa.array([], pa.int64())})):
        records = reading(written(table))

        assert records.columns == tuple(table.column_names)
        assert list(records) == []


def test_it_is_opened_by_its_name() -> None:
    assert isinstance(open_format("parquet", binary="base64"), ParquetFormat)


@pytest.mark.parametrize("options", [{"binary": "hex"}, {"max_page_bytes": 0}])
def test_options_that_can_not_be_used_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        ParquetFormat(**options)


# Which columns


@pytest.mark.parametrize(
    ("wanted", "columns"),
    [
        ({"site", "sku"}, ("sku", "site")),
        ({"qty", "qty.unit"}, ("qty",)),
        ({"sku", "SKU"}, ("sku", "qty", "site")),  # whoever misses it sees what there is
        (set(), ("sku",)),  # of one at least, to know how many records there are
    ],
)
def test_no_more_columns_are_read_than_are_wanted(wanted: set[str], columns: tuple[str, ...]) -> None:
    records = reading(written(STOCK), wanted)

    assert records.columns == columns
    assert list(map(tuple, records)) == list(zip(*(STOCK[name].to_pylist() for name in columns), strict=True))


def test_a_nested_column_is_read_whole_and_told_as_such() -> None:
    maps = pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int8()))
    table = pa.table({"x": [1], "a": [{"b": 1, "c": [{"d": 2}]}], "a.b": [3], "m": maps})
    records = reading(written(table), {"a", "a.b", "m"})

    assert records.columns == ("a", "a.b", "m")
    assert records.nested == {"a", "m"}
    assert list(records) == [[{"b": 1, "c": [{"d": 2}]}, 3, {"k": 1}]]


def test_damage_in_a_column_that_is_not_read_does_not_matter() -> None:
    content = bytearray(written(STOCK, compression="none", use_dictionary=False))
    content[content.index(b"\x01\0\0\0X")] = 0xFF

    assert list(reading(bytes(content), {"sku"})) == [["A"], ["B"], [None]]


# Values

LARGE = 2**63 - 1


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (pa.int8(), [-128, 127, None]),
        (pa.int64(), [-LARGE - 1, LARGE, None, 2**53 + 1]),
        (pa.uint8(), [0, 255]),
        (pa.uint32(), [0, 2**32 - 1]),
        (pa.uint64(), [0, 2**64 - 1, None]),
        (pa.bool_(), [True, False, None]),
        (pa.float32(), [0.1, 3.4028235e38, 1e-45, -0.0, 16777216.0, None]),
        (pa.float64(), [0.1, 1.7976931348623157e308, 5e-324, None]),
        (pa.string(), ["", "a\0b", "🧦", None, " x ", "00123"]),
        (pa.large_string(), ["a", None]),
        (pa.dictionary(pa.int8(), pa.string()), ["a", None, "b", "a"]),
        (pa.decimal128(38, 2), [Decimal("1.50"), Decimal("-0.01"), Decimal("9" * 36 + ".99"), None]),
        (pa.decimal256(76, 0), [Decimal("9" * 76)]),
        (pa.decimal128(5, 5), [Decimal("0.00001")]),
        (pa.null(), [None, None]),
        (pa.date32(), [date(1, 1, 1), date(2026, 1, 31), date(9999, 12, 31), None]),
        (pa.list_(pa.int8()), [[1, None], [], None, [2]]),
        (pa.large_list(pa.string()), [["a"], None]),
        (pa.list_(pa.int16(), 2), [[1, 2], None, [3, 4]]),
        (pa.list_(pa.list_(pa.string())), [[["a"], []], None, [None, ["b", None]]]),
        (pa.struct({"x": pa.int8(), "y": pa.list_(pa.string())}), [{"x": 1, "y": ["a"]}, None, {"x": None, "y": None}]),
        (pa.list_(pa.struct({"x": pa.float32()})), [[{"x": 0.1}, None], None, []]),
    ],
    ids=str,
)  # fmt: skip
def test_values_are_exact(kind: Any, values: list[Any]) -> None:
    found = values_of(values, kind)

    assert found == values
    assert list(map(repr, found)) == list(map(repr, values))


@pytest.mark.parametrize(
    ("kind", "stored", "expected"),
    [
        (pa.timestamp("ms", "UTC"), 1_769_860_800_123, datetime(2026, 1, 31, 12, 0, 0, 123_000, tzinfo=UTC)),
        (pa.timestamp("us", "Europe/Berlin"), -1, datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)),
        (pa.timestamp("us"), 1, moment("1970-01-01T00:00:00.000001")),
        (pa.timestamp("ns"), 1_000, moment("1970-01-01T00:00:00.000001")),
        (pa.timestamp("ns"), 1_001, "1970-01-01T00:00:00.000001001"),
        (pa.timestamp("ns", "UTC"), -1, "1969-12-31T23:59:59.999999999Z"),
        (pa.time32("ms"), 45_000_500, "12:30:00.5"),
        (pa.time64("us"), 86_399_999_999, "23:59:59.999999"),
        (pa.time64("ns"), 1, "00:00:00.000000001"),
        (pa.duration("ms"), -1_500, "-PT1.5S"),
        (pa.duration("s"), 90, "PT90S"),
    ],
    ids=str,
)
def test_times_keep_every_digit(kind: Any, stored: int, expected: Any) -> None:
    array = pa.array([stored, None], pa.int32() if pa.types.is_time32(kind) else pa.int64()).view(kind)

    assert [row[0] for row in reading(written(pa.table({"a": array})))] == [expected, None]


@pytest.mark.parametrize(
    "at",
    [
        moment("9999-12-31T23:59:59.999999"),
        moment("0001-01-01"),
        moment("1600-02-29T01:02:03"),
        moment("2026-01-31T12:00:00.000001"),
    ],
)
@pytest.mark.parametrize("nested", [False, True])
def test_int96_holds_every_year(at: datetime, nested: bool) -> None:
    """Read as nanoseconds, as libraries do, the year 9999 comes out as 1816."""
    value = [{"at": at}] if nested else at
    kind = pa.list_(pa.struct({"at": pa.timestamp("us")})) if nested else pa.timestamp("us")

    assert values_of([value, None], kind, into={"use_deprecated_int96_timestamps": True}) == [value, None]


def test_int96_keeps_nanoseconds() -> None:
    content = bytearray(
        written(
            pa.table({"a": pa.array([0, 0], pa.timestamp("us"))}),
            use_deprecated_int96_timestamps=True,
            use_dictionary=False,
            compression="none",
        )
    )
    at = content.index(struct.pack("<QI", 0, 2_440_588))
    content[at : at + 12] = struct.pack("<QI", 86_399_999_999_999, 2_440_588 + 2_932_896)

    assert next(iter(reading(bytes(content)))) == ["9999-12-31T23:59:59.999999999"]


def test_what_is_no_number_stays_none() -> None:
    [nan, infinite] = values_of([math.nan, -math.inf], pa.float32())

    assert math.isnan(nan)
    assert infinite == -math.inf


def test_maps_with_keys_of_text_are_objects_and_others_are_pairs() -> None:
    assert values_of([[("a", 1), ("b", None)], [], None], pa.map_(pa.string(), pa.int64())) == [
        {"a": 1, "b": None},
        {},
        None,
    ]
    assert values_of([[(1, "x")]], pa.map_(pa.int64(), pa.string())) == [[{"key": 1, "value": "x"}]]


def test_bytes_that_nobody_calls_text_are_text_or_base64_as_told() -> None:
    values = [b"SKU", "é".encode(), b"", None]

    assert values_of(values, pa.binary()) == ["SKU", "é", "", None]
    assert values_of([*values, b"\xff"], pa.binary(), binary="base64") == ["U0tV", "w6k=", "", None, "/w=="]


def test_bytes_of_a_fixed_length_are_never_taken_for_text() -> None:
    assert values_of([b"SKU", None], pa.binary(3)) == ["U0tV", None]


def test_identifiers_are_text() -> None:
    value = UUID("12345678-1234-5678-1234-567812345678")

    assert values_of([value.bytes, None], pa.uuid()) == [str(value), None]


# Bad records


def test_text_that_is_not_utf8_makes_a_bad_record_and_the_rest_goes_on() -> None:
    content = written(pa.table({"n": [1, 2, 3], "a": pa.array([b"x", b"y\xff", b"z"], pa.binary())}))

    first, bad, last = reading(content)

    assert (first, last) == ([1, "x"], [3, "z"])
    assert isinstance(bad, BadRecord)
    assert bad.place == Place(record=2)
    assert "column 'a' isn't text in UTF-8: byte 0xff at offset 1" in bad.reason
    assert bad.raw == "n: 2, a: ?"


def test_a_column_called_text_is_looked_at_as_well() -> None:
    content = written(STOCK, compression="none", use_dictionary=False, write_statistics=False)
    content = content.replace(b"\x01\0\0\0B", b"\x01\0\0\0\xff")

    kinds = [isinstance(record, BadRecord) for record in reading(content)]

    assert kinds == [False, True, False]


def test_a_key_of_a_map_that_is_no_text_makes_a_bad_record() -> None:
    maps = pa.array([[("xyz", 1)], []], pa.map_(pa.string(), pa.int8()))
    content = written(pa.table({"a": maps}), compression="none", use_dictionary=False, write_statistics=False)

    bad, fine = reading(content.replace(b"xyz", b"xy\xff"))

    assert isinstance(bad, BadRecord)
    assert "isn't text in UTF-8" in bad.reason
    assert fine == [{}]


@pytest.mark.parametrize(
    "array",
    [
        pa.array([2**62, 0], pa.int64()).view(pa.timestamp("us")),
        pa.array([10_000_000, 0], pa.int32()).view(pa.date32()),
        pa.array([-800_000, 0], pa.int32()).view(pa.date32()),
        pa.array([86_400_000_001, 0], pa.int64()).view(pa.time64("us")),
        pa.array([[("a", 1), ("a", 2)], []], pa.map_(pa.string(), pa.int8())),
    ],
    ids=lambda array: str(array.type),
)
def test_a_value_without_a_form_makes_a_bad_record(array: Any) -> None:
    bad, fine = reading(written(pa.table({"a": array})))

    assert isinstance(bad, BadRecord)
    assert bad.reason.startswith("column 'a' ")
    assert isinstance(fine, list)


# Refused files


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is empty"),
        (b"PAR1", "is cut off"),
        (b"sku,qty\n", "isn't a Parquet file: it begins with b'sku,'"),
        (b"PAR1" + bytes(4) + b"\xff\xff\xff\x7fPAR1", "its footer should be 2,147,483,647 bytes long"),
        (b"PAR1" + bytes(4) + b"\x04\0\0\0PAR1", "its footer can't be read"),
        (b"PARE" + bytes(30) + b"PARE", "is encrypted"),
    ],
)
def test_what_is_no_parquet_file_is_told(content: bytes, told: str) -> None:
    assert told in refused(content)


def test_a_column_named_twice_is_refused() -> None:
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])

    assert "several columns of the same name: 'a'" in refused(written(table))


def test_an_object_with_a_key_twice_is_refused() -> None:
    kind = pa.struct([pa.field("x", pa.int8()), pa.field("x", pa.int8())])
    table = pa.table({"a": pa.array([(1, 2)], kind)})

    assert "column 'a'" in refused(written(table))


def test_a_file_of_no_columns_is_refused() -> None:
    assert "no columns" in refused(written(pa.table({})))


@pytest.mark.parametrize("compression", ["none", "zstd"])
def test_a_file_cut_off_anywhere_is_refused(compression: str) -> None:
    content = written(STOCK, compression=compression)

    for length in range(len(content)):
        refused(content[:length])


def test_a_changed_page_is_noticed_where_the_file_has_checksums() -> None:
    content = bytearray(written(STOCK, compression="none", write_page_checksum=True, use_dictionary=False))
    content[content.index(b"\x01\0\0\0B") + 4] = ord("C")

    assert "row group 1" in refused(bytes(content))


def test_a_page_that_would_fill_the_memory_is_refused() -> None:
    content = written(pa.table({"a": ["x" * 3_000_000]}), compression="zstd")

    assert len(content) < 10_000
    assert "max_page_bytes (1,000,000)" in refused(content, max_page_bytes=1_000_000)
    assert len(next(iter(reading(content)))[0]) == 3_000_000


def test_a_long_value_that_each_row_names_is_not_laid_out_many_times_at_once() -> None:
    """A dictionary of short values and a long one: by their average a thousand rows would seem little."""
    values = ["x" * 200_000, *map(str, range(20_000))]
    names = pa.DictionaryArray.from_arrays(pa.array([0] * 2000, pa.int32()), pa.array(values))
    content = written(pa.table({"a": names}), store_schema=False, dictionary_pagesize_limit=1 << 24)
    assert len(content) < 200_000

    before = pa.total_allocated_bytes()
    for number, row in zip(range(100), reading(content), strict=False):
        assert len(row[0]) == 200_000
        assert pa.total_allocated_bytes() - before < 100 << 20, number


def test_a_deeply_nested_schema_is_refused() -> None:
    """A library that walks down a schema may run out of stack, and take the process with it."""
    depth = 10_000
    group, leaf = b"\x35\x02\x18\x01a\x15\x02\x00", b"\x15\x02\x25\x00\x18\x01v\x00"
    schema = b"\xfc" + _varint(depth + 1) + group * depth + leaf
    footer = b"\x15\x02\x19" + schema + b"\x16\x00\x19\x0c\x00"
    content = b"PAR1" + footer + struct.pack("<I", len(footer)) + b"PAR1"

    assert "nested" in refused(content)


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


def test_a_row_group_of_fewer_rows_than_it_says_is_refused() -> None:
    """Columns that end early would be records lost without a word."""
    content = written(pa.table({"a": range(300)}), compression="none", use_dictionary=False)
    said = b"\x16\xd8\x04"  # 300, as the footer writes it
    assert content.count(said) >= 2

    refused(content.replace(said, b"\x16\xda\x04"))


def test_the_file_on_disk_is_gone_when_records_are() -> None:
    records = reading(written(STOCK))
    next(iter(records))
    file = records._file
    del records

    assert file.closed
