"""Finds records of one file that share a key, on disk, so that memory doesn't grow with the file.

Of every record the 128-bit BLAKE2 hash of its key goes into one of 256 buckets; the buckets are then read one after
another. Equal hashes are taken as equal keys: among 10 million records the chance of an error is below 10⁻²⁴.
"""

from __future__ import annotations

import hashlib
import shutil
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Literal

import msgspec

from fc_connect.pipeline.spool import disk_errors

__all__ = ["DuplicateFinder", "key_reader"]

_RECORD = struct.Struct("<16sQQ")  # hash, index, position
_BUCKETS = 256
_BUFFER = 2048

_encode = msgspec.json.Encoder().encode


def key_reader(fields: Sequence[str]) -> Callable[[Mapping[str, Any]], bytes | None]:
    """Return a function that gives an entity's key as bytes, or None where it has none of `fields`.

    A field `a|b` is whichever of the two the entity has; a dotted one lies in a nested object.
    """
    names = [field.split("|") for field in fields]

    def of(entity: Mapping[str, Any]) -> bytes | None:
        values = []
        for alternatives in names:
            value = None
            for name in alternatives:
                value = entity.get(name) if "." not in name else _nested(entity, name)
                if value is not None:
                    value = value if len(alternatives) == 1 else (name, value)
                    break
            values.append(value)
        if values.count(None) == len(values):
            return None
        return _encode(values)

    return of


def _nested(entity: Mapping[str, Any], dotted: str) -> Any:
    value: Any = entity
    for part in dotted.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


class DuplicateFinder:
    """Collects the keys of a file, then says which entities share one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._buffers: list[bytearray] = [bytearray() for _ in range(_BUCKETS)]
        self._files: list[BinaryIO | None] = [None] * _BUCKETS
        with disk_errors(folder):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True, mode=0o700)

    def add(self, key: bytes, index: int, position: int) -> None:
        """Note the key of the entity at `index` (from 0), whose record is at `position` of the file."""
        digest = hashlib.blake2b(key, digest_size=16).digest()
        bucket = digest[0]
        buffer = self._buffers[bucket]
        buffer += _RECORD.pack(digest, index, position)
        if len(buffer) >= _BUFFER:
            self._write(bucket)

    def find(self, rule: Literal["last", "reject"]) -> Iterator[tuple[int, int, int]]:
        """Yield (index, position, the other's position) of each record that must go.

        `last`: all but the last of those that share a key. `reject`: all of them, since none is known to be right.
        """
        for bucket in range(_BUCKETS):
            latest: dict[bytes, tuple[int, int]] = {}
            first_dropped: set[bytes] = set()
            for digest, index, position in self._read(bucket):
                before = latest.get(digest)
                latest[digest] = (index, position)
                if before is None:
                    continue
                if rule == "last":
                    yield (*before, position)
                else:
                    if digest not in first_dropped:
                        first_dropped.add(digest)
                        yield (*before, position)
                    yield index, position, before[1]

    def close(self) -> None:
        """Remove what lies on disk."""
        for file in self._files:
            if file is not None:
                file.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _write(self, bucket: int) -> None:
        with disk_errors(self._folder):
            file = self._files[bucket]
            if file is None:
                # Unbuffered: the buffers above are the only ones, and a full disk shows itself here.
                file = self._files[bucket] = (self._folder / f"{bucket:02x}").open("w+b", buffering=0)
            file.write(self._buffers[bucket])
        self._buffers[bucket].clear()

    def _read(self, bucket: int) -> Iterator[tuple[bytes, int, int]]:
        file = self._files[bucket]
        if file is not None:
            file.seek(0)
            while block := file.read(_RECORD.size * 2048):
                yield from _RECORD.iter_unpack(block)
        yield from _RECORD.iter_unpack(bytes(self._buffers[bucket]))
