"""The paths of the TypeScript SDK, compared with what it really gave."""

from __future__ import annotations

from typing import Any

import pytest

from fc_connect.mapping.compat_paths import PathResolutionError, UniversalPathResolver
from fc_connect.mapping.values import ABSENT
from tests.mapping_cases import cases_of, decoded, needs_cases, same

CASES = cases_of("json_path", "xml_path")


def outcome(source_format: Any, record: Any, path: str) -> Any:
    try:
        return UniversalPathResolver(source_format).resolve(record, path)
    except PathResolutionError as exc:
        return str(exc)


@needs_cases
@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_a_path_gives_what_the_original_gives(case: dict[str, Any]) -> None:
    resolver = UniversalPathResolver(case["kind"].removesuffix("_path"))

    found: Any
    try:
        found = resolver.resolve(decoded(case["input"]), case["config"]["path"])
    except PathResolutionError as exc:
        found = {"$error": "PathResolutionError", "message": str(exc)}

    assert same(found, case["output"])


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("items[0].sku", "A"),
        ("items.*.sku", ["A", "B"]),
        ("items[1abc].sku", "B"),
        ("m[0][1]", [1, 2]),  # the first index alone
        ("items[-1]", ABSENT),
        ("nothing[0]", ABSENT),
        ("nothing[*].x", ABSENT),
        ("s.length", 3),
    ],
)
def test_json_paths_have_their_own_rules(path: str, found: Any) -> None:
    record = {"items": [{"sku": "A"}, {"sku": "B"}], "m": [[1, 2], [3]], "nothing": None, "s": "str"}

    assert UniversalPathResolver("json").resolve(record, path) == found


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("m[0]['x']", [1, 2]),
        ("o['k']", 1),
        ("o['']", "Failed to resolve path: Invalid array index: ''"),
        ("o['k']['z']", "Failed to resolve path: Invalid array index: 'k']['z'"),
        ("m[*][0]", "Failed to resolve path: Invalid array index: *][0"),
        ("nope.a[x]", "Failed to resolve path: Invalid array index: x"),  # before anything is read
        ("m[*]x", ABSENT),  # the name of a key
        ("m[0]@id", ABSENT),
        ("m[0] ", ABSENT),
        ("m[ 1 ]", [3]),
    ],
)
def test_brackets_of_json_are_read_as_the_original_reads_them(path: str, found: Any) -> None:
    record = {"m": [[1, 2], [3]], "o": {"k": 1, "": 2}}

    assert outcome("json", record, path) == found


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("r@id@x", "7"),
        ("r@id.x", ABSENT),  # all behind the @ is the attribute's name
        ("r@id.i[x]", ABSENT),
        ("r.i.*@k", ["a", "b"]),
        ("r.i[k=b=c]", 12),
        ("r.i[*]@", [ABSENT, ABSENT]),
        ("r.i[0@k]", ABSENT),
        ("r.i['0']", "Failed to resolve path: Invalid array index: '0'"),
        ("r.one[k=a]", "Expected array for filter but got object"),
        ("r.i.0.0", "x"),  # an element stands for its text
        ("r.i.0.length", 3),
        ("r.i[*]", [{"#text": "xyz", "@k": "a"}, {"#text": 12, "@k": "b"}]),
        ("r.i.0", "xyz"),
        ("r.mixed", {"b": 1, "#text": "t"}),  # isn't its text, where there are children
    ],
)
def test_xml_paths_are_read_as_the_original_reads_them(path: str, found: Any) -> None:
    xml = '<r id="7"><i k="a">xyz</i><i k="b">12</i><one k="a"/><mixed>t<b>1</b></mixed></r>'

    assert outcome("xml", xml, path) == found


def test_xml_that_is_broken_is_a_fault_of_the_path() -> None:
    assert "Failed to parse XML string" in outcome("xml", "<r", "r")


def test_metadata_tell_of_the_value_as_javascript_would() -> None:
    resolver = UniversalPathResolver("json")
    record = {"a": [1], "n": None, "t": True, "x": 1.5}

    assert resolver.resolve_with_metadata(record, "a") == {
        "value": [1],
        "exists": True,
        "type": "array",
        "path": "a",
    }
    assert [resolver.get_type(record, path) for path in ("n", "t", "x", "zz", "a[0]")] == [
        "null",
        "boolean",
        "number",
        "undefined",
        "number",
    ]
    assert [resolver.exists(record, path) for path in ("n", "zz", "x[0]", "")] == [True, False, False, False]


def test_a_column_is_found_whatever_its_name() -> None:
    assert UniversalPathResolver("csv").resolve({"a.b": "1"}, "a.b") == "1"


def test_xml_is_read_from_text_or_from_a_record() -> None:
    resolver = UniversalPathResolver("xml")

    assert resolver.resolve("<o><n>012</n></o>", "o.n") == 12
    assert resolver.resolve({"o": {"#text": "x", "@a": "1"}}, "o") == "x"
    assert resolver.resolve({"@a": "1"}, "@a") == "1"


def test_xml_that_is_broken_is_an_error_of_the_path() -> None:
    resolver = UniversalPathResolver("xml")

    with pytest.raises(PathResolutionError, match="mismatched tag"):
        resolver.resolve("<o></n>", "o")
    assert not resolver.exists("<o></n>", "o")
