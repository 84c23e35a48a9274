"""GraphQL over the sandbox's schema: introspection, and `query { me { ref } }`.

The schema is a small part of Fluent's (schema.graphql). What it has but the sandbox holds no data for is refused in the
body, as GraphQL does, rather than answered with made-up data.
"""

from __future__ import annotations

import threading
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from fc_connect.sandbox.exchange import Answer, Request, answer
from fc_connect.sandbox.validation import parse_json

if TYPE_CHECKING:  # imported by the first query: it takes longer than the rest of the sandbox
    from graphql import GraphQLResolveInfo, GraphQLSchema

__all__ = ["execute"]

ME: dict[str, Any] = {
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
    "roles": [
        {
            "role": {
                "id": "1",
                "name": "ADMIN",
                "permissions": [{"name": "ORDER_VIEW"}, {"name": "INVENTORY_UPLOAD"}],
            },
            "contexts": [{"contextType": "RETAILER", "contextId": 1}],
        }
    ],
    "primaryRetailer": {"id": "1", "ref": "sandbox", "tradingName": "Sandbox"},
    "primaryLocation": None,
    "language": {"value": "en_AU", "label": "English (Australia)"},
}
_MAX_TOKENS = 20_000
_building = threading.Lock()


class _UnsupportedError(Exception):
    """The schema has it, and the sandbox has no data for it."""


def execute(request: Request) -> Answer:
    """Answer POST /graphql. Errors of the query come back in the body, with status 200."""
    import graphql

    payload = parse_json(request.body)
    query, variables, name = (payload.get(key) for key in ("query", "variables", "operationName"))
    if not isinstance(query, str) or not query.strip():
        return _refused("BAD_USER_INPUT", "query must be a string that isn't empty.")
    if not isinstance(variables, dict | None):
        return _refused("BAD_USER_INPUT", "variables must be an object.")
    if not isinstance(name, str | None):
        return _refused("BAD_USER_INPUT", "operationName must be a string.")
    with _building:
        schema = _schema()
    try:
        document = graphql.parse(query, max_tokens=_MAX_TOKENS, allow_empty_selection_sets=False)
        faults = graphql.validate(schema, document)
    except graphql.GraphQLError as exc:
        return _refused("GRAPHQL_PARSE_FAILED", exc.message)
    except RecursionError:
        return _refused("GRAPHQL_PARSE_FAILED", "The query is nested too deeply.")
    if faults:
        return _refused("GRAPHQL_VALIDATION_FAILED", *(fault.message for fault in faults))
    result = graphql.execute_sync(schema, document, variable_values=variables, operation_name=name)
    content: dict[str, Any] = {"data": result.data}
    if result.errors:
        content["errors"] = [
            {**error.formatted, "extensions": {"code": _code(error.original_error)}}
            for error in result.errors
        ]
        if any(isinstance(error.original_error, _UnsupportedError) for error in result.errors):
            content["data"] = None
    return answer(content)


@cache
def _schema() -> GraphQLSchema:
    import graphql

    text = (resources.files("fc_connect.sandbox") / "schema.graphql").read_text("utf-8")
    schema = graphql.build_schema(text)
    for root in (schema.query_type, schema.mutation_type):
        assert root is not None  # noqa: S101 - it is our own file
        for name, field in root.fields.items():
            field.resolve = _who_asks if name == "me" else _unsupported
    return schema


def _who_asks(_source: Any, _info: GraphQLResolveInfo[Any]) -> dict[str, Any]:
    return ME


def _unsupported(_source: Any, info: GraphQLResolveInfo[Any], **_arguments: Any) -> Any:
    raise _UnsupportedError(
        f"The sandbox has no data for {info.field_name!r} yet; it answers me, and introspection."
    )


def _code(cause: BaseException | None) -> str:
    return "SANDBOX_UNSUPPORTED" if isinstance(cause, _UnsupportedError) else "BAD_USER_INPUT"


def _refused(code: str, *messages: str) -> Answer:
    return answer(
        {"data": None, "errors": [{"message": each, "extensions": {"code": code}} for each in messages]}
    )
