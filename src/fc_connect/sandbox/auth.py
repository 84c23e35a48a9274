"""Tokens: who may call, and until when."""

from __future__ import annotations

import hmac
import secrets
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from fc_connect.errors import ConfigurationError
from fc_connect.sandbox.exchange import Answer, RefusedError, Request, answer
from fc_connect.sandbox.query import single_values

__all__ = ["Credentials", "TokenIssuer"]

_REALM = (("WWW-Authenticate", 'Bearer realm="fc-connect sandbox"'),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """One client that may log in; with `username`, only as that user in the password grant."""

    client_id: str
    client_secret: str = field(repr=False)
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not self.client_id or not self.client_secret:
            raise ConfigurationError("The sandbox's credentials need a client_id and a client_secret.")
        if bool(self.username) != bool(self.password):
            raise ConfigurationError("The sandbox's credentials need username and password, or neither.")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Token:
    client_id: str
    expires_at: datetime


class TokenIssuer:
    """Issues tokens and checks them. They live in memory: a sandbox that restarts knows none of them.

    Without `credentials`, any are accepted. A refresh token works once and dies with its use, as Fluent's do.
    """

    def __init__(self, *, credentials: Sequence[Credentials], lifetime: timedelta) -> None:
        self._credentials = tuple(credentials)
        self._lifetime = lifetime
        self._mutex = threading.Lock()
        self._access: dict[str, _Token] = {}
        self._refresh: dict[str, str] = {}

    def issue(self, request: Request) -> Answer:
        """Answer POST /oauth/token: a form, or the same fields in the query string."""
        fields = dict(request.query)
        if request.body:
            try:
                fields |= single_values(request.body.decode())
            except UnicodeDecodeError as exc:
                raise _refused(400, "invalid_request", "The form isn't UTF-8.") from exc
        client_id = self._check(fields)
        with self._mutex:
            for old in [text for text, token in self._access.items() if token.expires_at <= request.at]:
                del self._access[old]
            access, refresh = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
            self._access[access] = _Token(client_id=client_id, expires_at=request.at + self._lifetime)
            self._refresh[refresh] = client_id
        return answer(
            {
                "access_token": access,
                "token_type": "bearer",
                "refresh_token": refresh,
                "expires_in": int(self._lifetime.total_seconds()),
                "scope": "api",
            },
            headers=(("Cache-Control", "no-store"),),
        )

    def check(self, request: Request) -> None:
        """Refuse with 401 unless the request carries a token that is alive."""
        scheme, _, text = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not text.strip():
            raise _unauthorized("MISSING_TOKEN", "No bearer token: POST /oauth/token first.")
        with self._mutex:
            token = self._access.get(text.strip())
        if token is None:
            raise _unauthorized("INVALID_TOKEN", "This token isn't known here.")
        if token.expires_at <= request.at:
            raise _unauthorized("EXPIRED_TOKEN", f"The token expired at {token.expires_at.isoformat()}.")

    def revoke_all(self) -> None:
        """Forget every token, as a server that restarts does: the next call of every client meets a 401."""
        with self._mutex:
            self._access.clear()
            self._refresh.clear()

    def _check(self, fields: Mapping[str, str]) -> str:
        grant = fields.get("grant_type")
        needed = {
            "password": ("client_id", "client_secret", "username", "password"),
            "client_credentials": ("client_id", "client_secret"),
            "refresh_token": ("client_id", "client_secret", "refresh_token"),
        }
        if grant not in needed:
            raise _refused(
                400,
                "unsupported_grant_type",
                f"grant_type must be password, client_credentials or refresh_token, not {grant or 'nothing'!r}.",
            )
        missing = [name for name in needed[grant] if not fields.get(name)]
        if missing:
            raise _refused(400, "invalid_request", f"Missing for {grant}: {', '.join(missing)}.")
        if not self._known(fields, as_user=grant == "password"):
            raise _refused(401, "invalid_client", "The client or the user isn't known, or a secret is wrong.")
        if grant == "refresh_token":
            with self._mutex:
                owner = self._refresh.get(fields["refresh_token"])
                if owner != fields["client_id"]:
                    raise _refused(
                        401, "invalid_grant", "The refresh token isn't known, or was used already."
                    )
                del self._refresh[fields["refresh_token"]]
        return fields["client_id"]

    def _known(self, fields: Mapping[str, str], *, as_user: bool) -> bool:
        if not self._credentials:
            return True
        return any(
            _same(known.client_id, fields["client_id"])
            and _same(known.client_secret, fields["client_secret"])
            and (
                not as_user
                or known.username is None
                or (
                    _same(known.username, fields["username"])
                    and _same(known.password or "", fields["password"])
                )
            )
            for known in self._credentials
        )


def _same(known: str, given: str) -> bool:
    return hmac.compare_digest(known.encode(), given.encode())


def _unauthorized(code: str, message: str) -> RefusedError:
    return RefusedError(message, status=401, code=code, headers=_REALM)


def _refused(status: int, code: str, message: str) -> RefusedError:
    return RefusedError(message, status=status, code=code)
