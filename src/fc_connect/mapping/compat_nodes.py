"""`mapWithNodes` as the TypeScript SDK does it: for mutation mappings in compat mode."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from itertools import pairwise
from typing import Any

from fc_connect.errors import MappingError
from fc_connect.mapping import javascript as js
from fc_connect.mapping.calls import own_call
from fc_connect.mapping.compat_mutation import CompatMutation, compat_error
from fc_connect.mapping.compat_paths import UniversalPathResolver, type_name
from fc_connect.mapping.mutation_config import NODE_NAME
from fc_connect.mapping.mutation_fields import copied
from fc_connect.mapping.nodes import WRAPPERS, read_node
from fc_connect.mapping.values import ABSENT

__all__ = ["CompatNodes"]

_UNSAFE = {"__proto__", "prototype", "constructor"}
_ITEM = "$."


class CompatNodes:
    """Maps records by the nodes and fields of one mapping."""

    def __init__(
        self,
        config: Mapping[str, Any],
        mutation: CompatMutation,
        resolve: Callable[[str], Callable[..., Any] | None],
    ) -> None:
        self._config = config
        self._mutation = mutation
        self._resolve = resolve
        self._paths = UniversalPathResolver("json")

    def data(
        self, root: Mapping[str, Any], nodes: Mapping[str, Any], context: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return the mapped data of one record and its nodes.

        Raises:
            MappingError: a resolver fails.
        """
        combined = {**root, **nodes, **{f"${name}": value for name, value in nodes.items()}}
        has_fields = isinstance(self._config.get("fields"), Mapping)
        return self._object(self._fields(), combined, ABSENT, context, is_resolved=has_fields)

    def _fields(self) -> Mapping[str, Any]:
        fields = self._config.get("fields")
        if isinstance(fields, Mapping):
            return fields
        arguments = self._config.get("arguments")
        found = arguments.get("input") if isinstance(arguments, Mapping) else None
        return found if isinstance(found, Mapping) else {}

    def nodes(self, root: Any) -> dict[str, Any]:
        """Return the nodes of one record by name.

        Raises:
            MappingError: the record is no object, or a node fails.
        """
        if not isinstance(root, Mapping):
            raise compat_error(_no_object(root), data=root)
        nodes = self._config.get("nodes")
        found: dict[str, Any] = {}
        for name, node in nodes.items() if isinstance(nodes, Mapping) else ():
            if not NODE_NAME.fullmatch(name):
                raise MappingError(f"Invalid node name: {name}")
            if f"${name}" in root:
                raise MappingError(f"Node name '${name}' conflicts with a key of the data")
            path = node.get("extract") if isinstance(node, Mapping) else None
            if not isinstance(path, str):
                raise MappingError(f"Node '{name}' has no path to extract")
            value: Any = ABSENT
            for before in WRAPPERS:
                value = self._read(root, before + path)
                if js.is_truthy(value):
                    break
            if not js.is_truthy(value):
                if js.is_truthy(node.get("required")):
                    raise MappingError(f"Required node '{name}' not found at path '{path}'")
                continue
            found[name] = read_node(
                value,
                unescape=js.is_truthy(node.get("unescape")),
                parse=node.get("parse"),
                coerce=True,
            )
        return found

    def _read(self, data: Any, path: str) -> Any:
        return self._paths.resolve(data, path) if path else ABSENT

    def _object(
        self,
        fields: Mapping[str, Any],
        root: Any,
        item: Any,
        context: Mapping[str, Any],
        *,
        is_resolved: bool = True,
    ) -> dict[str, Any]:
        """Return an object; resolvers aren't called in one that has a source of its own, or no `fields` key."""
        found: dict[str, Any] = {}
        make = self._field if is_resolved else self._plain_field
        for name, config in fields.items():
            _set(found, name.removesuffix("[]").split("."), make(name, config, root, item, context))
        return found

    def _plain_field(self, name: str, config: Any, root: Any, item: Any, context: Mapping[str, Any]) -> Any:
        if config is None:
            raise MappingError("Cannot read properties of null (reading 'value')")
        if not isinstance(config, Mapping):
            return ABSENT
        return self._plain(name, config, root, item, context, is_resolved=False)

    def _field(self, name: str, config: Any, root: Any, item: Any, context: Mapping[str, Any]) -> Any:
        if config is None:
            raise MappingError("Cannot read properties of null (reading 'value')")
        if not isinstance(config, Mapping):
            return ABSENT
        is_custom = isinstance(config.get("resolver"), str) and config["resolver"].startswith("custom.")
        value = self._plain(name, config, root, item, context, is_resolved=not is_custom)
        resolver = config.get("resolver")
        if isinstance(resolver, str) and resolver.startswith("custom."):
            function = self._resolve(resolver)
            if function is not None:
                call = own_call(resolver, function)
                if item is not ABSENT:
                    value = self._current(config, value, root, item)
                try:
                    return call.function(*(value, root, context.get("config", ABSENT))[: call.arity])
                except Exception as exc:
                    raise MappingError(str(exc)) from exc
        return value

    def _current(self, config: Mapping[str, Any], value: Any, root: Any, item: Any) -> Any:
        """Return what a resolver of an item's field gets: its own path, else its value, else the item."""
        source = config.get("source")
        if isinstance(source, str) and source.startswith(_ITEM):
            return self._source(source, root, item)
        return item if not js.is_truthy(source) and "value" not in config else value

    def _plain(
        self,
        name: str,
        config: Mapping[str, Any],
        root: Any,
        item: Any,
        context: Mapping[str, Any],
        *,
        is_resolved: bool,
    ) -> Any:
        source = config.get("source")
        is_of_item = item is not ABSENT and isinstance(source, str) and source.startswith(_ITEM)
        if "value" in config and not is_of_item:
            return self._mutation.expanded(config["value"])
        fields = config.get("fields")
        if name.endswith("[]") or js.is_truthy(config.get("isArray")):
            items = self._source(source, root, item) if isinstance(source, str) and source else ABSENT
            if isinstance(items, Mapping):
                items = [items]
            elif not isinstance(items, list | tuple):
                return []
            inner = fields if isinstance(fields, Mapping) else {}
            return [self._object(inner, root, each, context, is_resolved=is_resolved) for each in items]
        if isinstance(fields, Mapping):
            is_resolved = is_resolved and not js.is_truthy(source)
            return self._object(fields, root, item, context, is_resolved=is_resolved)
        if not isinstance(source, str) or not source:
            if js.is_truthy(config.get("resolver")):
                return ABSENT
            return self._object(config, root, item, context, is_resolved=False)  # every key of it is a field
        value = self._source(source, root, item)
        call = self._mutation.transform(config.get("resolver") or config.get("transform"))
        if call is not None:
            try:
                return call(value)
            except Exception as exc:
                raise MappingError(str(exc)) from exc
        if (value is ABSENT or value is None) and not (item is not ABSENT and source.startswith(_ITEM)):
            return copied(config.get("defaultValue", value))
        return value

    def _source(self, source: str, root: Any, item: Any) -> Any:
        if item is not ABSENT and source.startswith(_ITEM):
            return self._read(item, source.removeprefix(_ITEM))
        return self._read(root, source)


