"""The entities as one thing: read at one moment, changed in one transaction, seeded, kept up with batches."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from fc_connect.errors import ConfigurationError
from fc_connect.sandbox.data import changes, stock
from fc_connect.sandbox.data.kinds import KINDS, Kind, kind_of_seed
from fc_connect.sandbox.data.rows import EntityError, Row, Rows

__all__ = ["Entities"]

_ORDER = list(KINDS)
_CATALOGUES = ("ProductCatalogue", "InventoryCatalogue", "VirtualCatalogue", "ControlGroup")


class Entities:
    """The entities of one sandbox. Every method may be called from any thread.

    Args:
        connect: opens the file for reading.
        transaction: begins a transaction for writing, one at a time, and commits it at its end.
        processing_time: from the acceptance of a batch until it is COMPLETE, when its stock may be seen.
    """

    def __init__(
        self,
        path: Path,
        *,
        connect: Callable[[Path], sqlite3.Connection],
        transaction: Callable[[], AbstractContextManager[sqlite3.Connection]],
        processing_time: timedelta,
    ) -> None:
        self._path = path
        self._connect = connect
        self._transaction = transaction
        self._processing_time = processing_time
        self._applying = threading.Lock()

    @contextmanager
    def reading(self, *, one_moment: bool) -> Iterator[Rows]:
        """Open the entities for reading; with `one_moment`, later changes stay unseen."""
        with closing(self._connect(self._path)) as connection:
            connection.execute("PRAGMA query_only = ON")
            if one_moment:
                connection.execute("BEGIN")
            yield Rows(connection)

    def create(self, kind: Kind, given: Mapping[str, Any], *, at: datetime) -> int:
        """Write a new entity; see `changes.create`. Once this returns it is in the file."""
        with self._transaction() as connection:
            _plant_ground(Rows(connection), at)
            return changes.create(Rows(connection), kind, given, at=at)

    def update(self, kind: Kind, given: Mapping[str, Any], *, at: datetime) -> int:
        """Change an entity; see `changes.update`."""
        with self._transaction() as connection:
            _plant_ground(Rows(connection), at)
            return changes.update(Rows(connection), kind, given, at=at)

    def ready(self, *, at: datetime) -> None:
        """See to it that the account has what every account has: a retailer with its catalogues."""
        with self._transaction() as connection:
            _plant_ground(Rows(connection), at)

    def catch_up(self, *, at: datetime) -> None:
        """Apply every batch that is COMPLETE at `at` and wasn't applied yet, a transaction each."""
        until = at - self._processing_time
        with self._applying:  # others wait for the same work rather than meet half of it
            while True:
                with self._transaction() as connection:
                    if not stock.apply_next(connection, until=until, processing_time=self._processing_time):
                        return

    def seed(self, content: Mapping[str, Any], *, at: datetime) -> dict[str, int]:
        """Plant entities, all or none: lists by kind (`{"locations": [{"ref": …}, …]}`); return how many of each.

        The lists may stand in any order. An entity whose key exists already is changed.

        Raises:
            ConfigurationError: what can't be planted, with the place in the seed.
        """
        lists: dict[str, list[Any]] = {}
        problems = []
        for name, items in content.items():
            kind = kind_of_seed(name)
            if kind is None:
                problems.append(f"{name}: no such kind of entity; there are {', '.join(_ORDER)}")
            elif not isinstance(items, list):
                problems.append(f"{name} must be a list")
            else:
                lists[kind.name] = items
        if problems:
            raise ConfigurationError("This seed can't be planted.", problems=problems)
        planted: dict[str, int] = {}
        with self._transaction() as connection:
            rows = Rows(connection)
            _plant_ground(rows, at)
            for name in sorted(lists, key=_ORDER.index):
                for index, item in enumerate(lists[name]):
                    try:
                        _plant(rows, KINDS[name], item, at=at)
                    except (EntityError, sqlite3.Error) as exc:
                        raise ConfigurationError(
                            "This seed can't be planted.", problems=[f"{name}[{index}]: {exc}"]
                        ) from exc
                planted[name] = len(lists[name])
        return planted


def _plant(rows: Rows, kind: Kind, item: Any, *, at: datetime) -> int:
    if not isinstance(item, Mapping):
        raise EntityError("an entity must be an object.", code="C0140E")
    item = dict(item)
    if "retailer" in kind.refs:
        item.setdefault("retailer", {"id": 1})
    for name, target in kind.refs.items():
        # Most accounts have one catalogue of each sort, so a seed needn't say which.
        if target in _CATALOGUES and name not in item and name in kind.required:
            item[name] = "DEFAULT:1"
        # A ref alone names what lies in the same catalogue.
        elif isinstance(item.get(name), str) and "catalogue" in KINDS[target].refs and name != "catalogue":
            item[name] = {"ref": item[name], "catalogue": item.get("catalogue", "DEFAULT:1")}
    if kind.key and all(name in item for name in kind.key if name != "kind"):
        key = {name: item[name] for name in kind.key if name != "kind"}
        if rows.find(kind, _as_keys(kind, key)) is not None:
            return changes.update(rows, kind, item, at=at)
    return changes.create(rows, kind, item, at=at)


def _as_keys(kind: Kind, key: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: {"id": value} if name in kind.refs and isinstance(value, int) else value
        for name, value in key.items()
    }


def _plant_ground(rows: Rows, at: datetime) -> None:
    if rows.connection.execute("SELECT 1 FROM Retailer LIMIT 1").fetchone():
        return
    rows.connection.execute("DELETE FROM sqlite_sequence WHERE name = 'Retailer'")
    retailer: Row = {"ref": "sandbox", "tradingName": "Sandbox", "status": "ACTIVE"}
    changes.create(rows, KINDS["Retailer"], retailer, at=at)
    for name in _CATALOGUES:
        if rows.find(KINDS[name], "DEFAULT:1") is None:
            ground = {"ref": "DEFAULT:1", "name": "Default", "status": "ACTIVE", "retailerRefs": ["sandbox"]}
            changes.create(rows, KINDS[name], ground, at=at)
