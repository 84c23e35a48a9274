"""What a GraphQL operation would cost, worked out before any of it is done.

Fluent counts the database operations that a query may need, and refuses more than 11,111. Here an entity or a
connection is one operation for each parent that may be there: `orders(first: 100)` with `items` in each is 1 + 100.
Where no size is asked for, ten are counted, as Fluent's documentation has it: five levels of ten are just 11,111.
Scalars cost nothing; that an answer doesn't grow without end is seen to by a `Budget` while it is computed.

The same walk checks that fields of one name can be merged. The rule of the GraphQL library compares every pair, which a
hostile document turns into minutes; here each is compared with the first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import graphql
from graphql.execution.values import VariableValues, get_argument_values, get_directive_values

from fc_connect.sandbox.data.kinds import KINDS
from fc_connect.sandbox.data.rows import MAX_PAGE

__all__ = [
    "MAX_DEPTH",
    "MAX_VALUES",
    "Budget",
    "Cost",
    "OverBudget",
    "TooComplexError",
    "UnmergeableError",
    "cost_of",
]

MAX_VALUES = 250_000
"""Values of entities that an answer may hold."""
_COUNTED_PAGE = 10
MAX_DEPTH = 60
_MAX_FIELDS = 20_000


class TooComplexError(Exception):
    """The operation is larger than anybody will compute."""


class UnmergeableError(Exception):
    """Two fields want the same name in the answer, and can't both have it."""


class OverBudget(BaseException):
    """The answer has become larger than it may."""


@dataclass(slots=True)
class Budget:
    """Counts the values of one answer while it is computed."""

    left: int = MAX_VALUES

    def spend(self) -> None:
        """Take note of one more value."""
        self.left -= 1
        if self.left < 0:
            raise OverBudget


@dataclass(slots=True)
class Cost:
    """What an operation may need at most."""

    operations: int = 0
    """Of the database."""
    fields: int = 0
    """In the document, fragments spread out."""
    kinds: set[str] = field(default_factory=set)
    """Kinds of entities that are looked at."""


_Found = tuple[graphql.GraphQLNamedType, graphql.FieldNode]


def cost_of(
    schema: graphql.GraphQLSchema,
    document: graphql.DocumentNode,
    operation: graphql.OperationDefinitionNode,
    variables: VariableValues,
    *,
    max_operations: int,
) -> Cost:
    """Return the cost of `operation`, whose document is valid but for the merging of fields.

    Raises:
        TooComplexError: it costs more than `max_operations`, or is too deep or too large.
        UnmergeableError: fields that differ have one name.
    """
    fragments = {
        each.name.value: each
        for each in document.definitions
        if isinstance(each, graphql.FragmentDefinitionNode)
    }
    walk = _Walk(schema, fragments, variables, max_operations)
    root = schema.get_root_type(operation.operation)
    if root is not None:
        walk.visit([(root, operation.selection_set)], times=1, depth=1)
    return walk.cost


