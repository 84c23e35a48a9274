"""Mapping files, their source paths and the resolvers: any text, any value, and an error of ours or a plain result."""

from __future__ import annotations

import contextlib
import json
import math
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fc_connect.errors import ConfigurationError, MappingError
from fc_connect.mapping import compile_mapping, encode_entity, load_mapping, resolver_names
from fc_connect.mapping.resolvers import RESOLVERS
from fc_connect.pipeline.config.document import read_document
from tests.fuzz.effort import examples

CORPUS = Path(__file__).parents[3] / "shared" / "corpora" / "json-test-suite" / "test_parsing"
TEXT = st.text(max_size=8) | st.sampled_from(
    [
        "a",
        "a.b",
        "a[0]",
        "a[9999999999].b",
        "[0]",
        "..",
        "a]",
        "__class__",
        "\ud800",
        "x" * 5000,
        "a.0.b",
        "a[-1]",
        "²",
    ]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXT
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
FIELD = st.fixed_dictionaries(
    {},
    optional={
        "source": TEXT | VALUES,
        "resolver": st.sampled_from(resolver_names()) | VALUES,
        "required": st.booleans() | VALUES,
        "defaultValue": VALUES,
        "value": VALUES,
        "comment": VALUES,
        "no_such": VALUES,
    },
)
DOCUMENT = st.fixed_dictionaries({"fields": st.dictionaries(TEXT, FIELD | VALUES, max_size=4)})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mappings")


@examples(300)
@given(st.sampled_from(["m.json", "m.yaml"]), st.text(max_size=120) | st.binary(max_size=80))
@example("m.yaml", "fields: {a: !!python/object/apply:os.system [id]}")
@example("m.yaml", "a: &a [*a]")
@example("m.json", "[" * 100_000)
@example("m.json", '{"fields":{"a":{"value":' + "9" * 5000 + "}}}")
def test_any_file_is_a_mapping_or_an_error_that_names_it(
    folder: Path, name: str, content: str | bytes
) -> None:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))

    refusal: ConfigurationError | None = None
    try:
        load_mapping(path)
    except ConfigurationError as exc:
        refusal = exc
    assert refusal is None or name in str(refusal)


@examples(400)
@given(DOCUMENT | VALUES.filter(lambda value: isinstance(value, dict)), VALUES, st.lists(TEXT, max_size=3))
def test_any_mapping_gives_an_entity_or_says_what_is_wrong(
    document: Any, record: Any, row: list[str]
) -> None:
    with contextlib.suppress(ConfigurationError, MappingError):
        config = load_mapping(document)
        columns = tuple(dict.fromkeys(field.source or "" for field in config.fields.values()))
        for known, given_record in ((None, record), (columns, (row + [""] * len(columns))[: len(columns)])):
            with contextlib.suppress(ConfigurationError, MappingError):
                mapper = compile_mapping(config, columns=known)
                entity = mapper(given_record)
                assert repr(entity) == repr(mapper.interpret(given_record))
                json.loads(encode_entity(entity), parse_constant=pytest.fail)


ODD = (
    VALUES
    | st.binary(max_size=4)
    | st.decimals()
    | st.dates()
    | st.datetimes()
    | st.sampled_from(
        ["9" * 5000, "1e999", "-1e999", "1e-999", "NaN", "Infinity", "１２", "1_000", "0x10", "+5", "-0", " 5 ", "5.0",
         "5." + "0" * 9000, "[" * 50_000, '"\\ud800"', "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59",
         "2026-W01-1", "24:00", Decimal("1e1000000"), Decimal("sNaN"), 2**70, 1e308, "1" * 131_072]
    )
)  # fmt: skip


@examples(500)
@given(st.sampled_from(sorted(name for name, each in RESOLVERS.items() if each.function)), ODD)
@example("sdk.parseFloat", Decimal("sNaN"))
@example("sdk.toString", 10**5000)
@example("sdk.formatDate", "0001-01-01T00:00:00+23:59")
def test_a_resolver_gives_a_value_of_json_or_rejects_the_record(name: str, value: Any) -> None:
    mapper = compile_mapping(load_mapping({"fields": {"a": {"source": "a", "resolver": name}}}), columns=None)

    refused = False
    entity: dict[str, Any] = {}
    try:
        entity = mapper({"a": value})
        encoded = encode_entity(entity)
    except MappingError:
        refused = True
    if not refused:
        json.loads(encoded, parse_constant=pytest.fail)
        if name == "sdk.parseInt":
            assert entity["a"] is None or type(entity["a"]) is int
        if name in {"sdk.parseFloat", "sdk.number"}:
            assert entity["a"] is None or math.isfinite(entity["a"])


def documents() -> list[Path]:
    return sorted(CORPUS.glob("*.json")) if CORPUS.is_dir() else []


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the JSON test suite isn't beside this checkout")
def test_the_json_test_suite_is_read_as_it_demands(folder: Path) -> None:
    """In every place where we read JSON: a mapping, a pipeline file, a value of a record."""
    wrong: list[str] = []
    for document in documents():
        content = document.read_bytes()
        readers = {
            "mapping": lambda at=content: mapping_of(folder, at),
            "pipeline": lambda at=content: pipeline_of(folder, at),
            "resolver": lambda at=content: resolved(at),
        }
        for reader, read in readers.items():
            try:
                read()
            except (ConfigurationError, MappingError, UnicodeDecodeError):
                accepted = False
            else:
                accepted = True
            kind = document.name[0]
            if (kind == "y" and not accepted and (reader, document.name) not in STRICTER) or (
                kind == "n" and accepted
            ):
                wrong.append(f"{reader}: {document.name} was {'taken' if accepted else 'refused'}")
    assert wrong == []


# Valid JSON that we refuse: a key given twice says two things, and a person meant one of them.
STRICTER = {
    ("pipeline", "y_object_duplicated_key.json"),
    ("pipeline", "y_object_duplicated_key_and_value.json"),
    ("mapping", "y_object_duplicated_key.json"),
    ("mapping", "y_object_duplicated_key_and_value.json"),
    ("resolver", "y_object_duplicated_key.json"),
    ("resolver", "y_object_duplicated_key_and_value.json"),
}


def mapping_of(folder: Path, content: bytes) -> None:
    path = folder / "suite.json"
    path.write_bytes(b'{"fields": {"a": {"value": ' + content + b"}}}")
    load_mapping(path)


def pipeline_of(folder: Path, content: bytes) -> None:
    path = folder / "suite-pipeline.json"
    path.write_bytes(b'{"a": ' + content + b"}")
    if read_document(path).problems:
        raise ConfigurationError("something is given twice")


@pytest.mark.parametrize("name", ["m.json", "m.yaml"])
def test_a_field_that_is_mapped_twice_is_refused(folder: Path, name: str) -> None:
    path = folder / name
    path.write_text('{"fields": {"qty": {"source": "a"}, "qty": {"source": "b"}}}')

    with pytest.raises(ConfigurationError, match="'qty' is given twice"):
        load_mapping(path)


def resolved(content: bytes) -> None:
    mapper = compile_mapping(
        load_mapping({"fields": {"a": {"source": "a", "resolver": "sdk.parseJson"}}}), columns=("a",)
    )
    encode_entity(mapper([content.decode()]))
