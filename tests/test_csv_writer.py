"""CSV out: what each value is written as, what is refused, and that everything reads back."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import IntEnum, StrEnum
from typing import Any
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fc_connect.errors import ConfigurationError, FormatError
from fc_connect.formats import open_format, open_writer


def written(records: Sequence[Mapping[str, Any]], **options: Any) -> bytes:
    stream = io.BytesIO()
    with open_writer("csv", **options).write(stream) as file:
        for record in records:
            file.write(record)
    return stream.getvalue()


def cell(value: Any, **options: Any) -> str:
    """Return what a value is written as, between two others."""
    options = {"quote": "all", "header": False, **options}
    line = written([{"a": 1, "b": value, "c": 2}], columns=["a", "b", "c"], **options).decode()
    assert line.startswith('"1","')
    assert line.endswith('","2"\r\n')
    return line[5:-7].replace('""', '"')


# Files


def test_columns_come_from_the_configuration_whatever_the_first_record_has() -> None:
    records: list[dict[str, Any]] = [{"qty": 1}, {"sku": "A", "qty": 2}, {}]

    assert written(records, columns=["sku", "qty"]) == b"sku,qty\r\n,1\r\nA,2\r\n,\r\n"


def test_a_column_may_be_a_value_further_down() -> None:
    columns = {"order": "ref", "city": "address.city", "country": "address.country.code"}
    records: list[dict[str, Any]] = [{"ref": "1", "address": {"city": "Bern"}}, {"ref": "2", "address": None}]

    assert written(records, columns=columns) == b"order,city,country\r\n1,Bern,\r\n2,,\r\n"


def test_a_key_with_a_dot_is_a_column_as_it_stands() -> None:
    assert written([{"a.b": 1}], columns=["a.b"]) == b"a.b\r\n1\r\n"


def test_a_file_without_records_has_its_header() -> None:
    assert written([], columns=["a", "b"]) == b"a,b\r\n"
    assert written([], columns=["a"], header=False) == b""


def test_dialects() -> None:
    options: dict[str, Any] = {"delimiter": ";", "quotechar": "'", "line_end": "\n", "encoding": "cp1252"}

    assert written([{"a": 1, "b": 2}], columns=["a", "b"], delimiter="\\t") == b"a\tb\r\n1\t2\r\n"
    assert written([{"a": "é;", "b": "it's"}], columns=["a", "b"], **options) == b"a;b\n'\xe9;';'it''s'\n"


@pytest.mark.parametrize("line_end", ["\r\n", "\n"])
@pytest.mark.parametrize("text", ["x\ry", "x\ny", 'x"y', "x,y"])
def test_whatever_needs_quotes_has_them(text: str, line_end: str) -> None:
    data = written([{"a": text}], columns=["a"], line_end=line_end, header=False).decode()

    assert data == '"' + text.replace('"', '""') + '"' + line_end


@pytest.mark.parametrize(
    ("options", "mark"),
    [
        ({}, b""),
        ({"bom": True}, b"\xef\xbb\xbf"),
        ({"encoding": "utf-8-sig"}, b"\xef\xbb\xbf"),
        ({"encoding": "utf-16", "bom": True}, "\ufeff".encode("utf-16-le")),
        ({"encoding": "utf-16-be", "bom": True}, b"\xfe\xff"),
    ],
)
def test_a_byte_order_mark_is_written_once(options: dict[str, Any], mark: bytes) -> None:
    data = written([{"a": "é"}] * 2, columns=["a"], **options)

    encoding = {"utf-16": "utf-16-le"}.get(options.get("encoding", ""), options.get("encoding", "utf-8"))
    assert data == mark + "a\r\né\r\né\r\n".encode(encoding.removesuffix("-sig"))


def test_records_go_out_as_they_come() -> None:
    stream = io.BytesIO()
    file = open_writer("csv", columns=["a"]).write(stream)

    for _ in range(10):
        file.write({"a": "x" * 100_000})

    assert len(stream.getvalue()) > 900_000
    file.close()
    file.close()
    assert len(stream.getvalue()) == 1_000_023
    with pytest.raises(ValueError, match="closed"):
        file.write({"a": 1})


def test_a_file_is_not_finished_where_the_body_fails() -> None:
    stream = io.BytesIO()

    with suppress(FormatError), open_writer("csv", columns=["a"]).write(stream) as file:
        file.write({"a": 1})
        file.write({"a": b""})

    assert stream.getvalue() == b""


# Values


class Colour(StrEnum):
    RED = "red"


class Level(IntEnum):
    HIGH = 3


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        ("", ""),
        (" 00123 ", " 00123 "),
        (True, "true"),
        (False, "false"),
        (-5, "-5"),
        (10**30, "1" + "0" * 30),
        (Level.HIGH, "3"),
        (0.1, "0.1"),
        (-1e300, "-1e+300"),
        (Decimal("1E+3"), "1000"),
        (Decimal("-0.00000001"), "-0.00000001"),
        (Decimal("1.50"), "1.50"),
        (Colour.RED, "red"),
        (date(2026, 1, 31), "2026-01-31"),
        (time(12, 30), "12:30:00"),
        (datetime(2026, 1, 31, 12, tzinfo=UTC), "2026-01-31T12:00:00Z"),
        (datetime(2026, 1, 31, 12, 0, 0, 500, tzinfo=timezone(timedelta(hours=2))), "2026-01-31T12:00:00.000500+02:00"),
        (UUID(int=7), "00000000-0000-0000-0000-000000000007"),
        ({"a": [1, "é", None, {"b": True}]}, '{"a":[1,"é",null,{"b":true}]}'),
        ([Decimal("1.50"), 10**20, date(2026, 1, 1), 0.5], '[1.50,100000000000000000000,"2026-01-01",0.5]'),
        ([], "[]"),
    ],
)  # fmt: skip
def test_a_value_is_written_in_full(value: Any, text: str) -> None:
    assert cell(value) == text


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (float("nan"), "is nan, which is no number"),
        (float("-inf"), "is -inf, which is no number"),
        (Decimal("NaN"), "no number"),
        (Decimal("1E+999999"), "thousands of digits"),
        (Decimal("1E-999999"), "thousands of digits"),
        ([1 << 20_000], "thousands of digits"),
        (b"bytes", "is of type bytes, which has no text"),
        ({1, 2}, "is of type set"),
        ({"x": float("inf")}, "is inf, which is no number"),
        ({1: 2}, "key 1, which isn't text"),
        ("a\0b", "a NUL character"),
        ("\ud800", "can't hold"),
        (["\ud800"], "can't hold"),
    ],
)
def test_a_value_without_a_text_is_refused_with_its_column(value: Any, words: str) -> None:
    with pytest.raises(FormatError, match=f"^column 'b': .*{words}"):
        cell(value)


def test_a_record_that_is_refused_leaves_nothing_behind() -> None:
    stream = io.BytesIO()

    with open_writer("csv", columns=["a", "b"], encoding="iso2022_jp").write(stream) as file:
        file.write({"a": "漢"})
        for wrong in ({"a": "漢", "b": "é"}, {"a": "x", "b": b""}, {"c": 1}):
            with pytest.raises(FormatError):
                file.write(wrong)
        file.write({"a": "字"})

    assert stream.getvalue().decode("iso2022_jp") == "a,b\r\n漢,\r\n字,\r\n"


def test_characters_that_the_encoding_lacks_are_never_replaced() -> None:
    with pytest.raises(
        FormatError, match=r"column 'b': holds '漢', which cp1252 can't hold: `encoding: utf-8` can"
    ):
        cell("漢", encoding="cp1252")


def test_characters_are_not_written_as_others_that_look_alike() -> None:
    with pytest.raises(FormatError, match="column 'b': holds '¥', which shift_jis can't hold"):
        cell("100¥", encoding="shift_jis")


def test_a_column_whose_name_the_encoding_lacks_is_refused() -> None:
    with pytest.raises(FormatError, match="column '漢': holds '漢'"):
        written([], columns=["漢"], encoding="cp1252")


def test_what_is_nested_too_deeply_is_refused() -> None:
    value: list[Any] = []
    value.append(value)

    with pytest.raises(FormatError, match="column 'b': is nested too deeply"):
        cell(value)


def test_a_path_through_something_else_than_an_object_is_refused() -> None:
    with pytest.raises(FormatError, match="column 'city': expected an object to read 'city' of, not str"):
        written([{"address": "Bern"}], columns={"city": "address.city"})


def test_keys_that_no_column_reads_are_refused_unless_they_may_be_ignored() -> None:
    with pytest.raises(
        FormatError, match=r"no column reads 'b', 'c': name columns for them, or `extra: ignore`"
    ):
        written([{"a": 1, "c": 2, "b": 3}], columns=["a"])

    assert written([{"a": 1, "c": 2}], columns=["a"], extra="ignore") == b"a\r\n1\r\n"


def test_none_may_have_a_text_that_nothing_else_has() -> None:
    assert cell(None, null="\\N") == "\\N"
    assert cell("", null="\\N") == ""
    for value in ("\\N", -1):
        with pytest.raises(FormatError, match="stands for no value"):
            cell(value, null=str(value))


def test_lists_of_plain_values_may_be_joined() -> None:
    assert cell(["x", 1, True], lists="; ") == "x; 1; true"
    assert cell(["=1+1", "x"], lists="; ") == "'=1+1; x"
    refused: list[list[Any]] = [["a; b"], ["a", ""], [None], [["a"]], [{}]]
    for wrong in refused:
        with pytest.raises(FormatError, match="column 'b'"):
            cell(wrong, lists="; ")


def test_objects_and_lists_may_be_refused() -> None:
    with pytest.raises(FormatError, match="is an object: `nested: json` writes it"):
        cell({}, nested="refuse")
    with pytest.raises(FormatError, match="is a list"):
        cell([1], nested="refuse")
    assert cell([1, 2], nested="refuse", lists="|") == "1|2"


# Formulas


@pytest.mark.parametrize(
    "text",
    ["=1+1", '=x("y")', "+49 30 1234", "-", "-x", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", "＠x", "-1+2", "-1\n"],
)  # fmt: skip
def test_what_a_spreadsheet_would_run_is_kept_from_it(text: str) -> None:
    assert cell(text) == f"'{text}"
    assert cell(text, formula_guard=False) == text


@pytest.mark.parametrize(
    "text", ["-5", "+49301234", "-.5", "-1.50", "+1e3", "x=1", "'=1", " =1", "a@b.c", "12-3"]
)
def test_plain_numbers_and_texts_are_left_alone(text: str) -> None:
    assert cell(text) == text


def test_numbers_are_no_formulas() -> None:
    assert cell(-5) == "-5"
    assert cell(Decimal("-1.5")) == "-1.5"


# Options


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"columns": []}, "columns: it names no column"),
        ({"columns": ["a", "a"]}, "columns: the same name"),
        ({"columns": ["a", " "]}, "columns: column 2 of 2 has no name"),
        ({"columns": {"a": "b..c"}}, "columns: 'a' has no path"),
        ({"delimiter": "||"}, "delimiter must be one character"),
        ({"delimiter": '"'}, "both"),
        ({"line_end": "\r"}, "line_end"),
        ({"quote": "none"}, "quote must be"),
        ({"nested": "flat"}, "nested must be"),
        ({"extra": "keep"}, "extra must be"),
        ({"lists": ""}, "lists"),
        ({"null": "\0"}, "null"),
        ({"encoding": "utf-9"}, "encoding"),
        ({"encoding": "cp1252", "bom": True}, "cp1252 has no byte order mark"),
    ],
)
def test_options_that_cannot_be_used_are_refused(options: dict[str, Any], word: str) -> None:
    with pytest.raises(ConfigurationError, match=word):
        open_writer("csv", **{"columns": ["a"], **options})


# Back again

TEXTS = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]) | st.sampled_from('",;\n\r\t \ufeff='),
    max_size=8,
)


@given(
    st.integers(1, 3).flatmap(
        lambda width: st.lists(st.lists(TEXTS, min_size=width, max_size=width), max_size=5)
    ),
    st.sampled_from(["\r\n", "\n"]),
    st.sampled_from(["minimal", "all"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32", "gb18030"]),
    st.sampled_from([",", ";", "\t", " "]),
)
@example([[""], [" "], ["\r"]], "\n", "minimal", "utf-8", ",")
def test_every_text_reads_back_as_it_was(
    table: list[list[str]], line_end: str, quote: str, encoding: str, delimiter: str
) -> None:
    names = [f"c{number}" for number in range(len(table[0]) if table else 1)]
    records = [dict(zip(names, row, strict=True)) for row in table]

    shared = {"encoding": encoding, "delimiter": delimiter}

    data = written(records, columns=names, line_end=line_end, quote=quote, formula_guard=False, **shared)

    assert list(open_format("csv", **shared).read(io.BytesIO(data), path="x.csv")) == table
