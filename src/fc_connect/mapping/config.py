"""What people write: a mapping file, read and checked as a whole.

The layout is that of the TypeScript SDK's mapping files: `{"fields": {target: {"source": …, "resolver": …}}}`. What it
knows and this version doesn't is an error that names it: nothing that a mapping asks for is left out silently.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fc_connect.errors import ConfigurationError

__all__ = ["FieldConfig", "MappingConfig", "load_mapping"]

_NOTES = {"comment", "description", "notes", "type", "format", "example", "label"}
_TOP_NOTES = {
    "name",
    "version",
    "description",
    "comment",
    "notes",
    "direction",
    "sourceFormat",
    "targetFormat",
    "entityType",
    "metadata",
    "$schema",
    "id",
}
_LATER = {
    "fields": "nested field maps",
    "isArray": "arrays",
    "when": "conditions",
    "xmlPath": "XML paths",
    "transform": "transforms",
    "validation": "validation rules",
    "nullable": "null handling",
}
_MAX_BYTES = 1024 * 1024
"""Of a mapping file: what is larger wasn't written by hand."""
_MAX_VALUES = 200_000
"""In a mapping: aliases of YAML let a few lines stand for any number of values."""
_MAX_DEPTH = 100
_TOP_LATER = {"mutation", "query", "nodes", "returnFields", "arguments", "operationName"}


class FieldConfig(BaseModel):
    """How one target field gets its value."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    source: str | None = None
    """Column, or dotted path in the record."""
    resolver: str | None = None
    """What the value goes through: `sdk.parseInt`, or one of your own."""
    required: bool = False
    """Whether an absent or empty value rejects the record."""
    default: Any = Field(default=None, alias="defaultValue")
    """In place of an absent or empty value; it goes through the resolver too."""
    value: Any = None
    """A constant; it wins over `source`."""

    @property
    def has_default(self) -> bool:
        return "default" in self.model_fields_set

    @property
    def has_value(self) -> bool:
        return "value" in self.model_fields_set


class MappingConfig(BaseModel):
    """A whole mapping."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    fields: dict[str, FieldConfig] = Field(min_length=1)
    """By target name; a dotted one lies in a nested object."""

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all that decides the outcome; comments and the order of keys inside a field don't."""
        content = [(name, field.model_dump(exclude_unset=True)) for name, field in self.fields.items()]
        return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def load_mapping(source: str | Path | Mapping[str, Any]) -> MappingConfig:
    """Read a mapping from a JSON or YAML file, or take it as it is.

    Raises:
        ConfigurationError: the file can't be read, or what it says can't be used; every fault is listed.
    """
    where = "The mapping" if isinstance(source, Mapping) else str(source)
    content = dict(source) if isinstance(source, Mapping) else _read(Path(source))
    if fault := _not_json(content):
        raise ConfigurationError(f"{where} can't be used:", problems=[fault])
    problems: list[str] = []
    cleaned = _cleaned(content, problems)
    config: MappingConfig | None = None
    try:
        config = MappingConfig.model_validate(cleaned)
    except ValidationError as exc:
        problems += [f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in exc.errors()]
    if config is not None:
        problems += _contradictions(config)
    if problems or config is None:
        raise ConfigurationError(f"{where} can't be used:", problems=problems)
    return config


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            raw = file.read(_MAX_BYTES + 1)
        if len(raw) > _MAX_BYTES:
            raise ConfigurationError(
                f"{path} is larger than {_MAX_BYTES >> 20} MiB: that is no mapping file."
            )
        text = raw.decode("utf-8-sig")
    except FileNotFoundError as exc:
        raise ConfigurationError(f"There is no mapping file {path}.") from exc
    except (OSError, ValueError) as exc:  # also a NUL in the path, and text that isn't UTF-8
        raise ConfigurationError(f"{path} can't be read: {exc}") from exc
    kind = "JSON" if path.suffix == ".json" else "YAML"
    try:
        content = (
            json.loads(text, object_pairs_hook=_once_each)
            if kind == "JSON"
            else yaml.load(text, _StrictLoader)  # noqa: S506 - a SafeLoader
        )
    except json.JSONDecodeError as exc:
        raise ConfigurationError(f"{path}:{exc.lineno}:{exc.colno}: isn't JSON: {exc.msg}") from exc
    except (yaml.YAMLError, ValueError) as exc:  # numbers of thousands of digits, days that don't exist
        raise ConfigurationError(f"{path}: isn't {kind}: {exc}") from exc
    except RecursionError as exc:
        raise ConfigurationError(f"{path}: is nested too deeply.") from exc
    if not isinstance(content, dict):
        raise ConfigurationError(f"{path}: expected an object with `fields`, not {type(content).__name__}.")
    return content


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a key that is given twice: a person meant one of the two, and which can't be known."""
    content = dict(pairs)
    if len(content) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice[:100]!r} is given twice")
    return content


