"""OAuth2: who calls, and the token they call with.

One thread renews at a time; the others wait for it and share what it got, be it a token or an error.
"""

from __future__ import annotations

import copy
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol, TypeGuard

from fc_connect.clock import Clock
from fc_connect.errors import FluentAPIError, FluentUnavailableError
from fc_connect.faults import point

__all__ = [
    "BearerToken",
    "Credentials",
    "Grant",
    "TokenProvider",
    "TokenSource",
    "is_header_safe",
    "read_grant",
]

logger = logging.getLogger(__name__)

_LIFETIME = timedelta(hours=1)  # where the answer doesn't say
_BUFFER = timedelta(seconds=60)  # a token is renewed so long before it expires


class TokenProvider(Protocol):
    """Where tokens come from, if not from Fluent's own login. Called from many threads at once."""

    def token(self) -> str:
        """Return the token to call with; it is asked for before each request, so keep it.

        What it raises ends the call before anything is sent: FluentUnavailableError where it may work later.
        """
        ...

    def refused(self, token: str) -> None:
        """Take note that Fluent answered 401 to `token`. If `token()` returns it again, the call ends with that."""
        ...


@dataclass(frozen=True, slots=True, repr=False)
class BearerToken:
    """One token that was got elsewhere; once Fluent refuses it, every call ends with an AuthenticationError."""

    value: str

    def __repr__(self) -> str:
        return "BearerToken('***')"

    def problems(self) -> list[str]:
        """Return why it can't be a token, without it."""
        if is_header_safe(self.value):
            return []
        return ["the token is empty, or holds what a header can't: spaces, line ends, letters beyond ASCII"]

    def token(self) -> str:
        return self.value

    def refused(self, token: str) -> None:
        """Do nothing: there is no other."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Credentials:
    """What an API client logs in with: the password grant where a user is given, else client_credentials."""

    client_id: str
    client_secret: str
    username: str | None = None
    password: str | None = None

    def __repr__(self) -> str:
        password = None if self.password is None else "***"
        return (
            f"Credentials(client_id={self.client_id!r}, client_secret='***', "
            f"username={self.username!r}, password={password!r})"
        )

    def problems(self) -> list[str]:
        """Return what is missing, one line each; never a value of a secret."""
        found = []
        if not self.client_id.strip():
            found.append("client_id is empty: give the id of the API client")
        if not self.client_secret.strip():
            found.append("client_secret is empty: give the secret of the API client")
        if self.username and not self.password:
            found.append("username is given without a password")
        if self.password and not self.username:
            found.append("password is given without a username")
        return found

    def login(self) -> dict[str, str]:
        """Return the form of a full login, its fields in the order of Fluent's documentation."""
        client = {"client_id": self.client_id, "client_secret": self.client_secret}
        if self.username and self.password:
            user = {"username": self.username, "password": self.password}
            return {"grant_type": "password", **client, **user, "scope": "api"}
        return {"grant_type": "client_credentials", **client, "scope": "api"}

    def refresh(self, refresh_token: str) -> dict[str, str]:
        """Return the form that trades a refresh token for a new pair."""
        return {
            "grant_type": "refresh_token",
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            "refresh_token": refresh_token,
        }


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Grant:
    """What the token endpoint gave."""

    access_token: str
    refresh_token: str | None
    lifetime: timedelta

    def __repr__(self) -> str:
        return f"Grant(access_token='***', lifetime={self.lifetime!r})"


def read_grant(answer: Mapping[str, Any]) -> Grant | None:
    """Read the token endpoint's answer; None where it holds no usable token.

    A lifetime that is absent or makes no sense counts as an hour: if it was shorter, a 401 will say so.
    """
    token = answer.get("access_token")
    if not is_header_safe(token):
        return None
    refresh = answer.get("refresh_token")
    try:
        seconds = float(answer.get("expires_in", 0))
        lifetime = timedelta(seconds=seconds) if seconds > 0 else _LIFETIME
    except (TypeError, ValueError, OverflowError):
        lifetime = _LIFETIME
    return Grant(
        access_token=token, refresh_token=refresh if is_header_safe(refresh) else None, lifetime=lifetime
    )


