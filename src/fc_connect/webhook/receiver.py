"""One call from outside: who it is from, whether it may, whether it came before. Fails closed; knows nothing of HTTP
servers.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fc_connect.errors import KVError, WebhookError
from fc_connect.fluent.webhooks import WebhookVerifier
from fc_connect.observe import printable
from fc_connect.webhook.api_keys import APIKeys
from fc_connect.webhook.inbox import Inbox

__all__ = ["Receiver", "Reply"]

logger = logging.getLogger(__name__)

_SHOWN = 80  # characters of an id or a name


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What is answered. A refusal doesn't say why: that is in the log, for whoever may know."""

    status: int
    content: dict[str, Any]


_REFUSED = Reply(status=401, content={"error": "The webhook is refused."})


class Receiver:
    """Takes calls into the inbox. Safe to share between threads.

    Args:
        callers: who may call each hook: `fluent`, `api-key`, or both.
        verifier: of Fluent's signatures; None where no hook takes them.
        wake: called after each event that was queued.
    """

    def __init__(
        self,
        inbox: Inbox,
        *,
        callers: Mapping[str, frozenset[str]],
        verifier: WebhookVerifier | None,
        keys: APIKeys,
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        self._inbox = inbox
        self._callers = dict(callers)
        self._verifier = verifier
        self._keys = keys
        self._wake = wake

    def knows(self, hook: str) -> bool:
        """Say whether there is a hook of that name."""
        return hook in self._callers

    def receive(self, hook: str, headers: Mapping[str, str], body: bytes, *, client: str = "") -> Reply:
        """Verify and queue one call, and return what to answer. A 2xx is answered for what is in the store alone."""
        try:
            sender, payload = self._verified(hook, headers, body)
        except WebhookError as exc:
            logger.warning("webhook %s: refused a call from %s: %s", hook, client or "unknown", exc)
            return _REFUSED
        except KVError as exc:
            return _unavailable(hook, exc)
        event_id, name = (_text(payload, key) for key in ("id", "name"))
        told = _told(name, event_id)
        if event_id is None and self._inbox.without_id == "refuse":
            logger.warning(
                "webhook %s: refused %s from %s: it has no id, by which a repetition could be told (`without_id`)",
                hook,
                told,
                sender,
            )
            return Reply(status=422, content={"error": "The body has no id."})
        try:
            event = self._inbox.accept(hook=hook, sender=sender, body=body, event_id=event_id, name=name)
        except KVError as exc:
            return _unavailable(hook, exc)
        if event is None:
            logger.info("webhook %s: %s from %s came before; acknowledged, not handed on", hook, told, sender)
            return Reply(status=200, content={"status": "duplicate"})
        logger.info(
            "webhook %s: accepted %s from %s, %d bytes, as %s", hook, told, sender, len(body), event.item_id
        )
        self._wake()
        return Reply(status=202, content={"status": "accepted", "id": event.item_id})

    def _verified(self, hook: str, headers: Mapping[str, str], body: bytes) -> tuple[str, Any]:
        callers = self._callers[hook]
        names = {name.lower() for name in headers}
        presented = _presented(headers) if "api-key" in callers else None
        if presented is not None and not ("fluent" in callers and "fluent-signature" in names):
            record = self._keys.check(presented, scope=hook)
            try:
                return f"key:{record.name}", json.loads(body)
            except (ValueError, RecursionError) as exc:
                raise WebhookError(f"The body from {record.name} isn't JSON.") from exc
        if "fluent" not in callers or self._verifier is None:
            raise WebhookError("The call has no API key.")
        return "fluent", self._verifier.verify(body, headers).payload


def _presented(headers: Mapping[str, str]) -> str | None:
    found = {name.lower(): value for name, value in headers.items()}
    if "x-api-key" in found:
        return found["x-api-key"].strip()
    scheme, _, value = found.get("authorization", "").partition(" ")
    return value.strip() if scheme.lower() == "bearer" else None


def _text(payload: Any, key: str) -> str | None:
    found = payload.get(key) if isinstance(payload, dict) else None
    return (
        str(found) if isinstance(found, str | int) and not isinstance(found, bool) and found != "" else None
    )


def _told(name: str | None, event_id: str | None) -> str:
    shown = [
        printable(each).replace("\n", " ")[:_SHOWN] for each in (name or "an event", event_id or "no id")
    ]
    return f"{shown[0]} ({shown[1]})"


def _unavailable(hook: str, error: KVError) -> Reply:
    logger.error("webhook %s: the store failed, nothing is acknowledged: %s", hook, error)
    return Reply(status=503, content={"error": "Try again."})
