"""The messages of KV Connect's data path: a snapshot read and an atomic write, to bytes and back.

https://github.com/denoland/denokv/blob/main/proto/kv-connect.md. They are described here, not in generated code: what
one compiler made, the library refuses two major versions later. The pool is our own, so that another client in the
same process may describe the same messages.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

__all__ = [
    "BYTES",
    "DecodeError",
    "ReadAnswer",
    "ReadRange",
    "Stored",
    "WriteAnswer",
    "WriteStatus",
    "decode_read_answer",
    "decode_write_answer",
    "encode_read",
    "encode_write",
]

BYTES = 3
"""The encoding of a value that is a plain array of bytes; others belong to other programs."""

_SET, _DELETE = 1, 2
_READ_DONE = 1


class WriteStatus(IntEnum):
    """What became of an atomic write. Another number is a newer protocol's."""

    UNSPECIFIED = 0
    SUCCESS = 1
    CHECK_FAILURE = 2
    DISABLED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadRange:
    """The first `limit` entries from `start` up to, without, `end`; the last ones where `reverse`."""

    start: bytes
    end: bytes
    limit: int = 1
    reverse: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """An entry as the store has it."""

    key: bytes
    value: bytes
    encoding: int
    versionstamp: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadAnswer:
    """One list of entries for each range, all of one moment."""

    ranges: Sequence[Sequence[Stored]]
    is_strong: bool
    """Whether that moment lies within the call."""
    is_disabled: bool
    """The server doesn't serve reads now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteAnswer:
    """How a write ended; a versionstamp where it succeeded."""

    status: int
    versionstamp: str


def encode_read(ranges: Iterable[ReadRange]) -> bytes:
    """Return the body of a snapshot read."""
    message = _SnapshotRead()
    for each in ranges:
        message.ranges.add(start=each.start, end=each.end, limit=each.limit, reverse=each.reverse)
    return bytes(message.SerializeToString())


def decode_read_answer(content: bytes, *, version: int) -> ReadAnswer:
    """Return what a snapshot read answered, in a version of the protocol.

    Raises:
        DecodeError: it is no such message.
    """
    message = _SnapshotReadOutput.FromString(content)
    return ReadAnswer(
        ranges=[
            [
                Stored(
                    key=each.key,
                    value=each.value,
                    encoding=each.encoding,
                    versionstamp=each.versionstamp.hex(),
                )
                for each in found.values
            ]
            for found in message.ranges
        ],
        is_strong=message.read_is_strongly_consistent,
        is_disabled=message.read_disabled or (version >= 3 and message.status != _READ_DONE),
    )


def encode_write(
    checks: Iterable[tuple[bytes, str | None]], writes: Iterable[tuple[bytes, bytes | None, int]]
) -> bytes:
    """Return the body of an atomic write.

    Args:
        checks: keys with their versionstamps; None demands absence.
        writes: keys with their values (None deletes) and expiries, in milliseconds since 1970 (0 is never).
    """
    message = _AtomicWrite()
    for key, versionstamp in checks:
        message.checks.add(key=key, versionstamp=bytes.fromhex(versionstamp or ""))
    for key, value, expires in writes:
        if value is None:
            message.mutations.add(key=key, mutation_type=_DELETE)
        else:
            change = message.mutations.add(key=key, mutation_type=_SET, expire_at_ms=expires)
            change.value.data, change.value.encoding = value, BYTES
    return bytes(message.SerializeToString())


def decode_write_answer(content: bytes) -> WriteAnswer:
    """Return what an atomic write answered.

    Raises:
        DecodeError: it is no such message.
    """
    message = _AtomicWriteOutput.FromString(content)
    return WriteAnswer(status=message.status, versionstamp=message.versionstamp.hex())


# name: number, type; a type in capitals is another message, `+` before it means any number of them.
# Enumerations travel as int32 does.
_MESSAGES = {
    "SnapshotRead": {"ranges": (1, "+ReadRange")},
    "ReadRange": {"start": (1, "bytes"), "end": (2, "bytes"), "limit": (3, "int32"), "reverse": (4, "bool")},
    "SnapshotReadOutput": {
        "ranges": (1, "+ReadRangeOutput"),
        "read_disabled": (2, "bool"),  # before version 3
        "read_is_strongly_consistent": (4, "bool"),
        "status": (8, "int32"),  # from version 3 on
    },
    "ReadRangeOutput": {"values": (1, "+KvEntry")},
    "KvEntry": {
        "key": (1, "bytes"),
        "value": (2, "bytes"),
        "encoding": (3, "int32"),
        "versionstamp": (4, "bytes"),
    },
    "AtomicWrite": {"checks": (1, "+Check"), "mutations": (2, "+Mutation")},
    "Check": {"key": (1, "bytes"), "versionstamp": (2, "bytes")},
    "Mutation": {
        "key": (1, "bytes"),
        "value": (2, "KvValue"),
        "mutation_type": (3, "int32"),
        "expire_at_ms": (4, "int64"),
    },
    "KvValue": {"data": (1, "bytes"), "encoding": (2, "int32")},
    "AtomicWriteOutput": {"status": (1, "int32"), "versionstamp": (2, "bytes")},
}


def _described() -> descriptor_pool.DescriptorPool:
    field_type = descriptor_pb2.FieldDescriptorProto
    types = {
        "bytes": field_type.TYPE_BYTES,
        "int32": field_type.TYPE_INT32,
        "int64": field_type.TYPE_INT64,
        "bool": field_type.TYPE_BOOL,
    }
    file = descriptor_pb2.FileDescriptorProto(
        name="datapath.proto", package="com.deno.kv.datapath", syntax="proto3"
    )
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            described = message.field.add(name=field, number=number)
            described.label = field_type.LABEL_REPEATED if kind.startswith("+") else field_type.LABEL_OPTIONAL
            kind = kind.lstrip("+")
            described.type = types.get(kind, field_type.TYPE_MESSAGE)
            if kind not in types:
                described.type_name = f".{file.package}.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return pool


_POOL = _described()


def _class(name: str) -> Any:
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(f"com.deno.kv.datapath.{name}"))


_SnapshotRead = _class("SnapshotRead")
_SnapshotReadOutput = _class("SnapshotReadOutput")
_AtomicWrite = _class("AtomicWrite")
_AtomicWriteOutput = _class("AtomicWriteOutput")
