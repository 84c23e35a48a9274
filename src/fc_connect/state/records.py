"""Records as JSON and back. An older reader ignores keys that a newer writer added."""

from __future__ import annotations

import re
import threading
from typing import Any, TypeVar

import msgspec

from fc_connect.errors import KVCorruptError
from fc_connect.kv.base import Entry

__all__ = ["count_from", "from_entry", "pointer_from", "to_json"]

_LARGEST_COUNT = 2**62
_POINTER = re.compile(r"[0-9a-f]{32}")

T = TypeVar("T")

_first_use = threading.Lock()
_used: set[type] = set()


def to_json(record: Any) -> Any:
    """Return a dataclass as plain JSON data."""
    return msgspec.to_builtins(record)


def from_entry(entry: Entry, kind: type[T]) -> T:
    """Return the record that `entry` holds.

    Raises:
        KVCorruptError: it holds something else.
    """
    if kind not in _used:
        with (
            _first_use
        ):  # msgspec takes a class apart at its first use; threads that do so at once crash the process
            msgspec.json.Decoder(kind)
            _used.add(kind)
    try:
        return msgspec.convert(entry.value, kind)
    except msgspec.ValidationError as exc:
        raise KVCorruptError(
            f"The state at {entry.key!r} can't be read as {kind.__name__}: {exc}. "
            "It was written by something else, or by a version that this one doesn't know: upgrade fc-connect."
        ) from exc


def pointer_from(entry: Entry) -> str:
    """Return the id of a file that `entry` holds. What is none leads nowhere, as if the file were new.

    Raises:
        KVCorruptError: it holds something else.
    """
    if isinstance(entry.value, str) and _POINTER.fullmatch(entry.value):
        return entry.value
    raise KVCorruptError(
        f"The state at {entry.key!r} can't be read as the id of a file. It was written by something else."
    )


def count_from(entry: Entry | None) -> int:
    """Return the count that `entry` holds; 0 where there is none.

    Raises:
        KVCorruptError: it holds something else.
    """
    if entry is None:
        return 0
    if type(entry.value) is int and 0 <= entry.value < _LARGEST_COUNT:
        return entry.value
    raise KVCorruptError(
        f"The state at {entry.key!r} can't be read as a count. It was written by something else."
    )
