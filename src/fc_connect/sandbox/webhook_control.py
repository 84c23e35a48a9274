"""The calls under `/_sandbox/webhooks`: where webhooks go, what became of them, the key, faults."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from fc_connect.errors import ConfigurationError
from fc_connect.sandbox.exchange import Answer, RefusedError, Request, answer
from fc_connect.sandbox.log import SandboxLog
from fc_connect.sandbox.query import page
from fc_connect.sandbox.validation import parse_json
from fc_connect.sandbox.webhooks import WebhookFault, WebhookSender

__all__ = ["webhook_calls"]

_PAGE = 1_000
_LARGEST_PAGE = 10_000_000

Calls = dict[tuple[str, str], Callable[[Request], Answer]]


def webhook_calls(webhooks: WebhookSender, log: SandboxLog) -> Calls:
    """Return the calls by method and path below `/_sandbox`."""
    desk = _Desk(webhooks, log)
    return {
        ("GET", "/webhooks"): desk.attempts,
        ("POST", "/webhooks"): desk.add_url,
        ("DELETE", "/webhooks"): desk.remove_urls,
        ("POST", "/webhooks/deliver"): desk.deliver,
        ("GET", "/webhooks/key"): desk.key,
        ("GET", "/webhooks/key.pem"): desk.key_pem,
        ("GET", "/webhooks/key.b64"): desk.key_base64,
        ("POST", "/webhooks/rotate-key"): desk.rotate_key,
        ("POST", "/webhooks/faults"): desk.inject,
        ("DELETE", "/webhooks/faults"): desk.clear_faults,
    }


class _Desk:
    def __init__(self, webhooks: WebhookSender, log: SandboxLog) -> None:
        self._webhooks = webhooks
        self._log = log

    def attempts(self, request: Request) -> Answer:
        found = self._log.webhooks()
        start, count = page(request.query, size=_PAGE, largest=_LARGEST_PAGE)
        shown = [{**asdict(each), "at": each.at.isoformat()} for each in found[start : start + count]]
        return answer(
            {
                "webhooks": shown,
                "start": start,
                "count": len(shown),
                "total": len(found),
                "pending": self._webhooks.pending,
                "names": {name: len(urls) for name, urls in self._webhooks.urls.items()},
            }
        )

    def add_url(self, request: Request) -> Answer:
        payload = parse_json(request.body)
        name, url = _texts(payload, "name", "url")
        with _Refused("INVALID_WEBHOOK"):
            self._webhooks.add_url(name, url)
        return answer({"name": name}, status=201)

    def remove_urls(self, _: Request) -> Answer:
        self._webhooks.remove_urls()
        return answer({"names": {}})

    def deliver(self, request: Request) -> Answer:
        """Send `body` (JSON, or text that goes out as it is) to `url`, or to where webhooks called `name` go."""
        payload = parse_json(request.body)
        (name,) = _texts(payload, "name")
        body = payload.get("body", {"name": name})
        raw = body.encode() if isinstance(body, str) else json.dumps(body, ensure_ascii=False).encode()
        event_id = body.get("id") if isinstance(body, dict) else None
        known = self._webhooks.urls
        urls = _texts(payload, "url") if "url" in payload else [*known.get(name, ()), *known.get("*", ())]
        if not urls:
            raise RefusedError(
                f"No URL is set for webhooks called {name!r}: give one as `url`.",
                status=400,
                code="INVALID_WEBHOOK",
            )
        with _Refused("INVALID_WEBHOOK"):
            sent = [
                self._webhooks.send(
                    url, raw, name=name, event_id=event_id if isinstance(event_id, str) else None
                )
                for url in dict.fromkeys(urls)
            ]
        return answer({"deliveries": sent}, status=202)

    def key(self, _: Request) -> Answer:
        with _Refused("NO_KEY"):
            key = self._webhooks.key
        return answer({"base64": key.public_base64(), "pem": key.public_pem()})

    def key_pem(self, _: Request) -> Answer:
        with _Refused("NO_KEY"):
            return _text(self._webhooks.key.public_pem())

    def key_base64(self, _: Request) -> Answer:
        with _Refused("NO_KEY"):
            return _text(self._webhooks.key.public_base64())

    def rotate_key(self, request: Request) -> Answer:
        with _Refused("NO_KEY"):
            self._webhooks.rotate_key()
        return self.key(request)

    def inject(self, request: Request) -> Answer:
        payload = parse_json(request.body)
        with _Refused("INVALID_FAULT"):
            self._webhooks.inject(WebhookFault.from_json(payload))
        return answer({"fault": payload}, status=201)

    def clear_faults(self, _: Request) -> Answer:
        self._webhooks.clear_faults()
        return answer({"faults": []})


class _Refused:
    """Turns what can't be used into a refusal with a code."""

    def __init__(self, code: str) -> None:
        self._code = code

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, ConfigurationError):
            raise RefusedError(str(error), status=400, code=self._code) from error


def _texts(payload: dict[str, Any], *names: str) -> list[str]:
    found = [payload.get(name) for name in names]
    if wrong := [name for name, value in zip(names, found, strict=True) if not isinstance(value, str)]:
        raise RefusedError(f"{wrong[0]} must be text.", status=400, code="INVALID_WEBHOOK")
    return [str(each) for each in found]


def _text(text: str) -> Answer:
    return Answer(status=200, body=text.encode(), content_type="text/plain; charset=us-ascii")
