"""What a batch must look like, and each stock record in it.

Rules from Fluent's Batch API documentation: only INVENTORY with UPSERT, at most 5,000 entities per batch, and a
result per record. Where the documentation is silent the stricter reading is taken; docs/sandbox.md lists those.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, NoReturn

from fc_connect.sandbox.exchange import RefusedError

__all__ = [
    "ACTIONS",
    "MAX_ENTITIES",
    "BatchPayload",
    "RecordFault",
    "check_batch",
    "check_record",
    "entity_key",
    "parse_json",
]

MAX_ENTITIES = 5_000
ENTITY_TYPES = ("INVENTORY",)  # not sets: what is sent may not be hashable
ACTIONS = ("UPSERT",)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordFault:
    """Why one record of a batch was not applied."""

    index: int
    code: int
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchPayload:
    """A batch that is accepted, with the records in it that aren't."""

    action: str
    entity_type: str
    source: str | None
    event: str | None
    entities: list[Any]
    faults: tuple[RecordFault, ...]


def parse_json(body: bytes, *, job_id: str | None = None) -> dict[str, Any]:
    """Return the object in `body`, or refuse with 400."""
    try:
        payload = json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as exc:
        raise RefusedError(
            f"The body isn't JSON: {exc}", status=400, code="MALFORMED_JSON", job_id=job_id
        ) from exc
    if not isinstance(payload, dict):
        raise RefusedError(
            "The body must be a JSON object.", status=400, code="MALFORMED_PAYLOAD", job_id=job_id
        )
    return payload


def _refuse_constant(name: str) -> NoReturn:
    # Python's parser takes NaN and Infinity, which JSON doesn't have.
    raise ValueError(f"{name} isn't JSON")


def check_batch(body: bytes, *, job_id: str, actions: tuple[str, ...] = ACTIONS) -> BatchPayload:
    """Check a batch as a whole, then each record; refuse with 400 and every problem of the whole."""
    payload = parse_json(body, job_id=job_id)
    problems: list[dict[str, str]] = []

    def problem(code: str, message: str) -> None:
        problems.append({"code": code, "message": message})

    action, entity_type, entities = (payload.get(name) for name in ("action", "entityType", "entities"))
    if action not in actions:
        problem("INVALID_ACTION", f"action must be {' or '.join(actions)}, not {_shown(action)}.")
    if entity_type not in ENTITY_TYPES:
        problem("INVALID_ENTITY_TYPE", f"entityType must be INVENTORY, not {_shown(entity_type)}.")
    for name in ("source", "event"):
        if not isinstance(payload.get(name), str | None):
            problem("INVALID_FIELD", f"{name} must be a string, not {_shown(payload[name])}.")
    if not isinstance(entities, list):
        problem("INVALID_ENTITIES", f"entities must be a list, not {_shown(entities)}.")
    elif not entities:
        problem("EMPTY_ENTITIES", "entities is empty: a batch holds at least one.")
    elif len(entities) > MAX_ENTITIES:
        problem("TOO_MANY_ENTITIES", f"{len(entities)} entities: a batch holds at most {MAX_ENTITIES}.")
    if problems or not isinstance(entities, list):
        first, *others = problems
        raise RefusedError(
            first["message"],
            status=400,
            code=first["code"],
            details=others,
            job_id=job_id,
            entities=len(entities) if isinstance(entities, list) else None,
        )
    faults = tuple(
        RecordFault(index=index, code=400, message=message)
        for index, entity in enumerate(entities)
        if (message := check_record(entity)) is not None
    )
    return BatchPayload(
        action=str(action),
        entity_type=str(entity_type),
        source=payload.get("source"),
        event=payload.get("event"),
        entities=entities,
        faults=faults,
    )


def check_record(entity: Any) -> str | None:
    """Say what is wrong with a stock record, or None.

    A stock record needs `locationRef` (string), `qty` (a JSON whole number: not "5", 5.0 or true) and `skuRef` or
    `productRef` (string); `type`, `status` and `ref` are strings where present.
    """
    if not isinstance(entity, dict):
        return f"A record must be an object, not {_shown(entity)}."
    get = entity.get
    location, qty, product = get("locationRef"), get("qty"), get("productRef")
    if product is None:
        product = get("skuRef")
    # `type(qty) is int`, since True is an int to isinstance.
    if type(location) is str and location and type(qty) is int and type(product) is str and product:
        for name in ("type", "status", "ref"):
            value = get(name)
            if value is not None and type(value) is not str:
                return f"{name} must be a string, not {_shown(value)}."
        return None
    if type(location) is not str or not location:
        return f"locationRef must be a string that isn't empty, not {_shown(location)}."
    if type(qty) is not int:
        return f"qty must be a whole number, not {_shown(qty)}."
    return f"skuRef or productRef must be a string that isn't empty, not {_shown(product)}."


def entity_key(entity: dict[str, Any]) -> tuple[str, str, str]:
    """Return what makes a stock record the same record: (location, product or SKU, type or "").

    `productRef` wins where both are there; `ref` is no part of it, because one `ref` may stand at many locations.
    """
    product = entity.get("productRef")
    return entity["locationRef"], entity["skuRef"] if product is None else product, entity.get("type") or ""


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
