"""Schemas, samples and mappings of any shape: a sound result or an error of ours, and no pass for want of sense."""

from __future__ import annotations

import json
import tempfile
from copy import deepcopy
from pathlib import Path
from typing import Any

import graphql
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fc_connect.errors import ConfigurationError
from fc_connect.mapping import (
    Expectation,
    SourceProfiler,
    check_entity,
    compile_mapping,
    describe_schema,
    draft_for_type,
    draft_sample_file,
    input_type,
    inspect_mapping,
    load_mapping,
    load_schema,
    outline_of,
    read_schema_file,
)
from fc_connect.mapping.fit import check_fit
from fc_connect.mapping.legacy_sdl import modernized
from tests.fuzz.effort import examples

SDL = """
enum Colour { RED GREEN }
interface Node { id: ID }
interface Named { name: String }
input Line { sku: String! qty: Int! price: Float parent: Line }
input Order { ref: String! id: ID colour: Colour gift: Boolean! = false total: Float lines: [Line!]! tags: [[String]] }
type Thing implements Node & Named { id: ID name: String }
type Query { thing: Thing }
type Mutation { create(input: Order!, dry: Boolean): Thing }
"""
SCHEMA = graphql.build_schema(SDL)
INTROSPECTION = dict(graphql.introspection_from_schema(SCHEMA))

