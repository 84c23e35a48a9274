"""GraphQL schemas: read from SDL or an introspection, kept in a file with when and from where they were fetched.

A schema that holds nothing would let every mapping pass, so what is empty, cut short or an error is refused here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import graphql
from graphql import GraphQLError, GraphQLInputObjectType, GraphQLNamedType, GraphQLObjectType, GraphQLSchema

from fc_connect.errors import ConfigurationError, listed
from fc_connect.mapping.legacy_sdl import modernized

__all__ = [
    "INTROSPECTION_QUERY",
    "SchemaFile",
    "check_document",
    "describe_schema",
    "input_type",
    "load_schema",
    "mutation_field",
    "object_type",
    "read_schema_file",
    "schema_file_text",
]

# Without what older servers refuse to be asked for.
INTROSPECTION_QUERY = graphql.get_introspection_query(
    descriptions=True, specified_by_url=False, directive_is_repeatable=False, schema_description=False
)
"""The question that a server answers with its schema."""

MAX_BYTES = 32 * 1024 * 1024
"""Of a schema; that of a large account, introspected, takes 3 MiB."""
_MAX_TOKENS = 2_000_000
_MAX_TYPES = 20_000
_SHOWN_FAULTS = 10
_STAMP = "fc-connect"
_STAMP_LINE = re.compile(r"# fc-connect: (\{.*\})")


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaFile:
    """A schema, and what its file says of where it comes from."""

    schema: GraphQLSchema
    path: Path | None
    """None where it was fetched and not kept."""
    fetched_at: datetime | None
    """None where the file doesn't say."""
    fetched_from: str | None

    def age(self, *, now: datetime) -> timedelta | None:
        """Return how old it is; None where that isn't known, never less than nothing."""
        return None if self.fetched_at is None else max(timedelta(0), now - self.fetched_at)


def load_schema(source: str | Mapping[str, Any]) -> GraphQLSchema:
    """Return the schema that an SDL text or an introspection describes.

    An introspection is an object with `data`, with `__schema`, or what is below `__schema`. SDL may be of the older
    spelling `type A implements B, C`.

    Raises:
        ConfigurationError: it can't be read, holds errors, or lacks what a whole schema has.
    """
    schema = _from_sdl(source) if isinstance(source, str) else _from_introspection(source)
    _demand_whole(schema)
    # Servers break rules that were made after them, and their schemas are what counts: graphql-core would refuse
    # to check anything against them. `describe_schema` tells which rules.
    return _rebuilt(schema, assume_valid=True)


