"""The GraphQL documents of a mutation mapping: built from syntax trees, checked, values always in variables.

Two forms. The strict one is made of graphql-core's tree, so nothing from a mapping can end up as syntax that it wasn't
meant to be. The compat one has the very text of the TypeScript SDK, and is read by the same parser before it is used.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fc_connect.errors import ConfigurationError, FieldProblem

if TYPE_CHECKING:
    from graphql import FieldNode, GraphQLSchema, TypeNode

__all__ = [
    "Argument",
    "MutationDocument",
    "aliased_document",
    "build_aliased_mutation_query",
    "build_mutation_query",
    "document_of",
    "infer_input_type_name",
    "variable_problems",
]

_NAME = re.compile(r"[_A-Za-z][_0-9A-Za-z]*")
_SHOWN = 10
_MAX_TEXT = 20_000  # characters of return fields


def infer_input_type_name(mutation: str) -> str:
    """Return the input type that Fluent's naming gives a mutation: `CreateOrderInput` for `createOrder`."""
    return f"{mutation[:1].upper()}{mutation[1:]}Input"


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a mutation."""

    name: str
    type: str
    """As GraphQL writes it: `CreateOrderInput!`."""


@dataclass(frozen=True, slots=True)
class MutationDocument:
    """What a mutation is asked with, apart from values."""

    mutation: str
    operation_name: str
    arguments: tuple[Argument, ...]
    query: str
    return_fields: tuple[str, ...] = field(default=())


def document_of(
    config: Mapping[str, Any],
    arguments: Sequence[Argument],
    *,
    schema: GraphQLSchema | None,
    problems: list[str],
) -> MutationDocument:
    """Build the document of a checked mapping; what can't be part of one is added to `problems`."""
    mutation = config["mutation"]
    operation = config.get("operationName") or f"{mutation}Mutation"
    returned = _returned(config)
    query = ""
    if _is_name(mutation, "mutation", problems) and _is_name(operation, "operationName", problems):
        tree = _Document(problems)
        types = {each.name: tree.type(each) for each in arguments}
        fields = tree.selection(returned)
        if not problems:
            names = {each.name: each.name for each in arguments}
            query = tree.printed(operation, [(None, mutation, names)], types, fields)
            problems += _schema_problems(schema, query)
    return MutationDocument(mutation, operation, tuple(arguments), query, returned)


def aliased_document(document: MutationDocument, count: int) -> MutationDocument:
    """Return the document that asks the same mutation `count` times, as `<mutation>1` and so on.

    The variables of the n-th are those of the one, with n behind their names; see `variable_of`.
    """
    problems: list[str] = []
    tree = _Document(problems)
    asked = []
    types = {}
    arguments = []
    for number in range(1, count + 1):
        names = {each.name: variable_of(document, each.name, number) for each in document.arguments}
        asked.append((f"{document.mutation}{number}", document.mutation, names))
        for each in document.arguments:
            types[names[each.name]] = tree.type(each)
            arguments.append(Argument(names[each.name], each.type))
    operation = f"Batch{document.mutation[:1].upper()}{document.mutation[1:]}s"
    query = tree.printed(operation, asked, types, tree.selection(document.return_fields))
    return MutationDocument(document.mutation, operation, tuple(arguments), query, document.return_fields)


def variable_of(document: MutationDocument, argument: str, number: int) -> str:
    """Return the variable of an argument in the n-th of several mutations."""
    between = "_" if any(each.name[-1].isdigit() for each in document.arguments) else ""
    return f"{argument}{between}{number}"


def variable_problems(
    schema: GraphQLSchema, document: MutationDocument, variables: Mapping[str, Any]
) -> list[FieldProblem]:
    """Say what of the values the schema doesn't take: unknown fields, missing ones, wrong types, unknown enums."""
    from graphql import parse_type, type_from_ast

    from fc_connect.mapping.entity_check import check_value

    return [
        problem
        for each in document.arguments
        for problem in check_value(
            type_from_ast(schema, parse_type(each.type)), variables.get(each.name), path=each.name
        )
    ]


# The text of the TypeScript SDK


def build_mutation_query(config: Mapping[str, Any]) -> str:
    """Return the text that the TypeScript SDK sends for a mapping.

    Raises:
        ConfigurationError: it isn't a GraphQL document.
    """
    mutation = str(config["mutation"])
    arguments = _compat_arguments(config)
    operation = config.get("operationName") or f"{mutation}Mutation"
    declared = ", ".join(f"${each.name}: {each.type}" for each in arguments)
    given = ", ".join(f"{each.name}: ${each.name}" for each in arguments)
    lines = [
        f"mutation {operation}{f'({declared})' if declared else ''} {{",
        f"  {mutation}{f'({given})' if given else ''} {{",
        *(f"    {each}" for each in _returned(config)),
        "  }",
        "}",
    ]
    return _parsed("\n".join(lines))


