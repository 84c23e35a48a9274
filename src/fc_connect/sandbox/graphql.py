"""The little of GraphQL that a connection check needs: `query { me { ref } }`.

Anything more is refused in the body, as GraphQL does, rather than answered with made-up data.
"""

from __future__ import annotations

import re
from typing import Any

from fc_connect.sandbox.exchange import Answer, Request, answer
from fc_connect.sandbox.validation import parse_json

__all__ = ["execute"]

ME = {
    "__typename": "User",
    "id": "1",
    "ref": "sandbox-user",
    "username": "sandbox-user",
    "firstName": "Sandbox",
    "lastName": "User",
    "primaryEmail": "sandbox@example.com",
    "type": "RETAILER",
    "status": "ACTIVE",
    "country": "AU",
    "timezone": "UTC",
}
_HEAD = re.compile(r"\s*(?:query(?:\s+[A-Za-z_]\w*)?\s*)?(?=\{)")
_TOKEN = re.compile(r"[\s,]*(?:([A-Za-z_]\w*)|([{}]))")


class _QueryError(ValueError):
    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def execute(request: Request) -> Answer:
    """Answer POST /graphql. Errors of the query come back in the body, with status 200."""
    query = parse_json(request.body).get("query")
    try:
        if not isinstance(query, str) or not query.strip():
            raise _QueryError("BAD_USER_INPUT", "query must be a string that isn't empty.")
        return answer({"data": _resolve(_selection(query))})
    except _QueryError as exc:
        return answer({"data": None, "errors": [{"message": str(exc), "extensions": {"code": exc.code}}]})


def _selection(query: str) -> dict[str, Any]:
    text = re.sub(r"#[^\n]*", "", query)
    head = _HEAD.match(text)
    if head is None:
        raise _QueryError(
            "SANDBOX_UNSUPPORTED", "The sandbox answers queries without variables: query { me { ref } }."
        )
    position = head.end()
    root: dict[str, Any] = {}
    open_levels: list[dict[str, Any]] = []
    level, last = root, None
    while match := _TOKEN.match(text, position):
        position = match.end()
        name, brace = match.groups()
        if name:
            if not open_levels:
                break
            level[name], last = {}, name
        elif brace == "{":
            if open_levels and last is None:
                raise _QueryError("GRAPHQL_VALIDATION_FAILED", "A selection must follow a field.")
            open_levels.append(level)
            level, last = (level[last] if last is not None else root), None
        else:
            if not level:
                raise _QueryError("GRAPHQL_VALIDATION_FAILED", "A selection is empty.")
            level, last = open_levels.pop(), None
            if not open_levels:
                break
    if open_levels or text[position:].strip():
        raise _QueryError(
            "SANDBOX_UNSUPPORTED", f"The sandbox can't read this query from {text[position:][:40]!r} on."
        )
    return root


def _resolve(selection: dict[str, Any]) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for name, fields in selection.items():
        if name == "__typename" and not fields:
            data[name] = "Query"
        elif name == "me":
            unknown = [field for field, below in fields.items() if field not in ME or below]
            if unknown or not fields:
                raise _QueryError(
                    "GRAPHQL_VALIDATION_FAILED",
                    f"me has no field {unknown[0]!r} in the sandbox." if unknown else "me needs a selection.",
                )
            data[name] = {field: ME[field] for field in fields}
        else:
            raise _QueryError("SANDBOX_UNSUPPORTED", f"The sandbox doesn't answer {name!r} yet; it knows me.")
    return data
