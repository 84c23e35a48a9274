"""Paths: what they find, what they refuse and at which column, and that nothing but data can be reached."""

from __future__ import annotations

import json
import os
import pickle
from collections import UserDict
from pathlib import Path as FilePath
from typing import Any

import pytest

from fc_connect.errors import ConfigurationError, MappingError
from fc_connect.mapping import jsonpath
from fc_connect.mapping.paths import MAX_CHARACTERS, MAX_STEPS, Path, parse_path
from fc_connect.mapping.values import ABSENT

RECORD: dict[str, Any] = {
    "ref": "R1",
    "zero": 0,
    "nothing": None,
    "a.b": "dotted",
    "it's": "quoted",
    "user@host": "a key with an at sign",
    "$odd": "a key with a dollar sign",
    "length": "just a key",
    "items": [{"sku": "A", "qty": 1, "gift": True}, {"sku": "B", "qty": 2.0}, {"qty": None}],
    "matrix": [[1, 2], [3, 4]],
    "numbered": {"0": "zero", "1": "one"},
    "deep": {"a b": {"c": [{"d": "found"}]}},
}
XML: dict[str, Any] = {
    "Order": {
        "@id": "007",
        "Name": {"#text": "Foo", "@lang": "en"},
        "Plain": "text",
        "Empty": None,
        "Single": {"Item": {"@sku": "Z", "Size": "L"}},
        "Items": {
            "Item": [
                {"@sku": "A", "Size": {"#text": "S", "@unit": "eu"}},
                {"@sku": "B", "Size": "M", "sku": "shadowed"},
            ]
        },
    }
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("ref", "R1"),
        ("zero", 0),
        ("nothing", None),
        ("nothing.x", ABSENT),
        ("missing", ABSENT),
        ("missing.x[0].y", ABSENT),
        ("items[0].sku", "A"),
        ("items.1.sku", "B"),
        ("items[-1].qty", None),
        ("items[3]", ABSENT),
        ("items[-4]", ABSENT),
        ("items.3", ABSENT),
        ("matrix[1][0]", 3),
        ("matrix.1.0", 3),
        ("numbered.0", "zero"),
        ("numbered[1]", "one"),
        ("['a.b']", "dotted"),
        ('["a.b"]', "dotted"),
        (r"['it\'s']", "quoted"),
        ("it's", "quoted"),
        ("['$odd']", "a key with a dollar sign"),
        ("user@host", "a key with an at sign"),
        ("length", "just a key"),
        ("items.length", ABSENT),
        ("ref.length", ABSENT),
        ("deep.a b.c[0].d", "found"),
        ("deep['a b'].c.0['d']", "found"),
        ("items[sku=B].qty", 2.0),
        ("items[sku='B'].qty", 2.0),
        ('items[ sku = "B" ].qty', 2.0),
        ("items[qty=2].sku", "B"),
        ("items[gift=true].sku", "A"),
        ("items[@sku=B]", ABSENT),
        ("items[sku=C].qty", ABSENT),
    ],
)
def test_a_path_finds_one_value(path: str, found: Any) -> None:
    parsed = parse_path(path)

    assert parsed.read(RECORD) == found
    assert not parsed.is_plural


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("items[*].sku", ["A", "B", None]),
        ("items.*.sku", ["A", "B", None]),
        ("items[*]", RECORD["items"]),
        ("matrix[*][0]", [1, 3]),
        ("matrix[*][*]", [[1, 2], [3, 4]]),
        ("missing[*].x", ABSENT),
        ("nothing[*]", ABSENT),
    ],
)
def test_a_wildcard_finds_a_list_as_long_as_the_one_it_reads(path: str, found: Any) -> None:
    parsed = parse_path(path)

    assert parsed.read(RECORD) == found
    assert parsed.is_plural


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("Order@id", "007"),
        ("Order.@id", "007"),
        ("Order.Name.#text", "Foo"),
        ("Order.Plain.#text", "text"),
        ("Order.Empty.#text", ABSENT),
        ("Order.Name@lang", "en"),
        ("Order.Plain@lang", ABSENT),
        ("Order.Items.Item[1]@sku", "B"),
        ("Order.Items.Item[1].@sku", "B"),
        ("Order.Items.Item[*]@sku", ["A", "B"]),
        ("Order.Items.Item@sku", ABSENT),
        ("Order.Items.Item[sku=B].Size", "M"),
        ("Order.Items.Item[@sku='B'].Size", "M"),
        ("Order.Items.Item[Size=S]@sku", "A"),
        ("Order.Single.Item[0]@sku", "Z"),
        ("Order.Single.Item[-1]@sku", "Z"),
        ("Order.Single.Item[1]@sku", ABSENT),
        ("Order.Single.Item[*].Size", ["L"]),
        ("Order.Single.Item[@sku=Z].Size", "L"),
        ("Order.Plain[0]", "text"),
    ],
)
def test_a_path_reads_elements_attributes_and_text_of_xml(path: str, found: Any) -> None:
    assert parse_path(path).read(XML) == found


