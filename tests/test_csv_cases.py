"""What the TypeScript SDK makes of CSV, recorded by running it: the same here, or otherwise for a reason."""

from __future__ import annotations

import base64
import io
import json
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from fc_connect.errors import ParseError
from fc_connect.formats import BadRecord, open_format, open_writer

CASES = Path(__file__).parents[2] / "shared" / "cases" / "parser_cases_given.json"
OPTIONS = {
    "delimiter": "delimiter",
    "quote": "quotechar",
    "escape": "escapechar",
    "encoding": "encoding",
    "skip_empty_lines": "skip_blank_lines",
}

NOT_TRIMMED = "values stay as they are; the mapping trims (sdk.trim)"
ONE_REJECT = "a record with too many or too few values is one bad record, and the rest is read"
NO_NAME = "a column without a name could be read by no mapping, and two would be one"

DIFFERENT: dict[str, tuple[str, Any]] = {
    # A bad record stands as its line, a refused file as words of the error.
    "mixed CRLF then LF": ("each line may end as it likes", [{"sku": "A", "qty": "1"}, {"sku": "B", "qty": "2"}]),
    "empty input": ("a file without a header is cut short, or no file at all", "is empty: expected a header line"),
    "trim around values": (NOT_TRIMMED, [{"sku": "  A  ", "qty": "  1 "}]),
    "tabs trimmed in cells": (NOT_TRIMMED, [{"a": "\tx\t", "b": "1"}]),
    "ltrim only": (NOT_TRIMMED, [{"a": " x ", "b": " y "}]),
    "quote in middle of unquoted field": ("inches are text (relax_quotes)", [{"sku": "A", "name": '5" pipe'}]),
    "unclosed quote": ("told where it opens", "x.csv:2: a quoted value that begins here is never closed"),
    "short row": (ONE_REJECT, [2]),
    "long row relaxed": (ONE_REJECT, [2]),
    "skip_records_with_error on long row": (ONE_REJECT, [2, {"sku": "B", "qty": "2"}]),
    "trailing delimiter in data rows": (ONE_REJECT, [2]),
    "error on line 3 yields nothing": (ONE_REJECT, [{"sku": "A", "qty": "1"}, 3, {"sku": "C", "qty": "3"}]),
    "parseStream error message": (ONE_REJECT, [2]),
    "skip_empty_lines false": (ONE_REJECT, [2, {"a": "1", "b": "2"}]),
    "columns list shorter than data": (ONE_REJECT, [1]),
    "empty header cell": (NO_NAME, "column 2 of 3 has no name"),
    "only delimiter header": (NO_NAME, "column 1, 2 of 2 has no name"),
    "columns false gives arrays": ("records have names", [{"sku": "A", "qty": "1"}]),
    "cast true": (
        "text stays text: leading zeros live; the mapping says what is a number",
        [{"sku": "00123", "qty": "007", "price": "1.50"}, {"sku": "A1", "qty": "-3", "price": "1e3"}],
    ),
    "latin-1 bytes given as buffer": ("no character is ever replaced", "x.csv:2:4: byte 0xe9 at offset 8 isn't utf-8"),
    "utf-16le with BOM buffer bom:true": ("the encoding is said, not guessed", "Set the format's encoding to utf-16"),
    "max_record_size exceeded": (
        "each value is capped, by max_field_bytes",
        [{"sku": "A", "name": "x" * 24}],
    ),
    "stringify header needs quoting": ("a name with a delimiter is in quotes", '"a,b"\n1\n'),
    "stringify formula": ("no spreadsheet runs it", 'a\n"\'=HYPERLINK(""x"")"\n'),
    "stringify nested object": ("what is nested is JSON, not [object Object]", 'a,c\n"{""b"":1}","[1,2]"\n'),
    "validate required on empty file passes": ("a file without a header lacks it", ["is empty"]),
}  # fmt: skip

ELSEWHERE = (
    "validate type number",
    "validate empty number passes",
    "validate minRows",
    "validate boolean words",
)
"""What values mean is said by the mapping, per field, and how few records are too few by nobody."""


def csv_cases(*methods: str) -> list[Any]:
    if not CASES.exists():
        return []
    cases = [each for each in json.loads(CASES.read_text("utf-8")) if each["parser"] == "csv"]
    return [
        pytest.param(each, id=each["name"])
        for each in cases
        if each["method"] in methods and name_of(each) not in ELSEWHERE
    ]


def name_of(case: dict[str, Any]) -> str:
    return str(case["name"]).removeprefix("csv: ")


def read(case: dict[str, Any]) -> list[Any] | str:
    options = {OPTIONS[name]: value for name, value in case["options"].items() if name in OPTIONS}
    columns = case["args"][0] if case["method"] == "parseWithHeaders" else case["options"].get("columns")
    if isinstance(columns, list):
        options["columns"] = columns
    text = case["input"]
    data = base64.b64decode(text) if case.get("inputEncoding") == "base64" else text.encode()
    try:
        records = open_format("csv", **options).read(io.BytesIO(data), path="x.csv")
        names = records.columns or ()
        return [
            each.place.line if isinstance(each, BadRecord) else dict(zip(names, each, strict=True))
            for each in records
        ]
    except ParseError as exc:
        return str(exc)


@pytest.mark.parametrize("case", csv_cases("parse", "parseWithHeaders", "parseStreaming", "parseStream"))
def test_a_file_is_read_as_the_sdk_does_or_otherwise_for_a_reason(case: dict[str, Any]) -> None:
    ours = read(case)

    theirs: Any = case.get("output", case.get("error"))
    if case["method"] == "parseStreaming":
        theirs = list(chain.from_iterable(theirs))
    _, wanted = DIFFERENT.get(name_of(case), ("", theirs))
    assert (ours == wanted) if isinstance(wanted, list) else (wanted in ours)
    assert name_of(case) not in DIFFERENT or ours != theirs


@pytest.mark.parametrize("case", csv_cases("stringify"))
def test_a_file_is_written_as_the_sdk_does_or_otherwise_for_a_reason(case: dict[str, Any]) -> None:
    headers = case["options"].get("headers", False)
    columns = headers if isinstance(headers, list) else list(case["input"][0])
    stream = io.BytesIO()

    options = {"columns": columns, "header": bool(headers), "line_end": "\n", "extra": "ignore"}
    with open_writer("csv", **options).write(stream) as file:
        for record in case["input"]:
            file.write(record)

    _, wanted = DIFFERENT.get(name_of(case), ("", case["output"]))
    assert stream.getvalue().decode() == wanted


@pytest.mark.parametrize("case", csv_cases("validate"))
def test_required_columns_are_asked_for_as_the_sdk_does(case: dict[str, Any]) -> None:
    try:
        open_format("csv", required=case["options"]["requiredColumns"]).read(
            io.BytesIO(case["input"].encode()), path="x.csv"
        )
        found = []
    except ParseError as exc:
        found = [str(exc)]

    wanted = DIFFERENT.get(name_of(case), ("", case["output"]["errors"]))[1]
    assert len(found) == len(wanted)
