"""What a mapping can say beyond the TypeScript SDK: chains, options, conditions, tables and checks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import pytest

from fc_connect.errors import ConfigurationError, MappingError, StateConflictError
from fc_connect.kv import KVStore, open_kv
from fc_connect.mapping import UniversalMapper, compile_mapping, encode_entity, load_mapping
from fc_connect.pipeline.tables import read_table, store_table, table_names


def value_of(field: dict[str, Any], value: Any = "v", **record: Any) -> Any:
    mapper = compile_mapping(load_mapping({"fields": {"f": {"source": "v", **field}}}), columns=None)
    return mapper({"v": value, **record}).get("f", "(left out)")


def reason_of(field: dict[str, Any], value: Any) -> str:
    with pytest.raises(MappingError) as caught:
        value_of(field, value)
    return caught.value.problems[0].reason


def option(name: str, **options: Any) -> dict[str, Any]:
    return {"resolver": {"name": f"sdk.{name}", **options}}


def test_resolvers_are_applied_one_after_the_other() -> None:
    chain = ["sdk.trim", {"name": "sdk.split", "separator": "-", "index": 1}, "sdk.parseInt"]

    assert value_of({"resolver": chain}, " A-007 ") == 7


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        (option("split", separator=","), "a, b", ["a", "b"]),
        (option("split", separator=",", trim=False), "a, b", ["a", " b"]),
        (option("split", separator=",", index=-1), "a,b", "b"),
        (option("split", separator=",", index=5), "a,b", None),
        (option("split", separator=","), "", []),
        (option("join", separator="|"), ["a", 1, None, True], "a|1|true"),
        (option("replace", search="-", replacement=""), "a-b-c", "abc"),
        (option("replace", search="[0-9]+", replacement="#", regex=True), "a12b3", "a#b#"),
        (option("substring", start=1, end=3), "abcd", "bc"),
        (option("substring", start=-2), "abcd", "cd"),
        (option("defaultTo", value="none"), "", "none"),
        (option("defaultTo", value=0), None, 0),
        (option("hash"), "a", "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"),
        (option("hash", algorithm="md5", length=8), "a", "0cc175b9"),
        (
            option("uuid", namespace="https://shop.example/"),
            "a",
            str(uuid5(uuid5(NAMESPACE_URL, "https://shop.example/"), "a")),
        ),
        (option("number", locale="de"), "1.234,5", 1234.5),
        (option("number", locale="fr"), "1\u202f234,5", 1234.5),
        (option("number", locale="de-CH"), "1’234.5", 1234.5),
        (option("number", decimal=","), "-0,5", -0.5),
        (option("parseInt", group=","), "1,234", 1234),
        (option("decimal"), "10.50", Decimal("10.50")),
        (option("formatDate", format="%d/%m/%Y"), "31/01/2026", "2026-01-31T00:00:00.000Z"),
        (option("formatDate", format=["iso", "%d.%m.%Y"]), "31.01.2026", "2026-01-31T00:00:00.000Z"),
        (option("formatDate", timezone="Europe/Berlin"), "2026-07-01T12:00:00", "2026-07-01T10:00:00.000Z"),
        (option("formatDate", timezone="Europe/Berlin"), "2026-07-01T12:00:00Z", "2026-07-01T12:00:00.000Z"),
        (option("formatDate", format="epochMillis"), 1705314600000, "2024-01-15T10:30:00.000Z"),
        (option("formatDate", format="epoch"), "1705314600", "2024-01-15T10:30:00.000Z"),
        (option("formatDateShort", toTimezone="Asia/Tokyo"), "2026-01-31T20:00:00Z", "2026-02-01"),
        (option("formatDate", to="%d.%m.%Y"), "2026-01-31", "31.01.2026"),
    ],
)
def test_a_resolver_takes_options(field: dict[str, Any], value: Any, expected: Any) -> None:
    assert value_of(field, value) == expected


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        (option("number", locale="de"), "1,234.5", "decimal mark"),
        (option("number", locale="de"), "12.34,5", "groups of three digits"),
        (option("number", group=",'"), "1,234'567", "one kind of mark"),
        (option("formatDate", format="%d/%m/%Y"), "2026-01-31", "written as %d/%m/%Y"),
        (option("formatDate", format="%d/%m/%Y"), "٣١/01/2026", "written as"),
        (option("formatDate", timezone="Europe/Berlin"), "2026-03-29T02:30:00", "the clocks skip it"),
        (option("formatDate", timezone="Europe/Berlin"), "2026-10-25T02:30:00", "pass it twice"),
        (option("decimal"), "1e999999", "expected a number"),
        ({"enum": ["A", "B"]}, "C", "one of 'A', 'B'"),
        ({"enum": [1]}, True, "one of 1"),
        ({"pattern": "[A-Z]{2}"}, "ABC", "text like [A-Z]{2}"),
        ({"resolver": "sdk.parseInt", "minimum": 0}, "-1", "at least 0"),
        ({"resolver": "sdk.parseInt", "minimum": 0, "maximum": 9}, "10", "0 to 9"),
        ({"minimum": 0}, "5", "sdk.parseInt makes one"),
        ({"minLength": 2}, "a", "at least 2 characters"),
        ({"maxLength": 2}, "abc", "0 to 2 characters"),
        ({"lookup": {"values": {"A": 1}}}, "B", "that the lookup knows"),
    ],
)
def test_what_is_not_as_the_mapping_says_is_refused(field: dict[str, Any], value: Any, reason: str) -> None:
    assert reason in reason_of(field, value)


def test_a_pattern_that_takes_for_ever_rejects_the_record_instead() -> None:
    slow, almost = "(?:a|aa)+$", "a" * 60 + "!"

    assert "within 1 s" in reason_of({"pattern": slow}, almost)
    assert "within 1 s" in reason_of(option("replace", search=slow, regex=True), almost)


def test_a_time_that_comes_twice_is_taken_as_the_mapping_says() -> None:
    def at(which: str) -> Any:
        return value_of(
            option("formatDate", timezone="Europe/Berlin", ambiguous=which), "2026-10-25T02:30:00"
        )

    assert (at("earlier"), at("later")) == ("2026-10-25T00:30:00.000Z", "2026-10-25T01:30:00.000Z")


def test_a_decimal_is_written_with_its_digits() -> None:
    entity = compile_mapping(
        load_mapping({"fields": {"p": {"source": "p", "resolver": "sdk.decimal"}}}), columns=None
    )({"p": "10.50"})

    assert encode_entity(entity) == b'{"p":10.50}'


def test_several_sources_become_one_text() -> None:
    chain = {"source": "", "resolver": {"name": "sdk.concat", "sources": ["a", "b.c"], "separator": "-"}}

    assert value_of(chain, a="x", b={"c": 7}) == "x-7"
    assert value_of(chain, a="x") == "x"
    assert value_of(chain) == "(left out)"


def test_an_empty_value_is_not_checked() -> None:
    assert value_of({"enum": ["A"], "pattern": "A", "lookup": {"values": {}}}, "") == ""


@pytest.mark.parametrize(
    ("when", "holds"),
    [
        ({"source": "k"}, True),
        ({"source": "none"}, False),
        ({"source": "none", "exists": False}, True),
        ({"source": "k", "equals": "1"}, True),
        ({"source": "k", "equals": 1}, True),
        ({"source": "k", "equals": True}, False),
        ({"source": "k", "in": ["2", 3]}, False),
        ({"source": "k", "matches": "[0-9]"}, True),
        ({"source": "k", "matches": "[0-9]", "equals": "2"}, False),
        ({"not": {"source": "k"}}, False),
        ({"all": [{"source": "k"}, {"source": "none"}]}, False),
        ({"any": [{"source": "k"}, {"source": "none"}]}, True),
    ],
)
def test_a_field_is_left_out_where_its_condition_does_not_hold(when: Any, holds: bool) -> None:
    assert value_of({"when": when, "required": True}, "v", k="1") == ("v" if holds else "(left out)")


def test_a_table_beside_the_mapping_file_is_looked_up(tmp_path: Path) -> None:
    (tmp_path / "stores.csv").write_text("\ufeffname,code,ref\nOne,1,LOC_1\nTwo,2,LOC_2\n", "utf-8")
    field = {"source": "s", "lookup": {"file": "stores.csv", "key": "code", "value": "ref"}}
    (tmp_path / "m.json").write_text(json.dumps({"fields": {"f": field}}))

    mapper = UniversalMapper(tmp_path / "m.json")

    assert mapper.map({"s": "2"}).data == {"f": "LOC_2"}
    assert not mapper.map({"s": "3"}).success


def test_an_edited_table_is_another_mapping(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    (tmp_path / "m.json").write_text('{"fields": {"f": {"source": "s", "lookup": {"file": "t.csv"}}}}')
    digests = set()
    for content in ("a,b\n1,2\n", "a,b\n1,3\n"):
        table.write_text(content)
        digests.add(load_mapping(tmp_path / "m.json").digest)

    assert len(digests) == 2


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("a,b\n1,2\n1,3\n", "line 3: '1' has another value further up"),
        ("a,b\n1\n", "line 2: has 1 cells, and the header 2"),
        ("a\n", "a table needs two columns"),
        ("a,a,b\n", "expected one column 'a'"),
    ],
)
def test_a_table_that_can_not_be_used_is_told(tmp_path: Path, content: str, told: str) -> None:
    (tmp_path / "t.csv").write_text(content)
    key = {"key": "a", "value": "b"} if "a,a" in content else {}
    field = {"source": "s", "lookup": {"file": "t.csv", **key}}

    with pytest.raises(ConfigurationError) as caught:
        UniversalMapper({"fields": {"f": field}}, folder=tmp_path)

    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("resolver", "told"),
    [
        ({"name": "sdk.split"}, "needs options: separator, trim?, index?"),
        ({"name": "sdk.split", "separator": 7}, "separator: Input should be a valid string"),
        ({"name": "sdk.split", "seperator": ","}, "seperator"),
        ({"name": "sdk.trim", "x": 1}, "takes no options"),
        ({"name": "sdk.formatDate", "timezone": "Mars/Base"}, "there is no time zone 'Mars/Base'"),
        ({"name": "sdk.number", "locale": "xx"}, "locale 'xx' isn't known"),
        ({"name": "sdk.number", "decimal": ",", "group": ","}, "none of those in `group`"),
        ({"name": "sdk.replace", "search": "(", "regex": True}, "isn't a regular expression"),
        ({"name": "sdk.concat", "sources": "a"}, "sdk.concat takes"),
        ({"name": "custom.x", "y": 1}, "options are for the built-in resolvers"),
    ],
)
def test_options_that_can_not_be_used_are_told_before_any_record(resolver: Any, told: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        UniversalMapper({"fields": {"f": {"source": "v", "resolver": resolver}}})

    assert told in str(caught.value)


@pytest.fixture
def kv(tmp_path: Path) -> Iterator[KVStore]:
    with open_kv(f"sqlite:///{tmp_path}/state.db") as store:
        yield store


def test_a_table_in_the_state_store_is_replaced_as_a_whole(kv: KVStore) -> None:
    store_table(kv, "stores", {str(n): f"LOC_{n}" for n in range(250)})
    store_table(kv, "stores", {"1": "LOC_A", "2": "LOC_B"})

    assert read_table(kv, "stores") == {"1": "LOC_A", "2": "LOC_B"}
    assert table_names(kv) == {"stores": 2}
    assert read_table(kv, "none") is None
    assert sum(1 for _ in kv.list(("$lookup",))) == 3


def test_of_two_who_replace_a_table_at_once_one_is_told(kv: KVStore) -> None:
    class Racing:
        def __getattr__(self, name: str) -> Any:
            return getattr(kv, name)

        def now(self) -> Any:
            if not raced:
                raced.append(True)
                store_table(kv, "stores", {"1": "theirs"})
            return kv.now()

    raced: list[bool] = []

    with pytest.raises(StateConflictError, match="replaced by somebody else"):
        store_table(Racing(), "stores", {"1": "ours"})

    assert read_table(kv, "stores") == {"1": "theirs"}


def test_a_table_that_is_not_in_the_state_store_is_told() -> None:
    field = {"source": "s", "lookup": {"kv": "stores"}}

    with pytest.raises(ConfigurationError, match="the state store has no table 'stores'"):
        UniversalMapper({"fields": {"f": field}})
    assert UniversalMapper({"fields": {"f": field}}, tables={"stores": {"1": "A"}}).map({"s": 1}).data == {
        "f": "A"
    }
