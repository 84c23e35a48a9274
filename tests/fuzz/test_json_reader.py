"""JSON files, as wrong as exports and attackers make them: the quick way and the careful one always agree."""

from __future__ import annotations

import io
import json
import random
from decimal import Decimal
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from fc_connect.errors import ParseError
from fc_connect.formats import BadRecord, open_format
from fc_connect.formats.json_values import next_bracket
from tests.fuzz.effort import examples
from tests.fuzz.test_csv_reader import Trickle

PIECES = st.sampled_from(
    [b"[", b"]", b"{", b"}", b",", b":", b'"', b'"a"', b'"a":', b'"b":1', b'{"a":1}', b'{"a":1,"a":2}', b"\\",
     b'\\"', b"\\u003a", b"\\ud800", b"\\ud83e\\udde6", b"1", b"-", b".5", b"1.10", b"e400", b"e99999999999",
     b"0", b"true", b"null", b"NaN", b" ", b"\t", b"\n", b"\r\n", b"\xef\xbb\xbf", b"\xff", b"\xed\xa0\x80",
     b"\0", b"\x01", b"}{", b"},{", b'{"items":[', b'"items":', b"]}"]
)  # fmt: skip
NOISE = st.lists(PIECES | st.binary(max_size=3), max_size=24).map(b"".join)
KEYS = st.sampled_from(["a", "b", "a:", '"', "é", "", "items", "x{", "]"]) | st.text(
    st.characters(codec="utf-8"), max_size=3
)
NUMBERS = st.sampled_from(
    [
        "0",
        "-0",
        "1",
        "1.10",
        "0.1",
        "1e5",
        "1E-7",
        "1e400",
        "-0.0",
        "9" * 30,
        "0." + "1" * 30,
        "1e401",
        "1" * 4301,
    ]
) | st.integers().map(str)
SPACES = st.sampled_from(["", "", "", " ", "\n  ", "\t", "\r\n"])


def _text(key: str, escape: bool) -> str:
    return (
        json.dumps(key)
        if not escape
        else '"' + "".join(f"\\u{ord(c):04x}" for c in key if ord(c) < 65_536) + '"'
    )


@st.composite
def values(draw: st.DrawFn, depth: int = 0) -> str:
    """JSON text in odd shapes: keys twice, escapes, spaces anywhere."""
    kind = draw(st.integers(0, 5 if depth < 4 else 2))
    if kind == 0:
        return draw(NUMBERS)
    if kind == 1:
        return _text(draw(KEYS), draw(st.booleans()))
    if kind == 2:
        return draw(
            st.sampled_from(["true", "false", "null", '"2026-01-01T00:00:00Z"', '"\\ud800"', '"}"', '"],{"'])
        )
    inner = draw(st.lists(values(depth + 1), max_size=3))
    a, b = draw(SPACES), draw(SPACES)
    if kind == 3:
        return f"[{a}{f'{a},{b}'.join(inner)}{b}]"
    members = [f"{_text(draw(KEYS), draw(st.booleans()))}{a}:{b}{value}" for value in inner]
    return f"{{{b}{f'{b},{a}'.join(members)}{a}}}"


def read(kind: str, stream: Any, **options: Any) -> tuple[list[Any], str | None]:
    """Return what comes out with its place, and what ended it."""
    found: list[Any] = []
    try:
        records = open_format(kind, **options).read(stream, path="x.json")
        for record in records:
            assert type(record) in {dict, BadRecord}
            found.append((record, records.place(), records.position))
    except ParseError as exc:
        error = exc
    else:
        return found, None
    assert error.path == "x.json"
    assert error.line is not None
    return found, str(error)


class _TwiceError(Exception):
    pass


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise _TwiceError
    return dict(pairs)


def expected(text: str | bytes) -> Any:
    """Return the value by the standard library alone; raises ValueError or _TwiceError where there is none."""

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    text = text.decode() if isinstance(text, bytes) else text
    value = json.loads(text, object_pairs_hook=_unique, parse_float=Decimal, parse_constant=refuse)
    json.dumps(value, default=str, ensure_ascii=False).encode()  # half a surrogate pair is no text
    if any(abs(each.adjusted()) > 400 for each in _decimals(value)):
        raise ValueError
    return value


