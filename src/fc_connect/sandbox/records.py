"""What the sandbox remembers, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

__all__ = [
    "BatchRecord",
    "Delivery",
    "DeliverySummary",
    "EntityKey",
    "EventRecord",
    "JobRecord",
    "RequestRecord",
    "StockKey",
    "StockLevel",
    "WebhookAttempt",
]

EntityKey = tuple[str, str, str]
"""(location, product or SKU, type or ""): see `validation.entity_key`."""

StockKey = tuple[str, str, str, str]
"""(retailer, location, product or SKU, type or "")."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRecord:
    """One request as it arrived, and what was answered."""

    number: int
    """Order of arrival in the log, from 1."""
    at: datetime
    method: str
    path: str
    query: str
    status: int | None
    """None where the connection was dropped without an answer."""
    request_id: str
    correlation_id: str | None
    job_id: str | None
    batch_id: str | None
    entities: int | None
    body_bytes: int
    body_sha256: str
    fault: str | None
    """Kind of the fault that struck this request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRecord:
    """One job as it was created."""

    job_id: str
    name: str
    retailer_id: str
    created_at: datetime
    meta: Mapping[str, Any] | None
    closed_at: datetime | None
    """When somebody had it closed; midnight UTC closes it without that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRecord:
    """One batch that was accepted. `batch_id` grows in the order of acceptance, which is the order applied."""

    batch_id: str
    job_id: str
    accepted_at: datetime
    action: str
    entity_type: str
    source: str | None
    event: str | None
    entities: int
    rejected: int
    """Records of it that were refused on their own."""
    correlation_id: str | None
    body_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRecord:
    """One event that was taken."""

    event_id: str
    received_at: datetime
    mode: str
    """`async` or `sync`."""
    name: str
    retailer_id: str
    status: str
    """What became of it, such as COMPLETE or NO_MATCH."""
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One record that was accepted."""

    key: EntityKey
    qty: int
    ref: str | None
    batch_id: str
    job_id: str
    index: int
    """Place in its batch, from 0."""
    source: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverySummary:
    """Deliveries in figures."""

    batches: int
    entities: int
    """Records accepted; a record that came twice counts twice."""
    distinct: int
    """Different keys among them."""
    repeated: int
    """Deliveries beyond the first of each key: `entities - distinct`."""
    rejected: int
    """Records refused on their own, in batches that were accepted."""
    by_job: dict[str, int]
    by_source: dict[str, int]
    repeated_keys: tuple[tuple[EntityKey, int], ...]
    """The first 100 keys that came more than once, with how often."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StockLevel:
    """Stock of one key after every batch accepted so far."""

    qty: int
    status: str | None
    ref: str | None
    batch_id: str
    """The batch that wrote it last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookAttempt:
    """One attempt to deliver a webhook, and what came of it."""

    delivery_id: str
    """The same for all attempts, and repetitions, of one webhook to one URL."""
    name: str
    """Of the event."""
    event_id: str | None
    url: str
    """Without its query, which may hold a key."""
    attempt: int
    """From 1."""
    at: datetime
    """When it began."""
    seconds: float
    status: int | None
    """None where there was no answer; `error` says why."""
    error: str | None
    fault: str | None
    """Kind of the fault that struck it; `repeated` for what was sent again on demand."""