class _StrictLoader(yaml.SafeLoader):
    """YAML without keys that are given twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        written = [
            key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode) and key.value != "<<"
        ]
        content = super().construct_mapping(node, deep=deep)
        _once_each([(str(name), None) for name in written])
        return content


def _not_json(content: Any) -> str | None:
    """Say what of the content JSON has no form for, and where; None where all of it is plain."""
    pending: list[tuple[str, int, Any]] = [("", 0, content)]
    seen = 0
    while pending:
        at, depth, value = pending.pop()
        seen += 1
        if seen > _MAX_VALUES:
            return "holds too many values; aliases of YAML count each time"
        if depth > _MAX_DEPTH:
            return f"{at.split('.')[0]}: is nested too deeply"
        if isinstance(value, Mapping):
            for name, each in value.items():
                if not isinstance(name, str) or not _is_text(name):
                    return f"{at}{name!r}: must be text: write it in quotes"
                pending.append((f"{at}{name}.", depth + 1, each))
        elif isinstance(value, list | tuple):
            pending += [(at, depth + 1, each) for each in value]
        elif isinstance(value, str):
            if not _is_text(value):
                return f"{at.rstrip('.')}: holds half a surrogate pair, which is no character"
        elif isinstance(value, float):
            if not math.isfinite(value):
                return f"{at.rstrip('.')}: {value} isn't a number of JSON"
        elif not isinstance(value, bool | int | None):
            return f"{at.rstrip('.')}: a {type(value).__name__} has no form in JSON: write it in quotes"
    return None


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _cleaned(content: Mapping[str, Any], problems: list[str]) -> dict[str, Any]:
    """Return the content without notes; note what can't be done or isn't known."""
    for name in content:
        if name in _TOP_LATER:
            problems.append(f"{name}: GraphQL mappings can't be used for a batch")
        elif name != "fields" and name not in _TOP_NOTES and not _is_note(name):
            problems.append(f"{name}: unknown{_hint(name, {'fields', *_TOP_NOTES})}")
    fields = content.get("fields")
    if not isinstance(fields, Mapping):
        return {} if fields is None else {"fields": fields}
    cleaned: dict[str, dict[str, Any]] = {}
    for target, field in fields.items():
        if _is_note(str(target)):
            continue
        if not isinstance(field, Mapping):
            problems.append(f'fields.{target}: expected an object such as {{"source": {json.dumps(field)}}}')
            continue
        cleaned[str(target)] = kept = {}
        for name, value in field.items():
            if name in FieldConfig.model_fields or name == "defaultValue":
                kept[name] = value
            elif name in _LATER:
                problems.append(f"fields.{target}.{name}: {_LATER[name]} aren't supported yet")
            elif name not in _NOTES and not _is_note(str(name)):
                known = {"source", "resolver", "required", "defaultValue", "value", "comment"}
                problems.append(f"fields.{target}.{name}: unknown{_hint(str(name), known)}")
    return {"fields": cleaned}


def _contradictions(config: MappingConfig) -> list[str]:
    problems = []
    for target, field in config.fields.items():
        if not (field.source or field.resolver or field.has_value or field.has_default):
            problems.append(f"fields.{target}: needs a source, a value, a defaultValue or a resolver")
        parts = target.split(".")
        if not all(parts) or any("[" in part or "]" in part for part in parts):
            problems.append(
                f"fields.{target}: a target is a name, or names with dots; arrays aren't supported yet"
            )
        for depth in range(1, len(parts)):
            above = ".".join(parts[:depth])
            if above in config.fields:
                problems.append(f"fields.{target}: lies inside {above!r}, which has a value of its own")
    return problems


def _is_note(name: str) -> bool:
    return name.startswith(("_", "//", "$comment"))


def _hint(name: str, known: set[str]) -> str:
    close = get_close_matches(name, sorted(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
