"""What JavaScript makes of values, and the resolvers of compat mode. The expectations were seen in Node 20."""

from __future__ import annotations

import math
import pickle
from copy import deepcopy
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fc_connect.errors import MappingError
from fc_connect.mapping import encode_entity
from fc_connect.mapping.compat_resolvers import COMPAT_RESOLVERS
from fc_connect.mapping.javascript import (
    INVALID_DATE,
    date_milliseconds,
    is_truthy,
    iso_text,
    number_text,
    parse_date,
    parse_float,
    parse_int,
    read_json,
    to_json,
    to_number,
    to_string,
)
from fc_connect.mapping.javascript_dates import civil, date_text
from fc_connect.mapping.resolvers import RESOLVERS
from fc_connect.mapping.toolbox import is_valid_email
from fc_connect.mapping.values import ABSENT
from tests.javascript.comparison import WANTED_MAJOR, differences, node_version
from tests.mapping_cases import cases_of, decoded, encoded, needs_cases, same

TOKYO = ZoneInfo("Asia/Tokyo")
CYCLE: list[Any] = [1]
CYCLE.append(CYCLE)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (5.0, "5"),
        (-0.0, "0"),
        (0.1, "0.1"),
        (12.7, "12.7"),
        (1e16, "10000000000000000"),
        (123456789012345680000.0, "123456789012345680000"),
        (1e21, "1e+21"),
        (1.5e300, "1.5e+300"),
        (1e-6, "0.000001"),
        (-1.25e-6, "-0.00000125"),
        (1e-7, "1e-7"),
        (5e-324, "5e-324"),
        (math.nan, "NaN"),
        (-math.inf, "-Infinity"),
        (10**21, "1e+21"),
        (9007199254740993, "9007199254740993"),
        (Decimal("12.70"), "12.7"),
        (Decimal("9007199254740993"), "9007199254740993"),
        (Decimal("0.10000000000000000000001"), "0.10000000000000000000001"),
        (Decimal("NaN"), "NaN"),
        (-(10**400), "-Infinity"),
    ],
)
def test_a_number_is_written_as_in_javascript(number: Any, text: str) -> None:
    assert number_text(number) == text


@given(st.floats(allow_nan=False))
def test_the_text_of_a_number_is_that_number(number: float) -> None:
    assert to_number(number_text(number)) == number


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (ABSENT, "undefined"),
        (True, "true"),
        ([], ""),
        ([1, [2, None, ABSENT], "x"], "1,2,,,x"),
        (CYCLE, "1,"),
        ({"a": 1}, "[object Object]"),
        ([{}], "[object Object]"),
        (INVALID_DATE, "Invalid Date"),
        (
            datetime(2024, 1, 15, 10, 30, tzinfo=UTC),
            "Mon Jan 15 2024 10:30:00 GMT+0000 (Coordinated Universal Time)",
        ),
        (date(2024, 1, 15), "Mon Jan 15 2024 00:00:00 GMT+0000 (Coordinated Universal Time)"),
    ],
)
def test_a_value_becomes_text_as_in_javascript(value: Any, text: str) -> None:
    assert to_string(value) == text


@pytest.mark.parametrize("value", [None, ABSENT, False, 0, 0.0, -0.0, math.nan, "", Decimal(0)])
def test_these_are_falsy(value: Any) -> None:
    assert not is_truthy(value)


@pytest.mark.parametrize("value", [True, 1, -1.5, " ", "0", "false", [], {}, INVALID_DATE, date(2024, 1, 1)])
def test_these_are_truthy(value: Any) -> None:
    assert is_truthy(value)


