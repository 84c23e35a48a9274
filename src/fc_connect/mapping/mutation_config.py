"""What is wrong with a mutation mapping, with the codes of the TypeScript SDK's `validateMappingConfig`.

Errors make a mapping invalid; warnings tell what is probably meant otherwise, and with `strict` they count as errors.
"""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from difflib import get_close_matches
from typing import Any, Final

from fc_connect.errors import ConfigurationError
from fc_connect.mapping.values import ABSENT

__all__ = [
    "NODE_NAME",
    "ConfigIssue",
    "ConfigReport",
    "assert_valid_config",
    "validate_mapping_config",
]

NODE_NAME: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_FORMATS = ("xml", "json", "jsonl")
_MUTATION = re.compile(r"[a-z][a-zA-Z0-9]*")
_OPERATION = re.compile(r"[A-Z][a-zA-Z0-9]*")
_SEMVER = re.compile(r"[0-9]+\.[0-9]+(\.[0-9]+)?")


@dataclass(frozen=True, slots=True)
class ConfigIssue:
    """One thing that is wrong, or may be."""

    code: str
    message: str
    path: str | None = None
    value: Any = None
    suggestions: tuple[str, ...] = ()
    recommendation: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return it as the TypeScript SDK names it."""
        result: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.path is not None:
            result["path"] = self.path
        if self.value is not None:
            result["value"] = self.value
        if self.suggestions:
            result["suggestions"] = list(self.suggestions)
        if self.recommendation is not None:
            result["recommendation"] = self.recommendation
        return result


@dataclass(frozen=True, slots=True)
class ConfigReport:
    """All that was found."""

    valid: bool
    errors: tuple[ConfigIssue, ...] = ()
    warnings: tuple[ConfigIssue, ...] = ()
    milliseconds: float = field(default=0.0, compare=False)
    """That the validation took."""

    def to_dict(self) -> dict[str, Any]:
        """Return it as the TypeScript SDK names it."""
        return {
            "valid": self.valid,
            "errors": [each.to_dict() for each in self.errors],
            "warnings": [each.to_dict() for each in self.warnings],
            "summary": {
                "totalErrors": len(self.errors),
                "totalWarnings": len(self.warnings),
                "validationTime": self.milliseconds,
            },
        }


def validate_mapping_config(
    config: Any,
    *,
    strict: bool = False,
    validate_resolvers: bool = False,
    known_resolvers: Collection[str] | None = None,
) -> ConfigReport:
    """Check a mutation mapping without making a mapper of it; never raises.

    With `validate_resolvers`, a resolver that isn't among `known_resolvers` is a warning; nothing is where those aren't
    given.
    """
    began = time.perf_counter()
    check = _Check(known_resolvers if validate_resolvers else None)
    check.root(config)
    return ConfigReport(
        valid=not check.errors and not (strict and check.warnings),
        errors=tuple(check.errors),
        warnings=tuple(check.warnings),
        milliseconds=round((time.perf_counter() - began) * 1000, 3),
    )


def assert_valid_config(config: Any, **options: Any) -> None:
    """Do nothing if the mapping is valid; takes the options of `validate_mapping_config`.

    Raises:
        ConfigurationError: it isn't; with everything that is wrong.
    """
    report = validate_mapping_config(config, **options)
    if not report.valid:
        found = [*report.errors, *(report.warnings if options.get("strict") else ())]
        raise ConfigurationError(
            "The mapping can't be used:",
            problems=[f"{each.path or '(mapping)'}: {each.message} [{each.code}]" for each in found],
        )


class _Check:
    """Walks through a mapping and notes what it finds."""

    def __init__(self, known: Collection[str] | None) -> None:
        self._known = known
        self.errors: list[ConfigIssue] = []
        self.warnings: list[ConfigIssue] = []

    def root(self, config: Any) -> None:
        if config is None or config is ABSENT:
            self._error("ROOT_NULL_OR_UNDEFINED", "There is no mapping")
        elif isinstance(config, list | tuple):
            self._error("ROOT_IS_ARRAY", "A mapping is an object, not a list")
        elif not isinstance(config, Mapping):
            self._error(
                "ROOT_NOT_OBJECT", f"A mapping is an object, not {type(config).__name__}", None, config
            )
        else:
            self._version(config)
            self._mutation(config)
            self._source_format(config)
            self._parts(config)
            self._return_fields(config)
            self._operation(config)

    def _version(self, config: Mapping[str, Any]) -> None:
        version = config.get("version")
        if _is_falsy(version):
            self._error("VERSION_MISSING", "Needs a version, such as 1.0", "version")
        elif not isinstance(version, str):
            self._error("VERSION_INVALID_TYPE", "Must be text, such as '1.0'", "version", version)
        elif not _SEMVER.fullmatch(version):
            self._warning(
                "VERSION_NON_SEMVER",
                f"{version!r} isn't like 1.0 or 1.0.0",
                "version",
                "Write it as 1.0 or 1.0.0",
            )

    def _mutation(self, config: Mapping[str, Any]) -> None:
        mutation = config.get("mutation")
        if _is_falsy(mutation):
            self._error("MUTATION_MISSING", "Needs the name of a mutation, such as createOrder", "mutation")
        elif not isinstance(mutation, str):
            self._error("MUTATION_INVALID_TYPE", "Must be text", "mutation", mutation)
        else:
            if not mutation.strip():
                self._error("MUTATION_EMPTY", "Is empty; needs the name of a mutation", "mutation")
            self._mutation_name(mutation)

    def _mutation_name(self, mutation: str) -> None:
        if not _MUTATION.fullmatch(mutation):
            self._error(
                "MUTATION_INVALID_FORMAT",
                "Must begin with a small letter and hold letters and digits alone",
                "mutation",
                mutation,
            )

    def _source_format(self, config: Mapping[str, Any]) -> None:
        source_format = config.get("sourceFormat")
        if _is_falsy(source_format):
            self._error("SOURCE_FORMAT_MISSING", f"Needs one of {', '.join(_FORMATS)}", "sourceFormat")
        elif source_format not in _FORMATS:
            self._error(
                "SOURCE_FORMAT_INVALID",
                f"Must be one of {', '.join(_FORMATS)}",
                "sourceFormat",
                source_format,
                _FORMATS,
            )

    def _parts(self, config: Mapping[str, Any]) -> None:
        fields, arguments, nodes = config.get("fields"), config.get("arguments"), config.get("nodes")
        has_fields, has_arguments = _is_object(fields), _is_object(arguments)
        if not has_fields and not has_arguments:
            self._error("FIELDS_OR_ARGUMENTS_MISSING", "Needs `fields` or `arguments`")
        if has_fields and has_arguments:
            self._warning(
                "BOTH_FIELDS_AND_ARGUMENTS",
                "Has `fields` and `arguments`",
                None,
                "Keep the one that is meant",
            )
        if not _is_falsy(nodes):
            self._nodes(nodes)
        if not _is_falsy(fields):
            self._fields(fields, "fields")
        if not _is_falsy(arguments):
            self._arguments(arguments)

    def _nodes(self, nodes: Any) -> None:
        seen: set[str] = set()
        for name, node in _entries(nodes):
            at = f"nodes.{name}"
            if not NODE_NAME.fullmatch(str(name)):
                self._error("NODE_NAME_INVALID", "Must be letters, digits and _, no digit first", at, name)
            if str(name) in seen:
                self._error("NODE_NAME_DUPLICATE", "Is there twice", at, name)
            seen.add(str(name))
            if not _is_object(node):
                self._error("NODE_CONFIG_INVALID", "Must be an object with `extract`", at, node)
            else:
                self._node(dict(_entries(node)), at)

    def _node(self, node: Mapping[str, Any], at: str) -> None:
        extract, parse, unescape, required = (
            node.get(key, ABSENT) for key in ("extract", "parse", "unescape", "required")
        )
        if _is_falsy(extract):
            self._error("NODE_EXTRACT_MISSING", "Needs a path", f"{at}.extract")
        elif not isinstance(extract, str):
            self._error("NODE_EXTRACT_INVALID_TYPE", "Must be text", f"{at}.extract", extract)
        if not _is_falsy(parse) and parse not in ("xml", "json"):
            self._error("NODE_PARSE_INVALID", "Must be xml or json", f"{at}.parse", parse, ("xml", "json"))
        if unescape is not ABSENT and not isinstance(unescape, bool):
            self._error("NODE_UNESCAPE_INVALID_TYPE", "Must be true or false", f"{at}.unescape", unescape)
        if required is not ABSENT and not isinstance(required, bool):
            self._error("NODE_REQUIRED_INVALID_TYPE", "Must be true or false", f"{at}.required", required)
        if not _is_falsy(unescape) and _is_falsy(parse):
            self._warning(
                "NODE_UNESCAPE_WITHOUT_PARSE",
                "Is unescaped, but not parsed",
                at,
                "Give `parse`, or leave `unescape` out",
            )

    def _fields(self, fields: Any, at: str) -> None:
        for name, config in _entries(fields):
            self._field(name, config, f"{at}.{name}")

    def _field(self, name: str, given: Any, at: str) -> None:
        if ".." in name:
            self._error("FIELD_NAME_INVALID", "Has an empty part between dots", at, name)
        config = dict(_entries(given)) if _is_object(given) else {}
        resolver, source, fields = config.get("resolver"), config.get("source"), config.get("fields")
        has_value = config.get("value", ABSENT) is not ABSENT
        if not has_value and _is_falsy(source) and _is_falsy(resolver) and not _has_more(config):
            self._error("FIELD_CONFIG_INCOMPLETE", "Needs a source, a value or a resolver", at, given)
        if not _is_falsy(resolver):
            self._resolver(resolver, f"{at}.resolver")
        if not _is_falsy(source) and not isinstance(source, str):
            self._error("FIELD_SOURCE_INVALID_TYPE", "Must be text", f"{at}.source", source)
        if _is_object(fields):
            self._fields(fields, f"{at}.fields")
        if has_value and not _is_falsy(source):
            self._warning(
                "FIELD_VALUE_AND_SOURCE", "Has both; the value wins", at, "Keep the one that is meant"
            )

    def _resolver(self, resolver: Any, at: str) -> None:
        if not isinstance(resolver, str):
            self._error("FIELD_RESOLVER_INVALID_TYPE", "Must be text", at, resolver)
        elif self._known is not None and resolver not in self._known:
            close = get_close_matches(resolver, self._known, n=1)
            hint = f"Did you mean {close[0]}?" if close else "Register it, or correct its name"
            self._warning("FIELD_RESOLVER_UNKNOWN", f"{resolver!r} isn't known", at, hint)

    def _arguments(self, arguments: Any) -> None:
        entries = _entries(arguments)
        if not entries:
            self._warning("ARGUMENTS_EMPTY", "Has no argument", "arguments", "Add one, or use `fields`")
        for name, config in entries:
            if not name.startswith("_") and not _is_object(config):
                self._error("ARGUMENT_INVALID", "Must be an object", f"arguments.{name}", config)

    def _return_fields(self, config: Mapping[str, Any]) -> None:
        returned = config.get("returnFields")
        if _is_falsy(returned):
            self._warning(
                "RETURN_FIELDS_MISSING", "Isn't there", "returnFields", "Name what to return, such as id"
            )
        elif not isinstance(returned, list | tuple):
            self._warning("RETURN_FIELDS_NOT_ARRAY", "Must be a list", "returnFields", 'Write it as ["id"]')
        elif not returned:
            self._warning(
                "RETURN_FIELDS_EMPTY", "Is empty", "returnFields", "Name what to return, such as id"
            )

    def _operation(self, config: Mapping[str, Any]) -> None:
        operation = config.get("operationName")
        if not _is_falsy(operation) and not (isinstance(operation, str) and _OPERATION.fullmatch(operation)):
            self._warning(
                "OPERATION_NAME_INVALID_FORMAT",
                "Should begin with a capital letter and hold letters and digits alone",
                "operationName",
                "Write it as CreateOrder",
            )

    def _error(
        self,
        code: str,
        message: str,
        path: str | None = None,
        value: Any = None,
        suggestions: Iterable[str] = (),
    ) -> None:
        self.errors.append(ConfigIssue(code, message, path, value, tuple(suggestions)))

    def _warning(self, code: str, message: str, path: str | None, recommendation: str) -> None:
        self.warnings.append(ConfigIssue(code, message, path, recommendation=recommendation))


def _has_more(config: Mapping[str, Any]) -> bool:
    """Say whether a field has other keys, which may be fields inside it."""
    return any(not name.startswith("_") and name not in {"source", "resolver", "value"} for name in config)


def _is_falsy(value: Any) -> bool:
    """Say whether JavaScript takes it for nothing; an empty list or object is something."""
    return value is None or value is ABSENT or (isinstance(value, str | int | float | Decimal) and not value)


def _is_object(value: Any) -> bool:
    """Say whether JavaScript takes it for an object; a list is one."""
    return isinstance(value, Mapping | list | tuple)


def _entries(value: Any) -> list[tuple[str, Any]]:
    """Return names and values as JavaScript lists them: whole numbers first; those of a list or text are numbers."""
    if isinstance(value, list | tuple | str):
        return [(str(position), item) for position, item in enumerate(value)]
    if not isinstance(value, Mapping):
        return []
    return sorted(((str(name), item) for name, item in value.items()), key=_position)


def _position(entry: tuple[str, Any]) -> int:
    name = entry[0]
    is_number = name.isascii() and name.isdecimal() and len(name) < 10 and str(int(name)) == name
    return int(name) if is_number else 10**9
