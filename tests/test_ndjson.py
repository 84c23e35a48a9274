"""NDJSON: a bad line is a reject with its place, and the rest goes on."""

from __future__ import annotations

import io
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fc_connect.errors import ConfigurationError, ParseError
from fc_connect.formats import BadRecord, Place, open_format
from fc_connect.formats.ndjson import NDJSONFormat, NDJSONRecords

CORPUS = Path(__file__).parents[2] / "shared" / "corpora" / "json-test-suite" / "test_parsing"


def reading(content: bytes | str, **options: Any) -> NDJSONRecords:
    data = content.encode() if isinstance(content, str) else content
    return NDJSONFormat(**options).read(io.BytesIO(data), path="stock.jsonl")


def lines_of(content: bytes | str, **options: Any) -> list[tuple[int, Any]]:
    records = reading(content, **options)
    return [(records.position, record) for record in records]


def bad_of(content: bytes | str, **options: Any) -> list[BadRecord]:
    return [record for _, record in lines_of(content, **options) if isinstance(record, BadRecord)]


def test_each_line_is_a_record() -> None:
    assert lines_of('{"a": 1}\n{"a": 1.10, "b": {"c": [null]}}\r\n{"a": 12345678901234567890}') == [
        (1, {"a": 1}),
        (2, {"a": Decimal("1.10"), "b": {"c": [None]}}),
        (3, {"a": 12345678901234567890}),
    ]


@pytest.mark.parametrize("content", ["", "\n", "\r\n \t\n"])
def test_a_file_without_records_is_no_fault(content: str) -> None:
    assert lines_of(content) == []


def test_blank_lines_are_left_out_and_counted() -> None:
    assert lines_of('\n{"a": 1}\n\r\n  \n{"a": 2}\n\n') == [(2, {"a": 1}), (5, {"a": 2})]


def test_blank_lines_are_bad_records_where_that_is_wanted() -> None:
    assert lines_of('{"a": 1}\n\n', skip_blank_lines=False) == [
        (1, {"a": 1}),
        (2, BadRecord(place=Place(line=2, byte=9), reason="is blank", raw="")),
    ]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{bad}", "isn't JSON: expecting property name enclosed in double quotes, at 'b' (column 2)"),
        ('{"é": nope}', "isn't JSON: expecting value, at 'n' (column 7)"),
        ('{"a": 1', "isn't JSON: it ends too early (column 8)"),
        ('{"a": 1} {"b": 2}', "isn't JSON: extra data, at '{' (column 10)"),
        ('{"a": 1},', "isn't JSON: extra data, at ',' (column 9)"),
        ('{"a": NaN}', "isn't JSON: JSON has no number NaN (column 7)"),
        ('{"a": 1, "a": 2}', "has the key 'a' twice in one object"),
        ('{"a": "\\udead"}', "has text with half a surrogate pair (\\udead), which is no character"),
        ("[1]", "is an array, not an object"),
        ("5", "is a number, not an object"),
        ("null", "is null, not an object"),
        (
            '{"a": ' + "[" * 100 + "]" * 100 + "}",
            "is nested deeper than 100 levels: raise the format's max_depth if",
        ),
        ("[" * 100_000, "is nested deeper than 100 levels: raise the format's max_depth if"),
    ],
)
def test_a_bad_line_is_told_and_the_rest_goes_on(line: str, reason: str) -> None:
    (_, first), (_, bad), (_, last) = lines_of(f'{{"first": 1}}\n{line}\n{{"last": 3}}\n')

    assert (first, last) == ({"first": 1}, {"last": 3})
    assert bad.place == Place(line=2, byte=13)
    assert bad.reason.startswith(reason)
    assert bad.raw == line[:1000]


