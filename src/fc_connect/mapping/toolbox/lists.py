"""Lists of records: grouped, sorted, cut up.

Where a function takes a `key`, that is the name of a field, or a function of the item.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from functools import cmp_to_key
from typing import Any

from fc_connect.errors import MappingError
from fc_connect.mapping.javascript import is_truthy, to_number, to_string
from fc_connect.mapping.toolbox.objects import field_of
from fc_connect.mapping.values import ABSENT, Absent

__all__ = ["Key", "chunk", "compact", "flatten", "group_by", "key_by", "keyed", "sort_by", "unique"]

Key = str | Callable[[Any], Any]
"""Name of a field, or a function of the item."""


def keyed(item: Any, key: Key | Absent | None) -> Any:
    """Return what stands for the item: itself, where there is no key."""
    if key is None or key is ABSENT:
        return item
    return key(item) if callable(key) else field_of(item, to_string(key))


def group_by(items: Any, key: Key) -> dict[str, list[Any]]:
    """Return the items by the text of their key; those without one are under `undefined`."""
    groups: dict[str, list[Any]] = {}
    for item in _items(items):
        groups.setdefault(to_string(keyed(item, key)), []).append(item)
    return groups


def key_by(items: Any, key: Key) -> dict[str, Any]:
    """Return the last item of each key."""
    return {to_string(keyed(item, key)): item for item in _items(items)}


def chunk(items: Any, size: int) -> list[list[Any]]:
    """Return the items in lists of `size`, the last one shorter.

    Raises:
        MappingError: the size is less than 1, which the original never ends on.
    """
    if size < 1:
        raise MappingError(f"chunk: the size must be at least 1, not {size}")
    listed = _items(items)
    return [listed[start : start + size] for start in range(0, len(listed), size)]


def flatten(items: Any, depth: float = 1) -> list[Any]:
    """Return the items, with lists among them replaced by their items, so many levels down."""
    flat: list[Any] = []
    pending = [(iter(_items(items)), depth)]
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
    """Return the first item of each key; 1, '1' and true are three keys, and two objects are never one."""
    seen: set[Any] = set()
    first = []
    for item in _items(items):
        identity = _identity(keyed(item, key))
        if identity not in seen:
            seen.add(identity)
            first.append(item)
    return first


def sort_by(items: Any, key: Key | None = None, direction: str = "asc") -> list[Any]:
    """Return the items sorted by key, `asc` or `desc`; those that can't be compared stay in their order."""
    sign = -1 if direction == "desc" else 1

    def compare(one: Any, other: Any) -> int:
        first, second = keyed(one, key), keyed(other, key)
        return sign * (_is_less(second, first) - _is_less(first, second))

    return sorted(_items(items), key=cmp_to_key(compare))


def compact(items: Any) -> list[Any]:
    """Return the items without absent ones, null, false, 0, NaN and empty text."""
    return [item for item in _items(items) if is_truthy(item)]


def _items(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []


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