def test_an_attribute_of_the_record_itself_needs_no_element() -> None:
    assert parse_path("@sku").read({"@sku": "A"}) == "A"


@pytest.mark.parametrize(
    ("path", "found", "is_plural"),
    [
        ("$", RECORD, False),
        ("$.ref", "R1", False),
        ("$['a.b']", "dotted", False),
        ("$.items[0].sku", "A", False),
        ("$.missing", ABSENT, False),
        ("$..sku", ["A", "B"], True),
        ("$.items[?@.qty > 1].sku", ["B"], True),
        ("$.items[*].nothing", [], True),
    ],
)
def test_a_path_with_a_dollar_sign_is_jsonpath(path: str, found: Any, is_plural: bool) -> None:
    parsed = parse_path(path)

    assert parsed.read(RECORD) == found
    assert parsed.is_plural == is_plural


def test_context_and_root_are_told_by_the_origin() -> None:
    of_context = parse_path("$context.retailer[0]")
    of_root = parse_path("$root")

    assert (of_context.origin, of_context.steps) == ("context", ("retailer", 0))
    assert of_context.read({"retailer": ["1"]}) == "1"
    assert of_root.origin == "root"
    assert of_root.read(RECORD) is RECORD
    assert parse_path("ref").origin == "record"


def test_names_of_nodes_are_origins_where_they_are_known() -> None:
    assert parse_path("$order.items[0]", origins=("order",)).origin == "order"
    with pytest.raises(ConfigurationError, match=r"\$context and \$root"):
        parse_path("$order.items[0]")


@pytest.mark.parametrize(
    ("path", "steps"),
    [
        ("a.b[0].1", ("a", "b", 0, "1")),
        ("[0]['x.y']", (0, "x.y")),
        ("El.@id", ("El", "@id")),
        ("$.a.b", ("a", "b")),
        ("$.a[0]", None),
        ("$['0']", None),
        ("a[*]", None),
        ("El@id", None),
        ("El.#text", None),
        ("a[b=c]", None),
    ],
)
def test_steps_are_told_where_a_path_is_a_plain_chain(path: str, steps: Any) -> None:
    assert parse_path(path).steps == steps


@pytest.mark.parametrize(
    ("path", "column", "what"),
    [
        ("", 1, "expected a name"),
        ("a..b", 3, "expected a name"),
        (".a", 1, "expected a name"),
        ("a.", 3, "expected a name"),
        ("a.[0]", 3, "a bracket needs no dot before it"),
        ("a[x]", 3, "a key in quotes"),
        ("a[]", 3, r"expected an index, \*"),
        ("a[1abc]", 3, "expected an index"),
        ("a[0", 3, "expected an index"),
        ("a['b]", 3, "isn't closed"),
        (r"a['\b']", 5, "backslash"),
        ("a['b'", 6, r"expected \]"),
        ("a[0]b", 5, "expected a dot"),
        ("a]", 2, "expected a dot"),
        ("a@", 3, "the name of an attribute"),
        ("a.'b.c'", 3, r"stands in brackets: \['a.b'\]"),
        ("/Order/Ref", 1, "Order.Items.Item"),
        ("a[b!=c]", 3, "JSONPath filter"),
        ("a[b==c]", 5, "behind one ="),
        ("a[b=]", 5, "expected a value"),
        ("a[12345678901]", 3, "nine digits"),
        ("$odd", 1, r"\['\$…'\]"),
        ("$context@x", 9, "expected a dot"),
        ("$.", 3, "JSONPath"),
        ("$[?@.x", 2, "JSONPath"),
        ("$.items[?nope(@)]", 10, "nope"),
    ],
)
def test_what_is_no_path_is_refused_at_its_column(path: str, column: int, what: str) -> None:
    with pytest.raises(ConfigurationError, match=what) as refusal:
        parse_path(path)

    assert f"column {column}:" in str(refusal.value)


