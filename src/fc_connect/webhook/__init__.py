"""Webhooks come in: verified, queued durably, acknowledged, and handed on until they were handled."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fc_connect.webhook.api_keys import APIKey, APIKeys
    from fc_connect.webhook.app import WebhookApp
    from fc_connect.webhook.config import HookConfig, WebhookConfig, load_webhook_config
    from fc_connect.webhook.hand_over import HandOver
    from fc_connect.webhook.inbox import Inbox, QueuedEvent
    from fc_connect.webhook.receiver import Receiver
    from fc_connect.webhook.serve import WebhookServer, serve

__all__ = [
    "APIKey",
    "APIKeys",
    "HandOver",
    "HookConfig",
    "Inbox",
    "QueuedEvent",
    "Receiver",
    "WebhookApp",
    "WebhookConfig",
    "WebhookServer",
    "load_webhook_config",
    "serve",
]

_HOMES = {
    "APIKey": "api_keys",
    "APIKeys": "api_keys",
    "HandOver": "hand_over",
    "HookConfig": "config",
    "Inbox": "inbox",
    "QueuedEvent": "inbox",
    "Receiver": "receiver",
    "WebhookApp": "app",
    "WebhookConfig": "config",
    "WebhookServer": "serve",
    "load_webhook_config": "config",
    "serve": "serve",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
