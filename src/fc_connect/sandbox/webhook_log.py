"""The webhooks in the sandbox's SQLite file: every attempt, and the key that signs them."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

from fc_connect.errors import ConfigurationError
from fc_connect.sandbox.records import WebhookAttempt
from fc_connect.sandbox.store import connect, from_micros, to_micros

__all__ = ["WebhookStore", "read_attempts"]

_TABLES = """
CREATE TABLE IF NOT EXISTS webhook_attempt (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    delivery_id TEXT NOT NULL,
    name TEXT NOT NULL,
    event_id TEXT,
    url TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    at INTEGER NOT NULL,
    seconds REAL NOT NULL,
    status INTEGER,
    error TEXT,
    fault TEXT
);
CREATE TABLE IF NOT EXISTS webhook_key (only_one INTEGER PRIMARY KEY CHECK (only_one = 1), pem TEXT NOT NULL);
"""
_COLUMNS = "delivery_id, name, event_id, url, attempt, at, seconds, status, error, fault"


class WebhookStore:
    """Writes attempts and the key, over a connection of its own: a slow receiver never holds up the API."""

    def __init__(self, path: Path) -> None:
        self._mutex = threading.Lock()
        self._connection = connect(path)
        try:
            self._connection.execute("PRAGMA synchronous = NORMAL")
            for statement in filter(str.strip, _TABLES.split(";")):
                self._connection.execute(statement)
        except sqlite3.Error as exc:
            self._connection.close()
            raise ConfigurationError(
                f"The sandbox can't write to {path}: {exc}. Choose another file."
            ) from exc

    def close(self) -> None:
        """Close the file. Nothing may be called afterwards."""
        with self._mutex:
            self._connection.close()

    def add(self, attempt: WebhookAttempt) -> None:
        """Put an attempt on the log."""
        row = (
            attempt.delivery_id,
            attempt.name,
            attempt.event_id,
            attempt.url,
            attempt.attempt,
            to_micros(attempt.at),
            attempt.seconds,
            attempt.status,
            attempt.error,
            attempt.fault,
        )
        with self._mutex:
            self._connection.execute(
                f"INSERT INTO webhook_attempt ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
                row,
            )

    def key(self) -> str | None:
        """Return the private key in PEM, or None where none was made."""
        with self._mutex:
            row = self._connection.execute("SELECT pem FROM webhook_key").fetchone()
        return None if row is None else str(row[0])

    def keep_key(self, pem: str) -> None:
        """Keep the private key in place of any before it."""
        with self._mutex:
            self._connection.execute("INSERT OR REPLACE INTO webhook_key VALUES (1, ?)", (pem,))

    def forget(self) -> None:
        """Forget every attempt; the key stays."""
        with self._mutex:
            self._connection.execute("DELETE FROM webhook_attempt")


def read_attempts(connection: sqlite3.Connection, *, last: int | None = None) -> list[WebhookAttempt]:
    """Return the attempts in the order in which they ended, or only the `last` so many; none where the file is of an
    earlier sandbox."""
    try:
        rows = connection.execute(
            f"SELECT {_COLUMNS} FROM webhook_attempt ORDER BY number DESC LIMIT ?",  # noqa: S608
            (-1 if last is None else last,),
        ).fetchall()
    except sqlite3.OperationalError as exc:
        if "no such table" in str(exc):
            return []
        raise
    return [
        WebhookAttempt(
            delivery_id=delivery_id,
            name=name,
            event_id=event_id,
            url=url,
            attempt=attempt,
            at=from_micros(at),
            seconds=seconds,
            status=status,
            error=error,
            fault=fault,
        )
        for delivery_id, name, event_id, url, attempt, at, seconds, status, error, fault in reversed(rows)
    ]