def test_a_path_is_text_of_limited_length_and_depth() -> None:
    with pytest.raises(ConfigurationError, match="not int"):
        parse_path(5)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="4,096 are allowed"):
        parse_path("x" * (MAX_CHARACTERS + 1))
    with pytest.raises(ConfigurationError, match="at most 64 steps"):
        parse_path(".".join("x" * (MAX_STEPS + 2)))
    with pytest.raises(ConfigurationError, match="can't be used"):
        parse_path("$[?" + "(" * 2000 + "@.x" + ")" * 2000 + "]")


class Secretive:
    """An object with something to hide."""

    password = "hunter2"

    def __getitem__(self, key: str) -> str:
        return self.password


@pytest.mark.parametrize(
    "path",
    [
        "o.password",
        "o['password']",
        "o.__class__",
        "o@password",
        "o.__init__.__globals__",
        "o[password=hunter2]",
        "$.o.password",
        "$..password",
        "ref.__class__",
        "ref.upper",
        "constructor",
        "__proto__.x",
        "items.append",
    ],
)
def test_no_path_leads_to_an_attribute_of_an_object(path: str) -> None:
    record = {"o": Secretive(), "ref": "R1", "items": []}

    found = parse_path(path).read(record)

    assert found is ABSENT or found == []


def test_any_mapping_is_read_like_a_dict() -> None:
    assert parse_path("a.b").read(UserDict(a=UserDict(b=1))) == 1


def test_a_query_that_finds_too_much_is_an_error_and_no_part_of_it() -> None:
    with pytest.raises(MappingError, match="more than 1,000 values"):
        jsonpath.find("$..*", [[0] * 2000], max_found=1000)


def test_a_record_that_is_too_deep_for_a_query_is_an_error() -> None:
    record: Any = "end"
    for _ in range(5000):
        record = [record]

    with pytest.raises(MappingError, match="fails on this record"):
        parse_path("$..x").read(record)


def test_a_pattern_that_takes_for_ever_is_given_up() -> None:
    record = {"pattern": "(a|aa)*c", "values": ["a" * 60 + "c!"]}

    with pytest.raises(MappingError, match="takes more than"):
        parse_path("$.values[?match(@, $.pattern)]").read(record)


def test_a_dot_in_a_pattern_is_no_end_of_a_line() -> None:
    record = ["a\nb", "a-b", "a.b"]

    assert parse_path("$[?match(@, 'a.b')]").read(record) == ["a-b", "a.b"]
    assert parse_path(r"$[?match(@, 'a\\.b')]").read(record) == ["a.b"]
    assert parse_path("$[?match(@, 'a[.]b')]").read(record) == ["a.b"]
    assert parse_path("$[?search(@, '[')]").read(record) == []


@pytest.mark.parametrize("text", ["a[*].b@c", "$..x", "$context.x", "a[b=c].#text"])
def test_a_path_is_a_value_that_pickles(text: str) -> None:
    path = parse_path(text)

    again: Path = pickle.loads(pickle.dumps(path))

    assert again == path == parse_path(text)
    assert again.read({"a": [{"b": {"@c": 1}}]}) == path.read({"a": [{"b": {"@c": 1}}]})
    assert str(again) == text


COMPLIANCE = os.environ.get("JSONPATH_CTS")


@pytest.mark.skipif(
    COMPLIANCE is None, reason="JSONPATH_CTS doesn't name the cts.json of the compliance suite"
)
def test_jsonpath_passes_the_compliance_suite() -> None:
    cases = json.loads(FilePath(COMPLIANCE or "").read_text(encoding="utf-8"))["tests"]

    for case in cases:
        if case.get("invalid_selector"):
            with pytest.raises(ConfigurationError):
                jsonpath.find(case["selector"], None)
            continue
        path = parse_path(case["selector"])
        found = path.read(case["document"])
        values = found if path.is_plural else [] if found is ABSENT else [found]
        assert values in case.get("results", [case.get("result")]), case["name"]
