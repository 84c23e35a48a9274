"""CSV: what is a record, what is a reject, what is refused, and where."""

from __future__ import annotations

import csv
import io
import random
import tracemalloc
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fc_connect.errors import ConfigurationError, ParseError
from fc_connect.formats import BadRecord, Place, open_format
from fc_connect.formats.csv import CSVFormat, CSVRecords
from fc_connect.formats.text import BLOCK_BYTES


def reading(content: bytes | str, **options: Any) -> CSVRecords:
    data = content.encode() if isinstance(content, str) else content
    return CSVFormat(**options).read(io.BytesIO(data), path="stock.csv")


def rows_of(content: bytes | str, **options: Any) -> list[Any]:
    return list(reading(content, **options))


def lines_and_rows(content: bytes | str, **options: Any) -> list[tuple[int, Any]]:
    records = reading(content, **options)
    return [(records.position, record) for record in records]


# Records


def test_the_first_line_names_the_columns() -> None:
    records = reading("sku,qty\nA,1\nB,2")

    assert records.columns == ("sku", "qty")
    assert records.position == 0
    assert list(records) == [["A", "1"], ["B", "2"]]


def test_values_are_never_changed() -> None:
    content = "a,b,c,d,e\n 00123 ,1.50,null,=1+1,\n\ttab\t,🧦,\xa0,\ufeff,'q'\n"

    assert rows_of(content) == [
        [" 00123 ", "1.50", "null", "=1+1", ""],
        ["\ttab\t", "🧦", "\xa0", "\ufeff", "'q'"],
    ]


def test_names_of_columns_are_trimmed() -> None:
    assert reading(" sku , quantity\n").columns == ("sku", "quantity")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_any_line_end_will_do(end: str) -> None:
    content = end.join(["sku,qty", "A,1", "B,2", ""])

    assert lines_and_rows(content) == [(2, ["A", "1"]), (3, ["B", "2"])]


def test_line_ends_may_be_mixed() -> None:
    assert lines_and_rows("sku,qty\r\nA,1\nB,2\rC,3\r\n") == [
        (2, ["A", "1"]),
        (3, ["B", "2"]),
        (4, ["C", "3"]),
    ]


def test_the_line_of_a_record_is_the_one_where_it_begins() -> None:
    content = 'sku,note\nA,"one\ntwo\r\nthree\rfour"\n\nB,x\n"C\n",y\nD\nE,z'

    assert lines_and_rows(content) == [
        (2, ["A", "one\ntwo\r\nthree\rfour"]),
        (7, ["B", "x"]),
        (8, ["C\n", "y"]),
        (
            10,
            BadRecord(
                place=Place(line=10, byte=content.index("D\n")),
                reason="has 1 value where 2 are expected",
                raw="D",
            ),
        ),
        (11, ["E", "z"]),
    ]


def test_other_separators_of_unicode_end_no_line() -> None:
    assert rows_of("a,b\n1\x0b\x0c\x1c,\x85\u2028\u2029\n") == [["1\x0b\x0c\x1c", "\x85\u2028\u2029"]]


def test_quotes_delimiters_and_encoding_may_be_others() -> None:
    content = "name;qty\n'caf\xe9; ''bar''';1\n".encode("cp1252")

    rows = rows_of(content, delimiter=";", quotechar="'", encoding="cp1252")

    assert rows == [["café; 'bar'", "1"]]


def test_a_quote_inside_a_plain_value_is_text() -> None:
    assert rows_of('sku,name\nA,5" pipe\n') == [["A", '5" pipe']]


def test_columns_may_be_given_for_files_without_a_header() -> None:
    records = reading("A,1\nB,2\n", columns=["sku", "qty"])

    assert records.columns == ("sku", "qty")
    assert [(records.position, row) for row in records] == [(1, ["A", "1"]), (2, ["B", "2"])]


# Blank lines


