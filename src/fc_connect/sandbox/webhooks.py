"""Webhooks that the sandbox sends: signed as the platform signs, tried again as it tries, and wrong on demand.

The body is the platform's event model; the pauses between attempts are those of its default schedule, 2, 4 and 8
seconds (its documentation of `fc.rubix.sdk.webhook.retry.schedule`).
"""

from __future__ import annotations

import base64
import heapq
import json
import logging
import secrets
import socket
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import timedelta
from enum import StrEnum
from fnmatch import fnmatchcase
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from fc_connect.errors import ConfigurationError, StateError
from fc_connect.sandbox.exchange import SandboxClock
from fc_connect.sandbox.records import EventRecord, WebhookAttempt
from fc_connect.sandbox.signing import SigningKey
from fc_connect.sandbox.webhook_log import WebhookStore

__all__ = [
    "ATTEMPT_TIMEOUT",
    "RETRY_PAUSES",
    "WebhookFault",
    "WebhookFaultKind",
    "WebhookSender",
    "webhook_body",
]

logger = logging.getLogger(__name__)

RETRY_PAUSES: Final = (timedelta(seconds=2), timedelta(seconds=4), timedelta(seconds=8))
ATTEMPT_TIMEOUT: Final = timedelta(seconds=5)
_THREADS = 8
_PIECES = 10  # that a slow body is sent in
_EVERY_NAME = "*"


class WebhookFaultKind(StrEnum):
    """What goes wrong with a webhook."""

    WRONG_SIGNATURE = "wrong_signature"
    """Signatures that are base64 and nothing else."""
    OTHER_KEY = "other_key"
    """Signed with a key that isn't the sandbox's."""
    TAMPERED = "tampered"
    """The body was changed after it was signed."""
    UNSIGNED = "unsigned"
    """No signature at all."""
    LEGACY_ONLY = "legacy_only"
    """The older signature, `flex.signature`, alone."""
    REPEATED = "repeated"
    """Sent again, `copies` times more, although it was taken."""
    SLOW = "slow"
    """The body comes in ten pieces, `delay` before each."""
    CUT = "cut"
    """Half of the body, then the connection closes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookFault:
    """One fault, and the attempts that it strikes: the next `times` for webhooks whose name matches."""

    kind: WebhookFaultKind
    name: str = "*"
    """A glob over the names of events."""
    times: int | None = 1
    """None: for ever."""
    copies: int = 1
    delay: timedelta = timedelta(milliseconds=100)

    def __post_init__(self) -> None:
        problems = []
        if self.times is not None and self.times < 1:
            problems.append("times is at least 1, or None for ever")
        if not 1 <= self.copies <= 100:
            problems.append("copies is 1 to 100")
        if self.delay < timedelta(0):
            problems.append("delay can't be negative")
        if problems:
            raise ConfigurationError("This fault of a webhook can't be injected.", problems=problems)

    @classmethod
    def from_json(cls, payload: Mapping[str, Any]) -> WebhookFault:
        """Build a fault from its JSON: names as here, `delay` in seconds."""
        try:
            if unknown := sorted(set(payload) - {each.name for each in fields(cls)}):
                raise ValueError(f"unknown: {', '.join(unknown)}")
            if payload.get("kind") not in list(WebhookFaultKind):
                raise ValueError(f"kind must be one of {', '.join(WebhookFaultKind)}")
            values = {**payload, "kind": WebhookFaultKind(payload["kind"])}
            for key, types in (("name", (str,)), ("times", (int, type(None))), ("copies", (int,))):
                if key in values and type(values[key]) not in types:
                    raise ValueError(f"{key} can't be {values[key]!r}")
            if "delay" in values:
                values["delay"] = timedelta(seconds=values["delay"])
            return cls(**values)
        except (ValueError, TypeError, OverflowError) as exc:
            raise ConfigurationError(
                "This fault of a webhook can't be injected.", problems=[str(exc)]
            ) from exc


@dataclass(slots=True)
class _Armed:
    fault: WebhookFault
    left: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Delivery:
    delivery_id: str
    name: str
    event_id: str | None
    url: str
    body: bytes
    attempt: int = 1
    copy: bool = False
    """Whether it is one more of what was taken already."""


@dataclass(slots=True)
class _Agenda:
    """What is to be sent, by when. Guarded by the sender's condition."""

    due: list[tuple[float, int, _Delivery]] = field(default_factory=list)
    under_way: int = 0
    number: int = 0

    def add(self, delivery: _Delivery, *, at: float) -> None:
        self.number += 1
        heapq.heappush(self.due, (at, self.number, delivery))


