"""What passes between the server and the API: a request, an answer, a refusal."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from fc_connect.errors import FCConnectError

__all__ = ["Answer", "RefusedError", "Request", "SandboxClock", "answer", "refusal", "system_clock"]


class SandboxClock(Protocol):
    """Say what time it is, aware and in UTC: tests hold it still to cross midnight."""

    def __call__(self) -> datetime: ...


def system_clock() -> datetime:
    """Return the time of this machine."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request, its body read to the end."""

    method: str
    path: str
    """Without the query."""
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer, and what the log should say about the request."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()
    job_id: str | None = None
    batch_id: str | None = None
    entities: int | None = None


class RefusedError(FCConnectError):
    """The sandbox refuses a request; the server turns this into an answer."""

    def __init__(
        self,
        message: str,
        *,
        status: int,
        code: str,
        details: Sequence[Mapping[str, Any]] = (),
        headers: tuple[tuple[str, str], ...] = (),
        job_id: str | None = None,
        entities: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.details = tuple(details)
        self.headers = headers
        self.job_id = job_id
        self.entities = entities


_JSON = json.JSONEncoder(separators=(",", ":"))


def answer(payload: Any, *, status: int = 200, **about: Any) -> Answer:
    """Return `payload` as a JSON answer; `about` goes to the log."""
    return Answer(status=status, body=_JSON.encode(payload).encode(), **about)


def refusal(error: RefusedError) -> Answer:
    """Return the answer that tells a client of `error`."""
    return answer(
        {"errors": [{"code": error.code, "message": str(error)}, *error.details]},
        status=error.status,
        headers=error.headers,
        job_id=error.job_id,
        entities=error.entities,
    )
