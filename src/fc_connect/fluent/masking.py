"""Keeps secrets out of everything that leaves the client in words: logs, messages, bodies of errors."""

from __future__ import annotations

import base64
import html
import json
import re
import threading
from collections import deque
from urllib.parse import quote, quote_plus

__all__ = ["Mask"]

_MASKED = "***"
_KEPT_TOKENS = 32  # an answer may echo a token that was renewed meanwhile; older ones have expired
_READ = 64 * 1024

# A server may echo a secret that this client never held, such as the token of a proxy in between.
_SECRET_FIELD = re.compile(
    r"""(?ix)
    ( ["'\\]* (?: access_?token | refresh_?token | client_?secret | password | api_?key | authorization )
      ["'\\]* \s* [:=] \s* ["'\\]* )
    (?: (?:bearer|basic)\s+ )?  [^\s"'\\&,;<>}]+
    """
)
_SCHEME = re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}")


class Mask:
    """Replaces known secrets, in any of the spellings a server may echo them in. Safe between threads."""

    def __init__(self, *secrets: str | None) -> None:
        self._lock = threading.Lock()
        self._fixed = [s for secret in secrets if secret for s in _spellings(secret)]
        self._tokens: deque[str] = deque(maxlen=_KEPT_TOKENS)

    def __repr__(self) -> str:
        return "Mask()"

    def add_token(self, token: str) -> None:
        """Mask `token` from now on; all but the last few are forgotten in time."""
        with self._lock:
            if token and token not in self._tokens:
                self._tokens.append(token)

    def text(self, text: str, *, limit: int | None = None) -> str:
        """Return `text` without secrets, then cut to `limit` characters.

        Masked before the cut: half a secret would not be recognised.
        """
        with self._lock:
            secrets = [*self._fixed, *(s for token in self._tokens for s in _spellings(token))]
        masked = text if limit is None else text[: max(_READ, limit)]
        for secret in sorted(set(secrets), key=len, reverse=True):  # one may be part of another
            masked = masked.replace(secret, _MASKED)
        masked = _SECRET_FIELD.sub(rf"\g<1>{_MASKED}", masked)
        masked = _SCHEME.sub(rf"\1 {_MASKED}", masked)
        return masked if limit is None else masked[:limit]


def _spellings(secret: str) -> set[str]:
    as_json = json.dumps(secret)[1:-1]
    percent = [quote(secret, safe=""), quote(secret), quote_plus(secret)]
    return {
        secret,
        as_json,
        as_json.replace("/", "\\/"),
        json.dumps(secret, ensure_ascii=False)[1:-1],
        *percent,
        *(re.sub("%..", lambda escape: escape.group().lower(), text) for text in percent),
        html.escape(secret),
        repr(secret)[1:-1],
        base64.b64encode(secret.encode("utf-8", "surrogatepass")).decode(),
    }
