"""CSV as other programs write it: escapes, comments, lines before the header, long delimiters; and records' places."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fc_connect.errors import ConfigurationError, ParseError
from fc_connect.formats import BadRecord, Place
from fc_connect.formats.csv import CSVFormat
from fc_connect.formats.text import BLOCK_BYTES
from tests.test_csv import lines_and_rows, reading, rows_of

# Escapes


def test_an_escape_takes_the_meaning_from_quotes_delimiters_and_itself() -> None:
    content = 'a,b\n"5\\" pipe",x\\,y\n"\\\\","end\\\\"\n\\"q\\",""\n'

    assert rows_of(content, escapechar="\\") == [['5" pipe', "x,y"], ["\\", "end\\"], ['"q"', ""]]


def test_an_escape_before_anything_else_is_text() -> None:
    content = 'a,b\nC:\\new,"D:\\tmp\\x"\nends\\\n"over\\\nlines",\\\n'

    rows = lines_and_rows(content, escapechar="\\")

    assert rows == [
        (2, ["C:\\new", "D:\\tmp\\x"]),
        (3, BadRecord(place=Place(line=3, byte=22), reason="has 1 value where 2 are expected", raw="ends\\")),
        (4, ["over\\\nlines", "\\"]),
    ]


def test_doubled_quotes_are_read_beside_escaped_ones() -> None:
    assert rows_of('a\n"x""y\\"z"\n', escapechar="\\") == [['x"y"z']]


def test_without_an_escape_a_backslash_is_text() -> None:
    assert rows_of('a,b\n"C:\\dir\\",x\\\n') == [["C:\\dir\\", "x\\"]]


def test_escaped_quotes_after_broken_ones_are_proper() -> None:
    content = 'a,b\n"x"y,1\n"5\\" pipe",2\n"6""",3\n'

    bad, *rows = rows_of(content, escapechar="\\")

    assert isinstance(bad, BadRecord)
    assert rows == [['5" pipe', "2"], ['6"', "3"]]


def test_a_file_may_know_no_quotes() -> None:
    content = 'sku\tname\n"A\t5" pipe"\nB\t"\n'

    assert rows_of(content, delimiter="\t", quotechar=None) == [['"A', '5" pipe"'], ["B", '"']]


# Comments and lines before the header


def test_comments_are_left_out_and_counted() -> None:
    content = '#made by hand\nsku,qty\n#,"\nA,1\n # B,2\n"C\n#no comment",3\n#end'

    assert lines_and_rows(content, comment="#") == [
        (4, ["A", "1"]),
        (5, [" # B", "2"]),
        (6, ["C\n#no comment", "3"]),
    ]


def test_comments_are_left_out_where_blank_lines_are_bad_records() -> None:
    content = "//x\nsku\n//y\nA\n\n"

    assert lines_and_rows(content, comment="//", skip_blank_lines=False) == [(4, ["A"]), (5, [""])]


def test_a_comment_after_broken_quotes_may_hold_any() -> None:
    bad, *rows = rows_of('a,b\n"x"y,1\n# 5" pipe\nA,2\n', comment="#")

    assert isinstance(bad, BadRecord)
    assert rows == [["A", "2"]]


def test_without_the_option_a_comment_is_a_record() -> None:
    assert rows_of("#x\nsku\nA\n") == [["sku"], ["A"]]


def test_lines_before_the_header_are_left_out_whatever_they_hold() -> None:
    content = 'Report, "of today\n\n,,,\nsku,qty\nA,1\n'

    assert lines_and_rows(content, skip_rows=3) == [(5, ["A", "1"])]
    assert lines_and_rows(content, skip_rows=3, skip_blank_lines=False) == [(5, ["A", "1"])]
    assert lines_and_rows(content, skip_rows=4, columns=["sku", "qty"]) == [(5, ["A", "1"])]


def test_lines_left_out_may_fill_blocks() -> None:
    content = '"x\n' * BLOCK_BYTES + "sku\nA\n"

    assert lines_and_rows(content, skip_rows=BLOCK_BYTES) == [(BLOCK_BYTES + 2, ["A"])]


def test_a_file_that_ends_before_its_header_is_refused() -> None:
    with pytest.raises(ParseError, match="expected a header line after the 3 lines of skip_rows"):
        reading("a\nb\n", skip_rows=3)


# Required columns


def test_a_file_without_a_required_column_is_refused_with_what_there_is() -> None:
    with pytest.raises(
        ParseError, match=r"lacks 'qty', 'loc'; there is 'sku;qty'\. Is the delimiter ','"
    ) as caught:
        reading("\nsku;qty\nA;1\n", required=["sku;qty", "qty", "loc"])

    assert caught.value.line == 2


def test_required_columns_that_are_there_are_fine() -> None:
    assert rows_of(" sku ,qty\nA,1\n", required=["qty", "sku"]) == [["A", "1"]]


def test_required_columns_are_among_given_ones() -> None:
    with pytest.raises(ConfigurationError, match="required: not among columns: loc"):
        CSVFormat(columns=["sku"], required=["loc", "sku"])


# Delimiters of several characters


