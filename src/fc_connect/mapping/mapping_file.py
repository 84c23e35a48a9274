"""A mapping file, read and checked as a whole.

The layout is that of the TypeScript SDK's mapping files: `{"fields": {target: {"source": …, "resolver": …}}}`. What it
knows and a mapping can't have here is an error that names it: nothing that a mapping asks for is left out silently.
With `compat: true` the file is read as that SDK reads it, and nothing is checked that it doesn't check.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from fc_connect.errors import ConfigurationError
from fc_connect.mapping.config import CompatMapping, FieldConfig, MappingConfig
from fc_connect.mapping.rules import target_steps

__all__ = ["load_mapping", "read_content"]

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
    "query",
    "$schema",
    "id",
}
_OTHERWISE = {
    "xmlPath": "write the path as `source`",
    "transform": "write it as `resolver`",
    "validation": "write `enum`, `pattern`, `minimum`, `maximum`, `minLength` or `maxLength`",
    "nullable": "a null stays a null unless there is a `defaultValue`",
}
_MAX_BYTES = 1024 * 1024
"""Of a mapping file: what is larger wasn't written by hand."""
_MAX_VALUES = 200_000
"""In a mapping: aliases of YAML let a few lines stand for any number of values."""
_MAX_DEPTH = 100
_GRAPHQL = {"mutation", "nodes", "returnFields", "arguments", "operationName"}


def load_mapping(
    source: str | Path | Mapping[str, Any], *, compat: bool | None = None, folder: Path | None = None
) -> MappingConfig | CompatMapping:
    """Read a mapping from a JSON or YAML file, or take it as it is.

    `compat` decides over the file's own `compat`. Files that the mapping names are looked for in `folder`, by default
    that of the mapping file.

    Raises:
        ConfigurationError: the file can't be read, or what it says can't be used; every fault is listed.
    """
    where = "The mapping" if isinstance(source, Mapping) else str(source)
    content = dict(source) if isinstance(source, Mapping) else read_content(Path(source))
    if compat is None:
        compat = content.get("compat", False)
        if not isinstance(compat, bool):
            raise ConfigurationError(f"{where} can't be used:", problems=["compat: expected true or false"])
    if compat:
        return CompatMapping(content.get("fields"))
    if fault := _not_json(content):
        raise ConfigurationError(f"{where} can't be used:", problems=[fault])
    problems: list[str] = []
    cleaned = _cleaned(content, problems)
    cleaned["folder"] = folder or (Path() if isinstance(source, Mapping) else Path(source).parent)
    config: MappingConfig | None = None
    try:
        config = MappingConfig.model_validate(cleaned)
    except ValidationError as exc:
        problems += [f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in exc.errors()]
    if config is not None:
        problems += _contradictions(config.fields, "fields")
    if problems or config is None:
        raise ConfigurationError(f"{where} can't be used:", problems=problems)
    return config


def read_content(path: Path) -> dict[str, Any]:
    """Return what stands in a mapping file, JSON or YAML, of either kind.

    Raises:
        ConfigurationError: it can't be read, or isn't an object.
    """
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
        if name in _GRAPHQL:
            problems.append(
                f"{name}: this is a mapping for GraphQL mutations; it makes no entities for a batch"
            )
        elif name not in {"fields", "compat"} and name not in _TOP_NOTES and not _is_note(name):
            problems.append(f"{name}: unknown{_hint(name, {'fields', 'compat', *_TOP_NOTES})}")
    fields = content.get("fields")
    return {} if fields is None else {"fields": _cleaned_fields(fields, "fields", problems)}


_KEYS = {field.alias or name for name, field in FieldConfig.model_fields.items()}


def _cleaned_fields(fields: Any, at: str, problems: list[str]) -> Any:
    if not isinstance(fields, Mapping):
        return fields
    cleaned: dict[str, dict[str, Any]] = {}
    for target, field in fields.items():
        if _is_note(str(target)) and not isinstance(field, Mapping):
            continue
        if not isinstance(field, Mapping):
            problems.append(f'{at}.{target}: expected an object such as {{"source": {json.dumps(field)}}}')
            continue
        cleaned[str(target)] = kept = {}
        for name, value in field.items():
            if name == "fields":
                kept[name] = _cleaned_fields(value, f"{at}.{target}.fields", problems)
            elif name in _KEYS:
                kept[name] = value
            elif name in _OTHERWISE:
                problems.append(f"{at}.{target}.{name}: isn't known here; {_OTHERWISE[name]}")
            elif name not in _NOTES and not _is_note(str(name)):
                problems.append(f"{at}.{target}.{name}: unknown{_hint(str(name), {*_KEYS, 'comment'})}")
    return cleaned


def _contradictions(fields: Mapping[str, FieldConfig], at: str) -> Iterator[str]:
    targets: dict[tuple[str | int, ...], str] = {}
    for target, field in fields.items():
        yield from (f"{at}.{target}: {fault}" for fault in _contradiction(field))
        try:
            steps = target_steps(target)
        except ValueError as exc:
            yield f"{at}.{target}: {exc}"
            continue
        if steps in targets:
            yield f"{at}.{target}: is the same place as {targets[steps]!r}"
        targets[steps] = target
        yield from _contradictions(field.fields or {}, f"{at}.{target}.fields")
    for steps, target in targets.items():
        for depth in range(1, len(steps)):
            if steps[:depth] in targets:
                yield f"{at}.{target}: lies inside {targets[steps[:depth]]!r}, which has a value of its own"
            beside = [
                other[depth] for other in targets if len(other) > depth and other[:depth] == steps[:depth]
            ]
            if len({isinstance(each, int) for each in beside}) > 1:
                yield f"{at}.{target}: {'.'.join(map(str, steps[:depth]))!r} is a list here and an object there"
        for depth, step in enumerate(steps):
            if (
                isinstance(step, int)
                and step
                and (*steps[:depth], step - 1) not in {s[: depth + 1] for s in targets}
            ):
                yield f"{at}.{target}: nothing is put at [{step - 1}], so there would be a hole in the list"


def _contradiction(field: FieldConfig) -> Iterator[str]:
    if field.fields is not None:
        kept = {"source", "required", "fields", "is_array", "when"} | (
            {"default"} if field.is_array else set()
        )
        if unused := sorted(_alias(name) for name in field.model_fields_set - kept):
            yield f"with `fields` it has a value already, so {', '.join(f'`{name}`' for name in unused)} can't be"
        if not field.fields:
            yield "`fields` is empty"
        if field.is_array and not field.source:
            yield "an array needs the `source` of its items"
        return
    if field.is_array:
        yield (
            "`isArray` needs the `fields` of an item; a list of plain values is a `source` such as tags[*], or one "
            "resolver that makes a list (sdk.split)"
        )
    if not (field.source or field.resolvers or field.has_value or field.has_default):
        yield "needs a source, a value, a defaultValue or a resolver"


def _alias(name: str) -> str:
    return FieldConfig.model_fields[name].alias or name


def _is_note(name: str) -> bool:
    return name.startswith(("_", "//", "$comment"))


def _hint(name: str, known: set[str]) -> str:
    close = get_close_matches(name, sorted(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
