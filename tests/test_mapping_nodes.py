"""Nodes of a mutation mapping: cut out, unescaped once, parsed, and read by name."""

from __future__ import annotations

from typing import Any

import pytest

from fc_connect.errors import ConfigurationError
from fc_connect.mapping.mutation import GraphQLMutationMapper
from fc_connect.mapping.values import ABSENT
from tests.mapping_cases import cases_of, decoded, needs_cases, same

CASES = cases_of("nodes_map")


def fails(value: Any, record: Any, context: Any) -> Any:
    raise ValueError("boom")


FIXTURES: dict[str, Any] = {
    "custom.throw": fails,
    "custom.undefined": lambda value: ABSENT,
    "custom.null": lambda value: None,
    "custom.empty": lambda value: "",
    "custom.zero": lambda value: 0,
    "custom.async": lambda value: {"got": "<undefined>" if value is ABSENT else value},
    "custom.fullName": lambda value, record: f"{record['first']} {record['last']}",
}


def mapping(fields: dict[str, Any], /, **config: Any) -> dict[str, Any]:
    return {"version": "1.0", "mutation": "createX", "sourceFormat": "json", "fields": fields, **config}


def outcome(fields: dict[str, Any], root: Any, /, **config: Any) -> dict[str, Any]:
    return GraphQLMutationMapper(mapping(fields, **config)).map_with_nodes(root).to_dict()


@needs_cases
@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_compat_mode_gives_what_the_original_gives(case: dict[str, Any]) -> None:
    mapper = GraphQLMutationMapper(decoded(case["config"]), compat=True, resolvers=FIXTURES)

    found = mapper.map_with_nodes(decoded(case["input"]), context=case.get("context"))

    assert same(found.to_dict(), case["output"])


def test_compat_items_read_from_the_item_and_other_paths_from_the_record() -> None:
    config = mapping(
        {
            "ref": {"source": "$order.Order.@id"},
            "items[]": {
                "source": "$order.Order.Item",
                "fields": {
                    "sku": {"source": "$.@sku"},
                    "order": {"source": "ref", "transform": "toUpperCase"},
                    "whole": {"resolver": "custom.async"},
                },
            },
            "address.city": {"source": "nope", "defaultValue": "?"},
            "other": {"x": {"value": 1}},
        },
        nodes={"order": {"extract": "xml", "parse": "xml", "unescape": True}},
    )
    root = {"ref": "r", "completeData": {"xml": '&lt;Order id="7"&gt;&lt;Item sku="A"/&gt;&lt;/Order&gt;'}}

    data = GraphQLMutationMapper(config, compat=True, resolvers=FIXTURES).map_with_nodes(root).data

    assert data == {
        "ref": "7",
        "items": [{"sku": "A", "order": "R", "whole": {"got": {"#text": None, "@sku": "A"}}}],
        "address": {"city": "?"},
        "other": {"x": 1},
    }


@pytest.mark.parametrize(
    ("config", "root", "error"),
    [
        ({"nodes": {"n": {"extract": "zz", "required": True}}}, {"a": 1}, "Required node 'n'"),
        ({"nodes": {"1n": {"extract": "a"}}}, {"a": 1}, "Invalid node name"),
        ({"nodes": {"n": {"extract": "a"}}}, {"a": 1, "$n": 2}, "conflicts"),
        ({"nodes": {"n": {"extract": "a", "parse": "json"}}}, {"a": "{"}, "can't be read as JSON"),
        ({"fields": {"a": {"source": "a", "resolver": "custom.throw"}}}, {"a": 1}, "boom"),
        ({}, [1], "requires rootData to be an object"),
    ],
)
def test_compat_tells_what_fails_and_never_raises(config: dict[str, Any], root: Any, error: str) -> None:
    mapper = GraphQLMutationMapper(mapping({"x": {"value": 1}}, **config), compat=True, resolvers=FIXTURES)

    found = mapper.map_with_nodes(root)

    assert not found.success
    assert error in found.errors[0]


@pytest.mark.parametrize(
    ("field", "found"),
    [
        ("k", ABSENT),  # a path alone is none here
        ({}, {}),
        ({"defaultValue": 5}, {"defaultValue": ABSENT}),
        ({"defaultValue": 5, "resolver": "toString"}, ABSENT),
        ({"x": {"source": "k", "resolver": "custom.zero"}}, {"x": 1}),
        ({"fields": {"x": {"source": "k", "resolver": "custom.zero"}}}, {"x": 0}),
        ({"source": "list", "isArray": True}, [{}, {}]),
        ({"source": "n"}, "node"),  # a node is found by its bare name too
    ],
)
def test_compat_fields_are_read_as_there(field: Any, found: Any) -> None:
    config = mapping({"a": field}, nodes={"n": {"extract": "text"}})
    root = {"k": 1, "list": [1, 2], "n": "root", "text": "node"}

    mapped = GraphQLMutationMapper(config, compat=True, resolvers=FIXTURES).map_with_nodes(root)

    assert mapped.data == {"a": found}
    assert mapped.context == {"n": "node"}


