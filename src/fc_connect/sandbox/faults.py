"""Faults on demand: what to break, for which requests, how often."""

from __future__ import annotations

import math
import random
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any, Protocol

from fc_connect.errors import ConfigurationError

__all__ = ["Fault", "FaultKind", "FaultPlan", "FaultState", "FieldFaults", "fault_from_json", "fault_to_json"]


class FaultKind(StrEnum):
    """What goes wrong."""

    LATENCY = "latency"
    """Wait `delay`; then go on as if nothing had been."""
    STATUS = "status"
    """Answer `status` with a JSON error, and `Retry-After` where `retry_after` is given."""
    DROP = "drop"
    """Close the connection without an answer."""
    SLOW_BODY = "slow_body"
    """Send the true answer `chunk_bytes` at a time, with `delay` before each."""
    TRUNCATED = "truncated"
    """Promise the true answer in full, send half of it, close."""
    NOT_JSON = "not_json"
    """Answer 200 with a page of HTML, as a proxy or a login wall does."""
    EMPTY = "empty"
    """Answer 200 with no body."""
    GRAPHQL = "graphql"
    """Let a field of a GraphQL query or mutation fail with `code`; the others are answered."""


_AFTER_BY_DEFAULT = {FaultKind.SLOW_BODY, FaultKind.TRUNCATED, FaultKind.NOT_JSON, FaultKind.EMPTY}
_NEEDS_THE_ANSWER = {FaultKind.SLOW_BODY, FaultKind.TRUNCATED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault, and the requests that it strikes.

    A request matches by `method` and `path`; of the matching ones, the `nth` (from 1) is struck and those after it,
    each with `probability`, `times` in all. A request meets at most one fault: the first injected that is due.
    """

    kind: FaultKind
    method: str = "*"
    path: str = "*"
    """A glob over the path without its query; `*` also matches `/`: `*/batch`, `/oauth/token`."""
    path_regex: str | None = None
    """A regular expression that the whole path must match, beside the glob."""
    nth: int = 1
    times: int | None = 1
    """None: for ever."""
    probability: float = 1.0
    seed: int = 0
    """Of the dice for `probability`: the same seed strikes the same matching requests."""
    after_accepting: bool | None = None
    """Whether the work is done before the fault. None: no for latency, status and drop, yes for the others."""
    status: int = 503
    code: str | None = None
    """Error code in the body of a status or graphql fault; None: one that fits the status, or C0011E (rate limit)."""
    field: str = "*"
    """Of a graphql fault: a glob over the names of queries and mutations, such as `createOrder` or `update*`."""
    retry_after: timedelta | datetime | None = None
    """Sent as seconds, or as an HTTP date."""
    delay: timedelta = timedelta(milliseconds=100)
    chunk_bytes: int = 1

    def __post_init__(self) -> None:
        problems = []
        if self.path_regex is not None:
            try:
                re.compile(self.path_regex)
            except re.error as exc:
                problems.append(f"path_regex isn't a regular expression: {exc}")
        if self.nth < 1:
            problems.append("nth counts from 1")
        if self.times is not None and self.times < 1:
            problems.append("times is at least 1, or None for ever")
        if not 0 < self.probability <= 1:
            problems.append("probability lies above 0 and up to 1")
        if not 400 <= self.status <= 599:
            problems.append("status is an error, 400 to 599")
        if self.delay < timedelta(0) or self.chunk_bytes < 1:
            problems.append("delay can't be negative, chunk_bytes is at least 1")
        if isinstance(self.retry_after, datetime) and self.retry_after.tzinfo is None:
            problems.append("retry_after needs a time zone")
        if self.kind in _NEEDS_THE_ANSWER and self.after_accepting is False:
            problems.append(f"{self.kind} spoils the true answer, so the work is always done")
        if problems:
            raise ConfigurationError("This fault can't be injected.", problems=problems)

    @property
    def is_after_accepting(self) -> bool:
        """Say whether the work is done before the fault strikes."""
        return self.kind in _AFTER_BY_DEFAULT if self.after_accepting is None else self.after_accepting

    def matches(self, method: str, path: str) -> bool:
        """Say whether a request is of the kind that this fault strikes."""
        return (
            self.method.upper() in {"*", method}
            and fnmatchcase(path, self.path)
            and (self.path_regex is None or re.fullmatch(self.path_regex, path) is not None)
        )

    def retry_after_header(self) -> str | None:
        """Return the value of Retry-After, or None."""
        if isinstance(self.retry_after, datetime):
            return format_datetime(self.retry_after.astimezone(UTC), usegmt=True)
        # Whole seconds are all that the header knows; up, so that nobody is told to come too early.
        return None if self.retry_after is None else str(math.ceil(self.retry_after.total_seconds()))


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultState:
    """How a fault has fared: requests that matched, and how many of them were struck."""

    fault: Fault
    matched: int
    struck: int


class FieldFaults(Protocol):
    """Say what is to go wrong with a field of a GraphQL operation."""

    def take_field(self, name: str) -> Fault | None: ...


@dataclass(slots=True)
class _Armed:
    fault: Fault
    dice: random.Random
    matched: int = 0
    struck: int = 0


@dataclass(slots=True)
class FaultPlan:
    """The faults in force, counted under one lock."""

    _armed: list[_Armed] = field(default_factory=list)
    _mutex: threading.Lock = field(default_factory=threading.Lock)

    def inject(self, fault: Fault) -> None:
        """Put `fault` in force, after those already there."""
        # Dice for tests, not for secrets.
        with self._mutex:
            self._armed.append(_Armed(fault, random.Random(fault.seed)))

    def clear(self) -> None:
        """Lift every fault."""
        with self._mutex:
            self._armed.clear()

    def states(self) -> tuple[FaultState, ...]:
        """Return the faults in the order injected, spent ones included."""
        with self._mutex:
            return tuple(FaultState(fault=a.fault, matched=a.matched, struck=a.struck) for a in self._armed)

    def take(self, method: str, path: str) -> Fault | None:
        """Count a request against every fault, and return the one that strikes it."""
        return self._take(lambda fault: fault.kind is not FaultKind.GRAPHQL and fault.matches(method, path))

    def take_field(self, name: str) -> Fault | None:
        """Count a field of a GraphQL operation against every graphql fault, and return the one that strikes it."""
        return self._take(lambda fault: fault.kind is FaultKind.GRAPHQL and fnmatchcase(name, fault.field))

    def _take(self, matches: Callable[[Fault], bool]) -> Fault | None:
        striking: _Armed | None = None
        with self._mutex:
            for armed in self._armed:
                fault = armed.fault
                if not matches(fault):
                    continue
                armed.matched += 1
                due = armed.matched >= fault.nth and (fault.times is None or armed.struck < fault.times)
                # The dice roll for every request that is due, so that a seed means the same requests each time.
                if due and armed.dice.random() < fault.probability and striking is None:
                    striking = armed
            if striking is not None:
                striking.struck += 1
        return None if striking is None else striking.fault


def fault_from_json(payload: Mapping[str, Any]) -> Fault:
    """Build a fault from its JSON: names as in `Fault`, durations in seconds, an instant in ISO 8601."""
    unknown = sorted(set(payload) - {f.name for f in fields(Fault)})
    if unknown:
        raise ConfigurationError("This fault can't be injected.", problems=[f"unknown: {', '.join(unknown)}"])
    values = dict(payload)
    try:
        if values.get("kind") not in list(FaultKind):
            raise ValueError(f"kind must be one of {', '.join(FaultKind)}, not {values.get('kind')!r}")
        values["kind"] = FaultKind(values["kind"])
        for name in ("delay", "retry_after"):
            value = values.get(name)
            if isinstance(value, str) and name == "retry_after":
                values[name] = datetime.fromisoformat(value)
            elif value is not None:
                values[name] = timedelta(seconds=value)
        for name, types in _JSON_TYPES.items():
            if name in values and (
                type(values[name]) not in types and not (values[name] is None and name in _MAY_BE_NULL)
            ):
                raise ValueError(f"{name} can't be {values[name]!r}")
        return Fault(**values)
    except (ValueError, TypeError, OverflowError) as exc:
        raise ConfigurationError("This fault can't be injected.", problems=[str(exc)]) from exc


_JSON_TYPES: dict[str, tuple[type, ...]] = {
    "method": (str,),
    "path": (str,),
    "path_regex": (str,),
    "nth": (int,),
    "times": (int,),
    "probability": (int, float),
    "seed": (int,),
    "after_accepting": (bool,),
    "status": (int,),
    "code": (str,),
    "field": (str,),
    "chunk_bytes": (int,),
}
_MAY_BE_NULL = {"path_regex", "times", "after_accepting", "code"}


def fault_to_json(fault: Fault) -> dict[str, Any]:
    """Return the JSON that `fault_from_json` reads."""
    payload: dict[str, Any] = {}
    for each in fields(Fault):
        value = getattr(fault, each.name)
        if isinstance(value, timedelta):
            value = value.total_seconds()
        elif isinstance(value, datetime):
            value = value.isoformat()
        payload[each.name] = value
    return payload