def build_aliased_mutation_query(config: Mapping[str, Any], count: int) -> str:
    """Return the text that the TypeScript SDK sends for several mutations at once.

    Raises:
        ConfigurationError: it isn't a GraphQL document.
    """
    mutation = str(config["mutation"])
    kind = infer_input_type_name(mutation)
    declared = ", ".join(f"$input{number}: {kind}!" for number in range(1, count + 1))
    returned = _returned(config, ("id", "ref"))
    operation = str(config.get("operationName") or f"Batch{mutation[:1].upper()}{mutation[1:]}s")
    lines = [f"mutation {operation}({declared}) {{"]
    for number in range(1, count + 1):
        lines.append(f"  {mutation}{number}: {mutation}(input: $input{number}) {{")
        lines += [f"    {each}" for each in returned]
        lines.append("  }")
    lines.append("}")
    return _parsed("\n".join(lines))


def _compat_arguments(config: Mapping[str, Any]) -> list[Argument]:
    arguments = config.get("arguments")
    if isinstance(arguments, Mapping):
        return [
            Argument(name, str(each.get("_type", "JSON")) if isinstance(each, Mapping) else "JSON")
            for name, each in arguments.items()
            if not name.startswith("_")
        ]
    if config.get("fields") is not None:
        return [Argument("input", infer_input_type_name(str(config["mutation"])) + "!")]
    return []


def _parsed(query: str) -> str:
    from graphql import GraphQLError, parse

    try:
        parse(query)
    except (GraphQLError, RecursionError) as exc:
        raise ConfigurationError(f"The mapping doesn't make a GraphQL document: {exc}") from exc
    return query


def _returned(config: Mapping[str, Any], default: tuple[str, ...] | None = None) -> tuple[str, ...]:
    given = config.get("returnFields")
    if isinstance(given, list | tuple) and given:
        return tuple(map(str, given))
    return default or (("id",) if isinstance(config.get("arguments"), Mapping) else ("id", "ref"))


# The tree


class _Document:
    """Builds the parts of a document, and notes what can't be one."""

    def __init__(self, problems: list[str]) -> None:
        self._problems = problems

    def type(self, argument: Argument) -> TypeNode | None:
        from graphql import GraphQLError, parse_type

        if not _is_name(argument.name, f"arguments.{argument.name}", self._problems):
            return None
        try:
            return parse_type(argument.type)
        except GraphQLError as exc:
            self._problems.append(
                f"arguments.{argument.name}._type: {argument.type!r} isn't a type of GraphQL: {exc.message}"
            )
            return None

    def selection(self, returned: Sequence[str]) -> tuple[FieldNode, ...]:
        """Read return fields: names, or selections such as `items { id ref }`."""
        from graphql import FieldNode, GraphQLError, OperationDefinitionNode, parse

        found: list[FieldNode] = []
        if sum(map(len, returned)) > _MAX_TEXT:
            self._problems.append("returnFields: are too long")
            return ()
        for each in returned:
            try:
                [operation] = parse(f"{{ {each} \n}}").definitions
            except (GraphQLError, RecursionError, ValueError) as exc:
                self._problems.append(f"returnFields: {each!r} isn't a field of GraphQL: {exc}")
                continue
            nodes = (
                operation.selection_set.selections if isinstance(operation, OperationDefinitionNode) else ()
            )
            for node in nodes:
                if isinstance(node, FieldNode):
                    found.append(node)
                else:
                    self._problems.append(f"returnFields: {each!r} isn't a field: fragments can't be used")
        return tuple(found)

    def printed(
        self,
        operation: str,
        asked: Sequence[tuple[str | None, str, Mapping[str, str]]],
        types: Mapping[str, TypeNode | None],
        fields: tuple[FieldNode, ...],
    ) -> str:
        from graphql import (
            ArgumentNode,
            DocumentNode,
            FieldNode,
            NameNode,
            OperationDefinitionNode,
            OperationType,
            SelectionSetNode,
            VariableDefinitionNode,
            VariableNode,
            print_ast,
        )

        def variable(name: str) -> VariableNode:
            return VariableNode(name=NameNode(value=name))

        selections = tuple(
            FieldNode(
                alias=None if alias is None else NameNode(value=alias),
                name=NameNode(value=mutation),
                arguments=tuple(
                    ArgumentNode(name=NameNode(value=argument), value=variable(name))
                    for argument, name in names.items()
                ),
                directives=(),
                selection_set=SelectionSetNode(selections=fields) if fields else None,
            )
            for alias, mutation, names in asked
        )
        definitions = tuple(
            VariableDefinitionNode(variable=variable(name), type=kind, default_value=None, directives=())
            for name, kind in types.items()
            if kind is not None
        )
        return print_ast(
            DocumentNode(
                definitions=(
                    OperationDefinitionNode(
                        operation=OperationType.MUTATION,
                        name=NameNode(value=operation),
                        variable_definitions=definitions,
                        directives=(),
                        selection_set=SelectionSetNode(selections=selections),
                    ),
                )
            )
        )


def _is_name(text: Any, at: str, problems: list[str]) -> bool:
    if isinstance(text, str) and _NAME.fullmatch(text):
        return True
    problems.append(f"{at}: {text!r} isn't a name of GraphQL: letters, digits and _, no digit at the front")
    return False


def _schema_problems(schema: GraphQLSchema | None, query: str) -> list[str]:
    if schema is None:
        return []
    from fc_connect.mapping.schema import check_document

    return [f"the schema: {each}" for each in check_document(schema, query)[:_SHOWN]]
