"""The inbox: events that were accepted, until they were handled. All of it in the store, each step one commit.

An event is one record, and one small key that says by when it is due; so finding what is due costs the same however
many rest. One that was given up has a key among the dead in its place.
"""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import uuid
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, Literal

from fc_connect.errors import KVCorruptError, StateConflictError, StateError
from fc_connect.kv.base import Key
from fc_connect.observe import printable
from fc_connect.state import Lease, ReplayGuard, StateService
from fc_connect.state.records import from_entry, to_json

__all__ = ["MAX_BODY_BYTES", "Inbox", "QueuedEvent", "WithoutId"]

logger = logging.getLogger(__name__)

MAX_BODY_BYTES = 700 * 1024
"""Packed and in base64, even what doesn't get smaller fits into a value of the store."""
_MAX_ERROR = 2000  # characters
_SHOWN = 200  # characters of an id or a name
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

WithoutId = Literal["body", "accept", "refuse"]


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedEvent:
    """One event that was accepted; what a handler is called with."""

    item_id: str
    """Its name in the queue: the same at every attempt."""
    hook: str
    event_id: str | None
    """The platform's id; None where the body has none."""
    name: str | None
    """Of the event, where the body says one."""
    sender: str
    """`fluent`, or `key:` and the name of the API key."""
    sha256: str
    """Of the body."""
    packed: str
    accepted_at: datetime
    due_at: datetime
    attempts: int = 0
    """How often it was handed on without success: 0 at the first time."""
    error: str | None = None
    """Why the latest attempt failed."""
    dead_at: datetime | None = None
    """When it was given up; None while it is still tried."""

    def __repr__(self) -> str:
        return f"QueuedEvent({self.hook!r}, {self.item_id}, event {self.event_id!r})"

    @property
    def body(self) -> bytes:
        """The bytes as they came, and were signed."""
        try:
            return zlib.decompress(base64.b64decode(self.packed))
        except (ValueError, zlib.error) as exc:
            raise KVCorruptError(f"The body of the event {self.item_id} can't be read: {exc}.") from exc

    @property
    def payload(self) -> Any:
        """The body, read as JSON."""
        return json.loads(self.body)


