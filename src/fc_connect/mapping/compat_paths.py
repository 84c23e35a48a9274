"""The paths of the TypeScript SDK's mutation mapper, as they are there: for mappings that run in compat mode.

Two dialects, for JSON and for XML, with their own ideas of what is an error. New mappings use
`fc_connect.mapping.paths`, which reads both; docs/paths.md has the table of differences.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

from fc_connect.errors import MappingError, ParseError
from fc_connect.mapping.values import ABSENT
from fc_connect.mapping.xml_records import read_xml, text_of

__all__ = ["PathResolutionError", "UniversalPathResolver", "type_name"]

_BRACKET = re.compile(r"([^\[]+)\[([^\]]+)\](?:@(.+))?")
_PREFIX = re.compile(r"\s*([+-]?[0-9]+)")
_QUOTED = re.compile(r"(['\"])(.*)\1")
_MAX_SEGMENTS = 200


class PathResolutionError(MappingError):
    """A path of the TypeScript SDK meets something that it can't read."""


class UniversalPathResolver:
    """Reads paths from records of one format, with the results and the errors of the TypeScript SDK."""

    def __init__(self, source_format: Literal["xml", "json", "csv"] = "json") -> None:
        self._is_xml = source_format == "xml"
        self._is_flat = source_format == "csv"

    def resolve(self, data: Any, path: str) -> Any:
        """Return what lies at the path, `ABSENT` where nothing does. XML may be given as its text.

        Raises:
            PathResolutionError: the path is empty, or asks for a list where there is none.
        """
        if not path:
            raise PathResolutionError("Path cannot be empty")
        if not isinstance(path, str):
            raise PathResolutionError("Failed to resolve path: path.split is not a function")
        if self._is_xml and isinstance(data, str | bytes):
            try:
                data = read_xml(data, coerce=True)
            except ParseError as exc:
                raise PathResolutionError(f"Failed to resolve path: {exc}") from exc
        if self._is_flat and isinstance(data, Mapping) and path in data:
            return data[path]
        if self._is_xml and path.startswith("@"):
            return _attribute(data, path[1:])
        segments = path.split(".")
        if len(segments) > _MAX_SEGMENTS:
            raise PathResolutionError(f"Failed to resolve path: more than {_MAX_SEGMENTS} segments")
        return self._read(data, segments)

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

    def _read(self, value: Any, segments: list[str]) -> Any:
        for position, segment in enumerate(segments):
            rest = segments[position + 1 :]
            if segment == "*":
                return self._each(value, None, rest)
            match = _BRACKET.match(segment)
            if match is None:
                value = self._segment(value, segment)
            else:
                value = _property(value, match[1])
                attribute = match[3] if self._is_xml else None
                if match[2] == "*":
                    return self._each(value, attribute, rest)
                value = self._bracket(value, match[2])
                if attribute is not None:
                    value = _attribute(value, attribute)
            if value is ABSENT or value is None:
                return ABSENT if rest else value
        return text_of(value) if self._is_xml else value

    def _segment(self, value: Any, segment: str) -> Any:
        if self._is_xml and "@" in segment:
            name, _, attribute = segment.partition("@")
            return _attribute(_property(value, name), attribute) if name else ABSENT
        return _property(value, segment)

    def _bracket(self, value: Any, content: str) -> Any:
        if value is ABSENT or value is None:
            return ABSENT
        if quoted := _QUOTED.fullmatch(content):
            return _property(value, quoted[2])
        if self._is_xml and "=" in content:
            name, _, wanted = content.partition("=")
            items = value if isinstance(value, list) else [value]
            return next((item for item in items if _attribute(item, name) == wanted), ABSENT)
        number = _PREFIX.match(content)
        if number is None:
            raise PathResolutionError(f"Failed to resolve path: Invalid array index: {content}")
        if not isinstance(value, list):
            raise PathResolutionError(f"Expected array but got {type_name(value)} at path segment")
        index = int(number[1][:20])
        return value[index] if 0 <= index < len(value) else ABSENT

    def _each(self, value: Any, attribute: str | None, rest: list[str]) -> Any:
        if value is ABSENT or value is None:
            return ABSENT
        if not isinstance(value, list):
            raise PathResolutionError(f"Expected array for wildcard but got {type_name(value)}")
        items = value if attribute is None else [_attribute(item, attribute) for item in value]
        return [self._read(item, rest) for item in items]


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
    if isinstance(value, int | float):
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
