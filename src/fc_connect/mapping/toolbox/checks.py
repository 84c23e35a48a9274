"""What a value is, and what stands in for one that isn't there."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import date
from typing import Any

from fc_connect.errors import MappingError
from fc_connect.mapping import javascript
from fc_connect.mapping.javascript import INVALID_DATE, WHITESPACE, to_string
from fc_connect.mapping.toolbox.access import field_of, has_field
from fc_connect.mapping.values import ABSENT, Absent

__all__ = [
    "coalesce",
    "default_to",
    "ensure_array",
    "is_array",
    "is_date",
    "is_empty",
    "is_number",
    "is_object",
    "is_string",
    "is_valid_email",
    "map_value",
    "normalize_empty",
    "require_field",
]

_SPACE = re.compile(rf"[{WHITESPACE}]")


def default_to(value: Any, default: Any = ABSENT) -> Any:
    """Return the value, or the default where it is absent or null."""
    return default if value is None or value is ABSENT else value


def coalesce(*values: Any) -> Any:
    """Return the first value that is neither absent nor null."""
    return next((value for value in values if value is not None and value is not ABSENT), ABSENT)


def normalize_empty(value: Any, default: Any = ABSENT, trim: bool = True) -> Any:
    """Return the value, or the default where it is absent, null, empty or (with `trim`) blank; it isn't trimmed."""
    if value is None or value is ABSENT or value == "":
        return default
    return default if trim and isinstance(value, str) and not value.strip(WHITESPACE) else value


def map_value(value: Any, table: Any, default: Any = ABSENT) -> Any:
    """Return what the table has for the value, as text, null included; the default where it has nothing.

    Raises:
        MappingError: the table is none.
    """
    if not isinstance(table, Mapping | list):
        raise MappingError(f"mapValue: the table must be an object, not {to_string(table)}")
    key = to_string(value)
    return field_of(table, key) if has_field(table, key) else default


def require_field(value: Any, name: str) -> Absent:
    """Demand a value that is neither absent, nor null, nor empty text.

    Raises:
        MappingError: it is.
    """
    if value is None or value is ABSENT or value == "":
        raise MappingError(f"Required field missing: {to_string(name)}")
    return ABSENT


def ensure_array(value: Any) -> list[Any]:
    """Return a list as it is, anything else as its only item; an empty one for what is absent or null."""
    if isinstance(value, list):
        return value
    return [] if value is None or value is ABSENT else [value]


def is_empty(value: Any) -> bool:
    """Say whether it is absent, null, blank text, or a list or object with nothing in it; a number never is."""
    if value is None or value is ABSENT:
        return True
    if isinstance(value, str):
        return not value.strip(WHITESPACE)
    # A date has no fields of its own, and so is empty there.
    return not value if isinstance(value, Collection) else is_object(value)


def is_string(value: Any) -> bool:
    return isinstance(value, str)


def is_number(value: Any) -> bool:
    """Say whether it is a number, infinity included and NaN not."""
    return javascript.is_number(value) and bool(value == value)


def is_array(value: Any) -> bool:
    return isinstance(value, list | tuple)


def is_object(value: Any) -> bool:
    """Say whether it is an object; a date is one, a list isn't."""
    return isinstance(value, Mapping | date) or value is INVALID_DATE


def is_date(value: Any) -> bool:
    return isinstance(value, date)


def is_valid_email(value: Any) -> bool:
    """Say whether it looks like `name@host.domain`, without spaces."""
    text = to_string(value)
    name, _, domain = text.partition("@")
    return bool(name) and "@" not in domain and "." in domain[1:-1] and _SPACE.search(text) is None
