"""Keys as bytes that sort as the keys do, and values as JSON text: checked against the limits before anything is sent.

Each part is a type byte and its content: 0x01 and eight bytes for an integer (its sign flipped, so that bytes sort as
numbers do), 0x02 and UTF-8 for text. Text ends with 0x00 0x00; a 0x00 inside it is written 0x00 0xff. So no key is the
start of another one's part, and everything below a prefix lies between `encode(prefix)` and that followed by 0xff.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec

from fc_connect.errors import KVCorruptError, KVValueError
from fc_connect.kv.base import MAX_KEY_BYTES, MAX_VALUE_BYTES, Key

__all__ = ["decode_key", "decode_value", "encode_key", "encode_value", "key_range"]

_INTEGER, _TEXT = b"\x01", b"\x02"
_END, _ESCAPED = b"\x00\x00", b"\x00\xff"
_SIGN = 1 << 63

_encode_json = msgspec.json.Encoder().encode
_decode_json = msgspec.json.Decoder().decode


def encode_key(key: Key, *, as_prefix: bool = False) -> bytes:
    """Return the key as bytes.

    Raises:
        KVValueError: it is empty (unless `as_prefix`), too long, or holds something else than text and integers.
    """
    if type(key) is not tuple or (not key and not as_prefix):
        raise KVValueError(f"A key is a non-empty tuple of str and int, not {key!r}.")
    parts = [_encoded(part, key) for part in key]
    encoded = b"".join(parts)
    if len(encoded) > MAX_KEY_BYTES:
        raise KVValueError(
            f"The key {_short(key)} takes {len(encoded):,} bytes; the limit is {MAX_KEY_BYTES:,}."
        )
    return encoded


def decode_key(encoded: bytes) -> Key:
    """Return the key that `encode_key` made into `encoded`.

    Raises:
        KVCorruptError: it made no such bytes.
    """
    parts: list[str | int] = []
    at = 0
    try:
        if not encoded:
            raise ValueError("it is empty")
        while at < len(encoded):
            kind = encoded[at : at + 1]
            if kind == _INTEGER and at + 9 <= len(encoded):
                parts.append(int.from_bytes(encoded[at + 1 : at + 9], "big") - _SIGN)
                at += 9
            elif kind == _TEXT:
                end = at + 1
                while encoded[(end := encoded.index(0, end)) + 1] != 0:
                    if encoded[end + 1] != 0xFF:
                        raise ValueError(f"an escape that isn't one at byte {end}")
                    end += 2
                parts.append(encoded[at + 1 : end].replace(_ESCAPED, b"\x00").decode())
                at = end + 2
            else:
                raise ValueError(f"no part at byte {at}")
    except (ValueError, IndexError) as exc:
        raise KVCorruptError(f"The store holds a key that isn't one of ours: {encoded!r} ({exc}).") from exc
    return tuple(parts)


def key_range(prefix: Key, *, start: Key | None, end: Key | None) -> tuple[bytes, bytes]:
    """Return the encoded range (first, beyond the last) of the keys below `prefix`, itself left out."""
    base = encode_key(prefix, as_prefix=True)
    low, high = base + b"\x00", base + b"\xff"
    if start is not None:
        low = max(low, encode_key(start))
    if end is not None:
        high = min(high, encode_key(end))
    return low, high


def encode_value(key: Key, value: Any) -> bytes:
    """Return the value as JSON text.

    Raises:
        KVValueError: it isn't JSON data, or is too large.
    """
    fault = _fault(value)
    if fault is not None:
        raise KVValueError(f"The value of {_short(key)} isn't JSON data: {fault}.")
    try:
        encoded = _encode_json(value)
    except (TypeError, ValueError, OverflowError, RecursionError) as exc:
        raise KVValueError(f"The value of {_short(key)} isn't JSON data: {exc}.") from exc
    if len(encoded) > MAX_VALUE_BYTES:
        raise KVValueError(
            f"The value of {_short(key)} takes {len(encoded):,} bytes; the limit is {MAX_VALUE_BYTES:,} (1 MiB)."
        )
    return encoded


def decode_value(key: Key, encoded: bytes | str) -> Any:
    """Return the value that `encode_value` made into `encoded`.

    Raises:
        KVCorruptError: it isn't JSON.
    """
    try:
        return _decode_json(encoded)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise KVCorruptError(f"The value of {_short(key)} isn't JSON: {exc}.") from exc


def _encoded(part: str | int, key: Key) -> bytes:
    if type(part) is str:
        try:
            return _TEXT + part.encode().replace(b"\x00", _ESCAPED) + _END
        except UnicodeEncodeError as exc:
            raise KVValueError(f"The key {_short(key)} holds half a surrogate pair.") from exc
    if type(part) is int:
        if not -_SIGN <= part < _SIGN:
            raise KVValueError(f"The key {_short(key)} holds an integer beyond 64 bits.")
        return _INTEGER + (part + _SIGN).to_bytes(8, "big")
    raise KVValueError(f"The key {_short(key)} holds {part!r}; parts are str or int.")


def _fault(value: Any) -> str | None:
    """Say what msgspec would write but JSON can't give back the same."""
    stack = [value]
    while stack:
        each = stack.pop()
        if isinstance(each, dict):
            for name in each:
                if type(name) is not str:
                    return f"the name {name!r} in an object isn't text"
            stack.extend(each)
            stack.extend(each.values())
        elif type(each) in {list, tuple}:
            stack.extend(each)
        elif type(each) is float:
            if not math.isfinite(each):
                return f"{each} has no form in JSON"
        elif type(each) is int:
            if not -_SIGN <= each < 2 * _SIGN:
                return f"the integer {each} is beyond 64 bits"
        elif not (each is None or type(each) in {bool, str}):
            return f"a {type(each).__name__} isn't data"
    return None


def _short(key: object) -> str:
    text = repr(key)
    return text if len(text) <= 200 else text[:200] + "…"
