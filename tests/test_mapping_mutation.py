"""Mutation mappings: the TypeScript SDK's results in compat mode, and none of its losses in strict mode."""

from __future__ import annotations

from typing import Any

import pytest
from graphql import build_schema, parse

from fc_connect.errors import ConfigurationError, FCConnectError, MappingError
from fc_connect.mapping.mutation import GraphQLMutationMapper
from fc_connect.mapping.values import ABSENT
from tests.mapping_cases import cases_of, decoded, needs_cases, same

ENVIRONMENT = {"FACTS_ENV_VAR": "from-env"}
CASES = cases_of("mutation_map", "batch_map")


def mapping(given: dict[str, Any] | None = None, /, **config: Any) -> dict[str, Any]:
    arguments = {} if given is None else {"arguments": {"input": given}}
    return {"version": "1.0", "mutation": "createX", "sourceFormat": "json", **arguments, **config}


def strict(given: dict[str, Any] | None = None, /, **config: Any) -> GraphQLMutationMapper:
    return GraphQLMutationMapper(mapping(given, **config))


def mapped(given: dict[str, Any], record: Any, **config: Any) -> Any:
    return strict(given, **config).map(record).variables["input"]


def faults(given: dict[str, Any], record: Any, **config: Any) -> dict[str, str]:
    with pytest.raises(MappingError) as refusal:
        strict(given, **config).map(record)
    return {problem.field: problem.reason for problem in refusal.value.problems}


# Compat mode


@needs_cases
@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_compat_mode_gives_what_the_original_gives(case: dict[str, Any]) -> None:
    found: Any
    try:
        mapper = GraphQLMutationMapper(decoded(case["config"]), compat=True, environment=ENVIRONMENT)
        run = mapper.map if case["kind"] == "mutation_map" else mapper.batch_map
        found = run(decoded(case["input"])).to_dict()
    except FCConnectError as exc:
        name = case["output"].get("$error")
        found = {"$error": name if name == "Error" else type(exc).__name__, "message": str(exc)}

    assert same(found, case["output"])


@pytest.mark.parametrize(
    ("transform", "value", "found"),
    [
        ("parseInt", "12abc", 12),
        ("parseFloat", "1.5kg", 1.5),
        ("toString", 5.0, "5"),
        ("toString", None, ""),
        ("toUpperCase", "ß", "SS"),
        ("toLowerCase", "AB", "ab"),
        ("trim", "\u00a0x ", "x"),
        ("toBoolean", "on", True),
        ("toBoolean", "no", False),
        ("toBoolean", 2, True),
        ("toISO8601", "2024-01-15", "2024-01-15T00:00:00.000Z"),
        ("toISO8601", "soon", "soon"),
        ("toDate", "soon", None),
        ("toDate", 0, None),
        ("toDate", True, None),
        ("toISO8601", 5, "2001-05-01T00:00:00.000Z"),
        ("toISO8601", 1705314600000, 1705314600000),
        ("toISO8601", False, False),
        ("toUpperCase", {"a": 1}, {"a": 1}),
        ("trim", 5, 5),
        ("noSuchThing", "x", "x"),
    ],
)
def test_compat_transforms_follow_javascript(transform: str, value: Any, found: Any) -> None:
    config = mapping({"q": {"source": "q", "transform": transform}})

    assert GraphQLMutationMapper(config, compat=True).map({"q": value}).variables == {"input": {"q": found}}


@pytest.mark.parametrize(
    ("field", "found"),
    [
        ({"source": "list", "isArray": True}, [{}, {}]),
        ({"source": "null", "isArray": True, "autoWrap": True, "x": "x"}, [{"x": ABSENT}]),
        ({"source": "list", "isArray": True, "defaultValue": 5}, [{"defaultValue": ABSENT}] * 2),
        ({"source": "one", "_nested": True, "x": "x", "y": "y"}, {"x": 1}),
    ],
)
def test_compat_lists_and_objects_are_filled_as_there(field: dict[str, Any], found: Any) -> None:
    record = {"list": [1, 2], "null": None, "one": {"x": 1}}

    request = GraphQLMutationMapper(mapping({"q": field}), compat=True).map(record)

    assert request.variables == {"input": {"q": found}}