class _Walk:
    def __init__(
        self,
        schema: graphql.GraphQLSchema,
        fragments: Mapping[str, graphql.FragmentDefinitionNode],
        variables: VariableValues,
        max_operations: int,
    ) -> None:
        self.cost = Cost()
        self._schema = schema
        self._fragments = fragments
        self._variables = variables
        self._max_operations = max_operations

    def visit(
        self, sets: list[tuple[graphql.GraphQLNamedType, graphql.SelectionSetNode]], *, times: int, depth: int
    ) -> None:
        """Count what is selected in `sets`, which answer as one object, `times` over."""
        if depth > MAX_DEPTH:
            raise TooComplexError(f"The query is nested more than {MAX_DEPTH} deep.")
        for found in self._by_name(sets).values():
            parent, node = found[0]
            for other in found[1:]:
                _check_alike(parent, node, *other)
            definition = self._definition(parent, node.name.value)
            if definition is None:
                continue
            named = graphql.get_named_type(definition.type)
            inner = times
            connection = named.name.removesuffix("Connection")
            # An edge's node came with its page.
            if connection in KINDS and not parent.name.endswith("Edge"):
                self.cost.operations += times
                self.cost.kinds.add(connection)
                if connection != named.name:
                    inner = times * self._page_size(definition, node)
            self._check_limits()
            children = [(named, each.selection_set) for _, each in found if each.selection_set is not None]
            if children and not named.name.startswith("__"):
                self.visit(children, times=inner, depth=depth + 1)
            elif children:  # introspection: bounded by the validation's own rule
                self.visit(children, times=0, depth=depth + 1)

    def _by_name(
        self, sets: list[tuple[graphql.GraphQLNamedType, graphql.SelectionSetNode]]
    ) -> dict[str, list[_Found]]:
        found: dict[str, list[_Found]] = {}
        seen: set[tuple[str, str]] = set()
        left = list(reversed(sets))
        while left:
            parent, selection_set = left.pop()
            for node in selection_set.selections:
                self.cost.fields += 1
                if self.cost.fields > _MAX_FIELDS:
                    raise TooComplexError(f"The query selects more than {_MAX_FIELDS} fields.")
                if not self._is_included(node):
                    continue
                if isinstance(node, graphql.FieldNode):
                    found.setdefault((node.alias or node.name).value, []).append((parent, node))
                elif isinstance(node, graphql.InlineFragmentNode):
                    left.append((self._condition(node.type_condition, parent), node.selection_set))
                elif isinstance(node, graphql.FragmentSpreadNode):
                    name = node.name.value
                    if (name, parent.name) not in seen and name in self._fragments:
                        seen.add((name, parent.name))
                        fragment = self._fragments[name]
                        left.append(
                            (self._condition(fragment.type_condition, parent), fragment.selection_set)
                        )
        return found

    def _condition(
        self, node: graphql.NamedTypeNode | None, parent: graphql.GraphQLNamedType
    ) -> graphql.GraphQLNamedType:
        return (self._schema.get_type(node.name.value) if node else None) or parent

    def _is_included(self, node: graphql.SelectionNode) -> bool:
        if not node.directives:
            return True
        skip = get_directive_values(graphql.GraphQLSkipDirective, node, self._variables)
        include = get_directive_values(graphql.GraphQLIncludeDirective, node, self._variables)
        return not (skip and skip["if"]) and not (include and not include["if"])

    def _definition(self, parent: graphql.GraphQLNamedType, name: str) -> graphql.GraphQLField | None:
        if name.startswith("__") and parent is self._schema.query_type:
            return {
                "__schema": graphql.SchemaMetaFieldDef,
                "__type": graphql.TypeMetaFieldDef,
            }.get(name)
        return getattr(parent, "fields", {}).get(name)

    def _page_size(self, definition: graphql.GraphQLField, node: graphql.FieldNode) -> int:
        given = get_argument_values(definition, node, self._variables)
        sizes = [size for name in ("first", "last") if isinstance(size := given.get(name), int)]
        return min(max(sizes[0], 0), MAX_PAGE) if sizes else _COUNTED_PAGE

    def _check_limits(self) -> None:
        if self.cost.operations > self._max_operations:
            raise TooComplexError(
                f"The query may need more than {self._max_operations:,} database operations. Ask for smaller pages "
                "(first), or for less in each."
            )


def _check_alike(
    parent: graphql.GraphQLNamedType,
    node: graphql.FieldNode,
    other_parent: graphql.GraphQLNamedType,
    other: graphql.FieldNode,
) -> None:
    both_objects = isinstance(parent, graphql.GraphQLObjectType) and isinstance(
        other_parent, graphql.GraphQLObjectType
    )
    if both_objects and parent is not other_parent:
        mine = getattr(parent, "fields", {}).get(node.name.value)
        theirs = getattr(other_parent, "fields", {}).get(other.name.value)
        alike = mine is None or theirs is None or str(mine.type) == str(theirs.type)
    else:
        alike = node.name.value == other.name.value and _arguments(node) == _arguments(other)
    if not alike:
        name = (node.alias or node.name).value
        raise UnmergeableError(
            f"Fields {name!r} conflict: they differ in field, arguments or type. Use different aliases."
        )


def _arguments(node: graphql.FieldNode) -> list[tuple[str, str]]:
    return sorted((each.name.value, graphql.print_ast(each.value)) for each in node.arguments or ())
