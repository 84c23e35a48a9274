"""The mapper: a mapping made ready once, and applied to one record, a list, or a stream of any length."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from fc_connect.errors import FieldProblem, MappingError
from fc_connect.mapping.compat import compat_field, compat_interpret, compat_items, compat_put, compat_rules
from fc_connect.mapping.compiler import Compiled, compile_rules
from fc_connect.mapping.config import CompatMapping, MappingConfig
from fc_connect.mapping.interpreter import interpret, interpret_field, shown
from fc_connect.mapping.mapping_file import load_mapping
from fc_connect.mapping.plan import own_call, strict_rules
from fc_connect.mapping.rules import Rule, items_of, put

__all__ = ["MapResult", "Mapper", "Reject", "UniversalMapper", "compile_mapping"]

logger = logging.getLogger("fc_connect.mapping")

_MOST_TOLD = 100
"""Different faults of fields that are logged; more would only fill the disk."""

Resolvers = Mapping[str, Callable[..., Any]]
Tables = Mapping[str, Mapping[str, Any]]


class Mapper:
    """Turns records into entities. Safe to share between threads if its resolvers are.

    A resolver may be called twice for a record that can't be mapped: once by the compiled code, and once more to say
    what is wrong with all its fields.
    """

    def __new__(cls, *_given: Any, **_options: Any) -> Self:
        # A class for each mapper: the code of its mapping becomes the class's `__call__`.
        own: type[Self] = type(cls.__name__, (cls,), {"__module__": cls.__module__})
        return super().__new__(own)

    def __init__(
        self,
        rules: Sequence[Rule],
        columns: tuple[str, ...] | None,
        context: Mapping[str, Any],
        *,
        compat: bool,
    ) -> None:
        self.rules = tuple(rules)
        self._columns = columns
        self._context = context
        self._is_compat = compat
        self._told: set[str] = set()
        self._keys = frozenset(_first_keys(self.rules))
        self._optional: frozenset[str] = frozenset()
        self._compile()

    def __call__(self, record: Any) -> dict[str, Any]:
        """Return the entity of a record: a row of the given columns, or a dict.

        With `compat: true`, fields with faults are left out, and each fault is logged as a warning once.

        Raises:
            MappingError: with every fault of the record.
        """
        return self.interpret(record)  # the compiled code takes the place of this method

    def without_key(self, record: Any, error: KeyError) -> dict[str, Any]:
        """Return the entity of a record whose mapping met a KeyError."""
        return self(record) if self._learns(error) else self.interpret(record)

    def interpret(self, record: Any, skipped: list[str] | None = None) -> dict[str, Any]:
        """Do the same without compiled code, field by field; slower, and the reference for it."""
        noted = [] if skipped is None else skipped
        entity, errors = self._interpreted(record, noted)
        for error in errors:
            if error not in self._told and len(self._told) < _MOST_TOLD:
                self._told.add(error)
                logger.warning("compat: a field is left out: %s", error)
        return entity

    def detailed(self, record: Any) -> tuple[dict[str, Any], list[str], list[str]]:
        """Return the entity, the errors of fields that were left out (compat alone), and the fields that came to
        nothing.

        Raises:
            MappingError: as above.
        """
        skipped: list[str] = []
        try:
            return self._function(record, skipped), [], skipped
        except KeyError as exc:
            if self._learns(exc):
                return self.detailed(record)
            skipped = []
            entity, errors = self._interpreted(record, skipped)
            return entity, errors, skipped
        except Exception:  # noqa: BLE001 (as above)
            skipped = []
            entity, errors = self._interpreted(record, skipped)
            return entity, errors, skipped

    def _learns(self, error: KeyError) -> bool:
        """Compile anew for records that may lack a key, the first time that one does; say whether that was it."""
        missing = error.args[0] if error.args else None
        if not isinstance(missing, str) or missing in self._optional or missing not in self._keys:
            return False
        self._optional |= {missing}
        self._compile()
        return True

    def _compile(self) -> None:
        compiled = compile_rules(
            self.rules,
            columns=None if self._is_compat else self._columns,
            context=self._context,
            compat=self._is_compat,
            put=compat_put if self._is_compat else put,
            items=compat_items if self._is_compat else items_of,
            optional=self._optional,
        )
        if self._is_compat and self._columns is not None:
            compiled = _by_name(compiled, self._named)
        self._function = compiled.function
        type(self).__call__ = compiled.method  # type: ignore[method-assign, assignment]

    def one_field(self, rule: Rule, record: Any, root: Any) -> Any:
        """Return what one rule makes of a record, or `ABSENT`.

        Raises:
            MappingError: with the faults of the field.
        """
        if self._is_compat:
            return compat_field(rule, self._named(record), context=self._context)
        return interpret_field(rule, record, root, named=self._named, context=self._context)

    def _interpreted(self, record: Any, skipped: list[str]) -> tuple[dict[str, Any], list[str]]:
        if self._is_compat:
            return compat_interpret(self.rules, self._named(record), context=self._context, skipped=skipped)
        if self._columns is None and not isinstance(record, Mapping):
            problem = FieldProblem(field="", source=None, value=record, reason="expected an object")
            raise MappingError(f"The record: expected an object, not {shown(record)}", problems=[problem])
        entity = interpret(self.rules, record, named=self._named, context=self._context, skipped=skipped)
        return entity, []

    def _named(self, record: Any) -> Any:
        if self._columns is None or isinstance(record, Mapping):
            return record
        return dict(zip(self._columns, record, strict=True))


def _by_name(compiled: Compiled, named: Callable[[Any], Any]) -> Compiled:
    """Return code of dicts as code of rows."""

    def function(row: Any, skipped: Any) -> dict[str, Any]:
        return compiled.function(named(row), skipped)

    def method(mapper: Any, row: Any) -> dict[str, Any]:
        return compiled.method(mapper, named(row))

    return Compiled(function, method)


def _first_keys(rules: Iterable[Rule]) -> Iterator[str]:
    for rule in rules:
        if rule.read is not None and rule.read.steps and isinstance(rule.read.steps[0], str):
            yield rule.read.steps[0]
        yield from _first_keys(rule.fields or ())


def compile_mapping(
    config: MappingConfig | CompatMapping,
    *,
    columns: Sequence[str] | None,
    nested: Set[str] = frozenset(),
    resolvers: Resolvers | None = None,
    context: Mapping[str, Any] | None = None,
    tables: Tables | None = None,
    imports: bool = True,
) -> Mapper:
    """Compile a mapping for records of these columns, or for dicts where `columns` is None.

    Args:
        nested: those of the columns whose values may be objects and lists.
        resolvers: your own, by name. One is called with as many of (value, record as a dict, context) as it takes;
            what it raises rejects the record, and what it returns is the field's value. With `compat: true` an absent
            value is `ABSENT`, and None elsewhere.
        context: what `$context.…` reads.
        tables: what a `lookup` finds by the name it gives as `kv`.
        imports: whether the mapping may name any `module:function`, which is then loaded and called. Say no where
            others write the mapping.

    Raises:
        ConfigurationError: a column, resolver or table that isn't there; all of them are named.
    """
    own = {name: own_call(name, function) for name, function in (resolvers or {}).items()}
    around = {} if context is None else dict(context)
    made_for = None if columns is None else tuple(columns)
    if isinstance(config, CompatMapping):
        rules = compat_rules(config.fields, own)
        return Mapper(rules, made_for, around, compat=True)
    rules = strict_rules(
        config, columns=made_for, nested=nested, own=own, context=around, tables=tables or {}, imports=imports
    )
    return Mapper(rules, made_for, around, compat=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reject:
    """A record that could not be mapped."""

    index: int
    """Its place among those given, from 0."""
    problems: tuple[FieldProblem, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "index": self.index,
            "problems": [
                {"field": each.field, "source": each.source, "value": each.value, "reason": each.reason}
                for each in self.problems
            ],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class MapResult:
    """What came of mapping one record, or a list of them."""

    success: bool
    """Whether everything could be mapped. With `compat: true`: whether anything could."""
    data: Any
    """The entity, or None; of a list the entities of those records that could be mapped."""
    errors: tuple[str, ...] = ()
    skipped_fields: tuple[str, ...] = ()
    """Top-level fields that came to nothing, in any record."""
    rejects: tuple[Reject, ...] = ()
    """What could not be mapped and why; empty with `compat: true`, which has errors alone."""

    def to_dict(self) -> dict[str, Any]:
        """Return it with the TypeScript SDK's names; what is empty is left out."""
        told: dict[str, Any] = {"success": self.success, "data": self.data}
        if self.errors:
            told["errors"] = list(self.errors)
        if self.skipped_fields:
            told["skippedFields"] = list(self.skipped_fields)
        if self.rejects:
            told["rejects"] = [each.to_dict() for each in self.rejects]
        return told


