"""Random mutation mappings, their records, and answers to several mutations at once."""

from __future__ import annotations

from random import Random
from typing import Any

from tests.peer.path_cases import xml_path
from tests.peer.record_cases import scalar, value
from tests.peer.xml_cases import document

__all__ = ["alias_parse_case", "batch_map_case", "mutation_map_case", "nodes_map_case"]

_NAMES = ("a", "b", "c", "n", "items")
_TARGETS = ("ref", "qty", "name", "address", "list", "x")
_PATHS = (
    "a",
    "b",
    "c",
    "n",
    "a.b",
    "items",
    "items[0]",
    "items[0].a",
    "b.c",
    "zz",
    "a[*].b",
    "items[*].a",
    "n.a",
)
_TRANSFORMS = (
    *("parseInt", "parseFloat", "toString", "toUpperCase", "toLowerCase", "trim", "toBoolean", "toISO8601"),
    *("toDate", "nope", "sdk.trim", "custom.async"),
)
_VALUES = (
    1,
    "v",
    None,
    False,
    "",
    0,
    "${FACTS_ENV_VAR}",
    "x${FACTS_ENV_VAR}",
    "${NOT_THERE_ANYWHERE}",
    [1],
    {"k": 1},
)


def _record(random: Random) -> dict[str, Any]:
    record = {name: value(random, 2, _NAMES) for name in _NAMES if random.random() < 0.8}
    if random.random() < 0.6:
        record["items"] = [
            {name: scalar(random) for name in random.sample(("a", "b", "c", "items"), 2)}
            for _ in range(random.randrange(3))
        ]
    return record


def _path(random: Random, is_xml: bool) -> str:
    return xml_path(random) if is_xml else random.choice(_PATHS)


def _argument_field(random: Random, depth: int, is_xml: bool) -> Any:
    if random.random() < 0.12:
        return _path(random, is_xml)
    kind = random.random()
    if depth < 3 and kind < 0.15:
        nested = _argument_fields(random, depth + 1, is_xml)
        if random.random() < 0.3:
            nested.update({"_nested": True, "source": _path(random, is_xml)})
        return nested
    field: dict[str, Any] = {"source": _path(random, is_xml)}
    if depth < 3 and kind < 0.35:
        field[random.choice(["isArray", "isArray", "_array"])] = True
        field.update(_item_fields(random, is_xml))
        if random.random() < 0.3:
            field["autoWrap"] = True
        if random.random() < 0.2:
            field["validation"] = {"minItems": random.choice([0, 1, 2]), "maxItems": 1}
    elif random.random() < 0.4:
        field[random.choice(["resolver", "resolver", "transform"])] = random.choice(_TRANSFORMS)
    if random.random() < 0.25:
        field["defaultValue"] = random.choice([5, "d", None, "", False, [1], {"k": 1}])
    if random.random() < 0.15:
        field["required"] = random.choice([True, True, False])
    if random.random() < 0.08:
        field["value"] = random.choice(_VALUES)
    if random.random() < 0.05:
        field["comment"] = "said"
    return field


def _argument_fields(random: Random, depth: int, is_xml: bool) -> dict[str, Any]:
    names = random.sample(_TARGETS, random.randrange(1, 4))
    return {name: _argument_field(random, depth, is_xml) for name in names}


def _item_fields(random: Random, is_xml: bool) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name in random.sample(_TARGETS, random.randrange(0, 4)):
        path = (
            random.choice(["@sku", "Name", "Ref", "Item@sku"])
            if is_xml
            else random.choice(["a", "b", "c", "items"])
        )
        kind = random.random()
        if kind < 0.2:
            fields[name] = path
        elif kind < 0.3:
            fields[name] = {"value": random.choice(_VALUES)}
        elif kind < 0.4:
            fields[name] = {"source": path, "mapping": {"p": {"source": "a"}, "q": "b"}}
        else:
            fields[name] = {"source": path}
            if random.random() < 0.4:
                fields[name][random.choice(["transform", "resolver"])] = random.choice(_TRANSFORMS)
            if random.random() < 0.3:
                fields[name]["defaultValue"] = random.choice([5, "d", None, ""])
            if random.random() < 0.15:
                fields[name]["required"] = True
    return fields


