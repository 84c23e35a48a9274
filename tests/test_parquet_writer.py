"""Parquet out: every value exact or refused, and a file that is whole or isn't there."""

from __future__ import annotations

import gc
import io
import math
import tracemalloc
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, BinaryIO

import pyarrow.parquet as pq
import pytest

from fc_connect.errors import ConfigurationError, FormatError
from fc_connect.formats import WriteFormat, open_format, open_writer
from fc_connect.formats.parquet_writer import ParquetWriter


def write_all(records: Iterable[dict[str, Any]], form: WriteFormat, file: BinaryIO) -> None:
    with form.write(file) as writer:
        for record in records:
            writer.write(record)


def written(records: Iterable[dict[str, Any]], schema: dict[str, str], **options: Any) -> bytes:
    file = io.BytesIO()
    write_all(records, open_writer("parquet", schema=schema, **options), file)
    return file.getvalue()


def read_back(content: bytes) -> list[dict[str, Any]]:
    records = open_format("parquet", binary="base64").read(io.BytesIO(content), path="out.parquet")
    return [dict(zip(records.columns or (), record, strict=True)) for record in records]


def round_trip(value: Any, kind: str) -> Any:
    [record] = read_back(written([{"a": value}], {"a": kind}))
    return record["a"]


def refusal(value: Any, kind: str) -> str:
    with pytest.raises(FormatError) as caught:
        written([{"a": value}], {"a": kind})
    return str(caught.value)


moment = datetime.fromisoformat


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("string", "a\0🧦", "a\0🧦"),
        ("int64", -(2**63), -(2**63)),
        ("int8", 127, 127),
        ("uint64", 2**64 - 1, 2**64 - 1),
        ("bool", False, False),
        ("double", 0.1, 0.1),
        ("double", 7, 7.0),
        ("double", Decimal("0.1"), 0.1),
        ("float", 0.1, 0.1),
        ("float", 16777216, 16777216.0),
        ("decimal(10, 2)", Decimal("12.5"), Decimal("12.50")),
        ("decimal(10, 2)", 0.1, Decimal("0.10")),
        ("decimal(38)", 10**37, Decimal(10**37)),
        ("decimal(76,76)", Decimal("0." + "1" * 76), Decimal("0." + "1" * 76)),
        ("date", date(2026, 1, 31), date(2026, 1, 31)),
        ("date", "2026-01-31", date(2026, 1, 31)),
        ("timestamp[ms, UTC]", "2026-01-31T12:00:00.120Z", moment("2026-01-31T12:00:00.120+00:00")),
        ("timestamp[us,UTC]", "2026-01-31T13:00:00+01:00", moment("2026-01-31T12:00:00+00:00")),
        ("timestamp[s]", "9999-12-31T23:59:59", moment("9999-12-31T23:59:59")),
        ("timestamp[ns]", "2026-01-31T12:00:00.123456789", "2026-01-31T12:00:00.123456789"),
        ("timestamp[us]", moment("0001-01-01T00:00:00.000001"), moment("0001-01-01T00:00:00.000001")),
        ("binary", b"\xff", "/w=="),
        ("json", {"a": [1, None]}, '{"a":[1,null]}'),
        ("list<int8>", [1, None, 2], [1, None, 2]),
        ("list<list<string>>", [["a"], []], [["a"], []]),
        ("struct<a: int8, 'b c': list<date>>", {"b c": ["2026-01-31"]}, {"a": None, "b c": [date(2026, 1, 31)]}),
        ("map<double>", {"x": 1.5, "y": None}, {"x": 1.5, "y": None}),
    ],
)  # fmt: skip
def test_a_value_reads_back_as_it_was(kind: str, value: Any, expected: Any) -> None:
    found = round_trip(value, kind)

    assert (found, repr(found)) == (expected, repr(expected))


@pytest.mark.parametrize(
    "kind", ["string", "int8", "decimal(3,1)", "list<int8>", "struct<a: int8>", "map<int8>"]
)
def test_what_is_null_or_missing_is_null(kind: str) -> None:
    assert read_back(written([{"a": None}, {}], {"a": kind})) == [{"a": None}, {"a": None}]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("int64", 1.5),
        ("int64", 1.0),
        ("int64", "1"),
        ("int64", True),
        ("int64", 2**63),
        ("int8", 128),
        ("uint8", -1),
        ("string", 1),
        ("string", "\ud800"),
        ("bool", 1),
        ("bool", "true"),
        ("double", "0.1"),
        ("double", True),
        ("double", 2**53 + 1),
        ("double", 10**400),
        ("double", Decimal("sNaN")),
        ("double", Decimal("0.12345678901234567890")),
        ("float", 0.123456789),
        ("float", 16777217),
        ("float", 1e39),
        ("decimal(4, 2)", Decimal("1.005")),
        ("decimal(4, 2)", 100),
        ("decimal(4, 2)", math.nan),
        ("decimal(4, 2)", "1.00"),
        ("date", datetime(2026, 1, 31, tzinfo=UTC)),
        ("date", "2026-02-30"),
        ("date", "31.01.2026"),
        ("timestamp[ms, UTC]", "2026-01-31T12:00:00"),
        ("timestamp[ms]", "2026-01-31T12:00:00Z"),
        ("timestamp[ms]", "2026-01-31T12:00:00.0001"),
        ("timestamp[ns]", "9999-12-31T00:00:00"),
        ("timestamp[ms]", 1_700_000_000_000),
        ("timestamp[ms]", "2026-13-31T12:00:00"),
        ("binary", "text"),
        ("json", {1j}),
        ("json", math.nan),
        ("list<int8>", 1),
        ("list<int8>", "ab"),
        ("list<int8>", [1, "2"]),
        ("struct<a: int8>", [1]),
        ("struct<a: int8>", {"a": 1, "b": 2}),
        ("struct<a: int8>", {"a": "1"}),
        ("map<int8>", {1: 1}),
    ],
)
def test_a_value_that_the_type_does_not_hold_is_refused(kind: str, value: Any) -> None:
    assert "record 1, column 'a': " in refusal(value, kind)


