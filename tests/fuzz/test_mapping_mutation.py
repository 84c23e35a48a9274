"""Mutation mappings: any mapping makes a sound query or is refused, any record variables of JSON or faults."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from graphql import parse
from hypothesis import example, given
from hypothesis import strategies as st

from fc_connect.errors import ConfigurationError, FCConnectError, MappingError
from fc_connect.mapping.aliases import format_error_summary, parse_aliased_response
from fc_connect.mapping.mutation import GraphQLMutationMapper
from fc_connect.mapping.mutation_config import validate_mapping_config
from tests.fuzz.effort import examples

NAMES = st.sampled_from(
    ["a", "b", "input", "items[]", "a.b", "a.b.c", "value", "source", "fields", "_type", "_note", "__proto__", "",
     "a b", "a}", "x) { id }", "1", "é", "comment", "a..b", "items[0]"]
)  # fmt: skip
PATHS = st.sampled_from(
    ["a", "a.b", "items", "items[*].a", "$.a", "$..a", "$n", "$n.a", "$root.a", "$context.a", "a@b", "@id", "#text", "",
     "a[x]", "a..b", "a[0]", "__class__", "a.length"]
)  # fmt: skip
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(
        [
            "",
            "12",
            "12abc",
            "${HOME}",
            "${X}",
            "true",
            "2024-01-15",
            "<a>1</a>",
            '{"a":1}',
            "\ud800",
            "9" * 400,
        ]
    )
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b", "items", "@id", "#text"]), inner)
    ),
    max_leaves=8,
)
RESOLVERS = st.sampled_from(
    ["parseInt", "sdk.parseInt", "parseFloat", "toString", "trim", "toBoolean", "toISO8601", "toDate", "sdk.toJson",
     "sdk.parseJson", "custom.same", "custom.fails", "no.such", "__class__"]
)  # fmt: skip
FIELDS: st.SearchStrategy[Any] = st.deferred(lambda: st.dictionaries(NAMES, FIELD, max_size=3))
FIELD: st.SearchStrategy[Any] = (
    PATHS
    | VALUES
    | st.fixed_dictionaries(
        {},
        optional={
            "source": PATHS | VALUES,
            "value": VALUES,
            "resolver": RESOLVERS | VALUES,
            "transform": RESOLVERS,
            "defaultValue": VALUES,
            "required": st.booleans() | VALUES,
            "isArray": st.booleans(),
            "autoWrap": st.booleans(),
            "validation": st.fixed_dictionaries(
                {}, optional={"minItems": VALUES, "maxItems": st.integers(0, 3)}
            ),
            "fields": FIELDS,
            "mapping": FIELDS,
            "_type": st.sampled_from(["ID!", "[X!]!", "X) {", ""]),
            "child": PATHS,
        },
    )
    | FIELDS
)
CONFIGS = st.fixed_dictionaries(
    {
        "mutation": st.sampled_from(["createX", "x"]) | SCALARS,
        "sourceFormat": st.sampled_from(["json", "xml", "jsonl"]),
    },
    optional={
        "arguments": st.dictionaries(st.sampled_from(["input", "id", "_c"]), FIELD, max_size=2) | VALUES,
        "fields": FIELDS | VALUES,
        "nodes": st.dictionaries(
            st.sampled_from(["n", "1"]),
            VALUES
            | st.fixed_dictionaries(
                {"extract": PATHS},
                optional={
                    "parse": st.sampled_from(["xml", "json", "csv"]),
                    "unescape": st.booleans(),
                    "required": st.booleans(),
                },
            ),
            max_size=2,
        ),
        "returnFields": st.lists(st.sampled_from(["id", "items { a }", "a }", "...x", ""]), max_size=2)
        | VALUES,
        "operationName": st.sampled_from(["Op", "o p", ""]),
        "aliasBatching": VALUES | st.just({"mutationsPerBatch": 2}),
    },
)
# Most random mappings are refused; these aren't, or seldom.
SOUND_FIELDS: st.SearchStrategy[Any] = st.deferred(
    lambda: st.dictionaries(
        st.sampled_from(["a", "b", "c.d", "value", "items"]), SOUND_FIELD, min_size=1, max_size=3
    )
)
SOUND_PATHS = st.sampled_from(
    [
        "a",
        "a.b",
        "items",
        "items[*].a",
        "$.a",
        "$..a",
        "$n",
        "$n.a",
        "$root.a",
        "a@b",
        "@id",
        "#text",
        "a[0]",
        "a[b=1]",
    ]
)
SOUND_FIELD: st.SearchStrategy[Any] = (
    SOUND_PATHS
    | st.fixed_dictionaries(
        {"source": SOUND_PATHS},
        optional={
            "resolver": st.sampled_from(
                ["parseInt", "trim", "toString", "toBoolean", "toISO8601", "custom.same", "custom.fails",
                 ["trim", {"name": "split", "separator": "1"}]]
            ),
            "defaultValue": st.sampled_from([0, "", [], {"a": [1]}]),
            "required": st.booleans(),
        },
    )
    | st.fixed_dictionaries(
        {"source": SOUND_PATHS, "isArray": st.just(True)},
        optional={
            "fields": SOUND_FIELDS,
            "autoWrap": st.booleans(),
            "required": st.booleans(),
            "validation": st.fixed_dictionaries({}, optional={"minItems": st.integers(0, 2)}),
        },
    )
    | st.fixed_dictionaries({"fields": SOUND_FIELDS}, optional={"source": SOUND_PATHS, "required": st.booleans()})
    | st.fixed_dictionaries({"value": st.sampled_from([1, "x", "${X}", None, [1], {"a": 1}])})
)  # fmt: skip
SOUND_PARTS: dict[str, st.SearchStrategy[Any]] = {
    "mutation": st.just("createX"),
    "sourceFormat": st.sampled_from(["json", "xml"]),
    "nodes": st.fixed_dictionaries(
        {
            "n": st.fixed_dictionaries(
                {"extract": st.sampled_from(["a", "b", "items[0]"])},
                optional={"parse": st.sampled_from(["xml", "json"]), "unescape": st.booleans()},
            )
        }
    ),
}
SOUND = st.fixed_dictionaries({**SOUND_PARTS, "fields": SOUND_FIELDS}) | st.fixed_dictionaries(
    {**SOUND_PARTS, "arguments": st.fixed_dictionaries({"input": SOUND_FIELD})}
)
RECORDS = (
    st.dictionaries(st.sampled_from(["a", "b", "items", "$n", "completeData"]), VALUES, max_size=4) | VALUES
)


def fails(value: Any) -> Any:
    raise KeyError("boom")


RESOLVED: dict[str, Any] = {"custom.same": lambda value: value, "custom.fails": fails}


@examples(150)
@given(CONFIGS | SOUND, RECORDS)
@example({"mutation": "x", "sourceFormat": "json", "fields": {"a": {"value": [10**400]}}}, {})
def test_any_mapping_is_refused_or_maps_any_record_or_tells_its_faults(config: Any, record: Any) -> None:
    with contextlib.suppress(ConfigurationError):
        mapper = GraphQLMutationMapper(config, resolvers=RESOLVED, environment={"X": "x"})
        parse(mapper.query)
        before = repr(record)
        with contextlib.suppress(MappingError):
            request = mapper.map(record)
            json.dumps(request.variables, allow_nan=False)
            assert repr(mapper.map(record).variables) == repr(request.variables)
        batch = mapper.batch_map([record, record, record])
        sent = [index for each in batch.requests for index in each.indexes]
        assert sorted([*sent, *(reject.index for reject in batch.rejects)]) == [0, 1, 2]
        for each in batch.requests:
            parse(each.query)
        assert mapper.map_with_nodes(record).to_dict()["query"] == mapper.query
        assert repr(record) == before


@examples(100)
@given(CONFIGS | SOUND, RECORDS)
@example({"mutation": None, "sourceFormat": "json", "arguments": {"input": {"source": [None]}}}, {})
def test_compat_mode_gives_a_result_or_an_error_of_ours(config: Any, record: Any) -> None:
    with contextlib.suppress(FCConnectError):
        mapper = GraphQLMutationMapper(config, compat=True, transforms=RESOLVED, environment={})
        before = repr(record)
        with contextlib.suppress(FCConnectError):
            mapper.map(record).to_dict()
        with contextlib.suppress(FCConnectError):
            mapper.batch_map([record, record]).to_dict()
        mapper.map_with_nodes(record).to_dict()
        assert repr(record) == before


@examples(100)
@given(CONFIGS | VALUES)
def test_any_mapping_has_a_report(config: Any) -> None:
    report = validate_mapping_config(config, validate_resolvers=True, known_resolvers=["sdk.trim"])

    assert report.valid == (not report.errors)
    assert report.to_dict()["summary"]["totalErrors"] == len(report.errors)


@examples(100)
@given(
    VALUES
    | st.fixed_dictionaries(
        {},
        optional={
            "data": st.dictionaries(st.sampled_from(["m1", "m2", "m11"]), VALUES) | VALUES,
            "errors": st.lists(
                VALUES
                | st.fixed_dictionaries(
                    {"message": VALUES}, optional={"path": VALUES | st.just(["m1", "x"])}
                ),
                max_size=3,
            ),
        },
    ),
    st.integers(0, 12),
    st.booleans(),
)
def test_any_answer_tells_of_every_mutation(answer: Any, count: int, compat: bool) -> None:
    found = parse_aliased_response(answer, count, "m", compat=compat)

    assert found.executed + found.failed == count == len(found.results)
    assert isinstance(format_error_summary(found), str)
    found.to_dict()