def _config(random: Random, **parts: Any) -> dict[str, Any]:
    config = {"version": "1.0", "mutation": random.choice(["createX", "updateOrder", "x"]), **parts}
    if random.random() < 0.3:
        config["returnFields"] = random.choice([["id"], ["id", "ref"], ["id", "status", "ref"], []])
    if random.random() < 0.2:
        config["operationName"] = random.choice(["CreateX", "Op", ""])
    return config


def mutation_map_case(random: Random) -> dict[str, Any]:
    is_xml = random.random() < 0.3
    arguments: dict[str, Any] = {}
    for name in random.sample(("input", "id", "other"), random.choice([1, 1, 1, 2])):
        argument = _argument_field(random, 0, is_xml)
        if name == "input" or (random.random() < 0.5 and isinstance(argument, dict)):
            argument = _argument_fields(random, 0, is_xml)
        if isinstance(argument, dict) and random.random() < 0.6:
            argument = {"_type": random.choice(["X!", "CreateXInput!", "[ID]", "String"]), **argument}
        arguments[name] = argument
    source_format = "xml" if is_xml else random.choice(["json", "json", "jsonl"])
    if random.random() < 0.02:
        source_format = random.choice(["csv", "", "XML"])
    parts: dict[str, Any] = {"sourceFormat": source_format, "arguments": arguments}
    if random.random() < 0.05:
        parts = {"sourceFormat": source_format, "fields": {"a": {"source": "a"}}}
    return {
        "kind": "mutation_map",
        "config": _config(random, **parts),
        "input": document(random) if is_xml else _record(random),
    }


def batch_map_case(random: Random) -> dict[str, Any]:
    parts: dict[str, Any] = {
        "sourceFormat": "json",
        "arguments": {"input": _argument_fields(random, 1, False)},
    }
    if random.random() < 0.7:
        parts["aliasBatching"] = {
            name: random.choice(choices)
            for name, choices in (
                ("mutationsPerBatch", (1, 2, 3, 5, 100, 0, None)),
                ("maxMutationsPerBatch", (1, 2, 20, 30, 0, None)),
                ("enabled", (True, False)),
            )
            if random.random() < 0.7
        }
    items = [_record(random) for _ in range(random.choice([0, 1, 2, 3, 4, 6, 7]))]
    return {"kind": "batch_map", "config": _config(random, **parts), "input": items}


def _node_field(random: Random, depth: int, is_item: bool) -> Any:
    paths: tuple[str, ...] = (*_PATHS, "$n", "$n.a", "$m.Order.Ref", "$m.Order.@id", "$m", "$n.items")
    if is_item:
        paths = ("$.a", "$.b", "$.items", "$.zz", "a", "$n.a", "$.a.b", "$")
    if random.random() < 0.1:
        return random.choice(paths)
    field: dict[str, Any] = {}
    if random.random() < 0.85:
        field["source"] = random.choice(paths)
    if random.random() < 0.12:
        field["value"] = random.choice(_VALUES)
    if random.random() < 0.35:
        choices = (
            "custom.async",
            "custom.zero",
            "custom.undefined",
            "custom.null",
            "custom.nope",
            *_TRANSFORMS,
        )
        field["resolver"] = random.choice(choices if random.random() < 0.95 else ("custom.throw",))
    if random.random() < 0.25:
        field["defaultValue"] = random.choice([5, "d", None, "", False])
    if random.random() < 0.15:
        field["required"] = True
    if depth < 2 and random.random() < 0.15:
        field["fields"] = {
            name: _node_field(random, depth + 1, is_item)
            for name in random.sample(_TARGETS, random.randrange(1, 3))
        }
    if depth < 2 and not field.get("source") and random.random() < 0.3:
        field[random.choice(_TARGETS)] = _node_field(random, depth + 1, is_item)
    return field


