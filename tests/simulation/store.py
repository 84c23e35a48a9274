"""A key-value store behind a network that delays, loses and repeats nothing but fails in every other way.

What it holds and how it decides is `MemoryKV`'s own code. Request and reply travel apart: whoever waits for a reply
may be killed, paused, or told that the connection died, while the request is carried out, is lost, or comes late.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self

from fc_connect.errors import KVCommitUnknownError, KVUnavailableError
from fc_connect.kv import CommitResult, Entry, Guarantee, Key
from fc_connect.kv.commit import Commit
from fc_connect.kv.memory import MemoryKV
from tests.simulation.clock import StoreClock
from tests.simulation.judge import Judge
from tests.simulation.world import Killed, Process, World

__all__ = ["Connection", "Network", "Store"]


@dataclass(slots=True, kw_only=True)
class Network:
    """How messages between workers and servers fare."""

    fast: float = 0.002
    """Seconds that one usually takes, at most."""
    slow: float = 0.2
    """Seconds that one takes now and then, at most."""
    slow_rate: float = 0.02
    stuck_rate: float = 0.0
    stuck: float = 0.0
    """Seconds that a request to the store is held up now and then, at most: longer than a lease lasts."""
    lost_rate: float = 0.0
    """How often a commit meets a connection that dies; a read does a quarter as often."""
    late_rate: float = 0.0
    """How often a request whose connection died is carried out after its caller has given up."""
    faults_until: float = 0.0
    outages: tuple[tuple[float, float], ...] = ()
    """From when to when the store refuses everything."""
    timeout: float = 0.4
    """Seconds until a caller gives up."""


class Store:
    """The server."""

    def __init__(self, world: World, judge: Judge, network: Network, *, has_clock: bool = True) -> None:
        self.world = world
        self.network = network
        self.has_clock = has_clock
        self.kv = MemoryKV()
        self.kv._clock = StoreClock(world)  # type: ignore[assignment]
        self._judge = judge

    def apply(self, process: Process, commit: Commit) -> CommitResult:
        """Carry out a commit."""
        result = self.kv._apply(commit)
        if result.ok:
            self._judge.committed(process, commit)
        if self.world.trace is not None:
            keys = " ".join(
                f"{'-' if write.value is None else '+'}{_short(commit.keys[name])}"
                for name, write in commit.writes.items()
            )
            self.world.note(
                f"store: commit {'ok' if result.ok else 'REFUSED'} {result.versionstamp or ''}: {keys}",
                by=process,
            )
        return result

    def unanswered(self, process: Process, commit: Commit) -> None:
        self._judge.unanswered(process, commit)

    def is_down(self) -> bool:
        now = self.world.now
        return any(since <= now < until for since, until in self.network.outages)


class Connection:
    """One process's `KVStore`."""

    def __init__(self, store: Store, process: Process) -> None:
        self.has_clock = store.has_clock
        self._store = store
        self._world = store.world
        self._process = process
        self._network = store.network
        self._random = process.rng.random

    def get(self, key: Key) -> Entry | None:
        return self.get_many([key])[0]

    def get_many(self, keys: Sequence[Key]) -> list[Entry | None]:
        found: list[Entry | None] = self._call(self._store.kv.get_many, keys)
        return found

    def list(
        self,
        prefix: Key,
        *,
        start: Key | None = None,
        end: Key | None = None,
        limit: int | None = None,
        reverse: bool = False,
    ) -> Iterator[Entry]:
        def page(_: object) -> list[Entry]:
            return list(self._store.kv.list(prefix, start=start, end=end, limit=limit, reverse=reverse))

        yield from self._call(page, None)

    def set(self, key: Key, value: Any, *, expire_in: timedelta | None = None) -> str:
        return self.atomic().set(key, value, expire_in=expire_in).commit().versionstamp or ""

    def delete(self, key: Key) -> None:
        self.atomic().delete(key).commit()

    def atomic(self) -> Commit:
        return Commit(self._commit)

    def now(self) -> datetime:
        if self._process.is_dead:
            raise Killed
        if not self.has_clock:
            return self._world.wall() + timedelta(seconds=self._process.wall_offset)
        if self._store.is_down():
            raise KVUnavailableError("The store is down.")
        return self._world.wall()

    def lacks(self) -> Mapping[Guarantee, str]:
        return {}

    def close(self) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def _commit(self, commit: Commit) -> CommitResult:
        result: CommitResult = self._call(
            lambda it: self._store.apply(self._process, it), commit, writes=True
        )
        return result

    def _call(self, do: Callable[[Any], Any], argument: Any, *, writes: bool = False) -> Any:
        world, network, random = self._world, self._network, self._random
        thread = world.current
        if thread is None or self._process.is_dead:
            raise Killed
        if network.outages and self._store.is_down():
            if writes:
                self._store.unanswered(self._process, argument)
            world.sleep(0.01 + 0.1 * random())
            raise KVUnavailableError("The store is down.")
        # A read that fails ends a run, and little is learnt: it shall happen, but not often.
        lost_rate = network.lost_rate if writes else network.lost_rate / 4
        if lost_rate and world.now < network.faults_until and random() < lost_rate:
            self._fail(do, argument, writes=writes)
        turn = thread.turn

        def deliver(_: object) -> None:
            try:
                answer: Any = (True, do(argument))
            except Exception as exc:  # noqa: BLE001 (the caller raises it)
                answer = (False, exc)
            world.at(world.now + self._delay(), reply, answer)

        def reply(answer: Any) -> None:
            if thread.turn == turn:
                thread.answer = answer
                thread.resume(turn)

        on_its_way = self._delay()
        if network.stuck_rate and world.now < network.faults_until and random() < network.stuck_rate:
            on_its_way += network.stuck * random()
            world.note(f"has a request held up for {on_its_way:.3f} s")
        world.at(world.now + on_its_way, deliver)
        thread.answer = None
        world.park()
        is_good, value = thread.answer
        if not is_good:
            raise value
        return value

    def _fail(self, do: Callable[[Any], Any], argument: Any, *, writes: bool) -> None:
        """Let the connection die, and say so when the caller finds out."""
        world, random = self._world, self._random
        fate = random()
        if not writes:
            world.sleep(self._network.timeout * random())
            raise KVUnavailableError("The connection died.")
        self._store.unanswered(self._process, argument)
        found_out = self._network.timeout * random()
        if fate < self._network.late_rate:
            arrives: float | None = world.now + found_out + 1.5 * random()
        else:
            arrives = world.now + found_out * random() if fate < 0.6 else None
        if arrives is not None:
            world.at(arrives, do, argument)
        world.note("loses the connection to the store")
        world.sleep(found_out)
        raise KVCommitUnknownError("The connection died during the commit.")

    def _delay(self) -> float:
        network, random = self._network, self._random
        if random() < network.slow_rate:
            return network.slow * random()
        return network.fast * random()


def _short(key: Key) -> str:
    return "/".join(str(part)[:12] for part in key[1:])
