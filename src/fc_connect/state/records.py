"""Records as JSON and back. An older reader ignores keys that a newer writer added."""

from __future__ import annotations

import threading
from typing import Any, TypeVar

import msgspec

from fc_connect.errors import KVCorruptError
from fc_connect.kv.base import Entry

__all__ = ["from_entry", "to_json"]

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
