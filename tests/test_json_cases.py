"""What the TypeScript SDK makes of JSON, recorded by running it: the same here, or otherwise for a reason."""

from __future__ import annotations

import io
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fc_connect.errors import ParseError
from fc_connect.formats import BadRecord, open_format, open_writer

CASES = Path(__file__).parents[2] / "shared" / "cases" / "parser_cases_given.json"

STRICT = "comments and commas at the end aren't JSON, and to strip them by patterns spoils text"
EXACT = "numbers keep every digit"
NO_GUESS = "which of two values is meant can't be told"
A_REJECT = "a bad line is a reject; nothing vanishes"
OBJECTS = "a record is an object"

DIFFERENT: dict[str, tuple[str, Any]] = {
    # Records, the reasons of bad ones, or words of the error.
    "trailing comma allowed": (STRICT, " (byte "),  # Python 3.13 says it otherwise, and points at the comma
    "trailing comma option corrupts strings": (STRICT, [{"a": "x,]"}]),
    "comments allowed": (STRICT, "expecting property name enclosed in double quotes, at '/'"),
    "comment option corrupts URL": (STRICT, [{"u": "http://x.com/a"}]),
    "duplicate keys last wins": (NO_GUESS, ["has the key 'a' twice in one object"]),
    "big integer loses precision": (EXACT, [{"id": 12345678901234567890}]),
    "16 digit id": (EXACT, [{"id": 9007199254740993}]),
    "decimal kept": (EXACT, [{"p": Decimal("1.10")}]),
    "1e400 becomes Infinity": (EXACT, [{"n": Decimal("1e400")}]),
    "__proto__ key": ("a name like any other", [{"__proto__": {"x": 1}, "a": 1}]),
    "dataPath hyphen key with index": ("records are a whole array", None),
    "parseDates iso": ("the mapping says what is a date", None),
    "schema type mismatch": ("what a record must hold is the mapping's to say", None),
    "schema nested": ("what a record must hold is the mapping's to say", None),
    "schema integer type never matches": ("what a record must hold is the mapping's to say", None),
    "jsonLines flag ignored by parse": ("the format is ndjson", [{"a": 1}, {"a": 2}]),
    "parseStreaming BOM not stripped": ("a mark is left out everywhere", ["is a number, not an object"]),
    "jsonLines bad line silently dropped": (A_REJECT, [{"a": 1}, "isn't JSON", {"a": 3}]),
    "jsonLines all bad": (A_REJECT, ["isn't JSON", "isn't JSON"]),
    "jsonLines dataPath per line": (
        "a line is a record; the mapping leads into it",
        [{"d": {"x": 1}}, {"d": {"x": 2}}],
    ),
    "jsonLines batchSize 0": (OBJECTS, ["is a number, not an object"] * 2),
    "validate ok": ("reading is validating", None),
    "validate syntax error": ("reading is validating", None),
    "validate depth counts braces in strings": ("text is no depth", [{"a": "[[["}]),
    "validate NaN inside string warns": ("text is no number", [{"a": "NaN"}]),
    "lone surrogate": ("it can't be sent on as UTF-8", ["has text with half a surrogate pair"]),
}


def cases() -> list[Any]:
    if not CASES.exists():
        return [pytest.param({}, marks=pytest.mark.skip(reason="../shared/cases isn't here"))]
    given = json.loads(CASES.read_text())
    return [pytest.param(case, id=case["name"]) for case in given if case["parser"] == "json"]


@pytest.mark.parametrize("case", cases())
def test_a_case_of_the_original_is_the_same_here_or_otherwise_for_a_reason(case: dict[str, Any]) -> None:
    reason, wanted = DIFFERENT.get(case["name"].removeprefix("json: "), ("", case.get("output")))
    if reason and wanted is None:
        return  # it isn't asked of a reader here
    if case["method"] == "stringify":
        assert _written(case["input"]) == wanted
        return

    found = _read(case)

    if "error" in case and not reason:
        assert isinstance(found, ParseError)
        assert found.line is not None
    elif isinstance(wanted, str):
        assert wanted in str(found)
    else:
        assert isinstance(found, list)
        for one, other in zip(found, wanted if isinstance(wanted, list) else [wanted], strict=True):
            assert one.reason.startswith(other) if isinstance(one, BadRecord) else repr(one) == repr(other)


def test_every_difference_is_one_of_a_case() -> None:
    names = {case.id.removeprefix("json: ") for case in cases() if case.id is not None}

    assert not names or names >= DIFFERENT.keys()


def _read(case: dict[str, Any]) -> list[Any] | ParseError:
    kind, options = "json", {"records": "$[*]" if case["method"] == "parseStreaming" else "$"}
    if case["options"].get("jsonLines"):
        kind, options = "ndjson", {}
    try:
        return list(open_format(kind, **options).read(io.BytesIO(case["input"].encode()), path="x"))
    except ParseError as exc:
        return exc


def _written(record: dict[str, Any]) -> str:
    stream = io.BytesIO()
    with open_writer("ndjson").write(stream) as file:
        file.write(record)
    return stream.getvalue().decode().rstrip("\n")
