"""`compat: true`: the values that the TypeScript SDK gives, by its own outputs."""

from __future__ import annotations

import re
from typing import Any

import pytest

from fc_connect.mapping import ABSENT, UniversalMapper, compile_mapping, load_mapping
from fc_connect.mapping.xml_records import read_xml
from tests.mapping_cases import cases_of, decoded, needs_cases, same


def _throw(value: Any) -> Any:
    raise ValueError("boom")


def _reject(value: Any) -> Any:
    raise ValueError("async boom")


def _require(value: Any) -> Any:
    if value is ABSENT or value is None or value == "":
        raise ValueError("Required field missing: zz")
    return value


def _arguments(value: Any, data: Any, context: Any) -> Any:
    return {"value": "<undefined>" if value is ABSENT else value, "data": data, "context": context}


FIXTURES: dict[str, Any] = {
    "test.throw": _throw,
    "test.reject": _reject,
    "test.require": _require,
    "test.undefined": lambda value: ABSENT,
    "test.null": lambda value: None,
    "test.empty": lambda value: "",
    "test.zero": lambda value: 0,
    "test.args": _arguments,
    "test.async": lambda value: {"got": "<undefined>" if value is ABSENT else value},
    "test.fullName": lambda value, data: f"{data['first']} {data['last']}",
}

DIFFERENCES = {
    "resolver.bare_toString_hits_prototype": "a name of JavaScript's own is no resolver: the error says so",
}
"""Cases marked as defects of the original where ours gives something else, and why."""


@needs_cases
@pytest.mark.parametrize("case", cases_of("universal"), ids=lambda case: case["name"])
def test_a_recorded_case_of_the_original(case: dict[str, Any]) -> None:
    mapper = UniversalMapper(
        decoded(case["config"]),
        compat=True,
        resolvers=FIXTURES if case.get("fixtureResolvers") else None,
        context=decoded(case.get("context")),
    )

    result = mapper.map(decoded(case["input"])).to_dict()

    expected = case["output"]
    if case.get("jsSpecific"):  # the wording is the engine's
        result, expected = _without_wording(result), _without_wording(expected)
    if case["name"] not in DIFFERENCES:
        assert same(result, expected), (result, expected)


def _without_wording(output: dict[str, Any]) -> dict[str, Any]:
    errors = [
        re.sub(r"(Failed to map field '[^']*': )?.*", r"\1…", each) for each in output.get("errors", [])
    ]
    return {**output, **({"errors": errors} if errors else {})}


def test_a_list_of_resolvers_is_one_that_the_original_does_not_find() -> None:
    mapper = UniversalMapper(
        {"fields": {"a": {"source": "x", "resolver": ["sdk.trim", "sdk.uppercase"]}}}, compat=True
    )

    assert mapper.map({"x": "v"}).to_dict() == {
        "success": True,
        "data": {},
        "errors": ["Failed to map field 'a': Resolver 'sdk.trim,sdk.uppercase' not found"],
    }


def test_keys_that_the_original_does_not_know_change_nothing() -> None:
    field = {
        "source": "x",
        "when": {"source": "no"},
        "enum": [1],
        "lookup": 7,
        "validation": [],
        "comment": 1,
    }

    assert UniversalMapper({"compat": True, "fields": {"a": field}}).map({"x": 5}).data == {"a": 5}


def test_a_resolver_of_ones_own_may_stand_in_for_a_built_in_one() -> None:
    mapper = UniversalMapper(
        {"fields": {"a": {"source": "x", "resolver": "sdk.trim"}}},
        compat=True,
        resolvers={"sdk.trim": lambda value: "own"},
    )

    assert mapper.map({"x": " v "}).data == {"a": "own"}


def test_rows_of_a_file_are_mapped_by_the_names_of_their_columns() -> None:
    config = load_mapping(
        {"fields": {"a": {"source": "q", "resolver": "sdk.parseInt"}, "b": {"source": "no"}}}, compat=True
    )

    assert compile_mapping(config, columns=("p", "q"))(["1", "n/a"]) == {"a": 0}


@needs_cases
@pytest.mark.parametrize("case", cases_of("universal_xml"), ids=lambda case: case["name"])
def test_a_recorded_case_of_the_original_with_xml(case: dict[str, Any]) -> None:
    record = read_xml(case["input"], coerce=True)

    result = UniversalMapper(case["config"], compat=True).map(record).to_dict()

    assert same(result, case["output"]), (result, case["output"])
