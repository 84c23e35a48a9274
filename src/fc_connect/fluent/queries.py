"""One GraphQL request: sent, retried where that is safe, and its answer read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fc_connect.errors import ConfigurationError, GraphQLError
from fc_connect.fluent.body import encoded
from fc_connect.fluent.classify import classify_error
from fc_connect.fluent.cost import MAX_REQUEST_BYTES
from fc_connect.fluent.exchange import Call
from fc_connect.fluent.graphql import is_query
from fc_connect.fluent.http import Channel
from fc_connect.fluent.wording import graphql_errors

__all__ = ["GraphQLAnswer", "run_graphql"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphQLAnswer:
    """What a request came to: its data, whole or in parts, and the errors beside it."""

    data: dict[str, Any]
    error: GraphQLError | None = None
    """What is wrong with the rest; None where the data is whole."""
    extensions: Mapping[str, Any]

    @property
    def is_partial(self) -> bool:
        """Whether some of the data is missing: fields that failed are null."""
        return self.error is not None

    @property
    def errors(self) -> tuple[dict[str, Any], ...]:
        """The errors as Fluent sent them."""
        return () if self.error is None else self.error.errors


def run_graphql(
    channel: Channel,
    query: str,
    *,
    variables: Mapping[str, Any] | None = None,
    operation_name: str | None = None,
    partial: bool = False,
) -> GraphQLAnswer:
    """Send one request; `FluentClient.graphql` and `graphql_answer` say what holds of it."""
    if not query.strip():
        raise ConfigurationError("A GraphQL request needs a query: it is empty.")
    payload: dict[str, Any] = {"query": query}
    if variables is not None:
        payload["variables"] = dict(variables)
    if operation_name is not None:
        payload["operationName"] = operation_name
    body = encoded(payload, "the variables")
    if len(body) > MAX_REQUEST_BYTES:
        raise ConfigurationError(
            f"The request has {len(body):,} bytes, and Fluent takes {MAX_REQUEST_BYTES:,}. Send less at once: fewer "
            "inputs in a request, or a batch in its place. Nothing was sent."
        )
    call = Call(
        method="POST",
        path="/graphql",
        writes=not is_query(query, operation_name=operation_name),
        headers={"Content-Type": "application/json"},
        body=body,
        is_graphql=True,
    )
    attempt = 1
    while True:
        answer = channel.send(call)
        content = answer.json()
        if not isinstance(content, dict):
            break
        data = content.get("data")
        extensions = content.get("extensions")
        told: Mapping[str, Any] = extensions if isinstance(extensions, dict) else {}
        if errors := graphql_errors(content):
            error = channel.wording.graphql_error(call, answer, errors)
            found = classify_error(error)
            if (
                not call.writes
                and found.is_retryable
                and channel.wait_again(call, attempt, at_least=found.retry_after)
            ):
                attempt += 1
                continue
            if partial and isinstance(data, dict) and any(value is not None for value in data.values()):
                return GraphQLAnswer(data=data, error=error, extensions=told)
            raise error
        if isinstance(data, dict):
            return GraphQLAnswer(data=data, extensions=told)
        break
    raise channel.wording.unusable(call, answer, "it holds neither data nor errors")
