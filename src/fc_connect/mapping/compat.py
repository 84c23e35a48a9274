"""`compat: true`: a mapping as the TypeScript SDK reads it, lost values included.

What it makes of a record is a fact about that SDK (version 0.1.56), not a choice: keys that it ignores are ignored
here, and numbers that aren't are 0. Two things are otherwise: nothing of one record turns up in the next, and no path
reaches anything but data.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fc_connect.errors import FieldProblem, MappingError
from fc_connect.mapping.compat_resolvers import COMPAT_RESOLVERS
from fc_connect.mapping.javascript import is_truthy, to_string
from fc_connect.mapping.rules import Call, Read, Rule, Steps, is_empty, taken
from fc_connect.mapping.values import ABSENT

__all__ = ["compat_field", "compat_interpret", "compat_items", "compat_put", "compat_rules"]

_INDEXED = re.compile(r"(.+)\[([0-9]+)\]", re.DOTALL)
_WHOLE_NUMBER = re.compile(r"0|[1-9][0-9]*")
_LARGEST_INDEX = 100_000
"""Of a list that a target fills up: beyond this it is a slip of the pen, and would take the memory."""

_NO_FIELDS = "Cannot convert undefined or null to object"
_NULL_FIELD = "Cannot read properties of null (reading 'required')"


def compat_rules(fields: Any, own: Mapping[str, Call]) -> tuple[Rule, ...]:
    """Make rules of `fields` as they are in the file; a fault of one turns up when it is applied.

    `own` are the user's resolvers; they win over the built-in ones.
    """
    if not isinstance(fields, Mapping):
        return (Rule(name="", target=("",), fault=_NO_FIELDS),) if fields is None or fields is ABSENT else ()
    targets = [_target(name) for name in fields]
    return tuple(
        _rule(name, fields[name], own, into=_is_put_into(_target(name), targets))
        for name in sorted(fields, key=_place)
    )


def _place(name: str) -> int:
    """Sort names as a JavaScript object has them: whole numbers first, then all others as they were written."""
    is_number = _WHOLE_NUMBER.fullmatch(name) is not None and int(name) < 2**32 - 1
    return int(name) if is_number else 2**32


def _is_put_into(target: Steps, targets: Sequence[Steps]) -> bool:
    return any(len(other) > len(target) and other[: len(target)] == target for other in targets)


def _rule(name: str, config: Any, own: Mapping[str, Call], *, into: bool) -> Rule:
    target = _target(name)
    if config is None:
        return Rule(name=name, target=target, fault=_NULL_FIELD)
    if not isinstance(config, Mapping):
        config = {}
    source = config.get("source")
    given = config.get("value", ABSENT)
    default = config.get("defaultValue", ABSENT)
    resolver = config.get("resolver")
    required = is_truthy(config.get("required", ABSENT))
    fields = config.get("fields")
    has_fields = fields is not None and is_truthy(fields)
    read = None
    is_array = has_fields and is_truthy(config.get("isArray", ABSENT))
    if is_truthy(source if source is not None else ABSENT):
        if isinstance(source, str):
            read = _reader(source, is_array=is_array)
        elif has_fields or given is ABSENT:
            read = Read(text=to_string(source), function=_no_array if is_array else _unreadable)
    calls: tuple[Call, ...] = ()
    if not has_fields and is_truthy(resolver if resolver is not None else ABSENT):
        calls = (_call(resolver, own),)
    return Rule(
        name=name,
        target=target,
        read=read,
        has_value=given is not ABSENT,
        value=given,
        has_default=default is not ABSENT,
        default=default,
        required=required,
        calls=calls,
        fields=compat_rules(fields, own) if has_fields else None,
        is_array=is_array,
        copies=into or isinstance(given, dict | list) or isinstance(default, dict | list),
    )


def _call(resolver: Any, own: Mapping[str, Call]) -> Call:
    name = to_string(resolver)  # a list of one name is that name in JavaScript
    if name in own:
        return own[name]
    if name in COMPAT_RESOLVERS:
        return Call(
            name=name,
            function=COMPAT_RESOLVERS[name],
            code=_CODE.get(name),
            is_remembered=name in _REMEMBERED,
        )

    def missing(*_: Any) -> Any:
        raise _ResolverMissingError(f"Resolver '{name}' not found")

    return Call(name=name, function=missing)


class _ResolverMissingError(Exception):
    pass


_REMEMBERED = {
    "sdk.parseInt",
    "sdk.parseFloat",
    "sdk.number",
    "sdk.boolean",
    "sdk.formatDate",
    "sdk.formatDateShort",
    "sdk.parseDate",
}
_CODE = {
    "sdk.uppercase": "v.upper()",
    "sdk.lowercase": "v.lower()",
    "sdk.toString": "v",
}


# Reading


def _reader(source: str, *, is_array: bool) -> Read:
    if is_array and "[*]" in source:
        return Read(text=source, function=_every(source))
    steps = _path(source)
    plain = all(isinstance(step, str) and not _WHOLE_NUMBER.fullmatch(step) for step in steps)
    keys = steps if plain and "length" not in steps else None
    return Read(text=source, function=_walk(steps), steps=keys)


def _path(text: str) -> Steps:
    steps: list[str | int] = []
    for part in text.split("."):
        if match := _INDEXED.fullmatch(part):
            steps += [match[1], int(match[2])]
        else:
            steps.append(part)
    return tuple(steps)


def _unreadable(record: Any) -> Any:
    if is_truthy(record):
        raise ValueError("path.split is not a function")
    return ABSENT


def _no_array(record: Any) -> Any:
    raise ValueError("config.source.includes is not a function")


def _walk(steps: Steps) -> Callable[[Any], Any]:
    def read(record: Any) -> Any:
        if not is_truthy(record):
            return ABSENT
        value = record
        for step in steps:
            value = _step(value, step)
            if value is ABSENT:
                return ABSENT
        return value

    return read


def _step(value: Any, step: str | int) -> Any:
    if isinstance(value, Mapping):
        return value.get(str(step), ABSENT)
    if isinstance(value, str | list):
        if isinstance(step, str):
            if step == "length":
                return len(value) if isinstance(value, list) else len(value.encode("utf-16-le")) // 2
            if not _WHOLE_NUMBER.fullmatch(step):
                return ABSENT
            step = int(step)
        return value[step] if step < len(value) else ABSENT
    return ABSENT


def _every(source: str) -> Callable[[Any], Any]:
    before, *behind = source.split("[*]")
    if not before or len(behind) > 1 or (behind[0] and not behind[0].startswith(".")):
        return lambda record: []
    outer, inner = _walk(_path(before)), _walk(_path(behind[0][1:])) if behind[0] else lambda item: item

    def read(record: Any) -> Any:
        found = outer(record)
        return [inner(item) for item in found] if isinstance(found, list) else []

    return read


def compat_items(value: Any) -> list[Any]:
    """Return the items that an array's source stands for.

    Raises:
        ValueError: an edge is null, or `edges` is no list.
    """
    if isinstance(value, list):
        return value
    if not is_truthy(value):
        return []
    if isinstance(value, Mapping) and "edges" in value:
        edges = value["edges"]
        if not is_truthy(edges):
            return []
        if not isinstance(edges, list):
            raise ValueError("sourceArray.edges.map is not a function")
        return [_node(edge) for edge in edges]
    return [value]


def _node(edge: Any) -> Any:
    if edge is None or edge is ABSENT:
        raise ValueError("Cannot read properties of null (reading 'node')")
    node = edge.get("node", ABSENT) if isinstance(edge, Mapping) else ABSENT
    return node if is_truthy(node) else edge


# Writing


def _target(name: str) -> Steps:
    steps: list[str | int] = []
    for part in name.split("."):
        if match := _INDEXED.fullmatch(part):
            steps += [match[1], int(match[2])]
        else:
            steps.append(part)
    return tuple(steps)


def compat_put(entity: dict[str, Any], target: Steps, value: Any) -> None:
    """Put a value at its place. What is in the way and no container is overwritten; a null is a fault.

    Raises:
        ValueError: a null is in the way, or a list would grow beyond any sense.
    """
    node: Any = entity
    for step, following in itertools.pairwise(target):
        filled: Any = [] if isinstance(following, int) else {}
        if isinstance(step, int):
            _grow(node, step + 1, dict)
            if not isinstance(node[step], dict | list):
                node[step] = filled
            node = node[step]
            continue
        if isinstance(node, list):
            return  # a property of a JavaScript list, which no JSON shows
        if step in node and node[step] is None and not isinstance(following, int):
            raise ValueError(f"Cannot set properties of null (setting '{following}')")
        if not isinstance(node.get(step), list if isinstance(following, int) else dict | list):
            node[step] = filled
        node = node[step]
    last = target[-1]
    if isinstance(last, int):
        _grow(node, last + 1, lambda: ABSENT)
        node[last] = value
    elif isinstance(node, list):
        if not _WHOLE_NUMBER.fullmatch(last):
            return
        _grow(node, int(last) + 1, lambda: ABSENT)
        node[int(last)] = value
    else:
        node[last] = value


def _grow(node: list[Any], length: int, fill: Callable[[], Any]) -> None:
    if length > _LARGEST_INDEX:
        raise ValueError("Invalid array length")
    node += [fill() for _ in range(length - len(node))]


# Applying


def compat_interpret(
    rules: Sequence[Rule],
    record: Any,
    *,
    context: Mapping[str, Any],
    skipped: list[str],
) -> tuple[dict[str, Any], list[str]]:
    """Return the entity and the errors of fields that were left out of it.

    Raises:
        MappingError: the record as a whole failed; its one message.
    """
    entity: dict[str, Any] = {}
    errors: list[str] = []
    reading = _Reading(context)
    for rule in rules:
        if rule.fault in {_NO_FIELDS, _NULL_FIELD}:
            raise _failed(rule, rule.fault or "")
        try:
            value = reading.field(rule, record)
            if value is ABSENT:
                skipped.append(rule.name)
            else:
                compat_put(entity, rule.target, value)
        except Exception as exc:
            message = f"Failed to map field '{rule.name}': {exc}"
            if rule.required or "Required field" in str(exc):
                raise _failed(rule, message) from exc
            errors.append(message)
    return entity, errors


def compat_field(rule: Rule, record: Any, *, context: Mapping[str, Any]) -> Any:
    """Return what one rule makes of a record, or `ABSENT`.

    Raises:
        MappingError: the field can't be mapped.
    """
    try:
        return _Reading(context).field(rule, record)
    except Exception as exc:
        raise _failed(rule, str(exc)) from exc


def _failed(rule: Rule, message: str) -> MappingError:
    source = None if rule.read is None else rule.read.text
    return MappingError(
        message, problems=[FieldProblem(field=rule.name, source=source, value=None, reason=message)]
    )


class _Reading:
    def __init__(self, context: Mapping[str, Any]) -> None:
        self._context = context

    def field(self, rule: Rule, record: Any) -> Any:
        if rule.fault is not None:
            raise ValueError(rule.fault)  # inside another field it is a fault of that one
        if rule.fields is None:
            return self._scalar(rule, record)
        if rule.is_array:
            value = ABSENT if rule.read is None else rule.read(record, record)
            return [self._object(rule.fields, item) for item in compat_items(value)]
        if rule.read is not None:
            found = rule.read(record, record)
            if found is None or found is ABSENT:
                if rule.required:
                    raise ValueError(
                        f"Required nested object '{rule.name}' has missing source '{rule.read.text}'"
                    )
                return ABSENT
            record = found
        return self._object(rule.fields, record)

    def _object(self, rules: Sequence[Rule], record: Any) -> dict[str, Any]:
        entity: dict[str, Any] = {}
        for rule in rules:
            value = self.field(rule, record)
            if value is not ABSENT:
                compat_put(entity, rule.target, value)
        return entity

    def _scalar(self, rule: Rule, record: Any) -> Any:
        value = rule.value if rule.has_value else rule.read(record, record) if rule.read else ABSENT
        if rule.required and not rule.is_resolver_only and is_empty(value):
            source = rule.read.text if rule.read else "none"
            raise ValueError(f"Required field '{rule.name}' is missing or empty (source: {source})")
        if rule.has_default and is_empty(value):
            value = rule.default
        value = taken(rule, value)
        for call in rule.calls:
            value = self._resolved(call, value, record)
        if rule.required and rule.is_resolver_only and is_empty(value):
            raise ValueError(
                f"Required field '{rule.name}' is missing or empty after resolver '{rule.calls[0].name}' execution"
            )
        return value

    def _resolved(self, call: Call, value: Any, record: Any) -> Any:
        try:
            return call.function(*(value, record, self._context)[: call.arity])
        except _ResolverMissingError:
            raise
        except Exception as exc:
            raise ValueError(f"Resolver '{call.name}' failed: {exc}") from exc
