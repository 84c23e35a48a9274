"""JSON: where the records are, what their values are, what is refused, and where."""

from __future__ import annotations

import io
import json
import tracemalloc
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fc_connect.errors import ConfigurationError, ParseError
from fc_connect.formats import BadRecord, Place, open_format
from fc_connect.formats.json import JSONFormat, JSONRecords
from fc_connect.formats.text import BLOCK_BYTES

CORPUS = Path(__file__).parents[2] / "shared" / "corpora" / "json-test-suite" / "test_parsing"


def reading(content: bytes | str, **options: Any) -> JSONRecords:
    data = content.encode() if isinstance(content, str) else content
    return JSONFormat(**options).read(io.BytesIO(data), path="stock.json")


def records_of(content: bytes | str, **options: Any) -> list[Any]:
    return list(reading(content, **options))


def fault_of(content: bytes | str, **options: Any) -> ParseError:
    with pytest.raises(ParseError) as caught:
        records_of(content, **options)
    return caught.value


def bad_of(content: bytes | str, **options: Any) -> BadRecord:
    (bad,) = [record for record in records_of(content, **options) if isinstance(record, BadRecord)]
    return bad


# Where the records are


def test_the_elements_of_an_array_are_the_records() -> None:
    assert records_of('[{"sku": "A", "qty": 1},\n {"sku": "B", "qty": null}]\n') == [
        {"sku": "A", "qty": 1},
        {"sku": "B", "qty": None},
    ]


@pytest.mark.parametrize("content", ["[]", " [ \n ] \n"])
def test_an_empty_array_has_no_records(content: str) -> None:
    assert records_of(content) == []


def test_the_array_may_be_further_down() -> None:
    content = '{"n": [1, {"x": "}"}], "data": {"a b": {"x": [{"i": 1}, {"i": 2}], "y": 0}}, "end": "\\u00e9"}'

    assert records_of(content, records="$.data['a b'].x[*]") == [{"i": 1}, {"i": 2}]


def test_a_record_may_be_a_part_of_each_element() -> None:
    content = '{"edges": [{"node": {"i": 1}}, {"cursor": "c"}, {"node": 5}, {"node": {"i": 2}}]}'
    records = reading(content, records="$.edges[*].node")

    found = [(records.place(), record) for record in records]

    assert [record for _, record in found if not isinstance(record, BadRecord)] == [{"i": 1}, {"i": 2}]
    assert [
        (record.place, record.reason, record.raw) for _, record in found if isinstance(record, BadRecord)
    ] == [
        (Place(line=1, record=2, byte=31), "has no 'node' where records are", '{"cursor": "c"}'),
        (Place(line=1, record=3, byte=48), "is a number, not an object", '{"node": 5}'),
    ]


def test_arrays_within_arrays_are_numbered_through() -> None:
    content = (
        '{"orders": [{"lines": [{"n": 1}, {"n": 2}]}, {"lines": []}, {"lines": {}}, {"lines": [{"n": 3}]}]}'
    )
    records = reading(content, records="$.orders[*].lines[*]")

    found = [(records.position, record) for record in records]

    assert [number for number, _ in found] == [1, 2, 3, 4]
    assert [record for _, record in found if not isinstance(record, BadRecord)] == [
        {"n": 1},
        {"n": 2},
        {"n": 3},
    ]
    assert isinstance(found[2][1], BadRecord)
    assert found[2][1].reason == "has no array where records are"


def test_a_whole_document_may_be_one_record() -> None:
    assert records_of(' {"a": {"b": [1]}}\n', records="$") == [{"a": {"b": [1]}}]
    assert records_of('{"order": {"ref": "O1"}, "z": 1}', records="$.order") == [{"ref": "O1"}]


def test_an_array_that_is_to_be_one_record_is_told() -> None:
    assert bad_of("[1]", records="$").reason == (
        "is an array, not an object: for its elements, set the format's records to $[*]"
    )


@pytest.mark.parametrize(
    ("content", "path", "told"),
    [
        ('{"a": 1}', "$[*]", "$ isn't an array: set the format's records to $ if it is one record"),
        ('{"a": {"b": 1}}', "$.a.c[*]", "$.a has no key 'c', where the format's records are: it has 'b'"),
        ('{"a": {}}', "$.a.c[*]", "$.a has no key 'c', where the format's records are: it has none"),
        ('{"a": {"b": 1}}', "$.a.b[*]", "$.a.b isn't an array"),
        ('{"a": [1]}', "$.a.b[*]", "$.a isn't an object, where the format's records ask for its key 'b'"),
        ("", "$[*]", "is empty: expected JSON"),
        (" \n ", "$.a[*]", "is empty: expected JSON"),
    ],
)
def test_records_that_are_not_where_they_should_be_are_an_error(content: str, path: str, told: str) -> None:
    assert told in str(fault_of(content, records=path))


