"""The compiled plan: whatever the mapping and the record, it gives what the plain interpreter gives."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fc_connect.errors import ConfigurationError, MappingError
from fc_connect.mapping import ABSENT, Mapper, compile_mapping, load_mapping, resolver_names

KEYS = st.sampled_from(["a", "b", "c"])
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 10**6),
    st.sampled_from(["", " ", "1", "12abc", "A", "007", "é", "1.0", "2026-01-31", "[1]"]),
)
RECORDS = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b", "c", "edges", "node", "#text"]), inner, max_size=4)
    ),
    max_leaves=12,
)
PATHS = st.sampled_from(["a", "b", "c", "a.b", "a.b.c", "b[0]", "b[1].a", "a.0", "edges", "b.0.a", "c[0][0]"])
CONDITIONS = st.sampled_from(
    [
        {"source": "a"},
        {"source": "b", "exists": False},
        {"source": "a", "equals": "1"},
        {"source": "a", "in": [1, None, "A"]},
        {"not": {"source": "c", "matches": "[0-9]+"}},
        {"any": [{"source": "a", "equals": 1}, {"source": "b"}]},
    ]
)
SIMPLE = [name for name in resolver_names() if name not in {"sdk.uuid", "sdk.concat"}]
NEEDING = {"sdk.split", "sdk.replace", "sdk.substring", "sdk.defaultTo"}
CHAINS = st.lists(
    st.sampled_from(
        [
            *(name for name in SIMPLE if name not in NEEDING),
            "custom.none",
            "custom.absent",
            "custom.fail",
            "custom.record",
            {"name": "sdk.split", "separator": "1"},
            {"name": "sdk.split", "separator": "1", "index": 1},
            {"name": "sdk.replace", "search": "1", "replacement": "2"},
            {"name": "sdk.substring", "start": 1},
            {"name": "sdk.defaultTo", "value": "d"},
            {"name": "sdk.concat", "sources": ["a", "c"], "separator": "-"},
            {"name": "sdk.number", "locale": "de"},
        ]
    ),
    max_size=3,
)
OWN: dict[str, Any] = {
    "custom.none": lambda value: None,
    "custom.absent": lambda value: ABSENT,
    "custom.fail": lambda value: 1 / 0,
    "custom.record": lambda value, record, context: [value, len(record), context],
}


def scalar_fields(paths: Any) -> Any:
    return st.fixed_dictionaries(
        {},
        optional={
            "source": paths,
            "resolver": CHAINS,
            "required": st.booleans(),
            "defaultValue": SCALARS | st.just({"d": [1]}),
            "value": SCALARS | st.just([1]),
            "when": CONDITIONS,
            "enum": st.just([1, "A", "1"]),
            "pattern": st.just("[A-Z0-9]+"),
            "minimum": st.just(1),
            "maxLength": st.just(2),
            "lookup": st.sampled_from([{"values": {"1": "one", "A": 7}}, {"values": {}, "otherwise": None}]),
        },
    )


def levels(fields: Any) -> Any:
    targets = st.sampled_from(["x", "y", "n.z", "n.w", "l[0].a", "l[0].b", "l[1].a", "m[0]", "m[1]"])
    return st.dictionaries(targets, fields, min_size=1, max_size=4)


NESTED = st.recursive(
    scalar_fields(PATHS | st.sampled_from(["$", "$root.a", "$root.b.c"])),
    lambda inner: st.fixed_dictionaries(
        {"fields": levels(inner)},
        optional={
            "source": PATHS,
            "isArray": st.booleans(),
            "required": st.booleans(),
            "when": CONDITIONS,
            "defaultValue": st.just([]),
        },
    ),
    max_leaves=6,
)


def told(value: Any) -> Any:
    """A value as text in which 1, 1.0 and true differ; the order of an object's keys says nothing."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key!r}: {told(value[key])}" for key in sorted(value)) + "}"
    return f"[{', '.join(map(told, value))}]" if isinstance(value, list) else repr(value)


def outcome(function: Any, *arguments: Any) -> Any:
    try:
        return told(function(*arguments))
    except Exception as exc:  # noqa: BLE001 (the outcome)
        return type(exc)


def check_agreement(mapper: Mapper, record: Any) -> None:
    slow_skipped: list[str] = []
    fast_skipped: list[str] = []
    expected = outcome(mapper.interpret, record, slow_skipped)
    fast = outcome(mapper._function, record, fast_skipped)

    assert expected is MappingError or isinstance(expected, str)
    assert outcome(mapper, record) == expected
    # The compiled function may refuse what the interpreter can do, but never give something else.
    assert isinstance(fast, type) or (fast, fast_skipped) == (expected, slow_skipped)


@given(levels(NESTED), st.dictionaries(KEYS, RECORDS) | RECORDS)
def test_compiled_and_interpreted_give_the_same(fields: dict[str, Any], record: Any) -> None:
    try:
        mapper = compile_mapping(load_mapping({"fields": fields}), columns=None, resolvers=OWN)
    except ConfigurationError:
        return

    check_agreement(mapper, record)


@given(levels(scalar_fields(KEYS)), st.lists(SCALARS, min_size=3, max_size=3))
def test_compiled_and_interpreted_rows_give_the_same(fields: dict[str, Any], row: list[Any]) -> None:
    try:
        mapper = compile_mapping(load_mapping({"fields": fields}), columns=("a", "b", "c"), resolvers=OWN)
    except ConfigurationError:
        return

    check_agreement(mapper, row)


@given(st.dictionaries(st.sampled_from(["x", "x.y", "l[1].a", "m[2]", "n.z"]), NESTED), RECORDS)
def test_compiled_and_interpreted_give_the_same_in_compat(fields: dict[str, Any], record: Any) -> None:
    mapper = compile_mapping(load_mapping({"fields": fields}, compat=True), columns=None, resolvers=OWN)

    check_agreement(mapper, record)