def _no_object(root: Any) -> str:
    received = "an array" if isinstance(root, list | tuple) else type_name(root)
    hint = (
        "If you need to process multiple items, please call mapWithNodes for each item separately,"
        " or wrap your array in an object like { items: [...] }."
        if isinstance(root, list | tuple)
        else "Please provide a valid object containing your source data."
    )
    return f"mapWithNodes requires rootData to be an object, but received {received}. {hint}"


def _set(target: dict[str, Any], parts: list[str], value: Any) -> None:
    """Put a value where a dotted name says.

    Raises:
        MappingError: a scalar or nothing is in the way.
    """
    if _UNSAFE.intersection(parts):
        return
    for part, following in pairwise(parts):
        inner = target.setdefault(part, {})
        if inner is None or inner is ABSENT:
            raise MappingError(f"Cannot set properties of {js.to_string(inner)} (setting '{following}')")
        if isinstance(inner, str | int | float | Decimal):
            told = f"Cannot create property '{following}' on {type_name(inner)} '{js.to_string(inner)}'"
            raise MappingError(told)
        if not isinstance(inner, dict):
            return  # a property of a JavaScript list, which no JSON shows
        inner = target[part] = dict(inner)  # it may be the record's own, or a node's
        target = inner
    target[parts[-1]] = value
