"""A mapping against the type that takes its entities: what is missing, what can't be right, and how much is covered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import graphql
import pytest

from fc_connect.errors import ConfigurationError
from fc_connect.mapping import (
    Expectation,
    Finding,
    Inspection,
    check_fit,
    coverage_of,
    input_type,
    inspect_mapping,
    load_schema,
    outline_of,
)
from tests.large_schema import INPUTS, large_schema

SDL = """
scalar DateTime
enum Colour { RED GREEN }
input Key { ref: String! catalogue: Key }
input Line { sku: String! qty: Int! price: Float colour: Colour parent: Line }
input Address { ref: String! city: String }
input CreateOrderInput {
  "Its own name."
  ref: String!
  total: Float
  isGift: Boolean
  placedOn: DateTime
  colour: Colour = RED
  key: Key!
  address: Address
  lines: [Line!]
  tags: [String]
}
type Customer { ref: String email: String }
type Line2 { sku: String }
type LineConnection { edges: [LineEdge] }
type LineEdge { node: Line2 }
type Order { ref: String! status: String customer: Customer lines(first: Int): LineConnection one(id: ID!): Line2 }
type Query { order(ref: String!): Order }
type Mutation { createOrder(input: CreateOrderInput!, dry: Boolean, token: ID!): Order }
"""
GOOD: dict[str, Any] = {
    "ref": {"source": "no", "required": True},
    "key": {"fields": {"ref": {"source": "k", "required": True}}},
}


@pytest.fixture(scope="module")
def schema() -> graphql.GraphQLSchema:
    return load_schema(SDL)


def fit(schema: graphql.GraphQLSchema, fields: dict[str, Any], **options: Any) -> Any:
    outline = outline_of({"fields": fields})
    return check_fit(outline.roots[""], input_type(schema, "CreateOrderInput"), **options)


def found(schema: graphql.GraphQLSchema, fields: dict[str, Any], **options: Any) -> dict[str, Finding]:
    """Return what was found by path, unmapped optional fields aside."""
    findings = fit(schema, fields, **options).findings
    return {each.path: each for each in findings if each.code != "OPTIONAL_FIELD_MISSING"}


def inspected(folder: Path, content: dict[str, Any], **options: Any) -> Inspection:
    path = folder / "m.json"
    path.write_text(json.dumps(content))
    return inspect_mapping(path, Expectation(**options))


# Fit


def test_a_mapping_that_fits_has_warnings_for_optional_fields_alone(schema: graphql.GraphQLSchema) -> None:
    findings = fit(schema, GOOD).findings

    assert {each.code for each in findings} == {"OPTIONAL_FIELD_MISSING"}
    assert {each.severity for each in findings} == {"warning"}
    assert [each.path for each in findings] == [
        "total",
        "isGift",
        "placedOn",
        "colour",
        "key.catalogue",
        "address",
        "lines",
        "tags",
    ]


@pytest.mark.parametrize(
    "fields",
    [
        {"ref": {"source": "no", "required": True}, "key.ref": {"source": "k", "required": True}},
        {"ref": {"source": "no", "required": True}, "key": {"source": "whole"}},
        {"ref": {"value": "R"}, "key": {"value": {"ref": "K"}}},
    ],
    ids=["dots", "an object taken whole", "constants"],
)
def test_every_way_to_write_a_target_counts(schema: graphql.GraphQLSchema, fields: dict[str, Any]) -> None:
    assert found(schema, fields) == {}


@pytest.mark.parametrize(
    ("fields", "path", "code", "said"),
    [
        ({"ref": None}, "ref", "REQUIRED_FIELD_MISSING", "CreateOrderInput needs it (String!)"),
        ({"key": None}, "key", "REQUIRED_FIELD_MISSING", "needs it (Key!)"),
        ({"key": None}, "key.ref", "REQUIRED_FIELD_MISSING", "Key needs it"),
        ({"key": {"fields": {"catalogue.ref": {"source": "c"}}}}, "key.ref", "REQUIRED_FIELD_MISSING", "Key"),
        ({"address.city": {"source": "c"}}, "address.ref", "REQUIRED_FIELD_MISSING", "Address needs it"),
        ({"reff": {"source": "r"}}, "reff", "UNKNOWN_FIELD", "did you mean ref?"),
        ({"key.reff": {"source": "r"}}, "key.reff", "UNKNOWN_FIELD", "did you mean ref?"),
        ({"zzz": {"source": "r"}}, "zzz", "UNKNOWN_FIELD", "it has: ref, total"),
        ({"ref": {"value": None}}, "ref", "VALUE_INVALID", "takes no null"),
        ({"colour": {"value": "BLUE"}}, "colour", "VALUE_INVALID", "is no value of Colour"),
        ({"colour": {"source": "c", "defaultValue": "BLUE"}}, "colour", "VALUE_INVALID", "defaultValue"),
        ({"total": {"value": "5"}}, "total", "VALUE_INVALID", "expected a number"),
        ({"key": {"value": {"reff": "K"}}}, "key.ref", "VALUE_INVALID", "is missing"),
        (
            {
                "address": {
                    "source": "a",
                    "isArray": True,
                    "fields": {"ref": {"source": "r", "required": True}},
                }
            },
            "address",
            "NOT_A_LIST",
            "list",
        ),
        ({"total.a": {"source": "t"}}, "total", "NOT_AN_OBJECT", "has none"),
        ({"lines.sku": {"source": "s"}}, "lines", "LIST_EXPECTED", "isArray"),
        ({"ref": {"source": "no"}}, "ref", "REQUIRED_NOT_MARKED", "mark it required"),
        (
            {"ref": {"source": "no", "required": True, "resolver": "sdk.parseInt"}},
            "ref",
            "TYPE_MISMATCH",
            "gives Int",
        ),
        ({"total": {"source": "t", "resolver": "sdk.boolean"}}, "total", "TYPE_MISMATCH", "gives Boolean"),
        ({"total": {"source": "t", "resolver": "toString"}}, "total", "TYPE_MISMATCH", "gives String"),
        (
            {"isGift": {"source": "t", "resolver": ["sdk.boolean", {"name": "sdk.toString"}]}},
            "isGift",
            "TYPE_MISMATCH",
            "gives String",
        ),
        ({"colour": {"source": "t", "resolver": "sdk.number"}}, "colour", "TYPE_MISMATCH", "is an enum"),
        ({"total": {"source": "TODO: which?"}}, "total", "TODO", "waits for your decision: TODO: which?"),
        ({"total": {"source": "t", "comment": "Float; TODO: comma?"}}, "total", "TODO", "TODO: comma?"),
    ],
)
def test_what_does_not_fit_is_told(
    schema: graphql.GraphQLSchema, fields: dict[str, Any], path: str, code: str, said: str
) -> None:
    given = {name: each for name, each in {**GOOD, **fields}.items() if each is not None}

    finding = found(schema, given)[path]

    assert (finding.code, said in finding.message) == (code, True), finding


def test_fields_of_list_items_are_checked(schema: graphql.GraphQLSchema) -> None:
    items = {"source": "lines", "isArray": True, "fields": {"sku": {"source": "s", "required": True}}}

    assert list(found(schema, {**GOOD, "lines": items})) == ["lines[].qty"]


@pytest.mark.parametrize("resolver", ["sdk.parseInt", "sdk.parseFloat", "sdk.identity", "custom.own", None])
def test_a_resolver_that_may_fit_is_no_warning(schema: graphql.GraphQLSchema, resolver: str | None) -> None:
    assert found(schema, {**GOOD, "total": {"source": "t", "resolver": resolver}}) == {}


def test_text_for_a_number_needs_a_resolver(schema: graphql.GraphQLSchema) -> None:
    fields = {**GOOD, "total": {"source": "t"}, "isGift": {"value": True}, "placedOn": {"source": "d"}}

    assert found(schema, fields) == {}
    assert found(schema, fields, is_text_source=True)["total"].code == "RESOLVER_MISSING"


def test_an_input_that_holds_itself_is_followed_as_far_as_the_mapping_goes(
    schema: graphql.GraphQLSchema,
) -> None:
    deep = {f"key{'.catalogue' * depth}.ref": {"source": "x", "required": True} for depth in range(20)}

    result = fit(schema, {"ref": {"value": "R"}, **deep})

    assert [each.path for each in result.findings if each.severity == "error"] == []
    assert f"key{'.catalogue' * 20}" in [each.path for each in result.findings]


def test_inputs_that_demand_themselves_come_to_an_end() -> None:
    circle = load_schema("input A { b: B! } input B { a: A! } type Query { a(a: A): Int }")
    root = outline_of({"fields": {"x": {"source": "y"}}}).roots[""]

    result = check_fit(root, input_type(circle, "A"))

    assert [each.path for each in result.findings] == ["b", "b.a", "x"]


# Coverage


def test_nested_fields_count_where_the_object_is_required_or_mapped(schema: graphql.GraphQLSchema) -> None:
    result = fit(schema, {**GOOD, "address.city": {"source": "c"}})

    coverage = coverage_of(result.fields, file="m.json", operation="createOrder")

    assert coverage.to_dict() == {
        "file": "m.json",
        "operation": "createOrder",
        "direction": "ingest",
        "totalFields": 13,
        "requiredFields": 4,
        "optionalFields": 9,
        "mappedFields": 5,
        "mappedRequired": 3,
        "mappedOptional": 2,
        "missingRequired": [
            {"name": "address.ref", "type": "String!", "required": True, "mapped": False, "description": ""}
        ],
        "missingOptional": [
            {"name": name, "type": kind, "required": False, "mapped": False, "description": ""}
            for name, kind in (
                ("total", "Float"),
                ("isGift", "Boolean"),
                ("placedOn", "DateTime"),
                ("colour", "Colour"),
                ("key.catalogue", "Key"),
                ("lines", "[Line!]"),
                ("tags", "[String]"),
            )
        ],
        "coveragePercent": 38,
        "requiredCoveragePercent": 75,
        "optionalCoveragePercent": 22,
    }


def test_what_waits_for_a_person_is_not_covered(schema: graphql.GraphQLSchema) -> None:
    coverage = coverage_of(fit(schema, {**GOOD, "ref": {"source": "TODO: which?"}}).fields)

    assert [each["name"] for each in coverage.to_dict()["missingRequired"]] == ["ref"]


def test_a_percentage_says_all_only_where_it_is_all() -> None:
    inputs = "\n".join(f"f{n}: Int" for n in range(1000))
    wide = load_schema(f"input Wide {{ {inputs} }} type Query {{ a(w: Wide): Int }}")
    root = outline_of({"fields": {f"f{n}": {"value": 1} for n in range(999)}}).roots[""]

    coverage = coverage_of(check_fit(root, input_type(wide, "Wide")).fields)

    assert coverage.to_dict()["coveragePercent"] == 99
    assert coverage.to_dict()["requiredCoveragePercent"] == 100


# Files


def test_a_file_says_which_type_it_is_for(tmp_path: Path, schema: graphql.GraphQLSchema) -> None:
    flat = {"ref": {"source": "no", "required": True}, "key.ref": {"source": "k", "required": True}}

    by_file = inspected(tmp_path, {"fields": flat, "metadata": {"type": "CreateOrderInput"}}, schema=schema)
    by_option = inspected(tmp_path, {"fields": flat}, schema=schema, type_name="CreateOrderInput!")

    assert (by_file.against, by_file.errors) == ("CreateOrderInput", [])
    assert (by_option.against, by_option.errors) == ("CreateOrderInput", [])
    with pytest.raises(ConfigurationError, match="doesn't say which type"):
        inspected(tmp_path, {"fields": flat}, schema=schema)
    with pytest.raises(ConfigurationError, match="Did you mean CreateOrderInput"):
        inspected(tmp_path, {"fields": flat}, schema=schema, type_name="CreateOrderInputs")


def test_without_a_schema_only_the_format_is_checked(tmp_path: Path) -> None:
    good = inspected(tmp_path, {"fields": {"a": {"source": "b"}}})
    bad = inspected(tmp_path, {"fields": {"a": {"source": "b", "resolver": "sdk.parseInteger"}}})

    assert (good.against, good.findings) == ("", [])
    assert [(each.path, each.code) for each in bad.errors] == [("a", "FORMAT")]
    assert "sdk.parseInt" in bad.errors[0].message


def test_columns_and_resolvers_of_ones_own_are_looked_for(tmp_path: Path) -> None:
    content = {"fields": {"a": {"source": "colour"}, "b": {"source": "size", "resolver": "custom.size"}}}

    missing = inspected(tmp_path, content, columns=["color", "size"])
    there = inspected(tmp_path, content, columns=["colour", "size"], resolvers={"custom.size": str})

    assert ["color" in each.message or "custom.size" in each.message for each in missing.errors] == [
        True,
        True,
    ]
    assert there.errors == []


def test_batches_of_inventory_are_known_without_a_schema(tmp_path: Path) -> None:
    fields: dict[str, Any] = {
        "locationRef": {"source": "l", "required": True},
        "qty": {"source": "q", "required": True, "resolver": "sdk.parseInt"},
    }
    without_product = inspected(tmp_path, {"entityType": "INVENTORY", "fields": fields})
    fields["productRef"] = {"source": "p", "required": True}
    whole = inspected(tmp_path, {"fields": fields}, entity_type="inventory")

    assert [each.message for each in without_product.errors] == ["one of skuRef and productRef is needed"]
    assert whole.errors == []
    assert "skuRef" not in [each.path for each in whole.warnings]
    with pytest.raises(ConfigurationError, match="Known: INVENTORY"):
        inspected(tmp_path, {"fields": fields}, entity_type="ORDERS")


def test_the_arguments_of_a_mutation_are_held_against_it(
    tmp_path: Path, schema: graphql.GraphQLSchema
) -> None:
    argument = {
        "_type": "CreateOrderInput!",
        "ref": {"source": "no", "required": True},
        "key": {"ref": {"source": "k", "required": True}},
        "lines": {"source": "l", "isArray": True, "sku": "s", "colour": {"value": "PINK"}},
    }
    content = {
        "version": "1.0",
        "mutation": "createOrder",
        "sourceFormat": "json",
        "arguments": {"input": argument, "dri": {"_type": "Boolean", "source": "d"}},
        "returnFields": ["id"],
    }

    result = inspected(tmp_path, content, schema=schema)

    assert [(each.path, each.code) for each in result.errors] == [
        ("input.lines[].qty", "REQUIRED_FIELD_MISSING"),
        ("input.lines[].colour", "VALUE_INVALID"),
        ("dri", "UNKNOWN_ARGUMENT"),
        ("token", "REQUIRED_ARGUMENT_MISSING"),
    ]


def test_the_format_of_a_mutation_file_is_checked(tmp_path: Path) -> None:
    arguments = {
        "input": {
            "ref": {"source": "a", "resolver": "sdk.parseInteger"},
            "at": {"source": "b", "resolver": {"name": "sdk.parseDate", "format": "%d/%m/%Y"}},
            "env": {"value": "${ANY_NAME}"},
        }
    }
    content = {
        "mutation": "createOrder",
        "sourceFormat": "json",
        "arguments": arguments,
        "returnFields": ["id"],
    }

    found = inspected(tmp_path, content)

    assert sorted((each.code, each.path) for each in found.errors) == [
        ("FORMAT", "arguments.input.ref"),
        ("VERSION_MISSING", "version"),
    ]
    content["sourceFormat"] = "csv"
    assert [each.code for each in inspected(tmp_path, content).errors] == [
        "VERSION_MISSING",
        "SOURCE_FORMAT_INVALID",
    ]


def test_a_mutation_that_is_not_there_is_no_pass(tmp_path: Path, schema: graphql.GraphQLSchema) -> None:
    content = {
        "version": "1.0",
        "mutation": "createOrders",
        "sourceFormat": "json",
        "arguments": {"input": {"ref": {"source": "a"}}},
    }

    with pytest.raises(ConfigurationError, match="Did you mean createOrder"):
        inspected(tmp_path, content, schema=schema)


def test_the_sources_of_an_extract_are_held_against_its_records(
    tmp_path: Path, schema: graphql.GraphQLSchema
) -> None:
    fields: dict[str, Any] = {
        "ref": {"source": "ref"},
        "email": {"source": "customer.emial"},
        "who": {"source": "customer"},
    }
    content = {"direction": "extract", "metadata": {"query": "orders", "type": "Order"}, "fields": fields}

    result = inspected(tmp_path, content, schema=schema)

    assert [(each.path, each.code) for each in result.findings] == [
        ("email", "UNKNOWN_SOURCE"),
        ("who", "SOURCE_IS_OBJECT"),
    ]
    assert "did you mean email?" in result.findings[0].message
    assert result.coverage.stats()["mappedFields"] == 2
    assert result.coverage.stats()["totalFields"] == 4  # one more needs an argument


def test_what_is_no_mapping_is_refused(tmp_path: Path) -> None:
    refused: list[dict[str, Any]] = [{}, {"fields": 5}, {"fields": []}]
    for content in refused:
        with pytest.raises(ConfigurationError, match="no mapping"):
            inspected(tmp_path, content)


def test_a_large_schema_is_no_hindrance() -> None:
    large = load_schema(large_schema())
    for number in range(INPUTS):
        root = outline_of({"fields": {"ref": {"value": "a"}, "children.ref": {"value": "b"}}}).roots[""]

        result = check_fit(root, input_type(large, f"CreateThing{number}Input"))

        assert [each.path for each in result.findings if each.severity == "error"] == [
            "quantity",
            "children[].quantity",
        ]