def test_blank_lines_are_left_out_and_counted() -> None:
    assert lines_and_rows("\n\r\nsku,qty\n\nA,1\n   \n\t\nB,2\n\n") == [(5, ["A", "1"]), (8, ["B", "2"])]


def test_a_line_of_spaces_is_a_value_where_there_is_one_column() -> None:
    assert rows_of('sku\n   \n\nA\n""\n') == [["   "], ["A"], [""]]


def test_blank_lines_are_bad_records_where_they_are_not_skipped() -> None:
    assert rows_of("sku,qty\n\nA,1\n", skip_blank_lines=False) == [
        BadRecord(place=Place(line=2, byte=8), reason="has 0 values where 2 are expected", raw=""),
        ["A", "1"],
    ]
    assert rows_of("sku\n\nA\n", skip_blank_lines=False) == [[""], ["A"]]


# Rejects


def test_too_few_and_too_many_values_are_bad_records() -> None:
    assert rows_of('sku,qty\nA\nB,1,\nC,2\n"D",\'3,4\n') == [
        BadRecord(place=Place(line=2, byte=8), reason="has 1 value where 2 are expected", raw="A"),
        BadRecord(place=Place(line=3, byte=10), reason="has 3 values where 2 are expected", raw="B,1,"),
        ["C", "2"],
        BadRecord(place=Place(line=5, byte=19), reason="has 3 values where 2 are expected", raw='"D",\'3,4'),
    ]


def test_the_text_of_a_bad_record_is_cut() -> None:
    (bad,) = rows_of("sku,qty\n" + "x" * 5000)

    assert bad.raw == "x" * 1000


def test_the_text_of_a_bad_record_is_whole_across_blocks() -> None:
    filler = "A,1\n" * ((BLOCK_BYTES - 60) // 4)
    content = "sku,qty\n" + filler + '"first\nsecond ' + "y" * 100 + '\nthird"\nB,2\n'

    *_, bad, last = rows_of(content)

    assert bad.raw == '"first\nsecond ' + "y" * 100 + '\nthird"'
    assert last == ["B", "2"]


def test_quotes_that_are_not_doubled_make_one_bad_record_each() -> None:
    records = lines_and_rows('sku,name\nA,"5" pipe"\nB,"6" pipe"\nC,"7"" pipe"\nD,plain\n')

    assert [(line, type(row).__name__) for line, row in records] == [
        (2, "BadRecord"),
        (3, "BadRecord"),
        (4, "list"),
        (5, "list"),
    ]
    assert records[0][1].raw == 'A,"5" pipe"'
    assert "must be doubled" in records[0][1].reason


@pytest.mark.parametrize(
    "content",
    [
        'sku,name\nA,"5" pipe\nlong"\nB,x\n',
        'sku,name\n"5" pipe\nlong",x\nB,x\n',
        'sku,name\n"5" pipe\na,b\nlong",x\nB,x\n',
        'sku,name\n"5" pipe\n6" pipe,"b"\nB,x\n',
    ],
)
def test_the_tail_of_a_broken_value_is_never_taken_for_a_record(content: str) -> None:
    with pytest.raises(ParseError, match="stray quotes after the broken ones of line 2"):
        rows_of(content)


def test_a_broken_value_over_several_lines_stops_the_file() -> None:
    with pytest.raises(ParseError, match=r"stock\.csv:3: .* isn't closed before line 5"):
        rows_of('sku,name\nA,x\nB,"y\nC,z\nD,"quoted"\n')


# What is refused


@pytest.mark.parametrize(
    "content", [b"", b"\n\n", b"\xef\xbb\xbf", b"  \r\n", "\ufeff".encode("utf-16-le")[:0]]
)
def test_an_empty_file_is_refused(content: bytes) -> None:
    with pytest.raises(ParseError, match=r"^stock\.csv:1: is empty: expected a header line\.$"):
        reading(content)


def test_a_file_with_a_header_alone_has_no_records() -> None:
    assert rows_of("sku,qty\n") == []
    assert rows_of("sku,qty") == []
    assert rows_of("", columns=["sku"]) == []


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("sku,qty,sku", "the same name for several columns: 'sku'"),
        ("sku, sku ", "the same name for several columns: 'sku'"),
        ("sku,qty,", "column 3 of 3 has no name"),
        ("sku, ,qty", "column 2 of 3 has no name"),
        (",", "column 1, 2 of 2 has no name"),
        ('"sku"x,qty', "the header line has broken quotes"),
        ('"sku,qty', "the header line has broken quotes"),
    ],
)
def test_a_header_that_does_not_name_each_column_is_refused(header: str, words: str) -> None:
    with pytest.raises(ParseError, match=words) as caught:
        reading(f"\n{header}\nA,1,2\n")

    assert caught.value.line == 2