@pytest.mark.parametrize(
    ("value", "whole", "number", "strict"),
    [
        ("12abc", 12, 12, math.nan),
        ("1,234.5", 1, 1, math.nan),
        ("-12.7", -12, -12.7, -12.7),
        ("\ufeff\u3000+5", 5, 5, 5),
        ("\x855", math.nan, math.nan, math.nan),
        ("1e3", 1, 1000, 1000),
        (".5", math.nan, 0.5, 0.5),
        ("5.", 5, 5, 5),
        ("1e", 1, 1, math.nan),
        ("0x1F", 0, 0, 31),
        ("1_000", 1, 1, math.nan),
        ("٣", math.nan, math.nan, math.nan),
        ("Infinity", math.nan, math.inf, math.inf),
        ("9007199254740993", 9007199254740992, 9007199254740992, 9007199254740992),
        ("9" * 400, math.inf, math.inf, math.inf),
        ("", math.nan, math.nan, 0),
        (" ", math.nan, math.nan, 0),
        (None, math.nan, math.nan, 0),
        (ABSENT, math.nan, math.nan, math.nan),
        (True, math.nan, math.nan, 1),
        (["7"], 7, 7, 7),
        ([5, 6], 5, 5, math.nan),
        ({}, math.nan, math.nan, math.nan),
        (12.7, 12, 12.7, 12.7),
        (1e21, 1, 1e21, 1e21),
        (5e-7, 5, 5e-7, 5e-7),
        (Decimal("12.70"), 12, 12.7, 12.7),
        (10**400, math.nan, math.inf, math.inf),
    ],
)
def test_a_number_is_read_as_in_javascript(value: Any, whole: Any, number: Any, strict: Any) -> None:
    found = [parse_int(value), parse_float(value), to_number(value)]

    assert same(found, encoded([whole, number, strict]))


@pytest.mark.parametrize("text", ["5", "5.0", " 5 ", "5e0"])
def test_a_whole_number_is_an_int_so_that_json_shows_it_so(text: str) -> None:
    assert repr(parse_float(text)) == "5"


@pytest.mark.parametrize("read", [parse_int, parse_float, to_number, read_json])
def test_minus_zero_keeps_its_sign(read: Any) -> None:
    assert str(read("-0")) == "-0.0"


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("2024", "2024-01-01T00:00:00.000Z"),
        ("2024-02", "2024-02-01T00:00:00.000Z"),
        ("2024-02-30", "2024-03-01T00:00:00.000Z"),
        ("2024-01-15T10:30Z", "2024-01-15T10:30:00.000Z"),
        ("2024-01-15T24:00", "2024-01-16T00:00:00.000Z"),
        ("2024-01-15T23:30:00.1239-05:00", "2024-01-16T04:30:00.123Z"),
        ("2024-01-15T10:30:00+0530", "2024-01-15T05:00:00.000Z"),
        ("+275760-09-13", "+275760-09-13T00:00:00.000Z"),
        ("-000001-01-01", "-000001-01-01T00:00:00.000Z"),
        ("2024-01-15 10:30:00", "2024-01-15T10:30:00.000Z"),
        ("2024-1-5", "2024-01-05T00:00:00.000Z"),
        ("2024/01/15", "2024-01-15T00:00:00.000Z"),
        ("01/15/2024", "2024-01-15T00:00:00.000Z"),
        ("1/2/49", "2049-01-02T00:00:00.000Z"),
        ("1/2/50", "1950-01-02T00:00:00.000Z"),
        ("Jan 15, 2024", "2024-01-15T00:00:00.000Z"),
        ("15 january 2024 10:30 pm", "2024-01-15T22:30:00.000Z"),
        ("Mon, 15 Jan 2024 10:30:00 GMT", "2024-01-15T10:30:00.000Z"),
        ("Mon Jan 15 2024 10:30:00 GMT+0100 (CET)", "2024-01-15T09:30:00.000Z"),
        ("1/15/2024 10:30 EST", "2024-01-15T15:30:00.000Z"),
        ("1/15/2024 10:30 +5:30", "2024-01-15T05:00:00.000Z"),
        ("5", "2001-05-01T00:00:00.000Z"),
        ("-12.7", "2001-12-07T00:00:00.000Z"),
        ("-0", "2000-01-01T00:00:00.000Z"),
        (" 42 ", "2042-01-01T00:00:00.000Z"),
    ],
)
def test_a_text_is_read_as_a_date_as_v8_reads_it(text: str, iso: str) -> None:
    found = date_milliseconds(text)

    assert found is not None
    assert iso_text(found) == iso


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            " ",
            "abc",
            "15/01/2024",
            "20240115",
            "2024-13-45",
            "2024-01-15T25:00",
            "2024-01-15T10:30:00Zx",
        ),
        *("2024-01-15T10", "12abc", "0x1F", "1705314600000", "1/15/2024 13:00 pm", "1/15/2024 10:30 +12345"),
        *("1/2/3/4", "1:2:3:4:5:6", "-000000", "x1", "+275760-09-14", "1/1/2024 1:2::3", "(2024"),
    ],
)
def test_what_v8_does_not_take_for_a_date_is_none(text: str) -> None:
    assert date_milliseconds(text) is None
    assert parse_date(text) is INVALID_DATE


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        (None, 0),
        (True, 1),
        (1705314600000, 1705314600000),
        (-1.9, -1),
        (["7"], 993945600000),
        (date(1970, 1, 2), 86_400_000),
        (datetime(1970, 1, 1, 0, 0, 0, 1999, tzinfo=UTC), 1),
        (ABSENT, None),
        (math.nan, None),
        (8.64e15 + 2, None),
        ([], None),
        ({}, None),
        (INVALID_DATE, None),
    ],
)
def test_any_value_makes_a_date_or_none(value: Any, moment: int | None) -> None:
    assert date_milliseconds(value) == moment


