"""Fluent's API as it is on the wire: logins, profiles, jobs, batches, GraphQL."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fc_connect.fluent.answers import (
        BatchReceipt,
        BatchResult,
        BatchStatus,
        BatchSummary,
        Job,
        JobResults,
        JobStatus,
    )
    from fc_connect.fluent.auth import BearerToken, Credentials, TokenProvider
    from fc_connect.fluent.classify import Classification, classify_error
    from fc_connect.fluent.client import FluentClient
    from fc_connect.fluent.cost import QueryCost, estimate_cost
    from fc_connect.fluent.events import EventReceipt
    from fc_connect.fluent.hooks import Hooks, RequestEvent, ResponseEvent, RetryEvent
    from fc_connect.fluent.limits import MAX_BATCH_ENTITIES, check_batch_count
    from fc_connect.fluent.options import ClientOptions
    from fc_connect.fluent.outcomes import ItemResult, ItemResults, Outcome
    from fc_connect.fluent.profiles import Profile, list_profiles, load_profile
    from fc_connect.fluent.queries import GraphQLAnswer
    from fc_connect.fluent.webhooks import Webhook, WebhookVerifier

__all__ = [
    "MAX_BATCH_ENTITIES",
    "BatchReceipt",
    "BatchResult",
    "BatchStatus",
    "BatchSummary",
    "BearerToken",
    "Classification",
    "ClientOptions",
    "Credentials",
    "EventReceipt",
    "FluentClient",
    "GraphQLAnswer",
    "Hooks",
    "ItemResult",
    "ItemResults",
    "Job",
    "JobResults",
    "JobStatus",
    "Outcome",
    "Profile",
    "QueryCost",
    "RequestEvent",
    "ResponseEvent",
    "RetryEvent",
    "TokenProvider",
    "Webhook",
    "WebhookVerifier",
    "check_batch_count",
    "classify_error",
    "estimate_cost",
    "list_profiles",
    "load_profile",
]

# Imported on first use: only the client needs httpx, and profiles are listed without it.
_HOMES = {
    "MAX_BATCH_ENTITIES": "limits",
    "BatchReceipt": "answers",
    "BatchResult": "answers",
    "BatchStatus": "answers",
    "BatchSummary": "answers",
    "BearerToken": "auth",
    "Classification": "classify",
    "ClientOptions": "options",
    "Credentials": "auth",
    "EventReceipt": "events",
    "FluentClient": "client",
    "GraphQLAnswer": "queries",
    "Hooks": "hooks",
    "ItemResult": "outcomes",
    "ItemResults": "outcomes",
    "Job": "answers",
    "JobResults": "answers",
    "JobStatus": "answers",
    "Outcome": "outcomes",
    "Profile": "profiles",
    "QueryCost": "cost",
    "RequestEvent": "hooks",
    "ResponseEvent": "hooks",
    "RetryEvent": "hooks",
    "TokenProvider": "auth",
    "Webhook": "webhooks",
    "WebhookVerifier": "webhooks",
    "check_batch_count": "limits",
    "classify_error": "classify",
    "estimate_cost": "cost",
    "list_profiles": "profiles",
    "load_profile": "profiles",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