def test_a_quote_that_is_never_closed_is_told_where_it_opens() -> None:
    with pytest.raises(ParseError, match=r"stock\.csv:3: a quoted value that begins here is never closed"):
        rows_of('sku,name\nA,x\nB,"y\nC,z\n')


def test_a_quote_that_is_never_closed_does_not_swallow_a_large_file() -> None:
    with pytest.raises(
        ParseError, match=r"stock\.csv:2: a value of more than 131,072 characters\. Is a quote"
    ):
        rows_of('sku,name\nA,"y\n' + "C,z\n" * 1_000_000)


@pytest.mark.parametrize("limit", [5, 131_072, 200_000])
def test_the_size_of_a_value_is_limited_exactly(limit: int) -> None:
    fits = rows_of(f"sku,name\nA,{'x' * limit}\n", max_field_bytes=limit)

    assert len(fits[0][1]) == limit
    with pytest.raises(ParseError, match=r"stock\.csv:3: a value of more than"):
        rows_of(f'sku,name\nA,x\nB,"{"x" * limit}\n"\n', max_field_bytes=limit)


def test_a_file_without_line_ends_is_refused_early() -> None:
    class Endless(io.RawIOBase):
        given = 0

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any, /) -> int:
            self.given += len(buffer)
            buffer[:] = b"x" * len(buffer)
            return len(buffer)

    stream = Endless()

    with pytest.raises(ParseError, match="a line of more than 1,048,576 characters"):
        CSVFormat().read(stream, path="x")  # type: ignore[arg-type]

    assert stream.given < 3_000_000


@pytest.mark.parametrize(
    ("content", "encoding", "line", "column", "words"),
    [
        (b"sku,name\nA,x\nB,caf\xe9\n", "utf-8", 3, 6, "byte 0xe9 at offset 18 isn't utf-8"),
        (b"sku,name\nA,x\xf0\x9f", "utf-8", 2, 4, "unexpected end of data"),
        (b"sku,name\r\rA,\xff\n", "utf-8", 3, 3, "byte 0xff"),
        (b"\xff", "utf-8", 1, 1, "byte 0xff at offset 0"),
        (b"sku\n" + b"A\n" * BLOCK_BYTES + b"\xe9", "utf-8", BLOCK_BYTES + 2, 1, "offset 131,076"),
        (b"sku,name\nA,\x81\n", "cp1252", 2, 3, "byte 0x81"),
        ("sku\nA\n".encode("utf-16") + b"\x00\xd8", "utf-16", 3, 1, "isn't utf-16"),
        (b"\x00s\x00k", "utf-16", 1, 1, "does not start with BOM"),
        (b"sku,name\nA,\x00\n", "utf-8", 2, 3, "a NUL character"),
    ],
)
def test_bytes_that_are_no_text_are_told_by_line_and_column(
    content: bytes, encoding: str, line: int, column: int, words: str
) -> None:
    with pytest.raises(ParseError, match=words) as caught:
        rows_of(content, encoding=encoding)

    assert (caught.value.line, caught.value.column) == (line, column)
    assert "Set the format's encoding" in str(caught.value)


