"""The mapper on nested records: objects, arrays, targets in lists, and what is refused inside them."""

from __future__ import annotations

from typing import Any

import pytest

from fc_connect.errors import ConfigurationError, MappingError
from fc_connect.mapping import UniversalMapper

ORDER = {
    "order": {
        "no": 1001,
        "customer": {"first": "Ann", "last": "Lee"},
        "lines": [{"sku": "x", "qty": "2"}, {"sku": "y", "qty": 1}],
    },
    "retailer": "R1",
}


def mapped(fields: dict[str, Any], record: Any, **options: Any) -> Any:
    result = UniversalMapper({"fields": fields}, **options).map(record)
    assert result.success, result.errors
    return result.data


def refused(fields: dict[str, Any], record: Any, **options: Any) -> list[tuple[str, str]]:
    result = UniversalMapper({"fields": fields}, **options).map(record)
    assert not result.success
    return [(each.field, each.reason) for reject in result.rejects for each in reject.problems]


def test_an_order_becomes_nested_objects_and_a_list() -> None:
    fields = {
        "ref": {"source": "order.no", "resolver": "sdk.toString"},
        "customer": {
            "source": "order.customer",
            "fields": {"name": {"source": "first"}, "shop": {"source": "$root.retailer"}},
        },
        "items": {
            "source": "order.lines",
            "isArray": True,
            "fields": {
                "ref": {"source": "sku"},
                "quantity": {"source": "qty", "resolver": "sdk.parseInt"},
                "orderRef": {"source": "$root.order.no"},
            },
        },
        "meta": {"fields": {"no": {"source": "order.no"}}},
    }

    assert mapped(fields, ORDER) == {
        "ref": "1001",
        "customer": {"name": "Ann", "shop": "R1"},
        "items": [
            {"ref": "x", "quantity": 2, "orderRef": 1001},
            {"ref": "y", "quantity": 1, "orderRef": 1001},
        ],
        "meta": {"no": 1001},
    }


ITEMS = {"a": {"source": "x", "isArray": True, "fields": {"k": {"source": "y"}}}}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([{"y": 1}, {"y": 2}], [{"k": 1}, {"k": 2}]),
        ({"y": 1}, [{"k": 1}]),  # XML has no list of one
        ({"edges": [{"node": {"y": 1}}, {"y": 2}]}, [{"k": 1}, {"k": 2}]),
        ({"edges": None}, []),
        ([], []),
        (None, []),
        ("", []),
    ],
)
def test_an_array_reads_lists_single_objects_and_connections(value: Any, expected: Any) -> None:
    assert mapped(ITEMS, {"x": value}) == {"a": expected}


def test_a_path_with_a_star_reads_into_each_item() -> None:
    fields = {
        "a": {"source": "x[*].n", "isArray": True, "fields": {"k": {"source": "y"}}},
        "all": {"source": "x[*].n.y"},
    }

    assert mapped(fields, {"x": [{"n": {"y": 1}}, {"n": {"y": 2}}]}) == {
        "a": [{"k": 1}, {"k": 2}],
        "all": [1, 2],
    }


def test_plain_items_are_read_as_a_whole() -> None:
    fields = {"tags": {"source": "t", "isArray": True, "fields": {"name": {"source": "$"}}}}

    assert mapped(fields, {"t": ["a", "b"]}) == {"tags": [{"name": "a"}, {"name": "b"}]}


@pytest.mark.parametrize("value", [7, "text", [7], [None], [[{"y": 1}]], {"edges": [None]}, {"edges": 7}])
def test_what_is_no_object_is_refused_where_fields_are_read_from_it(value: Any) -> None:
    [(field, reason)] = refused(ITEMS, {"x": value})

    assert field.startswith("a")
    assert reason.startswith("expected")


def test_one_bad_item_rejects_the_record_and_is_named_by_its_place() -> None:
    fields = {
        "a": {
            "source": "x",
            "isArray": True,
            "fields": {"k": {"source": "y", "required": True, "resolver": "sdk.parseInt"}},
        }
    }

    assert refused(fields, {"x": [{"y": "1"}, {}, {"y": "abc"}]}) == [
        ("a[1].k", "is required, and is missing or empty"),
        ("a[2].k", "expected a whole number"),
    ]


def test_a_nested_object_whose_source_is_missing_is_left_out_or_refused_if_required() -> None:
    inner: dict[str, Any] = {"source": "n", "fields": {"b": {"source": "x"}}}

    assert mapped({"a": inner}, {}) == {}
    assert refused({"a": {**inner, "required": True}}, {"n": None}) == [
        ("a", "is required, and is missing or empty")
    ]
    assert refused({"a": inner}, {"n": 0}) == [("a", "expected an object")]


def test_a_required_array_must_have_items() -> None:
    assert refused({"a": {**ITEMS["a"], "required": True}}, {"x": []}) == [
        ("a", "is required, and is missing or empty")
    ]


def test_a_required_field_is_looked_at_again_after_its_resolver() -> None:
    fields = {"a": {"source": "x", "required": True, "resolver": "sdk.trim"}}

    assert refused(fields, {"x": "  "}) == [("a", "is required, and is missing or empty")]


