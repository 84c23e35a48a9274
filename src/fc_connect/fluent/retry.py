"""Whether to send again, and when: pure decisions, apart from what sends."""

from __future__ import annotations

import random
import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum

import httpx

__all__ = ["Verdict", "backoff", "judge_failure", "judge_status", "parse_http_date", "parse_retry_after"]

# Raised before a byte of the request left this machine: no connection, no TLS, no free slot in the pool.
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


_FOREVER = timedelta(days=366)  # some gateways name the year 9999, which no time can be added to


class Verdict(StrEnum):
    """What one exchange means for the request."""

    DONE = "done"
    """There is an answer to read."""
    RENEW = "renew"
    """The token wasn't accepted, so nothing was done: send again with another."""
    AGAIN = "again"
    """Nothing was done, or doing it twice is no harm: send again later."""
    REFUSED = "refused"
    """Nothing was done, and sending the same again won't help."""
    UNKNOWN = "unknown"
    """A write that may have been done: it must not be sent again from here."""


def judge_status(status: int, *, writes: bool) -> Verdict:
    """Judge an answer by its HTTP status.

    A 503 with Retry-After looks like a refusal, but a gateway may say it after the service behind it has
    taken the request. Nor does 408 prove anything. 302 and 303 answer a POST that was done, in the way of
    web forms.
    """
    if 200 <= status < 300:
        return Verdict.DONE
    if status == 401:
        return Verdict.RENEW
    if status == 429:
        return Verdict.AGAIN
    if status == 408 or status >= 500:
        return Verdict.UNKNOWN if writes else Verdict.AGAIN
    if status < 200 or status in {302, 303}:
        return Verdict.UNKNOWN if writes else Verdict.REFUSED
    return Verdict.REFUSED


def judge_failure(failure: httpx.RequestError, *, writes: bool) -> Verdict:
    """Judge an exchange that gave no answer.

    A proxy that refuses a tunnel has passed nothing on, yet the same error may come from later on: for a
    write it stays unknown.
    """
    if not writes or isinstance(failure, _NOT_SENT):
        return Verdict.AGAIN
    return Verdict.UNKNOWN


def backoff(attempt: int, *, base: timedelta, cap: timedelta, rng: random.Random) -> timedelta:
    """Return how long to wait after the `attempt`-th failure (1-based): any part of a step that doubles up to `cap`.

    "Full jitter": of all ways to part those who failed together, it asks the least of a server that is struggling
    (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
    """
    step = min(cap.total_seconds(), base.total_seconds() * 2 ** min(attempt - 1, 30))
    return timedelta(seconds=rng.uniform(0, step))


def parse_retry_after(value: str | None, *, now: datetime) -> timedelta | None:
    """Read a Retry-After header: seconds or an HTTP date (RFC 9110, 10.2.3); None where it is neither."""
    if value is None:
        return None
    value = value.strip()
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", value):
        return timedelta(seconds=float(value))
    at = parse_http_date(value)
    return None if at is None else min(max(at - now, timedelta(0)), _FOREVER)


def parse_http_date(value: str | None) -> datetime | None:
    """Read a date of HTTP (RFC 9110, 5.6.7); None where it is none."""
    try:
        at = parsedate_to_datetime(value or "")
    except (ValueError, OverflowError, TypeError):
        return None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at  # "-0000" says UTC, of unknown local zone
