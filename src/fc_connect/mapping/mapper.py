"""A mapping, compiled once into one Python function; called per record.

The generated source holds only names of ours: every text of the config is bound as a constant, so none of it becomes
code. A record that fails is mapped once more by the plain interpreter beside it, which collects every fault and so
defines what the compiled function must give.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import msgspec

from fc_connect.errors import ConfigurationError, FieldProblem, MappingError, listed
from fc_connect.mapping.resolvers import RESOLVERS, parse_int

if TYPE_CHECKING:
    from fc_connect.mapping.config import FieldConfig, MappingConfig

__all__ = ["Mapper", "compile_mapping", "encode_entity"]

_ABSENT: Any = object()
_encode = msgspec.json.Encoder(decimal_format="number").encode
_SHOWN_CHARACTERS = 200  # of a value in a message; the rejects file has more of it
_PART = re.compile(r"([^\[\]]*)((?:\[[0-9]+\])*)")


def encode_entity(entity: Mapping[str, Any]) -> bytes:
    """Return the entity as JSON in UTF-8, without a newline.

    Raises:
        MappingError: it holds something that JSON has no form for.
    """
    try:
        encoded = _encode(entity)
    except (TypeError, ValueError, OverflowError, RecursionError) as exc:
        raise MappingError(f"The entity can't be written as JSON: {exc}") from exc
    # msgspec writes a float that is NaN as null, and a Decimal that is as NaN.
    if (b"null" in encoded or b"NaN" in encoded or b"Infinity" in encoded) and _holds_no_number(entity):
        raise MappingError("The entity holds a number that JSON has no form for: NaN or infinity")
    return encoded


@dataclass(frozen=True, slots=True)
class _Rule:
    """One field, ready to be applied to any record."""

    target: tuple[str, ...]
    name: str
    config: FieldConfig
    read: Callable[[Any], Any] | None
    """From a record; None where the field reads nothing."""
    index: int | None
    """Of the column, for positional rows."""
    resolve: Callable[..., Any] | None
    arity: int
    """How many of (value, record, context) the resolver takes."""


class Mapper:
    """Turns records into entities. Safe to share between threads if its resolvers are."""

    def __init__(
        self, rules: Sequence[_Rule], columns: tuple[str, ...] | None, context: Mapping[str, Any]
    ) -> None:
        self._rules = tuple(rules)
        self._columns = columns
        self._context = context
        self._fast = _compiled(self._rules, columns, context)

    def __call__(self, record: Any) -> dict[str, Any]:
        """Return the entity of a record: a row of the given columns, or a dict.

        Raises:
            MappingError: with every fault of the record.
        """
        try:
            return self._fast(record)
        except Exception:  # noqa: BLE001 (the interpreter says which field it was, and why)
            return self.interpret(record)

    def interpret(self, record: Any) -> dict[str, Any]:
        """Do the same without compiled code, field by field; slower, and the reference for it."""
        entity: dict[str, Any] = {}
        problems: list[FieldProblem] = []
        named = self._named(record)
        for rule in self._rules:
            value = _ABSENT
            try:
                value = self._begin(rule, record)
                _demand(rule, value)
                if _is_empty(value) and rule.config.has_default:
                    value = rule.config.default
                if rule.resolve is not None:
                    arguments = (None if value is _ABSENT else value, named, self._context)
                    resolved = rule.resolve(*arguments[: rule.arity])
                    value = _ABSENT if resolved is None and value is _ABSENT else resolved
                    if rule.read is None and not rule.config.has_value:
                        _demand(rule, value)
                if value is not _ABSENT:
                    _put(entity, rule.target, value)
            except Exception as exc:  # noqa: BLE001 (a resolver may raise anything; the record is rejected)
                problems.append(_problem(rule, value if value is not _ABSENT else None, exc))
        if problems:
            told = "; ".join(f"{each.field}: {each.reason}, not {_shown(each.value)}" for each in problems)
            raise MappingError(told, problems=problems)
        return entity

    def _begin(self, rule: _Rule, record: Any) -> Any:
        if rule.config.has_value:
            return rule.config.value
        if rule.index is not None:
            return record[rule.index]
        return _ABSENT if rule.read is None else rule.read(record)

    def _named(self, record: Any) -> Any:
        return record if self._columns is None else dict(zip(self._columns, record, strict=True))


def compile_mapping(
    config: MappingConfig,
    *,
    columns: Sequence[str] | None,
    resolvers: Mapping[str, Callable[..., Any]] | None = None,
    context: Mapping[str, Any] | None = None,
) -> Mapper:
    """Compile a mapping for records of these columns, or for dicts where `columns` is None.

    A resolver of one's own is called with as many of (value, record as a dict, context) as it takes; what it raises
    rejects the record, and what it returns is the field's value.

    Raises:
        ConfigurationError: a column or resolver that isn't there; all of them are named.
    """
    problems: list[str] = []
    own = dict(resolvers or {})
    rules = []
    for name, field in config.fields.items():
        index, read = _source(name, field, columns, problems)
        resolve = _resolver(name, field, own, problems)
        rules.append(
            _Rule(
                target=tuple(name.split(".")),
                name=name,
                config=field,
                read=read,
                index=index,
                resolve=resolve,
                arity=_arity(name, resolve, problems),
            )
        )
    if problems:
        raise ConfigurationError("The mapping doesn't fit:", problems=problems)
    return Mapper(rules, None if columns is None else tuple(columns), context or {})


def _source(
    name: str, field: FieldConfig, columns: Sequence[str] | None, problems: list[str]
) -> tuple[int | None, Callable[[Any], Any] | None]:
    if not field.source or field.has_value:
        return None, None
    if columns is not None:
        if field.source in columns:
            return list(columns).index(field.source), lambda row: row
        close = get_close_matches(field.source, columns, n=1, cutoff=0.5)
        hint = f" Did you mean {listed(close)!r}?" if close else ""
        problems.append(
            f"fields.{name}: there is no column {field.source!r}.{hint} The file has: {listed(columns)}"
        )
        return None, None
    steps: list[str | int] = []
    for part in field.source.split("."):
        match = _PART.fullmatch(part)
        if match is None or not part:
            problems.append(f"fields.{name}: the source {field.source!r} isn't a path this version knows")
            return None, None
        steps += [match[1]] if match[1] else []
        steps += [int(number) for number in re.findall(r"[0-9]+", match[2])]
    return None, _path_reader(tuple(steps))


def _path_reader(steps: tuple[str | int, ...]) -> Callable[[Any], Any]:
    def read(record: Any) -> Any:
        value = record
        for step in steps:
            if isinstance(value, Mapping) and step in value:
                value = value[step]
            elif isinstance(value, list) and (isinstance(step, int) or step.isdecimal()):
                position = int(step)
                if position >= len(value):
                    return _ABSENT
                value = value[position]
            else:
                return _ABSENT
        return value

    return read


def _resolver(
    name: str, field: FieldConfig, own: Mapping[str, Callable[..., Any]], problems: list[str]
) -> Callable[..., Any] | None:
    if field.resolver is None:
        return None
    found = RESOLVERS.get(field.resolver) or own.get(field.resolver)
    if found is None:
        known = [*RESOLVERS, *own]
        close = get_close_matches(field.resolver, known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known)}"
        problems.append(f"fields.{name}: there is no resolver {field.resolver!r}; {hint}")
    return found


def _arity(name: str, resolve: Callable[..., Any] | None, problems: list[str]) -> int:
    if resolve is None or resolve in RESOLVERS.values():
        return 1
    try:
        parameters = inspect.signature(resolve).parameters.values()
    except (TypeError, ValueError):
        return 1  # a builtin that doesn't tell: the value alone
    positional = [p for p in parameters if p.kind in {p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD}]
    needed = sum(p.default is p.empty for p in positional)
    unfit = any(p.kind is p.KEYWORD_ONLY and p.default is p.empty for p in parameters)
    if needed > 3 or unfit or (not positional and not any(p.kind is p.VAR_POSITIONAL for p in parameters)):
        problems.append(
            f"fields.{name}: a resolver takes (value), (value, record) or (value, record, context)"
        )
    return max(1, min(3, len(positional) or 3))


def _compiled(
    rules: Sequence[_Rule], columns: tuple[str, ...] | None, context: Mapping[str, Any]
) -> Callable[[Any], dict[str, Any]]:
    names: dict[str, Any] = {
        "ABSENT": _ABSENT,
        "parse_int": parse_int,
        "context": context,
        "columns": columns,
    }
    lines = ["def apply(row):"]
    if columns is not None:
        lines.append(f" if len(row) != {len(columns)}: raise ValueError")
    if any(rule.arity > 1 for rule in rules):
        lines.append(" record = row" if columns is None else " record = dict(zip(columns, row))")
    lines.append(" entity = {}")
    for number, rule in enumerate(rules):
        lines += [f" {line}" for line in _field_lines(number, rule, names)]
    lines.append(" return entity")
    # Of the config only numbers get into the text; all else is in `names`.
    exec(compile("\n".join(lines), "<compiled mapping>", "exec"), names)  # noqa: S102
    function: Callable[[Any], dict[str, Any]] = names["apply"]
    return function


def _field_lines(number: int, rule: _Rule, names: dict[str, Any]) -> list[str]:
    config = rule.config
    if config.has_value:
        names[f"value{number}"] = config.value
        lines = [f"v = value{number}"]
    elif rule.index is not None:
        lines = [f"v = row[{rule.index}]"]
    elif rule.read is not None:
        names[f"read{number}"] = rule.read
        lines = [f"v = read{number}(row)"]
    else:
        lines = ["v = ABSENT"]
    may_miss = rule.index is None and not config.has_value
    empty = "v == '' or v is None or v is ABSENT" if may_miss else "v == '' or v is None"
    if config.required and (rule.read is not None or config.has_value):
        lines.append(f"if {empty}: raise ValueError")
    if config.has_default:
        names[f"default{number}"] = config.default
        lines.append(f"if {empty}: v = default{number}")
        may_miss = False
    if rule.resolve is not None:
        names[f"resolve{number}"] = rule.resolve
        arguments = ", ".join(("v", "record", "context")[: rule.arity])
        if rule.resolve is parse_int:
            call = "int(v) if v.__class__ is str and v.isdecimal() and v.isascii() and len(v) < 19 else parse_int(v)"
        else:
            call = f"resolve{number}({arguments})"
        if may_miss:
            resolved = call.replace("(v", "(None", 1) if rule.resolve is not parse_int else "None"
            lines.append(f"if v is ABSENT:\n  v = {resolved}\n  if v is None: v = ABSENT\n else: v = {call}")
        else:
            lines.append(f"v = {call}")
        if config.required and rule.read is None and not config.has_value:
            lines.append("if v == '' or v is None or v is ABSENT: raise ValueError")
    names[f"put{number}"] = _put
    names[f"target{number}"] = rule.target if len(rule.target) > 1 else rule.target[0]
    put = f"put{number}(entity, target{number}, v)" if len(rule.target) > 1 else f"entity[target{number}] = v"
    lines.append(f"if v is not ABSENT: {put}" if may_miss else put)
    return lines


def _put(entity: dict[str, Any], target: tuple[str, ...], value: Any) -> None:
    for name in target[:-1]:
        entity = entity.setdefault(name, {})
    entity[target[-1]] = value


def _is_empty(value: Any) -> bool:
    return value is _ABSENT or value is None or (isinstance(value, str) and value == "")


class _MissingError(ValueError):
    pass


def _demand(rule: _Rule, value: Any) -> None:
    if rule.config.required and (rule.read is not None or rule.config.has_value or rule.resolve is not None):
        is_resolver_only = rule.read is None and not rule.config.has_value
        if _is_empty(value) and not (is_resolver_only and value is _ABSENT):
            raise _MissingError("is required, and is missing or empty")


def _problem(rule: _Rule, value: Any, exc: Exception) -> FieldProblem:
    reason = str(exc)
    if (
        rule.resolve is not None
        and rule.resolve not in RESOLVERS.values()
        and not isinstance(exc, _MissingError)
    ):
        reason = f"resolver {rule.config.resolver!r} failed: {type(exc).__name__}: {exc}"
    return FieldProblem(field=rule.name, source=rule.config.source, value=value, reason=reason)


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # integers of thousands of digits; nested without end
        return f"a {type(value).__name__} that can't be shown"
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"


def _holds_no_number(value: Any) -> bool:
    if isinstance(value, float):
        return value != value or value in {float("inf"), float("-inf")}
    if isinstance(value, Decimal):
        return not value.is_finite()
    if isinstance(value, Mapping):
        return any(_holds_no_number(each) for each in value.values())
    return isinstance(value, list | tuple) and any(_holds_no_number(each) for each in value)