def nodes_map_case(random: Random) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name in random.sample((*_TARGETS, "address.city", "address.zip", "a.b.c"), random.randrange(1, 5)):
        fields[name] = _node_field(random, 0, False)
    if random.random() < 0.4:
        items = {
            name: _node_field(random, 2, True) for name in random.sample(_TARGETS, random.randrange(1, 3))
        }
        source = random.choice(["items", "items", "$n.items", "a", "zz", "$m.Order.Item"])
        if random.random() < 0.5:
            fields["lines[]"] = {"source": source, "fields": items}
        else:
            fields["lines"] = {"source": source, "isArray": True, "fields": items}
    parts: dict[str, Any] = {"sourceFormat": "json", "fields": fields}
    if random.random() < 0.15:
        parts = {"sourceFormat": "json", "arguments": {"input": {"_type": "X!", **fields}}}
    if random.random() < 0.5:
        parts["nodes"] = {}
        if random.random() < 0.7:
            parts["nodes"]["n"] = {"extract": random.choice(["n", "a", "b", "zz"])}
        if random.random() < 0.6:
            parts["nodes"]["m"] = {"extract": "xml", "parse": "xml", "unescape": random.choice([True, False])}
        for node in parts["nodes"].values():
            if random.random() < 0.2:
                node["required"] = random.choice([True, False])
    root: Any = _record(random)
    if random.random() < 0.6:
        text = document(random)
        root["xml"] = text.replace("<", "&lt;").replace(">", "&gt;") if random.random() < 0.5 else text
    if random.random() < 0.1:
        root = {random.choice(["completeData", "body"]): root}
    if random.random() < 0.03:
        root = random.choice([[], None, "text", 5, [root]])
    case = {"kind": "nodes_map", "config": _config(random, **parts), "input": root}
    if random.random() < 0.2:
        case["context"] = random.choice([{}, {"config": {"k": 1}}, {"a": 1}])
    return case


def _answer(random: Random) -> Any:
    aliases = ("m1", "m2", "m3", "m11", "x1")
    if random.random() < 0.08:
        return random.choice([None, {}, {"data": None}, {"$js": "undefined"}, {"errors": None}, {"data": {}}])
    answer: dict[str, Any] = {}
    if random.random() < 0.9:
        answer["data"] = {
            alias: random.choice([{"id": 1}, {"id": 2, "ref": "r"}, None, {}, 0, "", False, True, "x"])
            for alias in aliases
            if random.random() < 0.6
        }
    if random.random() < 0.6:
        answer["errors"] = [_error(random) for _ in range(random.randrange(3))]
    return answer


def _error(random: Random) -> Any:
    error: dict[str, Any] = {}
    if random.random() < 0.9:
        error["message"] = random.choice(["bad", "worse", "", None])
    if random.random() < 0.8:
        error["path"] = random.choice([["m1"], ["m2", "id"], ["m3"], [], ["zz"], None, ["m11"]])
    if random.random() < 0.2:
        error["extensions"] = {"code": "C"}
    return error


def alias_parse_case(random: Random) -> dict[str, Any]:
    inputs: Any = random.choice([None, None, [], "given"])
    if inputs == "given":
        refs: tuple[Any, ...] = (
            {"ref": "a"},
            {"id": "b"},
            {"ref": "", "id": 5},
            {},
            None,
            "text",
            {"ref": 0},
            {"ref": "c", "id": "d"},
        )
        inputs = [random.choice(refs) for _ in range(random.randrange(4))]
    config = {"batchSize": random.randrange(4), "mutationName": "m", "inputs": inputs}
    return {"kind": "alias_parse", "config": config, "input": _answer(random)}