def test_targets_may_lie_in_lists() -> None:
    fields = {"l[0].n": {"source": "a"}, "l[1].n": {"source": "b"}, "m[0]": {"source": "a"}}

    assert mapped(fields, {"b": 2}) == {"l": [{}, {"n": 2}]}


def test_a_list_is_mapped_record_by_record_and_what_fails_is_told_by_its_index() -> None:
    mapper = UniversalMapper({"fields": {"a": {"source": "x", "resolver": "sdk.parseInt"}}})

    result = mapper.map([{"x": "1"}, {"x": "n/a"}, {"x": "3"}, 7])

    assert not result.success
    assert result.data == [{"a": 1}, {"a": 3}]
    assert [reject.index for reject in result.rejects] == [1, 3]
    assert result.to_dict()["rejects"][0] == {
        "index": 1,
        "problems": [{"field": "a", "source": "x", "value": "n/a", "reason": "expected a whole number"}],
    }


def test_an_empty_list_is_no_failure() -> None:
    assert UniversalMapper({"fields": {"a": {"source": "x"}}}).map([]).to_dict() == {
        "success": True,
        "data": [],
    }


def test_a_stream_is_mapped_as_it_comes() -> None:
    mapper = UniversalMapper({"fields": {"a": {"source": "x"}}})

    results = mapper.stream({"x": n} for n in iter(int, 1))

    assert [next(results).data for _ in range(3)] == [{"a": 0}] * 3


def test_skipped_fields_are_told() -> None:
    result = UniversalMapper({"fields": {"a": {"source": "x"}, "b.c": {"source": "y"}}}).map({"x": 1})

    assert result.to_dict() == {"success": True, "data": {"a": 1}, "skippedFields": ["b.c"]}


def test_nothing_of_one_record_turns_up_in_the_next() -> None:
    mapper = UniversalMapper(
        {
            "fields": {
                "o": {"defaultValue": {}},
                "o.x": {"source": "x"},
                "p": {"source": "p"},
                "p.x": {"source": "x"},
            }
        },
        compat=True,
    )
    record = {"p": {"own": 1}, "x": 1}

    first, second = mapper.map(record), mapper.map({"p": {}})

    assert first.data == {"o": {"x": 1}, "p": {"own": 1, "x": 1}}
    assert second.data == {"o": {}, "p": {}}
    assert record == {"p": {"own": 1}, "x": 1}


def test_the_context_is_read_by_its_own_prefix() -> None:
    fields = {"retailer.id": {"source": "$context.retailerId"}}

    assert mapped(fields, {}, context={"retailerId": "7"}) == {"retailer": {"id": "7"}}
    with pytest.raises(ConfigurationError, match="the context has no 'retailerId'"):
        UniversalMapper({"fields": fields})


@pytest.mark.parametrize("path", ["x.__class__", "x.length", "constructor.name", "x.upper", "__proto__.y"])
def test_a_path_reads_data_and_no_attribute(path: str) -> None:
    assert mapped({"a": {"source": path}}, {"x": "text"}) == {}


def test_targets_called_like_internals_are_names_like_any_other() -> None:
    assert mapped({"__proto__.x": {"value": 1}, "constructor": {"value": 2}}, {}) == {
        "__proto__": {"x": 1},
        "constructor": 2,
    }


def test_a_record_that_is_no_object_is_refused() -> None:
    assert refused({"a": {"source": "x"}}, "text") == [("", "expected an object")]


def test_deep_mappings_compile() -> None:
    fields: dict[str, Any] = {"v": {"source": "v"}}
    record: dict[str, Any] = {"v": 1}
    for _ in range(40):
        fields = {"n": {"source": "n", "isArray": True, "fields": fields}}
        record = {"n": [record]}

    entity = mapped(fields, record)

    for _ in range(40):
        [entity] = entity["n"]
    assert entity == {"v": 1}


def test_an_asynchronous_resolver_is_refused() -> None:
    async def later(value: Any) -> Any:
        return value

    with pytest.raises(ConfigurationError, match="asynchronous"):
        UniversalMapper({"fields": {"a": {"resolver": "custom.later"}}}, resolvers={"custom.later": later})


def test_a_resolver_can_not_take_the_name_of_a_built_in_one() -> None:
    with pytest.raises(ConfigurationError, match="is built in"):
        UniversalMapper(
            {"fields": {"a": {"source": "x", "resolver": "sdk.trim"}}},
            resolvers={"sdk.trim": lambda value: value},
        )


def test_a_resolver_may_be_named_by_module_and_function() -> None:
    assert mapped({"a": {"source": "x", "resolver": "json:loads"}}, {"x": "[1]"}) == {"a": [1]}
    with pytest.raises(ConfigurationError, match="can't be loaded"):
        UniversalMapper({"fields": {"a": {"source": "x", "resolver": "no_such_module:f"}}})


def test_a_mapping_error_of_the_mapper_names_every_problem() -> None:
    mapper = UniversalMapper({"fields": {"a": {"source": "x", "resolver": "sdk.parseInt"}}}).mapper

    with pytest.raises(MappingError) as caught:
        mapper({"x": "?"})

    assert [each.field for each in caught.value.problems] == ["a"]
