"""Whole mapping files to begin with: for an input type, a mutation, a query, or a source alone."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import graphql
from graphql import (
    FieldNode,
    GraphQLInputObjectType,
    GraphQLObjectType,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    get_named_type,
    get_nullable_type,
)

from fc_connect.errors import ConfigurationError, listed
from fc_connect.mapping.analyze import FieldProfile
from fc_connect.mapping.draft import RESOLVERS, Draft, DraftOptions, draft_for_type
from fc_connect.mapping.entity_check import is_needed
from fc_connect.mapping.matching import best_matches
from fc_connect.mapping.mutation_plan import FIELD_OPTIONS
from fc_connect.mapping.outline import TODO
from fc_connect.mapping.schema import mutation_field

__all__ = [
    "draft_entity_file",
    "draft_mutation_file",
    "draft_query_file",
    "draft_sample_file",
    "operation_in",
]

_SAMPLES = 3
_MAX_DEPTH = 20


def draft_entity_file(
    name: str,
    expected: GraphQLInputObjectType,
    draft: Draft,
    *,
    entity_type: str | None,
    source_format: str | None,
) -> dict[str, Any]:
    """Return a universal mapping file for an input type, or for the entities of a batch."""
    content: dict[str, Any] = {"version": "1.0", "name": name}
    if source_format is not None:
        content["sourceFormat"] = source_format
    if entity_type is not None:
        content["entityType"] = entity_type
    about: dict[str, Any] = {} if entity_type is not None else {"type": expected.name}
    return _with_rest(content, about, draft)


def draft_sample_file(
    name: str, profiles: Sequence[FieldProfile], *, is_flat: bool, source_format: str | None
) -> tuple[dict[str, Any], Draft]:
    """Return a universal mapping file that carries every value of a source over, named after it."""
    draft = Draft()
    _copied(draft, profiles, "", draft.fields, is_flat)
    content: dict[str, Any] = {"version": "1.0", "name": name}
    if source_format is not None:
        content["sourceFormat"] = source_format
    return _with_rest(content, {}, draft), draft


def draft_mutation_file(
    mutation: str,
    schema: GraphQLSchema | None,
    profiles: Sequence[FieldProfile] | None = None,
    *,
    document: OperationDefinitionNode | None = None,
    is_flat: bool = False,
    source_format: str = "json",
    options: DraftOptions | None = None,
) -> tuple[dict[str, Any], Draft]:
    """Return a mutation mapping file: every variable of the document, or every argument of the mutation.

    Raises:
        ConfigurationError: the schema has no such mutation or type, or an input type is there and no schema is.
    """
    whole = Draft()
    arguments: dict[str, Any] = {}
    for name, type_text in _arguments(mutation, schema, document).items():
        arguments[name] = _argument(
            whole, name, type_text, schema, profiles, is_flat, options or DraftOptions()
        )
    content: dict[str, Any] = {"version": "1.0", "mutation": mutation, "sourceFormat": source_format}
    if document is not None and document.name is not None:
        content["operationName"] = document.name.value
    content["arguments"] = arguments
    content["returnFields"] = _return_fields(mutation, schema, document)
    if rest := _rest(whole):
        content["metadata"] = rest
    return content, whole


def draft_query_file(
    name: str,
    query: str,
    schema: GraphQLSchema | None,
    *,
    document: OperationDefinitionNode | None = None,
    max_depth: int = 3,
) -> tuple[dict[str, Any], Draft]:
    """Return a universal mapping file for the records of a query: the nodes of its connection, or its object.

    Raises:
        ConfigurationError: the schema has no such query, or neither it nor a document says what there is.
    """
    draft = Draft()
    root = None if schema is None or schema.query_type is None else schema.query_type.fields.get(query)
    if schema is not None and root is None:
        known = [] if schema.query_type is None else list(schema.query_type.fields)
        raise ConfigurationError(f"The schema has no query {query[:100]!r}. It has: {listed(known)}")
    record = None if root is None else _node_type(get_named_type(root.type))
    if document is not None:
        selected = next(each for each in _fields_of(document) if each.name.value == query)
        draft.fields = _selected(draft, _node_selection(selected), record, "", {}, 0)
    elif record is not None:
        draft.fields = _all_plain(draft, record, "", {}, (record.name,), max_depth)
    else:
        raise ConfigurationError(
            "A query needs its .graphql file, or a schema, to say which fields there are."
        )
    content = {"version": "1.0", "name": name, "direction": "extract", "sourceFormat": "graphql"}
    about = {"query": query} | ({} if record is None else {"type": record.name})
    return _with_rest(content, about, draft), draft


def operation_in(text: str, kind: str) -> tuple[str, OperationDefinitionNode]:
    """Return the operation of a document and the name of its first field.

    Args:
        kind: `mutation` or `query`.

    Raises:
        ConfigurationError: it isn't GraphQL, or has no operation of that kind, or several.
    """
    try:
        document = graphql.parse(text, max_tokens=100_000, allow_empty_selection_sets=False)
    except graphql.GraphQLError as exc:
        raise ConfigurationError(f"The document isn't GraphQL: {exc}") from exc
    except RecursionError as exc:
        raise ConfigurationError("The document is nested too deeply.") from exc
    wanted = OperationType(kind)
    found = [
        each
        for each in document.definitions
        if isinstance(each, OperationDefinitionNode) and each.operation is wanted
    ]
    if len(found) != 1:
        raise ConfigurationError(
            f"The document has {len(found)} operations of the kind {kind}: one is needed."
        )
    fields = _fields_of(found[0])
    if not fields:
        raise ConfigurationError(f"The {kind} selects no field by name.")
    return fields[0].name.value, found[0]


# Mutations


def _arguments(
    mutation: str, schema: GraphQLSchema | None, document: OperationDefinitionNode | None
) -> dict[str, str]:
    if document is not None and document.variable_definitions:
        return {
            each.variable.name.value: graphql.print_ast(each.type) for each in document.variable_definitions
        }
    if schema is None:
        raise ConfigurationError(
            "A mutation needs a schema, or a .graphql file with its variables, to say what it takes: --schema FILE"
        )
    return {name: str(each.type) for name, each in mutation_field(schema, mutation).args.items()}


def _argument(
    whole: Draft,
    name: str,
    type_text: str,
    schema: GraphQLSchema | None,
    profiles: Sequence[FieldProfile] | None,
    is_flat: bool,
    options: DraftOptions,
) -> dict[str, Any]:
    bare = re.sub(r"[\[\]!]", "", type_text)
    found = None if schema is None else schema.type_map.get(bare)
    if schema is not None and found is None:
        raise ConfigurationError(
            f"The schema has no type {bare[:100]!r}, which the variable ${name[:100]} is of."
        )
    written: dict[str, Any] = {"_type": type_text}
    if isinstance(found, GraphQLInputObjectType):
        draft = draft_for_type(found, profiles, is_flat=is_flat, options=options)
        if "[" in type_text:
            written |= {"source": f"{TODO}: path of the list", "isArray": True}
            whole.todos.append(name)
        whole.todos += draft.todos
        whole.unmapped += draft.unmapped
        whole.maybe |= draft.maybe
        whole.unused += draft.unused
        whole.notes += draft.notes
        whole.matched += draft.matched
        inner = _by_own_keys(draft.fields)
        return written | ({"fields": inner} if inner.keys() & FIELD_OPTIONS else inner)
    match = best_matches({name: bare}, [each for each in profiles or () if each.is_plain]).get(name)
    if match is not None and "[" not in type_text:
        whole.matched += 1
        resolver = {"resolver": RESOLVERS[bare]} if bare in RESOLVERS else {}
        needed = {"required": True} if type_text.endswith("!") else {}
        said = f"{type_text}; {match.confidence}: {match.why}"
        return {**written, "source": match.profile.path, **needed, **resolver, "comment": said}
    if schema is None and bare not in RESOLVERS:
        whole.notes.append(f"${name}: what {bare} holds isn't known without a schema")
    whole.todos.append(name)
    written["source"] = f"{TODO}: path of {name}"
    if type_text.endswith("!"):
        written["required"] = True
    return written | ({"resolver": RESOLVERS[bare]} if bare in RESOLVERS else {})


def _by_own_keys(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields as a mutation file nests them: as keys of the object, or in `fields` where names would clash."""
    return {name: _own(each) for name, each in fields.items()}


