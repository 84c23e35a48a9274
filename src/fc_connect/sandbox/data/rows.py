"""Rows of the entities: found, filtered, paged, written, over one SQLite connection.

Names of tables and columns come from `KINDS` alone; what a client sends is always bound, never part of a statement.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from fc_connect.errors import FCConnectError
from fc_connect.sandbox.data.kinds import KINDS, Kind, Link

__all__ = [
    "DEFAULT_PAGE",
    "MAX_PAGE",
    "Condition",
    "EntityError",
    "Page",
    "Row",
    "Rows",
    "cursor_of",
    "instant",
    "millis",
]

DEFAULT_PAGE = 100
MAX_PAGE = 250
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Row = dict[str, Any]


class EntityError(FCConnectError):
    """The sandbox refuses what was asked of an entity, with one of Fluent's codes."""

    def __init__(self, message: str, *, code: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Condition:
    """Part of a WHERE, with its values."""

    sql: str
    values: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page of a connection. The two claims are looked up when asked."""

    rows: list[Row]
    has_next: Callable[[], bool]
    has_previous: Callable[[], bool]


def millis(at: datetime) -> int:
    """Return an instant as stored: whole milliseconds, which is what the API shows."""
    return (at - _EPOCH) // timedelta(milliseconds=1)


def instant(value: Any) -> int:
    """Read an instant as stored: ISO 8601, in UTC where it has no zone.

    Raises:
        EntityError: C0100E, it is none.
    """
    try:
        if not isinstance(value, str):
            raise ValueError(value)  # noqa: TRY004 - told as one
        at = datetime.fromisoformat(value)
        return millis((at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC))
    except (ValueError, OverflowError) as exc:
        shown = str(value)[:40]
        raise EntityError(
            f"A time must be an instant such as 2026-03-10T12:00:00.000Z, not {shown!r}.", code="C0100E"
        ) from exc


class Rows:
    """Reads and writes entities. Transactions are the caller's."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def by_id(self, kind: Kind, number: Any) -> Row | None:
        """Return the row with this id, or None; anything that is no number names nothing."""
        found = _number(number)
        if found is None:
            return None
        return self.first(kind, [Condition('t."id" = ?', (found,))])

    def first(self, kind: Kind, conditions: Iterable[Condition]) -> Row | None:
        """Return the oldest row that meets all conditions, or None."""
        rows = self._select(kind, [*_of_kind(kind), *conditions], "ORDER BY t.id LIMIT 1")
        return rows[0] if rows else None

    def find(self, kind: Kind, key: Mapping[str, Any] | str) -> Row | None:
        """Return the row that a key names: `{"id": …}`, `{"ref": …, "catalogue": {"ref": …}}`, or a ref alone."""
        conditions = []
        for name, value in {"ref": key}.items() if isinstance(key, str) else key.items():
            if name == "id":
                number = _number(value)
                if number is None:
                    return None
                conditions.append(Condition('t."id" = ?', (number,)))
            elif name in kind.refs:
                owner = self.find(KINDS[kind.refs[name]], value)
                if owner is None:
                    return None
                conditions.append(Condition(f't."{name}" = ?', (owner["id"],)))
            else:
                conditions.append(Condition(f't."{kind.aliases.get(name, name)}" = ?', (value,)))
        return self.first(kind, conditions) if conditions else None

    def conditions(self, kind: Kind, filters: Mapping[str, Any]) -> list[Condition]:
        """Return the conditions of a query's arguments; one that is null doesn't filter."""
        return [
            condition
            for name, value in filters.items()
            if value is not None
            for condition in self._condition(kind, name, value)
        ]

    def _condition(self, kind: Kind, name: str, value: Any) -> Iterable[Condition]:
        column = f't."{name}"'
        if name in kind.refs:
            owner = self.find(KINDS[kind.refs[name]], value)
            yield Condition(f"{column} = ?", (owner["id"],)) if owner else Condition("0")
        elif name == "id":
            yield Condition(f"{column} = ?", (_number(value),))
        elif isinstance(value, Mapping):  # a DateRange, both ends included
            for end, sign in (("from", ">="), ("to", "<=")):
                if value.get(end) is not None:
                    yield Condition(f"{column} {sign} ?", (value[end],))
        elif isinstance(value, list):
            yield _one_of(column, value, kind.columns[name])
        else:
            yield Condition(f"{column} = ?", (value,))

    def of_owner(self, link: Link, owner: int) -> Condition:
        """Return the condition that a row belongs to `owner` by `link`."""
        if link.pairs is None:
            return Condition(f't."{link.column}" = ?', (owner,))
        sql = f't.id IN (SELECT "{link.other}" FROM "{link.pairs}" WHERE "{link.column}" = ?)'  # noqa: S608
        return Condition(sql, (owner,))

    def page(self, kind: Kind, conditions: Sequence[Condition], asked: Mapping[str, Any]) -> Page:
        """Return a page in the order of creation, which new rows only ever add to at its end.

        `asked` may hold first or last, before, after; a size above MAX_PAGE is answered with MAX_PAGE.

        Raises:
            EntityError: first and last together, a negative size, a cursor of another list.
        """
        first, last = asked.get("first"), asked.get("last")
        if first is not None and last is not None:
            raise EntityError("Ask for first or last, not for both.", code="C0140E")
        if (size := last if first is None else first) is None:
            size = DEFAULT_PAGE
        if size < 0:
            raise EntityError(f"first and last can't be negative: {size}.", code="C0140E")
        size = min(size, MAX_PAGE)
        after, before = (_place(kind, name, asked.get(name)) for name in ("after", "before"))
        everything = [*_of_kind(kind), *conditions]
        shown = list(everything)
        if after is not None:
            shown.append(Condition("t.id > ?", (after,)))
        if before is not None:
            shown.append(Condition("t.id < ?", (before,)))
        backward = last is not None
        rows = self._select(kind, shown, f"ORDER BY t.id {'DESC' if backward else 'ASC'} LIMIT {size + 1}")
        more, rows = len(rows) > size, rows[:size]
        if backward:
            rows.reverse()

        def beyond(sign: str, place: int | None) -> bool:
            return place is not None and bool(
                self._select(kind, [*everything, Condition(f"t.id {sign} ?", (place,))], "LIMIT 1")
            )

        return Page(
            rows=rows,
            has_next=lambda: beyond(">=", before) if backward else more or beyond(">=", before),
            has_previous=lambda: more or beyond("<=", after) if backward else beyond("<=", after),
        )

    def insert(self, kind: Kind, values: Mapping[str, Any]) -> int:
        """Write a new row and return its id."""
        names = ", ".join(f'"{name}"' for name in values)
        marks = ", ".join("?" * len(values))
        written = self.connection.execute(
            f'INSERT INTO "{kind.table}" ({names}) VALUES ({marks})',  # noqa: S608
            list(values.values()),
        )
        return int(written.lastrowid or 0)

    def update(self, kind: Kind, number: int, values: Mapping[str, Any]) -> None:
        """Change some columns of a row."""
        changes = ", ".join(f'"{name}" = ?' for name in values)
        self.connection.execute(
            f'UPDATE "{kind.table}" SET {changes} WHERE id = ?',  # noqa: S608
            [*values.values(), number],
        )

    def pair(self, link: Link, owner: int, others: Iterable[int]) -> None:
        """Make `others` the rows that belong to `owner` by a table of pairs."""
        self.connection.execute(f'DELETE FROM "{link.pairs}" WHERE "{link.column}" = ?', (owner,))  # noqa: S608
        self.connection.executemany(
            f'INSERT OR IGNORE INTO "{link.pairs}" ("{link.column}", "{link.other}") VALUES (?, ?)',  # noqa: S608
            [(owner, other) for other in others],
        )

    def _select(self, kind: Kind, conditions: Sequence[Condition], rest: str) -> list[Row]:
        where = " AND ".join(each.sql for each in conditions) or "1"
        cursor = self.connection.execute(
            f'SELECT t.* FROM "{kind.table}" t WHERE {where} {rest}',  # noqa: S608
            [value for each in conditions for value in each.values],
        )
        names = [each[0] for each in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor]


def cursor_of(kind: Kind, number: int) -> str:
    """Return the cursor of a row: opaque to clients, and good for lists of its kind alone."""
    return base64.urlsafe_b64encode(f"{kind.name}:{number}".encode()).decode()


def _place(kind: Kind, name: str, cursor: str | None) -> int | None:
    if cursor is None:
        return None
    try:
        text = base64.b64decode(cursor, altchars=b"-_", validate=True).decode()
    except (ValueError, binascii.Error):
        text = ""
    match = re.fullmatch(r"(\w+):([0-9]{1,18})", text, re.ASCII)
    if match is None:
        raise EntityError(
            f"{name} isn't a cursor: take it from an edge of this list.",
            code="C0140E",
        )
    if match[1] != kind.name:
        raise EntityError(
            f"{name} is a cursor of another list ({match[1]}), not of {kind.name}.", code="C0140E"
        )
    return int(match[2])


def _of_kind(kind: Kind) -> list[Condition]:
    # A table of several kinds says in each row which it is.
    return [Condition("t.kind = ?", (kind.name,))] if kind.table != kind.name else []


def _one_of(column: str, wanted: list[Any], type_name: str) -> Condition:
    """Return the condition that a column holds one of the values; `%` in a text stands for any characters."""
    patterns = [each for each in wanted if type_name == "text" and isinstance(each, str) and "%" in each]
    plain = [each for each in wanted if each is not None and each not in patterns]
    parts = []
    values: list[Any] = []
    if plain:
        # One value, whatever its length: a list of 100,000 doesn't meet SQLite's limit of variables.
        if len(plain) == 1:
            parts.append(f"{column} = ?")
            values.append(plain[0])
        else:
            parts.append(f"{column} IN (SELECT value FROM json_each(?))")  # noqa: S608 - a name of ours
            values.append(json.dumps(plain))
    if patterns:
        if len(patterns) > 100:
            raise EntityError("A filter takes at most 100 patterns with %.", code="C0140E")
        parts += [f"{column} GLOB ?"] * len(patterns)
        values += [re.sub(r"([*?\[])", r"[\1]", each).replace("%", "*") for each in patterns]
    if None in wanted:
        parts.append(f"{column} IS NULL")
    return Condition(f"({' OR '.join(parts)})" if parts else "0", tuple(values))


def _number(value: Any) -> int | None:
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None
