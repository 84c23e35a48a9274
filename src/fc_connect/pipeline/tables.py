"""Tables that mappings look values up in, kept in the state store: read whole at the start of a run.

A table is replaced as a whole. Its rows lie under a generation of their own, and one entry says which generation
counts: whoever reads meanwhile sees the old table or the new one, never a mixture.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from fc_connect.errors import StateConflictError
from fc_connect.kv.base import MAX_COMMIT_KEYS, KVStore

__all__ = ["Tables", "read_table", "store_table", "table_names", "tables_digest"]

Tables = Mapping[str, Mapping[str, Any]]
"""Rows by name of the table."""

_HOME = "$lookup"
"""No pipeline is called so: its name would be refused."""
_ATTEMPTS = 10
_ABANDONED = timedelta(days=1)
"""A table that takes longer to be stored isn't one."""


def read_table(kv: KVStore, name: str) -> dict[str, Any] | None:
    """Return the rows of a table, or None where there is none of this name."""
    for _ in range(_ATTEMPTS):
        head = kv.get((_HOME, name))
        if head is None:
            return None
        rows = {str(each.key[-1]): each.value for each in kv.list((_HOME, name, head.value["generation"]))}
        if kv.get((_HOME, name)) == head:
            return rows
    raise StateConflictError(f"The table {name!r} is replaced again and again. Try again later.")


def store_table(kv: KVStore, name: str, rows: Mapping[str, Any]) -> None:
    """Replace a table as a whole.

    Raises:
        StateConflictError: somebody else replaced it meanwhile; theirs counts.
    """
    head = kv.get((_HOME, name))
    generation = f"{kv.now():%Y%m%dT%H%M%SZ}-{secrets.token_hex(8)}"
    items = list(rows.items())
    for begin in range(0, len(items), MAX_COMMIT_KEYS):
        commit = kv.atomic()
        for key, value in items[begin : begin + MAX_COMMIT_KEYS]:
            commit.set((_HOME, name, generation, key), value)
        commit.commit()
    flip = kv.atomic().check((_HOME, name), None if head is None else head.versionstamp)
    if not flip.set((_HOME, name), {"generation": generation, "rows": len(items)}).commit().ok:
        raise StateConflictError(f"The table {name!r} was replaced by somebody else meanwhile. Try again.")
    _tidy(kv, name, None if head is None else head.value["generation"])


def _tidy(kv: KVStore, name: str, replaced: str | None) -> None:
    """Delete the rows that were replaced, and those of whoever was cut short long ago."""
    abandoned = f"{kv.now() - _ABANDONED:%Y%m%dT%H%M%SZ}"
    current = kv.get((_HOME, name))
    for each in kv.list((_HOME, name)):
        generation = str(each.key[2])
        is_current = current is not None and generation == current.value["generation"]
        if not is_current and (generation == replaced or generation < abandoned):
            kv.delete(each.key)


def table_names(kv: KVStore) -> dict[str, int]:
    """Return how many rows each table has, by name."""
    return {str(each.key[1]): int(each.value["rows"]) for each in kv.list((_HOME,)) if len(each.key) == 2}


def tables_digest(tables: Tables) -> str:
    """Return the SHA-256 of what the tables hold."""
    return hashlib.sha256(json.dumps(tables, sort_keys=True).encode()).hexdigest()
