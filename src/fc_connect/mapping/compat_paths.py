"""The paths of the TypeScript SDK's mutation mapper, as they are there: for mappings that run in compat mode.

Two dialects, for JSON and for XML, with their own ideas of what is an error. New mappings use
`fc_connect.mapping.paths`, which reads both; docs/paths.md has the table of differences.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any, Literal

from fc_connect.errors import MappingError, ParseError
from fc_connect.mapping.javascript import WHITESPACE
from fc_connect.mapping.values import ABSENT
from fc_connect.mapping.xml_records import read_xml

__all__ = ["PathResolutionError", "UniversalPathResolver", "type_name"]

_BRACKET = re.compile(r"([^\[]+)\[([^\n\r\u2028\u2029]+)\]")
_PREFIX = re.compile(rf"[{WHITESPACE}]*([+-]?[0-9]+)")
_QUOTED = re.compile(r"'([^'\]]+)'|\"([^\"\]]+)\"")
_MAX_SEGMENTS = 200


class PathResolutionError(MappingError):
    """A path of the TypeScript SDK meets something that it can't read."""


class UniversalPathResolver:
    """Reads paths from records of one format, with the results and the errors of the TypeScript SDK."""

    def __init__(self, source_format: Literal["xml", "json", "csv"] = "json") -> None:
        self._is_xml = source_format == "xml"
        self._is_flat = source_format == "csv"

    def resolve(self, data: Any, path: Any) -> Any:
        """Return what lies at the path, `ABSENT` where nothing does. XML may be given as its text.

        Raises:
            PathResolutionError: the path is empty, or asks for a list where there is none.
        """
        if not path:
            raise PathResolutionError("Path cannot be empty")
        if not isinstance(path, str):
            raise PathResolutionError(f"Failed to resolve path: it is text, not {type_name(path)}")
        if self._is_xml and isinstance(data, str | bytes):
            try:
                data = read_xml(data, coerce=True)
            except ParseError as exc:
                raise PathResolutionError(
                    f"Failed to resolve path: Failed to parse XML string: {exc}"
                ) from exc
        if self._is_flat and isinstance(data, Mapping) and path in data:
            return data[path]
        attribute = None
        if self._is_xml and "@" in path:  # all that is behind it is the attribute's name
            path, attribute = path.split("@")[:2]
            if not path:
                return _attribute(data, attribute)
        return self._read(data, _steps(path, is_xml=self._is_xml), attribute)

    def exists(self, data: Any, path: str) -> bool:
        """Say whether there is a value, null included; False where the path can't be read."""
        try:
            return self.resolve(data, path) is not ABSENT
        except PathResolutionError:
            return False

    def get_type(self, data: Any, path: str) -> str:
        """Return JavaScript's name for the type of what lies there."""
        return type_name(self.resolve(data, path))

    def resolve_with_metadata(self, data: Any, path: str) -> dict[str, Any]:
        """Return the value with `exists`, `type` and `path`."""
        value = self.resolve(data, path)
        return {
            "value": value,
            "exists": value is not ABSENT,
            "type": type_name(value),
            "path": path,
        }

    def _read(self, value: Any, steps: tuple[_Step, ...], attribute: str | None) -> Any:
        for position, step in enumerate(steps):
            rest = steps[position + 1 :]
            if step.name is not None:
                value = self._property(value, step.name)
            if step.is_wildcard:
                return self._each(value, rest, attribute)
            if step.key is not None:
                value = self._property(value, step.key)
            elif step.wanted is not None:
                value = _filtered(value, *step.wanted)
            elif step.index is not None:
                value = _item(value, step.index)
            if value is ABSENT or value is None:
                return value if attribute is None and not rest else ABSENT
        if attribute is not None:
            return _attribute(value, attribute)
        return _text_alone(value) if self._is_xml else value

    def _property(self, value: Any, name: str) -> Any:
        found = _property(value, name)
        if found is ABSENT and self._is_xml and isinstance(value, Mapping):
            return _property(value.get("#text"), name)  # an element stands for its text
        return found

    def _each(self, value: Any, rest: tuple[_Step, ...], attribute: str | None) -> Any:
        if value is ABSENT or value is None:
            return ABSENT
        if not isinstance(value, list):
            raise PathResolutionError(f"Expected array for wildcard but got {type_name(value)}")
        return (
            [self._read(item, rest, attribute) for item in value] if rest or attribute is not None else value
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """One segment: a property, then an item, a filter or every item of it; what isn't there is None."""

    name: str | None
    is_wildcard: bool = False
    key: str | None = None
    wanted: tuple[str, str] | None = None
    index: int | None = None


@lru_cache(maxsize=4096)
def _steps(path: str, *, is_xml: bool) -> tuple[_Step, ...]:
    """Read a whole path; a fault of its last segment shows although nothing lies at the first.

    Raises:
        PathResolutionError: a bracket holds nothing that can be an index, or there are too many segments.
    """
    segments = path.split(".")
    if len(segments) > _MAX_SEGMENTS:
        raise PathResolutionError(f"Failed to resolve path: more than {_MAX_SEGMENTS} segments")
    return tuple(_step(segment, is_xml=is_xml) for segment in segments)


def _step(segment: str, *, is_xml: bool) -> _Step:
    if segment == "*":
        return _Step(name=None, is_wildcard=True)
    match = _BRACKET.fullmatch(segment)
    if match is None:
        return _Step(name=segment)
    name, content = match.groups()
    if content == "*":
        return _Step(name=name, is_wildcard=True)
    if is_xml and "=" in content:
        wanted, value = content.split("=")[:2]
        return _Step(name=name, wanted=(wanted, value))
    if not is_xml and (quoted := _QUOTED.fullmatch(content)):
        return _Step(name=name, key=quoted[1] or quoted[2])
    number = _PREFIX.match(content)
    if number is None:
        raise PathResolutionError(f"Failed to resolve path: Invalid array index: {content}")
    return _Step(name=name, index=int(number[1][:20]))


def _item(value: Any, index: int) -> Any:
    if value is ABSENT or value is None:
        return ABSENT
    if not isinstance(value, list):
        raise PathResolutionError(f"Expected array but got {type_name(value)} at path segment")
    return value[index] if 0 <= index < len(value) else ABSENT


def _filtered(value: Any, name: str, wanted: str) -> Any:
    if value is ABSENT or value is None:
        return ABSENT
    if not isinstance(value, list):
        raise PathResolutionError(f"Expected array for filter but got {type_name(value)}")
    for item in value:
        if item is None:  # an empty element before the one that is looked for
            raise PathResolutionError("Failed to resolve path: an item of the filtered list is null")
        if _attribute(item, name) == wanted:
            return item
    return ABSENT


def _text_alone(value: Any) -> Any:
    """Return the text of an element that has nothing but attributes beside it; any other value as it is."""
    if isinstance(value, Mapping) and "#text" in value:
        return value["#text"] if all(name[:1] == "@" or name == "#text" for name in value) else value
    return value


def type_name(value: Any) -> str:
    """Return what JavaScript calls the type: `undefined`, `null`, `array`, or what `typeof` says."""
    if value is ABSENT:
        return "undefined"
    if value is None:
        return "null"
    if isinstance(value, list | tuple):
        return "array"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float | Decimal):
        return "number"
    if isinstance(value, str):
        return "string"
    return "function" if callable(value) else "object"


def _property(value: Any, name: str) -> Any:
    if isinstance(value, Mapping):
        return value.get(name, ABSENT)
    if isinstance(value, list | str):
        if name == "length":
            return len(value)
        if name.isascii() and name.isdecimal() and len(name) < 10 and int(name) < len(value):
            return value[int(name)]
    return ABSENT


def _attribute(value: Any, name: str) -> Any:
    return value.get(f"@{name}", ABSENT) if isinstance(value, Mapping) else ABSENT
