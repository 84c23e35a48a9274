"""Entities as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from fc_connect.errors import MappingError

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
    return encoded


def _holds_no_number(value: Any) -> bool:
    if isinstance(value, float):
        return value != value or value in {float("inf"), float("-inf")}
    if isinstance(value, Decimal):
        return not value.is_finite()
    if isinstance(value, Mapping):
        return any(map(_holds_no_number, value.values()))
    return isinstance(value, list | tuple) and any(map(_holds_no_number, value))
