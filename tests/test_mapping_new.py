"""A mapping to begin with: matched to a sample, complete, with TODO only where a person must decide."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from importlib import resources
from typing import Any

import graphql
import pytest

from fc_connect.errors import ConfigurationError
from fc_connect.mapping import (
    DraftOptions,
    FieldProfile,
    GraphQLMutationMapper,
    SourceProfiler,
    batch_entity_type,
    check_entity,
    check_fit,
    compile_mapping,
    draft_entity_file,
    draft_for_type,
    draft_mutation_file,
    draft_query_file,
    draft_sample_file,
    input_type,
    load_mapping,
    load_schema,
    operation_in,
    outline_of,
)
from fc_connect.mapping.draft import noun_of
from fc_connect.mapping.matching import best_matches
from tests.large_schema import large_schema

SDL = """
scalar DateTime
scalar Json
enum Kind { HD CC }
input AttributeInput { name: String! type: String! value: Json! }
input CatalogueKey { ref: String! }
input ItemInput { productRef: String! quantity: Int! price: Float attributes: [AttributeInput] }
input AddressInput { ref: String! street: String city: String latitude: Float! }
input CategoryKey { ref: String! parent: CategoryKey }
input CreateOrderInput {
  note: String
  ref: String!
  kind: Kind!
  isGift: Boolean
  placedOn: DateTime
  total: Float
  catalogue: CatalogueKey!
  address: AddressInput
  items: [ItemInput!]!
  category: CategoryKey
  tags: [String!]
}
type Order { id: ID! ref: String kind: Kind customer: Customer items(first: Int): ItemConnection
  notes: [Note] self: Order }
