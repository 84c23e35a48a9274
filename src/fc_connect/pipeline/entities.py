"""Entities before they are sent: what Fluent would refuse, or apply in an order that nobody knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from fc_connect.errors import ConfigurationError, MappingError
from fc_connect.fluent import MAX_BATCH_ENTITIES
from fc_connect.mapping import batch_entity_type, check_value, encode_entity
from fc_connect.pipeline.duplicates import key_reader

if TYPE_CHECKING:
    from graphql import GraphQLInputObjectType

__all__ = ["Preflight", "PreflightProblem", "preflight"]

ENTITY_TYPES = ("INVENTORY", "PRODUCT", "ORDER", "CUSTOMER", "LOCATION", "FULFILLMENT")
_ACTIONS = ("UPSERT",)
_KEYS: Mapping[str, Sequence[str]] = {"INVENTORY": ("locationRef", "skuRef|productRef", "type")}
_KEY_ELSEWHERE = ("ref",)


@dataclass(frozen=True, slots=True, kw_only=True)
class PreflightProblem:
    """One fault of one entity, or of all of them together."""

    index: int | None
    """Of the entity, from 0; None where it is of the batch."""
    field: str | None
    """Its path, such as `attributes.colour`; None where it is of the entity as a whole."""
    message: str
    severity: Literal["error", "warning"] = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Preflight:
    """What was found."""

    entities: int
    """Looked at."""
    problems: tuple[PreflightProblem, ...]

    @property
    def errors(self) -> tuple[PreflightProblem, ...]:
        return tuple(each for each in self.problems if each.severity == "error")

    @property
    def is_ok(self) -> bool:
        """Whether nothing but warnings was found."""
        return not self.errors


def preflight(
    entities: Sequence[Any],
    *,
    entity_type: str = "INVENTORY",
    action: str = "UPSERT",
    expected: GraphQLInputObjectType | None = None,
    key: Sequence[str] | None = None,
    max_entities: int = MAX_BATCH_ENTITIES,
) -> Preflight:
    """Look at every entity of a batch, as it would be sent. Sends nothing, and stops at no fault.

    Args:
        expected: the input type that takes them, from a schema; without it, what is known of batch entities.
        key: fields that identify an entity, `a|b` being whichever it has; without it location, product and type for
            INVENTORY, and `ref` for others.
    """
    problems = list(_of_batch(len(entities), entity_type, action, max_entities))
    is_own = expected is None
    if expected is None:
        try:
            expected = batch_entity_type(entity_type)
        except ConfigurationError:
            expected = None
    key_of = key_reader(key if key is not None else _KEYS.get(entity_type.upper(), _KEY_ELSEWHERE))
    seen: dict[bytes, int] = {}
    for index, entity in enumerate(entities):
        if not isinstance(entity, Mapping):
            problems.append(
                PreflightProblem(
                    index=index, field=None, message=f"expected an object, not {type(entity).__name__}"
                )
            )
            continue
        problems += _of_entity(index, entity, expected, is_open=is_own)
        found = _key_of(entity, key_of)
        if found is None:
            continue
        first = seen.setdefault(found, index)
        if first != index:
            problems.append(
                PreflightProblem(
                    index=index,
                    field=None,
                    message=f"is the same record as entity {first}: which of the two counts isn't promised",
                )
            )
    return Preflight(entities=len(entities), problems=tuple(problems))


def _of_batch(count: int, entity_type: str, action: str, most: int) -> list[PreflightProblem]:
    found: list[PreflightProblem] = []

    def add(message: str, severity: Literal["error", "warning"] = "error") -> None:
        found.append(PreflightProblem(index=None, field=None, message=message, severity=severity))

    if count == 0:
        add("there is no entity: a batch must hold at least one")
    if count > most:
        add(f"{count:,} entities are more than the {most:,} of a batch: send several")
    if entity_type not in ENTITY_TYPES:
        add(f"entity type {entity_type[:50]!r} isn't one of {', '.join(ENTITY_TYPES)}")
    elif entity_type != "INVENTORY":
        add(f"Fluent's batch API is known to take INVENTORY alone, not {entity_type}", "warning")
    if action not in _ACTIONS:
        add(f"action {action[:50]!r} isn't UPSERT, the only one that Fluent's batch API is known to take")
    return found


def _of_entity(
    index: int, entity: Mapping[str, Any], expected: GraphQLInputObjectType | None, *, is_open: bool
) -> list[PreflightProblem]:
    found = []
    checked = entity
    if expected is not None:
        if is_open:
            # Fluent's own list of fields isn't ours to close.
            checked = {name: value for name, value in entity.items() if name in expected.fields}
            found += [
                PreflightProblem(
                    index=index,
                    field=str(name),
                    message="isn't a documented field of these entities",
                    severity="warning",
                )
                for name in entity
                if name not in expected.fields
            ]
        for each in check_value(expected, checked):
            shown = f", not {_shown(each.value)}" if each.reason.startswith("expected") else ""
            found.append(
                PreflightProblem(index=index, field=each.field or None, message=f"{each.reason}{shown}")
            )
        for name, value in checked.items():
            if isinstance(value, str) and not value.strip() and _must_be_told(expected, name):
                found.append(PreflightProblem(index=index, field=name, message="is empty text"))
    if not any(each.severity == "error" for each in found) and (reason := _unwritable(entity)):
        found.append(PreflightProblem(index=index, field=None, message=reason))
    return found


def _must_be_told(expected: GraphQLInputObjectType, name: str) -> bool:
    from graphql import GraphQLNonNull

    field = expected.fields.get(name)
    return name.endswith("Ref") or (field is not None and isinstance(field.type, GraphQLNonNull))


def _unwritable(entity: Mapping[str, Any]) -> str | None:
    try:
        encode_entity(entity)
    except MappingError as exc:
        return str(exc)
    return None


def _key_of(entity: Mapping[str, Any], read: Any) -> bytes | None:
    try:
        found: bytes | None = read(entity)
    except (TypeError, ValueError, RecursionError):
        return None  # told already: it isn't JSON
    return found


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:60] + "…"