def _own(written: Mapping[str, Any]) -> dict[str, Any]:
    """Return a field as a mutation file has it, where there are no conditions."""
    settings = {name: each for name, each in written.items() if name not in {"fields", "when"}}
    if "when" in written:
        settings["comment"] = settings["comment"].replace("left out where", "an empty text is rejected;")
    if settings.get("isArray"):
        settings = {name: each for name, each in settings.items() if name != "comment"}
        settings |= {"autoWrap": True, "comment": written["comment"]}  # XML has no lists of one
    inner = _by_own_keys(written.get("fields") or {})
    if inner.keys() & FIELD_OPTIONS or (inner and "source" in settings and not settings.get("isArray")):
        return {**settings, "fields": inner}
    return {**settings, **inner}


def _return_fields(
    mutation: str, schema: GraphQLSchema | None, document: OperationDefinitionNode | None
) -> list[str]:
    if document is not None:
        for each in _fields_of(document):
            if each.name.value == mutation and each.selection_set is not None:
                return [
                    " ".join(graphql.print_ast(selection).split())
                    for selection in each.selection_set.selections
                ]
    result = None if schema is None else get_named_type(mutation_field(schema, mutation).type)
    if isinstance(result, GraphQLObjectType):
        return [name for name in ("id", "ref") if name in result.fields] or list(result.fields)[:1]
    return ["id"]


