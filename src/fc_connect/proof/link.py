"""One connection through the proxy: two directions, each with what is on its way and the toxics it has to pass."""

from __future__ import annotations

import contextlib
import math
import random
import selectors
import socket
import struct
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from fc_connect.proof.toxics import Kind, Piece, Stage, Toxic

__all__ = ["Applied", "Connection", "Direction", "Way"]

Direction = Literal["upstream", "downstream"]
"""From the client to the server, or back."""

_CHUNK = 64 * 1024
_HELD_AT_MOST = 1 << 20  # bytes of one direction; beyond it the sender has to wait, as with a full TCP window


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Applied:
    """A toxic that was let loose."""

    toxic: Toxic
    direction: Direction
    toxicity: float


class Way:
    """One direction of a connection: what is on its way from `source` to `sink`."""

    def __init__(self, source: socket.socket, sink: socket.socket) -> None:
        self.source, self.sink = source, sink
        self.rng = random.Random(0)
        self.queue: deque[Piece] = deque()
        self.held = 0  # bytes in the queue
        self.is_ended = False  # the source has no more to say
        self.is_over = False  # and the sink knows, or is gone
        self.is_blocked = False  # the sink takes no more for now
        self._stages: list[tuple[Applied, Stage]] = []
        self._latest = 0.0

    def begin(self, applied: Applied, now: float) -> None:
        if self.rng.random() < applied.toxicity:
            self._stages.append((applied, applied.toxic.begin(now, self.rng)))

    def end(self, applied: Applied, now: float) -> None:
        kept = [each for each in self._stages if each[0] is not applied]
        if len(kept) < len(self._stages):
            self._stages = kept
            self.queue = deque(
                Piece(due=min(each.due, now), kind=each.kind, data=each.data) for each in self.queue
            )
            self._latest = now

    def take(self, piece: Piece) -> None:
        if self.is_over:
            return
        pieces = [piece]
        for _, stage in self._stages:
            pieces = [after for each in pieces for after in stage.take(each)]
        for each in pieces:
            self._latest = max(self._latest, each.due)
            self.queue.append(Piece(due=self._latest, kind=each.kind, data=each.data))
            self.held += len(each.data)

    def give_up(self) -> None:
        """Drop what is on its way: the sink is gone."""
        self.queue.clear()
        self.held = 0
        self.is_over = True
        self.is_blocked = False

    def cuts(self) -> Iterator[Piece]:
        return (stage.cut for _, stage in self._stages if stage.cut is not None)


class Connection:
    """A client's connection, and the one to the server that belongs to it."""

    def __init__(
        self,
        client: socket.socket,
        target: tuple[str, int],
        selector: selectors.BaseSelector,
        passed: dict[Direction, int],
    ) -> None:
        self._selector = selector
        self._passed = passed
        self._client = client
        family = socket.getaddrinfo(*target, type=socket.SOCK_STREAM)[0][0]
        self._server = socket.socket(family, socket.SOCK_STREAM)
        for each in (client, self._server):
            each.setblocking(False)
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # slices are to arrive as slices
        self.ways: dict[Direction, Way] = {
            "upstream": Way(client, self._server),
            "downstream": Way(self._server, client),
        }
        self._interests: dict[socket.socket, int] = {client: 0, self._server: 0}
        self._is_connected = False
        self.is_over = False
        self._server.connect_ex(target)
        self._watch()

    def next_event(self) -> float:
        """Return the moment from which there is something to do, were nothing to arrive."""
        moments = [piece.due for way in self.ways.values() for piece in way.cuts()]
        for way in self.ways.values():
            if way.queue and not way.is_blocked and (self._is_connected or way.sink is not self._server):
                moments.append(way.queue[0].due)
        return min(moments, default=math.inf)

    def advance(self, now: float) -> None:
        if self.is_over:
            return
        cuts = [piece for way in self.ways.values() for piece in way.cuts() if piece.due <= now]
        if cuts:
            self.cut(cuts[0].kind)
            return
        for direction, way in self.ways.items():
            is_ready = self._is_connected or way.sink is not self._server
            if is_ready and not self._pass_on(direction, way, now):
                return
        if all(way.is_over for way in self.ways.values()):
            self.cut(Kind.CLOSE)
        else:
            self._watch()

    def cut(self, kind: Kind) -> None:
        if self.is_over:
            return
        self.is_over = True
        for each, interest in self._interests.items():
            if interest:
                self._selector.unregister(each)
            if kind is Kind.RESET:
                with contextlib.suppress(OSError):
                    each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            each.close()

    def _pass_on(self, direction: Direction, way: Way, now: float) -> bool:
        """Send what is due; say whether the connection lives on."""
        way.is_blocked = False
        while way.queue and way.queue[0].due <= now and not way.is_over:
            piece = way.queue.popleft()
            try:
                if piece.kind is Kind.DATA:
                    sent = way.sink.send(piece.data) if piece.data else 0
                    way.held -= sent
                    self._passed[direction] += sent
                    if sent < len(piece.data):
                        way.queue.appendleft(Piece(due=piece.due, data=piece.data[sent:]))
                elif piece.kind is Kind.END:
                    way.sink.shutdown(socket.SHUT_WR)
                    way.is_over = True
                else:
                    self.cut(piece.kind)
            except BlockingIOError:
                way.queue.appendleft(piece)
                way.is_blocked = True
                break
            except OSError:
                self._sink_is_gone(way, now)
            if self.is_over:
                return False
        return True

    def _sink_is_gone(self, way: Way, now: float) -> None:
        """Tell the other end, in its turn: what the lost one had sent arrives first."""
        way.give_up()
        back = next(each for each in self.ways.values() if each is not way)
        if back.is_over:
            self.cut(Kind.RESET)
        elif not back.is_ended:
            back.is_ended = True
            back.take(Piece(due=now, kind=Kind.RESET))

    def _ready(self, which: socket.socket, mask: int) -> None:
        if self.is_over:
            return
        if which is self._server and not self._is_connected:
            if which.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                self.cut(Kind.RESET)  # nobody listens there
                return
            self._is_connected = True
        if not mask & selectors.EVENT_READ:
            return
        way = next(each for each in self.ways.values() if each.source is which)
        now = time.monotonic()
        try:
            data = which.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError:
            way.is_ended = True
            way.take(Piece(due=now, kind=Kind.RESET))
            next(each for each in self.ways.values() if each is not way).give_up()
            return
        if data:
            way.take(Piece(due=now, data=data))
        else:
            way.is_ended = True
            way.take(Piece(due=now, kind=Kind.END))

    def _watch(self) -> None:
        """Ask the selector for what can be done now, and for no more."""
        for each, before in self._interests.items():
            interest = 0
            if each is self._server and not self._is_connected:
                interest = selectors.EVENT_WRITE
            else:
                for way in self.ways.values():
                    if way.source is each and not way.is_ended and way.held < _HELD_AT_MOST:
                        interest |= selectors.EVENT_READ
                    if way.sink is each and way.is_blocked:
                        interest |= selectors.EVENT_WRITE
            if interest == before:
                continue
            ready = self._on_ready(each)
            if not before:
                self._selector.register(each, interest, ready)
            elif not interest:
                self._selector.unregister(each)
            else:
                self._selector.modify(each, interest, ready)
            self._interests[each] = interest

    def _on_ready(self, which: socket.socket) -> Callable[[int], None]:
        return lambda mask: self._ready(which, mask)
