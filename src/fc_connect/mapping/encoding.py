"""Entities as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from fc_connect.errors import MappingError
from fc_connect.mapping.values import ABSENT

__all__ = ["encode_entity"]

_encode = msgspec.json.Encoder(decimal_format="number").encode


def encode_entity(entity: Mapping[str, Any]) -> bytes:
    """Return the entity as JSON in UTF-8, without a newline.

    Raises:
        MappingError: it holds something that JSON has no form for.
    """
    try:
        encoded = _encode(entity)
    except (TypeError, ValueError, OverflowError, RecursionError) as exc:
        raise MappingError(f"The entity can't be written as JSON: {exc}") from exc
    # msgspec writes a float that is NaN as null, and a Decimal that is as NaN.
    if (b"null" in encoded or b"NaN" in encoded or b"Infinity" in encoded) and _holds_no_number(entity):
        raise MappingError("The entity holds a number that JSON has no form for: NaN or infinity")
    if b'"absent"' in encoded and _holds_absent(entity):
        raise MappingError("The entity has a list with a place that nothing was put at")
    return encoded


def _holds_no_number(value: Any) -> bool:
    if isinstance(value, float):
        return value != value or value in {float("inf"), float("-inf")}
    if isinstance(value, Decimal):
        return not value.is_finite()
    return any(map(_holds_no_number, _inside(value)))


def _holds_absent(value: Any) -> bool:
    return value is ABSENT or any(map(_holds_absent, _inside(value)))


def _inside(value: Any) -> Any:
    if isinstance(value, Mapping):
        return value.values()
    return value if isinstance(value, list | tuple) else ()
