"""GraphQL schemas: read in every spelling, refused where they hold too little, and entities checked against them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import graphql
import pytest

from fc_connect.errors import ConfigurationError, GraphQLError
from fc_connect.fluent import Credentials, FluentClient
from fc_connect.mapping import (
    INTROSPECTION_QUERY,
    check_document,
    check_entity,
    describe_schema,
    load_schema,
    read_schema_file,
    schema_file_text,
)
from fc_connect.mapping.legacy_sdl import modernized
from fc_connect.mapping.schema import input_type, mutation_field
from fc_connect.sandbox import Sandbox
from tests.fluent_server import FluentServer, Reply, client_of
from tests.large_schema import INPUTS, MUTATIONS, TYPES, large_schema

SDL = """
scalar DateTime
enum Colour { RED GREEN BLUE }
input Key { ref: String! catalogue: Key }
input Line { sku: String! qty: Int! price: Float }
input CreateOrderInput {
  ref: String!
  id: ID
  colour: Colour
  colours: [Colour!]
  isGift: Boolean
  total: Float
  key: Key
  items: [Line!]!
  placedOn: DateTime
  source: String! = "WEB"
}
type Order { ref: String }
type Query { order(ref: String!): Order }
type Mutation { createOrder(input: CreateOrderInput!): Order }
"""
AT = datetime(2026, 1, 15, 4, tzinfo=UTC)
ORDER = {"ref": "R1", "items": [{"sku": "S", "qty": 1}]}


@pytest.fixture(scope="module")
def large() -> graphql.GraphQLSchema:
    return load_schema(large_schema())


@pytest.fixture(scope="module")
def orders() -> graphql.GraphQLSchema:
    return load_schema(SDL)


def introspected(sdl: str = SDL) -> dict[str, Any]:
    return dict(graphql.introspection_from_schema(graphql.build_schema(sdl)))


def reasons(schema: graphql.GraphQLSchema, entity: Any) -> dict[str, str]:
    return {each.field: each.reason for each in check_entity(schema, "CreateOrderInput", entity)}


# Reading


def test_a_schema_of_a_real_accounts_size_is_read_in_the_older_spelling(large: graphql.GraphQLSchema) -> None:
    described = describe_schema(large)

    assert described["inputs"] == INPUTS
    assert described["mutations"] == MUTATIONS
    assert described["types"] > 3 * TYPES + INPUTS
    assert described["faults"] == []
    thing = large.type_map["Thing7"]
    assert isinstance(thing, graphql.GraphQLObjectType)
    assert [each.name for each in thing.interfaces] == ["Node", "Orchestrateable"]
    assert thing.description == "Thing 7, with text: type A implements B, C."


@pytest.mark.parametrize(
    "wrap",
    [
        lambda data: {"data": data},
        lambda data: data,
        lambda data: data["__schema"],
        lambda data: {"data": data, "extensions": {"cost": 1}},
        lambda data: {"__schema": {k: v for k, v in data["__schema"].items() if k != "directives"}},
    ],
)
def test_an_introspection_is_read_in_every_wrapping(wrap: Any) -> None:
    schema = load_schema(wrap(introspected()))

    assert str(input_type(schema, "CreateOrderInput!").fields["items"].type) == "[Line!]!"


def test_an_introspection_of_a_large_schema_gives_the_same_schema(large: graphql.GraphQLSchema) -> None:
    data = graphql.introspection_from_schema(large)

    again = load_schema(dict(data))

    assert describe_schema(again) == describe_schema(large)
    assert again.type_map.keys() == large.type_map.keys()
    for each in (again, large):
        assert graphql.print_type(input_type(each, "CreateThing7Input")).count("!") == 3


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("type A implements B, C { a: Int }", "type A implements B &, C { a: Int }"),
        ("type A implements B C D { a: Int }", "type A implements B & C & D { a: Int }"),
        ("type A implements B & C { a: Int }", "type A implements B & C { a: Int }"),
        ("type A implements & B C { a: Int }", "type A implements & B & C { a: Int }"),
        ("type A implements B,C @d { a: Int }", "type A implements B &,C @d { a: Int }"),
        ("extend type A implements B, C", "extend type A implements B &, C"),
        ("type A implements B # , not, a list\ntype C", "type A implements B # , not, a list\ntype C"),
        ("type A implements B, type { a: Int }", "type A implements B &, type { a: Int }"),
        ("type A { implements: B, C: D }", "type A { implements: B, C: D }"),
        ('"type A implements B, C"\ntype A { a: Int }', '"type A implements B, C"\ntype A { a: Int }'),
        ("# type A implements B, C\nscalar D", "# type A implements B, C\nscalar D"),
    ],
)
def test_only_interfaces_in_the_older_spelling_are_rewritten(older: str, newer: str) -> None:
    assert modernized(older) == newer


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("", "empty"),
        ("  # nothing\n", "isn't GraphQL"),
        ("type Query {}", "line 1, column 13"),
        ("type Query { a: Thing }", "Unknown type 'Thing'"),
        ("type Query { a: Int } type A implements B { a: Int }", "Unknown type 'B'"),
        ("input A { a: Int }", "no Query type"),
        ("query { a }", "no Query type"),
        ("{" * 100_000, "isn't GraphQL|nested too deeply"),
        ({}, "no introspection"),
        ({"data": None}, "no introspection"),
        ({"data": {"__schema": None}}, "no introspection"),
        ({"data": {"__schema": {"queryType": {"name": "Query"}, "types": []}}}, "no introspection"),
        ({"data": {"__schema": {"types": [{"kind": "SCALAR", "name": "Int"}]}}}, "incomplete"),
        ({"errors": [{"message": "no access"}], "data": None}, "no access"),
    ],
)
def test_a_schema_that_holds_too_little_is_refused(source: Any, expected: str) -> None:
    with pytest.raises(ConfigurationError, match=expected):
        load_schema(source)


def test_an_introspection_that_was_cut_short_is_refused() -> None:
    data = introspected()
    for each in data["__schema"]["types"]:
        if each["name"] == "CreateOrderInput":
            each["inputFields"] = []

    with pytest.raises(ConfigurationError, match="CreateOrderInput has no fields"):
        load_schema(data)


def test_a_name_that_isnt_there_is_told_with_the_nearest(orders: graphql.GraphQLSchema) -> None:
    with pytest.raises(ConfigurationError, match="Did you mean CreateOrderInput"):
        input_type(orders, "CreateOrdrInput")
    with pytest.raises(ConfigurationError, match="Did you mean createOrder"):
        mutation_field(orders, "createOrders")
    with pytest.raises(ConfigurationError, match="another kind of type"):
        input_type(orders, "Order")


def test_documents_are_checked_with_their_place(orders: graphql.GraphQLSchema) -> None:
    good = "mutation M($input: CreateOrderInput!) { createOrder(input: $input) { ref } }"

    assert check_document(orders, good) == []
    assert [each.partition(": ")[0] for each in check_document(orders, "{ order }")] == [
        "line 1, column 3"
    ] * 2
    assert "Syntax Error" in check_document(orders, "{ order ")[0]


# Files


@pytest.mark.parametrize("as_json", [False, True])
def test_a_file_remembers_when_and_from_where_it_was_fetched(tmp_path: Path, as_json: bool) -> None:
    path = tmp_path / "schema.graphql"
    path.write_text(
        schema_file_text(introspected(), fetched_at=AT, fetched_from="https://acme.test", as_json=as_json)
    )

    kept = read_schema_file(path)

    assert (kept.fetched_at, kept.fetched_from) == (AT, "https://acme.test")
    assert kept.age(now=AT + timedelta(hours=2)) == timedelta(hours=2)
    assert kept.age(now=AT - timedelta(hours=2)) == timedelta(0)
    assert "CreateOrderInput" in kept.schema.type_map


def test_a_file_of_another_tool_has_no_age(tmp_path: Path) -> None:
    path = tmp_path / "schema.json"
    path.write_text(json.dumps(introspected()))

    kept = read_schema_file(path)

    assert kept.fetched_at is None
    assert kept.age(now=AT) is None


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[1]", b'{"a":', b'{"data": {}}', b"hello"])
def test_a_file_that_is_no_schema_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "odd.graphql"
    path.write_bytes(content)

    with pytest.raises(ConfigurationError, match=r"odd\.graphql"):
        read_schema_file(path)


def test_a_schema_that_holds_too_little_is_not_kept() -> None:
    with pytest.raises(ConfigurationError):
        schema_file_text({"__schema": {"types": []}}, fetched_at=AT, fetched_from="x")


# Fetching


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as running:
        yield running


def test_the_sandbox_answers_with_its_schema(sandbox: Sandbox) -> None:
    login = Credentials(client_id="a", client_secret="b")
    with FluentClient(base_url=sandbox.url, auth=login) as client:
        schema = load_schema(client.graphql(INTROSPECTION_QUERY))

    assert describe_schema(schema)["faults"] == []
    assert str(mutation_field(schema, "createOrder").args["input"].type) == "CreateOrderInput"


def test_an_answer_with_errors_is_no_schema() -> None:
    with FluentServer() as server, client_of(server) as client:
        server.replies.append(Reply(body={"data": introspected(), "errors": [{"message": "half of it"}]}))

        with pytest.raises(GraphQLError, match="half of it"):
            client.graphql(INTROSPECTION_QUERY)


# Entities


def test_an_entity_that_fits_has_no_faults(orders: graphql.GraphQLSchema) -> None:
    entity = {
        **ORDER,
        "id": 5,
        "colour": "RED",
        "colours": ["RED", "BLUE"],
        "isGift": False,
        "total": Decimal("5.10"),
        "key": {"ref": "a", "catalogue": {"ref": "b", "catalogue": None}},
        "placedOn": "2026-01-31T00:00:00Z",
    }

    assert check_entity(orders, "CreateOrderInput!", entity) == []


def test_a_value_stands_for_a_list_of_one(orders: graphql.GraphQLSchema) -> None:
    assert reasons(orders, {"ref": "R", "items": {"sku": "S", "qty": 1}, "colours": "RED"}) == {}


@pytest.mark.parametrize(
    ("change", "field", "reason"),
    [
        ({"ref": None}, "ref", "takes no null"),
        ({"ref": 5}, "ref", r"expected text \(String\)"),
        ({"id": 1.5}, "id", r"\(ID\)"),
        ({"colour": "red"}, "colour", "did you mean RED"),
        ({"colour": "PURPLE"}, "colour", "it has: RED, GREEN, BLUE"),
        ({"colour": ["RED"]}, "colour", "is no value of Colour"),
        ({"colours": ["RED", None]}, "colours[1]", "takes no null"),
        ({"isGift": "yes"}, "isGift", "true or false"),
        ({"total": "5.10"}, "total", r"expected a number \(Float\)"),
        ({"total": float("nan")}, "total", r"expected a number \(Float\)"),
        ({"total": True}, "total", r"expected a number \(Float\)"),
        ({"key": "K"}, "key", "expected an object of Key"),
        ({"key": {"ref": "a", "catalogue": {}}}, "key.catalogue.ref", "is missing"),
        ({"items": None}, "items", "takes no null"),
        ({"items": [{"sku": "S", "qty": 1}, {"sku": "S"}]}, "items[1].qty", "Line needs it"),
        ({"items": [{"sku": "S", "qty": "1"}]}, "items[0].qty", "whole number"),
        ({"items": [{"sku": "S", "qty": 5.0}]}, "items[0].qty", "whole number"),
        ({"items": [{"sku": "S", "qty": True}]}, "items[0].qty", "whole number"),
        ({"items": [{"sku": "S", "qty": 2**31}]}, "items[0].qty", "32 bits"),
        ({"items": [{"sku": "S", "qty": 1, "prise": 2.0}]}, "items[0].prise", "did you mean 'price'"),
        ({"zzz": 1}, "zzz", "no field of that name"),
        ({"source": None}, "source", "takes no null"),
    ],
)
def test_what_the_server_would_refuse_is_named(
    orders: graphql.GraphQLSchema, change: dict[str, Any], field: str, reason: str
) -> None:
    problems = check_entity(orders, "CreateOrderInput", {**ORDER, **change})

    assert [each.field for each in problems if re.search(reason, each.reason)] == [field]


def test_huge_numbers_and_endless_nesting_are_faults_and_no_crash(orders: graphql.GraphQLSchema) -> None:
    deep: dict[str, Any] = {"ref": "a"}
    for _ in range(5000):
        deep = {"ref": "a", "catalogue": deep}

    found = reasons(orders, {**ORDER, "key": deep, "total": 10**400})

    assert found.pop("total") == "is beyond a Float"
    assert list(found.values()) == ["is nested too deeply"]


def test_the_faults_of_one_entity_are_counted_to_a_hundred(orders: graphql.GraphQLSchema) -> None:
    entity = {"ref": "R", "items": [{} for _ in range(1000)]}

    assert len(check_entity(orders, "CreateOrderInput", entity)) == 100


def test_a_type_that_isnt_there_is_no_pass(orders: graphql.GraphQLSchema) -> None:
    with pytest.raises(ConfigurationError, match="no input type"):
        check_entity(orders, "Nothing", {})


def test_an_entity_is_checked_against_a_large_schema(large: graphql.GraphQLSchema) -> None:
    entity = {"ref": "a", "quantity": 1, "children": [{"ref": "b", "quantity": 2, "status": "GONE"}]}

    assert [each.field for each in check_entity(large, "CreateThing5Input", entity)] == ["children[0].status"]