def test_records_before_the_fault_are_read() -> None:
    records = iter(reading(b"sku\nA\nB\n\xff\n"))

    assert [next(records), next(records)] == [["A"], ["B"]]
    with pytest.raises(ParseError):
        next(records)


# Encodings


@pytest.mark.parametrize(
    ("codec", "encoding"),
    [
        ("utf-8-sig", "utf-8"),
        ("utf-8-sig", "utf-8-sig"),
        ("utf-8", "UTF8"),
        ("utf-16", "utf-16"),
        ("utf-16", "utf-16-le"),
        ("utf-16-be", "utf-16-be"),
        ("utf-32", "utf-32"),
        ("shift_jis", "sjis"),
        ("gb18030", "gb18030"),
    ],
)
def test_a_byte_order_mark_is_no_part_of_the_first_name(codec: str, encoding: str) -> None:
    records = reading('"sku",名\nA,漢\n'.encode(codec), encoding=encoding)

    assert records.columns == ("sku", "名")
    assert list(records) == [["A", "漢"]]


@pytest.mark.parametrize(
    ("content", "encoding", "advice"),
    [
        ("sku\n".encode("utf-16"), "utf-8", "utf-16"),
        ("sku\n".encode("utf-8-sig"), "cp1252", "utf-8"),
        ("\ufeffsku\n".encode("utf-16-be"), "utf-16-le", "utf-16"),
        ("sku\n".encode("utf-32"), "utf-16", "utf-32"),
    ],
)
def test_a_byte_order_mark_that_contradicts_the_encoding_is_refused(
    content: bytes, encoding: str, advice: str
) -> None:
    with pytest.raises(ParseError, match=f"Set the format's encoding to {advice}"):
        reading(content, encoding=encoding)


@pytest.mark.parametrize(
    "name", ["utf-9", "hex", "rot13", "base64", "idna", "utf-7", "unicode_escape", "", "a\0b"]
)
def test_an_encoding_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="There is no encoding"):
        CSVFormat(encoding=name)


# Options


def test_every_option_that_cannot_be_used_is_named() -> None:
    with pytest.raises(ConfigurationError) as caught:
        CSVFormat(delimiter="", quotechar="\n", encoding="x", columns=["a", "a"], max_field_bytes=0)

    assert [problem.split(" ")[0] for problem in caught.value.problems] == [
        "delimiter",
        "quotechar",
        "columns:",
        "max_field_bytes",
        "encoding:",
    ]


@pytest.mark.parametrize("columns", [[], ["a", ""], ["a", "a"]])
def test_given_columns_must_be_names(columns: Sequence[str]) -> None:
    with pytest.raises(ConfigurationError, match="columns: "):
        CSVFormat(columns=columns)


def test_delimiter_and_quote_must_differ() -> None:
    with pytest.raises(ConfigurationError, match="both"):
        CSVFormat(delimiter='"')


# Streams


def test_what_the_stream_raises_passes_through() -> None:
    class Breaking(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell():
                raise TimeoutError("the network is away")
            return super().read(10)

    with pytest.raises(TimeoutError, match="the network is away"):
        CSVFormat().read(Breaking(b"sku,qty\nA,1\nB,2\n"), path="x")


class InParts(io.BytesIO):
    """Gives what a network may: fewer bytes than asked for."""

    def __init__(self, data: bytes, parts: random.Random) -> None:
        super().__init__(data)
        self._parts = parts

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(size or 0, self._parts.choice([1, 2, 3, 1000])))


def outcome(stream: io.BytesIO, options: dict[str, Any]) -> list[Any]:
    found: list[Any] = []
    try:
        records = open_format("csv", **options).read(stream, path="x")
        found.append(records.columns)
        found.extend((records.position, record) for record in records)
    except ParseError as exc:
        found.append(str(exc))
    return found


