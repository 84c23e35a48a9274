"""The rules by which histories are judged: a register, a key-value store, a lease.

A store's clock isn't the observers'. So an expiry is bounded by what was seen: a key set for a time can have expired by
then at the earliest if the set took effect the moment it was asked, and must have if it did as it was answered. What
lies between may be either, and an answer decides which.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, Protocol

from fc_connect.proof.history import Operation, Outcome

__all__ = ["MODELS", "KVModel", "LeaseModel", "Model", "RegisterModel"]

_SLACK = 20_000_000
"""Nanoseconds that two clocks may drift apart within a history, and that a store may round an expiry by."""
_FOREVER = 1 << 62


class Model(Protocol):
    """What one operation does to a state, and whether its answer fits there."""

    def initial(self) -> Hashable:
        """Return the state before the first operation."""
        ...

    def step(self, state: Any, operation: Operation) -> Sequence[Hashable]:
        """Return every state that may follow; none where the answer doesn't fit `state`.

        For an operation of unknown outcome: the states in which it took effect.
        """
        ...

    def parts(self, operations: Sequence[Operation]) -> Iterable[tuple[Model, Sequence[Operation]]]:
        """Part a history into such that touch nothing in common, to be judged one by one."""
        ...

    def describe(self, state: Any) -> str:
        """Return a state in words, for a person."""
        ...

    def contradiction(self, operations: Sequence[Operation]) -> str | None:
        """Return what is wrong whatever the order, if anything can be told at once."""
        ...


class RegisterModel:
    """One register: `read()`, `write(value)`, `cas(expected, value)`; nil at first."""

    def initial(self) -> Any:
        return None

    def step(self, state: Any, operation: Operation) -> Sequence[Any]:
        name, *given = operation.call
        known = operation.outcome is Outcome.DONE
        if name == "read":
            return [state] if not known or operation.result == state else []
        if name == "write":
            return given
        expected, value = given
        if not known or operation.result:
            return [value] if state == expected else []
        return [state] if state != expected else []

    def describe(self, state: Any) -> str:
        return "nil" if state is None else str(state)

    def parts(self, operations: Sequence[Operation]) -> Iterable[tuple[Model, Sequence[Operation]]]:
        return [(self, operations)]

    def contradiction(self, operations: Sequence[Operation]) -> str | None:
        return None


# What is known of a key: (value, versionstamp, greatest versionstamp so far, may expire from, must have expired by).
# No versionstamp: the key is absent. A versionstamp that nobody was told yet is a number of its own.
Cell = tuple[Any, str | int | None, str, int, int]
_ABSENT: Cell = (None, None, "", 0, 0)


class KVModel:
    """A key-value store.

    `get(key)` answers None or (value, versionstamp); `snapshot(keys)` the same of many at once;
    `commit(checks, sets, deletes)` with checks as (key, versionstamp or None), sets as (key, value, milliseconds to
    live or None) and deletes as keys, answers (whether every check held, versionstamp). While a key is there, its
    versionstamp grows.
    """

    def __init__(self, keys: Sequence[Any] = ()) -> None:
        self._place = {key: number for number, key in enumerate(keys)}

    def initial(self) -> Any:
        return (_ABSENT,) * len(self._place)

    def parts(self, operations: Sequence[Operation]) -> Iterable[tuple[Model, Sequence[Operation]]]:
        """Part by keys: those that were ever named together belong together."""
        leader: dict[Any, Any] = {}

        def lead(key: Any) -> Any:
            while leader.setdefault(key, key) != key:
                leader[key] = leader[leader[key]]
                key = leader[key]
            return key

        for each in operations:
            first, *others = _keys_of(each)
            for key in others:
                leader[lead(key)] = lead(first)
            lead(first)
        groups: dict[Any, list[Operation]] = {}
        for each in operations:
            groups.setdefault(lead(_keys_of(each)[0]), []).append(each)
        for group, part in groups.items():
            yield KVModel(sorted((key for key in leader if lead(key) == group), key=str)), part

    def describe(self, state: tuple[Cell, ...]) -> str:
        shown = []
        for key, (value, versionstamp, _, begins, _) in zip(self._place, state, strict=True):
            if versionstamp is None:
                shown.append(f"{key} absent")
            else:
                at = versionstamp if isinstance(versionstamp, str) else "a version that nobody was told yet"
                shown.append(f"{key} = {value} at {at}" + (" until it expires" if begins != _FOREVER else ""))
        return "; ".join(shown)

    def contradiction(self, operations: Sequence[Operation]) -> str | None:
        """Tell versionstamps that don't grow, whatever their keys: each is new, and a later commit's is greater."""
        stamped = [
            each
            for each in operations
            if each.call[0] == "commit" and each.call[2] and each.outcome is Outcome.DONE and each.result[0]
        ]
        commits: dict[str, Operation] = {}
        for each in stamped:
            if (other := commits.setdefault(each.result[1], each)) is not each:
                return f"Two commits were given one versionstamp:\n  {other}\n  {each}"
        answered = sorted(stamped, key=lambda each: each.returned)
        at = 0
        greatest: Operation | None = None
        for each in sorted(stamped, key=lambda each: each.invoked):
            while at < len(answered) and answered[at].returned < each.invoked:
                if greatest is None or answered[at].result[1] > greatest.result[1]:
                    greatest = answered[at]
                at += 1
            if greatest is not None and greatest.result[1] >= each.result[1]:
                return (
                    f"A later commit has no greater versionstamp than an earlier one:\n  {greatest}\n  {each}"
                )
        return None

    def step(self, state: tuple[Cell, ...], operation: Operation) -> Sequence[Any]:
        name = operation.call[0]
        if name == "commit":
            return self._commit(state, operation)
        if operation.outcome is Outcome.UNKNOWN:
            return [state]
        asked, answers = (
            ((operation.call[1],), (operation.result,))
            if name == "get"
            else (operation.call[1], operation.result)
        )
        found: list[Any] = []
        for seen in self._as_it_may_be(state, [self._place[key] for key in asked], operation):
            after: tuple[Cell, ...] | None = seen
            for key, answer in zip(asked, answers, strict=True):
                after = None if after is None else self._agree(after, self._place[key], answer)
            if after is not None:
                found.append(after)
        return found

    def _commit(self, state: tuple[Cell, ...], operation: Operation) -> list[Any]:
        _, checks, sets, deletes = operation.call
        known = operation.outcome is Outcome.DONE
        ok, stamp = operation.result if known else (True, None)
        found: list[Any] = []
        for seen in self._as_it_may_be(state, [self._place[key] for key, _ in checks], operation):
            after: tuple[Cell, ...] | None = seen
            for key, versionstamp in checks:
                after = None if after is None else self._hold(after, self._place[key], versionstamp)
            if not ok:
                if after is None or after != seen:  # it may be of another version than the one demanded
                    found.append(seen)
                continue
            if after is None:
                continue
            cells = list(after)
            new = stamp if stamp is not None else id(operation)
            for key in deletes:
                cells[self._place[key]] = _ABSENT
            for key, value, lifetime in sets:
                greatest = cells[self._place[key]][2]
                if stamp is not None and stamp <= greatest:
                    break
                begins, ends = 0, _FOREVER
                if lifetime is not None:
                    begins = operation.invoked + lifetime * 1_000_000 - _SLACK
                    ends = operation.returned + lifetime * 1_000_000 + _SLACK if known else _FOREVER
                else:
                    begins = _FOREVER
                cells[self._place[key]] = (value, new, stamp or greatest, begins, ends)
            else:
                found.append(tuple(cells))
        return found

    def _as_it_may_be(
        self, state: tuple[Cell, ...], places: Iterable[int], operation: Operation
    ) -> list[tuple[Cell, ...]]:
        """Return the state with each of its keys either still there or expired, where either is possible."""
        states = [state]
        for place in dict.fromkeys(places):
            cell = state[place]
            if cell[1] is None:
                continue
            may_live = operation.invoked < cell[4]
            may_be_gone = operation.outcome is Outcome.UNKNOWN or operation.returned >= cell[3]
            if cell[3] == _FOREVER:
                may_be_gone = False
            gone = [_with(each, place, _ABSENT) for each in states] if may_be_gone else []
            states = [*(states if may_live else []), *gone]
        return states

    def _agree(self, state: tuple[Cell, ...], place: int, answer: Any) -> tuple[Cell, ...] | None:
        """Return the state if a read of the key gives `answer`; its versionstamp is then known."""
        cell = state[place]
        if answer is None or cell[1] is None:
            return state if answer is None and cell[1] is None else None
        value, versionstamp = answer
        return self._hold(state, place, versionstamp) if cell[0] == value else None

    def _hold(self, state: tuple[Cell, ...], place: int, versionstamp: str | None) -> tuple[Cell, ...] | None:
        """Return the state if the key is at `versionstamp`; one that nobody was told yet can turn out to be that."""
        present = state[place][1]
        if not isinstance(present, int) or versionstamp is None:
            return state if present == versionstamp else None
        if any(cell[1] == present and cell[2] >= versionstamp for cell in state):
            return None
        return tuple(
            (cell[0], versionstamp, versionstamp, cell[3], cell[4]) if cell[1] == present else cell
            for cell in state
        )


def _keys_of(operation: Operation) -> list[Any]:
    name, *given = operation.call
    if name == "get":
        return given
    if name == "snapshot":
        return list(given[0])
    checks, sets, deletes = given
    return [*(each[0] for each in checks), *(each[0] for each in sets), *deletes]


def _with(state: tuple[Cell, ...], place: int, cell: Cell) -> tuple[Cell, ...]:
    return (*state[:place], cell, *state[place + 1 :])


class LeaseModel:
    """One lock and one value that is written under it.

    `acquire(milliseconds)` answers (token,) or None where another holds it; `renew(token)`, `write(token, value)` and
    `pause(token, milliseconds)` name an acquisition; `release(token)`, `force()` free the lock; `read()` answers the
    value. Between two calls a holder renews by itself, unless it was paused: so a lock that isn't paused may expire a
    timeout after it was taken, but needn't. A refusal has no effect, and needs no cause but for an acquire: somebody
    holds the lock.
    """

    # state: (token of the holder or 0, greatest token, may expire from, must have expired by, value)

    def initial(self) -> Any:
        return (0, 0, 0, 0, None)

    def describe(self, state: Any) -> str:
        holder, greatest, _, _, value = state
        return f"{f'held under token {holder}' if holder else 'free'}, last token {greatest}, value {value}"

    def parts(self, operations: Sequence[Operation]) -> Iterable[tuple[Model, Sequence[Operation]]]:
        return [(self, operations)]

    def contradiction(self, operations: Sequence[Operation]) -> str | None:
        """No two acquisitions share a token."""
        tokens: dict[Any, Operation] = {}
        for each in operations:
            if each.call[0] == "acquire" and each.outcome is Outcome.DONE and each.result is not None:
                other = tokens.setdefault(each.result, each)
                if other is not each:
                    return f"Two acquisitions were given one token:\n  {other}\n  {each}"
        return None

    def step(self, state: Any, operation: Operation) -> Sequence[Any]:
        name, *given = operation.call
        holder, _, begins, ends, value = state
        known = operation.outcome is Outcome.DONE
        if name == "read":
            return [state] if not known or operation.result == value else []
        states = [state]
        if holder:
            may_be_gone = not known or operation.returned >= begins
            may_live = operation.invoked < ends
            freed = (0, state[1], 0, 0, value)
            states = [*([state] if may_live else []), *([freed] if may_be_gone else [])]
        return [after for each in states for after in self._applied(each, name, given, operation)]

    def _applied(self, state: Any, name: str, given: Sequence[Any], operation: Operation) -> list[Any]:
        holder, greatest, begins, ends, value = state
        known = operation.outcome is Outcome.DONE
        if name == "acquire":
            if known and operation.result is None:
                return [state] if holder else []
            token = operation.result[0] if known else greatest + 1
            if holder or token <= greatest:
                return []
            # One of unknown outcome may have been taken, and given back at once because what had to follow failed.
            begins = operation.invoked + given[0] * 1_000_000 - _SLACK if known else 0
            return [(token, token, begins, _FOREVER, value)]
        if name == "force":
            return [(0, greatest, 0, 0, value)]
        if known and operation.result is False:
            return [state]
        if name == "release":
            return [(0, greatest, 0, 0, value)] if holder == given[0] else [state]
        if holder != given[0]:
            return [state] if name == "pause" else []
        if name == "pause":
            ends = operation.returned + given[1] * 1_000_000 + _SLACK
            return [(holder, greatest, begins, min(ends, state[3]), value)]
        if name == "renew":
            begins = operation.invoked + given[1] * 1_000_000 - _SLACK
            if ends != _FOREVER:
                ends = operation.returned + given[1] * 1_000_000 + _SLACK if known else _FOREVER
            return [(holder, greatest, max(begins, state[2]), ends, value)]
        return [(holder, greatest, begins, ends, given[1])]


MODELS: dict[str, Callable[[], Model]] = {"register": RegisterModel, "kv": KVModel, "lease": LeaseModel}