def test_compat_leaves_an_object_out_whose_source_is_nothing_but_no_argument() -> None:
    config = {
        **mapping({"q": {"source": "zz", "_nested": True, "x": {"value": 1}}}),
        "sourceFormat": "JSON",
    }
    config["arguments"]["id"] = {"source": "zz"}

    assert GraphQLMutationMapper(config, compat=True).map({}).variables == {"input": {}, "id": ABSENT}


def test_compat_constants_read_the_variables_that_are_allowed_and_no_others() -> None:
    config = mapping(
        {"a": {"value": "${FACTS_ENV_VAR}"}, "b": {"value": "${PATH}"}, "c": {"value": "x${PATH}"}}
    )

    request = GraphQLMutationMapper(config, compat=True, environment=ENVIRONMENT).map({})

    assert request.variables == {"input": {"a": "from-env", "b": "${PATH}", "c": "x${PATH}"}}


def test_compat_items_have_every_key() -> None:
    config = mapping(
        {
            "items": {
                "source": "items",
                "isArray": True,
                "sku": "sku",
                "kind": {"value": "A"},
                "lots": {"source": "lots", "mapping": {"no": {"source": "n"}}},
                "qty": {"source": "qty", "transform": "parseInt", "defaultValue": 1},
            }
        }
    )

    request = GraphQLMutationMapper(config, compat=True).map({"items": [{"lots": [{"n": 1}], "qty": "7"}]})

    assert request.variables["input"]["items"] == [
        {"sku": ABSENT, "kind": "A", "lots": [{"no": 1}], "qty": 7}
    ]


def test_compat_errors_tell_what_the_original_tells() -> None:
    config = mapping({"items": {"source": "i", "isArray": True, "sku": {"source": "s", "required": True}}})

    outcome = GraphQLMutationMapper(config, compat=True).map_safe({"i": [{"s": 1}, {"s": ""}]}).to_dict()

    assert not outcome["success"]
    assert outcome["errors"] == [
        "Required field 'sku' is missing in array item 1\n\nField: sku\nSource Path: s"
    ]


def test_compat_registered_resolvers_are_transforms() -> None:
    mapper = GraphQLMutationMapper(mapping({"q": {"source": "q", "resolver": "double"}}), compat=True)
    mapper.register_resolver("double", lambda value: value * 2)

    assert mapper.map({"q": 2}).variables == {"input": {"q": 4}}


def test_compat_never_leads_out_of_the_object_at_hand() -> None:
    config = mapping({"__proto__": {"polluted": {"value": True}}, "constructor": {"x": {"value": 1}}})

    request = GraphQLMutationMapper(config, compat=True).map({})

    assert request.variables == {"input": {"constructor": {"x": 1}}}
    assert not hasattr({}, "polluted")


def test_compat_notes_stay_out_of_the_query() -> None:
    config = mapping(arguments={"_comment": "for the shop", "input": {"ref": {"source": "ref"}}})

    assert "_comment" not in GraphQLMutationMapper(config, compat=True).query


def test_compat_can_be_said_by_the_mapping() -> None:
    config = mapping({"q": {"source": "q", "transform": "parseInt"}}, compat=True)

    assert GraphQLMutationMapper(config).map({"q": "5x"}).variables == {"input": {"q": 5}}


# Strict mode: the request


def test_a_record_becomes_a_query_and_variables() -> None:
    request = strict(
        {"ref": {"source": "order.ref"}}, returnFields=["id", "items { edges { node { ref } } }"]
    ).map({"order": {"ref": "R1"}})

    assert request.variables == {"input": {"ref": "R1"}}
    assert request.operation_name == "createXMutation"
    assert request.query == (
        "mutation createXMutation($input: CreateXInput!) {\n"
        "  createX(input: $input) {\n"
        "    id\n"
        "    items {\n      edges {\n        node {\n          ref\n        }\n      }\n    }\n"
        "  }\n}"
    )


