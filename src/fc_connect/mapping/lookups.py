"""Tables that a mapping looks values up in: written in it, or kept in a CSV file beside it."""

from __future__ import annotations

import csv
import hashlib
import io
from pathlib import Path

from fc_connect.errors import ConfigurationError, listed

__all__ = ["read_table", "table_digest"]

_MAX_BYTES = 64 * 1024 * 1024
"""Of a table's file: it is held in memory. A larger one belongs into the state store (`kv`)."""


def read_table(path: Path, *, key: str | None, value: str | None) -> dict[str, str]:
    """Read a CSV file with a header: the columns `key` and `value`, by default its first two.

    Raises:
        ConfigurationError: it can't be read, lacks a column, or has two values for one key.
    """
    text = _read(path)
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    table: dict[str, str] = {}
    try:
        header = next(rows, [])
        if len(header) < 2 and (key is None or value is None):
            raise ConfigurationError(f"{path}: a table needs two columns; its header has: {listed(header)}")
        places = [_place(path, header, name, default) for name, default in ((key, 0), (value, 1))]
        for row in rows:
            if not row:
                continue
            if len(row) != len(header):
                raise ConfigurationError(
                    f"{path}, line {rows.line_num}: has {len(row)} cells, and the header {len(header)}"
                )
            found, told = (row[place] for place in places)
            if table.setdefault(found, told) != told:
                raise ConfigurationError(
                    f"{path}, line {rows.line_num}: {found[:100]!r} has another value further up"
                )
    except csv.Error as exc:
        raise ConfigurationError(f"{path}, line {rows.line_num}: isn't CSV: {exc}") from exc
    return table


def table_digest(path: Path) -> str:
    """Return the SHA-256 of a table's file."""
    return hashlib.sha256(_read(path).encode()).hexdigest()


def _place(path: Path, header: list[str], name: str | None, default: int) -> int:
    if name is None:
        return default
    if header.count(name) != 1:
        raise ConfigurationError(f"{path}: expected one column {name!r}; the header has: {listed(header)}")
    return header.index(name)


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(_MAX_BYTES + 1)
        if len(raw) > _MAX_BYTES:
            raise ConfigurationError(
                f"{path} is larger than {_MAX_BYTES >> 20} MiB: keep such a table in the state store (`kv`)"
            )
        return raw.decode("utf-8-sig")
    except FileNotFoundError as exc:
        raise ConfigurationError(f"There is no table {path}.") from exc
    except (OSError, ValueError) as exc:
        raise ConfigurationError(f"{path} can't be read: {exc}") from exc