def test_a_refused_record_leaves_the_file_as_it_was() -> None:
    file = io.BytesIO()

    with ParquetWriter(schema={"a": "int8", "b": "string"}).write(file) as writer:
        writer.write({"a": 1, "b": "x"})
        with pytest.raises(FormatError):
            writer.write({"a": 2, "b": 3})
        with pytest.raises(FormatError, match="no column 'c'"):
            writer.write({"a": 2, "c": 3})
        writer.write({"a": 4})

    assert read_back(file.getvalue()) == [{"a": 1, "b": "x"}, {"a": 4, "b": None}]


def test_keys_that_are_no_columns_are_left_out_when_told() -> None:
    assert read_back(written([{"a": 1, "b": 2}], {"a": "int8"}, extra="ignore")) == [{"a": 1}]


@pytest.mark.parametrize("compression", ["zstd", "snappy", "gzip", "none"])
def test_a_file_of_no_records_is_a_whole_one(compression: str) -> None:
    content = written([], {"a": "int8", "b": "list<string>"}, compression=compression)

    assert read_back(content) == []
    assert pq.ParquetFile(io.BytesIO(content)).schema_arrow.names == ["a", "b"]


def test_row_groups_end_where_they_are_told_to() -> None:
    content = written(({"a": n} for n in range(2500)), {"a": "int64"}, row_group_rows=1100)

    metadata = pq.ParquetFile(io.BytesIO(content)).metadata

    assert [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)] == [1100, 1100, 300]
    assert [record["a"] for record in read_back(content)] == list(range(2500))


def test_closing_twice_is_no_fault_and_nothing_is_added_afterwards() -> None:
    file = io.BytesIO()
    writer = ParquetWriter(schema={"a": "int8"}).write(file)
    writer.close()
    size = file.tell()

    writer.close()
    with pytest.raises(FormatError, match="closed"):
        writer.write({"a": 1})

    assert file.tell() == size


def test_a_file_whose_writing_fails_never_passes_for_a_whole_one() -> None:
    def broken() -> Iterator[dict[str, int]]:
        yield {"a": 1}
        raise RuntimeError

    file = io.BytesIO()
    with pytest.raises(RuntimeError):
        write_all(broken(), ParquetWriter(schema={"a": "int8"}, row_group_rows=1), file)
    gc.collect()

    assert file.getvalue().startswith(b"PAR1")
    assert not file.getvalue().endswith(b"PAR1") or len(file.getvalue()) == 4


def test_a_stream_that_takes_no_more_is_told_and_left_alone() -> None:
    class Full(io.BytesIO):
        left = 300

        def write(self, data: Any) -> int:
            self.left -= len(data)
            if self.left < 0:
                raise OSError(28, "No space left on device")
            return super().write(data)

    file = Full()
    writer = ParquetWriter(schema={"a": "string"}, compression="none").write(file)
    writer.write({"a": "x" * 1000})

    with pytest.raises(OSError, match="No space left"):
        writer.close()
    size = file.tell()
    file.left = 1 << 20
    del writer
    gc.collect()

    assert file.tell() == size


@pytest.mark.parametrize(
    "text",
    ["", "text", "int65", "decimal", "decimal(0)", "decimal(77)", "decimal(2, 3)", "decimal(a)", "timestamp",
     "timestamp[m]", "timestamp[ms, CET]", "list", "list<", "list<int8", "list<int8>>", "struct<a>", "struct<a:>",
     "struct<a: int8, a: int8>", "struct<>", "map<string, >", "int8 int8", "list<" * 40 + "int8" + ">" * 40, "é"],
)  # fmt: skip
def test_a_type_that_is_none_is_told_with_its_column(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"schema\.a: "):
        ParquetWriter(schema={"a": text, "b": "int8"})


def test_every_option_that_can_not_be_used_is_told() -> None:
    with pytest.raises(ConfigurationError) as caught:
        ParquetWriter(schema={}, compression="lzo", row_group_rows=0, extra="drop")  # type: ignore[arg-type]

    assert len(caught.value.problems) == 4


def test_memory_does_not_grow_with_the_file() -> None:
    class Nowhere(io.BytesIO):
        def write(self, data: Any) -> int:
            return len(data)

    def peak(records: int) -> int:
        tracemalloc.start()
        with ParquetWriter(schema={"a": "string", "b": "int64"}, row_group_rows=2000).write(
            Nowhere()
        ) as writer:
            for number in range(records):
                writer.write({"a": f"SKU{number}", "b": number})
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(100)

    assert peak(16_000) < peak(6_000) * 1.5
