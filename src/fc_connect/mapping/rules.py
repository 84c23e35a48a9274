"""A mapping made ready: what the interpreter walks through and the compiler writes out.

Rules are built once, from a strict mapping (`plan`) or from one of the TypeScript SDK (`compat`). All that the config
says in text is parsed by then: paths, names of resolvers, conditions, tables.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from fc_connect.mapping.values import ABSENT

__all__ = ["Call", "Read", "Rule", "Steps", "is_empty", "items_of", "put", "taken", "target_steps"]

Steps = tuple[str | int, ...]
"""Keys and positions, from the outside in."""

_MAX_INDEX = 1_000
"""Of a list that a target fills: beyond it is a slip of the pen."""
_TARGET_PART = re.compile(r"([^\[\]]+)(?:\[([0-9]{1,9})\])?")


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Read:
    """Where a field's value lies."""

    text: str
    """As the config says it."""
    function: Callable[[Any], Any]
    """From a record, to a value or `ABSENT`."""
    of_root: bool = False
    """Whether it reads the whole record rather than the nested one at hand."""
    column: int | None = None
    """Its place, for positional rows."""
    steps: Steps | None = None
    """Where it is but a chain of keys and positions, which the compiler writes out; empty where it reads no key."""

    def __call__(self, record: Any, root: Any) -> Any:
        return self.function(root if self.of_root else record)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Call:
    """A resolver at its place in a chain."""

    name: str
    function: Callable[..., Any]
    arity: int = 1
    """How many of (value, record, context) it takes."""
    is_raw: bool = False
    """Whether it takes (value, record, root), the records as they are, instead."""
    is_own: bool = False
    """Whether it is the user's: what it raises is told with its name."""
    keeps_none: bool = False
    """Whether it gives None for None, and can be left out where there is nothing."""
    code: str | None = None
    """An expression that gives the same for a text `v`, and is quicker."""
    is_remembered: bool = False
    """Whether what it gave for a text may be kept and given again: it depends on nothing else, and can't be changed."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Rule:
    """One field of one level."""

    name: str
    """The target as the config writes it."""
    target: Steps
    read: Read | None = None
    has_value: bool = False
    value: Any = None
    has_default: bool = False
    default: Any = None
    required: bool = False
    calls: tuple[Call, ...] = ()
    ends: tuple[Callable[[Any], Any], ...] = ()
    """Look-ups and checks of what isn't empty: give the value, or raise ValueError."""
    when: Callable[[Any, Any], bool] | None = None
    """Takes the record and the root; where it says no, the field is left out."""
    fields: tuple[Rule, ...] | None = None
    """Of the nested object, or of each item."""
    is_array: bool = False
    takes_scalars: bool = False
    """Whether the items of the array may be other than objects: no field of theirs reads by a key."""
    copies: bool = False
    """Whether the value must be copied: it belongs to the config, or something is put into it later."""
    fault: str | None = None
    """Compat alone: the field can't be mapped, and this is why."""

    @property
    def is_resolver_only(self) -> bool:
        return bool(self.calls) and self.read is None and not self.has_value


def is_empty(value: Any) -> bool:
    """Say whether a value is absent, null or empty text."""
    return value is ABSENT or value is None or (isinstance(value, str) and value == "")


def taken(rule: Rule, value: Any) -> Any:
    """Return the value as it may be put into an entity."""
    return deepcopy(value) if rule.copies and isinstance(value, dict | list) else value


def target_steps(target: str) -> Steps:
    """Return the place that a target names: `a.b`, `lines[0].ref`.

    Raises:
        ValueError: it is written in another way.
    """
    steps: list[str | int] = []
    for part in target.split("."):
        match = _TARGET_PART.fullmatch(part)
        if match is None:
            raise ValueError(
                "a target is a name, names with dots, or with the place in a list as in lines[0].ref; "
                "a list of any length is `isArray` with `fields`"
            )
        steps.append(match[1])
        if match[2] is not None:
            if int(match[2]) > _MAX_INDEX:
                raise ValueError(f"a list that is filled place by place has at most {_MAX_INDEX:,}")
            steps.append(int(match[2]))
    return tuple(steps)


def put(entity: dict[str, Any], target: Steps, value: Any) -> None:
    """Put a value at its place; lists on the way are filled up with empty objects, at the end with nulls."""
    node: Any = entity
    for step, following in itertools.pairwise(target):
        if isinstance(step, int):
            node += [{} for _ in range(step + 1 - len(node))]
            node = node[step]
        else:
            node = node.setdefault(step, [] if isinstance(following, int) else {})
    last = target[-1]
    if isinstance(last, int):
        node += [None] * (last + 1 - len(node))
    node[last] = value


def items_of(value: Any) -> list[Any]:
    """Return the items that an array's source stands for: of a list, of a GraphQL connection, or the value alone."""
    if isinstance(value, list):
        return value
    if isinstance(value, Mapping) and "edges" in value:
        edges = value["edges"]
        if edges is None:
            return []
        if not isinstance(edges, list):
            raise ValueError("expected a list in `edges`")
        return [edge["node"] if isinstance(edge, Mapping) and "node" in edge else edge for edge in edges]
    return [value]
