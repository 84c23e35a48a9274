"""The schema bound to the entities: every field of `schema.graphql` answered from `KINDS`, none by hand but `me`."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import resources
from typing import Any

import graphql

from fc_connect.sandbox.complexity import Budget
from fc_connect.sandbox.data import (
    KINDS,
    Entities,
    EntityError,
    Kind,
    Link,
    Page,
    Row,
    Rows,
    cursor_of,
    instant,
)
from fc_connect.sandbox.faults import Fault, FieldFaults

__all__ = ["Asked", "field_of", "sandbox_schema"]

logger = logging.getLogger(__name__)

_PAGING = {"first", "last", "before", "after"}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_STEP = timedelta(milliseconds=1)
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
    "language": {"value": "en_AU", "label": "English (Australia)"},
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
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What resolvers know of the request: GraphQL's context value."""

    entities: Entities
    rows: Rows
    at: datetime
    faults: FieldFaults
    budget: Budget


Resolve = Callable[..., Any]


@cache
def sandbox_schema() -> graphql.GraphQLSchema:
    """Build the schema with its resolvers: once, since it takes a moment."""
    text = (resources.files("fc_connect.sandbox") / "schema.graphql").read_text("utf-8")
    schema = graphql.build_schema(text)
    for name, (serialize, parse) in {"DateTime": (_written, instant), "Json": (_as_is, _as_is)}.items():
        scalar = schema.type_map[name]
        if isinstance(scalar, graphql.GraphQLScalarType):
            scalar.coerce_output_value = serialize
            scalar.coerce_input_value = parse
            if name == "DateTime":
                scalar.coerce_input_literal = _instant_literal
    for type_ in schema.type_map.values():
        if isinstance(type_, graphql.GraphQLInterfaceType):
            type_.resolve_type = _type_of
        if isinstance(type_, graphql.GraphQLObjectType) and type_.name in KINDS:
            for name, definition in type_.fields.items():
                definition.resolve = _counted(_of_entity(KINDS[type_.name], name))
    for root in (schema.query_type, schema.mutation_type):
        for name, definition in ({} if root is None else root.fields).items():
            resolve = _query(name, definition) if root is schema.query_type else _mutation(name, definition)
            definition.resolve = _guarded(name, resolve)
    return schema


def field_of(source: Any, info: graphql.GraphQLResolveInfo[Asked], **_: Any) -> Any:
    """Return a field of what is no entity: a part of a connection, an attribute, a price."""
    value = source.get(info.field_name)
    return value() if callable(value) else value


def _counted(resolve: Resolve) -> Resolve:
    def counted(source: Row, info: graphql.GraphQLResolveInfo[Asked], **given: Any) -> Any:
        info.context.budget.spend()
        return resolve(source, info, **given)

    return counted


def _guarded(name: str, resolve: Resolve) -> Resolve:
    """Wrap a field of the roots: faults on demand, and nothing but errors of ours comes out."""

    def guarded(source: Any, info: graphql.GraphQLResolveInfo[Asked], **given: Any) -> Any:
        asked: Asked = info.context
        fault = asked.faults.take_field(name)
        if fault is not None and not fault.is_after_accepting:
            raise _struck(fault)
        try:
            found = resolve(asked, **given)
        except EntityError:
            raise
        except (sqlite3.Error, ValueError, TypeError, RecursionError, OverflowError) as exc:
            logger.exception("sandbox: the GraphQL field %s failed", name)
            raise EntityError(f"The sandbox failed at {name}; see its log.", code="SANDBOX_BUG") from exc
        if fault is not None:
            raise _struck(fault)
        return found

    return guarded


def _struck(fault: Fault) -> EntityError:
    code = fault.code or "C0011E"
    return EntityError(f"Fault on demand: {code}.", code=code)


def _query(name: str, definition: graphql.GraphQLField) -> Resolve:
    if name == "me":
        return _me
    named = graphql.get_named_type(definition.type).name
    if named.endswith("Connection"):
        kind = KINDS[named.removesuffix("Connection")]
        return lambda asked, **given: _connection(asked.rows, kind, given)
    kind = KINDS[named]

    def one(asked: Asked, **given: Any) -> Row | None:
        key = {name: value for name, value in given.items() if value is not None}
        if not key:
            raise EntityError(f"Say which {kind.name}: {' or '.join(definition.args)}.", code="C0140E")
        return asked.rows.find(kind, key)

    return one


def _me(asked: Asked) -> dict[str, Any]:
    retailer = asked.rows.by_id(KINDS["Retailer"], 1)
    return {**ME, "primaryRetailer": retailer}


def _mutation(name: str, definition: graphql.GraphQLField) -> Resolve:
    kind = KINDS[graphql.get_named_type(definition.type).name]

    def change(asked: Asked, **given: Any) -> Row | None:
        wanted = given.get("input")
        if wanted is None:
            raise EntityError(f"{name} needs an input.", code="C0140E")
        write = asked.entities.create if name.startswith("create") else asked.entities.update
        return asked.rows.by_id(kind, write(kind, wanted, at=asked.at))

    return change


def _of_entity(kind: Kind, name: str) -> Resolve:
    """Return the resolver of a field of an entity."""
    if name in kind.lists:
        link = kind.lists[name]
        return lambda source, info, **given: _connection(
            info.context.rows, KINDS[link.kind], given, owner=(link, source["id"])
        )
    if name in kind.refs:
        target = KINDS[kind.refs[name]]
        return lambda source, info: info.context.rows.by_id(target, source[name])
    if kind.columns.get(name) == "json":
        return lambda source, _: None if source[name] is None else json.loads(source[name])
    return lambda source, _: source[name]


def _connection(
    rows: Rows, kind: Kind, given: Mapping[str, Any], *, owner: tuple[Link, int] | None = None
) -> dict[str, Any]:
    filters = {name: value for name, value in given.items() if name not in _PAGING}
    conditions = rows.conditions(kind, filters)
    if owner is not None:
        conditions.append(rows.of_owner(*owner))
    page: Page = rows.page(kind, conditions, given)
    return {
        "edges": [{"cursor": cursor_of(kind, row["id"]), "node": row} for row in page.rows],
        "pageInfo": {"hasNextPage": page.has_next, "hasPreviousPage": page.has_previous},
    }


def _type_of(source: Row, _info: Any, _type: Any) -> str:
    return str(source["kind"])


def _written(value: Any) -> str:
    return f"{(_EPOCH + value * _STEP).isoformat(timespec='milliseconds').removesuffix('+00:00')}Z"


def _instant_literal(node: graphql.ConstValueNode) -> int:
    return instant(node.value if isinstance(node, graphql.StringValueNode) else graphql.print_ast(node))


def _as_is(value: Any) -> Any:
    return value