def test_an_invalid_date_is_never_sent_and_stays_itself_when_copied() -> None:
    with pytest.raises(MappingError):
        encode_entity({"on": INVALID_DATE})
    assert deepcopy(INVALID_DATE) is INVALID_DATE
    assert pickle.loads(pickle.dumps(INVALID_DATE)) is INVALID_DATE


def test_a_time_without_a_zone_is_one_of_the_zone_that_was_given() -> None:
    assert parse_date("01/15/2024", tz=TOKYO) == datetime(2024, 1, 14, 15, tzinfo=UTC)
    assert parse_date("2024-01-15T00:00", tz=TOKYO) == datetime(2024, 1, 14, 15, tzinfo=UTC)
    assert parse_date("2024-01-15", tz=TOKYO) == datetime(2024, 1, 15, tzinfo=UTC)
    assert date_text(0, tz=TOKYO) == "Thu Jan 01 1970 09:00:00 GMT+0900 (JST)"


def test_a_year_that_datetime_does_not_have_is_an_invalid_date_but_can_be_written() -> None:
    assert parse_date("+012024-01-01") is INVALID_DATE
    assert COMPAT_RESOLVERS["sdk.formatDate"]("+012024-01-01") == "+012024-01-01T00:00:00.000Z"


@given(st.datetimes(timezones=st.just(UTC)))
def test_the_calendar_is_that_of_datetime(moment: datetime) -> None:
    milliseconds = date_milliseconds(moment)

    assert milliseconds is not None
    assert civil(milliseconds) == (moment.year, moment.month, moment.day)
    assert parse_date(iso_text(milliseconds)) == moment - timedelta(microseconds=moment.microsecond % 1000)


@given(st.text())
def test_no_text_makes_the_readers_fail(text: str) -> None:
    for resolve in COMPAT_RESOLVERS.values():
        resolve(text)


@pytest.mark.parametrize(
    "piece", ["1", "1.", "1e", "(", "()", " ", "2024-", "Jan ", "+", ":", "[", "0x1", "9"]
)
def test_no_text_keeps_the_readers_busy_for_long(piece: str) -> None:
    text = piece * 100_000 + "x"

    for resolve in (*COMPAT_RESOLVERS.values(), to_number, is_valid_email):
        resolve(text)
    assert is_valid_email(f"a@{'.' * 100_000}@") is False


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": 5.0, "b": [math.nan, ABSENT, 1e21]}, '{"a":5,"b":[null,null,1e+21]}'),
        ({"a": ABSENT, "b": len, "c": None}, '{"c":null}'),
        ({"b": 1, "10": 2, "9": 3, "01": 4}, '{"9":3,"10":2,"b":1,"01":4}'),
        ('é"\\\n\x01\x7f\u2028', '"é\\"\\\\\\n\\u0001\x7f\u2028"'),
        ("\ud800", '"\\ud800"'),
        (datetime(2024, 1, 15, tzinfo=UTC), '"2024-01-15T00:00:00.000Z"'),
        (INVALID_DATE, "null"),
        (-0.0, "0"),
        (Decimal("1.10"), "1.1"),
        (10**400, "null"),
        (ABSENT, ABSENT),
    ],
)
def test_json_is_written_as_in_javascript(value: Any, text: Any) -> None:
    assert to_json(value) == text


