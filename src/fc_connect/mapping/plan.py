"""Makes rules of a strict mapping: every path, resolver and table is looked up now, and what isn't there is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from difflib import get_close_matches
from typing import Any

from fc_connect.errors import ConfigurationError, listed
from fc_connect.mapping.calls import own_call, resolver_call
from fc_connect.mapping.checks import checks_of, looked_up
from fc_connect.mapping.conditions import Holds, condition
from fc_connect.mapping.config import FieldConfig, Lookup, MappingConfig, ResolverCall
from fc_connect.mapping.lookups import read_table
from fc_connect.mapping.paths import Path, parse_path
from fc_connect.mapping.resolvers import RESOLVERS, to_string
from fc_connect.mapping.rules import Call, Read, Rule, is_empty, target_steps
from fc_connect.mapping.values import ABSENT

__all__ = ["own_call", "strict_rules"]

Tables = Mapping[str, Mapping[str, Any]]


def strict_rules(
    config: MappingConfig,
    *,
    columns: Sequence[str] | None,
    nested: Set[str] = frozenset(),
    own: Mapping[str, Call],
    context: Mapping[str, Any],
    tables: Tables,
    imports: bool,
) -> tuple[Rule, ...]:
    """Make rules of a mapping, for records of these columns or for objects.

    `nested` are those of the columns whose values may be objects and lists: paths lead into them.

    Raises:
        ConfigurationError: a column, resolver or table that isn't there, or a path that is none; all are named.
    """
    making = _Making(config, columns, nested, own, context, tables, imports)
    making.problems += [
        f"the resolver {name!r} is built in, and can't be replaced" for name in own if name in RESOLVERS
    ]
    rules = making.level(config.fields, "fields", columns)
    if making.problems:
        raise ConfigurationError("The mapping doesn't fit:", problems=making.problems)
    return rules


class _Making:
    def __init__(
        self,
        config: MappingConfig,
        columns: Sequence[str] | None,
        nested: Set[str],
        own: Mapping[str, Call],
        context: Mapping[str, Any],
        tables: Tables,
        imports: bool,
    ) -> None:
        self._imports = imports
        self._config = config
        self._columns = columns
        self._nested = nested
        self._own = own
        self._context = context
        self._tables = tables
        self.problems: list[str] = []

    def level(
        self, fields: Mapping[str, FieldConfig], at: str, columns: Sequence[str] | None
    ) -> tuple[Rule, ...]:
        return tuple(self._rule(name, field, f"{at}.{name}", columns) for name, field in fields.items())

    def _rule(self, name: str, field: FieldConfig, at: str, columns: Sequence[str] | None) -> Rule:
        def read(text: str) -> Read:
            return self._read(text, at, columns)

        fields: tuple[Rule, ...] | None = None
        if field.fields is not None:
            inner = columns if field.source is None else None
            fields = self.level(field.fields, f"{at}.fields", inner)
            if field.source is not None and columns is not None and not self._is_nested(field.source):
                self.problems.append(
                    f"{at}: a column holds one value, so no fields can be read from {field.source!r}"
                )
        ends = list(checks_of(field))
        if field.lookup is not None and (found := self._lookup(field.lookup, at)) is not None:
            ends.insert(0, looked_up(field.lookup, found))
        return Rule(
            name=name,
            target=target_steps(name),
            read=read(field.source) if field.source and not field.has_value else None,
            has_value=field.has_value,
            value=field.value,
            has_default=field.has_default,
            default=field.default,
            required=field.required,
            calls=tuple(self._call(each, at, read) for each in field.resolvers),
            ends=tuple(ends),
            when=None if field.when is None else self._when(field, at, read),
            fields=fields,
            is_array=field.is_array,
            takes_scalars=field.is_array and fields is not None and not any(map(_reads_by_key, fields)),
            copies=isinstance(field.value, dict | list) or isinstance(field.default, dict | list),
        )

    def _when(self, field: FieldConfig, at: str, read: Callable[[str], Read]) -> Holds | None:
        return None if field.when is None else condition(field.when, read)

    # Paths

    def _read(self, text: str, at: str, columns: Sequence[str] | None) -> Read:
        if columns is not None and text in columns:
            place = list(columns).index(text)
            return Read(text=text, function=lambda row: row[place], column=place)
        path = self._path(text, at)
        if path is None:
            return Read(text=text, function=lambda record: ABSENT)
        name = text.removeprefix(f"${path.origin}.")
        if path.origin == "context":
            constant = path.read(self._context)
            if constant is ABSENT:
                self.problems.append(
                    f"{at}: the context has no {name!r}; it has: {listed(list(self._context))}"
                )
            return Read(text=text, function=lambda record: constant, steps=())
        is_root = path.origin == "root"
        found = self._columns if is_root else columns
        if found is None:
            return Read(text=text, function=path.read, of_root=is_root, steps=path.steps)
        if name in found:
            place = list(found).index(name)
            return Read(text=text, function=lambda row: row[place], of_root=is_root, column=place)
        if (inside := self._inside(path, found)) is not None:
            return Read(text=text, function=inside, of_root=is_root)
        close = get_close_matches(name, found, n=1, cutoff=0.5)
        hint = f" Did you mean {listed(close)!r}?" if close else ""
        self.problems.append(f"{at}: there is no column {name!r}.{hint} The file has: {listed(found)}")
        return Read(text=text, function=lambda record: ABSENT)

    def _is_nested(self, text: str) -> bool:
        if text in self._nested:
            return True
        try:
            return not self._nested.isdisjoint(parse_path(text).keys)
        except ConfigurationError:
            return False

    def _inside(self, path: Path, columns: Sequence[str]) -> Callable[[Any], Any] | None:
        """Return what reads a path that leads into a column; None where no column lies on it that may be nested."""
        on_path = [name for name in path.keys if name in self._nested]
        if on_path:
            name, place = on_path[0], list(columns).index(on_path[0])
            return lambda row: path.read({name: row[place]})
        if self._nested and not path.keys:  # a query that may look at all of the record
            return lambda row: path.read(dict(zip(columns, row, strict=True)))
        return None

    def _path(self, text: str, at: str) -> Path | None:
        try:
            return parse_path(text)
        except ConfigurationError as exc:
            self.problems.append(f"{at}: {exc}")
            return None

    # Resolvers

    def _call(self, given: ResolverCall, at: str, read: Callable[[str], Read]) -> Call:
        if given.name == "sdk.concat":
            return self._concat(given, at, read)
        return resolver_call(given, at, own=self._own, problems=self.problems, imports=self._imports)

    def _concat(self, given: ResolverCall, at: str, read: Callable[[str], Read]) -> Call:
        sources, separator = given.options.get("sources"), given.options.get("separator", "")
        unknown = set(given.options) - {"sources", "separator"}
        if (
            unknown
            or not isinstance(sources, list | tuple)
            or not all(isinstance(each, str) for each in sources)
            or not isinstance(separator, str)
        ):
            self.problems.append(f'{at}.resolver: sdk.concat takes {{"sources": [paths], "separator": text}}')
            return Call(name=given.name, function=lambda value: value)
        return Call(
            name=given.name, function=_Concat(tuple(map(read, sources)), separator), arity=3, is_raw=True
        )

    # Tables

    def _lookup(self, lookup: Lookup, at: str) -> Mapping[str, Any] | None:
        try:
            if lookup.values is not None:
                return lookup.values
            if lookup.file is not None:
                path = self._config.folder / lookup.file
                return read_table(path, key=lookup.key, value=lookup.value)
        except ConfigurationError as exc:
            self.problems.append(f"{at}.lookup: {exc}")
            return None
        table = self._tables.get(lookup.kv or "")
        if table is None:
            self.problems.append(
                f"{at}.lookup: the state store has no table {lookup.kv!r}; known: {listed(list(self._tables))}"
            )
        return table


class _Concat:
    """`sdk.concat`: the texts of several sources in one; what is empty is left out."""

    def __init__(self, reads: tuple[Read, ...], separator: str) -> None:
        self.reads = reads
        self.separator = separator

    def __call__(self, value: Any, record: Any, root: Any) -> str | None:
        values = (read(record, root) for read in self.reads)
        texts = [to_string(each) for each in values if not is_empty(each)]
        return self.separator.join(texts) if texts else None


def _reads_by_key(rule: Rule) -> bool:
    inner = rule.fields is not None and rule.read is None and any(map(_reads_by_key, rule.fields))
    return inner or (rule.read is not None and rule.read.steps != () and not rule.read.of_root)
