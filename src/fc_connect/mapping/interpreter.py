"""The plain reading of a mapping, field by field, every fault collected: it defines what compiled code must give."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fc_connect.errors import FieldProblem, MappingError
from fc_connect.mapping.rules import Rule, is_empty, items_of, put, taken
from fc_connect.mapping.values import ABSENT

__all__ = ["interpret", "interpret_field", "shown"]

_SHOWN_CHARACTERS = 200  # of a value in a message; the rejects file has more of it
_MISSING = "is required, and is missing or empty"


def interpret(
    rules: Sequence[Rule],
    record: Any,
    *,
    named: Callable[[Any], Any],
    context: Mapping[str, Any],
    skipped: list[str],
) -> dict[str, Any]:
    """Return the entity of a record, and note in `skipped` the fields that came to nothing.

    `named` gives a record as resolvers see it: a row as a dict.

    Raises:
        MappingError: with every fault of the record.
    """
    reading = _Reading(record, named, context)
    entity = reading.object(rules, record, "", skipped)
    if reading.problems:
        told = "; ".join(f"{each.field}: {each.reason}, not {shown(each.value)}" for each in reading.problems)
        raise MappingError(told, problems=reading.problems)
    return entity


def interpret_field(
    rule: Rule, record: Any, root: Any, *, named: Callable[[Any], Any], context: Mapping[str, Any]
) -> Any:
    """Return what one rule makes of a record, or `ABSENT`.

    Raises:
        MappingError: with every fault of the field.
    """
    reading = _Reading(root, named, context)
    value = reading.one(rule, record, "")
    if reading.problems:
        raise MappingError(reading.problems[0].reason, problems=reading.problems)
    return value


class _FieldError(Exception):
    """A field has a fault; `value` is what it had come to."""

    def __init__(self, reason: str, value: Any) -> None:
        super().__init__(reason)
        self.value = value


class _Reading:
    def __init__(self, root: Any, named: Callable[[Any], Any], context: Mapping[str, Any]) -> None:
        self._root = root
        self._named = named
        self._context = context
        self.problems: list[FieldProblem] = []

    def object(
        self, rules: Sequence[Rule], record: Any, at: str, skipped: list[str] | None
    ) -> dict[str, Any]:
        entity: dict[str, Any] = {}
        for rule in rules:
            value = self.one(rule, record, at)
            if value is not ABSENT:
                put(entity, rule.target, value)
            elif skipped is not None:
                skipped.append(rule.name)
        return entity

    def one(self, rule: Rule, record: Any, at: str) -> Any:
        try:
            return self._field(rule, record, f"{at}{rule.name}")
        except _FieldError as exc:
            self._note(rule, f"{at}{rule.name}", exc.value, str(exc))
        except Exception as exc:  # noqa: BLE001 (a path or a condition may meet anything; the record is rejected)
            self._note(rule, f"{at}{rule.name}", None, str(exc))
        return ABSENT

    def _field(self, rule: Rule, record: Any, at: str) -> Any:
        if rule.when is not None and not rule.when(record, self._root):
            return ABSENT
        if rule.is_array:
            return self._array(rule, record, at)
        if rule.fields is not None:
            return self._object(rule, rule.fields, record, at)
        value = rule.value if rule.has_value else rule.read(record, self._root) if rule.read else ABSENT
        if rule.required and not rule.is_resolver_only and is_empty(value):
            raise _FieldError(_MISSING, value)
        if rule.has_default and is_empty(value):
            value = rule.default
        value = taken(rule, value)
        for call in rule.calls:
            given = None if value is ABSENT else value
            around = (record, self._root) if call.is_raw else (self._named(record), self._context)
            try:
                resolved = call.function(*(given, *around)[: call.arity])
            except Exception as exc:
                told = (
                    f"resolver {call.name!r} failed: {type(exc).__name__}: {exc}" if call.is_own else str(exc)
                )
                raise _FieldError(told, value) from exc
            value = ABSENT if resolved is None and value is ABSENT else resolved
        if rule.required and rule.calls and is_empty(value):
            raise _FieldError(_MISSING, value)
        if not is_empty(value):
            for end in rule.ends:
                try:
                    value = end(value)
                except ValueError as exc:
                    raise _FieldError(str(exc), value) from exc
        return value

    def _object(self, rule: Rule, fields: Sequence[Rule], record: Any, at: str) -> Any:
        if rule.read is not None:
            record = rule.read(record, self._root)
            if is_empty(record):
                if rule.required:
                    raise _FieldError(_MISSING, record)
                return ABSENT
            if not isinstance(record, Mapping):
                raise _FieldError("expected an object", record)
        return self.object(fields, record, f"{at}.", None)

    def _array(self, rule: Rule, record: Any, at: str) -> Any:
        value = ABSENT if rule.read is None else rule.read(record, self._root)
        if is_empty(value) or value == []:
            if rule.required:
                raise _FieldError(_MISSING, value)
            return taken(rule, rule.default) if rule.has_default else []
        try:
            items = items_of(value)
        except ValueError as exc:
            raise _FieldError(str(exc), value) from exc
        mapped = []
        for number, item in enumerate(items):
            if not (isinstance(item, Mapping) or (rule.takes_scalars and item is not None)):
                self._note(rule, f"{at}[{number}]", item, "expected an object")
                continue
            mapped.append(self.object(rule.fields or (), item, f"{at}[{number}].", None))
        return mapped

    def _note(self, rule: Rule, at: str, value: Any, reason: str) -> None:
        source = None if rule.read is None else rule.read.text
        value = None if value is ABSENT else value
        self.problems.append(FieldProblem(field=at, source=source, value=value, reason=reason))


def shown(value: Any) -> str:
    """Return a value as a message shows it: not all of it, if it is long."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # integers of thousands of digits; nested without end
        return f"a {type(value).__name__} that can't be shown"
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"
