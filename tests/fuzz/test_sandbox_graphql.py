"""Random queries and mutations on the sandbox's schema: each is answered, in bounded time, and none meets a bug."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import graphql
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fc_connect.sandbox import Sandbox
from fc_connect.sandbox.resolvers import sandbox_schema
from tests.fuzz.effort import examples
from tests.sandbox_caller import Caller

SCHEMA = sandbox_schema()
TEXTS = st.sampled_from(
    ["", "1", "DEFAULT:1", "WH-SYD", "ACTIVE", "%", "*", "é", "\0", "x" * 300, "' OR 1=1 --"]
)
SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "Int": st.integers(-3, 300) | st.sampled_from([2**31 - 1, -(2**31)]),
    "Float": st.floats(allow_nan=False, allow_infinity=False),
    "Boolean": st.booleans(),
    "DateTime": st.sampled_from(
        ["2026-01-01T00:00:00Z", "2026-01-01", "9999-12-31T23:59:59.999Z", "0001-01-01T00:00:00Z", "soon", ""]
    ),
    "Json": st.none() | st.booleans() | st.integers() | TEXTS | st.lists(st.integers(), max_size=3),
}


@pytest.fixture(scope="module")
def caller() -> Iterator[Caller]:
    with Sandbox(seed="demo", processing_time=timedelta(0)) as running, Caller(running.url) as caller:
        yield caller


def value(draw: st.DrawFn, kind: Any, depth: int = 0) -> Any:
    """Draw a value of an input type; now and then one that isn't of it."""
    if isinstance(kind, graphql.GraphQLNonNull):
        return value(draw, kind.of_type, depth)
    if draw(st.integers(0, 19)) == 0:
        return draw(st.sampled_from([None, [], {}, "no", -1, 1.5]))
    if isinstance(kind, graphql.GraphQLList):
        return [value(draw, kind.of_type, depth + 1) for _ in range(draw(st.integers(0, 2)))]
    if isinstance(kind, graphql.GraphQLInputObjectType):
        fields = {}
        for name, field in kind.fields.items():
            needed = isinstance(field.type, graphql.GraphQLNonNull)
            if needed or (depth < 3 and draw(st.integers(0, 4)) == 0):
                fields[name] = value(draw, field.type, depth + 1)
        return fields
    if isinstance(kind, graphql.GraphQLEnumType):
        return draw(st.sampled_from(sorted(kind.values)))
    return draw(SCALARS.get(kind.name, TEXTS))


def selection(draw: st.DrawFn, kind: Any, depth: int, given_: dict[str, tuple[str, Any]]) -> str:
    """Draw what to ask of a type; arguments go into variables."""
    named = graphql.get_named_type(kind)
    if isinstance(named, graphql.GraphQLUnionType | graphql.GraphQLInterfaceType):
        parts = [
            f"... on {each.name} {inside}"
            for each in SCHEMA.get_possible_types(named)
            if (inside := selection(draw, each, depth + 1, given_))
        ]
        return "{ " + " ".join(["__typename", *parts]) + " }"
    if not isinstance(named, graphql.GraphQLObjectType):
        return ""
    parts = ["__typename"]
    names = (
        draw(st.lists(st.sampled_from(sorted(named.fields)), max_size=4, unique=True)) if depth < 6 else []
    )
    if "edges" in named.fields:
        names = ["edges", "pageInfo"]
    if "node" in named.fields:
        names = ["cursor", "node"]
    parts += [asked(draw, name, named.fields[name], depth, given_) for name in names]
    return "{ " + " ".join(parts) + " }"


def asked(draw: st.DrawFn, name: str, field: Any, depth: int, given_: dict[str, tuple[str, Any]]) -> str:
    arguments = []
    for argument, details in field.args.items():
        needed = isinstance(details.type, graphql.GraphQLNonNull)
        if needed or draw(st.integers(0, 3)) == 0:
            variable = f"v{len(given_)}"
            given_[variable] = (str(details.type), value(draw, details.type))
            arguments.append(f"{argument}: ${variable}")
    called = f"{name}({', '.join(arguments)})" if arguments else name
    return f"a{len(given_)}_{name}: {called} {selection(draw, field.type, depth + 1, given_)}"


@st.composite
def requests(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a request: one to three fields of a root, with all they need in variables."""
    word = draw(st.sampled_from(["query", "query", "mutation"]))
    root = SCHEMA.query_type if word == "query" else SCHEMA.mutation_type
    assert root is not None
    given_: dict[str, tuple[str, Any]] = {}
    names = draw(st.lists(st.sampled_from(sorted(root.fields)), min_size=1, max_size=3, unique=True))
    fields = [asked(draw, name, root.fields[name], 0, given_) for name in names]
    declared = ", ".join(f"${name}: {kind}" for name, (kind, _) in given_.items())
    query = f"{word} Q{f'({declared})' if declared else ''} {{ {' '.join(fields)} }}"
    return {"query": query, "variables": {name: each for name, (_, each) in given_.items()}}


@given(requests())
@settings(
    examples(150),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)
def test_every_query_is_answered_and_none_meets_a_bug(caller: Caller, request_: dict[str, Any]) -> None:
    bugs: list[BaseException] = []

    class Watching(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.exc_info and record.exc_info[1] is not None:
                bugs.append(record.exc_info[1])

    watching, logger = Watching(), logging.getLogger("fc_connect.sandbox")
    level = logger.level
    logger.addHandler(watching)
    logger.setLevel(logging.DEBUG)
    try:
        reply = caller.call("POST", "/graphql", json.dumps(request_).encode())
    finally:
        logger.removeHandler(watching)
        logger.setLevel(level)

    told = reply.json()
    assert reply.status == 200, told
    assert set(told) <= {"data", "errors"}
    assert told.get("errors") or told["data"] is not None
    assert all(
        isinstance(each["message"], str) and each["extensions"]["code"] for each in told.get("errors", [])
    )
    assert [each for each in bugs if not isinstance(each, graphql.GraphQLError)] == []