def test_compat_items_read_their_own_path_before_a_constant() -> None:
    fields = {
        "own": {"source": "$.a", "value": 0},
        "constant": {"value": 0, "resolver": "custom.async"},
    }
    config = mapping({"x[]": {"source": "k", "fields": fields}})

    mapped = GraphQLMutationMapper(config, compat=True, resolvers=FIXTURES).map_with_nodes({"k": [{"a": 1}]})

    assert mapped.data == {"x": [{"own": 1, "constant": {"got": 0}}]}


def test_compat_calls_the_resolver_of_a_field_and_none_inside_it() -> None:
    inner = {"source": "k", "resolver": "custom.zero"}
    config = mapping({"a": {"resolver": "custom.async", "fields": {"b": inner}}})

    mapped = GraphQLMutationMapper(config, compat=True, resolvers=FIXTURES).map_with_nodes({"k": 1})

    assert mapped.data == {"a": {"got": {"b": 1}}}


def test_compat_puts_nothing_into_the_record() -> None:
    record = {"o": {"k": 1}}
    config = mapping({"a": {"source": "o"}, "a.b": {"source": "o"}})

    mapped = GraphQLMutationMapper(config, compat=True).map_with_nodes(record)

    assert mapped.data == {"a": {"k": 1, "b": {"k": 1}}}
    assert record == {"o": {"k": 1}}


def test_compat_fails_where_a_scalar_or_nothing_is_in_the_way() -> None:
    for value in (5, None):
        config = mapping({"a": {"value": value}, "a.b": {"value": 1}})

        found = GraphQLMutationMapper(config, compat=True).map_with_nodes({}).to_dict()

        assert (found["success"], found["data"], found["variables"]) == (False, {}, {"input": {}})
        assert "mutation createX" in found["query"]


def test_compat_targets_never_reach_a_prototype() -> None:
    config = mapping({"__proto__.polluted": {"value": 1}, "constructor.x": {"value": 1}, "a": {"value": 1}})

    assert GraphQLMutationMapper(config, compat=True).map_with_nodes({}).data == {"a": 1}


# Strict mode


def test_nodes_are_read_by_their_name() -> None:
    found = outcome(
        {
            "ref": {"source": "$order.Order@id", "required": True},
            "name": {"source": "$order.Order.Name.#text"},
            "zip": {"source": "$extra.zip"},
            "event": "id",
        },
        {"id": "E1", "body": {"xml": '&lt;Order id="007"&gt;&lt;Name&gt;A &amp;amp; B&lt;/Name&gt;&lt;/Order&gt;'},
         "extra": '{"zip": "0012"}'},
        nodes={
            "order": {"extract": "xml", "unescape": True, "parse": "xml", "required": True},
            "extra": {"extract": "extra", "parse": "json", "comment": "of the carrier"},
        },
    )  # fmt: skip

    assert found["data"] == {"ref": "007", "name": "A & B", "zip": "0012", "event": "E1"}
    assert found["variables"] == {"input": found["data"]}
    assert found["success"]


def test_a_node_of_xml_is_read_like_xml_in_a_record_of_json() -> None:
    xml = '<O><Name l="en">Foo</Name><Item sku="A"><Tag x="1">t</Tag></Item></O>'

    found = outcome(
        {
            "name": "$o.O.Name",
            "both": {"resolver": {"name": "sdk.concat", "sources": ["$o.O.Name", "id"], "separator": "/"}},
            "items": {"source": "$o.O.Item", "isArray": True, "fields": {"sku": "@sku", "tag": "Tag"}},
        },
        {"id": 1, "o": xml},
        nodes={"o": {"extract": "o", "parse": "xml"}},
    )

    assert found["data"] == {"name": "Foo", "both": "Foo/1", "items": [{"sku": "A", "tag": "t"}]}


def test_entities_are_decoded_once() -> None:
    found = outcome({"text": "$n"}, {"n": "&amp;#60;"}, nodes={"n": {"extract": "n", "unescape": True}})

    assert found["data"] == {"text": "&#60;"}


def test_required_is_enforced() -> None:
    found = outcome(
        {"a": {"source": "nope", "required": True}, "b": {"source": "b", "resolver": "parseInt"}}, {"b": "x"}
    )

    assert not found["success"]
    assert found["data"] is None
    assert found["errors"] == [
        "input.a: is required, and is missing or empty; input.b: expected a whole number, not 'x'"
    ]


