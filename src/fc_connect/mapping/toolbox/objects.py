"""Objects: read and written by path, merged, copied; and those that XML was read into.

Paths are the original's: names with dots, `name[0]`. They reach what lies in dicts and lists, and the `length` of a
list or text; no attribute of a Python object, and `__proto__` is a name like any other.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from decimal import Decimal
from itertools import pairwise
from typing import Any

from fc_connect.errors import MappingError
from fc_connect.mapping.javascript import (
    INVALID_DATE,
    date_milliseconds,
    is_truthy,
    iso_text,
    read_json,
    to_string,
)
from fc_connect.mapping.toolbox.access import POSITION, entries_of, field_of, has_field, names_of
from fc_connect.mapping.values import ABSENT

__all__ = [
    "deep_clone",
    "deep_merge",
    "extract_custom_attribute",
    "get_value",
    "get_xml_attribute",
    "get_xml_text_content",
    "merge",
    "omit",
    "pick",
    "safe_json_parse",
    "set_value",
]

_INDEXED = re.compile(r"(.+)\[([0-9]+)\]", re.DOTALL)
_MOST_ITEMS = 100_000
"""Of a list that `set_value` fills up: beyond this it is a slip of the pen, and would take the memory."""


def get_value(value: Any, path: Any, default: Any = ABSENT) -> Any:
    """Return what lies at the path, null included; the default where nothing does.

    Raises:
        MappingError: the path is no text.
    """
    if not is_truthy(value) or not is_truthy(path):
        return default
    if not isinstance(path, str):
        raise MappingError(f"get: the path must be text, not {to_string(path)}")
    for step in _steps(path):
        value = field_of(value, str(step))
        if value is ABSENT:
            return default
    return value


def set_value(value: Any, path: Any, new: Any) -> Any:
    """Put something at the path, in place. What is in the way is replaced; lists are filled up.

    Raises:
        MappingError: a null is in the way, a list would get a name or grow beyond any sense, or it is no path or no
            object.
    """
    if not is_truthy(path) or not is_truthy(value):
        return ABSENT
    if not isinstance(path, str) or not isinstance(value, dict | list):
        raise MappingError(f"set: nothing can be put at {to_string(path)!r} of {to_string(value)!r}")
    steps = _steps(path)
    node: Any = value
    for step, following in pairwise(steps):
        found = field_of(node, str(step))
        if found is None:
            raise MappingError(f"Cannot put anything at {path!r}: {step!r} is null")
        if not isinstance(found, list if isinstance(following, int) else dict | list):
            found = [] if isinstance(following, int) else {}
            _place(node, step, found)
        node = found
    _place(node, steps[-1], new)
    return ABSENT


def _steps(path: str) -> list[str | int]:
    steps: list[str | int] = []
    for part in path.split("."):
        match = _INDEXED.fullmatch(part)
        steps += [part] if match is None else [match[1], int(match[2][:12])]
    return steps


def _place(node: Any, step: str | int, value: Any) -> None:
    if isinstance(node, dict):
        node[str(step)] = value
        return
    if not isinstance(step, int) and not POSITION.fullmatch(step):
        raise MappingError(f"Cannot put {step!r} into a list")
    position = int(step)
    if position > _MOST_ITEMS:
        raise MappingError(f"Cannot put anything at position {position:,} of a list")
    filler: Callable[[], Any] = dict if isinstance(value, dict) else lambda: ABSENT
    node += [filler() for _ in range(position + 1 - len(node))]
    node[position] = value


# XML


def get_xml_attribute(element: Any, name: str, default: Any = ABSENT) -> Any:
    """Return an attribute of an element, wherever the parser put it; the default where none has a value."""
    if not is_truthy(element) or not is_truthy(name):
        return default
    key = to_string(name)
    for found in (
        field_of(element, f"${key}"),
        field_of(field_of(element, "$"), key),
        field_of(element, f"@{key}"),
        field_of(field_of(element, "@"), key),
        field_of(element, key),
        field_of(field_of(element, "_attributes"), key),
    ):
        if is_truthy(found):
            return found
    return default


def get_xml_text_content(element: Any, default: Any = ABSENT) -> Any:
    """Return the text of an element; what is no object is its own text."""
    if element is None or element is ABSENT:
        return default
    if isinstance(element, list | tuple | date) or element is INVALID_DATE:
        return default
    if not isinstance(element, Mapping):
        return element
    return next(
        (
            element[name]
            for name in ("_", "#text", "value")
            if element.get(name, ABSENT) not in (None, ABSENT)
        ),
        default,
    )


def extract_custom_attribute(attributes: Any, name: str, default: Any = ABSENT) -> Any:
    """Return the text of the custom attribute of that id, from a list of them, one, or an object by id.

    Raises:
        MappingError: a null is among them.
    """
    listed = attributes if isinstance(attributes, list) else [attributes]
    for each in listed:
        if isinstance(attributes, list) and (each is None or each is ABSENT):
            raise MappingError("extractCustomAttribute: an attribute of the list is null")
        if isinstance(each, Mapping) and name in (
            field_of(each, "@attribute-id"),
            field_of(each, "attributeId"),
        ):
            found = each.get("#text")
            found = found if is_truthy(found) else each.get("value")
            return found if is_truthy(found) else default
    found = ABSENT if isinstance(attributes, list) else field_of(attributes, to_string(name))
    return found if is_truthy(found) else default


# Whole objects


def safe_json_parse(text: Any, default: Any = ABSENT) -> Any:
    """Return what a text says as JSON, or the default where it isn't JSON."""
    try:
        return read_json(to_string(text))
    except ValueError:
        return default


