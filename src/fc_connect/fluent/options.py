"""How a client talks to Fluent: its patience, its manners and the way there."""

from __future__ import annotations

import math
import ssl
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from fc_connect.fluent.hooks import Hooks

__all__ = ["DIRECT", "ClientOptions"]

DIRECT = "direct"
"""In the place of a proxy's address: none, whatever the environment says."""

_NONE = timedelta(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientOptions:
    """What may be chosen beside the account; the defaults are fit for production."""

    timeout: timedelta = timedelta(seconds=30)
    """For one exchange as a whole, however slowly it trickles; each attempt has its own."""
    connect_timeout: timedelta = timedelta(seconds=10)
    """Until there is a connection; at most `timeout`."""
    read_timeout: timedelta | None = None
    """The longest silence of a server that has the request; None for as long as `timeout`."""
    total_timeout: timedelta = timedelta(minutes=5)
    """For a call as a whole: its turn, its login, every attempt and every wait between two of them."""
    max_attempts: int = 4
    """Of a request that certainly did nothing, or that does no harm when done twice."""
    backoff: timedelta = timedelta(seconds=1)
    """The longest wait after the first failure; it doubles with each further one, and chance says how much of it."""
    max_backoff: timedelta = timedelta(seconds=20)
    max_retry_after: timedelta = timedelta(seconds=60)
    """A Retry-After beyond it isn't waited for: the error says when to come back."""
    retry_budget: int | None = 100
    """How many attempts all threads may repeat; one comes back each second, and one with five answers. None: no end."""
    max_connections: int = 16
    """Requests at once; fewer after a 429 or 503, until Fluent takes them again."""
    requests_per_second: float | None = None
    """Of all threads of the client together, evenly spread; None for as many as there are."""
    proxy: str | None = field(default=None, repr=False)
    """Address of an HTTP proxy. None: what the environment says (HTTPS_PROXY, NO_PROXY …); `direct`: none."""
    verify: ssl.SSLContext | Path | bool = True
    """A path names a PEM file of authorities."""
    certificate: Path | None = None
    """PEM file of a client certificate, for gateways that ask for one."""
    key: Path | None = None
    """PEM file of its private key; None where `certificate` holds it too."""
    key_password: str | None = field(default=None, repr=False)
    compress: bool = False
    """Pack bodies of a kilobyte and more with gzip; a server that answers 415 gets them as they are from then on."""
    hooks: Hooks = field(default=Hooks(), repr=False)

    def problems(self) -> list[str]:
        """Return what can't be, one line each."""
        found = [
            f"{name} must be more than zero"
            for name in (
                "timeout",
                "connect_timeout",
                "read_timeout",
                "total_timeout",
                "backoff",
                "max_backoff",
            )
            if (value := getattr(self, name)) is not None and value <= _NONE
        ]
        if self.max_retry_after < _NONE:
            found.append("max_retry_after must not be negative")
        for name in ("max_attempts", "max_connections"):
            if (number := getattr(self, name)) < 1:
                found.append(f"{name} must be at least 1, not {number}")
        if self.retry_budget is not None and self.retry_budget < 0:
            found.append(
                "retry_budget must not be negative: 0 for no second attempt, None for no end of them"
            )
        rate = self.requests_per_second
        if rate is not None and not (math.isfinite(rate) and rate > 0):
            found.append(f"requests_per_second must be more than zero, not {rate:g}")
        if self.certificate is None and (self.key is not None or self.key_password is not None):
            found.append("key and key_password belong to a certificate: give that too")
        if self.certificate is not None and isinstance(self.verify, ssl.SSLContext):
            found.append("certificate can't be used with an SSLContext: load it into that")
        return found