def test_nested_fields_in_items_work_for_every_item() -> None:
    found = outcome(
        {
            "items": {
                "source": "$o.items",
                "isArray": True,
                "fields": {
                    "sku": {"source": "$.sku"},
                    "price": {
                        "fields": {"amount": {"source": "$.amount"}, "currency": {"source": "$root.currency"}}
                    },
                    "lots": {"source": "lots", "isArray": True, "fields": {"no": {"source": "no"}}},
                },
            }
        },
        {
            "currency": "EUR",
            "o": {"items": [{"sku": "A", "amount": 1, "lots": [{"no": 1}]}, {"sku": "B", "amount": 2}]},
        },
        nodes={"o": {"extract": "o"}},
    )

    assert found["data"]["items"] == [
        {"sku": "A", "price": {"amount": 1, "currency": "EUR"}, "lots": [{"no": 1}]},
        {"sku": "B", "price": {"amount": 2, "currency": "EUR"}},
    ]


def test_a_path_in_an_item_that_could_mean_the_record_is_a_fault() -> None:
    fields = {"items": {"source": "items", "isArray": True, "fields": {"order": {"source": "ref"}}}}

    found = outcome(fields, {"ref": "R1", "items": [{"ref": "I1"}, {}]})

    assert "write $.ref for the item's, $root.ref" in found["errors"][0]
    assert "input.items[1].order" in found["errors"][0]


def test_resolvers_see_the_nodes_in_the_record() -> None:
    mapper = GraphQLMutationMapper(
        mapping({"a": {"resolver": "custom.both"}}, nodes={"n": {"extract": "x"}}),
        resolvers={"custom.both": lambda value, record: [record["x"], record["$n"]]},
    )

    assert mapper.map_with_nodes({"x": 1}).data == {"a": [1, 1]}


def test_a_missing_node_is_absent_and_a_required_one_a_fault() -> None:
    optional = outcome({"a": {"source": "$n.k", "defaultValue": 1}}, {}, nodes={"n": {"extract": "zz"}})
    required = outcome({"a": "$n.k"}, {}, nodes={"n": {"extract": "zz", "required": True}})

    assert optional["data"] == {"a": 1}
    assert required["errors"] == ["$n: is required, and is missing or empty"]


@pytest.mark.parametrize(
    ("parse", "text"),
    [("xml", "<a>"), ("json", "{"), ("json", "NaN"), ("xml", '<!DOCTYPE a [<!ENTITY x "y">]><a/>')],
)
def test_a_node_that_cannot_be_parsed_is_a_fault(parse: str, text: str) -> None:
    found = outcome({"a": "$n.a"}, {"n": text}, nodes={"n": {"extract": "n", "parse": parse}})

    assert found["errors"][0].startswith(f"$n: can't be read as {parse.upper()}")


@pytest.mark.parametrize(
    ("nodes", "reason"),
    [
        ({"1": {"extract": "a"}}, "letters, digits"),
        ({"root": {"extract": "a"}}, "not context or root"),
        ({"n": {}}, "needs the path"),
        ({"n": {"extract": "a..b"}}, "column 3"),
        ({"n": {"extract": "a", "parse": "csv"}}, "xml or json"),
        ({"n": {"extract": "a", "required": "yes"}}, "true or false"),
        ({"n": {"extract": "a", "parsed": "xml"}}, "unknown"),
        ([], "an object of nodes"),
    ],
)
def test_a_node_that_cannot_be_meant_is_refused(nodes: Any, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        GraphQLMutationMapper(mapping({"a": "a"}, nodes=nodes))


def test_a_node_that_is_not_there_cannot_be_named() -> None:
    with pytest.raises(ConfigurationError, match=r"\$other"):
        GraphQLMutationMapper(mapping({"a": "$n.x"}, nodes={"other": {"extract": "a"}}))


def test_arguments_keep_their_names_with_nodes() -> None:
    config = {
        "mutation": "createX",
        "nodes": {"n": {"extract": "o"}},
        "arguments": {"input": {"_type": "X!", "a": "$n.k"}},
    }

    found = GraphQLMutationMapper(config).map_with_nodes({"o": {"k": 1}}).to_dict()

    assert found["data"] == {"a": 1}
    assert found["variables"] == {"input": {"a": 1}}


def test_the_context_of_a_call_joins_that_of_the_mapper() -> None:
    mapper = GraphQLMutationMapper(mapping({"a": "$context.x", "b": "$context.y"}), context={"x": 1, "y": 1})

    found = mapper.map_with_nodes({}, context={"y": 2})

    assert found.data == {"a": 1, "b": 2}
    assert found.to_dict()["context"] == {"y": 2}