def _decimals(value: Any) -> list[Decimal]:
    if isinstance(value, Decimal):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [each for one in inner for each in _decimals(one)]


OPTIONS = st.sampled_from([{}, {"records": "$"}, {"records": "$.items[*]"}, {"records": "$[*].a"}, {"max_depth": 2},
                           {"max_record_bytes": 9}])  # fmt: skip


@examples(400)
@given(
    NOISE, OPTIONS, st.sampled_from(["utf-8", "utf-8", "utf-16", "cp1252"]), st.randoms(use_true_random=False)
)
@example(b"[" * 5000, {}, "utf-8", random.Random(0))
@example(b'{"items":[{"a":1},{"a":1,"a":2}]}', {"records": "$.items[*]"}, "utf-8", random.Random(0))
def test_any_bytes_are_records_bad_records_or_an_error_whatever_the_size_of_reads(
    content: bytes, options: dict[str, Any], encoding: str, rng: random.Random
) -> None:
    at_once = read("json", io.BytesIO(content), encoding=encoding, **options)
    trickled = read("json", io.BufferedReader(Trickle(content, rng), 16), encoding=encoding, **options)

    assert repr(at_once) == repr(trickled)
    assert [position for _, _, position in at_once[0]] == list(range(1, len(at_once[0]) + 1))
    if (
        at_once[1] is None
        and encoding == "utf-8"
        and not content.startswith(b"\xef\xbb\xbf")
        and options == {}
    ):
        # What is taken to its end is JSON for the standard library too, apart from how deep it is.
        json.loads(content.decode())


@examples(400)
@given(st.lists(values(), max_size=6), SPACES, SPACES, st.sampled_from([{}, {"max_record_bytes": 40}]))
def test_each_element_is_what_the_standard_library_says_or_is_told(
    texts: list[str], a: str, b: str, options: dict[str, Any]
) -> None:
    content = ("[" + f"{a},{b}".join(texts) + f"{b}]").encode()

    found, error = read("json", io.BytesIO(content), **options)

    if options and any(len(text.encode()) > 40 for text in texts):
        assert error is not None
        return
    assert error is None
    assert len(found) == len(texts)
    for (record, place, _), text in zip(found, texts, strict=True):
        assert place.byte is not None
        assert content.startswith(text.encode(), place.byte)
        _agree(record, text)


@examples(400)
@given(st.lists(values() | NOISE, max_size=8), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_each_line_is_what_the_standard_library_says_or_is_told(
    texts: list[str | bytes], end: str, last_ends: bool
) -> None:
    lines = [
        line for text in texts for line in (text if isinstance(text, bytes) else text.encode()).split(b"\n")
    ]
    content = end.encode().join(lines) + (end.encode() if last_ends else b"")

    found, error = read("ndjson", io.BytesIO(content))

    assert error is None or "byte order mark" in error
    if error is None:
        wanted = content.removeprefix(b"\xef\xbb\xbf").split(b"\n")
        by_line = {place.line: record for record, place, _ in found}
        for number, line in enumerate(wanted, 1):
            if line.strip(b" \t\r"):
                _agree(by_line.pop(number), line)
        assert by_line == {}


def _agree(record: Any, text: str | bytes) -> None:
    try:
        value = expected(text)
    except (_TwiceError, ValueError, ArithmeticError, RecursionError):
        assert isinstance(record, BadRecord)
        return
    if isinstance(value, dict):
        assert repr(record) == repr(value)
    else:
        assert isinstance(record, BadRecord)
        assert "not an object" in record.reason


@given(st.text(alphabet='"\\[]{}a\n', max_size=30), st.integers(0, 30))
def test_the_next_bracket_is_where_a_walk_finds_it(text: str, at: int) -> None:
    """The pattern that did both at once went past strings without an end, on Python before 3.11.5."""
    raw = text.encode()
    at = min(at, len(raw))

    assert next_bracket(raw, at) == walked_to_bracket(raw, at)


def walked_to_bracket(raw: bytes, at: int) -> int:
    while at < len(raw) and raw[at] not in b"[]{}":
        end = at + 1
        if raw[at] == ord('"'):
            while end < len(raw) and raw[end] != ord('"'):
                end += 2 if raw[end] == ord("\\") else 1
            if end >= len(raw):
                return at
            end += 1
        at = end
    return at
