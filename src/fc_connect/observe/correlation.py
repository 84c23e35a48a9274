"""One id per run: on every log line and in a header of every request, so that both sides' logs meet."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["correlate", "current_correlation_id"]

_current: ContextVar[str | None] = ContextVar("fc_connect_correlation_id", default=None)


def current_correlation_id() -> str | None:
    """Return the id of the run that this thread works for, or None outside of one.

    A new thread starts without one: begin it with `contextvars.copy_context().run`.
    """
    return _current.get()


@contextmanager
def correlate(correlation_id: str | None = None) -> Iterator[str]:
    """Work under `correlation_id`, or under a new random one, until the block ends."""
    current = correlation_id or uuid.uuid4().hex
    token = _current.set(current)
    try:
        yield current
    finally:
        _current.reset(token)