def test_every_argument_has_its_type() -> None:
    config = mapping(
        operationName="Change",
        arguments={
            "_note": "ignored",
            "id": {"_type": "ID!", "source": "id"},
            "tags": {"_type": "[String!]", "isArray": True, "source": "tags"},
        },
    )

    request = GraphQLMutationMapper(config).map({"id": 5, "tags": ["a"]})

    assert request.query.startswith(
        "mutation Change($id: ID!, $tags: [String!]) {\n  createX(id: $id, tags: $tags) {"
    )
    assert request.variables == {"id": 5, "tags": ["a"]}


def test_values_are_never_part_of_the_query() -> None:
    hostile = '"}) { id } deleteX(id: "1'

    request = strict({"ref": {"source": "ref"}, "kind": {"value": hostile}}).map({"ref": hostile})

    assert "deleteX" not in request.query
    assert request.variables == {"input": {"ref": hostile, "kind": hostile}}


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"mutation": "createX { id } deleteX"}, "isn't a name of GraphQL"),
        ({"operationName": "A($x: Int)"}, "isn't a name of GraphQL"),
        ({"returnFields": ["id } } mutation Evil { deleteX"]}, "isn't a field"),
        ({"returnFields": ["... on X { id }"]}, "fragments"),
        ({"returnFields": ["items.id"]}, "isn't a field"),
        ({"returnFields": "id"}, "expected a list"),
        ({"arguments": {"in put": {"_type": "A", "source": "x"}}}, "isn't a name of GraphQL"),
        ({"arguments": {"input": {"_type": "A) { id } #", "source": "x"}}}, "isn't a type of GraphQL"),
        ({"arguments": {"id": {"source": "x"}}}, "needs a _type"),
        ({"fields": {"a": "x"}, "arguments": {"input": {"a": "x"}}}, "`fields` and `arguments`"),
        ({"arguments": None}, "needs `arguments` or `fields`"),
        ({"sourceFormat": "csv"}, "Unsupported source format: csv"),
        ({"returnField": ["id"]}, "did you mean 'returnFields'"),
        ({"customTransforms": {}}, "as `resolvers`"),
        ({"compat": "yes"}, "expected true or false"),
        ({"aliasBatching": {"mutationsPerBatch": 0}}, "whole numbers from 1"),
    ],
)
def test_a_mapping_that_makes_no_sound_query_is_refused(config: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        GraphQLMutationMapper(mapping({"a": "x"}, **config))


@pytest.mark.parametrize(
    ("field", "reason"),
    [
        ({"source": "x", "resolver": "sdk.parsInt"}, "did you mean 'sdk.parseInt'"),
        ({"source": "x", "resolver": "nothing.like.it"}, "known: "),
        ({"source": "x", "resolver": "hasOwnProperty"}, "there is no resolver"),
        ({"source": "x", "resolver": "constructor"}, "there is no resolver"),
        ({"source": "x", "resolver": "trim", "transform": "trim"}, "give one"),
        ({"source": "x", "resolver": [5]}, "expected a name"),
        ({"source": "x", "resolver": "split"}, "needs options: separator"),
        ({"source": "x", "resolver": {"name": "sdk.trim", "hard": True}}, "takes no options"),
        ({"source": "x", "resolver": {"name": "concat", "sources": "a"}}, "sdk.concat takes"),
        ({"source": "x", "requried": True}, "did you mean 'required'"),
        ({"source": "x", "required": "yes"}, "expected true or false"),
        ({"source": 5}, "expected a path, not a number"),
        ({"source": "a..b"}, "column 3"),
        ({"source": "x", "city": {"source": "c"}}, "go into `fields`"),
        ({"value": {"source": "v"}, "name": {"source": "n"}}, "go into `fields`"),
        ({"value": 1, "source": "x"}, "has a value, and also a source"),
        ({"value": "${HOME}"}, "isn't among the variables"),
        ({"isArray": True, "sku": "sku"}, "a list needs a source"),
        ({"source": "x", "validation": {"minItems": 1}}, "are for lists"),
        ({"source": "x", "isArray": True, "validation": {"minItems": "1"}}, "a number of items"),
        ({}, "needs a source"),
        (5, "expected a path or an object, not a number"),
    ],
)
def test_a_field_that_cannot_be_meant_is_refused(field: Any, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        strict({"a": field})


def test_every_fault_of_a_mapping_is_told_at_once() -> None:
    with pytest.raises(ConfigurationError) as refusal:
        strict({"a": {"source": "x", "resolver": "no.such"}, "b": {"source": ""}}, mutation="1x")

    assert len(refusal.value.problems) == 3


def test_a_resolver_must_take_what_it_is_given() -> None:
    config = mapping({"a": {"source": "x", "resolver": "custom.f"}})

    with pytest.raises(ConfigurationError, match=r"must take \(value\)"):
        GraphQLMutationMapper(config, resolvers={"custom.f": lambda a, b, c, d: a})


# Strict mode: values


def test_text_that_is_no_number_is_a_fault_and_no_nan() -> None:
    field = {"source": "q", "resolver": "parseInt", "defaultValue": 5, "required": True}

    assert faults({"q": field}, {"q": "abc"}) == {"input.q": "expected a whole number"}
    assert mapped({"q": field}, {}) == {"q": 5}


def test_defaults_and_required_are_looked_at_after_the_resolver() -> None:
    config = mapping(
        {
            "a": {"source": "a", "resolver": "custom.nothing", "defaultValue": "d"},
            "b": {"source": "b", "resolver": "custom.nothing", "required": True},
        }
    )
    mapper = GraphQLMutationMapper(config, resolvers={"custom.nothing": lambda value: None})

    with pytest.raises(MappingError, match=r"input\.b: is required"):
        mapper.map({"a": 1, "b": 1})


@pytest.mark.parametrize("missing", [{}, {"q": None}, {"q": ""}])
def test_a_required_field_is_neither_missing_nor_empty(missing: dict[str, Any]) -> None:
    assert faults({"q": {"source": "q", "required": True}}, missing) == {
        "input.q": "is required, and is missing or empty"
    }


def test_a_default_stands_in_for_null_and_nothing_but_not_for_empty_text() -> None:
    field = {"source": "q", "defaultValue": 3}

    found = [mapped({"q": field}, record) for record in ({}, {"q": None}, {"q": ""}, {"q": 0})]

    assert found == [{"q": 3}, {"q": 3}, {"q": ""}, {"q": 0}]


def test_what_is_not_there_is_left_out_and_null_stays() -> None:
    assert mapped({"a": "a", "b": "b"}, {"b": None}) == {"b": None}


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("sdk.parseInt", " 12 ", 12),
        ("parseInt", "12", 12),
        ("parseFloat", "1.5", 1.5),
        ("number", "1.5", 1.5),
        ("sdk.uppercase", "ab", "AB"),
        ("toUpperCase", "ab", "AB"),
        ("uppercase", "ab", "AB"),
        ("toLowerCase", "AB", "ab"),
        ("trim", " x ", "x"),
        ("toString", 5, "5"),
        ("toBoolean", "on", True),
        ("toBoolean", "off", False),
        ("boolean", "yes", True),
        ("toISO8601", "2024-01-15", "2024-01-15T00:00:00.000Z"),
        ("toDate", "2024-01-15", "2024-01-15T00:00:00.000Z"),
    ],
)
@pytest.mark.parametrize("key", ["resolver", "transform"])
def test_built_in_resolvers_are_known_by_either_spelling(key: str, name: str, value: Any, found: Any) -> None:
    assert mapped({"q": {"source": "q", key: name}}, {"q": value}) == {"q": found}