def read_schema_file(path: Path) -> SchemaFile:
    """Read a schema from a file: SDL, or an introspection in JSON, whatever its name ends with.

    Raises:
        ConfigurationError: it can't be read, or is no whole schema.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError as exc:
        raise ConfigurationError(
            f"There is no schema file {path}. `fc-connect schema fetch` writes one."
        ) from exc
    except (OSError, ValueError) as exc:
        raise ConfigurationError(f"The schema file {path} can't be read: {exc}") from exc
    if len(raw) > MAX_BYTES:
        raise ConfigurationError(f"The schema file {path} is larger than {MAX_BYTES >> 20} MiB.")
    try:
        text = raw.decode("utf-8-sig")
    except ValueError as exc:
        raise ConfigurationError(f"The schema file {path} isn't UTF-8: {exc}") from exc
    try:
        stamp: Any
        if text.lstrip().startswith(("{", "[")):
            content = _json(text)
            stamp = content.get(_STAMP)
            schema = load_schema(content)
        else:
            match = _STAMP_LINE.match(text)
            stamp = _json(match[1]) if match else None
            schema = load_schema(text)
    except ConfigurationError as exc:
        raise ConfigurationError(f"The schema file {path} can't be used: {exc}") from exc
    stamp = stamp if isinstance(stamp, Mapping) else {}
    fetched_from = stamp.get("fetchedFrom")
    return SchemaFile(
        schema=schema,
        path=path,
        fetched_at=_instant(stamp.get("fetchedAt")),
        fetched_from=fetched_from if isinstance(fetched_from, str) else None,
    )


def schema_file_text(
    data: Mapping[str, Any], *, fetched_at: datetime, fetched_from: str, as_json: bool = False
) -> str:
    """Return the text of a schema file for the `data` of an introspection: SDL, or JSON.

    Raises:
        ConfigurationError: it is no whole schema; such a one isn't worth keeping.
    """
    schema = load_schema(data)
    stamp = {
        "fetchedAt": fetched_at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "fetchedFrom": fetched_from,
    }
    if as_json:
        return json.dumps({_STAMP: stamp, "data": dict(data)}, indent=1, ensure_ascii=False) + "\n"
    return f"# {_STAMP}: {json.dumps(stamp)}\n\n{graphql.print_schema(schema)}\n"


def describe_schema(schema: GraphQLSchema) -> dict[str, Any]:
    """Return how much the schema has of what, and every rule of GraphQL that it breaks, one sentence each."""
    own = [each for name, each in schema.type_map.items() if not name.startswith("__")]
    return {
        "types": len(own),
        "inputs": sum(isinstance(each, GraphQLInputObjectType) for each in own),
        "queries": len(schema.query_type.fields) if schema.query_type else 0,
        "mutations": len(schema.mutation_type.fields) if schema.mutation_type else 0,
        "faults": [fault.message for fault in graphql.validate_schema(_rebuilt(schema, assume_valid=False))],
    }


def _rebuilt(schema: GraphQLSchema, *, assume_valid: bool) -> GraphQLSchema:
    settings: dict[str, Any] = {**schema.to_kwargs(), "assume_valid": assume_valid}
    return GraphQLSchema(**settings)


def check_document(schema: GraphQLSchema, document: str) -> list[str]:
    """Return what the queries and mutations of a document break of the schema, with line and column."""
    try:
        faults = graphql.validate(schema, graphql.parse(document, max_tokens=_MAX_TOKENS))
    except GraphQLError as exc:
        faults = [exc]
    except RecursionError:
        return ["is nested too deeply"]
    except TypeError as exc:  # a schema that wasn't read by `load_schema`, and breaks the rules
        return [str(exc)]
    return [_placed(fault) for fault in faults]


def input_type(schema: GraphQLSchema, name: str) -> GraphQLInputObjectType:
    """Return the input type of that name; `!` behind it is left out.

    Raises:
        ConfigurationError: there is none; it says which are near.
    """
    wanted = name.strip().rstrip("!")
    found = schema.type_map.get(wanted)
    if isinstance(found, GraphQLInputObjectType):
        return found
    raise _missing(wanted, "input type", _names(schema, GraphQLInputObjectType), found)


def object_type(schema: GraphQLSchema, name: str) -> GraphQLObjectType:
    """Return the object type of that name.

    Raises:
        ConfigurationError: there is none; it says which are near.
    """
    found = schema.type_map.get(name)
    if isinstance(found, GraphQLObjectType):
        return found
    raise _missing(name, "object type", _names(schema, GraphQLObjectType), found)


def mutation_field(schema: GraphQLSchema, name: str) -> graphql.GraphQLField:
    """Return the mutation of that name.

    Raises:
        ConfigurationError: there is none; it says which are near.
    """
    known = {} if schema.mutation_type is None else schema.mutation_type.fields
    if name in known:
        found: graphql.GraphQLField = known[name]
        return found
    raise _missing(name, "mutation", list(known), None)


def _missing(name: str, kind: str, known: list[str], other: GraphQLNamedType | None) -> ConfigurationError:
    if other is not None:
        return ConfigurationError(f"{name} is no {kind} of the schema, it is another kind of type.")
    close = get_close_matches(name, known, n=3)
    hint = f" Did you mean {' or '.join(close)}?" if close else f" It has: {listed(known) or 'none'}."
    return ConfigurationError(f"The schema has no {kind} {name[:100]!r}.{hint}")


def _names(schema: GraphQLSchema, kind: type[GraphQLNamedType]) -> list[str]:
    return [
        name for name, each in schema.type_map.items() if isinstance(each, kind) and not name.startswith("__")
    ]


def _from_sdl(text: str) -> GraphQLSchema:
    if not text.strip():
        raise ConfigurationError("The schema is empty.")
    try:
        try:
            document = graphql.parse(text, max_tokens=_MAX_TOKENS)
        except graphql.GraphQLSyntaxError:
            document = graphql.parse(modernized(text), max_tokens=_MAX_TOKENS)
        if len(document.definitions) > _MAX_TYPES:
            raise ConfigurationError(f"The schema has more than {_MAX_TYPES:,} definitions.")
        return graphql.build_ast_schema(document)
    except GraphQLError as exc:
        raise ConfigurationError(f"The schema isn't GraphQL: {_placed(exc)}") from exc
    except RecursionError as exc:
        raise ConfigurationError("The schema is nested too deeply.") from exc
    except TypeError as exc:  # of build_ast_schema: all that the types break, a blank line between two
        raise _faulty(str(exc).split("\n\n")) from exc


def _from_introspection(content: Mapping[str, Any]) -> GraphQLSchema:
    if content.get("errors"):
        raise ConfigurationError(
            f"The introspection holds errors: {json.dumps(content['errors'], default=str)[:500]}"
        )
    data = content.get("data", content)
    described = data.get("__schema", data) if isinstance(data, Mapping) else None
    types = described.get("types") if isinstance(described, Mapping) else None
    if not isinstance(types, list) or not types:
        raise ConfigurationError(
            "It is no introspection of a schema, or an empty one: `__schema` with its `types` is missing."
        )
    if len(types) > _MAX_TYPES:
        raise ConfigurationError(f"The schema has more than {_MAX_TYPES:,} types.")
    try:
        return graphql.build_client_schema({"__schema": _completed(described)})
    except GraphQLError as exc:
        raise _faulty([exc.message]) from exc
    except (TypeError, KeyError, AttributeError, ValueError, RecursionError) as exc:
        raise _faulty([f"{type(exc).__name__}: {exc}"]) from exc


def _completed(described: Any) -> Any:
    """Return the introspection with what graphql-core demands and older tools leave out."""
    return {"directives": [], **described}


def _faulty(faults: list[str]) -> ConfigurationError:
    shown = [each.strip()[:300] for each in faults[:_SHOWN_FAULTS]]
    if len(faults) > _SHOWN_FAULTS:
        shown.append(f"… {len(faults):,} faults in all")
    return ConfigurationError("The schema is incomplete or contradicts itself:", problems=shown)


def _demand_whole(schema: GraphQLSchema) -> None:
    """Refuse what was cut short: checks against it would pass for want of anything to break."""
    problems = []
    if schema.query_type is None:
        problems.append("it has no Query type, which every schema has: is this a part of one?")
    elif not schema.query_type.fields:
        problems.append("its Query type has no fields")
    inputs = [each for each in schema.type_map.values() if isinstance(each, GraphQLInputObjectType)]
    problems += [f"the input type {each.name} has no fields" for each in inputs if not each.fields]
    if problems:
        raise _faulty(problems)


def _placed(exc: GraphQLError) -> str:
    where = exc.locations[0] if exc.locations else None
    return f"line {where.line}, column {where.column}: {exc.message}" if where else exc.message


def _json(text: str) -> Mapping[str, Any]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise ConfigurationError(f"It isn't JSON: {exc}") from exc
    if not isinstance(content, Mapping):
        raise ConfigurationError("It is no introspection: expected an object.")
    return content


def _instant(written: Any) -> datetime | None:
    try:
        instant = datetime.fromisoformat(str(written))
    except ValueError:
        return None
    return instant if instant.tzinfo is not None else None