TEXTS = st.text(max_size=8) | st.sampled_from(
    [
        *(
            "1",
            "-2",
            "1,5",
            "1.234,5",
            "1,234.5",
            "007",
            " 5 ",
            "1e5",
            ".5",
            "5.",
            "+3",
            "٣",
            "1_000",
            "0x1F",
            "-0",
        ),
        *(
            "2026-01-31",
            "31/01/2026",
            "31.12.2026 10:00",
            "20260131",
            "12/1/10 8:26",
            "2026-W01-1",
            "20260131T1010",
        ),
        *("2026-01-31T10:00:00+02:00", "true", "no", "Y", "RED", "R1", ""),
    ]
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
KEYS = st.text(max_size=4) | st.sampled_from(
    [
        "a",
        "created on",
        "sku",
        "items",
        "a.b",
        "c[0]",
        "@x",
        "#text",
        "$",
        "$.x",
        "_note",
        "//x",
        "$context.a",
        "x'y",
        " ",
    ]
)
COLUMNS = st.lists(
    st.tuples(
        KEYS,
        st.sampled_from(
            [
                TEXTS,
                SCALARS,
                VALUES,
                st.sampled_from(["31/01/2026", "01/02/2026"]),
                st.sampled_from(["1,5", "2"]),
                st.sampled_from(["1.234,5", "2"]),
                st.sampled_from(["true", "no", ""]),
            ]
        ),
    ),
    min_size=1,
    max_size=4,
    unique_by=lambda each: each[0],
)


@st.composite
def samples(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Draw records whose columns each hold values of some kind."""
    columns = draw(COLUMNS)
    return [
        {
            name: draw(values)
            for place, (name, values) in enumerate(columns)
            if place == 0 or draw(st.booleans())
        }
        for _ in range(draw(st.integers(1, 4)))
    ]


def profiled(records: list[dict[str, Any]]) -> SourceProfiler:
    profiler = SourceProfiler()
    for each in records:
        profiler.add(each)
    return profiler


@examples(25)
@given(samples())
@example([{"a": [None, {"b": 1}]}])
@example([{"//x": None}])
def test_a_mapping_drafted_from_a_sample_takes_every_record_of_it(records: list[dict[str, Any]]) -> None:
    profiler = profiled(records)
    json.dumps(profiler.to_dict(), allow_nan=False)

    content, draft = draft_sample_file("x", profiler.fields, is_flat=False, source_format="json")

    if content["fields"]:  # else the records hold nothing at all
        mapper = compile_mapping(load_mapping(content), columns=None)
        for each in [] if draft.todos else records:
            mapper(each)


@examples(25)
@given(samples())
def test_a_draft_for_a_type_waits_for_a_person_or_fits(records: list[dict[str, Any]]) -> None:
    expected = input_type(SCHEMA, "Order")

    draft = draft_for_type(expected, profiled(records).fields)

    findings = check_fit(outline_of({"fields": draft.fields}).roots[""], expected).findings
    assert {each.code for each in findings if each.severity == "error"} <= {"TODO"}


@st.composite
def orders(draw: st.DrawFn) -> Any:
    """Draw what is often nearly an order."""
    line = st.fixed_dictionaries(
        {"sku": TEXTS | SCALARS, "qty": st.integers(-(2**32), 2**32) | SCALARS},
        optional={"price": SCALARS, "parent": VALUES, "x": SCALARS},
    )
    order = st.fixed_dictionaries(
        {"ref": TEXTS | SCALARS, "lines": st.lists(line, max_size=2) | VALUES},
        optional=dict.fromkeys(("id", "colour", "gift", "total", "tags", "unknown"), VALUES),
    )
    return draw(order | VALUES)


@examples(25)
@given(orders())
@example({"ref": "R", "lines": {"sku": "S", "qty": 1}, "tags": "x", "gift": None})
@example({"ref": "R", "lines": [], "total": 10**400})
def test_an_entity_without_faults_is_taken_by_graphql_itself(entity: Any) -> None:
    faults: list[Any] = []
    graphql.validate_input_value(
        entity, input_type(SCHEMA, "Order"), lambda error, path: faults.append((path, error.message))
    )

    problems = check_entity(SCHEMA, "Order", entity) if entity is not None else []

    assert problems or not faults, faults
    # We take whole numbers for an Int alone, and GraphQL 5.0 too; all else is the same.
    if not any("whole number" in each.reason for each in problems):
        assert bool(problems) == bool(faults), (problems, faults)


@examples(25)
@given(st.text(max_size=200) | st.sampled_from([SDL, SDL.replace(" & ", ", "), SDL[:300]]), st.data())
def test_a_text_is_a_whole_schema_or_refused(text: str, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(text)))
    for given_text in (text, text[:cut], text[cut:] + text[:cut]):
        try:
            schema = load_schema(given_text)
        except ConfigurationError:
            continue
        assert describe_schema(schema)["queries"] > 0


@examples(25)
@given(st.data())
def test_an_introspection_that_lost_something_is_whole_or_refused(data: st.DataObject) -> None:
    content = deepcopy(INTROSPECTION)
    for _ in range(data.draw(st.integers(1, 3))):
        node: Any = content
        for _ in range(data.draw(st.integers(1, 8))):
            keys = (
                list(node)
                if isinstance(node, dict)
                else list(range(len(node)))
                if isinstance(node, list)
                else []
            )
            if not keys:
                break
            key = data.draw(st.sampled_from(keys))
            if data.draw(st.booleans()) and isinstance(node[key], dict | list):
                node = node[key]
            elif data.draw(st.booleans()):
                del node[key]
                break
            else:
                node[key] = data.draw(SCALARS | st.just([]) | st.just({}))
                break
    try:
        schema = load_schema(content)
    except ConfigurationError:
        return
    assert describe_schema(schema)["queries"] > 0


@examples(25)
@given(st.binary(max_size=60))
@example(b'{"fc-connect": 5, "data": {}}')
@example(b'# fc-connect: {"fetchedAt": 5}\ntype Query { a: Int }')
def test_any_bytes_are_a_schema_file_or_refused(raw: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "s"
        path.write_bytes(raw)
        try:
            read_schema_file(path)
        except ConfigurationError as exc:
            assert str(path) in str(exc)  # noqa: PT017 - most are refused


@examples(25)
@given(st.sampled_from([SDL, graphql.print_schema(SCHEMA)]))
def test_a_schema_of_today_is_left_as_it_is(text: str) -> None:
    assert modernized(text) == text


FIELD = st.recursive(
    TEXTS
    | st.fixed_dictionaries(
        {},
        optional={
            "source": TEXTS | SCALARS,
            "value": VALUES,
            "resolver": st.sampled_from(["sdk.parseInt", "toString", ["sdk.trim"], {"name": "sdk.parseDate"}])
            | VALUES,
            "defaultValue": VALUES,
            "required": st.booleans() | SCALARS,
            "isArray": st.booleans() | SCALARS,
            "comment": TEXTS,
            "when": VALUES,
        },
    ),
    lambda inner: st.dictionaries(
        st.sampled_from(["fields", "source", "lines", "sku", "ref", "a.b", "x[0]", "y[]", "_type", ""]),
        inner,
        max_size=3,
    ),
    max_leaves=6,
)
TARGETS = st.sampled_from(
    ["ref", "lines", "lines.sku", "lines[0].qty", "total", "colour", "tags", "nope", "", "..", "_x"]
)
FILES = st.fixed_dictionaries(
    {},
    optional={
        "version": SCALARS,
        "fields": st.dictionaries(TARGETS, FIELD, max_size=4) | VALUES,
        "arguments": st.dictionaries(st.sampled_from(["input", "dry", "x"]), FIELD, max_size=2) | VALUES,
        "mutation": st.just("create") | SCALARS,
        "sourceFormat": st.sampled_from(["json", "xml", "csv"]) | SCALARS,
        "metadata": st.fixed_dictionaries({}, optional={"type": st.just("Order") | SCALARS, "query": TEXTS})
        | VALUES,
        "entityType": st.just("INVENTORY") | SCALARS,
        "direction": st.sampled_from(["extract", "ingest"]) | SCALARS,
        "compat": st.booleans() | SCALARS,
    },
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mappings")


@examples(25)
@given(FILES | VALUES, samples())
def test_any_mapping_file_is_judged_or_refused(
    folder: Path, content: Any, records: list[dict[str, Any]]
) -> None:
    path = folder / "m.json"
    path.write_text(json.dumps(content))
    try:
        found = inspect_mapping(path, Expectation(schema=SCHEMA, records=records))
    except ConfigurationError:
        return
    json.dumps(found.to_dict())
    stats = found.coverage.stats()
    assert stats["mappedFields"] <= stats["totalFields"]
    # What is required and not mapped is never a pass.
    assert found.errors or not stats["missingRequired"]