@pytest.mark.parametrize(
    ("name", "value"),
    [("parseInt", "12abc"), ("toISO8601", "soon"), ("toDate", "2024-02-30"), ("toBoolean", "maybe")],
)
def test_what_a_resolver_cannot_read_is_a_fault(name: str, value: str) -> None:
    assert "input.q" in faults({"q": {"source": "q", "resolver": name}}, {"q": value})


def test_resolvers_form_chains_and_take_options() -> None:
    given = {
        "tags": {"source": "tags", "resolver": ["trim", {"name": "split", "separator": ";"}]},
        "price": {"source": "price", "transform": {"name": "sdk.number", "locale": "de"}},
        "sku": {"resolver": {"name": "sdk.concat", "sources": ["style", "$root.size"], "separator": "-"}},
    }

    assert mapped(given, {"tags": " a;b ", "price": "1.234,5", "style": "S1", "size": 42}) == {
        "tags": ["a", "b"],
        "price": 1234.5,
        "sku": "S1-42",
    }


def test_no_resolver_of_ones_own_replaces_a_built_in_one() -> None:
    with pytest.raises(ConfigurationError, match="built in"):
        GraphQLMutationMapper(mapping({"a": "a"}), resolvers={"sdk.trim": lambda value: value})


@pytest.mark.parametrize("name", ["toString", "parseInt", "trim", "toISO8601"])
def test_no_built_in_makes_something_of_nothing(name: str) -> None:
    assert mapped({"q": {"source": "q", "resolver": name}}, {}) == {}


