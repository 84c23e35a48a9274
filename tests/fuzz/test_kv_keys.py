"""What a store may hold: bytes that aren't a key or a value of ours are told, not guessed at."""

from __future__ import annotations

import contextlib

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from fc_connect.errors import KVCorruptError, KVValueError
from fc_connect.kv.keys import decode_key, decode_value, encode_key, encode_value
from tests.fuzz.effort import examples

# Random bytes hardly ever begin as a key does, so pieces of keys are mixed among them.
PIECES = st.lists(
    st.sampled_from(
        [b"\x01", b"\x02", b"\x00", b"\x00\x00", b"\x00\xff", b"a", b"\xc3\xa9", b"\xff", b"\x80" * 8]
    )
    | st.binary(max_size=9)
).map(b"".join)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@examples(1000)
@given(PIECES)
@example(b"")
@example(b"\x02a\x00\x05b\x00\x00")
def test_bytes_are_the_one_key_that_they_encode_or_corrupt(encoded: bytes) -> None:
    try:
        key = decode_key(encoded)
    except KVCorruptError:
        return

    with contextlib.suppress(KVValueError):  # a key may be longer than any that we write
        assert encode_key(key) == encoded


@examples(500)
@given(st.binary() | JSON.map(lambda value: msgspec.json.encode(value)[:200]))
@example(b'"\xff"')
@example(b"[" * 100_000)
@example(b"1" * 5000)
def test_a_value_in_the_store_is_json_or_corrupt(encoded: bytes) -> None:
    with contextlib.suppress(KVCorruptError):
        decode_value(("key",), encoded)


@examples(300)
@given(st.lists(JSON, max_size=3).map(tuple) | JSON, JSON)
def test_what_cannot_be_stored_is_refused_with_a_reason(key: object, value: object) -> None:
    with contextlib.suppress(KVValueError):
        encode_key(key)  # type: ignore[arg-type]

    try:
        encoded = encode_value(("key",), value)
    except KVValueError:
        return
    assert decode_value(("key",), encoded) == value
