"""What can befall a connection. Named as in Shopify's toxiproxy, which testers know.

A toxic is a value: it says what happens. For each direction of each connection it begins a stage, which takes what
comes in, piece by piece, and says when each may go on. Randomness is handed in, so a seed decides all of it.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import Protocol

__all__ = [
    "Bandwidth",
    "Kind",
    "Latency",
    "LimitData",
    "Piece",
    "ResetPeer",
    "Slicer",
    "SlowClose",
    "Stage",
    "Timeout",
    "Toxic",
]

_NONE = timedelta(0)
_NEVER = math.inf


class Kind(StrEnum):
    """What a piece is."""

    DATA = "data"
    END = "end"
    """The sender has no more to say, but may still listen."""
    CLOSE = "close"
    """The connection is closed, both ways."""
    RESET = "reset"
    """Likewise, and unkindly: both ends get an RST."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Something on its way, and the moment (of the monotonic clock) from which it may arrive."""

    due: float
    kind: Kind = Kind.DATA
    data: bytes = b""


class Stage(Protocol):
    """One toxic at work on one direction of one connection."""

    cut: Piece | None
    """Ends the connection at a given moment, whatever passes."""

    def take(self, piece: Piece) -> Iterable[Piece]:
        """Say what becomes of `piece`; the proxy keeps the order."""
        ...


class Toxic(Protocol):
    """What befalls the connections of a proxy."""

    def begin(self, now: float, rng: random.Random) -> Stage:
        """Begin on one direction of one connection."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Everything takes `delay` longer, give or take `jitter`; what follows doesn't overtake."""

    delay: timedelta
    jitter: timedelta = _NONE

    def begin(self, now: float, rng: random.Random) -> Stage:
        return _Later(self.delay.total_seconds(), self.jitter.total_seconds(), rng, frozenset(Kind))


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowClose:
    """The end of the stream arrives `delay` late."""

    delay: timedelta

    def begin(self, now: float, rng: random.Random) -> Stage:
        return _Later(self.delay.total_seconds(), 0.0, rng, frozenset(Kind) - {Kind.DATA})


@dataclass(frozen=True, slots=True, kw_only=True)
class Bandwidth:
    """No more than so many bytes a second get through."""

    bytes_per_second: int

    def begin(self, now: float, rng: random.Random) -> Stage:
        return _Narrow(self.bytes_per_second)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slicer:
    """Data arrive in small pieces, of `average_size` give or take `size_variation`, each `delay` after the last."""

    average_size: int
    size_variation: int = 0
    delay: timedelta = _NONE

    def begin(self, now: float, rng: random.Random) -> Stage:
        return _Slicing(self, rng)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeout:
    """Nothing arrives any more, and nobody is told; after `close_after`, if given, the connection is closed.

    What was sent meanwhile is held, as in a network that is down, and arrives once the toxic is removed.
    """

    close_after: timedelta | None = None

    def begin(self, now: float, rng: random.Random) -> Stage:
        return _Holding(_cut(now, Kind.CLOSE, self.close_after))


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetPeer:
    """Both ends get an RST, at once or `after` some time."""

    after: timedelta = _NONE

    def begin(self, now: float, rng: random.Random) -> Stage:
        return _Passing(_cut(now, Kind.RESET, self.after))


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitData:
    """After `max_bytes` of each connection, counted from now, it is closed, reset, or holds what follows."""

    max_bytes: int
    then: Kind | None = Kind.CLOSE
    """`Kind.CLOSE`, `Kind.RESET`, or None to stall."""

    def begin(self, now: float, rng: random.Random) -> Stage:
        return _Limited(self.max_bytes, self.then)


def _cut(now: float, kind: Kind, after: timedelta | None) -> Piece | None:
    return None if after is None else Piece(due=now + after.total_seconds(), kind=kind)


class _Passing:
    def __init__(self, cut: Piece | None = None) -> None:
        self.cut = cut

    def take(self, piece: Piece) -> Iterable[Piece]:
        return (piece,)


class _Holding(_Passing):
    def take(self, piece: Piece) -> Iterable[Piece]:
        return (replace(piece, due=_NEVER),)


class _Later(_Passing):
    def __init__(self, delay: float, jitter: float, rng: random.Random, kinds: frozenset[Kind]) -> None:
        super().__init__()
        self._delay, self._jitter, self._rng, self._kinds = delay, jitter, rng, kinds

    def take(self, piece: Piece) -> Iterable[Piece]:
        if piece.kind not in self._kinds:
            return (piece,)
        delay = self._delay + self._rng.uniform(-self._jitter, self._jitter)
        return (replace(piece, due=piece.due + max(0.0, delay)),)


class _Narrow(_Passing):
    def __init__(self, rate: int) -> None:
        super().__init__()
        self._rate = rate
        self._step = max(1, rate // 50)
        self._free_at = 0.0

    def take(self, piece: Piece) -> Iterator[Piece]:
        self._free_at = max(self._free_at, piece.due)
        for start in range(0, len(piece.data), self._step):
            data = piece.data[start : start + self._step]
            self._free_at += len(data) / self._rate
            yield Piece(due=self._free_at, data=data)
        if piece.kind is not Kind.DATA:
            yield replace(piece, due=self._free_at)


class _Slicing(_Passing):
    def __init__(self, slicer: Slicer, rng: random.Random) -> None:
        super().__init__()
        self._slicer, self._rng = slicer, rng
        self._last = 0.0

    def take(self, piece: Piece) -> Iterator[Piece]:
        at = 0
        while at < len(piece.data):
            varied = self._rng.randint(-self._slicer.size_variation, self._slicer.size_variation)
            end = at + max(1, self._slicer.average_size + varied)
            self._last = max(self._last + self._slicer.delay.total_seconds(), piece.due)
            yield Piece(due=self._last, data=piece.data[at:end])
            at = end
        if piece.kind is not Kind.DATA:
            yield piece


class _Limited(_Passing):
    def __init__(self, left: int, then: Kind | None) -> None:
        super().__init__()
        self._left, self._then = left, then
        self._is_spent = False

    def take(self, piece: Piece) -> Iterator[Piece]:
        if self._is_spent:
            if self._then is None:
                yield replace(piece, due=_NEVER)
        elif len(piece.data) < self._left or not piece.data:
            self._left -= len(piece.data)
            yield piece
        else:
            self._is_spent = True
            yield replace(piece, data=piece.data[: self._left])
            if self._then is None:
                yield Piece(due=_NEVER, data=piece.data[self._left :])
            else:
                yield Piece(due=piece.due, kind=self._then)