def test_own_resolvers_see_the_record_and_the_context() -> None:
    config = mapping({"q": {"resolver": "custom.full"}, "r": {"source": "x", "resolver": "custom.one"}})
    mapper = GraphQLMutationMapper(
        config,
        resolvers={"custom.full": lambda value, record, context: [value, record["x"], context["y"]]},
        transforms={"custom.one": lambda value: value + 1},
        context={"y": 2},
    )

    assert mapper.map({"x": 1}).variables == {"input": {"q": [None, 1, 2], "r": 2}}


def test_a_resolver_that_fails_rejects_the_record_with_its_field() -> None:
    config = mapping({"q": {"source": "q", "resolver": "custom.fails"}})
    mapper = GraphQLMutationMapper(config, resolvers={"custom.fails": lambda value: 1 / 0})

    with pytest.raises(MappingError, match=r"input\.q: resolver 'custom.fails' failed: ZeroDivisionError"):
        mapper.map({"q": 1})


def test_a_number_that_json_has_no_form_for_is_a_fault() -> None:
    config = mapping({"q": {"source": "q", "resolver": "custom.odd"}})
    mapper = GraphQLMutationMapper(config, resolvers={"custom.odd": lambda value: {"deep": [float("nan")]}})

    with pytest.raises(MappingError, match="JSON has a form for"):
        mapper.map({"q": 1})
    with pytest.raises(ConfigurationError, match="isn't a number of JSON"):
        strict({"q": {"value": float("inf")}})


def test_every_fault_of_a_record_is_told_at_once() -> None:
    given = {
        "a": {"source": "a", "required": True},
        "items": {"source": "items", "isArray": True, "qty": {"source": "qty", "resolver": "parseInt"}},
    }

    assert faults(given, {"items": [{"qty": 1}, {"qty": "x"}, None]}) == {
        "input.a": "is required, and is missing or empty",
        "input.items[1].qty": "expected a whole number",
        "input.items[2]": "expected an object",
    }


def test_constants_of_one_record_do_not_show_in_the_next() -> None:
    mapper = GraphQLMutationMapper(
        mapping({"tags": {"value": ["a"]}, "o": {"source": "o", "defaultValue": {}}}),
        after=lambda variables, record: (variables["input"]["tags"].append("b"), variables)[1],
    )

    first, second = mapper.map({}).variables, mapper.map({}).variables

    assert first == second == {"input": {"tags": ["a", "b"], "o": {}}}