# Queries


def _fields_of(node: Any) -> list[FieldNode]:
    there = node.selection_set.selections if node.selection_set is not None else ()
    return [each for each in there if isinstance(each, FieldNode)]


def _node_selection(node: FieldNode) -> FieldNode:
    """Return what is selected of each record: below `edges.node`, where there is one."""
    for edges in _fields_of(node):
        if edges.name.value == "edges":
            for inner in _fields_of(edges):
                if inner.name.value == "node":
                    return inner
    return node


def _node_type(result: Any) -> Any:
    """Return the type of the records: that of the nodes of a connection, or the type itself."""
    fields = getattr(result, "fields", {})
    if "edges" in fields:
        node = getattr(get_named_type(fields["edges"].type), "fields", {}).get("node")
        return result if node is None else get_named_type(node.type)
    return result


def _selected(
    draft: Draft, node: FieldNode, given: Any, source: str, taken: dict[str, Any], depth: int
) -> dict[str, Any]:
    for each in _fields_of(node):
        key = each.alias.value if each.alias is not None else each.name.value
        if key == "__typename":
            continue
        field = getattr(given, "fields", {}).get(each.name.value)
        path = f"{source}.{key}" if source else key
        if not _fields_of(each):
            _extracted(draft, taken, path, field)
        elif depth >= _MAX_DEPTH:
            draft.notes.append(f"{path}: is nested too deeply")
        elif _is_plural(each, field):
            inner = _node_selection(each)
            record = None if field is None else _node_type(get_named_type(field.type))
            below = _selected(draft, inner, record, "", {}, depth + 1)
            taken[_camel(path)] = {"source": path, "isArray": True, "fields": below}
        else:
            below_type = None if field is None else get_named_type(field.type)
            _selected(draft, each, below_type, path, taken, depth + 1)
    return taken


def _is_plural(node: FieldNode, field: Any) -> bool:
    if any(each.name.value == "edges" for each in _fields_of(node)):
        return True
    return field is not None and isinstance(get_nullable_type(field.type), graphql.GraphQLList)