def test_bytes_that_are_not_utf8_spoil_one_line() -> None:
    first, bad, last = (record for _, record in lines_of(b'{"a": 1}\n{"a": "\xe9"}\n{"a": 2}\n'))

    assert (first, last) == ({"a": 1}, {"a": 2})
    assert bad.reason == "isn't JSON: byte 0xe9 isn't UTF-8 (invalid continuation byte) (column 8)"


def test_values_may_not_span_lines() -> None:
    # Joined by commas these would be two fine records.
    assert len(bad_of('{"a": [1\n2]}, {"b": 1}\n')) == 2


def test_a_carriage_return_alone_ends_no_line() -> None:
    assert len(bad_of('{"a": 1}\r{"a": 2}\n')) == 1


def test_a_line_beyond_the_limit_is_told_and_the_rest_goes_on() -> None:
    long = '{"a": "' + "x" * 300_000 + '"}'

    found = lines_of(f'{{"n": 1}}\n{long}\n{{"n": 2}}\n{long}', max_record_bytes=1000)

    assert [record for _, record in found if isinstance(record, dict)] == [{"n": 1}, {"n": 2}]
    assert [(line, record.place.byte) for line, record in found if isinstance(record, BadRecord)] == [
        (2, 9),
        (4, 9 + 300_010 + 9),
    ]
    assert "has more than 1,000 bytes" in bad_of(long, max_record_bytes=1000)[0].reason
    assert bad_of(long) == []


@pytest.mark.parametrize("size", [65_534, 65_535, 65_536, 65_537, 131_072])
def test_lines_may_end_anywhere_in_a_block(size: int) -> None:
    first = '{"a": "' + "x" * (size - 9) + '"}'
    content = f'{first}\n{{"n": 1}}\n{{"n": 2}}'
    records = reading(content)

    places = [(record, records.place()) for record in records]

    assert [place.byte for _, place in places] == [0, size + 1, size + 10]
    assert [place.line for _, place in places] == [1, 2, 3]
    assert places[2][0] == {"n": 2}


def test_a_mark_is_left_out_and_one_that_contradicts_the_encoding_is_an_error() -> None:
    records = reading(b'\xef\xbb\xbf{"a": 1}\n{"a": 2}\n')

    assert [(records.place().byte, record) for record in records] == [(3, {"a": 1}), (12, {"a": 2})]
    with pytest.raises(ParseError, match="byte order mark of utf-16"):
        lines_of('{"a": 1}\n'.encode("utf-16"))


def test_other_encodings_are_read_where_they_are_named() -> None:
    records = reading('{"a": "é"}\n{"a": "ü"}'.encode("utf-16"), encoding="utf-16")

    assert [(records.place(), record) for record in records] == [
        (Place(line=1), {"a": "é"}),
        (Place(line=2), {"a": "ü"}),
    ]


def test_it_is_also_called_jsonl() -> None:
    assert isinstance(open_format("jsonl"), NDJSONFormat)


def test_every_option_that_cannot_be_used_is_named() -> None:
    with pytest.raises(ConfigurationError) as caught:
        NDJSONFormat(encoding="klingon", max_depth=501, max_record_bytes=0)

    for name in ("encoding", "max_depth", "max_record_bytes"):
        assert name in str(caught.value)


@pytest.mark.skipif(not CORPUS.exists(), reason="../shared/corpora/json-test-suite isn't here")
def test_the_public_corpus_is_taken_or_refused_line_by_line() -> None:
    for file in sorted(CORPUS.iterdir()):
        content = file.read_bytes()
        if content.startswith((b"\xff\xfe", b"\xfe\xff")):
            continue  # the mark of another encoding
        found = lines_of(content)
        wrong = [record.reason for _, record in found if isinstance(record, BadRecord)]
        if file.name.startswith("n_") and content.strip(b"\xef\xbb\xbf \n"):
            assert any("not an object" not in reason for reason in wrong), file.name
        if file.name.startswith("y_") and b"\n" not in content.strip():
            assert all("not an object" in reason or "twice" in reason for reason in wrong), file.name
