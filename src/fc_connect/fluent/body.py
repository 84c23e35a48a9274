"""Writes what goes to Fluent as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fc_connect.errors import ConfigurationError

__all__ = ["encoded"]


def encoded(payload: Mapping[str, Any], what: str) -> bytes:
    """Return `payload` as JSON.

    By the standard encoder, because it refuses what JSON can't hold (Decimal, datetime, NaN) instead of choosing a
    form for it.

    Raises:
        ConfigurationError: a value of `what` can't be written.
    """
    try:
        return json.dumps(payload, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError) as exc:
        raise ConfigurationError(
            f"A value of {what} can't be written as JSON: {exc}. Nothing was sent."
        ) from exc
