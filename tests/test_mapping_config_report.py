"""What is wrong with a mutation mapping, by the codes that users of the TypeScript SDK know."""

from __future__ import annotations

from typing import Any

import pytest

from fc_connect.errors import ConfigurationError
from fc_connect.mapping.mutation_config import assert_valid_config, validate_mapping_config
from tests.mapping_cases import cases_of, needs_cases

CASES = cases_of("validate_config")
VALID: dict[str, Any] = {
    "version": "1.0",
    "mutation": "createX",
    "sourceFormat": "json",
    "fields": {"a": {"source": "x"}},
    "returnFields": ["id"],
}


def codes(config: Any, **options: Any) -> list[str]:
    report = validate_mapping_config(config, **options)
    return [each.code for each in (*report.errors, *report.warnings)]


@needs_cases
@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_the_codes_are_those_of_the_original(case: dict[str, Any]) -> None:
    options = case["config"].get("options", {})

    report = validate_mapping_config(
        case["config"]["config"],
        strict=options.get("strict", False),
        validate_resolvers=options.get("validateResolvers", False),
        known_resolvers=options.get("knownResolvers", ()),
    )

    assert {
        "valid": report.valid,
        "errors": [[each.code, each.path] for each in report.errors],
        "warnings": [[each.code, each.path] for each in report.warnings],
    } == case["output"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"version": 1}, "VERSION_INVALID_TYPE"),
        ({"version": "one"}, "VERSION_NON_SEMVER"),
        ({"mutation": 5}, "MUTATION_INVALID_TYPE"),
        ({"mutation": ""}, "MUTATION_MISSING"),
        ({"mutation": "CreateX"}, "MUTATION_INVALID_FORMAT"),
        ({"sourceFormat": "csv"}, "SOURCE_FORMAT_INVALID"),
        ({"arguments": {"input": {"a": "x"}}}, "BOTH_FIELDS_AND_ARGUMENTS"),
        ({"fields": None, "arguments": {}}, "ARGUMENTS_EMPTY"),
        ({"fields": None, "arguments": {"input": 5}}, "ARGUMENT_INVALID"),
        ({"returnFields": "id"}, "RETURN_FIELDS_NOT_ARRAY"),
        ({"operationName": "lower"}, "OPERATION_NAME_INVALID_FORMAT"),
        ({"fields": {"a": 5}}, "FIELD_CONFIG_INCOMPLETE"),
        ({"fields": {"a": {"fields": {"b": {}}}}}, "FIELD_CONFIG_INCOMPLETE"),
        ({"fields": {"a": "path"}}, "FIELD_CONFIG_INCOMPLETE"),
        ({"fields": {"a": None}}, "FIELD_CONFIG_INCOMPLETE"),
        ({"fields": {"_a": {"source": ""}}}, "FIELD_CONFIG_INCOMPLETE"),
        ({"fields": ["path"]}, "FIELD_CONFIG_INCOMPLETE"),
        ({"fields": 5}, "FIELDS_OR_ARGUMENTS_MISSING"),
        ({"fields": None, "arguments": []}, "ARGUMENTS_EMPTY"),
        ({"fields": None, "arguments": {"a": "path"}}, "ARGUMENT_INVALID"),
        ({"returnFields": 0}, "RETURN_FIELDS_MISSING"),
        ({"nodes": {"n": []}}, "NODE_EXTRACT_MISSING"),
        ({"nodes": {"n": {"extract": "x", "unescape": None}}}, "NODE_UNESCAPE_INVALID_TYPE"),
        ({"nodes": {"n": {"extract": "x", "required": None}}}, "NODE_REQUIRED_INVALID_TYPE"),
        ({"nodes": {"n": {"extract": "x", "parse": []}}}, "NODE_PARSE_INVALID"),
    ],
)
def test_each_fault_has_its_code(change: dict[str, Any], code: str) -> None:
    assert codes({**VALID, **change}) == [code]


@pytest.mark.parametrize(
    "change",
    [
        {"fields": {"a": {"isArray": False}}},
        {"fields": {"a": {"nested": "x"}}},
        {"fields": {"a.": {"value": None}, "_b": {"source": "x"}}},
        {"fields": {"a": ["x"]}},
        {"fields": []},
        {"fields": None, "arguments": {"_x": 5, "a": []}},
        {"nodes": {"n": {"extract": "x", "parse": ""}}},
        {"nodes": 5},
        {"operationName": ""},
    ],
)
def test_what_the_original_lets_pass_passes(change: dict[str, Any]) -> None:
    assert codes({**VALID, **change}) == []


def test_a_blank_mutation_is_empty_and_no_name() -> None:
    assert codes({**VALID, "mutation": " "}) == ["MUTATION_EMPTY", "MUTATION_INVALID_FORMAT"]


def test_faults_come_in_the_order_of_the_original() -> None:
    field = {
        "value": 1,
        "source": "x",
        "resolver": 5,
        "fields": {"9": {"value": 1, "source": "y"}, "a..b": {}},
    }

    assert codes({**VALID, "fields": {"b": field, "2": {}}}) == [
        "FIELD_CONFIG_INCOMPLETE",
        "FIELD_RESOLVER_INVALID_TYPE",
        "FIELD_NAME_INVALID",
        "FIELD_CONFIG_INCOMPLETE",
        "FIELD_VALUE_AND_SOURCE",
        "FIELD_VALUE_AND_SOURCE",
    ]


def test_resolvers_are_checked_where_it_is_said_which_there_are() -> None:
    config = {**VALID, "fields": {"a": {"resolver": "sdk.zz"}}}

    assert codes(config, validate_resolvers=True) == []
    assert codes(config, validate_resolvers=True, known_resolvers=[]) == ["FIELD_RESOLVER_UNKNOWN"]


@pytest.mark.parametrize(
    ("root", "code"), [(None, "ROOT_NULL_OR_UNDEFINED"), ([], "ROOT_IS_ARRAY"), ("x", "ROOT_NOT_OBJECT")]
)
def test_what_is_no_mapping_at_all_has_one_fault(root: Any, code: str) -> None:
    assert codes(root) == [code]


def test_a_sound_mapping_has_none() -> None:
    assert codes(VALID) == []
    assert_valid_config(VALID, strict=True)


def test_strict_counts_warnings_as_errors() -> None:
    config = {**VALID, "returnFields": []}

    assert validate_mapping_config(config).valid
    assert not validate_mapping_config(config, strict=True).valid
    with pytest.raises(ConfigurationError, match="RETURN_FIELDS_EMPTY"):
        assert_valid_config(config, strict=True)


def test_a_resolver_that_is_not_known_comes_with_one_that_is_near() -> None:
    config = {**VALID, "fields": {"a": {"source": "x", "resolver": "sdk.trm"}}}

    [warning] = validate_mapping_config(
        config, validate_resolvers=True, known_resolvers=["sdk.trim"]
    ).warnings

    assert warning.to_dict()["recommendation"] == "Did you mean sdk.trim?"


def test_the_report_has_the_shape_of_the_original() -> None:
    report = validate_mapping_config({**VALID, "sourceFormat": "csv"}).to_dict()

    assert report["errors"] == [
        {
            "code": "SOURCE_FORMAT_INVALID",
            "message": "Must be one of xml, json, jsonl",
            "path": "sourceFormat",
            "value": "csv",
            "suggestions": ["xml", "json", "jsonl"],
        }
    ]
    assert report["summary"].keys() == {"totalErrors", "totalWarnings", "validationTime"}