class WebhookSender:
    """Sends webhooks on threads of its own, begun with the first. Every method may be called from any thread.

    Up to eight are under way at once, so that the order in which they arrive isn't that of the events: the platform
    promises none either.
    """

    def __init__(
        self,
        store: WebhookStore,
        *,
        urls: Mapping[str, str | Sequence[str]],
        key: SigningKey | None,
        pauses: Sequence[timedelta],
        timeout: timedelta,
        clock: SandboxClock,
    ) -> None:
        self._store = store
        self._pauses = tuple(pauses)
        self._timeout = timeout.total_seconds()
        self._clock = clock
        self._urls: dict[str, tuple[str, ...]] = {}
        for name, given in urls.items():
            for url in [given] if isinstance(given, str) else given:
                self.add_url(name, url)
        self._given_key = key
        self._key: SigningKey | None = None
        self._key_mutex = threading.Lock()
        self._armed: list[_Armed] = []
        self._agenda = _Agenda()
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._connections: set[HTTPConnection] = set()

    # Where webhooks go

    @property
    def urls(self) -> dict[str, tuple[str, ...]]:
        """The URLs by the name of the event; `*` stands for every name."""
        return dict(self._urls)

    def add_url(self, name: str, url: str) -> None:
        """Send webhooks of the events called `name` (`*`: of all) to `url` too.

        Raises:
            ConfigurationError: it isn't an http or https URL, or holds a password.
        """
        _checked(url)
        if not name:
            raise ConfigurationError("A webhook needs the name of an event, or * for every event.")
        known = self._urls.get(name, ())
        if url not in known:
            self._urls = {**self._urls, name: (*known, url)}

    def remove_urls(self) -> None:
        """Send no event anywhere."""
        self._urls = {}

    # The key

    @property
    def key(self) -> SigningKey:
        """The pair that signs; made when it is first asked for, and kept in the database."""
        with self._key_mutex:
            if self._key is None:
                kept = self._store.key()
                if self._given_key is not None:
                    self._key = self._given_key
                else:
                    self._key = SigningKey.new() if kept is None else SigningKey.from_pem(kept)
                self._store.keep_key(self._key.private_pem())
            return self._key

    def rotate_key(self) -> SigningKey:
        """Make a new pair, sign with it from now on, and return it."""
        made = SigningKey.new()
        with self._key_mutex:
            self._store.keep_key(made.private_pem())
            self._key = made
        return made

    # Faults

    def inject(self, fault: WebhookFault) -> None:
        """Put a fault in force, after those already there."""
        with self._changed:
            self._armed.append(_Armed(fault, fault.times))

    def clear_faults(self) -> None:
        """Lift every fault."""
        with self._changed:
            self._armed.clear()

    def _take_fault(self, name: str) -> WebhookFault | None:
        with self._changed:
            for armed in self._armed:
                if armed.left != 0 and fnmatchcase(name, armed.fault.name):
                    armed.left = None if armed.left is None else armed.left - 1
                    return armed.fault
        return None

    # Sending

    def announce(self, event: EventRecord) -> None:
        """Send the webhooks of an event that the API took, where any URL is set for its name."""
        body = json.dumps(webhook_body(event), ensure_ascii=False, separators=(",", ":")).encode()
        for url in dict.fromkeys(
            url for name in (event.name, _EVERY_NAME) for url in self._urls.get(name, ())
        ):
            self.send(url, body, name=event.name, event_id=event.event_id)

    def send(self, url: str, body: bytes, *, name: str, event_id: str | None) -> str:
        """Send `body` as it is to `url`, signed, and return the id of the delivery in the log.

        Raises:
            ConfigurationError: the URL can't be used.
            MissingExtraError: the library that signs isn't installed.
        """
        _checked(url)
        _ = self.key  # a library that is missing is told to the caller, not to a thread
        delivery = _Delivery(delivery_id=uuid.uuid4().hex, name=name, event_id=event_id, url=url, body=body)
        self._plan(delivery, after=0.0)
        return delivery.delivery_id

    def _plan(self, delivery: _Delivery, *, after: float) -> None:
        with self._changed:
            if self._stopping.is_set():
                return
            self._agenda.add(delivery, at=time.monotonic() + after)
            if not self._threads:
                self._threads = [
                    threading.Thread(target=self._work, name=f"sandbox-webhooks-{number}", daemon=True)
                    for number in range(_THREADS)
                ]
                for thread in self._threads:
                    thread.start()
            self._changed.notify()

    @property
    def pending(self) -> int:
        """How many webhooks are to be sent, or to be tried again."""
        with self._changed:
            return len(self._agenda.due) + self._agenda.under_way

    def wait(self, timeout: timedelta) -> None:
        """Wait until none is pending.

        Raises:
            StateError: some still are after `timeout`.
        """
        deadline = time.monotonic() + timeout.total_seconds()
        with self._changed:
            while self._agenda.due or self._agenda.under_way:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise StateError(
                        f"{len(self._agenda.due) + self._agenda.under_way} webhooks are still to be sent."
                    )
                self._changed.wait(left)

    def forget(self) -> None:
        """Drop what is to be sent, the log of attempts and the faults; key and URLs stay."""
        with self._changed:
            self._agenda.due.clear()
            self._armed.clear()
            self._changed.notify_all()
        self._store.forget()

    def stop(self) -> None:
        """Break what is under way, drop the rest, end the threads."""
        self._stopping.set()
        with self._changed:
            self._agenda.due.clear()
            self._changed.notify_all()
            threads, self._threads = self._threads, []
            connections = list(self._connections)
        for connection in connections:
            _break(connection)
        for thread in threads:
            thread.join()

    def _work(self) -> None:
        while (delivery := self._next()) is not None:
            try:
                self._attempt(delivery)
            except Exception:
                logger.exception("sandbox: the webhook %s failed", delivery.delivery_id)
            finally:
                with self._changed:
                    self._agenda.under_way -= 1
                    self._changed.notify_all()

    def _next(self) -> _Delivery | None:
        with self._changed:
            while not self._stopping.is_set():
                wait = self._agenda.due[0][0] - time.monotonic() if self._agenda.due else None
                if wait is not None and wait <= 0:
                    self._agenda.under_way += 1
                    return heapq.heappop(self._agenda.due)[2]
                self._changed.wait(wait)
        return None

    def _attempt(self, delivery: _Delivery) -> None:
        fault = None if delivery.copy else self._take_fault(delivery.name)
        at, began = self._clock(), time.monotonic()
        status, error = None, None
        try:
            status = self._post(delivery, fault)
        except (OSError, HTTPException) as exc:
            error = f"{type(exc).__name__}: {exc}"[:200]
        if self._stopping.is_set():
            return
        self._store.add(
            WebhookAttempt(
                delivery_id=delivery.delivery_id,
                name=delivery.name,
                event_id=delivery.event_id,
                url=_without_secrets(delivery.url),
                attempt=delivery.attempt,
                at=at,
                seconds=round(time.monotonic() - began, 3),
                status=status,
                error=error,
                fault="repeated" if delivery.copy else None if fault is None else fault.kind.value,
            )
        )
        is_taken = status is not None and 200 <= status < 300
        if is_taken and fault is not None and fault.kind is WebhookFaultKind.REPEATED:
            for _ in range(fault.copies):
                self._plan(replace(delivery, copy=True), after=0.0)
        is_worth_another = status is None or status >= 500
        if is_worth_another and not delivery.copy and delivery.attempt <= len(self._pauses):
            pause = self._pauses[delivery.attempt - 1].total_seconds()
            self._plan(replace(delivery, attempt=delivery.attempt + 1), after=pause)

    def _post(self, delivery: _Delivery, fault: WebhookFault | None) -> int:
        kind = None if fault is None else fault.kind
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "fc-connect-sandbox",
            **_signatures(delivery.body, kind, self.key),
        }
        body = delivery.body + b" " if kind is WebhookFaultKind.TAMPERED else delivery.body
        parts = urlsplit(delivery.url)
        connection = _connection(parts, timeout=self._timeout)
        with self._changed:
            self._connections.add(connection)
        try:
            connection.putrequest("POST", (parts.path or "/") + (f"?{parts.query}" if parts.query else ""))
            for name, value in headers.items():
                connection.putheader(name, value)
            connection.putheader("Content-Length", str(len(body)))
            connection.endheaders()
            if kind is WebhookFaultKind.CUT:
                connection.send(body[: len(body) // 2])
                raise ConnectionAbortedError("cut on demand")
            if fault is not None and kind is WebhookFaultKind.SLOW:
                size = max(1, -(-len(body) // _PIECES))
                for start in range(0, len(body), size):
                    self._stopping.wait(fault.delay.total_seconds())
                    connection.send(body[start : start + size])
            else:
                connection.send(body)
            response = connection.getresponse()
            response.read(65_536)
            return response.status
        finally:
            with self._changed:
                self._connections.discard(connection)
            connection.close()


def webhook_body(event: EventRecord) -> dict[str, Any]:
    """Return what the platform posts about an event."""
    sent = event.body
    return {
        "id": event.event_id,
        "name": event.name,
        "accountId": "SANDBOX",
        "retailerId": event.retailer_id,
        "entityId": sent.get("entityId"),
        "entityRef": sent.get("entityRef"),
        "entityType": sent.get("entityType"),
        "entitySubtype": sent.get("entitySubtype"),
        "entityStatus": sent.get("entityStatus"),
        "type": "NORMAL",
        "rootEntityId": sent.get("rootEntityId"),
        "rootEntityRef": sent.get("rootEntityRef"),
        "rootEntityType": sent.get("rootEntityType"),
        "attributes": sent.get("attributes") or {},
        "meta": sent.get("meta") or {},
    }


def _signatures(body: bytes, kind: WebhookFaultKind | None, key: SigningKey) -> dict[str, str]:
    found = (SigningKey.new() if kind is WebhookFaultKind.OTHER_KEY else key).headers(body)
    if kind is WebhookFaultKind.UNSIGNED:
        return {}
    if kind is WebhookFaultKind.LEGACY_ONLY:
        del found["fluent-signature"]
    if kind is WebhookFaultKind.WRONG_SIGNATURE:
        return {name: base64.b64encode(secrets.token_bytes(256)).decode() for name in found}
    return found


def _checked(url: str) -> None:
    try:
        parts = urlsplit(url)
        is_sound = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        is_sound &= url.isascii() and url.isprintable() and " " not in url
    except ValueError:
        is_sound = False
    if not is_sound:
        raise ConfigurationError("A webhook's URL begins with http:// or https:// and names a host.")
    if "@" in parts.netloc:
        raise ConfigurationError("A webhook's URL can't hold a user or a password.")


def _without_secrets(url: str) -> str:
    """Return a URL for the log: what follows `?` may be a key."""
    address, mark, _ = url.partition("?")
    return address + ("?…" if mark else "")


def _connection(parts: SplitResult, *, timeout: float) -> HTTPConnection:
    make: Callable[..., HTTPConnection] = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    return make(parts.hostname, parts.port, timeout=timeout)


def _break(connection: HTTPConnection) -> None:
    found: socket.socket | None = connection.sock
    if found is not None:
        try:
            found.shutdown(socket.SHUT_RDWR)
        except OSError as exc:
            logger.debug("sandbox: a webhook's connection was closed already: %s", exc)
