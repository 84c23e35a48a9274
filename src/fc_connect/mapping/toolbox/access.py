"""How JavaScript gets at the fields of a value, as far as they are data."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from fc_connect.errors import MappingError
from fc_connect.mapping.javascript import to_number, to_string
from fc_connect.mapping.values import ABSENT

__all__ = ["POSITION", "added", "entries_of", "field_of", "has_field", "items_of", "names_of"]

POSITION: Final = re.compile(r"0|[1-9][0-9]{0,8}")


def field_of(value: Any, name: str) -> Any:
    """Return what `value[name]` is in JavaScript, as far as it is data; `ABSENT` where there is nothing."""
    if isinstance(value, Mapping):
        return value.get(name, ABSENT)
    if isinstance(value, list | str):
        if name == "length":
            return (
                len(value)
                if isinstance(value, list)
                else len(value.encode("utf-16-le", "surrogatepass")) // 2
            )
        if POSITION.fullmatch(name) and int(name) < len(value):
            return value[int(name)]
    return ABSENT


def has_field(value: Any, name: str) -> bool:
    """Say whether `name in value` holds."""
    return name in value if isinstance(value, Mapping) else field_of(value, name) is not ABSENT


def entries_of(value: Any) -> dict[str, Any]:
    """Return `{...value}`: the fields of an object, the items of a list or characters of a text by number, or none."""
    if isinstance(value, Mapping):
        return dict(value)
    return (
        {str(place): item for place, item in enumerate(value)}
        if isinstance(value, list | tuple | str)
        else {}
    )


def items_of(value: Any, helper: str) -> list[Any]:
    """Return what `for (const item of value)` goes through: the items of a list, the characters of a text.

    Raises:
        MappingError: it is neither.
    """
    if not isinstance(value, list | tuple | str):
        raise MappingError(f"{helper}: {to_string(value)} is no list")
    return list(value)


def names_of(value: Any, helper: str) -> list[str]:
    """Return names of fields, from a list of whatever.

    Raises:
        MappingError: it is no list.
    """
    return [to_string(name) for name in items_of(value, helper)]


def added(one: Any, other: Any) -> Any:
    """Return `one + other`: joined, where one of them is a text, list or object."""
    if any(isinstance(each, str | list | tuple | Mapping) for each in (one, other)):
        return to_string(one) + to_string(other)
    return to_number(one) + to_number(other)
