"""Whatever a record holds: it is in the file as one row, or it is refused and the file is as it was."""

from __future__ import annotations

import csv
import io
from contextlib import suppress
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from fc_connect.errors import FormatError
from fc_connect.formats import open_writer
from tests.fuzz.effort import examples

TEXTS = st.text("=+-@\t\r\n\"',;.05e ＝é漢\0\ud800", max_size=6)
SCALARS = st.one_of(
    TEXTS,
    st.integers(),
    st.floats(),
    st.decimals(),
    st.sampled_from(
        [None, True, b"", date(2026, 1, 31), datetime(2026, 1, 31, tzinfo=UTC), UUID(int=7), 1 << 20_000]
    ),
)
INNER = SCALARS | st.lists(SCALARS, max_size=3) | st.dictionaries(st.sampled_from("cd="), SCALARS, max_size=2)
VALUES = INNER | st.lists(INNER, max_size=2) | st.dictionaries(st.sampled_from("cd"), INNER, max_size=2)
RECORDS = st.lists(st.dictionaries(st.sampled_from("abx"), VALUES, max_size=3), max_size=4)
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "delimiter": st.sampled_from(";\t|"),
        "line_end": st.sampled_from(["\r\n", "\n"]),
        "encoding": st.sampled_from(["utf-8-sig", "utf-16", "cp1252", "shift_jis", "iso2022_jp"]),
        "quote": st.sampled_from(["minimal", "all"]),
        "null": st.sampled_from(["NULL", "-", "'"]),
        "lists": st.sampled_from([",", "; "]),
        "nested": st.sampled_from(["json", "refuse"]),
        "extra": st.sampled_from(["refuse", "ignore"]),
    },
)


@examples(100)
@given(RECORDS, OPTIONS)
def test_a_record_is_one_row_that_no_spreadsheet_runs_or_is_refused(
    records: list[dict[str, Any]], options: dict[str, Any]
) -> None:
    stream = io.BytesIO()
    taken = 0

    with open_writer("csv", columns={"a": "a", "b": "b.c"}, **options).write(stream) as file:
        for record in records:
            with suppress(FormatError):
                file.write(record)
                taken += 1

    encoding = options.get("encoding", "utf-8")
    text = io.StringIO(stream.getvalue().decode(encoding), newline="")
    header, *rows = csv.reader(text, delimiter=options.get("delimiter", ","), strict=True)
    assert header == ["a", "b"]
    assert len(rows) == taken
    for cell in (cell for row in rows for cell in row):
        assert (
            not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n", "＝"))
            or is_number(cell)
            or (cell == options.get("null"))
        )


def is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text.isascii() and text == text.strip() and "n" not in text and "_" not in text
