"""Lists of records: grouped, sorted, cut up.

Where a function takes a `key`, that is the name of a field, or a function of the item.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal
from functools import cmp_to_key
from typing import Any

from fc_connect.errors import MappingError
from fc_connect.mapping.javascript import is_truthy, to_number, to_string
from fc_connect.mapping.toolbox.access import field_of, items_of
from fc_connect.mapping.values import ABSENT, Absent

__all__ = ["Key", "chunk", "compact", "flatten", "group_by", "key_by", "keyed", "sort_by", "unique"]

Key = str | Callable[[Any], Any]
"""Name of a field, or a function of the item."""


def keyed(item: Any, key: Key | Absent | None) -> Any:
    """Return what stands for the item: itself, where there is no key, or an empty one."""
    return item if not callable(key) and not is_truthy(key) else _keyed(item, key)


def _keyed(item: Any, key: Any) -> Any:
    if callable(key):
        return key(item)
    name = to_string(key)
    if item is None or item is ABSENT:
        raise MappingError(f"An item is {to_string(item)}: it has no {name!r}")
    return field_of(item, name)


def group_by(items: Any, key: Key) -> dict[str, list[Any]]:
    """Return the items by the text of their key; those without one are under `undefined`.

    Raises:
        MappingError: it is no list, or an item is null.
    """
    groups: dict[str, list[Any]] = {}
    for item in items_of(items, "groupBy"):
        groups.setdefault(to_string(_keyed(item, key)), []).append(item)
    return groups


def key_by(items: Any, key: Key) -> dict[str, Any]:
    """Return the last item of each key.

    Raises:
        MappingError: it is no list, or an item is null.
    """
    return {to_string(_keyed(item, key)): item for item in items_of(items, "keyBy")}


def chunk(items: Any, size: Any) -> list[Any]:
    """Return the items in lists of `size`, the last one shorter; a text in pieces.

    Raises:
        MappingError: there are none, or the size is not positive, which the original never ends on.
    """
    if items is None or items is ABSENT:
        raise MappingError(f"chunk: {to_string(items)} is no list")
    length = len(items) if isinstance(items, list | str) else 0
    step = to_number(size)
    if length and step <= 0:
        raise MappingError(f"chunk: the size must be at least 1, not {to_string(size)}")
    if length and step != step:
        return [items[:0]]
    pieces = []
    start = 0.0
    while start < length:
        pieces.append(items[int(start) : int(min(start + step, length))])
        start += step
    return pieces


def flatten(items: Any, depth: Any = 1) -> Any:
    """Return the items, with lists among them replaced by their items, so many levels down.

    All of them, where that is no whole number, or a negative one; at 0 it is returned as it is.

    Raises:
        MappingError: it is no list.
    """
    levels = to_number(depth)
    if levels == 0 and not isinstance(depth, str | list | dict) and depth is not None and depth is not False:
        return items
    if levels != levels or levels < 1 or levels % 1 != 0:
        levels = math.inf
    flat: list[Any] = []
    pending = [(iter(_listed(items, "flatten")), levels)]
    while pending:
        level, left = pending[-1]
        for item in level:
            if isinstance(item, list) and left >= 1:
                pending.append((iter(item), left - 1))
                break
            flat.append(item)
        else:
            pending.pop()
    return flat


def unique(items: Any, key: Key | None = None) -> list[Any]:
    """Return the first item of each key; 1, '1' and true are three keys, and two objects are never one.

    Raises:
        MappingError: it is no list, or an item is null and has no key.
    """
    has_key = callable(key) or is_truthy(key)
    if not has_key and (items is None or items is ABSENT):
        return []
    seen: set[Any] = set()
    first = []
    for item in _listed(items, "unique") if has_key else items_of(items, "unique"):
        identity = _identity(keyed(item, key))
        if identity not in seen:
            seen.add(identity)
            # A set of JavaScript's, which the original makes of them, knows no negative zero.
            first.append(0 if not has_key and item.__class__ is float and item == 0 else item)
    return first


def sort_by(items: Any, key: Any = ABSENT, direction: Any = "asc") -> list[Any]:
    """Return the items sorted by key, ascending with `asc`, else descending.

    Those that can't be compared stay in their order.

    Raises:
        MappingError: it is no list, or an item is null.
    """
    sign = 1 if direction == "asc" else -1

    def compare(one: Any, other: Any) -> int:
        first, second = _keyed(one, key), _keyed(other, key)
        return sign * (_is_less(second, first) - _is_less(first, second))

    return sorted(items_of(items, "sortBy"), key=cmp_to_key(compare))


def compact(items: Any) -> list[Any]:
    """Return the items without absent ones, null, false, 0, NaN and empty text.

    Raises:
        MappingError: it is no list.
    """
    return [item for item in _listed(items, "compact") if is_truthy(item)]


def _listed(value: Any, helper: str) -> list[Any]:
    if not isinstance(value, list | tuple):
        raise MappingError(f"{helper}: {to_string(value)} is no list")
    return list(value)


def _identity(value: Any) -> tuple[str, Any]:
    if isinstance(value, bool) or value is None or value is ABSENT:
        return "constant", repr(value)
    if isinstance(value, int | float | Decimal):
        return "number", value if value == value else "NaN"
    return ("text", value) if isinstance(value, str) else ("object", id(value))


def _is_less(one: Any, other: Any) -> bool:
    """Say what JavaScript's `<` says: texts by their code units, anything else as numbers."""
    if not isinstance(one, str | int | float):
        one = to_number(one) if _has_number(one) else to_string(one)
    if not isinstance(other, str | int | float):
        other = to_number(other) if _has_number(other) else to_string(other)
    if isinstance(one, str) and isinstance(other, str):
        return one.encode("utf-16-be", "surrogatepass") < other.encode("utf-16-be", "surrogatepass")
    return to_number(one) < to_number(other)


def _has_number(value: Any) -> bool:
    return not isinstance(value, list | tuple | dict)
