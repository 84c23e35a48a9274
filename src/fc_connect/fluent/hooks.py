"""What a client tells of its requests while it makes them, for traces and metrics. Nothing told holds a secret.

With OpenTelemetry, `on_request` begins a span and returns the headers of its context, `on_response` ends it:

    def on_request(event):
        spans[event.request_id] = span = tracer.start_span(event.method, kind=SpanKind.CLIENT)
        headers = {}
        propagator.inject(headers, trace.set_span_in_context(span))
        return headers
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar

__all__ = ["Hooks", "RequestEvent", "ResponseEvent", "RetryEvent", "Teller", "whence"]

logger = logging.getLogger(__name__)

E = TypeVar("E")
R = TypeVar("R")

# Those of W3C's Trace Context and Baggage; others would change what is asked.
_TRACE_HEADERS = {"traceparent", "tracestate", "baggage"}
_PLAIN = re.compile(r"[\x20-\x7e]{1,8192}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestEvent:
    """A request is about to leave."""

    call_id: str
    """The same for all attempts of a call."""
    request_id: str
    """Of this attempt alone; sent as X-Request-ID."""
    correlation_id: str | None
    """Of the run, sent as X-Correlation-ID."""
    attempt: int
    """From 1; a login in between doesn't count."""
    method: str
    host: str
    path: str
    """Without the query."""
    writes: bool
    """Whether doing it twice would differ from doing it once."""
    body_bytes: int
    """Of the body as it is before it is packed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseEvent:
    """An exchange has ended; there is one for each request."""

    request: RequestEvent
    duration: timedelta
    status: int | None
    """None where there was no whole answer."""
    request_id: str
    """The one that the server gave, else the one that was sent."""
    body_bytes: int
    error: str | None
    """The kind of failure where there was no whole answer, such as `ReadTimeout`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryEvent:
    """A call failed in a way that passes, and is sent again after `wait`."""

    request: RequestEvent
    wait: timedelta
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooks:
    """Called on the thread of the call, several at once; one that fails is logged once and disturbs no call."""

    on_request: Callable[[RequestEvent], Mapping[str, str] | None] | None = None
    """What it returns of `traceparent`, `tracestate` and `baggage` is sent along."""
    on_response: Callable[[ResponseEvent], None] | None = None
    on_retry: Callable[[RetryEvent], None] | None = None


def whence(error: BaseException) -> str:
    """Return what kind of error it is and where it came from, for one of somebody else's code.

    Its text is left out: it may hold what was at hand, and nobody here knows whether that is secret.
    """
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = "" if trace is None else f" at {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
    return f"{type(error).__name__}{where}"


@dataclass(slots=True)
class Teller:
    """Calls the hooks of one client. Safe between threads."""

    hooks: Hooks
    _failed: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def request(self, event: RequestEvent) -> dict[str, str]:
        """Return the headers of the trace."""
        given = self._call("on_request", self.hooks.on_request, event)
        headers = given if isinstance(given, Mapping) else {}  # a hook is anyone's code
        return {
            name: str(value)
            for name, value in headers.items()
            if name.lower() in _TRACE_HEADERS and _PLAIN.fullmatch(str(value))
        }

    def response(self, event: ResponseEvent) -> None:
        self._call("on_response", self.hooks.on_response, event)

    def retry(self, event: RetryEvent) -> None:
        self._call("on_retry", self.hooks.on_retry, event)

    def _call(self, name: str, hook: Callable[[E], R] | None, event: E) -> R | None:
        if hook is None:
            return None
        try:
            return hook(event)
        except Exception as exc:  # noqa: BLE001 (a trace must not cost a delivery)
            with self._lock:
                is_first = name not in self._failed
                self._failed.add(name)
            if is_first:
                logger.warning(
                    "the hook %s failed (%s); the call goes on, and further failures aren't logged",
                    name,
                    whence(exc),
                )
            return None
