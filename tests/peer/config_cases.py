"""Random mutation mappings for the checker: sound ones, and those with faults of every kind."""

from __future__ import annotations

from random import Random
from typing import Any

from tests.peer.record_cases import scalar, value

__all__ = ["validate_config_case"]

_ABSENT = {"$js": "undefined"}
_NAMES = ("a", "b", "b.c", "items[]", "b..c", "", " ", "_x", "$a", "a[0]", "1", "..", ".", "a.")
_RESOLVERS: tuple[Any, ...] = (
    "sdk.trim",
    "sdk.zz",
    "custom.x",
    "toString",
    "",
    "parseInt",
    "custom.",
    4,
    None,
    [],
    _ABSENT,
)


def _field(random: Random, depth: int = 0) -> Any:
    if random.random() < 0.12:
        return random.choice(["path", "", 5, None, [], True, ["a"], 0, False, {"$js": "undefined"}])
    field: dict[str, Any] = {}
    if random.random() < 0.6:
        field["source"] = random.choice(["x", "x.y", "$n.x", "x", "x", "", 5, None, [], {}, _ABSENT, " "])
    if random.random() < 0.3:
        field["value"] = random.choice([1, None, "", "v", 0, False, {}, _ABSENT])
    if random.random() < 0.3:
        field["resolver"] = random.choice(_RESOLVERS)
    if random.random() < 0.15 and depth < 3:
        field["fields"] = _fields(random, depth + 1) if random.random() < 0.8 else scalar(random)
    if random.random() < 0.1:
        field["defaultValue"] = scalar(random)
    if random.random() < 0.1:
        field["_comment"] = "c"
    if random.random() < 0.1:
        field["isArray"] = random.choice([True, "yes", None])
    if random.random() < 0.12 and depth < 3:
        field[random.choice(["nested", "x", "comment", "required", "transform"])] = random.choice(
            [_field(random, depth + 1), scalar(random)]
        )
    return field


def _fields(random: Random, depth: int = 0) -> Any:
    return {name: _field(random, depth) for name in random.sample(_NAMES, random.randrange(4))}


def _node(random: Random) -> Any:
    if random.random() < 0.1:
        return random.choice([None, 5, "x", [], True])
    node: dict[str, Any] = {}
    if random.random() < 0.8:
        node["extract"] = random.choice(["x", "x.y", "x", "", 5, None, [], " "])
    if random.random() < 0.4:
        node["parse"] = random.choice(["xml", "json", "csv", "", None, 5, "XML", _ABSENT])
    if random.random() < 0.4:
        node["unescape"] = random.choice([True, False, "y", None, 0, _ABSENT])
    if random.random() < 0.3:
        node["required"] = random.choice([True, False, "n", None, 1, _ABSENT])
    return node


def _nodes(random: Random) -> Any:
    if random.random() < 0.1:
        return random.choice([None, [], 5, "x", {}, [{}]])
    names = ("n", "m", "1", "a-b", "_q", "$n", "", "N", "n.m")
    return {name: _node(random) for name in random.sample(names, random.randrange(1, 4))}


def _arguments(random: Random) -> Any:
    if random.random() < 0.15:
        return random.choice(
            [None, {}, [], 5, "x", {"input": 5}, {"input": None}, {"input": []}, {"input": "p"}]
        )
    names = ("input", "id", "_type", "a-b", "1", "")
    return {
        name: random.choice(
            [_fields(random), _fields(random), {"_type": "X!", **_fields(random)}, _field(random)]
        )
        for name in random.sample(names, random.randrange(1, 3))
    }


def validate_config_case(random: Random) -> dict[str, Any]:
    config: Any = {}
    chances = {
        "version": (
            "1.0",
            "1.0",
            "1.0.0",
            "1",
            "one",
            1,
            "",
            None,
            "v1.0",
            " 1.0",
            "1.0.0-beta",
            "1.0.",
            _ABSENT,
        ),
        "mutation": (
            "createX",
            "createX",
            "createX",
            "CreateX",
            "",
            " ",
            5,
            None,
            "create_x",
            "1x",
            "x",
            " createX",
        ),
        "sourceFormat": ("json", "json", "xml", "jsonl", "csv", "", None, 5, "JSON", ["json"], _ABSENT),
        "returnFields": (["id"], ["id"], [], "id", None, {}, [5], ["id", "ref"], 0, _ABSENT),
        "operationName": ("CreateX", "low", "", 5, None, "Create X", "X", "1X", _ABSENT),
    }
    for name, choices in chances.items():
        if random.random() < (0.3 if name == "operationName" else 0.9):
            config[name] = random.choice(choices if random.random() < 0.5 else choices[:2])
    if random.random() < 0.75:
        config["fields"] = (
            _fields(random)
            if random.random() < 0.93
            else random.choice([None, [], 5, "x", {}, ["a"], _ABSENT, 0])
        )
    if random.random() < 0.35:
        config["arguments"] = _arguments(random)
    if random.random() < 0.35:
        config["nodes"] = _nodes(random)
    if random.random() < 0.05:
        config = value(random, 2, ("version", "mutation", "fields", "nodes"))
        if isinstance(config, dict) and "$js" in config:
            config = None
    given: dict[str, Any] = {"config": config}
    if random.random() < 0.5:
        given["options"] = {
            name: random.choice(choices)
            for name, choices in (
                ("strict", (True, False)),
                ("validateResolvers", (True, False)),
                ("knownResolvers", ([], ["sdk.trim"], ["sdk.trim", "custom.x", "parseInt"])),
            )
            if random.random() < 0.6
        }
    return {"kind": "validate_config", "config": given, "input": None}
