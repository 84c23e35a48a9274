"""Gathers a list that Fluent answers in pages, and says whether it is whole.

The documentation names `start`, `count` and `total` beside a list, but not whether every server heeds them,
so nothing is taken for granted: a page that comes twice ends the reading.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fc_connect.fluent.answers import integer_of, objects_of

__all__ = ["gather"]

_MAX_PAGE = 5000
_MAX_PAGES = 2000  # a server may always name a larger total


def gather(
    first: Mapping[str, Any], name: str, *, fetch: Callable[[int, int], Mapping[str, Any] | None]
) -> tuple[list[dict[str, Any]], bool] | None:
    """Return all items of the list `name` and whether they are all there are; None where there is no list.

    `fetch(start, count)` gets a later page, or None where it holds nothing of use.
    """
    found = objects_of(first, name)
    if found is None:
        return None
    items = list(found)
    total = integer_of(first, "total")
    if total is None:
        # Without a total, a list that says nothing of pages is the whole one.
        return items, "start" not in first and "count" not in first and not first.get("hasMore")
    if (integer_of(first, "start") or 0) != 0:
        return items, False
    last = found
    pages = 1
    while len(items) < total:
        pages += 1
        if pages > _MAX_PAGES:
            return items, False
        start = len(items)
        page = fetch(start, min(total - start, _MAX_PAGE))
        found = None if page is None else objects_of(page, name)
        if page is None or not found or found == last or integer_of(page, "start") not in {None, start}:
            return items, False
        items += found
        last = found
        total = max(total, integer_of(page, "total") or 0)
    return items, len(items) == total
