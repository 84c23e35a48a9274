"""The Fluent API on your machine: a real HTTP server with a memory and faults on demand."""

from fc_connect.sandbox.app import Sandbox, serve
from fc_connect.sandbox.auth import Credentials
from fc_connect.sandbox.clock import MovableClock
from fc_connect.sandbox.exchange import SandboxClock
from fc_connect.sandbox.faults import Fault, FaultKind, FaultState
from fc_connect.sandbox.log import SandboxLog
from fc_connect.sandbox.records import (
    BatchRecord,
    Delivery,
    DeliverySummary,
    EntityKey,
    EventRecord,
    JobRecord,
    RequestRecord,
    StockKey,
    StockLevel,
    WebhookAttempt,
)
from fc_connect.sandbox.validation import MAX_ENTITIES
from fc_connect.sandbox.webhooks import WebhookFault, WebhookFaultKind

__all__ = [
    "MAX_ENTITIES",
    "BatchRecord",
    "Credentials",
    "Delivery",
    "DeliverySummary",
    "EntityKey",
    "EventRecord",
    "Fault",
    "FaultKind",
    "FaultState",
    "JobRecord",
    "MovableClock",
    "RequestRecord",
    "Sandbox",
    "SandboxClock",
    "SandboxLog",
    "StockKey",
    "StockLevel",
    "WebhookAttempt",
    "WebhookFault",
    "WebhookFaultKind",
    "serve",
]
