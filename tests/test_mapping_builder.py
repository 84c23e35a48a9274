"""Resolvers by target path, and functions that are named for the mapping file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fc_connect.errors import ConfigurationError, MappingError
from fc_connect.mapping import ResolverBuilder, ResolverEngine, combine_resolvers, resolver
from fc_connect.mapping.builder import Resolution
from fc_connect.mapping.values import ABSENT
from fc_connect.pipeline.resolvers import load_resolvers

ORDER = {"id": "O1", "lines": [{"sku": "A", "qty": 2}, {"sku": "B", "qty": 3}], "note": None}


def resolved(builder: ResolverBuilder, source: Any = ORDER, target: Any = None, **options: Any) -> Resolution:
    return ResolverEngine(builder.build(), **options).resolve({} if target is None else target, source)


def test_a_builder_fills_an_entity_by_target_path() -> None:
    builder = (
        ResolverBuilder()
        .from_("ref", "id")
        .from_("attributes.ref", "id", str.lower)
        .with_default("note", "note", "none")
        .with_config_fallback("retailer.id", "retailer", "retailerId")
        .calculate("lines", lambda order: len(order["lines"]))
        .map_array("items", "lines", lambda line, index: f"{index}:{line['sku']}")
        .when("gift", lambda order: order["id"] == "O1", lambda order: order["id"], "no")
        .when("express", lambda order: False, True)
        .aggregate("key", ["id", "lines[1].sku", "none"], lambda found: [*found])
        .field("count", lambda current: current + 1)
    )

    result = resolved(builder, target={"count": 1, "kept": True}, config={"retailerId": "7"})

    assert result.to_dict() == {
        "success": True,
        "data": {
            "count": 2,
            "kept": True,
            "ref": "O1",
            "attributes": {"ref": "o1"},
            "note": "none",
            "retailer": {"id": "7"},
            "lines": 2,
            "items": ["0:A", "1:B"],
            "gift": "O1",
            "express": None,
            "key": ["O1", "B", ABSENT],
        },
    }


def test_a_resolver_sees_what_earlier_ones_put_there_and_the_surroundings() -> None:
    def note(current: Any, source: Any, config: Any, context: Any) -> str:
        return f"{current}-{source['id']}-{config['c']}-{context['x']}"

    builder = ResolverBuilder().from_("a", "id").field("a", note)
    chained = [builder.build(), ResolverBuilder().from_("b", "id").build()]

    engine = ResolverEngine(combine_resolvers(*chained), config={"c": 1}, context={"x": 2})

    assert engine.resolve({"a": "old"}, ORDER).data == {"a": "old-O1-1-2", "b": "O1"}


def test_errors_are_collected_and_the_rest_goes_on() -> None:
    def fail(current: Any) -> Any:
        raise LookupError("no such code")

    builder = (
        ResolverBuilder()
        .field("a", fail)
        .validate("b", lambda: 5, lambda value: value > 7)
        .validate("c", lambda: 5, lambda value: "too small")
        .validate("d", lambda: 5, lambda value: True)
    )

    result = resolved(builder, target={"a": "as it was"})

    assert result.to_dict() == {
        "success": False,
        "data": {"a": "as it was", "d": 5},
        "errors": [
            "Resolver failed for a: no such code",
            "Resolver failed for b: Validation failed for b",
            "Resolver failed for c: Validation failed for c: too small",
        ],
    }


def test_neither_argument_changes_and_no_value_is_made_another() -> None:
    class Code(str):
        __slots__ = ()

    target = {"a": {"b": Code("x")}, "n": float("inf")}

    result = resolved(ResolverBuilder().from_("a.c", "id"), target=target)

    assert target == {"a": {"b": "x"}, "n": float("inf")}
    assert result.data == {"a": {"b": "x", "c": "O1"}, "n": float("inf")}
    assert type(result.data["a"]["b"]) is Code


def test_a_default_is_not_shared_between_entities() -> None:
    engine = ResolverEngine(ResolverBuilder().with_default("tags", "tags", []).from_("tags[0]", "id").build())

    first, second = engine.resolve({}, {"id": 1}), engine.resolve({}, {"id": 2})

    assert (first.data, second.data) == ({"tags": [1]}, {"tags": [2]})


def test_an_absent_value_leaves_the_target_as_it_is() -> None:
    assert resolved(ResolverBuilder().from_("a", "nothing"), target={"a": 1}).data == {"a": 1}


def test_one_item_is_mapped_as_a_list_of_one_and_none_as_an_empty_list() -> None:
    builder = (
        ResolverBuilder().map_array("a", "id", lambda item: item).map_array("b", "note", lambda item: item)
    )

    assert resolved(builder).data == {"a": ["O1"], "b": []}


def test_a_target_that_is_no_object_is_refused() -> None:
    with pytest.raises(MappingError, match="not a str"):
        ResolverEngine({}).resolve("text", ORDER)


def test_the_later_of_two_resolvers_for_one_target_wins() -> None:
    first = ResolverBuilder().from_("a", "id").build()
    second = ResolverBuilder().calculate("a", lambda: 2).build()

    assert ResolverEngine(combine_resolvers(first, second)).resolve({}, ORDER).data == {"a": 2}


@pytest.mark.parametrize("name", ["", " ", "sdk.parseInt"])
def test_a_name_that_can_not_be_given_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError):
        resolver(name)


def test_what_has_no_room_for_a_name_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="call it from a `def`"):
        resolver("custom.length")(len)


def write(folder: Path, text: str) -> dict[str, Any]:
    (folder / "mine.py").write_text(text, encoding="utf-8")
    return load_resolvers("mine.py", base=folder)


def test_a_pipeline_finds_functions_under_the_names_that_they_were_given(tmp_path: Path) -> None:
    found = write(
        tmp_path,
        "from fc_connect.mapping import resolver\n"
        "@resolver('status')\n@resolver('custom.old-status')\ndef _status(value): return value\n"
        "@resolver('custom.total')\ndef total_of(value): return value\n"
        "def plain(value): return value\n"
        "def _private(value): return value\n",
    )

    assert sorted(found) == ["custom.old-status", "custom.plain", "custom.total", "status"]
    assert found["status"] is found["custom.old-status"]
    assert found["custom.total"]("x") == "x"


def test_two_functions_of_one_name_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"custom\.a: is `b`, and also `a`"):
        write(
            tmp_path,
            "from fc_connect.mapping import resolver\n"
            "@resolver('custom.a')\ndef b(value): return value\n"
            "def a(value): return value\n",
        )
