"""The page at `/`: what arrived, for people. It asks `/_sandbox/overview` again and again."""

from __future__ import annotations

import secrets
from functools import cache
from importlib import resources

from fc_connect.sandbox.exchange import Answer, RefusedError, Request

__all__ = ["page_for_people"]


def page_for_people(request: Request) -> Answer:
    """Answer GET /. The page runs its own script alone, and loads nothing from elsewhere."""
    if request.method != "GET":
        raise RefusedError(
            f"/ takes GET, not {request.method}: it is a page for people.",
            status=405,
            code="METHOD_NOT_ALLOWED",
            headers=(("Allow", "GET"),),
        )
    nonce = secrets.token_urlsafe(16)
    policy = (
        f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return Answer(
        status=200,
        body=_template().replace("{nonce}", nonce).encode(),
        content_type="text/html; charset=utf-8",
        headers=(
            ("Content-Security-Policy", policy),
            ("X-Content-Type-Options", "nosniff"),
            ("Referrer-Policy", "no-referrer"),
        ),
    )


@cache
def _template() -> str:
    return (resources.files("fc_connect.sandbox") / "page.html").read_text("utf-8")