def _all_plain(
    draft: Draft,
    record: GraphQLObjectType,
    source: str,
    taken: dict[str, Any],
    above: tuple[str, ...],
    depth: int,
) -> dict[str, Any]:
    """Take every plain value of a type, and of the objects in it; lists and connections are left to a document."""
    for name, field in getattr(record, "fields", {}).items():
        path = f"{source}.{name}" if source else name
        inner = get_named_type(field.type)
        if any(is_needed(argument) for argument in field.args.values()):
            draft.notes.append(f"{path}: needs arguments; write a .graphql file to have it")
        elif not hasattr(inner, "fields"):
            _extracted(draft, taken, path, field)
        elif "edges" in inner.fields or isinstance(get_nullable_type(field.type), graphql.GraphQLList):
            draft.notes.append(f"{path}: is a list; write a .graphql file to have it")
        elif inner.name not in above and depth > 1:
            _all_plain(draft, inner, path, taken, (*above, inner.name), depth - 1)
    return taken


def _extracted(draft: Draft, taken: dict[str, Any], path: str, field: Any) -> None:
    written: dict[str, Any] = {"source": path}
    if field is not None:
        written["comment"] = str(field.type)
    taken[_camel(path)] = written
    draft.matched += 1


def _camel(path: str) -> str:
    first, *rest = path.split(".")
    return first + "".join(each[:1].upper() + each[1:] for each in rest)


# Sources alone


def _copied(
    draft: Draft, profiles: Sequence[FieldProfile], parent: str, fields: dict[str, Any], is_flat: bool
) -> None:
    for profile in profiles:
        if profile.parent != parent:
            continue
        name = _target_name(profile.name, fields)
        step = profile.path if is_flat else profile.path[len(parent) :].removeprefix(".")
        found = profile.suggestion()
        written: dict[str, Any] = {"source": step}
        if profile.holds_fields:
            is_list = "list" in profile.value_types
            inner: dict[str, Any] = {}
            _copied(draft, profiles, f"{profile.path}[*]" if is_list else profile.path, inner, is_flat)
            if inner:
                written |= {"isArray": True} if is_list else {}
                fields[name] = {**written, "comment": found.looks_like, "fields": inner}
                continue
        if found.resolver is not None:
            written["resolver"] = found.resolver
        comment = f"{found.looks_like}; {found.why}"
        if profile.samples:
            comment += f"; such as {', '.join(profile.samples[:_SAMPLES])}"
        if found.must_decide:
            comment = f"{TODO}: {comment}"
            draft.todos.append(profile.path)
        if profile.missing and found.resolver is not None:
            written["when"] = {"source": step}
            comment += f"; left out where the source has none: {profile.missing:,} of {profile.parents:,}"
        draft.matched += 1
        fields[name] = {**written, "comment": comment}


def _target_name(name: str, taken: Mapping[str, Any]) -> str:
    words = re.sub(r"[^A-Za-z0-9]+", " ", name).split() or ["field"]
    words = [each.lower() if each.isupper() else each for each in words]
    camel = words[0][:1].lower() + words[0][1:] + "".join(each[:1].upper() + each[1:] for each in words[1:])
    candidate, number = camel, 2
    while candidate in taken:
        candidate, number = f"{camel}{number}", number + 1
    return candidate


# What is said about the rest


def _with_rest(content: dict[str, Any], about: dict[str, Any], draft: Draft) -> dict[str, Any]:
    content["fields"] = draft.fields
    about |= _rest(draft)
    if about:
        content["metadata"] = about
    return content


def _rest(draft: Draft) -> dict[str, Any]:
    rest: dict[str, Any] = {
        "notMapped": draft.unmapped,
        "maybe": draft.maybe,
        "notRead": draft.unused,
        "notes": draft.notes,
    }
    return {name: each for name, each in rest.items() if each}