@pytest.mark.parametrize(
    "path", ["", "a", "$a", "$.", "$..a", "$[0]", "$[1:2]", "$[?@.a]", "$.a[*", "$.*", "$ "]
)
def test_a_path_that_cannot_be_streamed_is_refused_with_what_can(path: str) -> None:
    with pytest.raises(ConfigurationError, match=r"Possible are \$ .*\$\.data\.items\[\*\]"):
        JSONFormat(records=path)


def test_every_option_that_cannot_be_used_is_named() -> None:
    with pytest.raises(ConfigurationError) as caught:
        JSONFormat(records="x", encoding="klingon", max_depth=0, max_record_bytes=0)

    for name in ("records", "encoding", "max_depth", "max_record_bytes"):
        assert name in str(caught.value)


# The rest of the file


@pytest.mark.parametrize(
    ("content", "line", "column", "told"),
    [
        ('[{"a": 1}', 1, 10, "the end of the file where ']' is expected"),
        ('[{"a": 1},\n', 2, 1, "the end of the file where a value is expected"),
        ('[{"a": 1},\n{"b"', 2, 1, "the file ends within what begins here"),
        ('[{"a": 1},\n{"b": 1, "c" 2', 2, 14, "expecting ':' delimiter"),
        ('[{"a": 1},]', 1, 11, "']' where a value is expected"),
        ('[{"a": 1} {"b": 1}]', 1, 11, "'{' where ']' is expected"),
        ('[{"a": 1}] x', 1, 12, "'x' after the end of the document"),
        ('[{"é": 1}, {"é": nope}]', 1, 18, "expecting value"),
        ('[{"a": 1},\n  {"b": 01}]', 2, 10, "expecting ',' delimiter"),
        ('[{"a": 1}, {"a": NaN}]', 1, 18, "JSON has no number NaN"),
        ('[{"a": "NaN", "b": -Infinity}]', 1, 20, "JSON has no number -Infinity"),
        ("[{'a': 1}]", 1, 3, "property name enclosed in double quotes"),
        ('[{"a": "x\ty"}]', 1, 10, "invalid control character"),
        ('[{"a": 1 // c\n}]', 1, 10, "expecting ',' delimiter"),
        ('[{"a": 1]]', 1, 9, "expecting ',' delimiter"),
    ],
)
def test_text_that_is_not_json_is_an_error_with_its_place(
    content: str, line: int, column: int, told: str
) -> None:
    fault = fault_of(content)

    assert (fault.path, fault.line, fault.column) == ("stock.json", line, column)
    assert told in str(fault)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ('{"items": [{"a": 1}], "z": }', "'}' where a value is expected"),
        ('{"items": [{"a": 1}], "z": nul}', "expecting value"),
        ('{"items": [{"a": 1}], "z": {"x": [1, }}', "expecting value"),
        ('{"items": [{"a": 1}]', "the end of the file where '}' is expected"),
        ('{"items": [{"a": 1}], }', "'}' where a key in double quotes is expected"),
        ('{"items": [{"a": 1}], "items": []}', "the key 'items' is given twice"),
        ('{"x": 1, "x": 1, "items": []}', "the key 'x' is given twice"),
        ('{"items": []} {}', "'{' after the end of the document"),
        ("{items: []}", "'i' where a key in double quotes is expected"),
        ('{"items" []}', "'[' where ':' is expected"),
    ],
)
def test_what_is_around_the_array_must_be_json_too(content: str, told: str) -> None:
    assert told in str(fault_of(content, records="$.items[*]"))


def test_long_values_around_the_array_are_gone_over_and_judged() -> None:
    filler = ",".join(f'{{"n": {n}, "t": "{"x" * 90}"}}' for n in range(3000))
    content = '{{"before": {{"deep": [{0}]}}, "items": [{{"a": 1}}], "after": [{0}{1}]}}'

    assert records_of(content.format(filler, ""), records="$.items[*]") == [{"a": 1}]
    assert "',' where" not in str(fault_of(content.format(filler, ",[}"), records="$.items[*]"))


# Values


def test_numbers_are_exact() -> None:
    content = (
        '[{"a": 9007199254740993, "b": 12345678901234567890123, "c": 0.1, "d": 1.10, "e": 1e400, "f": -0.0}]'
    )

    (record,) = records_of(content)

    assert {key: str(value) for key, value in record.items()} == {
        "a": "9007199254740993",
        "b": "12345678901234567890123",
        "c": "0.1",
        "d": "1.10",
        "e": "1E+400",
        "f": "-0.0",
    }
    assert [type(value) for value in record.values()] == [int, int, Decimal, Decimal, Decimal, Decimal]


