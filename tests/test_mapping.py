"""The mapper on flat records: what it makes of them, and what it refuses."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fc_connect.errors import ConfigurationError, MappingError
from fc_connect.mapping import ABSENT, compile_mapping, encode_entity, load_mapping

COLUMNS = ("sku", "warehouse", "quantity", "status")


def mapped(fields: dict[str, Any], record: Any, *, columns: Any = None, **options: Any) -> dict[str, Any]:
    return compile_mapping(load_mapping({"fields": fields}), columns=columns, **options)(record)


def problems_of(fields: dict[str, Any], record: Any, **options: Any) -> list[tuple[str, Any, str]]:
    with pytest.raises(MappingError) as caught:
        mapped(fields, record, **options)
    return [(each.field, each.value, each.reason) for each in caught.value.problems]


def test_the_reference_example() -> None:
    fields = {
        "ref": {"source": "sku", "required": True},
        "productRef": {"source": "sku"},
        "locationRef": {"source": "warehouse", "resolver": "sdk.trim"},
        "qty": {"source": "quantity", "resolver": "sdk.parseInt"},
        "status": {"source": "status", "resolver": "sdk.uppercase", "defaultValue": "ACTIVE"},
        "type": {"value": "LAST_ON_HAND"},
        "attributes.source": {"value": "WMS"},
    }

    entity = mapped(fields, ["0012", " W1 ", "7", ""], columns=COLUMNS)

    assert entity == {
        "ref": "0012",
        "productRef": "0012",
        "locationRef": "W1",
        "qty": 7,
        "status": "ACTIVE",
        "type": "LAST_ON_HAND",
        "attributes": {"source": "WMS"},
    }
    assert json.loads(encode_entity(entity)) == entity


def test_every_fault_of_a_record_is_told() -> None:
    fields = {
        "ref": {"source": "sku", "required": True},
        "qty": {"source": "quantity", "resolver": "sdk.parseInt"},
    }

    found = problems_of(fields, ["", "W1", "12abc", "A"], columns=COLUMNS)

    assert [(field, value) for field, value, _ in found] == [("ref", ""), ("qty", "12abc")]
    assert found[0][2] == "is required, and is missing or empty"
    assert found[1][2] == "expected a whole number"


@pytest.mark.parametrize(
    ("resolver", "value", "expected"),
    [
        ("parseInt", "42", 42),
        ("parseInt", " 42 ", 42),
        ("parseInt", "-7", -7),
        ("parseInt", "+5", 5),
        ("parseInt", "007", 7),
        ("parseInt", "12.0", 12),
        ("parseInt", "9007199254740993", 9007199254740993),
        ("parseFloat", "12.5", 12.5),
        ("parseFloat", "1e3", 1000.0),
        ("parseFloat", "3", 3),
        ("number", ".5", 0.5),
        ("boolean", "Yes", True),
        ("boolean", "0", False),
        ("toString", 7, "7"),
        ("toString", True, "true"),
        ("uppercase", "straße", "STRASSE"),
        ("lowercase", "ABC", "abc"),
        ("trim", "\ufeff\u00a0 x ", "x"),
        ("parseJson", '{"a":[1]}', {"a": [1]}),
        ("toJson", {"a": [1]}, '{"a":[1]}'),
        ("formatDate", "2026-01-31T12:00:00+02:00", "2026-01-31T10:00:00.000Z"),
        ("formatDateShort", "2026-01-31T23:30:00-02:00", "2026-02-01"),
        ("default", "x", "x"),
    ],
)
def test_a_resolver_gives(resolver: str, value: Any, expected: Any) -> None:
    assert mapped({"f": {"source": "v", "resolver": f"sdk.{resolver}"}}, {"v": value}) == {"f": expected}


@pytest.mark.parametrize(
    ("resolver", "value"),
    [
        *(
            ("parseInt", v)
            for v in [
                "",
                " ",
                "abc",
                "12abc",
                "12.7",
                "1,234",
                "1e3",
                "0x1F",
                "1_000",
                "٣",
                "NaN",
                True,
                [],
                1.5,
            ]
        ),
        *(
            ("parseFloat", v)
            for v in ["", "abc", "3,14", "50%", "$12", "Infinity", "nan", "1_000", float("nan")]
        ),
        *(("boolean", v) for v in ["", "maybe", "2", 7, []]),
        *(("formatDate", v) for v in ["31/01/2026", "soon", 7]),
        ("parseJson", "{"),
        ("parseInt", "9" * 30),
    ],
)
def test_a_resolver_refuses_rather_than_guess(resolver: str, value: Any) -> None:
    [(field, seen, reason)] = problems_of({"f": {"source": "v", "resolver": f"sdk.{resolver}"}}, {"v": value})

    assert field == "f"
    assert seen is value or seen == value
    assert reason.startswith("expected")


def test_an_absent_value_is_left_out_and_null_is_kept() -> None:
    fields = {
        "a": {"source": "x"},
        "b": {"source": "y", "resolver": "sdk.parseInt"},
        "c": {"source": "z.0.w"},
    }

    assert mapped(fields, {"x": None, "z": [{"w": 1}]}) == {"a": None, "c": 1}


def test_resolvers_of_ones_own_take_what_they_ask_for() -> None:
    def full(value: Any, record: Any, context: Any) -> str:
        return f"{value}-{record['warehouse']}-{context['shop']}"

    resolvers = {
        "custom.one": lambda value: value + "!",
        "custom.two": lambda value, record: record["sku"],
        "custom.three": full,
    }
    fields = {name: {"source": "status", "resolver": f"custom.{name}"} for name in ("one", "two", "three")}

    entity = mapped(fields, ["s", "w", "1", "A"], columns=COLUMNS, resolvers=resolvers, context={"shop": 7})

    assert entity == {"one": "A!", "two": "s", "three": "A-w-7"}


def test_a_resolver_that_raises_rejects_the_record_with_its_reason() -> None:
    def fail(value: Any) -> Any:
        raise LookupError("no such code")

    [(_, value, reason)] = problems_of(
        {"f": {"source": "v", "resolver": "custom.fail"}}, {"v": "x"}, resolvers={"custom.fail": fail}
    )

    assert value == "x"
    assert reason == "resolver 'custom.fail' failed: LookupError: no such code"


@pytest.mark.parametrize(
    ("mapping", "expected"),
    [
        ({}, "fields"),
        ({"fields": {}}, "fields"),
        ({"fields": {"a": "sku"}}, 'such as {"source": "sku"}'),
        ({"fields": {"a": {"sorce": "x"}}}, "did you mean 'source'"),
        ({"fields": {"a": {"source": 7}}}, "fields.a.source"),
        ({"fields": {"a": {"source": "x", "required": "yes"}}}, "fields.a.required"),
        ({"fields": {"a": {"fields": {}, "isArray": True}}}, "needs the `source` of its items"),
        ({"fields": {"a": {"source": "x", "isArray": True}}}, "needs the `fields` of an item"),
        ({"fields": {"a": {"source": "x", "fields": {"b": {"value": 1}}, "value": 1}}}, "`value` can't be"),
        ({"fields": {"a": {"fields": {"b": {"sorce": "x"}}}}}, "fields.a.fields.b.sorce: unknown"),
        ({"fields": {"a": {"source": "x", "validation": {}}}}, "`minimum`"),
        ({"fields": {"a": {"source": "x", "when": {}}}}, "a condition needs"),
        (
            {"fields": {"a": {"source": "x", "when": {"equals": 1, "any": [{"source": "y"}]}}}},
            "needs the `source`",
        ),
        ({"fields": {"a": {"source": "x", "lookup": {}}}}, "one of `values`, `file` and `kv`"),
        ({"fields": {"a": {"source": "x", "pattern": "("}}}, "isn't a regular expression"),
        ({"fields": {"a": {"source": "x", "resolver": 7}}}, "a resolver is a name"),
        ({"fields": {"a": {"source": "x"}}, "compat": "yes"}, "compat: expected true or false"),
        ({"fields": {"l[1].a": {"source": "x"}}}, "a hole in the list"),
        ({"fields": {"l[0].a": {"source": "x"}, "l.b": {"source": "x"}}}, "a list here"),
        ({"fields": {"l[99999].a": {"source": "x"}}}, "at most 1,000"),
        ({"fields": {"a": {"source": "x"}, "a.b": {"source": "y"}}}, "lies inside 'a'"),
        ({"fields": {"a[]": {"source": "x"}}}, "a list of any length is `isArray`"),
        ({"fields": {"a": {}}}, "needs a source"),
        ({"fields": {"a": {"source": "x"}}, "mutation": "createX"}, "GraphQL"),
    ],
)
def test_a_mapping_that_can_not_be_used_is_told(mapping: Any, expected: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_mapping(mapping)

    assert expected in str(caught.value)


def test_what_does_not_fit_the_file_is_told_all_at_once() -> None:
    config = load_mapping(
        {
            "fields": {
                "a": {"source": "skuu"},
                "b": {"source": "nope"},
                "c": {"source": "sku", "resolver": "sdk.upper"},
            }
        }
    )

    with pytest.raises(ConfigurationError) as caught:
        compile_mapping(config, columns=COLUMNS)

    assert len(caught.value.problems) == 3
    assert "Did you mean 'sku'?" in str(caught.value)
    assert "did you mean 'sdk.uppercase'" in str(caught.value)


def test_the_digest_names_what_decides_the_outcome() -> None:
    def digest(**field: Any) -> str:
        return load_mapping({"fields": {"a": {"source": "x", **field}}}).digest

    assert digest() == digest(comment="other words")
    assert len({digest(), digest(required=True), digest(defaultValue=None), digest(resolver="sdk.trim")}) == 4


def test_hostile_text_never_becomes_code() -> None:
    evil = '\'); raise SystemExit #\n"""\\'
    fields = {
        evil.replace(".", ""): {"source": evil, "defaultValue": evil},
        "constant": {"value": evil},
    }

    assert mapped(fields, [""], columns=(evil,)) == {evil: evil, "constant": evil}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), ABSENT])
def test_what_json_has_no_form_for_is_refused(value: Any) -> None:
    with pytest.raises(MappingError):
        encode_entity({"a": [value]})


def test_a_mapping_error_survives_pickling() -> None:
    with pytest.raises(MappingError) as caught:
        mapped({"a": {"source": "x", "required": True}}, {})

    again = pickle.loads(pickle.dumps(caught.value))

    assert again.problems == caught.value.problems
    assert str(again) == str(caught.value)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=6), min_size=4, max_size=4))
def test_text_without_a_resolver_goes_through_untouched(row: list[str]) -> None:
    fields = {name: {"source": name} for name in COLUMNS}

    entity = mapped(fields, row, columns=COLUMNS)

    assert json.loads(encode_entity(entity)) == dict(zip(COLUMNS, row, strict=True))