def test_hooks_change_the_record_before_and_the_variables_after() -> None:
    mapper = strict({"q": "q"})

    request = mapper.map(
        {"q": 1},
        before=lambda record: {"q": record["q"] + 1},
        after=lambda variables, record: {**variables, "seen": record["q"]},
    )

    assert request.variables == {"input": {"q": 2}, "seen": 2}


# Strict mode: objects and lists


def test_nested_fields_read_from_the_record_and_below_a_source_from_there() -> None:
    given = {
        "addr": {"city": "c", "zip": {"source": "z"}},
        "buyer": {"source": "customer", "fields": {"name": "name", "order": "$root.ref"}},
        "shipping.method": "ship",
        "shipping.cost": {"value": 0},
    }

    assert mapped(given, {"c": 1, "customer": {"name": "Ann"}, "ref": "R1", "ship": "post"}) == {
        "addr": {"city": 1},
        "buyer": {"name": "Ann", "order": "R1"},
        "shipping": {"method": "post", "cost": 0},
    }


def test_two_fields_for_one_place_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="another field has a value of its own"):
        strict({"o": "o", "o.x": "x"})


@pytest.mark.parametrize("key", ["fields", "mapping"])
def test_items_may_name_their_fields_and_nest(key: str) -> None:
    given = {
        "items": {
            "source": "items",
            "isArray": True,
            key: {
                "sku": {"source": "sku"},
                "value": {"source": "price"},
                "lots": {"source": "lots", "isArray": True, "fields": {"no": "n", "order": "$root.ref"}},
            },
        }
    }
    record = {"ref": "R1", "items": [{"sku": "A", "price": 1, "lots": [{"n": 1}, {"n": 2}]}, {"sku": "B"}]}

    assert mapped(given, record) == {
        "items": [
            {"sku": "A", "value": 1, "lots": [{"no": 1, "order": "R1"}, {"no": 2, "order": "R1"}]},
            {"sku": "B"},
        ]
    }


def test_an_item_without_fields_is_a_fault_and_no_empty_object() -> None:
    items = {"source": "items", "isArray": True, "fields": {"sku": "sku"}}

    assert faults({"items": items}, {"items": ["A"]}) == {"input.items[0]": "expected an object"}
    assert mapped({"items": {**items, "fields": {"sku": "#text"}}}, {"items": ["A"]}) == {
        "items": [{"sku": "A"}]
    }


def test_a_list_of_plain_values_has_its_resolver_applied_to_each() -> None:
    given = {"tags": {"source": "tags", "isArray": True, "resolver": "toUpperCase"}}

    assert mapped(given, {"tags": ["a", "b"]}) == {"tags": ["A", "B"]}


def test_what_is_no_list_is_a_fault_unless_it_is_wrapped() -> None:
    alone = {"items": {"sku": 1}}
    items = {"source": "items", "isArray": True, "sku": "sku"}

    assert "expected a list" in faults({"items": items}, alone)["input.items"]
    assert mapped({"items": {**items, "autoWrap": True}}, alone) == {"items": [{"sku": 1}]}


def test_a_list_that_is_not_there_is_left_out_or_required_or_has_its_default() -> None:
    items = {"source": "items", "isArray": True, "sku": "sku"}

    assert mapped({"items": items}, {}) == {}
    assert mapped({"items": {**items, "defaultValue": []}}, {}) == {"items": []}
    assert faults({"items": {**items, "required": True}}, {}) == {
        "input.items": "is required, and is missing or empty"
    }


def test_the_number_of_items_is_limited_both_ways() -> None:
    items = {"source": "i", "isArray": True, "validation": {"minItems": 2, "maxItems": 3}}

    assert faults({"i": items}, {"i": [1]}) == {"input.i": "expected at least 2 items, and there are 1"}
    assert faults({"i": items}, {"i": [1] * 4}) == {"input.i": "expected at most 3 items, and there are 4"}


def test_a_mapping_of_fields_maps_without_nodes_too() -> None:
    request = GraphQLMutationMapper(
        mapping(fields={"ref": {"source": "ref"}, "items[]": {"source": "i"}})
    ).map({"ref": 1, "i": ["x"]})

    assert request.variables == {"input": {"ref": 1, "items": ["x"]}}
    assert request.query.endswith("id\n    ref\n  }\n}")