class Inbox:
    """The queue of one receiver. Safe to share between threads and processes.

    The promise: an event that `accept` has taken is handed on until a handler succeeds or a person drops it; within
    `window`, the same event from the same sender is taken once. It may be handed on again where the process dies
    between a handler's end and the note of it: a handler that must not act twice remembers `item_id`.
    """

    def __init__(self, state: StateService, *, window: timedelta, without_id: WithoutId = "body") -> None:
        self.state = state
        self.without_id = without_id
        self._kv = state.kv
        self._workflow = state.workflow_id
        self._guard = ReplayGuard(state.kv, workflow_id=state.workflow_id, window=window)

    def accept(
        self, *, hook: str, sender: str, body: bytes, event_id: str | None, name: str | None = None
    ) -> QueuedEvent | None:
        """Queue an event, and return it; None where it came before. Once this returns, nothing loses it.

        Raises:
            KVError: it may not have been queued; let the sender send it again.
        """
        now = self._kv.now()
        sha256 = hashlib.sha256(body).hexdigest()
        event = QueuedEvent(
            item_id=uuid.uuid4().hex,
            hook=hook,
            event_id=_cut(event_id),
            name=_cut(name),
            sender=sender,
            sha256=sha256,
            packed=base64.b64encode(zlib.compress(body, 1)).decode(),
            accepted_at=now,
            due_at=now,
        )
        write = self._kv.atomic().set(self._at(event.item_id), to_json(event)).set(self._due_key(event), None)
        if event_id is not None:
            identity = (hook, sender, "id", event_id)
            if self._guard.admit(*identity, note=sha256, write=write):
                return event
            if self._guard.note(*identity) not in {sha256, None}:
                logger.warning(
                    "webhook %s: event %s came again with another body; it is not handed on",
                    hook,
                    event.event_id,
                )
            return None
        if self.without_id == "accept":
            write.commit()
            return event
        return event if self._guard.admit(hook, sender, "body", sha256, write=write) else None

    # Handing on, under a lease

    def due(self, *, skip: frozenset[str] = frozenset(), limit: int = 1) -> list[QueuedEvent]:
        """Return events that are due, the longest waiting first, but for those in `skip`."""
        prefix = (self._workflow, "due")
        found: list[QueuedEvent] = []
        for entry in self._kv.list(prefix, end=(*prefix, _micros(self._kv.now()) + 1)):
            item_id = str(entry.key[-1])
            if item_id in skip:
                continue
            record = self._kv.get(self._at(item_id))
            event = None if record is None else from_entry(record, QueuedEvent)
            if event is None or self._due_key(event) != entry.key:
                self._kv.delete(entry.key)  # left by an event that a person moved or dropped meanwhile
                continue
            found.append(event)
            if len(found) == limit:
                break
        return found

    def done(self, event: QueuedEvent, lease: Lease) -> None:
        """Forget an event that was handled.

        Raises:
            LockLostError: another worker hands on now, and may hand this one on again.
        """
        lease.commit(self._kv.atomic().delete(self._at(event.item_id)).delete(self._due_key(event)))

    def put_off(
        self, event: QueuedEvent, lease: Lease, *, error: str, pause: timedelta | None
    ) -> QueuedEvent:
        """Note a failed attempt: due again after `pause`, or given up where that is None; errors as `done`."""
        now = self._kv.now()
        later = replace(
            event,
            attempts=event.attempts + 1,
            error=error[:_MAX_ERROR],
            due_at=event.due_at if pause is None else now + pause,
            dead_at=now if pause is None else None,
        )
        write = self._kv.atomic().delete(self._due_key(event)).set(self._at(event.item_id), to_json(later))
        lease.commit(
            write.set(self._due_key(later) if later.dead_at is None else self._dead_key(later), None)
        )
        return later

    # For a person

    def waiting(self, *, limit: int | None = None) -> Iterator[QueuedEvent]:
        """Yield events that are still tried, the next due first."""
        return self._pointed("due", limit)

    def dead(self, *, limit: int | None = None) -> Iterator[QueuedEvent]:
        """Yield events that were given up, the oldest first."""
        return self._pointed("dead", limit)

    def counts(self, *, at_most: int = 1000) -> tuple[int, int]:
        """Return how many wait and how many are dead; not more than `at_most` are counted."""
        waiting, dead = (
            sum(1 for _ in islice(self._kv.list((self._workflow, kind)), at_most)) for kind in ("due", "dead")
        )
        return waiting, dead

    def oldest(self) -> datetime | None:
        """Return by when the longest overdue event was due, or None where none waits."""
        entry = next(self._kv.list((self._workflow, "due"), limit=1), None)
        return None if entry is None else _EPOCH + timedelta(microseconds=int(entry.key[2]))

    def get(self, item_id: str) -> QueuedEvent | None:
        """Return an event of the queue."""
        entry = self._kv.get(self._at(item_id))
        return None if entry is None else from_entry(entry, QueuedEvent)

    def replay(self, item_id: str) -> QueuedEvent:
        """Let an event be handed on at once, with all attempts anew: one that was given up, or that rests.

        Raises:
            StateError: there is none of that name.
            StateConflictError: it changed just now.
        """
        event, versionstamp = self._found(item_id)
        again = replace(event, attempts=0, due_at=self._kv.now(), dead_at=None)
        write = (
            self._kv.atomic().check(self._at(item_id), versionstamp).set(self._at(item_id), to_json(again))
        )
        self._change(write.delete(self._pointer(event)).set(self._due_key(again), None), item_id)
        return again

    def drop(self, item_id: str) -> QueuedEvent:
        """Forget an event for good, unhandled; errors as `replay`."""
        event, versionstamp = self._found(item_id)
        write = self._kv.atomic().check(self._at(item_id), versionstamp).delete(self._at(item_id))
        self._change(write.delete(self._pointer(event)), item_id)
        return event

    def _found(self, item_id: str) -> tuple[QueuedEvent, str]:
        entry = self._kv.get(self._at(item_id))
        if entry is None:
            raise StateError(f"The queue has no event {item_id!r}. See: fc-connect webhook queue list")
        return from_entry(entry, QueuedEvent), entry.versionstamp

    def _change(self, write: Any, item_id: str) -> None:
        if not write.commit().ok:
            raise StateConflictError(f"The event {item_id} changed just now; look at it again.")

    def _pointed(self, kind: str, limit: int | None) -> Iterator[QueuedEvent]:
        for entry in self._kv.list((self._workflow, kind), limit=limit):
            event = self.get(str(entry.key[-1]))
            if event is not None:
                yield event

    def _at(self, item_id: str) -> Key:
        return (self._workflow, "event", item_id)

    def _due_key(self, event: QueuedEvent) -> Key:
        return (self._workflow, "due", _micros(event.due_at), event.item_id)

    def _dead_key(self, event: QueuedEvent) -> Key:
        return (self._workflow, "dead", _micros(event.dead_at or event.due_at), event.item_id)

    def _pointer(self, event: QueuedEvent) -> Key:
        return self._due_key(event) if event.dead_at is None else self._dead_key(event)


def _cut(text: str | None) -> str | None:
    # Outsiders decide how long it is, and what it is made of; it is for people alone.
    return None if text is None else printable(text)[:_SHOWN]


def _micros(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1)
