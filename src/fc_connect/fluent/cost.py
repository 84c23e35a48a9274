"""What a GraphQL request costs, counted before it is sent, and what to do where Fluent finds it too dear.

The rule: every field counts 1, and what lies below a connection (a field that asks for `edges` or `nodes`) counts as
often as its page has entries: by `first` or `last`, given as numbers or by variables, or 100 where neither is given.
Fluent's documentation names a limit of 11,111 and requests of at most 2 MB; how its server counts isn't written down
in full, so its own count may differ. An estimate is for choosing pages, and never a reason to refuse a request.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from fc_connect.errors import ConfigurationError

if TYPE_CHECKING:  # takes longer to load than the rest of the client
    from graphql import (
        FieldNode,
        FragmentDefinitionNode,
        OperationDefinitionNode,
        SelectionSetNode,
        ValueNode,
    )

__all__ = ["MAX_COMPLEXITY", "MAX_REQUEST_BYTES", "QueryCost", "complexity_advice", "estimate_cost"]

MAX_COMPLEXITY = 11_111
"""More Fluent refuses with C0001E."""
MAX_REQUEST_BYTES = 2 * 1024 * 1024
"""A longer request Fluent answers with 413: it says 2 MB, which may mean fewer."""
DEFAULT_PAGE = 100
_MAX_TOKENS = 20_000
_MOST = 10**18  # more isn't told apart: nested pages multiply, and numbers would grow without end


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryCost:
    """What a request costs by our own count."""

    complexity: int
    """To be held against `MAX_COMPLEXITY`."""
    by_field: Mapping[str, int]
    """The share of each field at the top, by alias or name: the dearest is where to ask for less."""

    @property
    def is_within_limit(self) -> bool:
        """Whether Fluent takes it, if it counts as we do."""
        return self.complexity <= MAX_COMPLEXITY


def estimate_cost(
    query: str, *, variables: Mapping[str, Any] | None = None, operation_name: str | None = None
) -> QueryCost:
    """Count what the operation costs with these variables; the module says by which rule.

    Raises:
        ConfigurationError: the query can't be read, or holds no such operation.
    """
    from graphql import FragmentDefinitionNode, GraphQLSyntaxError, OperationDefinitionNode, parse

    try:
        document = parse(query, max_tokens=_MAX_TOKENS)
        operations = [each for each in document.definitions if isinstance(each, OperationDefinitionNode)]
        if operation_name is not None:
            operations = [each for each in operations if each.name and each.name.value == operation_name]
        if len(operations) != 1:
            raise ConfigurationError(
                f"The document has {len(operations)} operations"
                + (f" called {operation_name!r}." if operation_name else ": say which one by operation_name.")
            )
        fragments = {
            each.name.value: each for each in document.definitions if isinstance(each, FragmentDefinitionNode)
        }
        return _Counter(operations[0], fragments, variables or {}).total()
    except (GraphQLSyntaxError, RecursionError) as exc:
        raise ConfigurationError(f"The query can't be read: {exc}") from exc


def complexity_advice(body: bytes | None) -> str:
    """Return what to do about a request, whose body is given, that Fluent found too complex."""
    advice = (
        f"Ask for smaller pages (`first`), fewer fields, or fewer connections inside one another: "
        f"Fluent takes a complexity of {MAX_COMPLEXITY:,}"
    )
    try:
        asked = msgspec.json.decode(body or b"")
        cost = estimate_cost(
            asked["query"], variables=asked.get("variables"), operation_name=asked.get("operationName")
        )
    except (msgspec.DecodeError, ConfigurationError, KeyError, TypeError, AttributeError):
        return advice
    dearest = max(cost.by_field, key=lambda name: cost.by_field[name], default="")
    return (
        f"{advice}; by our count, which may differ, this has {cost.complexity:,}, most of it in {dearest!r}"
    )


class _Counter:
    def __init__(
        self,
        operation: OperationDefinitionNode,
        fragments: Mapping[str, FragmentDefinitionNode],
        variables: Mapping[str, Any],
    ) -> None:
        self._operation = operation
        self._fragments = fragments
        defaults = {
            each.variable.name.value: self._number(each.default_value)
            for each in operation.variable_definitions or ()
            if each.default_value is not None
        }
        self._sizes = {**defaults, **variables}
        # Each fragment is counted once: documents in which they spread each other twice would take for ever.
        self._counted: dict[str, int] = {}

    def total(self) -> QueryCost:
        shares: dict[str, int] = {}
        for name, cost in self._shares(self._operation.selection_set):
            shares[name] = min(shares.get(name, 0) + cost, _MOST)
        return QueryCost(complexity=min(sum(shares.values()), _MOST), by_field=shares)

    def _shares(self, selected: SelectionSetNode) -> list[tuple[str, int]]:
        from graphql import FieldNode, FragmentSpreadNode, InlineFragmentNode

        found = []
        for each in selected.selections:
            if isinstance(each, FieldNode):
                found.append(((each.alias or each.name).value, self._field(each)))
            elif isinstance(each, InlineFragmentNode):
                found += self._shares(each.selection_set)
            elif isinstance(each, FragmentSpreadNode):
                found.append((f"...{each.name.value}", self._fragment(each.name.value)))
        return found

    def _field(self, field: FieldNode) -> int:
        if field.selection_set is None:
            return 1
        below = self._below(field.selection_set)
        return min(1 + below * (self._size(field) if self._is_connection(field) else 1), _MOST)

    def _below(self, selected: SelectionSetNode) -> int:
        return min(sum(cost for _, cost in self._shares(selected)), _MOST)

    def _fragment(self, name: str) -> int:
        if name not in self._counted:
            self._counted[name] = 0  # one that spreads itself is refused by every server
            fragment = self._fragments.get(name)
            if fragment is not None:
                self._counted[name] = self._below(fragment.selection_set)
        return self._counted[name]

    def _is_connection(self, field: FieldNode) -> bool:
        given = {argument.name.value for argument in field.arguments or ()}
        return bool(given & {"first", "last"}) or self._asks_for_edges(field.selection_set, set())

    def _asks_for_edges(self, selected: SelectionSetNode | None, seen: set[str]) -> bool:
        from graphql import FieldNode, FragmentSpreadNode, InlineFragmentNode

        for each in selected.selections if selected is not None else ():
            if isinstance(each, FieldNode):
                if each.name.value in {"edges", "nodes"}:
                    return True
            elif isinstance(each, InlineFragmentNode):
                if self._asks_for_edges(each.selection_set, seen):
                    return True
            elif isinstance(each, FragmentSpreadNode) and each.name.value not in seen:
                seen.add(each.name.value)
                spread = self._fragments.get(each.name.value)
                if spread is not None and self._asks_for_edges(spread.selection_set, seen):
                    return True
        return False

    def _size(self, field: FieldNode) -> int:
        for argument in field.arguments or ():
            if argument.name.value in {"first", "last"}:
                size = self._number(argument.value)
                if size is not None:
                    return size
        return DEFAULT_PAGE

    def _number(self, value: ValueNode) -> int | None:
        from graphql import IntValueNode, VariableNode

        found: Any = None
        if isinstance(value, IntValueNode):
            found = int(value.value) if len(value.value) < 19 else _MOST
        elif isinstance(value, VariableNode):
            found = self._sizes.get(value.name.value)
        return max(found, 0) if type(found) is int else None
