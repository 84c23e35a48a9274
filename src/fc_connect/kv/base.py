"""What a key-value store promises: the contract that every backend keeps, and its limits.

The shape is that of Deno KV (https://docs.deno.com/deploy/kv/): ordered tuple keys, JSON values,
versionstamps and atomic commits with checks.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from types import TracebackType
from typing import Any, Protocol, Self

__all__ = [
    "MAX_COMMIT_KEYS",
    "MAX_KEY_BYTES",
    "MAX_VALUE_BYTES",
    "Atomic",
    "CommitResult",
    "Entry",
    "Guarantee",
    "KVStore",
    "Key",
    "OneKey",
]

Key = tuple[str | int, ...]
"""A non-empty tuple; a part may hold any character. Integers sort before strings, each in their own order."""

MAX_VALUE_BYTES = 1024 * 1024
"""Of a value as JSON text."""
MAX_KEY_BYTES = 1024
"""Of an encoded key."""
MAX_COMMIT_KEYS = 100
"""Checks, sets and deletes of one commit name at most so many different keys."""


class Guarantee(StrEnum):
    """What exactly-once delivery needs of a store, and one may lack."""

    ATOMIC = "atomic"
    """A commit of several keys happens as a whole or not at all. Without it no pipeline runs."""
    LINEARIZABLE = "linearizable"
    """Whoever reads after a commit sees it, and of two commits that contradict each other one holds."""
    DURABLE = "durable"
    """A commit that returned outlives the store's crash, and the power cut of its machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A key's value, as it was at one versionstamp."""

    key: Key
    value: Any
    versionstamp: str
    """Opaque, and never given twice. Compared as text, while a key is there its versionstamp grows, and of two writes
    to keys with the same first part, one that begins after the other has ended has the greater one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitResult:
    """Whether every check held; if not, nothing was written."""

    ok: bool
    versionstamp: str | None
    """Of all keys that the commit set; None where it wasn't `ok`."""


class Atomic(Protocol):
    """Checks and writes that happen together or not at all. Made for one commit, used by one thread."""

    def check(self, key: Key, versionstamp: str | None) -> Self:
        """Demand that `key` is still at `versionstamp`; None demands that it is absent."""
        ...

    def set(self, key: Key, value: Any, *, expire_in: timedelta | None = None) -> Self:
        """Write `value`; without `expire_in` it stays for good, whatever expiry it had."""
        ...

    def delete(self, key: Key) -> Self:
        """Remove `key`; an absent one is no fault."""
        ...

    def commit(self) -> CommitResult:
        """Apply the writes if every check holds.

        Raises:
            KVUnavailableError: nothing was written.
            KVCommitUnknownError: the connection died first; it may have happened.
            KVValueError: a limit is broken; nothing was written.
        """
        ...


class KVStore(Protocol):
    """An ordered key-value store whose operations are linearizable. Safe to share between threads."""

    has_clock: bool
    """Whether `now()` is one steady clock for all who use the store.

    Where it isn't, a lease is judged by watching its record."""

    def get(self, key: Key) -> Entry | None:
        """Return the entry, or None where the key is absent or expired."""
        ...

    def get_many(self, keys: Sequence[Key]) -> list[Entry | None]:
        """Return the entries in the order of `keys`, in one round trip (any number of keys; pages inside)."""
        ...

    def list(
        self,
        prefix: Key,
        *,
        start: Key | None = None,
        end: Key | None = None,
        limit: int | None = None,
        reverse: bool = False,
    ) -> Iterator[Entry]:
        """Yield the entries below `prefix` (itself left out; `()` is everything) in the order of their keys.

        `start` is included, `end` is not; both are whole keys below `prefix`. Pages inside: never loads
        all. What is there throughout is listed; an entry that changes meanwhile is listed as it was or as it is.
        """
        ...

    def set(self, key: Key, value: Any, *, expire_in: timedelta | None = None) -> str:
        """Write without a check and return the versionstamp."""
        ...

    def delete(self, key: Key) -> None:
        """Remove the key; an absent one is no fault."""
        ...

    def atomic(self) -> Atomic:
        """Begin a commit of at most `MAX_COMMIT_KEYS` keys."""
        ...

    def now(self) -> datetime:
        """Return the store's own time, aware and in UTC; expiry is judged by it."""
        ...

    def lacks(self) -> Mapping[Guarantee, str]:
        """Return what this store, as it is set up, can't promise, each with the reason and what would mend it.

        Empty for a store that keeps them all. A server is asked how it is set up; where it doesn't tell, that is
        the reason.
        """
        ...

    def close(self) -> None:
        """Free connections and files. Twice is no fault."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class OneKey(ABC):
    """What the calls about one key come to, and the end of a `with`: for a store to inherit."""

    @abstractmethod
    def get_many(self, keys: Sequence[Key]) -> list[Entry | None]: ...

    @abstractmethod
    def atomic(self) -> Atomic: ...

    @abstractmethod
    def close(self) -> None: ...

    def get(self, key: Key) -> Entry | None:
        return self.get_many([key])[0]

    def set(self, key: Key, value: Any, *, expire_in: timedelta | None = None) -> str:
        return self.atomic().set(key, value, expire_in=expire_in).commit().versionstamp or ""

    def delete(self, key: Key) -> None:
        self.atomic().delete(key).commit()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
