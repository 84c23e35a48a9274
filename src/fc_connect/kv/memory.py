"""A store in this process's memory: for tests and trials. It is gone with the process."""

from __future__ import annotations

import threading
from bisect import bisect_left, insort
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from fc_connect.clock import Clock, SystemClock
from fc_connect.errors import KVUnavailableError
from fc_connect.kv.base import CommitResult, Entry, Guarantee, Key, OneKey
from fc_connect.kv.commit import Commit
from fc_connect.kv.keys import decode_key, decode_value, encode_key, key_range
from fc_connect.kv.steady import SteadyClock

__all__ = ["MemoryKV"]

_PAGE = 500


@dataclass(frozen=True, slots=True)
class _Stored:
    value: bytes
    version: int
    expires_at: int | None  # microseconds since 1970


class MemoryKV(OneKey):
    """A `KVStore` for one process. Safe to share between its threads."""

    has_clock = True

    def __init__(self, *, clock: Clock | None = None) -> None:
        self._clock = SteadyClock(clock or SystemClock(), SteadyClock.anchor_now())
        self._lock = threading.Lock()
        self._stored: dict[bytes, _Stored] = {}
        self._order: list[bytes] = []
        self._version = 0
        self._is_closed = False

    def get_many(self, keys: Sequence[Key]) -> list[Entry | None]:
        encoded = [encode_key(key) for key in keys]
        with self._lock:
            self._demand_open()
            found = [self._live(each) for each in encoded]
        return [
            None if stored is None else _entry(key, stored) for key, stored in zip(keys, found, strict=True)
        ]

    def list(
        self,
        prefix: Key,
        *,
        start: Key | None = None,
        end: Key | None = None,
        limit: int | None = None,
        reverse: bool = False,
    ) -> Iterator[Entry]:
        low, high = key_range(prefix, start=start, end=end)
        left = limit
        while left is None or left > 0:
            with self._lock:
                self._demand_open()
                first, last = bisect_left(self._order, low), bisect_left(self._order, high)
                size = _PAGE if left is None else min(_PAGE, left)
                names = (
                    self._order[max(first, last - size) : last][::-1]
                    if reverse
                    else self._order[first : min(last, first + size)]
                )
                page = [(name, stored) for name in names if (stored := self._live(name)) is not None]
            for name, stored in page:
                yield _entry(decode_key(name), stored)
            left = None if left is None else left - len(page)
            if not names or first + len(names) >= last:
                return
            low, high = (low, names[-1]) if reverse else (names[-1] + b"\x00", high)

    def atomic(self) -> Commit:
        return Commit(self._apply)

    def now(self) -> datetime:
        return self._clock.now()

    def lacks(self) -> Mapping[Guarantee, str]:
        return {Guarantee.DURABLE: "it is gone with its process; name a file or a server in `state:`"}

    def close(self) -> None:
        self._is_closed = True

    def _apply(self, commit: Commit) -> CommitResult:
        with self._lock:
            self._demand_open()
            for name, versionstamp in commit.checks.items():
                stored = self._live(name)
                if (None if stored is None else _versionstamp(stored.version)) != versionstamp:
                    return CommitResult(ok=False, versionstamp=None)
            self._version += 1
            now = self._clock.now_us()
            for name, write in commit.writes.items():
                if write.value is None:
                    if self._stored.pop(name, None) is not None:
                        del self._order[bisect_left(self._order, name)]
                    continue
                if name not in self._stored:
                    insort(self._order, name)
                expires_at = (
                    None if write.expire_in is None else now + write.expire_in // timedelta(microseconds=1)
                )
                self._stored[name] = _Stored(write.value, self._version, expires_at)
            return CommitResult(ok=True, versionstamp=_versionstamp(self._version))

    def _live(self, name: bytes) -> _Stored | None:
        stored = self._stored.get(name)
        if stored is not None and stored.expires_at is not None and stored.expires_at <= self._clock.now_us():
            return None
        return stored

    def _demand_open(self) -> None:
        if self._is_closed:
            raise KVUnavailableError("This store was closed.")


def _entry(key: Key, stored: _Stored) -> Entry:
    return Entry(key=key, value=decode_value(key, stored.value), versionstamp=_versionstamp(stored.version))


def _versionstamp(version: int) -> str:
    return f"{version:020d}"
