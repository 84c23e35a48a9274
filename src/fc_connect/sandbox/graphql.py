"""GraphQL over HTTP: a request read, checked, bounded and executed; its errors in the shape that clients expect.

`schema.graphql` says what may be asked, `resolvers` answers it from the entities, `complexity` says what is too much.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any

from fc_connect.errors import FCConnectError
from fc_connect.sandbox.data import Entities, EntityError
from fc_connect.sandbox.exchange import Answer, Request, answer
from fc_connect.sandbox.faults import FieldFaults
from fc_connect.sandbox.validation import parse_json

if TYPE_CHECKING:  # imported by the first query: it takes longer than the rest of the sandbox
    from graphql import DocumentNode, ExecutionResult, GraphQLError, GraphQLSchema, OperationDefinitionNode
    from graphql.execution.values import VariableValues

__all__ = ["MAX_COMPLEXITY", "GraphQLDesk"]

logger = logging.getLogger(__name__)

MAX_COMPLEXITY = 11_111
"""Fluent's documentation: the most database operations that a query may need."""
_MAX_TOKENS = 50_000
_INVENTORY = {"InventoryCatalogue", "InventoryPosition", "InventoryQuantity"}
_building = threading.Lock()


class _RefusedError(FCConnectError):
    def __init__(self, code: str, *errors: dict[str, Any]) -> None:
        super().__init__(code)
        self.errors = [{**each, "extensions": {"code": code}} for each in errors]


class GraphQLDesk:
    """Answers POST /graphql. Whatever is wrong with a query comes back in the body, with status 200."""

    def __init__(self, entities: Entities, faults: FieldFaults, *, max_complexity: int) -> None:
        self._entities = entities
        self._faults = faults
        self._max_complexity = max_complexity

    def execute(self, request: Request) -> Answer:
        """Do what `request` asks."""
        try:
            return answer(self._result(request))
        except _RefusedError as exc:
            return answer({"data": None, "errors": exc.errors})
        except RecursionError:
            return _refused("GRAPHQL_PARSE_FAILED", "The query is nested too deeply.")

    def _result(self, request: Request) -> dict[str, Any]:
        import graphql

        from fc_connect.sandbox.complexity import (
            MAX_VALUES,
            Budget,
            OverBudget,
            TooComplexError,
            UnmergeableError,
            cost_of,
        )
        from fc_connect.sandbox.resolvers import Asked, field_of, sandbox_schema

        query, variables, name = _payload(request)
        with _building:
            schema = sandbox_schema()
        document = _checked(schema, query)
        operation = graphql.get_operation_ast(document, name)
        if operation is None:
            known = [
                each.name.value if each.name else "(no name)"
                for each in document.definitions
                if isinstance(each, graphql.OperationDefinitionNode)
            ]
            hint = (
                f"operationName must name one of: {', '.join(known)}."
                if known
                else "The document has no operation."
            )
            raise _RefusedError("BAD_USER_INPUT", {"message": hint})
        coerced = _variables(schema, operation, variables)
        try:
            cost = cost_of(schema, document, operation, coerced, max_operations=self._max_complexity)
        except TooComplexError as exc:
            raise _RefusedError("C0001E", {"message": str(exc)}) from exc
        except UnmergeableError as exc:
            raise _RefusedError("GRAPHQL_VALIDATION_FAILED", {"message": str(exc)}) from exc
        except graphql.GraphQLError as exc:
            raise _RefusedError(_code(exc, "C0140E"), dict(exc.formatted)) from exc
        if cost.kinds & _INVENTORY:
            self._entities.catch_up(at=request.at)
        is_query = operation.operation is graphql.OperationType.QUERY
        with self._entities.reading(one_moment=is_query) as rows:
            asked = Asked(
                entities=self._entities, rows=rows, at=request.at, faults=self._faults, budget=Budget()
            )
            try:
                result = graphql.execute_sync(
                    schema,
                    document,
                    variable_values=variables,
                    operation_name=name,
                    context_value=asked,
                    field_resolver=field_of,
                )
            except OverBudget as exc:
                done = "" if is_query else " What it changed is changed."
                text = f"The answer holds more than {MAX_VALUES:,} values. Ask for smaller pages.{done}"
                raise _RefusedError("C0001E", {"message": text}) from exc
        return _content(result)


def _payload(request: Request) -> tuple[str, dict[str, Any] | None, str | None]:
    payload = parse_json(request.body)
    query, variables, name = (payload.get(key) for key in ("query", "variables", "operationName"))
    if not isinstance(query, str) or not query.strip():
        raise _RefusedError("BAD_USER_INPUT", {"message": "query must be a string that isn't empty."})
    if not isinstance(variables, dict | None):
        raise _RefusedError("BAD_USER_INPUT", {"message": "variables must be an object."})
    if not isinstance(name, str | None):
        raise _RefusedError("BAD_USER_INPUT", {"message": "operationName must be a string."})
    return query, variables, name or None


def _checked(schema: GraphQLSchema, query: str) -> DocumentNode:
    """Return the document of `query`, or refuse it with every fault, its place in the text included."""
    import graphql
    from graphql.validation import MaxIntrospectionDepthRule, OverlappingFieldsCanBeMergedRule

    try:
        document = graphql.parse(query, max_tokens=_MAX_TOKENS, allow_empty_selection_sets=False)
    except graphql.GraphQLError as exc:
        raise _RefusedError("GRAPHQL_PARSE_FAILED", dict(exc.formatted)) from exc
    rules = [each for each in graphql.specified_rules if each is not OverlappingFieldsCanBeMergedRule]
    if MaxIntrospectionDepthRule not in rules:
        rules.append(MaxIntrospectionDepthRule)
    if faults := graphql.validate(schema, document, rules):
        codes = {_code(fault, "GRAPHQL_VALIDATION_FAILED") for fault in faults}
        code = codes.pop() if len(codes) == 1 else "GRAPHQL_VALIDATION_FAILED"
        raise _RefusedError(code, *(dict(fault.formatted) for fault in faults))
    return document


def _variables(
    schema: GraphQLSchema, operation: OperationDefinitionNode, variables: dict[str, Any] | None
) -> VariableValues:
    from graphql.execution.values import get_variable_values

    found = get_variable_values(schema, operation.variable_definitions or (), variables or {}, max_errors=50)
    if isinstance(found, list):
        raise _RefusedError(_code(found[0], "C0140E"), *(dict(fault.formatted) for fault in found))
    return found


def _content(result: ExecutionResult) -> dict[str, Any]:
    content: dict[str, Any] = {"data": result.data}
    if result.errors:
        content["errors"] = [
            {**error.formatted, "extensions": {"code": _code(error, "BAD_USER_INPUT")}}
            for error in result.errors
        ]
        for error in result.errors:
            cause = error.original_error
            if cause is not None and not isinstance(cause, FCConnectError):
                logger.debug("sandbox: GraphQL error at %s", error.path, exc_info=cause)
    return content


def _code(error: GraphQLError | BaseException | None, otherwise: str) -> str:
    """Return Fluent's code of what lies behind an error, or `otherwise`."""
    for _ in range(10):  # the library wraps what a scalar raises, more than once
        if error is None:
            break
        if isinstance(error, EntityError):
            return error.code
        error = getattr(error, "original_error", None) or error.__cause__
    return otherwise


def _refused(code: str, message: str) -> Answer:
    return answer({"data": None, "errors": [{"message": message, "extensions": {"code": code}}]})