def test_xml_is_read_with_its_text_as_it_is() -> None:
    given = {
        "ref": {"source": "Order@id"},
        "name": {"source": "Order.Name"},
        "code": {"source": "Order.Code"},
        "items": {"source": "Order.Items.Item", "isArray": True, "sku": "@sku", "qty": "Qty"},
    }
    xml = (
        '<Order id="007"><Name l="en">Foo</Name><Code>0012</Code>'
        '<Items><Item sku="A"><Qty unit="pc">1</Qty></Item></Items></Order>'
    )

    assert mapped(given, xml, sourceFormat="xml") == {
        "ref": "007",
        "name": "Foo",
        "code": "0012",
        "items": [{"sku": "A", "qty": "1"}],
    }


@pytest.mark.parametrize("record", [None, "text", 5, [{}]])
def test_a_record_is_an_object(record: Any) -> None:
    with pytest.raises(MappingError, match="A record is an object"):
        strict({"a": "a"}).map(record)


def test_jsonpath_and_context_are_paths_like_any_other() -> None:
    mapper = GraphQLMutationMapper(
        mapping({"skus": {"source": "$.items[?@.qty > 1].sku"}, "shop": "$context.retailer"}),
        context={"retailer": "1"},
    )

    assert mapper.map({"items": [{"sku": "A", "qty": 1}, {"sku": "B", "qty": 2}]}).variables == {
        "input": {"skus": ["B"], "shop": "1"}
    }


# Strict mode: a schema


SCHEMA = build_schema(
    """
    enum Kind { HOME STORE }
    input ItemInput { sku: String!, qty: Int }
    input CreateXInput { ref: String!, kind: Kind, items: [ItemInput!] }
    type X { id: ID! ref: String }
    type Mutation { createX(input: CreateXInput!, dryRun: Boolean): X }
    type Query { x: X }
    """
)


def test_types_come_from_the_schema_where_there_is_one() -> None:
    config = mapping(arguments={"input": {"ref": "ref"}, "dryRun": {"value": True}})

    mapper = GraphQLMutationMapper(config, schema=SCHEMA)

    assert mapper.query.startswith("mutation createXMutation($input: CreateXInput!, $dryRun: Boolean)")


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"mutation": "createY"}, "createY"),
        ({"returnFields": ["nope"]}, "nope"),
        ({"arguments": {"inputs": {"_type": "CreateXInput!", "source": "x"}}}, "inputs"),
        ({"arguments": {"input": {"_type": "String", "source": "x"}}}, "String"),
    ],
)
def test_a_query_that_the_schema_refuses_is_refused_before_the_first_record(
    config: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"the schema: .*{reason}"):
        GraphQLMutationMapper(mapping({"ref": "ref"}, **{"returnFields": ["id"], **config}), schema=SCHEMA)


def test_variables_that_the_schema_refuses_are_faults_of_the_record() -> None:
    given = {
        "ref": "ref",
        "kind": "kind",
        "items": {"source": "items", "isArray": True, "sku": "sku", "qty": "qty"},
    }
    mapper = GraphQLMutationMapper(mapping(given, returnFields=["id"]), schema=SCHEMA)

    assert mapper.map({"ref": "R", "kind": "HOME", "items": [{"sku": "A", "qty": 1}]}).variables
    with pytest.raises(MappingError) as refusal:
        mapper.map({"kind": "SHOP", "items": [{"qty": "many"}]})
    assert {problem.field for problem in refusal.value.problems} == {
        "input.ref",
        "input.kind",
        "input.items[0].sku",
        "input.items[0].qty",
    }


# Batches


