"""Records to GraphQL mutations: one record, one request; or many records in one, under aliases.

A mapping is read and checked once. In strict mode, the default, every fault of a record is told and nothing stands in
for a value that can't be read. With `compat=True` the results are those of the TypeScript SDK; docs/graphql-mapping.md
has the table of differences.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from difflib import get_close_matches
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from fc_connect.errors import ConfigurationError, FieldProblem, MappingError, ParseError
from fc_connect.mapping.aliases import AliasedResponse, parse_aliased_response
from fc_connect.mapping.compat_mutation import CompatMutation
from fc_connect.mapping.compat_nodes import CompatNodes
from fc_connect.mapping.mutation_fields import Scope, Target, evaluated
from fc_connect.mapping.mutation_plan import Compiler, own_calls
from fc_connect.mapping.mutation_query import (
    Argument,
    MutationDocument,
    aliased_document,
    build_aliased_mutation_query,
    build_mutation_query,
    document_of,
    infer_input_type_name,
    variable_of,
    variable_problems,
)
from fc_connect.mapping.mutation_results import (
    AliasedRequest,
    MutationBatch,
    MutationOutcome,
    MutationReject,
    MutationRequest,
    NodesOutcome,
)
from fc_connect.mapping.nodes import compile_nodes, extract_nodes
from fc_connect.mapping.xml_records import read_xml

if TYPE_CHECKING:
    from graphql import GraphQLSchema

__all__ = ["GraphQLMutationMapper"]

_FORMATS: Final = ("xml", "json", "jsonl")
_KNOWN: Final = {
    "version",
    "mutation",
    "operationName",
    "sourceFormat",
    "arguments",
    "fields",
    "nodes",
    "returnFields",
    "aliasBatching",
    "compat",
}
_NOTES: Final = {
    "name",
    "description",
    "comment",
    "notes",
    "direction",
    "metadata",
    "$schema",
    "id",
    "schemaValidation",
    "schemaCacheTTL",
}
_PER_BATCH, _MOST_PER_BATCH = 5, 20
_SHOWN_CHARACTERS = 200

BeforeMapping = Callable[[Any], Any]
"""Takes the record and returns the one to map."""
AfterMapping = Callable[[dict[str, Any], Any], dict[str, Any]]
"""Takes the variables and the record, and returns the variables to send."""


class GraphQLMutationMapper:
    """Turns records into requests for one GraphQL mutation. Safe to share between threads if its resolvers are."""

    def __init__(
        self,
        config: Mapping[str, Any],
        *,
        compat: bool | None = None,
        resolvers: Mapping[str, Callable[..., Any]] | None = None,
        transforms: Mapping[str, Callable[..., Any]] | None = None,
        context: Mapping[str, Any] | None = None,
        environment: Mapping[str, str] | None = None,
        schema: GraphQLSchema | None = None,
        before: BeforeMapping | None = None,
        after: AfterMapping | None = None,
        imports: bool = True,
    ) -> None:
        """Read a mapping.

        Args:
            compat: give the results of the TypeScript SDK; without it, what the mapping's own `compat` says.
            resolvers: functions of (value), (value, record) or (value, record, context), by name.
            transforms: the same; in compat mode these alone are known to `map`, and `custom.…` resolvers to nodes.
            context: what `$context.…` reads, and resolvers are given.
            environment: the variables that a constant `${NAME}` may read. Nothing else of the environment is seen.
            imports: whether the mapping may name any `module:function`, which is then loaded and called. Say no where
                others write the mapping.
            schema: what the query and, in strict mode, the variables of every record are checked against.

        Raises:
            ConfigurationError: the mapping can't be used; every fault is listed.
        """
        if not isinstance(config, Mapping):
            raise ConfigurationError(f"A mutation mapping is an object, not {type(config).__name__}.")
        source_format = config.get("sourceFormat", "json" if not compat else None)
        if compat and isinstance(source_format, str) and source_format.lower() in _FORMATS:
            source_format = source_format.lower()
            config = {**config, "sourceFormat": source_format}
        if source_format not in _FORMATS:
            shown = "undefined" if source_format is None else source_format
            raise ConfigurationError(f"Unsupported source format: {shown}. Must be 'xml' or 'json'.")
        self.compat = config.get("compat") is True if compat is None else compat
        self._config = config
        self._is_xml = source_format == "xml"
        self._imports = imports
        self._context = dict(context or {})
        self._schema = schema
        self._before, self._after = before, after
        own = {**(transforms or {}), **(resolvers or {})}
        if self.compat:
            self._compat = CompatMutation(config, transforms=transforms or {}, environment=environment or {})
            self._resolvers = dict(own)
            return
        problems = _unknown(config)
        self._nodes = compile_nodes(config.get("nodes"), problems)
        self._xml_nodes = frozenset(node.name for node in self._nodes if node.parse == "xml")
        self._plan = self._compiled(own, environment or {}, problems)
        self._document = self._documented(problems)
        self._per_batch = _batch_size(config, problems)
        if problems:
            raise ConfigurationError("The mutation mapping can't be used:", problems=problems)

    # Strict mode's plan

    def _compiled(
        self, own: Mapping[str, Callable[..., Any]], environment: Mapping[str, str], problems: list[str]
    ) -> tuple[Target, ...]:
        compiler = Compiler(
            nodes=[node.name for node in self._nodes],
            own=own_calls(own, problems),
            environment=environment,
            problems=problems,
            imports=self._imports,
        )
        fields, arguments = self._config.get("fields"), self._config.get("arguments")
        if fields is not None and arguments is not None:
            problems.append("has `fields` and `arguments`; give one")
        elif isinstance(fields, Mapping):
            if not fields:
                problems.append("fields: is empty")
            return (Target(name="input", at="fields", children=compiler.children(fields, "fields")),)
        elif isinstance(arguments, Mapping):
            return tuple(
                compiler.target(name, each, f"arguments.{name}")
                for name, each in arguments.items()
                if not name.startswith("_")
            )
        else:
            problems.append("needs `arguments` or `fields`, an object")
        return ()

    def _documented(self, problems: list[str]) -> MutationDocument:
        mutation = self._config.get("mutation")
        if not isinstance(mutation, str):
            problems.append("mutation: needs the name of a mutation, such as createOrder")
            return MutationDocument("", "", (), "")
        returned = self._config.get("returnFields")
        if returned is not None and not (
            isinstance(returned, list | tuple) and all(isinstance(each, str) for each in returned)
        ):
            problems.append("returnFields: expected a list of names, or of selections such as 'items { id }'")
            return MutationDocument("", "", (), "")
        arguments = [Argument(each.name, self._type(mutation, each.name, problems)) for each in self._plan]
        return document_of(self._config, arguments, schema=self._schema, problems=problems)

    def _type(self, mutation: str, name: str, problems: list[str]) -> str:
        arguments = self._config.get("arguments")
        given = arguments.get(name) if isinstance(arguments, Mapping) else None
        named = given.get("_type") if isinstance(given, Mapping) else None
        if isinstance(named, str):
            return named
        if named is not None:
            problems.append(f"arguments.{name}._type: expected text, such as CreateOrderInput!")
        mutations = None if self._schema is None else self._schema.mutation_type
        if mutations is not None and mutation in mutations.fields and name in mutations.fields[mutation].args:
            return str(mutations.fields[mutation].args[name].type)
        if name == "input":
            return f"{infer_input_type_name(mutation)}!"
        if self._schema is None:
            problems.append(f"arguments.{name}: needs a _type, such as ID! (or give the schema)")
        return "JSON"

    # What callers use

    @cached_property
    def query(self) -> str:
        """The document for one record."""
        return build_mutation_query(self._config) if self.compat else self._document.query

    def build_mutation(self) -> str:
        """Return the document for one record."""
        return self.query

    def register_resolver(self, name: str, function: Callable[..., Any]) -> None:
        """Add a transform, as the TypeScript SDK does; in strict mode all are given to the constructor."""
        if not self.compat:
            raise ConfigurationError("In strict mode resolvers are given to the constructor, as `resolvers`.")
        self._compat.register(name, function)
        self._resolvers[name] = function

    def map(
        self, record: Any, *, before: BeforeMapping | None = None, after: AfterMapping | None = None
    ) -> MutationRequest:
        """Return the request for a record: a mapping, or the text of an XML document.

        Raises:
            MappingError: with every fault of the record.
        """
        for hook in (self._before, before):
            record = record if hook is None else hook(record)
        variables = self._compat.variables(record) if self.compat else self._variables(record)[0]
        for change in (self._after, after):
            variables = variables if change is None else change(variables, record)
        if not self.compat and self._schema is not None:
            _demand(variable_problems(self._schema, self._document, variables))
        return MutationRequest(query=self.query, variables=variables, operation_name=self._operation_name())

    def map_safe(self, record: Any) -> MutationOutcome:
        """Do the same, and tell what is wrong instead of raising it."""
        try:
            request = self.map(record)
        except MappingError as exc:
            return MutationOutcome(success=False, query=self.query, variables={}, error=exc)
        return MutationOutcome(success=True, query=request.query, variables=request.variables)

    def map_with_nodes(
        self,
        root: Any,
        *,
        resolvers: Mapping[str, Callable[..., Any]] | None = None,
        context: Mapping[str, Any] | None = None,
    ) -> NodesOutcome:
        """Return the request for a record with nodes, or what is wrong with the record; raises for neither.

        `context` is added to that of the mapper. In strict mode `map` does the same, and `resolvers` belong to the
        constructor, where they are checked.
        """
        told = dict(context or {})
        try:
            if self.compat:
                return self._compat_nodes(root, resolvers or {}, told)
            if resolvers:
                raise ConfigurationError(
                    "In strict mode resolvers are given to the constructor, as `resolvers`."
                )
            variables, _ = self._variables(root, context={**self._context, **told})
            if self._schema is not None:
                _demand(variable_problems(self._schema, self._document, variables))
        except MappingError as exc:
            return NodesOutcome(
                success=False,
                data={} if self.compat else None,
                variables={},
                query=self.query if not self.compat else "",
                context=told,
                errors=(str(exc),),
                problems=exc.problems,
            )
        data = variables["input"] if list(variables) == ["input"] else variables
        return NodesOutcome(success=True, data=data, variables=variables, query=self.query, context=told)

    def batch_map(self, items: Sequence[Any], *, after: AfterMapping | None = None) -> MutationBatch:
        """Return requests for all of the items, several in each, under aliases.

        An item that can't be mapped is a reject with its index, and the others go. In compat mode there is one request,
        for as many of the first items as fit, and one bad item is an error for all.

        Raises:
            MappingError: in compat mode; an item can't be mapped, or there are none.
        """
        if self.compat:
            return self._compat_batch(items)
        mapped: list[tuple[int, dict[str, Any]]] = []
        rejects = []
        for index, item in enumerate(items):
            try:
                mapped.append((index, self.map(item, after=after).variables))
            except MappingError as exc:
                rejects.append(MutationReject(index=index, error=exc))
        size = self._per_batch
        requests = [
            self._aliased(mapped[start : start + size], items) for start in range(0, len(mapped), size)
        ]
        return MutationBatch(requests=tuple(requests), rejects=tuple(rejects))

    def parse_aliased_response(
        self,
        response: Any,
        count: int,
        inputs: Sequence[Any] | None = None,
        *,
        extract_ref: Callable[[Any], Any] | None = None,
    ) -> AliasedResponse:
        """Say what became of each of `count` mutations of one request; see the function of that name."""
        mutation = str(self._config["mutation"])
        return parse_aliased_response(
            response, count, mutation, inputs, extract_ref=extract_ref, compat=self.compat
        )

    def map_to_intermediate(self, record: Any, *, now: datetime | None = None) -> dict[str, Any]:
        """Return the variables with what is known of them, in the form of the TypeScript SDK's intermediate layer.

        Raises:
            MappingError: with every fault of the record.
        """
        variables = self.map(record).variables
        arguments = self._config.get("arguments")
        types = [
            str(each["_type"]).rstrip("!")
            for each in (arguments.values() if isinstance(arguments, Mapping) else ())
            if isinstance(each, Mapping) and each.get("_type")
        ]
        meta: dict[str, Any] = {
            "schema": {
                "name": types[0] if types else "MutationInput",
                "mutation": self._config["mutation"],
                "version": "1.0",
            },
            "validation": {"status": "valid", "errors": [], "warnings": []},
            "direction": "forward",
        }
        if now is not None:
            meta["createdAt"] = now.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return {"data": variables, "_meta": meta}

    # Inside

    def _operation_name(self) -> str:
        if not self.compat:
            return self._document.operation_name
        return str(self._config.get("operationName") or f"{self._config['mutation']}Mutation")

    def _variables(
        self, record: Any, *, context: Mapping[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        problems: list[FieldProblem] = []
        root = self._read(record)
        known = self._context if context is None else context
        nodes = extract_nodes(self._nodes, root, known, problems)
        scope = Scope(
            current=root,
            root=root,
            nodes=nodes,
            context=known,
            is_xml=self._is_xml,
            xml_nodes=self._xml_nodes,
            has_fields=self._config.get("fields") is not None,
        )
        variables = evaluated(self._plan, scope, problems)
        _demand(problems)
        return variables, nodes

    def _read(self, record: Any) -> Any:
        if isinstance(record, str | bytes):
            if not self._is_xml:
                raise MappingError("A record is an object; text is read where sourceFormat is xml.")
            try:
                return read_xml(record)
            except ParseError as exc:
                raise MappingError(f"The record can't be read: {exc}") from exc
        if not isinstance(record, Mapping):
            raise MappingError(f"A record is an object, not {type(record).__name__}.")
        return record

    def _aliased(self, mapped: Sequence[tuple[int, dict[str, Any]]], items: Sequence[Any]) -> AliasedRequest:
        document = aliased_document(self._document, len(mapped))
        variables = {
            variable_of(self._document, name, number): value
            for number, (_, each) in enumerate(mapped, 1)
            for name, value in each.items()
        }
        return AliasedRequest(
            query=document.query,
            variables=variables,
            operation_name=document.operation_name,
            mutation=document.mutation,
            indexes=tuple(index for index, _ in mapped),
            items=tuple(items[index] for index, _ in mapped),
        )

    def _compat_batch(self, items: Sequence[Any]) -> MutationBatch:
        if not items:
            raise MappingError("batchMap requires at least one item")
        batching = self._config.get("aliasBatching")
        options = batching if isinstance(batching, Mapping) else {}
        count = min(
            len(items),
            options.get("mutationsPerBatch") or _PER_BATCH,
            options.get("maxMutationsPerBatch") or _MOST_PER_BATCH,
        )
        variables = {}
        for number, item in enumerate(items[:count], 1):
            mapped = self.map(item).variables
            variables[f"input{number}"] = mapped.get("input", mapped)
        mutation = str(self._config["mutation"])
        request = AliasedRequest(
            query=build_aliased_mutation_query(self._config, count),
            variables=variables,
            operation_name=str(
                self._config.get("operationName") or f"Batch{mutation[:1].upper()}{mutation[1:]}s"
            ),
            mutation=mutation,
            indexes=tuple(range(count)),
            items=tuple(items[:count]),
        )
        return MutationBatch(requests=(request,), compat=True)

    def _compat_nodes(
        self, root: Any, resolvers: Mapping[str, Callable[..., Any]], context: dict[str, Any]
    ) -> NodesOutcome:
        known = {**self._resolvers, **resolvers}
        mapper = CompatNodes(self._config, self._compat, known.get)
        data: dict[str, Any] = {}
        nodes: dict[str, Any] = {}
        error: MappingError | None = None
        try:
            nodes = mapper.nodes(root)
            data = mapper.data(root, nodes, context)
        except MappingError as exc:
            error, nodes = exc, {}
        has_fields = self._config.get("fields") is not None
        return NodesOutcome(
            success=error is None,
            data=data,
            variables={"input": data} if has_fields else data,
            query=self.query,
            context=nodes,
            errors=() if error is None else (str(error),),
            problems=() if error is None else error.problems,
        )


def _demand(problems: Sequence[FieldProblem]) -> None:
    if problems:
        told = "; ".join(f"{each.field}: {each.reason}{_shown(each)}" for each in problems)
        raise MappingError(told, problems=problems)


def _shown(problem: FieldProblem) -> str:
    if problem.value is None:
        return ""
    try:
        text = repr(problem.value)
    except (ValueError, RecursionError):  # integers of thousands of digits; nested without end
        return ""
    return f", not {text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + '…'}"


def _unknown(config: Mapping[str, Any]) -> list[str]:
    problems = []
    if not isinstance(config.get("compat", False), bool):
        problems.append(f"compat: expected true or false, not {config['compat']!r}")
    for name in config:
        if name == "customTransforms":
            problems.append("customTransforms: functions are given to the constructor, as `resolvers`")
        elif name not in _KNOWN | _NOTES and not str(name).startswith(("_", "//", "$comment")):
            close = get_close_matches(str(name), sorted(_KNOWN), n=1)
            problems.append(f"{name}: unknown{f'; did you mean {close[0]!r}?' if close else ''}")
    return problems


def _batch_size(config: Mapping[str, Any], problems: list[str]) -> int:
    options = config.get("aliasBatching")
    if options is None:
        return _PER_BATCH
    if not isinstance(options, Mapping):
        problems.append("aliasBatching: expected an object")
        return _PER_BATCH
    sizes = [
        options.get("mutationsPerBatch", _PER_BATCH),
        options.get("maxMutationsPerBatch", _MOST_PER_BATCH),
    ]
    if any(type(size) is not int or size < 1 for size in sizes):
        problems.append("aliasBatching: mutationsPerBatch and maxMutationsPerBatch are whole numbers from 1")
        return _PER_BATCH
    return int(min(sizes))