def test_twenty_digits_after_the_point_are_kept() -> None:
    assert records_of('[{"a": 0.12345678901234567890}]') == [{"a": Decimal("0.12345678901234567890")}]


def test_text_is_what_it_says() -> None:
    content = '[{"a": "caf\\u00e9 \\ud83e\\udde6 \\u0000 \\" \\/", "": "\u2028", "__proto__": {"x": 1}}]'

    assert records_of(content) == [{"a": 'café 🧦 \0 " /', "": "\u2028", "__proto__": {"x": 1}}]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ('{"a": 1, "a": 2}', "has the key 'a' twice in one object"),
        ('{"a": 1, "a": 1}', "has the key 'a' twice in one object"),
        ('{"a"  : ":", "\\u0061":":"}', "has the key 'a' twice in one object"),
        ('{"b": [{"x": {"a:": 1, "a\\u003a": "::"}}]}', "has the key 'a:' twice in one object"),
        ('{"a": "\\ud800"}', "has text with half a surrogate pair (\\ud800), which is no character"),
        ('{"\\udc00": 1}', "has text with half a surrogate pair (\\udc00), which is no character"),
        ('{"a": 1e401}', "has the number 1e401, beyond the 400 digits that are kept exactly"),
        ('{"a": 1e-999999999}', "has the number 1e-999999999, beyond the 400 digits that are kept exactly"),
        (f'{{"a": {"1" * 4301}}}', "has a whole number of 4,301 digits, too many to be one"),
        ("[1, 2]", "is an array, not an object"),
        ('"text"', "is a text, not an object"),
        ("1.5", "is a number, not an object"),
        ("null", "is null, not an object"),
        ("true", "is true, not an object"),
        (
            f'{{"a": {"[" * 100}{"]" * 100}}}',
            "is nested deeper than 100 levels: raise the format's max_depth if",
        ),
    ],
)
def test_a_record_that_is_none_is_a_bad_one_and_the_rest_goes_on(record: str, reason: str) -> None:
    content = f'[{{"first": {{"n": 1}}}},\n\n  {record} , {{"last": 3}}]'

    first, bad, last = records_of(content)

    assert (first, last) == ({"first": {"n": 1}}, {"last": 3})
    assert bad.place == Place(record=2, line=3, byte=25)
    assert bad.reason.startswith(reason)
    assert bad.raw == record[:1000]


def test_depth_is_counted_without_brackets_in_text() -> None:
    deep, text = '{"a": ' * 3 + "1" + "}" * 3, json.dumps({"a": "[{" * 200})

    assert records_of(f"[{deep}, {text}]", max_depth=3) == [{"a": {"a": {"a": 1}}}, {"a": "[{" * 200}]
    assert bad_of(f"[{deep}]", max_depth=2).reason.startswith("is nested deeper than 2 levels")


@pytest.mark.parametrize("opened", ["[", '{"a":', '[{"a":'])
def test_brackets_without_end_are_an_error_at_any_depth(opened: str) -> None:
    assert fault_of("[" + opened * 100_000).line == 1
    assert fault_of('{"other": ' + opened * 100_000, records="$.items[*]").line == 1


# Places


def test_a_place_is_number_line_and_byte() -> None:
    records = reading('\n[\n  {"é": 1},\n\n  {"b": [{}, {}]}\n,{"c": 2}]')

    places = [(records.position, records.place()) for _ in records]

    assert places == [
        (1, Place(record=1, line=3, byte=5)),
        (2, Place(record=2, line=5, byte=19)),
        (3, Place(record=3, line=6, byte=36)),
    ]
    assert str(records.place()) == "record 3, line 6"


def test_places_are_right_wherever_blocks_are_cut() -> None:
    texts = [
        json.dumps({"n": n, "t": "x}{" * (n % 50), "l": [{"m": n}] * (n % 3)}, indent=n % 2)
        for n in range(5000)
    ]
    content = ("[" + ",\n".join(texts) + "]").encode()
    assert len(content) > 5 * BLOCK_BYTES

    records = reading(content)

    for number, record in enumerate(records):
        assert record["n"] == number
        if number % 17 == 0:
            place = records.place()
            assert place.byte is not None
            assert content.startswith(texts[number].encode(), place.byte)
            assert place.line == content.count(b"\n", 0, place.byte) + 1


def test_the_column_of_an_error_is_counted_through_a_long_line() -> None:
    content = "[" + '{"é": "é"},' * 20_000 + "oops]"

    fault = fault_of(content)

    assert (fault.line, fault.column) == (1, 1 + 11 * 20_000 + 1)


# Encodings


def test_a_byte_order_mark_is_left_out_and_counted() -> None:
    records = reading(b'\xef\xbb\xbf[{"a": 1}]')

    assert [(records.place().byte, record) for record in records] == [(4, {"a": 1})]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "cp1252"])