class UniversalMapper:
    """Maps parsed data by a mapping, as the class of this name in the TypeScript SDK does.

    The mapping is made ready once. It is a file, what stood in one, or a loaded mapping; `compat` decides over the
    file's own. The other options are those of `compile_mapping`.

    Raises:
        ConfigurationError: the mapping can't be used; every fault is listed.
    """

    def __init__(
        self,
        config: str | Path | Mapping[str, Any] | MappingConfig | CompatMapping,
        *,
        compat: bool | None = None,
        resolvers: Resolvers | None = None,
        context: Mapping[str, Any] | None = None,
        tables: Tables | None = None,
        folder: Path | None = None,
        imports: bool = True,
    ) -> None:
        if isinstance(config, MappingConfig | CompatMapping):
            self.config = config
        else:
            self.config = load_mapping(config, compat=compat, folder=folder)
        self.mapper = compile_mapping(
            self.config, columns=None, resolvers=resolvers, context=context, tables=tables, imports=imports
        )
        self._one = self._compat_one if self.config.compat else self._strict_one

    def map(self, data: Any) -> MapResult:
        """Map one record, or each record of a list."""
        if not isinstance(data, list):
            return self._one(data, 0)
        return self._compat_list(data) if self.config.compat else self._strict_list(data)

    def stream(self, records: Iterable[Any]) -> Iterator[MapResult]:
        """Map records as they come, one result each; nothing is kept."""
        for index, record in enumerate(records):
            yield self._one(record, index)

    def _strict_one(self, record: Any, index: int) -> MapResult:
        try:
            entity, _, skipped = self.mapper.detailed(record)
        except MappingError as exc:
            reject = Reject(index=index, problems=exc.problems)
            return MapResult(success=False, data=None, errors=(str(exc),), rejects=(reject,))
        return MapResult(success=True, data=entity, skipped_fields=tuple(skipped))

    def _strict_list(self, records: list[Any]) -> MapResult:
        results = list(self.stream(records))
        rejects = tuple(reject for each in results for reject in each.rejects)
        return MapResult(
            success=not rejects,
            data=[each.data for each in results if each.success],
            errors=tuple(
                f"record {each.rejects[0].index}: {error}" for each in results for error in each.errors
            ),
            skipped_fields=_union(results),
            rejects=rejects,
        )

    def _compat_one(self, record: Any, index: int) -> MapResult:
        try:
            entity, errors, skipped = self.mapper.detailed(record)
        except MappingError as exc:
            return MapResult(success=False, data=None, errors=(str(exc),))
        return MapResult(success=True, data=entity, errors=tuple(errors), skipped_fields=tuple(skipped))

    def _compat_list(self, records: list[Any]) -> MapResult:
        results = [self.map(record) for record in records]
        data = [each.data for each in results if each.success]
        return MapResult(
            success=bool(data),
            data=data,
            errors=tuple(error for each in results for error in each.errors),
            skipped_fields=_union(results),
        )


def _union(results: Iterable[MapResult]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for each in results for name in each.skipped_fields))
