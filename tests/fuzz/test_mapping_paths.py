"""Paths and XML records: any text is a path or is refused with a column, and a path finds what a naive walk finds."""

from __future__ import annotations

import contextlib
import pickle
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from fc_connect.errors import ConfigurationError, MappingError, ParseError
from fc_connect.mapping.compat_paths import PathResolutionError, UniversalPathResolver
from fc_connect.mapping.paths import parse_path
from fc_connect.mapping.values import ABSENT
from fc_connect.mapping.xml_records import read_xml
from tests.fuzz.effort import examples

NAMES = st.sampled_from(
    ["a", "b", "0", "1", "@a", "#text", "a.b", "it's", 'say "x"', "back\\slash", "é", " ", "$", "[0]"]
)
SCALARS = st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["", "a", "b", "text"])
RECORDS = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=20,
)
PIECES = st.sampled_from(
    ["a", "b", ".", "[0]", "[-1]", "[*]", "*", "@a", "#text", "['a.b']", '["b"]', "[a=b]", "[@a='b']", "[", "]", "'",
     "$", "$.", "$..", "$context", "[?@.a]", "0", "\\", "=", "..", "\ud800", "\0", "९", "[?match(@, '(a|a)*')]"]
)  # fmt: skip
TEXTS = st.lists(PIECES | st.text(max_size=3), max_size=7).map("".join)


@examples(200)
@given(TEXTS, RECORDS)
@example("[0", [])
@example("$[?@<1]", [1, "a", None])
def test_any_text_is_a_path_or_is_refused_with_its_column(text: str, record: Any) -> None:
    refusal = path = None
    try:
        path = parse_path(text)
    except ConfigurationError as exc:
        refusal = exc
    if path is None:
        assert "column" in str(refusal)
        return

    found = path.read(record)

    assert pickle.loads(pickle.dumps(path)).read(record) == found
    if path.is_plural:
        assert found is ABSENT or isinstance(found, list)
    with contextlib.suppress(PathResolutionError, ParseError):
        for kind in ("json", "xml", "csv"):
            UniversalPathResolver(kind).resolve(record, text)


@examples(200)
@given(st.lists(NAMES | st.integers(-3, 3), min_size=1, max_size=5), RECORDS)
def test_a_chain_of_keys_and_positions_finds_what_a_naive_walk_finds(
    steps: list[str | int], record: Any
) -> None:
    path = parse_path("".join(map(written, steps)))

    assert path.steps == tuple(steps)
    assert same(path.read(record), walked(record, steps))


@examples(100)
@given(st.lists(NAMES, max_size=2), st.lists(NAMES, max_size=2), RECORDS)
def test_a_wildcard_is_the_rest_of_the_path_read_of_each_item(
    before: list[str], after: list[str], record: Any
) -> None:
    path = parse_path("".join([*map(written, before), "[*]", *map(written, after)]))

    value = walked(record, list(before))
    wanted: Any = ABSENT
    if value is not ABSENT and value is not None:
        items = value if isinstance(value, list) else [value]
        wanted = [None if (each := walked(item, list(after))) is ABSENT else each for item in items]
    assert same(path.read(record), wanted)


def written(step: str | int) -> str:
    if isinstance(step, int):
        return f"[{step}]"
    return "['" + step.replace("\\", "\\\\").replace("'", "\\'") + "']"


def walked(value: Any, steps: list[str | int]) -> Any:
    for step in steps:
        if isinstance(value, dict) and str(step) in value:
            value = value[str(step)]
        elif isinstance(value, list) and str(step).removeprefix("-").isdigit():
            if isinstance(step, str) and step.startswith("-"):
                return ABSENT
            try:
                value = value[int(step)]
            except IndexError:
                return ABSENT
        elif value is None or isinstance(value, list) or step not in {0, -1}:
            return ABSENT
    return value


def same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(one == other)


XML = st.lists(
    st.sampled_from(
        ["<a>", "</a>", "<b x='1'>", "</b>", "<c/>", "text", " ", "&amp;", "&x;", "<![CDATA[x]]>", "0012", "true",
         "<!DOCTYPE a [<!ENTITY x 'y'>]>", "<?xml version='1.0'?>", "<!-- c -->", "<?pi?>", "\0", "<a x='1' x='2'>"]
    ),
    max_size=12,
).map("".join)  # fmt: skip


@examples(150)
@given(
    XML.map(lambda text: f"<r>{text}</r>") | XML | st.text(max_size=20) | st.binary(max_size=40),
    st.booleans(),
)
@example("<r>" * 5000, False)
@example(b"\xff\xfe<\x00r\x00/\x00>\x00", False)
def test_any_text_is_a_record_or_is_refused(text: str | bytes, coerce: bool) -> None:
    with contextlib.suppress(ParseError, MappingError):
        [value] = read_xml(text, coerce=coerce).values()
        assert isinstance(value, str | dict | list | int | float | None)