def is_header_safe(token: Any) -> TypeGuard[str]:
    """Say whether `token` is one that can go out after `Bearer`."""
    return (
        isinstance(token, str)
        and token.isascii()
        and token.isprintable()
        and token != ""
        and not any(character.isspace() for character in token)
    )


@dataclass(slots=True)
class _Renewal:
    """One renewal that is under way, for those who wait for it."""

    done: threading.Event
    token: str | None = None
    error: FluentAPIError | None = None


class TokenSource:
    """Holds the current access token and renews it when it must. Safe to share between threads."""

    def __init__(
        self,
        credentials: Credentials,
        *,
        request: Callable[[dict[str, str]], Grant],
        clock: Clock,
        left: Callable[[], timedelta] | None = None,
    ) -> None:
        """`request` posts a form to the token endpoint; it retries what may be retried.

        `left` says how long the calling thread may wait for another's renewal; None for as long as it takes.
        """
        self._credentials = credentials
        self._request = request
        self._clock = clock
        self._left = left
        self._lock = threading.Lock()
        self._token: str | None = None
        self._renew_at = 0.0
        self._refresh_token: str | None = None
        self._is_refreshed = False  # whether the token came by the refresh token, not by a login
        self._renewal: _Renewal | None = None

    def __repr__(self) -> str:
        return f"TokenSource({self._credentials!r})"

    def token(self) -> str:
        """Return a token that is good for a while, renewing it first if it must.

        Raises:
            AuthenticationError: the credentials were refused.
            FluentUnavailableError: the token endpoint can't be reached now.
        """
        while True:
            with self._lock:
                if self._token is not None and self._clock.monotonic() < self._renew_at:
                    return self._token
                renewal = self._renewal
                if renewal is None:
                    mine = self._renewal = _Renewal(done=threading.Event())
            if renewal is None:
                return self._renew(mine)
            if not renewal.done.wait(None if self._left is None else self._left().total_seconds()):
                raise FluentUnavailableError(
                    "POST /oauth/token: another thread is logging in, and didn't get through within the time of this "
                    "call; nothing was done. Try again later."
                )
            if renewal.token is not None:
                return renewal.token
            if renewal.error is not None:
                # A copy each: raised by many threads, one instance would gather all their tracebacks.
                raise copy.copy(renewal.error) from renewal.error
            # The thread that renewed was interrupted: its interrupt isn't ours, so try again.

    def refused(self, token: str) -> None:
        """Drop `token` after a 401, unless another has taken its place meanwhile.

        If it came by the refresh token, that goes too: a full login comes next.
        """
        with self._lock:
            if self._token == token:
                self._token = None
                if self._is_refreshed:
                    self._refresh_token = None

    def _renew(self, renewal: _Renewal) -> str:
        try:
            asked_at = self._clock.monotonic()  # before the request: the server counts from its answer on
            point("token.request")
            grant, is_refreshed = self._granted()
            point("token.granted")
            seconds = grant.lifetime.total_seconds()
            # A lifetime below two buffers is halved instead, or each call would log in anew.
            good_for = max(seconds - _BUFFER.total_seconds(), seconds / 2)
            with self._lock:
                self._token = grant.access_token
                self._is_refreshed = is_refreshed
                self._renew_at = asked_at + good_for
                # A refresh answer without a new refresh token leaves the old one in force (RFC 6749, 6).
                self._refresh_token = grant.refresh_token or self._refresh_token
            renewal.token = grant.access_token
            return grant.access_token
        except FluentAPIError as exc:
            renewal.error = exc
            raise
        finally:
            with self._lock:
                self._renewal = None
            renewal.done.set()

    def _granted(self) -> tuple[Grant, bool]:
        """Return what the refresh token gives, or a login; and whether it was the former."""
        with self._lock:
            refresh_token = self._refresh_token
        if refresh_token is not None:
            try:
                return self._request(self._credentials.refresh(refresh_token)), True
            except FluentUnavailableError:
                raise  # a login would not get through either, and the refresh token may still be good
            except FluentAPIError as exc:
                logger.info("refresh token not accepted (%s): logging in anew", exc.status)
                with self._lock:
                    self._refresh_token = None
        return self._request(self._credentials.login()), False
