"""What a mutation and a seed do: check an input, write the row, what belongs to it, and its references.

Both speak the same inputs. A mutation's have been through GraphQL's types already; a seed may set what the platform
sets otherwise (`status`, `createdOn`, …), so here its values are checked against the columns.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from fc_connect.sandbox.data.kinds import KINDS, Kind
from fc_connect.sandbox.data.rows import EntityError, Row, Rows, instant, millis

__all__ = ["create", "update"]

_TYPES: dict[str, tuple[type, ...]] = {
    "text": (str,),
    "int": (int,),
    "bool": (bool,),
    "time": (int, str),
    "real": (int, float),
}
_NOT_NEGATIVE = {"quantity", "onHand", "requestedQuantity", "filledQuantity", "rejectedQuantity"}
_LENGTHS = {"ref": 100, "type": 50}
_OTHER_LENGTH = 255
_UNCHECKED = {"value", "lobValue"}
_DEFAULTS: dict[str, dict[str, Any]] = {
    "FulfilmentItem": {"filledQuantity": 0, "rejectedQuantity": 0},
    "OpeningSchedule": {
        "allHours": True,
        **{
            f"{day}{end}": 0
            for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
            for end in ("Start", "End")
        },
    },
}


def create(rows: Rows, kind: Kind, given: Mapping[str, Any], *, at: datetime) -> int:
    """Write a new entity with what belongs to it, and return its id.

    Raises:
        EntityError: C0120E for a reference to nothing, C0123E or C0121E for one that exists already, C0122E for a
            negative quantity, C0141E for a text that is too long, C0140E for what can't be read.
    """
    return _create(rows, kind, given, at=at, path=kind.name, owners={})


def update(rows: Rows, kind: Kind, given: Mapping[str, Any], *, at: datetime) -> int:
    """Change what `given` names of an entity, and return its id. Attributes are merged by name; null is no change."""
    names = ("id",) if "id" in given else tuple(name for name in kind.key if name in given)
    found = rows.find(kind, {name: given[name] for name in names})
    if found is None:
        raise _unknown(kind, {name: given[name] for name in names})
    rest = {name: value for name, value in given.items() if name not in names}
    _change(rows, kind, found, rest, at=at, path=kind.name)
    return int(found["id"])


def _create(
    rows: Rows, kind: Kind, given: Mapping[str, Any], *, at: datetime, path: str, owners: Mapping[str, int]
) -> int:
    given = _prepared(rows, kind, given, owners=owners, path=path)
    values, lists, parts = _sorted_out(rows, kind, given, path=path)
    values |= owners
    now = millis(at)
    values.setdefault("createdOn", now)
    values.setdefault("updatedOn", values["createdOn"])
    _fill(kind, values)
    for name in sorted(kind.required):
        if values.get(name) is None and name not in parts:
            raise EntityError(f"{path}: {name} is missing.", code="C0140E")
    for name, part in parts.items():
        values[name] = _create(rows, KINDS[kind.refs[name]], part, at=at, path=f"{path}.{name}", owners={})
    _refuse_twin(rows, kind, values)
    number = rows.insert(kind, values)
    if kind.name == "Location" and values.get("primaryAddress") is not None:
        rows.update(KINDS["StoreAddress"], values["primaryAddress"], {"location": number})
    _fill_lists(rows, kind, number, values, lists, at=at, path=path)
    return number


def _change(rows: Rows, kind: Kind, found: Row, given: Mapping[str, Any], *, at: datetime, path: str) -> None:
    given = {name: value for name, value in given.items() if value is not None}
    values, lists, parts = _sorted_out(rows, kind, given, path=path)
    if "attributes" in values:
        values["attributes"] = _merged(found["attributes"], values["attributes"])
    for name, part in parts.items():
        target = KINDS[kind.refs[name]]
        held = rows.by_id(target, found[name]) if found[name] is not None else None
        if held is None:
            values[name] = _create(rows, target, part, at=at, path=f"{path}.{name}", owners={})
        else:
            _change(rows, target, held, _without_id(part), at=at, path=f"{path}.{name}")
    if any(values.get(name, found[name]) != found[name] for name in kind.key):
        _refuse_twin(rows, kind, {name: values.get(name, found[name]) for name in kind.key})
    values.setdefault("updatedOn", max(millis(at), found["updatedOn"] or 0))
    rows.update(kind, found["id"], values)
    _fill_lists(rows, kind, found["id"], found | values, lists, at=at, path=path)


def _prepared(
    rows: Rows, kind: Kind, given: Mapping[str, Any], *, owners: Mapping[str, int], path: str
) -> dict[str, Any]:
    """Return the input of a new entity with what the platform knows better."""
    prepared = {name: value for name, value in given.items() if value is not None}
    if kind.name == "Customer" and "ref" not in prepared and "username" in prepared:
        prepared["ref"] = prepared["username"]
    if kind.name == "InventoryQuantity" and "position" in owners and "catalogue" not in prepared:
        position = rows.by_id(KINDS["InventoryPosition"], owners["position"])
        prepared["catalogue"] = {"id": position["catalogue"]} if position else None
    if kind.name == "OrderItem" and (ref := prepared.pop("productRef", None)) is not None:
        catalogue = prepared.pop("productCatalogueRef", None)
        if catalogue is None:
            order = rows.by_id(KINDS["Order"], owners.get("order", 0))
            catalogue = f"DEFAULT:{order['retailer']}" if order else "DEFAULT:1"
        prepared["product"] = {"ref": ref, "catalogue": {"ref": catalogue}}
    return prepared


def _sorted_out(
    rows: Rows, kind: Kind, given: Mapping[str, Any], *, path: str
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Mapping[str, Any]]]:
    """Part an input into columns, lists of other entities, and entities of its own to be written first."""
    values: dict[str, Any] = {}
    lists: dict[str, Any] = {}
    parts: dict[str, Mapping[str, Any]] = {}
    for written, value in given.items():
        name, where = kind.aliases.get(written, written), f"{path}.{written}"
        if name in kind.columns:
            values[name] = _checked(name, kind.columns[name], value, where)
        elif name in kind.refs:
            target = KINDS[kind.refs[name]]
            if _is_key(target, value):
                values[name] = _known(rows, target, value)
            else:
                parts[name] = _object(value, where)
        elif name in kind.lists:
            if not isinstance(value, list):
                raise EntityError(f"{where} must be a list.", code="C0140E")
            lists[name] = value
        elif name == "id":
            raise EntityError(f"{where} can't be chosen.", code="C0140E")
        else:
            known = ", ".join(sorted({*kind.columns, *kind.refs, *kind.lists} - {"kind"}))
            raise EntityError(f"{where}: {kind.name} has no such field; it has {known}.", code="C0140E")
    return values, lists, parts


def _fill_lists(
    rows: Rows, kind: Kind, number: int, values: Row, lists: Mapping[str, Any], *, at: datetime, path: str
) -> None:
    for name, items in lists.items():
        link = kind.lists[name]
        target = KINDS[link.kind]
        members = []
        for index, item in enumerate(items):
            where = f"{path}.{name}[{index}]"
            if item is None:
                continue
            if isinstance(item, str) or (_is_key(target, item) and not _is_new(target, item)):
                key = item
                if (
                    isinstance(item, str)
                    and "catalogue" in target.refs
                    and target.refs["catalogue"] == kind.refs.get("catalogue")
                ):
                    key = {"ref": item, "catalogue": {"id": values["catalogue"]}}
                members.append(_known(rows, target, key))
                if link.pairs is None:
                    rows.update(target, members[-1], {link.column: number})
            elif "id" in _object(item, where):
                held = rows.find(target, {"id": item["id"]})
                if held is None or (link.pairs is None and held[link.column] != number):
                    raise _unknown(target, {"id": item["id"]})
                _change(rows, target, held, _without_id(item), at=at, path=where)
            else:
                owners = {} if link.pairs else {link.column: number}
                members.append(_create(rows, target, item, at=at, path=where, owners=owners))
        if link.pairs is not None:
            rows.pair(link, number, members)


def _is_key(kind: Kind, value: Any) -> bool:
    """Say whether a value names an entity, rather than describing one."""
    return isinstance(value, str | int) or (
        isinstance(value, Mapping)
        and (set(value) == {"id"} or (bool(kind.key) and set(value) <= set(kind.key)))
    )


def _is_new(kind: Kind, value: Any) -> bool:
    return (
        not isinstance(value, str | int)
        and set(value) < {*kind.key}
        and set(value) != {"id"}
        and len(kind.key) > 1
    )


def _known(rows: Rows, kind: Kind, key: Any) -> int:
    found = rows.find(kind, {"id": key} if isinstance(key, int) else key)
    if found is None:
        raise _unknown(kind, key)
    return int(found["id"])


def _unknown(kind: Kind, key: Any) -> EntityError:
    shown = json.dumps(key, default=str)
    return EntityError(f"There is no {kind.name} {shown[:200]}.", code="C0120E")


def _refuse_twin(rows: Rows, kind: Kind, values: Mapping[str, Any]) -> None:
    if not kind.key:
        return
    wanted = {name: kind.name if name == "kind" else values.get(name) for name in kind.key}
    where = " AND ".join(f'"{name}" IS ?' for name in wanted)
    twin = rows.connection.execute(
        f'SELECT 1 FROM "{kind.table}" WHERE {where}',  # noqa: S608 - names are ours
        list(wanted.values()),
    ).fetchone()
    if twin is not None:
        named = next(iter(wanted.values()))
        code = "C0121E" if kind.name == "Order" else "C0123E"
        raise EntityError(f"{kind.name} {str(named)[:100]!r} exists already.", code=code)


def _fill(kind: Kind, values: dict[str, Any]) -> None:
    """Put in what the platform puts in where nothing is given."""
    columns = kind.columns
    for name, value in _DEFAULTS.get(kind.name, {}).items():
        values.setdefault(name, value)
    if "kind" in columns:
        values["kind"] = kind.name
    if "status" in columns:
        values.setdefault("status", "CREATED")
    if "type" in columns and ("workflowRef" in columns or "type" in kind.required):
        values.setdefault("type", "DEFAULT")
    if "workflowRef" in columns:
        values.setdefault("workflowRef", f"{kind.workflow}::{values['type']}")
        values.setdefault("workflowVersion", 1)
    for name in ("name", "gtin"):
        if name in kind.required and "ref" in columns:
            values.setdefault(name, values.get("ref"))


def _merged(held: str | None, given: str) -> str:
    named = {each["name"]: each for each in json.loads(held or "[]") if each}
    named |= {each["name"]: each for each in json.loads(given) if each}
    return json.dumps(list(named.values()))


def _checked(name: str, type_name: str, value: Any, where: str) -> Any:
    """Return a value as its column holds it."""
    if type_name == "json":
        return _json(value, where)
    if type_name == "time" and isinstance(value, datetime):  # which YAML makes of an instant
        return instant(value.isoformat())
    if type(value) not in _TYPES[type_name]:
        raise EntityError(f"{where} must be {type_name}, not {str(value)[:60]!r}.", code="C0140E")
    if type_name == "time" and isinstance(value, str):
        return instant(value)
    if type_name == "text":
        if name not in _UNCHECKED and len(value) > (longest := _LENGTHS.get(name, _OTHER_LENGTH)):
            raise EntityError(f"{where} holds at most {longest} characters, not {len(value)}.", code="C0141E")
        if not value and name in {"ref", "productRef"}:
            raise EntityError(f"{where} can't be empty.", code="C0140E")
        if any("\ud800" <= each <= "\udfff" for each in value):
            raise EntityError(f"{where} holds half a character (a lone surrogate).", code="C0140E")
    if type_name == "int" and not -(2**63) <= value < 2**63:
        raise EntityError(f"{where} is too large.", code="C0140E")
    if type_name == "real" and not math.isfinite(value):
        raise EntityError(f"{where} must be a number.", code="C0140E")
    if name in _NOT_NEGATIVE and value < 0:
        raise EntityError(f"{where} can't be negative: {value}.", code="C0122E")
    return value


def _json(value: Any, where: str) -> str:
    refuse: Callable[[str], EntityError] = lambda text: EntityError(f"{where}: {text}", code="C0140E")  # noqa: E731
    if where.endswith(("attributes", "values")) and not (
        isinstance(value, list)
        and all(
            each is None or (isinstance(each, Mapping) and {"name", "type", "value"} <= set(each))
            for each in value
        )
    ):
        raise refuse("attributes are a list of name, type and value.")
    try:
        return json.dumps(value, allow_nan=False)
    except (ValueError, TypeError, RecursionError) as exc:
        raise refuse(f"this can't be kept as JSON: {exc}.") from exc


def _object(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise EntityError(f"{where} must be an object.", code="C0140E")
    return value


def _without_id(value: Mapping[str, Any]) -> dict[str, Any]:
    return {name: each for name, each in value.items() if name != "id"}