type Customer { email: String order: Order }
type Note { text: String }
type Item { sku: String }
type ItemConnection { edges: [ItemEdge] }
type ItemEdge { node: Item }
type OrderConnection { edges: [OrderEdge] }
type OrderEdge { node: Order }
type Query { orders(first: Int): OrderConnection order(ref: String!): Order }
type Mutation { createOrder(input: CreateOrderInput!): Order cancel(id: ID!, reason: String): Order }
"""


@pytest.fixture(scope="module")
def schema() -> graphql.GraphQLSchema:
    return load_schema(SDL)


def profiles(*records: dict[str, Any], is_flat: bool = True) -> list[FieldProfile]:
    profiler = SourceProfiler(is_flat=is_flat)
    for each in records:
        profiler.add(each)
    return profiler.fields


def stock(*records: dict[str, Any]) -> dict[str, Any]:
    expected = batch_entity_type("INVENTORY")
    draft = draft_for_type(expected, profiles(*records), is_flat=True)
    return draft_entity_file("stock", expected, draft, entity_type="INVENTORY", source_format="csv")


def sources(fields: dict[str, Any]) -> dict[str, str]:
    return {name: each["source"] for name, each in fields.items() if "source" in each}


def matched(
    column: str, field: str, type_name: str = "String", noun: str = "", value: Any = "x"
) -> str | None:
    found = best_matches({field: type_name}, profiles({column: value}), noun=noun).get(field)
    return None if found is None else found.confidence


# Matching


@pytest.mark.parametrize(
    ("column", "field", "confidence"),
    [
        ("productRef", "productRef", "sure"),
        ("PRODUCT_REF", "productRef", "sure"),
        ("Product Ref", "productRef", "sure"),
        ("sku", "productRef", "likely"),
        ("sku", "skuRef", "likely"),
        ("item_code", "productRef", "likely"),
        ("StockCode", "skuRef", "likely"),
        ("warehouse", "locationRef", "likely"),
        ("Store ID", "locationRef", "likely"),
        ("zip", "postcode", "likely"),
        ("postal_code", "postcode", "likely"),
        ("surname", "lastName", "likely"),
        ("last_name", "lastName", "sure"),
        ("EAN", "gtin", "likely"),
        ("EAN13", "skuRef", "a guess"),
        ("Plant", "locationRef", "likely"),
        ("colour", "productRef", None),
        ("stauts", "status", "a guess"),
        ("Order Status", "status", "a guess"),
        ("quantity", "inventoryId", None),
    ],
)
def test_columns_are_matched_by_name_and_meaning(column: str, field: str, confidence: str | None) -> None:
    assert matched(column, field) == confidence


@pytest.mark.parametrize(
    "column", ["qty", "Quantity", "on_hand", "stock", "SOH", "Quantity On Hand", "units"]
)
def test_quantities_have_many_names(column: str) -> None:
    assert matched(column, "qty", "Int", value="5") in {"sure", "likely"}


@pytest.mark.parametrize(
    ("value", "type_name", "fits"),
    [
        ("5", "Int", True),
        ("5.5", "Int", False),
        ("5.5", "Float", True),
        ("abc", "Int", False),
        ("", "Int", True),
        (5, "Int", True),
        (5.5, "Int", False),
        ("yes", "Boolean", True),
        ("maybe", "Boolean", False),
        ("31/01/2026", "DateTime", True),
        ("soon", "DateTime", False),
        ([1], "String", False),
    ],
)
def test_values_that_can_not_be_of_the_type_are_no_match(value: Any, type_name: str, fits: bool) -> None:
    assert (matched("size", "size", type_name, value=value) is not None) is fits


def test_a_code_of_the_thing_itself_is_its_ref() -> None:
    assert matched("store_code", "ref", noun="Location") == "likely"
    assert matched("store_code", "ref", noun="Product") is None


def test_a_column_that_is_guessed_at_serves_one_field() -> None:
    found = best_matches({"priceNet": "Float", "priceGross": "Float"}, profiles({"price": "1.5"}))

    assert [each.confidence for each in found.values()] == ["a guess"]


# A batch


def test_a_stock_file_has_its_mapping_without_a_schema() -> None:
    content = stock({"SKU": "A1", "Warehouse": "W1", "Qty On Hand": "5", "Colour": "red"})

    assert sources(content["fields"]) == {"locationRef": "Warehouse", "qty": "Qty On Hand", "skuRef": "SKU"}
    assert all(content["fields"][name]["required"] for name in ("locationRef", "qty", "skuRef"))
    assert content["fields"]["qty"]["resolver"] == "sdk.parseInt"
    assert content["fields"]["type"]["value"] == "LAST_ON_HAND"
    assert content["metadata"]["notRead"] == ["Colour"]
    assert "likely: Warehouse is another word for locationRef" in content["fields"]["locationRef"]["comment"]


def test_what_is_written_maps_the_sample() -> None:
    record = {"sku": "0012 ", "store": "007", "stock": " 5", "status": "ACTIVE", "type": "DELTA"}
    content = stock(record)

    mapper = compile_mapping(load_mapping(content), columns=list(record))

    assert mapper(list(record.values())) == {
        "locationRef": "007",
        "qty": 5,
        "skuRef": "0012",
        "status": "ACTIVE",
        "type": "DELTA",
    }
    assert not [
        each
        for each in check_fit(outline_of(content).roots[""], batch_entity_type("INVENTORY")).findings
        if each.severity == "error"
    ]


def test_only_what_a_person_must_decide_is_left_open() -> None:
    content = stock({"thing": "A1", "quantity": "5"})

    assert sources(content["fields"]) == {
        "locationRef": "TODO: path, or a constant as `value`",
        "qty": "quantity",
        "skuRef": "TODO: path, or a constant as `value`",
    }


def test_a_mapping_that_waits_for_a_person_does_not_run() -> None:
    content = stock({"thing": "A1", "quantity": "5"})

    with pytest.raises(ConfigurationError, match="TODO"):
        compile_mapping(load_mapping(content), columns=["thing", "quantity"])


def test_dates_and_numbers_are_read_as_they_are_written() -> None:
    fields = stock(
        {"sku": "A", "store": "S", "qty": "1", "expiry": "31.12.2026"},
        {"sku": "B", "store": "S", "qty": "2", "expiry": ""},
    )["fields"]

    assert fields["expiry"]["resolver"] == {"name": "sdk.parseDate", "format": "%d.%m.%Y"}
    assert fields["expiry"]["when"] == {"source": "expiry"}
    assert "left out where the source has none: 1 of 2" in fields["expiry"]["comment"]


def test_a_date_with_two_readings_waits_for_a_person() -> None:
    expected = batch_entity_type("INVENTORY")

    draft = draft_for_type(
        expected, profiles({"sku": "A", "store": "S", "qty": "1", "expiry": "01/02/2026"}), is_flat=True
    )

    assert draft.todos == ["expiry"]
    assert "TODO: date, DD/MM/YYYY or MM/DD/YYYY" in draft.fields["expiry"]["comment"]


def test_gaps_in_a_required_column_are_told() -> None:
    fields = stock({"sku": "A", "store": "S", "qty": "1"}, {"sku": "B", "store": "S", "qty": ""})["fields"]

    assert "1 of 2 have none, and will be rejected" in fields["qty"]["comment"]


# An input type


ORDER = {
    "orderNumber": "O1",
    "kind": "HD",
    "placed_on": "2026-01-31",
    "total": 5.5,
    "note": None,
    "address": {"street": "1 High St", "town": "Leeds", "lat": 53.8},
    "lines": [{"sku": "A", "qty": "2"}, {"sku": "B", "qty": "1", "price": 1.5}],
}


def order_draft(schema: graphql.GraphQLSchema, seen: Sequence[FieldProfile] | None, **options: Any) -> Any:
    return draft_for_type(input_type(schema, "CreateOrderInput"), seen, options=DraftOptions(**options))


def test_objects_and_lists_of_a_sample_become_fields(schema: graphql.GraphQLSchema) -> None:
    draft = order_draft(schema, profiles(ORDER, is_flat=False))

    assert list(draft.fields)[:4] == ["ref", "kind", "catalogue", "items"]  # what is required comes first
    items = draft.fields["items"]
    assert (items["source"], items["isArray"], items["required"]) == ("lines", True, True)
    assert sources(items["fields"]) == {"productRef": "sku", "quantity": "qty", "price": "price"}
    assert items["fields"]["price"]["when"] == {"source": "price"}
    address = draft.fields["address"]
    assert address["source"] == "address"
    assert sources(address["fields"]) == {
        "ref": "TODO: path, or a constant as `value`",
        "latitude": "lat",
        "street": "street",
        "city": "town",
    }
    assert draft.fields["ref"]["source"] == "orderNumber"
    assert draft.fields["placedOn"]["resolver"] == "sdk.parseDate"
    assert draft.todos == ["catalogue.ref", "address.ref"]
    assert draft.unmapped == ["items[].attributes", "isGift", "category", "tags"]


def test_optional_text_is_not_made_empty_where_it_is_absent(schema: graphql.GraphQLSchema) -> None:
    draft = order_draft(schema, profiles({"note": "x", "ref": "R"}, {"ref": "S"}, is_flat=False))

    assert draft.fields["note"] == {
        "source": "note",
        "comment": "String, optional; sure: the same name; such as x",
    }
    assert draft.fields["ref"]["resolver"] == "sdk.toString"


def test_columns_of_one_row_fill_nested_objects_by_their_names(schema: graphql.GraphQLSchema) -> None:
    seen = profiles({"ref": "R", "catalogue_ref": "C", "kind": "HD", "city": "Leeds", "name": "x"})

    draft = draft_for_type(input_type(schema, "CreateOrderInput"), seen, is_flat=True)

    assert sources(draft.fields["catalogue"]["fields"]) == {"ref": "catalogue_ref"}
    assert "source" not in draft.fields["catalogue"]
    assert sources(draft.fields["address"]["fields"])["city"] == "city"
    assert "address.ref" in draft.todos


def test_a_guess_is_no_reason_to_fill_an_optional_field(schema: graphql.GraphQLSchema) -> None:
    seen = profiles({"ref": "R", "kind": "HD", "grand total": "5"})

    draft = draft_for_type(input_type(schema, "CreateOrderInput"), seen, is_flat=True)

    assert "total" not in draft.fields
    assert draft.maybe == {"total": "grand total"}


def test_without_a_sample_every_field_is_written_required_ones_first(schema: graphql.GraphQLSchema) -> None:
    draft = order_draft(schema, None, source_prefix="Order.")

    assert list(draft.fields)[:4] == ["ref", "kind", "catalogue", "items"]
    assert draft.fields["ref"] == {
        "source": "TODO: path of Order.ref",
        "required": True,
        "resolver": "sdk.toString",
        "comment": "String!, required",
    }
    resolvers = {name: each.get("resolver") for name, each in draft.fields.items()}
    assert resolvers["total"] == "sdk.parseFloat"
    assert resolvers["isGift"] == "sdk.boolean"
    assert resolvers["placedOn"] == "sdk.parseDate"
    assert draft.fields["kind"]["comment"] == "Kind!, required, one of HD, CC"
    assert draft.fields["items"]["isArray"] is True
    assert draft.fields["items"]["fields"]["quantity"]["resolver"] == "sdk.parseInt"


def test_optional_fields_may_be_left_out(schema: graphql.GraphQLSchema) -> None:
    draft = order_draft(schema, None, optional="none")

    assert list(draft.fields) == ["ref", "kind", "catalogue", "items"]
    assert "note" in draft.unmapped


def test_an_input_that_holds_itself_is_cut_with_a_note(schema: graphql.GraphQLSchema) -> None:
    draft = order_draft(schema, None, max_depth=20)

    assert list(draft.fields["category"]["fields"]) == ["ref"]
    assert "category.parent" in draft.unmapped
    assert draft.notes == [
        "category.parent: the fields of CategoryKey aren't written, because it holds itself"
    ]


def test_depth_is_limited_with_a_note(schema: graphql.GraphQLSchema) -> None:
    draft = order_draft(schema, None, max_depth=1, optional="none")

    assert draft.fields["items"]["source"] == "TODO: path of an object of ItemInput, or write its `fields`"
    assert draft.notes == [
        "catalogue: the fields of CatalogueKey aren't written, because the depth is limited to 1",
        "items: the fields of ItemInput aren't written, because the depth is limited to 1",
    ]


def test_a_needed_object_of_optional_fields_is_left_to_a_person() -> None:
    sdl = "input Sum { net: Float gross: Float } input A { sum: Sum! } type Query { a(a: A): Int }"
    expected = input_type(load_schema(sdl), "A")

    for options in (DraftOptions(optional="none"), DraftOptions(optional="matched")):
        draft = draft_for_type(expected, options=options)

        assert draft.todos == ["sum"]
        assert draft.fields["sum"]["source"] == "TODO: path of an object of Sum, or write its `fields`"


def test_a_large_schema_with_inputs_that_hold_themselves_is_drafted() -> None:
    large = load_schema(large_schema())

    draft = draft_for_type(input_type(large, "CreateThing0Input"), options=DraftOptions(max_depth=5))

    deep = draft.fields
    for _ in range(4):
        deep = deep["other"]["fields"]
    assert (deep["ref"]["required"], "other" in deep) == (True, False)
    assert {"children", "parent"} <= set(draft.unmapped)


@pytest.mark.parametrize(
    ("type_name", "noun"),
    [("CreateStandardProductInput", "StandardProduct"), ("UpdateOrderInput", "Order"), ("Key", "Key")],
)
def test_an_input_is_named_after_its_thing(type_name: str, noun: str) -> None:
    assert noun_of(type_name) == noun


def _all_inputs() -> list[Any]:
    sandbox = resources.files("fc_connect.sandbox") / "schema.graphql"
    types = load_schema(sandbox.read_text("utf-8")).type_map.values()
    return [each for each in types if isinstance(each, graphql.GraphQLInputObjectType)]


@pytest.mark.parametrize("expected", _all_inputs(), ids=lambda each: each.name)
@pytest.mark.parametrize("optional", ["all", "none", None])
def test_a_draft_lacks_nothing_but_decisions(expected: graphql.GraphQLInputObjectType, optional: Any) -> None:
    columns = dict.fromkeys(list(expected.fields)[::2], "x")
    for seen in (None, profiles(columns)):
        draft = draft_for_type(expected, seen, is_flat=True, options=DraftOptions(optional=optional))

        root = outline_of({"fields": draft.fields}).roots[""]
        errors = [each for each in check_fit(root, expected).findings if each.severity == "error"]
        assert {each.code for each in errors} <= {"TODO"}, errors
        assert {each.path for each in errors} <= set(draft.todos)


@pytest.mark.parametrize("name", ["createOrder", "createLocation", "updateOrder", "createVariantProduct"])
def test_a_drafted_mutation_can_be_used_as_soon_as_it_is_decided(name: str) -> None:
    text = (resources.files("fc_connect.sandbox") / "schema.graphql").read_text("utf-8")
    content, _ = draft_mutation_file(name, load_schema(text))
    decided = json.loads(re.sub(r"TODO: path of (?:the list )?", "", json.dumps(content)))

    mapper = GraphQLMutationMapper(decided, schema=load_schema(text))

    assert f"{name}(input: $input)" in mapper.query


# A mutation


def test_every_argument_of_a_mutation_is_written(schema: graphql.GraphQLSchema) -> None:
    content, draft = draft_mutation_file("cancel", schema)

    assert content == {
        "version": "1.0",
        "mutation": "cancel",
        "sourceFormat": "json",
        "arguments": {
            "id": {
                "_type": "ID!",
                "source": "TODO: path of id",
                "required": True,
                "resolver": "sdk.toString",
            },
            "reason": {"_type": "String", "source": "TODO: path of reason", "resolver": "sdk.toString"},
        },
        "returnFields": ["id", "ref"],
    }
    assert draft.todos == ["id", "reason"]


def test_every_variable_of_a_document_is_written(schema: graphql.GraphQLSchema) -> None:
    text = """mutation Place($token: ID!, $input: CreateOrderInput!, $all: [CatalogueKey!]) {
      createOrder(input: $input) { ref kind items(first: 1) { edges { node { sku } } } }
    }"""
    mutation, document = operation_in(text, "mutation")

    content, _ = draft_mutation_file(
        mutation, schema, profiles(ORDER, is_flat=False), document=document, source_format="json"
    )

    assert list(content["arguments"]) == ["token", "input", "all"]
    assert content["arguments"]["input"]["_type"] == "CreateOrderInput!"
    assert content["arguments"]["input"]["items"]["productRef"]["source"] == "sku"
    assert content["arguments"]["all"]["isArray"] is True
    assert content["returnFields"] == ["ref", "kind", "items(first: 1) { edges { node { sku } } }"]
    assert content["operationName"] == "Place"


def test_what_is_drafted_for_a_mutation_maps_records(schema: graphql.GraphQLSchema) -> None:
    content, _ = draft_mutation_file("createOrder", schema, profiles(ORDER, ORDER, is_flat=False))
    argument = content["arguments"]["input"]
    argument["catalogue"] = {"ref": {"value": "C:1"}}
    argument["address"]["fields"]["ref"] = "street"

    request = GraphQLMutationMapper(content, schema=schema).map(ORDER)

    assert request.variables["input"]["items"] == [
        {"productRef": "A", "quantity": 2},
        {"productRef": "B", "quantity": 1, "price": 1.5},
    ]
    assert request.variables["input"]["address"] == {
        "ref": "1 High St",
        "latitude": 53.8,
        "street": "1 High St",
        "city": "Leeds",
    }


def test_what_is_drafted_for_an_input_maps_records(schema: graphql.GraphQLSchema) -> None:
    draft = order_draft(schema, profiles(ORDER, ORDER, is_flat=False))
    draft.fields["catalogue"] = {"value": {"ref": "C:1"}}
    draft.fields["address"]["fields"]["ref"]["source"] = "street"

    entity = compile_mapping(load_mapping({"fields": draft.fields}), columns=None)(ORDER)

    assert check_entity(schema, "CreateOrderInput", entity) == []
    assert entity["items"][1] == {"productRef": "B", "quantity": 1, "price": 1.5}
    assert "price" not in entity["items"][0]


def test_options_of_resolvers_are_kept_in_a_mutation(schema: graphql.GraphQLSchema) -> None:
    record = {**ORDER, "placed_on": "31.01.2026"}
    content, _ = draft_mutation_file("createOrder", schema, profiles(record, is_flat=False))
    argument = content["arguments"]["input"]
    argument["catalogue"] = {"ref": {"value": "C:1"}}
    argument["address"]["fields"]["ref"] = "street"

    request = GraphQLMutationMapper(content, schema=schema).map(record)

    assert argument["placedOn"]["resolver"] == {"name": "sdk.parseDate", "format": "%d.%m.%Y"}
    assert request.variables["input"]["placedOn"] == "2026-01-31T00:00:00.000Z"


def test_names_that_are_settings_too_get_fields_of_their_own(schema: graphql.GraphQLSchema) -> None:
    content, _ = draft_mutation_file("createOrder", schema)

    attributes = content["arguments"]["input"]["items"]["attributes"]
    assert list(attributes["fields"]) == ["name", "type", "value"]
    outline = outline_of(content)
    assert "items[].attributes[].value" in [each.path for each in outline.targets()]


def test_a_mutation_without_a_schema_has_its_plain_variables(schema: graphql.GraphQLSchema) -> None:
    mutation, document = operation_in("mutation($id: ID!, $x: XInput) { cancel(id: $id) { id } }", "mutation")

    content, draft = draft_mutation_file(mutation, None, document=document)

    assert content["arguments"]["id"]["resolver"] == "sdk.toString"
    assert content["arguments"]["x"] == {"_type": "XInput", "source": "TODO: path of x"}
    assert draft.notes == ["$x: what XInput holds isn't known without a schema"]
    with pytest.raises(ConfigurationError, match="needs a schema"):
        draft_mutation_file("cancel", None)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("mutation {", "isn't GraphQL"),
        ("query { a }", "0 operations"),
        ("mutation { a } mutation B { b }", "2 operations"),
        ("mutation { ...f } fragment f on M { a }", "selects no field"),
        ("mutation " + "{ a" * 50_000, "isn't GraphQL|nested too deeply"),
    ],
)
def test_a_document_that_is_no_mutation_is_refused(text: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        operation_in(text, "mutation")


def test_a_type_that_the_schema_lacks_is_told(schema: graphql.GraphQLSchema) -> None:
    mutation, document = operation_in("mutation($id: Missing) { cancel(id: $id) { id } }", "mutation")

    with pytest.raises(ConfigurationError, match="no type 'Missing'"):
        draft_mutation_file(mutation, schema, document=document)


# A query


def test_a_query_gives_a_mapping_of_its_records(schema: graphql.GraphQLSchema) -> None:
    text = """{ orders(first: 5) { edges { node {
      id no: ref customer { email } items { edges { node { sku } } } notes { text } } } pageInfo { hasNextPage } } }"""
    query, document = operation_in(re.sub(r"pageInfo.*?}", "", text), "query")

    content, _ = draft_query_file("orders", query, schema, document=document)

    assert content["direction"] == "extract"
    assert content["metadata"] == {"query": "orders", "type": "Order"}
    assert sources(content["fields"]) == {
        "id": "id",
        "no": "no",
        "customerEmail": "customer.email",
        "items": "items",
        "notes": "notes",
    }
    assert content["fields"]["items"]["isArray"] is True
    assert content["fields"]["items"]["fields"] == {"sku": {"source": "sku", "comment": "String"}}


def test_a_query_by_name_gives_every_plain_value(schema: graphql.GraphQLSchema) -> None:
    content, draft = draft_query_file("orders", "orders", schema)

    assert sources(content["fields"]) == {
        "id": "id",
        "ref": "ref",
        "kind": "kind",
        "customerEmail": "customer.email",
    }
    assert [note.partition(":")[0] for note in draft.notes] == ["items", "notes"]


def test_a_query_that_is_not_there_is_told(schema: graphql.GraphQLSchema) -> None:
    with pytest.raises(ConfigurationError, match="no query 'order2'"):
        draft_query_file("x", "order2", schema)
    with pytest.raises(ConfigurationError, match=r"needs its \.graphql file"):
        draft_query_file("x", "orders", None)


# A sample alone


def test_a_sample_alone_is_carried_over(schema: graphql.GraphQLSchema) -> None:
    seen = profiles({"Unit Price": "1.5", "SKU": "007", "unit-price": "2", "When": "31/01/2026"})

    content, draft = draft_sample_file("x", seen, is_flat=True, source_format="csv")

    assert sources(content["fields"]) == {
        "unitPrice": "Unit Price",
        "sku": "SKU",
        "unitPrice2": "unit-price",
        "when": "When",
    }
    assert content["fields"]["sku"]["resolver"] == "sdk.toString"
    assert content["fields"]["when"]["resolver"] == {"name": "sdk.parseDate", "format": "%d/%m/%Y"}
    assert draft.todos == []


def test_nested_samples_keep_their_shape() -> None:
    content, _ = draft_sample_file("x", profiles(ORDER, is_flat=False), is_flat=False, source_format="json")

    lines = content["fields"]["lines"]
    assert (lines["source"], lines["isArray"]) == ("lines", True)
    assert sources(lines["fields"]) == {"sku": "sku", "qty": "qty", "price": "price"}
    assert sources(content["fields"]["address"]["fields"]) == {
        "street": "street",
        "town": "town",
        "lat": "lat",
    }