OPTIONS = st.sampled_from(
    [{}, {"encoding": "utf-16"}, {"encoding": "cp1252"}, {"encoding": "shift_jis"}, {"columns": ["a", "b"]}]
)
SCRAPS = st.lists(
    st.sampled_from(
        [b'"', b'""', b",", b"\n", b"\r\n", b"\r", b"A", b" ", b"\xe9", b"\xc3\xa9", b"\0", b"\xef\xbb\xbf"]
    ),
    max_size=40,
).map(b"".join)


@given(
    st.binary(max_size=200) | SCRAPS | SCRAPS.map(lambda tail: b"a,b\n1,2\n" + tail), OPTIONS, st.randoms()
)
@example(b"a,b\r\n1,2\r", {}, random.Random(0))
def test_any_bytes_raise_parse_errors_alone_however_they_arrive(
    data: bytes, options: dict[str, Any], parts: random.Random
) -> None:
    assert outcome(InParts(data, parts), options) == outcome(io.BytesIO(data), options)


TEXT = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]) | st.sampled_from('",\n\r '),
    max_size=8,
)


@given(st.data(), st.integers(2, 4), st.sampled_from(["\n", "\r\n", "\r"]), st.sampled_from([",", ";", "\t"]))
def test_any_table_reads_back_as_it_was_written(
    data: st.DataObject, width: int, end: str, delimiter: str
) -> None:
    table = data.draw(st.lists(st.lists(TEXT, min_size=width, max_size=width), max_size=6))
    written = io.StringIO(newline="")
    writer = csv.writer(written, delimiter=delimiter, lineterminator=end, quoting=csv.QUOTE_ALL)
    writer.writerow(f"c{number}" for number in range(width))
    writer.writerows(table)

    assert rows_of(written.getvalue(), delimiter=delimiter) == table


@given(st.lists(st.lists(TEXT, min_size=2, max_size=2), max_size=6))
def test_any_table_with_as_few_quotes_as_needed_reads_back(table: list[list[str]]) -> None:
    written = io.StringIO(newline="")
    csv.writer(written).writerows([["a", "b"], *table])

    assert rows_of(written.getvalue()) == table


@given(
    st.lists(st.sampled_from(["A,1\n", '"B\n",2\n', "C\n", "\n", '"x"y,1\n', 'é,"ü\r\n"\n']), max_size=12),
    st.integers(-9, 9),
)
@settings(max_examples=50)
def test_nothing_depends_on_where_a_block_ends(records: list[str], shift: int) -> None:
    body = "".join(records)
    far = "a,b\n" + "Z,0\n" * ((BLOCK_BYTES + shift) // 4) + "Z," + "0" * (abs(shift) + 1) + "\n"

    near_rows = lines_and_rows("a,b\n" + body)
    far_rows = lines_and_rows(far + body)

    shifted = far.count("\n") - 1
    tail = far_rows[len(far_rows) - len(near_rows) :]
    assert [(line - shifted, without_line(row)) for line, row in tail] == [
        (line, without_line(row)) for line, row in near_rows
    ]


def without_line(row: Any) -> Any:
    return (row.reason, row.raw) if isinstance(row, BadRecord) else row


def test_memory_does_not_grow_with_the_file() -> None:
    class Generated(io.RawIOBase):
        """Rows without end that are made as they are read."""

        def __init__(self, rows: int) -> None:
            self._lines: Iterator[bytes] = iter([b"sku,qty\n", *[b"SKU-00001,17\n" * 1000] * (rows // 1000)])

        def read(self, size: int = -1, /) -> bytes:
            return next(self._lines, b"")

    def peak(rows: int) -> int:
        records = CSVFormat().read(Generated(rows), path="x")  # type: ignore[arg-type]
        tracemalloc.start()
        assert sum(1 for _ in records) == rows
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return highest

    # The least of three: threads that an earlier test left behind may allocate meanwhile.
    small, large = (min(peak(rows) for _ in range(3)) for rows in (20_000, 200_000))

    assert large < small * 1.2