def test_what_holds_itself_has_no_json() -> None:
    twice: list[int] = []

    with pytest.raises(ValueError, match="circular"):
        to_json(CYCLE)
    assert to_json([twice, twice]) == "[[],[]]"
    assert COMPAT_RESOLVERS["sdk.toJson"](CYCLE) is CYCLE


@pytest.mark.parametrize("text", ["NaN", "{'a':1}", "01", "+1", "\ufeff1", "", "[1,]", "[" * 100_000])
def test_what_is_not_json_goes_through_the_resolver_as_it_is(text: str) -> None:
    assert COMPAT_RESOLVERS["sdk.parseJson"](text) == text


def test_json_gives_the_numbers_of_javascript() -> None:
    assert (
        repr(read_json("[1.0, 1e3, -0, 9007199254740993, 0.1]")) == "[1, 1000, -0.0, 9007199254740992, 0.1]"
    )


def test_the_resolvers_of_compat_mode_have_the_names_of_the_strict_ones() -> None:
    assert COMPAT_RESOLVERS.keys() < RESOLVERS.keys()


@pytest.mark.parametrize(
    ("resolver", "value", "expected"),
    [
        ("parseInt", ABSENT, 0),
        ("parseInt", "Infinity", 0),
        ("number", None, 0),
        ("boolean", "Y", True),
        ("boolean", " true ", False),
        ("boolean", 1.0, True),
        ("boolean", 2, False),
        ("boolean", ABSENT, False),
        ("toString", ABSENT, ""),
        ("toString", None, ""),
        ("toString", [1, [2, None]], "1,2,"),
        ("uppercase", ABSENT, ABSENT),
        ("uppercase", "straße", "STRASSE"),
        ("lowercase", "İ", "i̇"),
        ("trim", "\u2000\t x\u2028", "x"),
        ("trim", "\x85x\x1c", "\x85x\x1c"),
        ("coalesce", None, ABSENT),
        ("coalesce", ABSENT, ABSENT),
        ("coalesce", 0, 0),
        ("formatDate", None, None),
        ("formatDate", 1705314600000, "1705314600000"),
        ("formatDate", {}, "[object Object]"),
        ("formatDateShort", 1705314600000, "2024-01-15"),
        ("formatDateShort", "2024-01-15T23:30:00-05:00", "2024-01-16"),
        ("parseDate", None, datetime(1970, 1, 1, tzinfo=UTC)),
        ("parseDate", "15-01-2024", INVALID_DATE),
        ("parseDate", "20240115", INVALID_DATE),
        ("parseDate", "not a date", None),
        ("parseDate", {}, None),
    ],
)
def test_a_resolver_of_compat_mode_gives(resolver: str, value: Any, expected: Any) -> None:
    found = COMPAT_RESOLVERS[f"sdk.{resolver}"](value)

    assert same(found, encoded(expected))


@needs_cases
def test_the_resolvers_give_what_was_recorded() -> None:
    cases = [case for case in cases_of("universal") if case["name"].startswith("sdk.")]

    assert len(cases) > 300
    for case in cases:
        resolve = COMPAT_RESOLVERS[case["config"]["fields"]["r"]["resolver"]]
        found = resolve(decoded(case["input"]).get("v", ABSENT))
        assert same(found, case["output"]["data"].get("r", {"$js": "undefined"})), case["name"]


@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
def test_node_itself_makes_the_same_of_random_values(zone: str) -> None:
    version = node_version()
    if version is None or version[0] != WANTED_MAJOR:
        pytest.skip(f"needs Node {WANTED_MAJOR}; found {version and version[1]}")

    assert differences(seed=1, examples=300, zone=zone) == []


@given(
    st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30)),  # noqa: DTZ001
    st.sampled_from(
        ["%F", "%FT%T", "%F %T", "%FT%TZ", "%FT%T.123Z", "%FT%T+05:30", "%FT%T.123-11:00", "%FT%T+05:60"]
    ),
)
def test_the_quick_way_to_read_a_date_gives_what_the_thorough_one_gives(moment: datetime, form: str) -> None:
    text = moment.strftime(form.replace("%F", f"{moment.year:04}-%m-%d"))
    found = date_milliseconds(text)

    assert COMPAT_RESOLVERS["sdk.formatDate"](text) == (text if found is None else iso_text(found))
    assert COMPAT_RESOLVERS["sdk.parseDate"](text) == (None if found is None else parse_date(text))
