"""A raw caller of the sandbox: http.client and nothing of ours, so that the tests see what is on the wire."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self

JOBS = "/api/v4.1/job"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """Code of the first error."""
        return str(self.json()["errors"][0]["code"])


class SteadyClock:
    """A clock that stands still until told to move."""

    def __init__(self, now: datetime = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, duration: timedelta) -> None:
        self.now += duration


class Caller:
    """One connection to a sandbox, logged in when first needed."""

    def __init__(self, url: str) -> None:
        self.address = url.removeprefix("http://")
        self.connection = http.client.HTTPConnection(self.address, timeout=10)
        self.token: str | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.connection.close()

    def raw(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        **options: Any,
    ) -> Reply:
        """Send as is, without a token."""
        self.connection.request(method, path, body, dict(headers or {}), **options)
        with self.connection.getresponse() as response:
            return Reply(status=response.status, headers=dict(response.getheaders()), body=response.read())

    def log_in(self, **fields: str) -> Reply:
        form = {"grant_type": "client_credentials", "client_id": "ACME", "client_secret": "secret", **fields}
        reply = self.raw("POST", "/oauth/token", "&".join(f"{name}={value}" for name, value in form.items()))
        if reply.status == 200:
            self.token = reply.json()["access_token"]
        return reply

    def call(
        self, method: str, path: str, payload: Any = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Send JSON with a token."""
        if self.token is None:
            assert self.log_in().status == 200
        body = payload if isinstance(payload, bytes | None) else json.dumps(payload).encode()
        sent = {
            "Authorization": f"Bearer {self.token}",
            "Content-Type": "application/json",
            **(headers or {}),
        }
        return self.raw(method, path, body, sent)

    def graphql(self, query: str, **variables: Any) -> dict[str, Any]:
        """Return the whole answer to a query, errors included."""
        reply = self.call("POST", "/graphql", {"query": query, "variables": variables})
        assert reply.status == 200
        answer: dict[str, Any] = reply.json()
        return answer

    def data(self, query: str, **variables: Any) -> dict[str, Any]:
        """Return the data of a query that ends well."""
        answer = self.graphql(query, **variables)
        assert "errors" not in answer, answer
        found: dict[str, Any] = answer["data"]
        return found

    def new_job(self, *, retailer: str = "1") -> str:
        reply = self.call("POST", JOBS, {"name": "stock of today", "retailerId": retailer})
        assert reply.status == 200
        return str(reply.json()["id"])

    def send(self, job: str, *records: Any, **changes: Any) -> Reply:
        return self.call("POST", f"{JOBS}/{job}/batch", batch(*records, **changes))


def batch(*records: Any, **changes: Any) -> dict[str, Any]:
    """Return the body of a batch."""
    return {
        "action": "UPSERT",
        "entityType": "INVENTORY",
        "source": "WMS",
        "event": "InventoryChanged",
        "entities": list(records),
        **changes,
    }


def record(sku: str = "SKU-1", qty: Any = 5, location: Any = "LOC-1", **more: Any) -> dict[str, Any]:
    """Return a stock record."""
    return {"locationRef": location, "skuRef": sku, "qty": qty, **more}
