"""CSV files, as wrong as exports and attackers make them: each record comes out, or is told; none is dropped."""

from __future__ import annotations

import csv
import io
import random
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from fc_connect.errors import ParseError
from fc_connect.formats import BadRecord, open_format
from tests.fuzz.effort import examples

ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252", "iso-8859-1", "shift_jis", "utf-32"]
PIECES = st.sampled_from(
    [b"a", b",", b";", b'"', b'""', b"\n", b"\r", b"\r\n", b"\0", b"\xff", b"\xfe", b"\xef\xbb\xbf", b"\xe2\x82",
     b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc2\x85", b"\xe2\x80\xa8", b"\x1a", b"\x0b", b"\x0c", b"\x1c",
     b" ", b"x" * 70_000, b'"' + b"y" * 131_073]
)  # fmt: skip

DIALECTS: list[dict[str, Any]] = [
    {"delimiter": ",,"},
    {"escapechar": "a", "comment": "x", "columns": ["a", "b"]},
    {"quotechar": None, "skip_rows": 1},
    {"delimiter": "; ", "escapechar": "x", "comment": ",", "skip_blank_lines": False},
]


class Trickle(io.RawIOBase):
    """A stream that gives as few bytes at a time as it likes."""

    def __init__(self, content: bytes, rng: random.Random) -> None:
        super().__init__()
        self._rest = memoryview(content)
        self._rng = rng

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        size = min(len(buffer), len(self._rest), self._rng.choice([1, 2, 3, 100, 65_536]))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size


def read(stream: Any, **options: Any) -> tuple[list[Any], list[int], ParseError | None]:
    """Return what comes out, the line of each, and what ended it."""
    found: list[Any] = []
    lines: list[int] = []
    error: ParseError | None = None
    try:
        records = open_format("csv", **options).read(stream, path="x.csv")
        assert records.columns is not None
        for record in records:
            assert isinstance(record, BadRecord) or len(record) == len(records.columns)
            found.append(record)
            lines.append(records.position)
    except ParseError as exc:
        error = exc
    assert error is None or (error.path == "x.csv" and error.line is not None and error.line >= 1)
    return found, lines, error


@examples(400)
@given(
    st.lists(PIECES | st.binary(max_size=4), max_size=14).map(b"".join),
    st.sampled_from(ENCODINGS),
    st.sampled_from(
        [
            {},
            {"columns": ["a", "b"]},
            {"columns": ["a"], "skip_blank_lines": False},
            {"delimiter": ";"},
            *DIALECTS,
        ]
    ),
    st.randoms(use_true_random=False),
)
@example(b'a,b\n"', "utf-8", {}, random.Random(0))
@example(b"a,b\n1,\xe2\x82", "utf-8", {}, random.Random(0))
@example(b"\xff\xfea\x00,\x00b\x00\n\x00\x31", "utf-16", {}, random.Random(0))
def test_any_bytes_are_records_bad_records_or_an_error_whatever_the_size_of_reads(
    content: bytes, encoding: str, options: dict[str, Any], rng: random.Random
) -> None:
    at_once = read(io.BytesIO(content), encoding=encoding, **options)
    trickled = read(io.BufferedReader(Trickle(content, rng), 16), encoding=encoding, **options)

    found, lines, error = at_once
    assert lines == sorted(lines)
    assert (found, lines, str(error)) == (trickled[0], trickled[1], str(trickled[2]))


VALUES = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12
) | st.sampled_from(
    ["", " ", '"', '""', ",", "\n", "\r", "\r\n", 'a"b', "\u2028", "\x85", "\x1c", "x" * 300, "\ufeff"]
)
ROWS = st.lists(st.tuples(VALUES, VALUES, VALUES), max_size=12)
END = st.sampled_from(["\n", "\r\n", "\r"])


@examples(300)
@given(ROWS, END, st.sampled_from(["utf-8", "utf-16", "utf-32", "utf-8-sig"]), st.sampled_from(",;\t|"))
def test_a_proper_file_comes_out_as_it_was_written(
    rows: list[tuple[str, str, str]], end: str, encoding: str, delimiter: str
) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator=end, delimiter=delimiter, quoting=csv.QUOTE_ALL)
    writer.writerow(["a", "b", "c"])
    writer.writerows(rows)

    found, _, error = read(
        io.BytesIO(text.getvalue().encode(encoding)), encoding=encoding, delimiter=delimiter
    )

    assert error is None
    assert found == [list(row) for row in rows]


FIELDS = st.text(st.characters(codec="utf-8", exclude_characters='\0\r\n",'), max_size=6)


@examples(300)
@given(st.lists(st.lists(FIELDS, min_size=1, max_size=5), max_size=30), END, st.booleans())
def test_every_line_without_quotes_is_a_record_a_bad_one_or_blank(
    rows: list[list[str]], end: str, last_ends: bool
) -> None:
    # The oracle needs no grammar: without quotes each line is one record, whatever its width.
    lines = [",".join(row) for row in rows]
    text = end.join(["a,b,c", *lines]) + (end if last_ends else "")

    found, at, error = read(io.BytesIO(text.encode()))

    assert error is None
    wanted = [(number, row) for number, row in enumerate(rows, 2) if len(row) > 1 or row[0].strip()]
    assert at == [number for number, _ in wanted]
    for record, (number, row) in zip(found, wanted, strict=True):
        if len(row) == 3:
            assert record == row
        else:
            assert isinstance(record, BadRecord)
            assert (record.place.line, record.raw) == (number, ",".join(row)[:1000])


@examples(200)
@given(
    st.lists(
        st.sampled_from(["1,2\n", '"1",2\n', '"a "b",2\n', '1,"x\ny"\n', '"', "1\n", "1,2,3\n", '""\n']),
        max_size=30,
    )
)
def test_records_around_broken_quotes_are_told_or_the_rest_is_refused(pieces: list[str]) -> None:
    content = "a,b\n" + "".join(pieces)

    found, at, error = read(io.BytesIO(content.encode()))

    # What was taken covers the lines from the first on without a gap, or an error says where it ends.
    lines = content.count("\n") + (not content.endswith("\n"))
    ends = [*at[1:], error.line if error is not None and error.line is not None else lines + 1]
    for record, line, following in zip(found, at, ends, strict=False):
        covered = following - line
        assert covered >= 1
        if isinstance(record, BadRecord):
            assert covered == 1 + record.raw.count("\n")
        else:
            assert covered == 1 + sum(value.count("\n") for value in record)
    if found:
        assert at[0] == 2