def test_a_delimiter_may_have_several_characters() -> None:
    content = 'sku||name\nA||"x||y"\nB|||\n"C"||"|"\nD\n'

    assert lines_and_rows(content, delimiter="||") == [
        (2, ["A", "x||y"]),
        (3, ["B", "|"]),
        (4, ["C", "|"]),
        (5, BadRecord(place=Place(line=5, byte=34), reason="has 1 value where 2 are expected", raw="D")),
    ]


def test_a_tab_may_be_written_as_people_do() -> None:
    assert rows_of("a\tb\n1\t2\n", delimiter="\\t") == [["1", "2"]]


def test_a_header_may_hold_a_long_delimiter_in_quotes() -> None:
    assert reading('"a::b"::c\n', delimiter="::").columns == ("a::b", "c")


def test_the_size_of_a_value_with_a_long_delimiter_is_limited() -> None:
    with pytest.raises(ParseError, match="a value of more than 5 characters"):
        rows_of('a\n"::::::"\n', delimiter="::", max_field_bytes=5)


def test_the_character_that_stands_for_a_long_delimiter_is_refused_in_a_file() -> None:
    with pytest.raises(ParseError, match=r"U\+FDD0") as caught:
        rows_of("a::b\n1::\ufdd0\n", delimiter="::")

    assert (caught.value.line, caught.value.column) == (2, 4)
    assert rows_of("a,b\n1,\ufdd0\n") == [["1", "\ufdd0"]]


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"delimiter": "\n"}, "delimiter"),
        ({"delimiter": "|\ufdd0"}, "delimiter"),
        ({"delimiter": "||", "quotechar": "|"}, "also in the delimiter"),
        ({"escapechar": "ab"}, "escapechar"),
        ({"escapechar": '"'}, "leave escapechar out"),
        ({"escapechar": ","}, "both ','"),
        ({"comment": ""}, "comment"),
        ({"comment": '"x'}, "comment"),
        ({"comment": "#\n"}, "comment"),
        ({"skip_rows": -1}, "skip_rows"),
    ],
)
def test_options_of_a_dialect_that_cannot_be_used_are_refused(options: dict[str, Any], word: str) -> None:
    with pytest.raises(ConfigurationError, match=word):
        CSVFormat(**options)


VALUES = st.text(
    st.characters(exclude_characters="\0\ufdd0", exclude_categories=["Cs"]) | st.sampled_from('"\\|,\n\r '),
    max_size=6,
)


@given(
    st.lists(st.lists(VALUES, min_size=2, max_size=2), max_size=6), st.sampled_from([",", "||", ", ", "::"])
)
def test_any_table_with_escapes_reads_back(table: list[list[str]], delimiter: str) -> None:
    lines = [["a", "b"], *table]
    content = "\n".join(
        delimiter.join('"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"' for value in line)
        for line in lines
    )

    assert rows_of(content, delimiter=delimiter, escapechar="\\") == table


# Places


@pytest.mark.parametrize(
    "encoding",
    ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "shift_jis", "gb18030", "cp1252", "big5"],
)  # fmt: skip
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_record_is_told_by_its_line_and_byte(encoding: str, end: str) -> None:
    odd = {"cp1252": "é", "big5": "漢", "shift_jis": "漢ｱ"}.get(encoding, "é漢")
    text = end.join(
        ["sku,name", *(f'"R{n:06d}{odd}","{odd * (n % 50)}{end}x"' for n in range(5000)), "R,bad,one", ""]
    )
    data = text.encode(encoding)
    plain = encoding.removesuffix("-sig") + ("-le" if encoding in {"utf-16", "utf-32"} else "")
    records = reading(data, encoding=encoding)

    seen = [
        (records.place(), row) for number, row in enumerate(records) if number % 487 == 0 or number == 5000
    ]

    assert len(data) > 3 * BLOCK_BYTES
    assert seen[-1][0].line == 10_002
    for place, row in seen:
        begin = row.raw[:7] if isinstance(row, BadRecord) else f'"{row[0]}'
        assert place.byte == data.find(begin.encode(plain))


@given(
    st.lists(
        st.sampled_from(["A,1\n", '"B\n",2\r\n', "C\r", "\n", 'é,"ü\r\n"\n', "#c\n", "漢,字,x\n"]),
        max_size=12,
    ),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "gb18030"]),
    st.integers(-9, 9),
    st.booleans(),
)
@example(["C\r", "\n"], "utf-8", 0, True)
@settings(max_examples=60)
def test_every_record_begins_where_its_place_says(
    parts: list[str], encoding: str, shift: int, is_far: bool
) -> None:
    head = "a,b\n" + "Z,0\n" * ((BLOCK_BYTES + shift) // 8 if is_far else 0)
    data = (head + "".join(parts)).encode(encoding)
    records = reading(data, encoding=encoding, comment="#", columns=["a", "b"])
    offsets = [record.place if isinstance(record, BadRecord) else records.place() for record in records]

    for place in offsets[-20:]:
        assert place.byte is not None
        before = data[: place.byte].decode(encoding)
        assert place.line == 1 + len(io.StringIO(before, newline="").readlines())
        assert before[-1:] in {"", "\n", "\r"}


def test_a_place_has_no_byte_where_it_can_not_be_told() -> None:
    records = reading("sku\n漢\n".encode("iso2022_jp"), encoding="iso2022_jp")

    assert next(iter(records)) == ["漢"]
    assert records.place() == Place(line=2)
