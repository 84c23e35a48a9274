"""`compat: true` for mutation mappings: what the TypeScript SDK makes of a record, its losses included.

The values and the messages are facts about that SDK (version 0.1.56). Three things are otherwise: a target never leads
to anything but the object at hand, `${NAME}` reads what the caller allowed and nothing else, and keys that begin with
an underscore never get into the query.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any, Final

from fc_connect.errors import FieldProblem, MappingError, ParseError
from fc_connect.mapping import javascript as js
from fc_connect.mapping.compat_paths import UniversalPathResolver, type_name
from fc_connect.mapping.mutation_fields import copied
from fc_connect.mapping.values import ABSENT
from fc_connect.mapping.xml_records import read_xml

__all__ = ["COMPAT_TRANSFORMS", "CompatMutation", "compat_error"]

_ENVIRONMENT = re.compile(r"\$\{([^}]+)\}")
_OPTIONS: Final = frozenset(
    {
        "source",
        "value",
        "resolver",
        "transform",
        "defaultValue",
        "required",
        "isArray",
        "autoWrap",
        "validation",
    }
)
_SHOWN_DATA, _SHOWN_CONFIG = 200, 150
_TRUE = {"true", "1", "yes", "y", "on"}


def to_boolean(value: Any) -> bool:
    if isinstance(value, str):
        return value.strip(js.WHITESPACE).lower() in _TRUE
    if isinstance(value, float) and value != value:
        return True  # it isn't 0
    return js.is_truthy(value)


def to_iso(value: Any) -> Any:
    """Return an instant as ISO 8601 in UTC; what is no date goes through as it is."""
    if not js.is_truthy(value):
        return value
    moment = js.date_milliseconds(_dated(value))
    return value if moment is None else js.iso_text(moment)


def to_date(value: Any) -> datetime | None:
    if not js.is_truthy(value):
        return None
    found = js.parse_date(_dated(value))
    return found if isinstance(found, datetime) else None


def _dated(value: Any) -> Any:
    """Return what is read as a date: of a number its text, so that 5 is May."""
    return value if isinstance(value, date) or value is js.INVALID_DATE else js.to_string(value)


def to_text(value: Any) -> str:
    return "" if value is None or value is ABSENT else js.to_string(value)


def _on_text(change: Callable[[str], str]) -> Callable[[Any], Any]:
    return lambda value: change(value) if isinstance(value, str) else value


COMPAT_TRANSFORMS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "parseInt": js.parse_int,
    "parseFloat": js.parse_float,
    "toString": to_text,
    "toUpperCase": _on_text(str.upper),
    "toLowerCase": _on_text(str.lower),
    "trim": _on_text(lambda text: text.strip(js.WHITESPACE)),
    "toBoolean": to_boolean,
    "toISO8601": to_iso,
    "toDate": to_date,
}


class CompatMutation:
    """Maps records by the `arguments` of one mapping."""

    def __init__(
        self,
        config: Mapping[str, Any],
        *,
        transforms: Mapping[str, Callable[..., Any]],
        environment: Mapping[str, str],
    ) -> None:
        self._config = config
        self._transforms = {**COMPAT_TRANSFORMS, **transforms}
        self._environment = environment
        self._is_xml = config.get("sourceFormat") == "xml"
        self._paths = UniversalPathResolver("xml" if self._is_xml else "json")

    def variables(self, data: Any) -> dict[str, Any]:
        """Return the variables of one record.

        Raises:
            MappingError: with the SDK's message.
        """
        if self._is_xml and isinstance(data, str | bytes):
            try:
                data = read_xml(data, coerce=True)
            except ParseError as exc:
                raise MappingError(f"Failed to parse XML: {exc}") from exc
        arguments = self._config.get("arguments")
        found: dict[str, Any] = {}
        if isinstance(arguments, Mapping):
            for name, config in arguments.items():
                if not name.startswith("_"):
                    found[name] = self._value(name, config, data)
        return found

    def expanded(self, value: Any) -> Any:
        """Return a literal; `${NAME}` as a whole is what the caller allowed by that name."""
        match = _ENVIRONMENT.fullmatch(value) if isinstance(value, str) else None
        return copied(value) if match is None else self._environment.get(match[1], value)

    def register(self, name: str, function: Callable[..., Any]) -> None:
        self._transforms[name] = function

    def transform(self, name: Any) -> Callable[..., Any] | None:
        return self._transforms.get(name) if isinstance(name, str) else None

    def _value(self, name: str, config: Any, data: Any) -> Any:
        if isinstance(config, str):
            return self._paths.resolve(data, config)
        if not isinstance(config, Mapping):
            return ABSENT
        if "value" in config:
            return self.expanded(config["value"])
        if js.is_truthy(config.get("isArray")) or js.is_truthy(config.get("_array")):
            return self._array(config, data)
        if not js.is_truthy(config.get("source")) or js.is_truthy(config.get("_nested")):
            return self._nested(config, data)
        return self._source(name, config, data, f"Required field '{name}' is missing or empty")

    def _nested(self, config: Mapping[str, Any], data: Any) -> Any:
        if js.is_truthy(config.get("source")):
            data = self._paths.resolve(data, config["source"])
            if not js.is_truthy(data):
                return ABSENT
        found: dict[str, Any] = {}
        for name, child in _children(config):
            _put(found, name, self._value(name, child, data))
        return found

    def _source(self, field: str, config: Mapping[str, Any], data: Any, missing: str) -> Any:
        source = config["source"]
        value = self._paths.resolve(data, source)
        name = config.get("resolver") or config.get("transform")
        call = self.transform(name)
        if call is not None:
            try:
                value = call(value)
            except Exception as exc:
                told = f"Resolver '{name}' failed: {exc}"
                raise compat_error(told, field=field, source=source) from exc
        if (value is None or value is ABSENT) and "defaultValue" in config:
            value = copied(config["defaultValue"])
        if js.is_truthy(config.get("required")) and (value is None or value is ABSENT or value == ""):
            raise compat_error(missing, field=field, source=source)
        return value

    def _array(self, config: Mapping[str, Any], data: Any) -> Any:
        source = config.get("source")
        if not js.is_truthy(source):
            raise compat_error("Array field must have a source path", field="array")
        items = self._paths.resolve(data, str(source))
        if not isinstance(items, list | tuple):
            if js.is_truthy(config.get("autoWrap")) and items is not ABSENT:
                items = [items]
            elif js.is_truthy(config.get("required")):
                told = f"Expected array at path '{source}' but got {_typeof(items)}"
                raise compat_error(told, field="array", source=source)
            else:
                return []
        validation = config.get("validation")
        least = validation.get("minItems") if isinstance(validation, Mapping) else None
        if isinstance(least, int | float) and js.is_truthy(least) and len(items) < least:
            told = f"Array must have at least {js.to_string(least)} items, got {len(items)}"
            raise compat_error(told, field="array", source=source)
        children = _children(config, but=_OPTIONS - {"defaultValue"})
        return [self._item(children, item, index) for index, item in enumerate(items)]

    def _item(self, children: list[tuple[str, Any]], item: Any, index: int) -> dict[str, Any]:
        return {name: self._item_value(name, config, item, index) for name, config in children}

    def _item_value(self, name: str, config: Any, item: Any, index: int) -> Any:
        if isinstance(config, str):
            return self._paths.resolve(item, config)
        if config is None:
            raise compat_error("Cannot read properties of null (reading 'value')")
        if not isinstance(config, Mapping):
            return ABSENT
        if "value" in config:
            return self.expanded(config["value"])
        if not js.is_truthy(config.get("source")):
            return ABSENT
        mapping = config.get("mapping")
        if isinstance(mapping, Mapping):
            inner = self._paths.resolve(item, config["source"])
            children = _children(mapping)
            if isinstance(inner, list | tuple):
                return [self._item(children, each, position) for position, each in enumerate(inner)]
            single: dict[str, Any] = {}
            for key, child in children:
                _put(single, key, self._item_value(key, child, inner, 0))
            return single
        plain = {key: each for key, each in config.items() if key != "resolver"}
        return self._source(name, plain, item, f"Required field '{name}' is missing in array item {index}")


def compat_error(
    message: str,
    *,
    field: str | None = None,
    source: str | None = None,
    data: Any = ABSENT,
    config: Any = ABSENT,
) -> MappingError:
    """Make the error that the TypeScript SDK would raise, its lines of details included."""
    details = []
    if field is not None:
        details.append(f"Field: {field}")
    if source is not None:
        details.append(f"Source Path: {source}")
    if data is not ABSENT:
        details.append(f"Source Data: {_json(data)[:_SHOWN_DATA]}")
    if config is not ABSENT:
        details.append(f"Config: {_json(config)[:_SHOWN_CONFIG]}")
    problem = FieldProblem(field=field or "", source=source, value=None, reason=message)
    return MappingError("\n".join([message, *([""] if details else []), *details]), problems=[problem])


def _children(config: Mapping[str, Any], *, but: frozenset[str] = _OPTIONS) -> list[tuple[str, Any]]:
    return [(name, child) for name, child in config.items() if not name.startswith("_") and name not in but]


def _put(target: dict[str, Any], name: str, value: Any) -> None:
    if value is not ABSENT:
        target[name] = value


def _typeof(value: Any) -> str:
    name = type_name(value)
    return "object" if name == "null" else name


def _json(value: Any) -> str:
    try:
        text = js.to_json(value)
    except ValueError:
        return "[…]"
    return text if isinstance(text, str) else json.dumps(None)
