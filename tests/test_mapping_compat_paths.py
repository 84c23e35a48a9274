"""The paths of the TypeScript SDK, compared with what it really gave."""

from __future__ import annotations

from typing import Any

import pytest

from fc_connect.mapping.compat_paths import PathResolutionError, UniversalPathResolver
from fc_connect.mapping.values import ABSENT
from tests.mapping_cases import cases_of, decoded, needs_cases, same

CASES = cases_of("json_path", "xml_path")


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
