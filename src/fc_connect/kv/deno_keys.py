"""Our keys as Deno's: parts that its own programs can read, in bytes that sort as our keys do.

Text is a string. An integer is a `Uint8Array` of eight bytes, its sign flipped: Deno sorts arrays of bytes before
strings, as we sort integers before text, and a bigint after them. Encoded, each part is a type byte, the content with
every 0x00 as 0x00 0xff, and 0x00; all of a prefix's keys lie between it followed by 0x00 and it followed by 0xff.
"""

from __future__ import annotations

from fc_connect.errors import KVCorruptError, KVValueError
from fc_connect.kv.base import Key

__all__ = ["MAX_DENO_KEY_BYTES", "decode_deno_key", "encode_deno_key", "encode_part", "next_key"]

MAX_DENO_KEY_BYTES = 2048

_BYTES, _STRING = b"\x01", b"\x02"
_SIGN = 1 << 63


def encode_part(part: str | int | bytes) -> bytes:
    """Return one part as Deno encodes it."""
    if isinstance(part, str):
        kind, content = _STRING, part.encode()
    elif isinstance(part, int):
        kind, content = _BYTES, (part + _SIGN).to_bytes(8, "big")
    else:
        kind, content = _BYTES, part
    return kind + content.replace(b"\0", b"\0\xff") + b"\0"


def encode_deno_key(key: Key, *, below: bytes = b"") -> bytes:
    """Return a key that `encode_key` accepts as Deno's bytes, below the encoded prefix `below`.

    Raises:
        KVValueError: it is longer than Deno takes.
    """
    encoded = below + b"".join(map(encode_part, key))
    if len(encoded) > MAX_DENO_KEY_BYTES:
        raise KVValueError(
            f"The key {str(key)[:200]} takes {len(encoded):,} bytes in Deno KV; the limit there is "
            f"{MAX_DENO_KEY_BYTES:,}."
        )
    return encoded


def next_key(encoded: bytes) -> bytes:
    """Return the smallest bytes after a key: the range from it to there holds it alone."""
    return encoded + b"\0"


def decode_deno_key(encoded: bytes, *, below: bytes) -> Key:
    """Return the key that `encode_deno_key` made.

    Raises:
        KVCorruptError: it made no such bytes.
    """
    parts: list[str | int] = []
    at = len(below)
    try:
        if not encoded.startswith(below) or at == len(encoded):
            raise ValueError("it lies elsewhere")
        while at < len(encoded):
            kind, end = encoded[at : at + 1], encoded.index(0, at + 1)
            while encoded[end + 1 : end + 2] == b"\xff":
                end = encoded.index(0, end + 2)
            content = encoded[at + 1 : end].replace(b"\0\xff", b"\0")
            if kind == _STRING:
                parts.append(content.decode())
            elif kind == _BYTES and len(content) == 8:
                parts.append(int.from_bytes(content, "big") - _SIGN)
            else:
                raise ValueError(f"no part at byte {at}")
            at = end + 1
    except ValueError as exc:
        raise KVCorruptError(f"The store holds a key that isn't one of ours: {encoded!r} ({exc}).") from exc
    return tuple(parts)
