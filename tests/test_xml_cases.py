"""What the TypeScript SDK makes of XML, recorded by running it: the same here, or otherwise for a reason."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from fc_connect.errors import ParseError
from fc_connect.formats import open_format
from fc_connect.mapping import read_xml

CASES = Path(__file__).parents[2] / "shared" / "cases" / "parser_cases_given.json"

MALFORMED = "what isn't XML is refused with its place: what it was meant to be can't be known"
NO_DTD = "no document type of a file is obeyed"
NOTHING_FOUND = "a path that finds something else than records is told, not taken for an empty list"

DIFFERENT: dict[str, tuple[str, Any]] = {
    # A refused file stands as words of the error.
    "attributes off by default": (
        "attributes are always there; a mapping that doesn't read them loses nothing",
        {"r": {"a": {"#text": "x", "@k": "v"}, "@id": "1"}},
    ),
    "custom text key": ("one name for text, so that mappings can be shared", {"r": {"a": {"#text": "x", "@k": "v"}}}),
    "comment in CDATA destroyed": ("text stays text", {"r": {"a": "x<!-- y -->z"}}),
    "html entity not decoded": (MALFORMED, "undefined entity"),
    "undefined entity kept": (MALFORMED, "undefined entity"),
    "external entity": (NO_DTD, "document type"),
    "many DTD entity uses": (NO_DTD, "document type"),
    "DTD entity inside attribute": (NO_DTD, "document type"),
    "entities inside attribute": ("character references are read everywhere", {"r": {"#text": None, "@a": "x&y<A"}}),
    "lowercaseKeys": ("names stay as they are written", {"Root": {"ItemName": "x", "@ID": "1"}}),
    "unclosed tag": (MALFORMED, "mismatched tag"),
    "mismatched close": (MALFORMED, "mismatched tag"),
    "stray close": (MALFORMED, "not well-formed"),
    "two roots": (MALFORMED, "junk after document element"),
    "bare ampersand": (MALFORMED, "not well-formed"),
    "duplicate attribute": (MALFORMED, "duplicate attribute"),
    "less-than in text": (MALFORMED, "not well-formed"),
    "tag name starting with digit": (MALFORMED, "not well-formed"),
    "element named __proto__": ("a name like any other here", {"r": {"__proto__": {"x": 1}}}),
    "streaming dotted path unsupported": (NOTHING_FOUND, "found instead: r"),
    "selector missing": (NOTHING_FOUND, "found instead: r"),
    "streaming // wraps item": ("records have one shape, and the order of the file", [{"a": 1}, {"a": 2}]),
    "streaming scalar item lost": ("no record is left out", [{"#text": 5}]),
    "validate empty": (MALFORMED, "no element found"),
    "validate unclosed": (MALFORMED, "mismatched tag"),
    "validate ok": ("what is read is valid", {"r": {"a": 1}}),
}  # fmt: skip

ELSEWHERE = {"stringify wraps in root"}
"""A file of records has an element for each: see the writer's own tests."""


def xml_cases() -> list[Any]:
    if not CASES.exists():
        return []
    cases = [each for each in json.loads(CASES.read_text("utf-8")) if each["parser"] == "xml"]
    return [pytest.param(each, id=name) for each in cases if (name := name_of(each)) not in ELSEWHERE]


def name_of(case: dict[str, Any]) -> str:
    return str(case["name"]).removeprefix("xml: ")


def result(case: dict[str, Any]) -> Any:
    options = case["options"]
    is_guessed = options.get("parseNumbers", True)
    content = case["input"].encode()
    lists = options.get("arrayElements", [])
    records = options.get("itemPath") or next(iter(case.get("args", ())), None)
    if records is None and not lists and case["method"] != "parseStreaming":
        return read_xml(content, coerce=is_guessed)
    found = list(
        open_format(
            "xml",
            records=records or ("item" if case["method"] == "parseStreaming" else "*"),
            lists=lists,
            numbers="guess" if is_guessed else "text",
        ).read(io.BytesIO(content), path="x.xml")
    )
    # A document as a record is without the name of its root.
    return {next(iter(case["output"])): found[0]} if records is None and lists else found


@pytest.mark.skipif(not CASES.exists(), reason="the recorded cases aren't here")
@pytest.mark.parametrize("case", xml_cases())
def test_xml_is_read_as_the_typescript_sdk_reads_it_or_otherwise_for_a_reason(case: dict[str, Any]) -> None:
    _, expected = DIFFERENT.get(name_of(case), ("", case.get("output")))

    if isinstance(expected, str):
        with pytest.raises(ParseError, match=expected):
            result(case)
    else:
        assert result(case) == expected
