"""Events: taken, matched against rules, answered, and found again.

A sandbox has no workflows. What becomes of an event is said by its rules, a status for each event's name; without
any, every event is matched and ends well, as in an account where its workflow does nothing.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from fc_connect.sandbox.exchange import Answer, RefusedError, Request, answer
from fc_connect.sandbox.query import page
from fc_connect.sandbox.records import EventRecord
from fc_connect.sandbox.store import SandboxStore
from fc_connect.sandbox.validation import parse_json

__all__ = ["OUTCOMES", "EventDesk"]

OUTCOMES: Final = ("COMPLETE", "SUCCESS", "FAILED", "NO_MATCH", "PENDING", "SCHEDULED")
LARGEST_PAGE: Final = 5000
_USUALLY: Final = timedelta(days=30)
_KEPT: Final = timedelta(days=124)  # four months

_FIELDS: Final = {
    "name": "name",
    "category": "category",
    "retailerId": "retailer_id",
    "eventType": "type",
    "eventStatus": "status",
    "eventId": "event_id",
}
_CONTEXT: Final = ("rootEntityType", "rootEntityId", "rootEntityRef", "entityType", "entityId", "entityRef")


class EventDesk:
    """Answers the event calls. Every method may be called from any thread."""

    def __init__(
        self,
        store: SandboxStore,
        *,
        outcomes: Mapping[str, str],
        page_size: int,
        announce: Callable[[EventRecord], None],
    ) -> None:
        """`announce` is called with every event that was taken."""
        self._store = store
        self._outcomes = dict(outcomes)
        self._page_size = page_size
        self._announce = announce

    def send(self, request: Request, *, mode: Literal["async", "sync"]) -> Answer:
        """Take an event, and say what became of it where it is a sync one."""
        payload = parse_json(request.body)
        if problems := _problems(payload):
            raise RefusedError(
                problems[0],
                status=400,
                code="INVALID_EVENT",
                details=[{"code": "INVALID_EVENT", "message": each} for each in problems[1:]],
            )
        event = EventRecord(
            event_id=str(uuid.uuid4()),
            received_at=request.at,
            mode=mode,
            name=str(payload["name"]),
            retailer_id=str(payload["retailerId"]),
            status=self._outcomes.get(str(payload["name"]), self._outcomes.get("*", "COMPLETE")),
            body=payload,
        )
        self._store.add_event(event)
        self._announce(event)
        if mode == "async":
            return answer({"id": event.event_id}, status=202)
        return answer(
            {
                "eventId": event.event_id,
                "entityId": payload.get("entityId") or payload.get("entityRef"),
                "eventStatus": event.status,
            }
        )

    def one(self, request: Request, event_id: str) -> Answer:
        """Answer for an event by its id."""
        found = self._store.event(event_id)
        if found is None:
            raise RefusedError(f"There is no event {event_id}.", status=404, code="EVENT_NOT_FOUND")
        return answer(_item(found))

    def search(self, request: Request) -> Answer:
        """Answer a page of the events that fit, the newest first; without times, of the last 30 days."""
        query = request.query
        since = _instant(query, "from", request.at - _USUALLY)
        until = _instant(query, "to", request.at + timedelta(seconds=1))
        if since < request.at - _KEPT:
            raise RefusedError("from lies more than four months back.", status=400, code="INVALID_TIME")
        start, count = page(query, size=self._page_size, largest=LARGEST_PAGE)
        wanted = {key: query[key] for key in _FIELDS if query.get(key)}
        context = {key: query[f"context.{key}"] for key in _CONTEXT if query.get(f"context.{key}")}
        # One more than asked for tells whether there are more.
        found = []
        passed = 0
        for event in self._store.events(since=since, until=until):
            item = _item(event)
            if not _fits(item, wanted, context):
                continue
            passed += 1
            if passed > start:
                found.append(item)
            if len(found) > count:
                break
        return answer(
            {
                "start": start,
                "count": min(len(found), count),
                "hasMore": len(found) > count,
                "results": found[:count],
            }
        )


def _problems(payload: Mapping[str, Any]) -> list[str]:
    found = [
        f"{key} must be text that isn't empty."
        for key in ("name", "entityType")
        if not isinstance(payload.get(key), str) or not payload[key].strip()
    ]
    retailer = payload.get("retailerId")
    if isinstance(retailer, bool) or not isinstance(retailer, str | int) or not str(retailer).strip():
        found.append("retailerId must be a string or a number.")
    if not payload.get("entityRef") and not payload.get("entityId"):
        found.append("entityRef or entityId must say which entity it is about.")
    if not isinstance(payload.get("attributes"), dict | None):
        found.append("attributes must be an object.")
    return found


def _item(event: EventRecord) -> dict[str, Any]:
    body = event.body
    attributes = body.get("attributes")
    return {
        "id": event.event_id,
        "name": event.name,
        "type": "API",
        "accountId": "SANDBOX",
        "retailerId": event.retailer_id,
        "category": "CUSTOM",
        "context": {"sourceEvents": [], **{key: body.get(key) for key in _CONTEXT}},
        "eventStatus": event.status,
        "attributes": [
            {"name": key, "value": value, "type": _type(value)} for key, value in attributes.items()
        ]
        if attributes
        else None,
        "source": body.get("source"),
        "generatedBy": "sandbox-user",
        "generatedOn": event.received_at.astimezone(UTC).isoformat(timespec="milliseconds"),
    }


def _type(value: Any) -> str:
    match value:
        case bool():
            return "BOOLEAN"
        case int():
            return "INTEGER"
        case float():
            return "FLOAT"
        case str():
            return "STRING"
    return "JSON"


def _fits(item: Mapping[str, Any], wanted: Mapping[str, str], context: Mapping[str, str]) -> bool:
    names = {"eventType": "type", "eventId": "id"}
    return all(str(item.get(names.get(key, key))) == value for key, value in wanted.items()) and all(
        str(item["context"].get(key)) == value for key, value in context.items()
    )


def _instant(query: Mapping[str, str], name: str, default: datetime) -> datetime:
    text = query.get(name)
    if not text:
        return default
    try:
        at: datetime | None = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise RefusedError(
            f"{name} must be an instant in ISO 8601, not {text[:40]!r}.", status=400, code="INVALID_TIME"
        )
    return at
