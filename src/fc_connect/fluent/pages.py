"""A GraphQL connection, page after page.

Which variable is the cursor is read from the query itself: the one that is given to `after` (or `before`) of the
connection. A variable that is only called like one, such as a date, stays as it was given. See the Relay cursor
specification (https://relay.dev/graphql/connections.htm); Fluent's `pageInfo` has no cursors, they are on the edges.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLSyntaxError,
    InlineFragmentNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    VariableNode,
    parse,
)

from fc_connect.clock import Clock
from fc_connect.errors import ConfigurationError, FluentAPIError
from fc_connect.fluent.queries import GraphQLAnswer

__all__ = ["Connection", "Page", "Pages", "connection_of"]

Direction = Literal["forward", "backward"]
Truncation = Literal["max_pages", "max_records", "time"]

MAX_PAGE = 250
"""More Fluent refuses."""
_MAX_TOKENS = 20_000
_ARGUMENTS: Mapping[Direction, tuple[str, str, str]] = {
    "forward": ("first", "after", "hasNextPage"),
    "backward": ("last", "before", "hasPreviousPage"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """Where a query's connection is, and by which variables it is paged."""

    path: tuple[str, ...]
    """Keys of the answer's data, aliases in place of names."""
    direction: Direction
    size: str | None
    """Name of the variable for the size of a page; None where the query says it itself."""
    cursor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page; its edges in the order of the connection."""

    number: int
    """From 1."""
    edges: tuple[dict[str, Any], ...]
    data: dict[str, Any]
    """The whole answer."""
    errors: tuple[dict[str, Any], ...] = ()
    """What is wrong with it, where pages with errors are taken."""

    @property
    def nodes(self) -> tuple[Any, ...]:
        return tuple(edge.get("node") for edge in self.edges)


class Pages:
    """The pages of a query as they are asked for; may be iterated over once.

    Afterwards `truncated` says why not all of them came; None where they did.
    """

    def __init__(
        self,
        run: Callable[[dict[str, Any]], GraphQLAnswer],
        connection: Connection,
        *,
        variables: Mapping[str, Any],
        page_size: int,
        max_pages: int | None,
        max_records: int | None,
        within: timedelta | None,
        clock: Clock,
    ) -> None:
        self.connection = connection
        self.truncated: Truncation | None = None
        self.pages = 0
        self.records = 0
        self._run = run
        self._variables = dict(variables)
        self._page_size = page_size
        self._max_pages = max_pages
        self._max_records = max_records
        self._within = within
        self._clock = clock

    def nodes(self) -> Iterator[Any]:
        """Yield the nodes of all pages."""
        for page in self:
            yield from page.nodes

    def __iter__(self) -> Iterator[Page]:
        """Yield each page once it is there.

        Raises:
            GraphQLError: a page holds errors. What came before was yielded.
            FluentAPIError: a page has no such connection, or can't be gone on from.
        """
        began = self._clock.monotonic()
        connection = self.connection
        variables = dict(self._variables)
        if connection.size is not None:
            variables.setdefault(connection.size, self._page_size)
        seen: set[str] = set()
        while True:
            answer = self._run(variables)
            self.pages += 1
            edges, has_more, cursor = self._read(answer)
            room = None if self._max_records is None else self._max_records - self.records
            kept = (
                edges
                if room is None
                else edges[:room]
                if connection.direction == "forward"
                else edges[-room:]
            )
            self.records += len(kept)
            is_cut = len(kept) < len(edges)
            if is_cut or (has_more and room is not None and len(kept) == room):
                self.truncated = "max_records"
            elif has_more and self._max_pages is not None and self.pages >= self._max_pages:
                self.truncated = "max_pages"
            yield Page(number=self.pages, edges=tuple(kept), data=answer.data, errors=answer.errors)
            if self.truncated is not None or not has_more:
                return
            if cursor is None:
                raise self._stuck("there are more, and its edges have no cursor: let the query ask for it")
            if cursor in seen:
                raise self._stuck("its cursor is one that came before: going on would read the same again")
            if self._within is not None and self._clock.monotonic() - began >= self._within.total_seconds():
                self.truncated = "time"
                return
            seen.add(cursor)
            variables[connection.cursor] = cursor

    def _read(self, answer: GraphQLAnswer) -> tuple[list[dict[str, Any]], bool, str | None]:
        found: Any = answer.data
        for key in self.connection.path:
            found = found.get(key) if isinstance(found, dict) else None
        edges = found.get("edges") if isinstance(found, dict) else None
        info = found.get("pageInfo") if isinstance(found, dict) else None
        flag = info.get(_ARGUMENTS[self.connection.direction][2]) if isinstance(info, dict) else None
        if not isinstance(edges, list) or not isinstance(flag, bool):
            if answer.error is not None:
                raise answer.error
            raise self._stuck("the answer has no such connection with edges and pageInfo")
        whole = [edge for edge in edges if isinstance(edge, dict)]
        if len(whole) < len(edges):
            raise self._stuck("an edge is null")
        end = whole[-1] if whole and self.connection.direction == "forward" else whole[0] if whole else {}
        cursor = end.get("cursor")
        return whole, flag, cursor if isinstance(cursor, str) and cursor else None

    def _stuck(self, why: str) -> FluentAPIError:
        path = ".".join(self.connection.path)
        return FluentAPIError(
            f"Page {self.pages} of {path}: {why}. {self.records:,} records came before; the rest can't be read."
        )


def connection_of(
    query: str,
    *,
    path: str | None = None,
    operation_name: str | None = None,
    direction: Direction | None = None,
) -> Connection:
    """Find the connection that a query asks for.

    Args:
        path: dotted, such as `orders` or `location.inventory`; may be left out where there is one alone.
        direction: may be left out where the connection's arguments say it.

    Raises:
        ConfigurationError: it isn't a query, or has no such connection, or that isn't given a cursor by a variable.
    """
    try:
        document = parse(query, max_tokens=_MAX_TOKENS)
    except (GraphQLSyntaxError, RecursionError) as exc:
        raise ConfigurationError(f"The query can't be read: {exc}") from exc
    operations = [each for each in document.definitions if isinstance(each, OperationDefinitionNode)]
    if operation_name is not None:
        operations = [each for each in operations if each.name and each.name.value == operation_name]
    if len(operations) != 1:
        raise ConfigurationError(
            f"The document has {len(operations)} operations"
            + (f" called {operation_name!r}" if operation_name else "; name the one to run")
            + "."
        )
    if operations[0].operation is not OperationType.QUERY:
        raise ConfigurationError(
            "Only a query is read page after page; this would do a mutation again and again."
        )
    fragments = {
        each.name.value: each for each in document.definitions if isinstance(each, FragmentDefinitionNode)
    }
    found = dict(_connections(operations[0].selection_set, fragments, (), frozenset()))
    wanted = tuple(path.split(".")) if path is not None else None
    if wanted is not None and wanted not in found:
        known = ", ".join(".".join(each) for each in found) or "none"
        raise ConfigurationError(
            f"The query has no connection {path!r} with edges and pageInfo. It has: {known}."
        )
    paged = {at: field for at, field in found.items() if wanted in {None, at} and _cursors(field)}
    if len(paged) != 1:
        known = ", ".join(".".join(each) for each in found) or "none"
        what = "gives no connection a cursor by a variable" if not paged else "pages several connections"
        raise ConfigurationError(
            f"The query {what} (it has: {known}). Write `orders(first: $first, after: $after)` with "
            "`edges { cursor node {…} } pageInfo { hasNextPage }`, and name it with `connection` if there are several."
        )
    [(at, field)] = paged.items()
    cursors = _cursors(field)
    if direction is None:
        if len(cursors) > 1:
            raise ConfigurationError(
                f"{'.'.join(at)} is given both after and before: say which direction to read."
            )
        [direction] = cursors
    elif direction not in cursors:
        raise ConfigurationError(
            f"To read {'.'.join(at)} {direction}, the query must give it a variable for {_ARGUMENTS[direction][1]!r}."
        )
    _demand_selected(field, fragments, _ARGUMENTS[direction][2], ".".join(at))
    return Connection(
        path=at,
        direction=direction,
        size=_variables(field).get(_ARGUMENTS[direction][0]),
        cursor=cursors[direction],
    )


def _connections(
    selected: SelectionSetNode,
    fragments: Mapping[str, FragmentDefinitionNode],
    at: tuple[str, ...],
    inside: frozenset[str],
) -> Iterator[tuple[tuple[str, ...], FieldNode]]:
    """Yield every field that asks for edges and pageInfo; what is inside edges comes once for each, so no deeper."""
    for field in _fields(selected, fragments, inside):
        if field.selection_set is None:
            continue
        here = (*at, field.alias.value if field.alias else field.name.value)
        names = {each.name.value for each in _fields(field.selection_set, fragments, inside)}
        if {"edges", "pageInfo"} <= names:
            yield here, field
        elif "edges" not in names:
            yield from _connections(field.selection_set, fragments, here, inside)


def _fields(
    selected: SelectionSetNode, fragments: Mapping[str, FragmentDefinitionNode], inside: frozenset[str]
) -> Iterator[FieldNode]:
    for each in selected.selections:
        if isinstance(each, FieldNode):
            yield each
        elif isinstance(each, InlineFragmentNode):
            yield from _fields(each.selection_set, fragments, inside)
        elif isinstance(each, FragmentSpreadNode) and each.name.value not in inside:
            spread = fragments.get(each.name.value)
            if spread is not None:
                yield from _fields(spread.selection_set, fragments, inside | {each.name.value})


def _variables(field: FieldNode) -> dict[str, str]:
    return {
        each.name.value: each.value.name.value
        for each in field.arguments or ()
        if isinstance(each.value, VariableNode)
    }


def _cursors(field: FieldNode) -> dict[Direction, str]:
    given = _variables(field)
    return {direction: given[names[1]] for direction, names in _ARGUMENTS.items() if names[1] in given}


def _demand_selected(
    field: FieldNode, fragments: Mapping[str, FragmentDefinitionNode], flag: str, path: str
) -> None:
    missing = []
    for name, wanted in (("edges", "cursor"), ("pageInfo", flag)):
        inner = [
            below.name.value
            for each in _fields(
                field.selection_set or SelectionSetNode(selections=()), fragments, frozenset()
            )
            if each.name.value == name and each.selection_set is not None
            for below in _fields(each.selection_set, fragments, frozenset())
        ]
        if wanted not in inner:
            missing.append(f"{path}.{name} must ask for {wanted}")
    if missing:
        raise ConfigurationError("The query can't be read page after page:", problems=missing)
