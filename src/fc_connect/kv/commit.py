"""What the backends' commits have in common: checked, encoded operations, each key named once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Self

from fc_connect.errors import KVValueError
from fc_connect.faults import point
from fc_connect.kv.base import MAX_COMMIT_KEYS, CommitResult, Key
from fc_connect.kv.keys import encode_key, encode_value

__all__ = ["Commit", "Write"]


@dataclass(frozen=True, slots=True)
class Write:
    """One key's new value; None deletes it."""

    value: bytes | None
    expire_in: timedelta | None = None


class Commit:
    """An `Atomic` that gathers checks and writes, and hands them to its backend in one piece."""

    def __init__(self, apply: Callable[[Commit], CommitResult]) -> None:
        self._apply = apply
        self.checks: dict[bytes, str | None] = {}
        self.writes: dict[bytes, Write] = {}
        self.keys: dict[bytes, Key] = {}
        self._contradiction = False
        self._is_done = False

    def check(self, key: Key, versionstamp: str | None) -> Self:
        encoded = self._named(key)
        if self.checks.setdefault(encoded, versionstamp) != versionstamp:
            self._contradiction = True  # a key can't be at two versions: the commit fails
        return self

    def set(self, key: Key, value: Any, *, expire_in: timedelta | None = None) -> Self:
        if expire_in is not None and expire_in <= timedelta(0):
            raise KVValueError(f"The expiry of {key!r} must lie ahead, not {expire_in}.")
        content = encode_value(key, value)
        self.writes[self._named(key)] = Write(content, expire_in)
        return self

    def delete(self, key: Key) -> Self:
        self.writes[self._named(key)] = Write(None)
        return self

    def commit(self) -> CommitResult:
        if self._is_done:
            raise KVValueError("This commit was made already: begin another with atomic().")
        if len(self.keys) > MAX_COMMIT_KEYS:
            raise KVValueError(f"One commit names {len(self.keys)} keys; the limit is {MAX_COMMIT_KEYS}.")
        self._is_done = True
        if self._contradiction:
            return CommitResult(ok=False, versionstamp=None)
        point("kv.commit")
        result = self._apply(self)
        point("kv.committed")
        return result

    def _named(self, key: Key) -> bytes:
        encoded = encode_key(key)
        self.keys[encoded] = key
        return encoded