def test_other_encodings_are_read_where_they_are_named(encoding: str) -> None:
    content = "[" + ",\n".join('{"a": "é"}' for _ in range(20_000)) + "]"
    records = reading(content.encode(encoding), encoding=encoding)

    found = [record for record in records]  # noqa: C416 - the place below is that of the last

    assert found == [{"a": "é"}] * 20_000
    assert records.place() == Place(record=20_000, line=20_000)


def test_bytes_that_are_not_in_the_encoding_are_an_error_with_its_place() -> None:
    utf8 = fault_of(b'[{"a": 1},\n{"a": "\xe9"}]')
    utf16 = fault_of('[{"a": 1},\n{"a": "x"}]'.encode("utf-16-le")[:-1], encoding="utf-16-le")

    assert (utf8.line, utf8.column) == (2, 8)
    assert "byte 0xe9 isn't UTF-8" in str(utf8)
    assert (utf16.line, utf16.column) == (2, 11)


def test_a_mark_that_contradicts_the_encoding_is_an_error() -> None:
    with pytest.raises(ParseError, match="begins with the byte order mark of utf-16"):
        reading('[{"a": 1}]'.encode("utf-16"))


# Size


def test_a_record_of_many_blocks_is_read() -> None:
    long = {"a": ["x" * 1000] * 1000, "b": [{"c": "\\}"}] * 1000}

    assert records_of(json.dumps([long, {"z": 1}, long])) == [long, {"z": 1}, long]


def test_a_record_beyond_the_limit_is_an_error_that_says_how_to_raise_it() -> None:
    content = f'[{{"a": 1}}, {{"a": "{"x" * 2000}"}}]'

    fault = fault_of(content, max_record_bytes=1000)

    assert (fault.line, fault.column) == (1, 12)
    assert "raise the format's max_record_bytes" in str(fault)
    assert records_of(content, max_record_bytes=2100)[1] == {"a": "x" * 2000}


@pytest.mark.parametrize("text", ["}", "{", "}{", "]", "},{"])
def test_brackets_in_text_cost_little(text: str) -> None:
    # To look for the end of an object again after each one took the square of their number.
    content = [{"t": text, "n": n} for n in range(20_000)]

    assert records_of(json.dumps(content)) == content


def test_a_quote_that_is_not_closed_is_pointed_at() -> None:
    content = '[{"a": 1},\n{"a": "x, "b": 2},\n' + '{"a": 1},\n' * 1000 + "{}]"

    fault = fault_of(content, max_record_bytes=2000)

    assert (fault.line, fault.column) == (2, 12)


def test_memory_does_not_grow_with_the_file() -> None:
    class Endless(io.RawIOBase):
        """An array of 40 MB, made while it is read."""

        def __init__(self) -> None:
            super().__init__()
            self._pieces = self._made()
            self._rest = b""

        def _made(self) -> Iterator[bytes]:
            yield b"["
            for n in range(4000):
                yield b",".join(b'{"n": %d, "t": "%b"}' % (n, b"x" * 90) for _ in range(100)) + b","
            yield b"{}]"

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any, /) -> int:
            piece = self._rest or next(self._pieces, b"")
            piece, self._rest = piece[: len(buffer)], piece[len(buffer) :]
            buffer[: len(piece)] = piece
            return len(piece)

    tracemalloc.start()
    try:
        count = sum(1 for _ in open_format("json").read(io.BufferedReader(Endless(), 1 << 16), path="x.json"))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert count == 400_001
    assert peak < 4 << 20


# Public corpus: y_ must be taken, n_ refused, i_ either; the four differences are wanted.

TWICE = {"y_object_duplicated_key.json", "y_object_duplicated_key_and_value.json"}


@pytest.mark.skipif(not CORPUS.exists(), reason="../shared/corpora/json-test-suite isn't here")
def test_the_public_corpus_is_taken_or_refused_as_it_should_be() -> None:
    for file in sorted(CORPUS.iterdir()):
        content = file.read_bytes()
        wrapped = b"[" + content + b"]"
        judged = [_judged(content, records="$"), _judged(wrapped)]
        if file.name.startswith("n_"):
            # `1,2` is wrong alone, and right within brackets.
            assert not isinstance(judged[0], dict | list), file.name
        if file.name.startswith("y_") and file.name not in TWICE:
            value = json.loads(content, parse_float=Decimal)
            for found in judged:
                if isinstance(value, dict):
                    assert found == value, file.name
                else:
                    assert isinstance(found, BadRecord), file.name
                    assert "not an object" in found.reason


def _judged(content: bytes, **options: Any) -> Any:
    """Return the one record, or the error."""
    try:
        found = records_of(content, **options)
    except ParseError as exc:
        return exc if exc.line is not None else None
    return found[0] if len(found) == 1 else None
