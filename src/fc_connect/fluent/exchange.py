"""One call and its answer, as values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import msgspec

__all__ = ["Answer", "Call"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request, as often as it is sent."""

    method: str
    path: str
    writes: bool
    """Whether doing it twice would differ from doing it once."""
    headers: Mapping[str, str]
    body: bytes | None = field(default=None, repr=False)
    query: Mapping[str, int | str] | None = None
    authorised: bool = True
    is_graphql: bool = False
    """Whether a refusal may carry GraphQL errors."""
    demand: Callable[[], None] | None = field(default=None, repr=False)
    """Called before each piece of the request leaves; what it raises ends the exchange."""

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back, as a whole."""

    status: int
    headers: httpx.Headers
    content: bytes = field(repr=False)
    request_id: str

    def json(self) -> Any:
        """Return the body decoded; None where it isn't JSON."""
        try:
            return msgspec.json.decode(self.content)
        except (
            msgspec.DecodeError,
            UnicodeDecodeError,
            RecursionError,
        ):  # the last: brackets by the thousand
            return None
