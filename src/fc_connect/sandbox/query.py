"""Query strings and forms: one value per name, pages, numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl, unquote_plus

from fc_connect.sandbox.exchange import RefusedError

__all__ = ["loggable", "page", "single_values"]

_SECRET = re.compile(r"(?i)secret|passw|token|key|authorization|signature")


def single_values(text: str) -> dict[str, str]:
    """Return the fields of a query string or form; of a name given twice, the last."""
    try:
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=200))
    except ValueError as exc:
        raise RefusedError(
            f"The query or form can't be read: {exc}", status=400, code="MALFORMED_QUERY"
        ) from exc


def loggable(text: str) -> str:
    """Return a query string without secrets: Fluent takes the fields of a login there too."""
    parts = (part.partition("=") for part in text.split("&"))
    return "&".join(
        f"{name}=***" if _SECRET.search(unquote_plus(name)) else f"{name}{equals}{value}"
        for name, equals, value in parts
    )


def page(query: Mapping[str, str], *, size: int, largest: int) -> tuple[int, int]:
    """Return `start` and `count` of a query, or refuse with 400."""
    numbers = []
    for name, default, low in (("start", 0, 0), ("count", size, 1)):
        text = query.get(name) or str(default)
        # Longer texts aren't numbers of anything here, and int() refuses very long ones on its own.
        if not (text.isascii() and text.isdigit() and len(text) <= 12) or int(text) < low:
            raise RefusedError(
                f"{name} must be a whole number from {low}, not {text[:40]!r}.",
                status=400,
                code="INVALID_PAGE",
            )
        numbers.append(int(text))
    start, count = numbers
    return start, min(count, largest)
