"""`mapWithNodes` as the TypeScript SDK does it: for mutation mappings in compat mode."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fc_connect.errors import MappingError
from fc_connect.mapping import javascript as js
from fc_connect.mapping.calls import own_call
from fc_connect.mapping.compat_mutation import CompatMutation
from fc_connect.mapping.compat_paths import UniversalPathResolver
from fc_connect.mapping.mutation_config import NODE_NAME
from fc_connect.mapping.mutation_fields import copied
from fc_connect.mapping.nodes import WRAPPERS, read_node
from fc_connect.mapping.values import ABSENT

__all__ = ["CompatNodes"]

_OPTIONS = {
    "source",
    "value",
    "fields",
    "resolver",
    "defaultValue",
    "required",
    "isArray",
    "comment",
    "transform",
}
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

    def data(self, root: Mapping[str, Any], context: Mapping[str, Any]) -> dict[str, Any]:
        """Return the mapped data of one record.

        Raises:
            MappingError: a node or a resolver fails.
        """
        combined = {**root, **self._nodes(root)}
        return self._object(self._fields(), combined, ABSENT, context)

    def _fields(self) -> Mapping[str, Any]:
        fields = self._config.get("fields")
        if isinstance(fields, Mapping):
            return fields
        arguments = self._config.get("arguments")
        found = arguments.get("input") if isinstance(arguments, Mapping) else None
        return found if isinstance(found, Mapping) else {}

    def _nodes(self, root: Mapping[str, Any]) -> dict[str, Any]:
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
            found[f"${name}"] = read_node(
                value,
                unescape=js.is_truthy(node.get("unescape")),
                parse=node.get("parse"),
                coerce=True,
            )
        return found

    def _read(self, data: Any, path: str) -> Any:
        return self._paths.resolve(data, path) if path else ABSENT

    def _object(
        self, fields: Mapping[str, Any], root: Any, item: Any, context: Mapping[str, Any]
    ) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, config in fields.items():
            _set(found, name.removesuffix("[]").split("."), self._field(name, config, root, item, context))
        return found

    def _field(self, name: str, config: Any, root: Any, item: Any, context: Mapping[str, Any]) -> Any:
        if isinstance(config, str):
            return self._source(config, root, item)
        if not isinstance(config, Mapping):
            return ABSENT
        value = self._plain(name, config, root, item, context)
        resolver = config.get("resolver")
        if isinstance(resolver, str) and resolver.startswith("custom."):
            function = self._resolve(resolver)
            if function is not None:
                call = own_call(resolver, function)
                if item is not ABSENT and not js.is_truthy(config.get("source")):
                    value = item
                try:
                    return call.function(*(value, root, context.get("config", ABSENT))[: call.arity])
                except Exception as exc:
                    raise MappingError(str(exc)) from exc
        return value

    def _plain(
        self, name: str, config: Mapping[str, Any], root: Any, item: Any, context: Mapping[str, Any]
    ) -> Any:
        if "value" in config:
            return self._mutation.expanded(config["value"])
        source = config.get("source")
        fields = config.get("fields")
        if name.endswith("[]") or js.is_truthy(config.get("isArray")):
            items = self._source(source, root, item) if isinstance(source, str) and source else ABSENT
            if isinstance(items, Mapping):
                items = [items]
            elif not isinstance(items, list | tuple):
                return []
            if not isinstance(fields, Mapping):
                return list(items)
            return [self._object(fields, root, each, context) for each in items]
        if isinstance(fields, Mapping):
            return self._object(fields, root, item, context)
        if not isinstance(source, str) or not source:
            children = {
                key: each
                for key, each in config.items()
                if key not in _OPTIONS and not key.startswith("_") and isinstance(each, Mapping | str)
            }
            if children and "resolver" not in config:
                return self._object(children, root, item, context)
            return copied(config.get("defaultValue", ABSENT))
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


def _set(target: dict[str, Any], parts: list[str], value: Any) -> None:
    """Put a value where a dotted name says; a scalar in the way is replaced, as there."""
    if _UNSAFE.intersection(parts):
        return
    for part in parts[:-1]:
        inner = target.get(part)
        if not isinstance(inner, dict):
            inner = target[part] = {}
        target = inner
    target[parts[-1]] = value
