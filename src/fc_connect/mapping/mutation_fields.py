"""The fields of a mutation mapping, applied to a record: every value, or every reason why there is none."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from fc_connect.errors import FieldProblem
from fc_connect.mapping.paths import Path
from fc_connect.mapping.resolvers import to_string
from fc_connect.mapping.rules import Call
from fc_connect.mapping.values import ABSENT
from fc_connect.mapping.xml_records import text_of

__all__ = ["Concat", "Scope", "Target", "copied", "evaluated", "is_finite"]

_PLAIN = {str, int, bool, type(None)}
_WITHOUT_A_VALUE = {"sdk.uuid", "sdk.defaultTo"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One field of the variables."""

    name: str
    at: str
    """Where the mapping says it."""
    path: Path | None = None
    has_value: bool = False
    value: Any = None
    calls: tuple[Call, ...] = ()
    has_default: bool = False
    default: Any = None
    required: bool = False
    is_list: bool = False
    wraps: bool = False
    least: int = 0
    most: int | None = None
    children: tuple[Target, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Where paths begin."""

    current: Any
    root: Any
    nodes: Mapping[str, Any] = field(default_factory=dict)
    context: Mapping[str, Any] = field(default_factory=dict)
    is_xml: bool = False
    """Whether `current` is XML: one element is a list of one, and an element with attributes has a text."""
    xml_nodes: frozenset[str] = frozenset()
    """The nodes that are."""
    has_fields: bool = False
    """Whether the mapping has `fields`: there, a path in an item once meant the record."""
    is_item: bool = False
    """Whether `current` is an item of a list in such a mapping."""

    def read(self, path: Path) -> Any:
        if path.origin == "record":
            return path.read(self.current)
        if path.origin == "root":
            return path.read(self.root)
        if path.origin == "context":
            return path.read(self.context)
        node = self.nodes.get(path.origin, ABSENT)
        return ABSENT if node is ABSENT else path.read(node)

    def for_value_of(self, path: Path | None) -> Scope:
        """Return the scope with what is known of values at the path."""
        is_xml = path is not None and path.origin in self.xml_nodes
        return replace(self, is_xml=True) if is_xml and not self.is_xml else self

    def record(self) -> Any:
        """Return what a resolver of one's own sees: the record, with the nodes as `$name`."""
        if not self.nodes or not isinstance(self.root, Mapping):
            return self.root
        return {**self.root, **{f"${name}": value for name, value in self.nodes.items()}}


class _FaultError(ValueError):
    """A fault whose reason is told as it is."""


def evaluated(
    targets: Sequence[Target], scope: Scope, problems: list[FieldProblem], at: str = ""
) -> dict[str, Any]:
    """Return the object that the targets make of a record; note every fault."""
    found: dict[str, Any] = {}
    for target in targets:
        value = _value(target, scope, problems, f"{at}.{target.name}" if at else target.name)
        if value is not ABSENT:
            found[target.name] = value
    return found


def _value(target: Target, scope: Scope, problems: list[FieldProblem], at: str) -> Any:
    value: Any = ABSENT
    known = len(problems)
    try:
        value = _read(target, scope)
        scope = scope.for_value_of(target.path)
        if target.is_list:
            value = _list(target, value, scope, problems, at)
        elif target.children is not None:
            value = _object(target, value, scope, problems, at)
        elif scope.is_xml and not target.has_value:
            value = text_of(value)
        if len(problems) > known:
            return ABSENT
        if not target.is_list or target.children is not None:
            value = _resolved(target.calls, value, scope)
        if (value is ABSENT or value is None) and target.has_default:
            value = copied(target.default)
        if target.required and (value is ABSENT or value is None or value == "" or value == []):
            raise _FaultError("is required, and is missing or empty")
        if (target.children is None or target.calls) and not is_finite(value):
            raise _FaultError("expected a number that JSON has a form for")
    except Exception as exc:  # noqa: BLE001 (a resolver may raise anything; the record is rejected)
        problems.append(_problem(target, at, value, exc))
        return ABSENT
    return value


def _read(target: Target, scope: Scope) -> Any:
    if target.has_value:
        return copied(target.value)
    if target.path is None:
        return ABSENT
    value = scope.read(target.path)
    text = target.path.text
    is_unclear = scope.is_item and target.path.origin == "record" and not text.startswith("$")
    if is_unclear and value is ABSENT and target.path.read(scope.root) is not ABSENT:
        raise _FaultError(
            f"{text} isn't in the item, but in the record: write $.{text} for the item's, $root.{text} for that"
        )
    return value


def _object(target: Target, value: Any, scope: Scope, problems: list[FieldProblem], at: str) -> Any:
    assert target.children is not None  # noqa: S101 (asked before)
    if target.path is None:
        return evaluated(target.children, scope, problems, at)
    if value is ABSENT or value is None:
        return ABSENT
    _demand_object(value, target.children)
    return evaluated(target.children, replace(scope, current=value), problems, at)


def _list(target: Target, value: Any, scope: Scope, problems: list[FieldProblem], at: str) -> Any:
    if value is ABSENT or value is None:
        return ABSENT
    if not isinstance(value, list | tuple):
        if not (target.wraps or scope.is_xml):
            raise _FaultError("expected a list (autoWrap makes one of what is alone)")
        value = [value]
    if len(value) < target.least:
        raise _FaultError(f"expected at least {target.least} items, and there are {len(value)}")
    if target.most is not None and len(value) > target.most:
        raise _FaultError(f"expected at most {target.most} items, and there are {len(value)}")
    return [_item(target, item, scope, problems, f"{at}[{index}]") for index, item in enumerate(value)]


def _item(target: Target, item: Any, scope: Scope, problems: list[FieldProblem], at: str) -> Any:
    try:
        if target.children is None:
            item = text_of(item) if scope.is_xml else item
            item = _resolved(target.calls, item, scope)
            if not is_finite(item):
                raise _FaultError("expected a number that JSON has a form for")
            return None if item is ABSENT else item
        _demand_object(item, target.children)
    except Exception as exc:  # noqa: BLE001 (as in _value)
        problems.append(_problem(target, at, item, exc))
        return None
    inner = replace(scope, current=item, is_item=scope.has_fields)
    return evaluated(target.children, inner, problems, at)


def _resolved(calls: Sequence[Call], value: Any, scope: Scope) -> Any:
    """Apply a chain; a built-in resolver makes nothing of what isn't there, but for those whose job that is."""
    for call in calls:
        is_nothing = value is ABSENT or value is None
        if is_nothing and not (call.is_own or call.is_raw or call.name in _WITHOUT_A_VALUE):
            continue
        given = None if value is ABSENT else value
        if call.is_raw:
            found = call.function(scope)
        elif call.arity == 1:
            found = _called(call, given)
        else:
            found = _called(call, given, scope.record(), scope.context)
        value = ABSENT if found is None and value is ABSENT else found
    return value


def _called(call: Call, *given: Any) -> Any:
    try:
        return call.function(*given[: call.arity])
    except Exception as exc:
        if call.is_own or not isinstance(exc, ValueError):
            raise _FaultError(f"resolver {call.name!r} failed: {type(exc).__name__}: {exc}") from exc
        raise


class Concat:
    """`sdk.concat`: the texts of several sources in one; what is empty is left out."""

    def __init__(self, paths: tuple[Path, ...], separator: str) -> None:
        self._paths = paths
        self._separator = separator

    def __call__(self, scope: Scope) -> str | None:
        values = (
            text_of(scope.read(path)) if scope.for_value_of(path).is_xml else scope.read(path)
            for path in self._paths
        )
        texts = [
            to_string(value) for value in values if value is not ABSENT and value is not None and value != ""
        ]
        return self._separator.join(texts) if texts else None


def _demand_object(value: Any, children: Sequence[Target]) -> None:
    """Refuse what has no fields to read, unless one of them reads the value itself."""
    if not isinstance(value, Mapping) and (
        value is None
        or not any(each.path is not None and each.path.text in {"#text", "$"} for each in children)
    ):
        raise _FaultError("expected an object")


def _problem(target: Target, at: str, value: Any, exc: Exception) -> FieldProblem:
    return FieldProblem(
        field=at,
        source=None if target.path is None else target.path.text,
        value=None if value is ABSENT else value,
        reason=str(exc) or type(exc).__name__,
    )


def copied(value: Any) -> Any:
    """Return a constant for one record: what a hook does to it must not show in the next."""
    return deepcopy(value) if isinstance(value, dict | list) else value


def is_finite(value: Any) -> bool:
    """Say whether JSON has a form for every number in it."""
    return value.__class__ in _PLAIN or all(math.isfinite(number) for number in _numbers(value, 0))


def _numbers(value: Any, depth: int) -> Iterator[float | Decimal]:
    if isinstance(value, float | Decimal):
        yield value
    elif isinstance(value, Mapping | list | tuple) and depth < 200:
        for each in value.values() if isinstance(value, Mapping) else value:
            yield from _numbers(each, depth + 1)