def deep_clone(value: Any) -> Any:
    """Return a copy, through JSON: dates become text, NaN null, absent fields go. `copy.deepcopy` keeps them all.

    Raises:
        MappingError: there is nothing, or it holds itself, or is nested too deeply.
    """
    if value is ABSENT or callable(value):
        raise MappingError("deepClone: there is nothing to clone")
    try:
        return _cloned(value)
    except RecursionError as exc:
        raise MappingError("deepClone: nested too deeply, or inside itself") from exc


def _cloned(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            to_string(name): _cloned(item)
            for name, item in value.items()
            if item is not ABSENT and not callable(item)
        }
    if isinstance(value, list | tuple):
        return [None if item is ABSENT or callable(item) else _cloned(item) for item in value]
    if isinstance(value, date):
        moment = date_milliseconds(value)
        return None if moment is None else iso_text(moment)
    if isinstance(value, float | Decimal):
        return None if not math.isfinite(value) else value or 0
    return None if value is INVALID_DATE else value


def deep_merge(target: Any = ABSENT, source: Any = ABSENT) -> dict[str, Any]:
    """Return an object with the fields of both; objects are merged in depth, anything else is replaced."""
    merged = entries_of(target)
    for name, item in entries_of(source).items():
        is_deep = isinstance(item, Mapping | date) or item is INVALID_DATE
        merged[name] = deep_merge(merged.get(name), item) if is_deep else item
    return merged


def merge(*sources: Any) -> dict[str, Any]:
    """Return an object with the fields of all, the last of each; null and absent ones have none."""
    return {name: item for source in sources for name, item in entries_of(source).items()}


def pick(value: Any, names: Iterable[str]) -> dict[str, Any]:
    """Return an object with only these of its fields.

    Raises:
        MappingError: it is no object, or there are no names.
    """
    wanted = names_of(names, "pick")
    if wanted and not isinstance(value, Mapping | list | date) and value is not INVALID_DATE:
        raise MappingError(f"pick: {to_string(value)} is no object")
    return {name: field_of(value, name) for name in wanted if has_field(value, name)}


def omit(value: Any, names: Iterable[str]) -> dict[str, Any]:
    """Return an object without these of its fields.

    Raises:
        MappingError: there are no names.
    """
    left_out = set(names_of(names, "omit"))
    return {name: item for name, item in entries_of(value).items() if name not in left_out}
