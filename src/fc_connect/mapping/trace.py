"""What a mapping makes of one record, field by field: for a person who looks before anything is sent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from fc_connect.errors import MappingError
from fc_connect.mapping.rules import Rule
from fc_connect.mapping.values import ABSENT

if TYPE_CHECKING:
    from fc_connect.mapping.mapper import Mapper

__all__ = ["FieldTrace", "explain"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldTrace:
    """How one field came to its value."""

    field: str
    """Its path in the entity; of an array the first item is shown."""
    source: str | None
    """The path that it reads."""
    found: Any
    """What lies there; None also where nothing does."""
    resolvers: tuple[str, ...]
    value: Any
    """What it came to; None also where it didn't."""
    outcome: Literal["set", "absent", "rejected"]
    reason: str | None = None
    """Why it is rejected."""


def explain(mapper: Mapper, record: Any) -> list[FieldTrace]:
    """Return the traces of all fields of a record."""
    return list(_level(mapper, mapper.rules, record, record, ""))


def _level(mapper: Mapper, rules: Sequence[Rule], record: Any, root: Any, at: str) -> Iterator[FieldTrace]:
    for rule in rules:
        found = _found(rule, record, root)
        inner = _inside(rule, record, found)
        if inner is not None and rule.fields is not None:
            mark = "[0]" if rule.is_array else ""
            yield from _level(mapper, rule.fields, inner, root, f"{at}{rule.name}{mark}.")
            continue
        yield _trace(mapper, rule, record, root, at, found)


def _trace(mapper: Mapper, rule: Rule, record: Any, root: Any, at: str, found: Any) -> FieldTrace:
    value: Any = ABSENT
    reason = None
    try:
        value = mapper.one_field(rule, record, root)
    except MappingError as exc:
        reason = "; ".join(each.reason for each in exc.problems) or str(exc)
    return FieldTrace(
        field=f"{at}{rule.name}",
        source=None if rule.read is None else rule.read.text,
        found=None if found is ABSENT else found,
        resolvers=tuple(call.name for call in rule.calls),
        value=None if value is ABSENT else value,
        outcome="rejected" if reason is not None else "absent" if value is ABSENT else "set",
        reason=reason,
    )


def _found(rule: Rule, record: Any, root: Any) -> Any:
    if rule.has_value:
        return rule.value
    try:
        return ABSENT if rule.read is None else rule.read(record, root)
    except Exception:  # noqa: BLE001 (the trace of the field says why)
        return ABSENT


def _inside(rule: Rule, record: Any, found: Any) -> Any:
    """Return what the fields inside read: None where they can't be shown one by one."""
    if rule.fields is None or rule.when is not None:
        return None
    if rule.read is None:
        return record
    if rule.is_array:
        found = found[0] if isinstance(found, list) and found else None
    return found if isinstance(found, dict) else None
