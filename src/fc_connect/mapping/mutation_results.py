"""What a mutation mapper gives: requests, and the reasons where there are none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fc_connect.errors import FieldProblem, MappingError
from fc_connect.mapping.aliases import AliasedResponse, parse_aliased_response

__all__ = [
    "AliasedRequest",
    "MutationBatch",
    "MutationOutcome",
    "MutationReject",
    "MutationRequest",
    "NodesOutcome",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class MutationRequest:
    """What to send."""

    query: str
    variables: dict[str, Any]
    operation_name: str

    def to_dict(self) -> dict[str, Any]:
        """Return it as the TypeScript SDK names it."""
        return {"query": self.query, "variables": self.variables}


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasedRequest(MutationRequest):
    """What to send for several records at once."""

    mutation: str
    indexes: tuple[int, ...]
    """Of the items, in the order of the aliases."""
    items: tuple[Any, ...] = field(repr=False)

    def parse(self, response: Any) -> AliasedResponse:
        """Say what became of each item by the whole answer, `{"data": …, "errors": […]}`.

        A client that raises `GraphQLError` has both parts in it.
        """
        return parse_aliased_response(response, len(self.indexes), self.mutation, self.items)


@dataclass(frozen=True, slots=True, kw_only=True)
class MutationReject:
    """An item that can't be mapped."""

    index: int
    """Of the item, from 0."""
    error: MappingError


@dataclass(frozen=True, slots=True, kw_only=True)
class MutationBatch:
    """Requests for all items but those rejected."""

    requests: tuple[AliasedRequest, ...]
    rejects: tuple[MutationReject, ...] = ()
    compat: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return it as data; in compat mode that is the one request which the TypeScript SDK makes."""
        if self.compat:
            return self.requests[0].to_dict()
        return {
            "requests": [each.to_dict() for each in self.requests],
            "rejects": [{"index": each.index, "error": str(each.error)} for each in self.rejects],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class MutationOutcome:
    """A request, or why there is none."""

    success: bool
    query: str
    variables: dict[str, Any]
    error: MappingError | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return it as the TypeScript SDK names it."""
        result = {"success": self.success, "query": self.query, "variables": self.variables}
        return result if self.error is None else {**result, "errors": [str(self.error)]}


@dataclass(frozen=True, slots=True, kw_only=True)
class NodesOutcome:
    """What a record with nodes gives."""

    success: bool
    data: Any
    """The mapped fields; None where the record has faults."""
    variables: Any
    query: str
    context: Mapping[str, Any]
    errors: tuple[str, ...] = ()
    problems: tuple[FieldProblem, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return it as the TypeScript SDK names it."""
        return {
            "success": self.success,
            "data": self.data,
            "variables": self.variables,
            "query": self.query,
            "context": dict(self.context),
            "errors": list(self.errors),
        }