def test_a_batch_drops_nothing_past_its_limit() -> None:
    mapper = strict(
        {"ref": {"source": "ref"}}, aliasBatching={"mutationsPerBatch": 100, "maxMutationsPerBatch": 2}
    )

    batch = mapper.batch_map([{"ref": number} for number in range(5)])

    assert [request.variables for request in batch.requests] == [
        {"input1": {"ref": 0}, "input2": {"ref": 1}},
        {"input1": {"ref": 2}, "input2": {"ref": 3}},
        {"input1": {"ref": 4}},
    ]
    assert [request.indexes for request in batch.requests] == [(0, 1), (2, 3), (4,)]
    assert batch.requests[0].query == (
        "mutation BatchCreateXs($input1: CreateXInput!, $input2: CreateXInput!) {\n"
        "  createX1: createX(input: $input1) {\n    id\n  }\n"
        "  createX2: createX(input: $input2) {\n    id\n  }\n}"
    )


def test_one_bad_item_is_a_reject_with_its_index_and_the_others_go() -> None:
    mapper = strict({"ref": {"source": "ref", "required": True}})

    batch = mapper.batch_map([{"ref": 1}, {}, {"ref": 3}, "text"])

    assert [reject.index for reject in batch.rejects] == [1, 3]
    assert batch.requests[0].variables == {"input1": {"ref": 1}, "input2": {"ref": 3}}
    assert batch.requests[0].indexes == (0, 2)
    assert batch.to_dict()["rejects"][0] == {
        "index": 1,
        "error": "input.ref: is required, and is missing or empty",
    }


def test_a_broken_document_is_a_reject_like_any_other() -> None:
    batch = strict({"ref": "O.Ref"}, sourceFormat="xml").batch_map(["<O><Ref>1</Ref></O>", "<O>"])

    assert [reject.index for reject in batch.rejects] == [1]
    assert "no element found" in str(batch.rejects[0].error)
    assert not strict({"ref": "O.Ref"}, sourceFormat="xml").map_with_nodes("<O>").success
    assert (
        not GraphQLMutationMapper(mapping({"a": "O"}, sourceFormat="xml"), compat=True)
        .map_safe("<O>")
        .success
    )


def test_a_batch_keeps_every_argument_with_its_type() -> None:
    config = mapping(
        arguments={
            "id1": {"_type": "ID!", "source": "id"},
            "input": {"_type": "XInput", "fields": {"a": "a"}},
        }
    )

    [request] = GraphQLMutationMapper(config).batch_map([{"id": 1, "a": 2}, {"id": 3}]).requests

    parse(request.query)
    assert "$id1_1: ID!, $input_1: XInput, $id1_2: ID!, $input_2: XInput" in " ".join(request.query.split())
    assert request.variables == {"id1_1": 1, "input_1": {"a": 2}, "id1_2": 3, "input_2": {}}


def test_no_items_are_no_requests() -> None:
    batch = strict({"ref": "ref"}).batch_map([])

    assert (batch.requests, batch.rejects) == ((), ())


def test_an_answer_is_told_by_the_items_of_its_request() -> None:
    [request] = strict({"ref": "ref"}).batch_map([{"ref": "a"}, {"ref": "b"}]).requests

    response = request.parse({"data": {"createX1": {"id": 1}, "createX2": None}})

    assert [(each.success, each.input_ref) for each in response.results] == [(True, "a"), (False, "b")]


def test_the_safe_form_tells_instead_of_raising() -> None:
    mapper = strict({"ref": {"source": "ref", "required": True}})

    good, bad = mapper.map_safe({"ref": 1}).to_dict(), mapper.map_safe({}).to_dict()

    assert good == {"success": True, "query": mapper.build_mutation(), "variables": {"input": {"ref": 1}}}
    assert bad["errors"] == ["input.ref: is required, and is missing or empty"]


def test_the_intermediate_form_names_the_schema_type() -> None:
    mapper = GraphQLMutationMapper(mapping(arguments={"input": {"_type": "XInput!", "ref": "ref"}}))

    found = mapper.map_to_intermediate({"ref": 1})

    assert found["data"] == {"input": {"ref": 1}}
    assert found["_meta"]["schema"] == {"name": "XInput", "mutation": "createX", "version": "1.0"}
