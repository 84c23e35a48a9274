"""A mapping against the type that takes its entities: what is missing, what isn't there, what can't be of that type."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Literal

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLObjectType,
    GraphQLScalarType,
    get_named_type,
    get_nullable_type,
)

from fc_connect.errors import listed
from fc_connect.mapping.batch_entities import ALTERNATIVES
from fc_connect.mapping.entity_check import check_value, is_needed
from fc_connect.mapping.outline import TODO, Target

__all__ = ["FieldState", "Finding", "Fit", "check_extract", "check_fit"]

_MAX_FINDINGS = 500
_GIVES = {
    "parseint": "Int",
    "parsefloat": "Float",
    "number": "Float",
    "boolean": "Boolean",
    "toboolean": "Boolean",
    "tostring": "String",
    "uppercase": "String",
    "touppercase": "String",
    "lowercase": "String",
    "tolowercase": "String",
    "trim": "String",
    "tojson": "String",
    "formatdate": "String",
    "formatdateshort": "String",
    "parsedate": "String",
    "toiso8601": "String",
    "todate": "String",
    "uuid": "String",
    "hash": "String",
    "join": "String",
    "concat": "String",
    "replace": "String",
    "substring": "String",
}
# What the result of a resolver may become without another word of the server.
_TAKES = {
    "Int": {"Int"},
    "Float": {"Int", "Float"},
    "Boolean": {"Boolean"},
    "String": {"String"},
    "ID": {"String", "Int"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing about one field."""

    severity: Literal["error", "warning"]
    code: str
    path: str
    message: str
    suggestions: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        shown: dict[str, Any] = {"code": self.code, "path": self.path, "message": self.message}
        return {**shown, "suggestions": list(self.suggestions)} if self.suggestions else shown


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldState:
    """One field of the type, and whether the mapping fills it."""

    path: str
    type: str
    required: bool
    mapped: bool
    description: str | None

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.path,
            "type": self.type,
            "required": self.required,
            "mapped": self.mapped,
            "description": self.description or "",
        }


@dataclass(slots=True)
class Fit:
    """How a mapping fits a type."""

    fields: list[FieldState] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def add(self, severity: Literal["error", "warning"], code: str, path: str, message: str) -> None:
        if len(self.findings) < _MAX_FINDINGS:
            self.findings.append(Finding(severity=severity, code=code, path=path, message=message))

    def suggest(self, code: str, path: str, message: str, known: Mapping[str, Any], name: str) -> None:
        """Add an error for a name that isn't among the known, with the nearest."""
        close = tuple(get_close_matches(name, known, n=3))
        hint = f"; did you mean {' or '.join(close)}?" if close else f"; it has: {listed(list(known))}"
        if len(self.findings) < _MAX_FINDINGS:
            self.findings.append(
                Finding(severity="error", code=code, path=path, message=message + hint, suggestions=close)
            )


def check_fit(
    root: Target, expected: GraphQLInputObjectType, *, prefix: str = "", is_text_source: bool = False
) -> Fit:
    """Hold the targets below `root` against an input type.

    A field counts once, and so do those of an object in it that is required or that the mapping fills.
    """
    fit = Fit()
    if root.is_set:
        fit.fields.append(
            FieldState(
                path=prefix or root.name,
                type=str(expected),
                required=True,
                mapped=True,
                description=expected.description,
            )
        )
        return fit
    _object(fit, root, expected, prefix, (expected.name,), is_text_source)
    return fit


def check_extract(targets: Iterator[Target], record: GraphQLObjectType) -> Fit:
    """Hold the sources of an extract against the type of its records: each must name a field of it."""
    fit = Fit()
    read: set[str] = set()
    for target in targets:
        if target.source is not None and not _note_todo(fit, target, target.path):
            _source_in(fit, target, record, read)
    for name, each in record.fields.items():
        if not each.args or all(not is_needed(argument) for argument in each.args.values()):
            fit.fields.append(
                FieldState(
                    path=name,
                    type=str(each.type),
                    required=False,
                    mapped=name in read,
                    description=each.description,
                )
            )
    return fit


def _object(
    fit: Fit,
    target: Target,
    expected: GraphQLInputObjectType,
    path: str,
    above: tuple[str, ...],
    is_text: bool,
) -> None:
    below = f"{path}." if path else ""
    groups = ALTERNATIVES.get(expected.name, ())
    for name, each in expected.fields.items():
        child = target.children.get(name)
        is_mapped = child is not None and child.is_mapped
        needed = is_needed(each)
        at = f"{below}{name}"
        fit.fields.append(
            FieldState(
                path=at,
                type=str(each.type),
                required=needed,
                mapped=is_mapped and child is not None and _todo_of(child) is None,
                description=each.description,
            )
        )
        if child is not None and is_mapped:
            _mapped(fit, child, each, at, above, is_text)
        elif needed:
            fit.add("error", "REQUIRED_FIELD_MISSING", at, f"{expected.name} needs it ({each.type})")
            inner = get_named_type(each.type)
            if isinstance(inner, GraphQLInputObjectType) and inner.name not in above:
                nothing = Target(path=at, name=name)
                _object(fit, nothing, inner, f"{at}{_brackets(each.type)}", (*above, inner.name), is_text)
        elif not any(name in group and _has_one(target, group) for group in groups):
            fit.add("warning", "OPTIONAL_FIELD_MISSING", at, f"isn't mapped ({each.type}, optional)")
    for group in groups:
        if not _has_one(target, group):
            fit.add(
                "error",
                "REQUIRED_FIELD_MISSING",
                f"{below}{group[0]}",
                f"one of {' and '.join(group)} is needed",
            )
    for name in target.children:
        if name not in expected.fields:
            fit.suggest(
                "UNKNOWN_FIELD", f"{below}{name}", f"{expected.name} has no such field", expected.fields, name
            )


def _has_one(target: Target, group: Iterable[str]) -> bool:
    return any(name in target.children and target.children[name].is_mapped for name in group)


def _mapped(fit: Fit, target: Target, given: Any, path: str, above: tuple[str, ...], is_text: bool) -> None:
    _note_todo(fit, target, path)
    bare = get_nullable_type(given.type)
    inner = get_named_type(given.type)
    is_list = isinstance(bare, GraphQLList)
    if target.has_value:
        for problem in check_value(given.type, target.config["value"], path=path):
            fit.add("error", "VALUE_INVALID", problem.field, f"{_shown(problem.value)} {_be(problem.reason)}")
        return
    if target.is_list and not is_list:
        fit.add("error", "NOT_A_LIST", path, f"is written as a list, and {given.type} is none")
    if isinstance(inner, GraphQLInputObjectType):
        if not target.children:
            return  # taken whole from its source; what is in it is seen when a record is there
        if is_list and not target.is_list:
            fit.add(
                "warning",
                "LIST_EXPECTED",
                path,
                f"is one object, and {given.type} is a list: isArray makes one",
            )
        # Only what the mapping fills is entered, so a type that holds itself comes to an end with the mapping.
        _object(fit, target, inner, f"{path}{'[]' if is_list else ''}", (*above, inner.name), is_text)
        return
    if target.children:
        fit.add("error", "NOT_AN_OBJECT", path, f"has fields below it, and {given.type} has none")
        return
    if is_needed(given) and "defaultValue" not in target.config and target.config.get("required") is not True:
        fit.add(
            "warning",
            "REQUIRED_NOT_MARKED",
            path,
            f"{given.type} takes no null: mark it required, so that a record without it is rejected before it is sent",
        )
    _leaf(fit, target, inner, path, is_list, is_text)


def _leaf(fit: Fit, target: Target, inner: Any, path: str, is_list: bool, is_text: bool) -> None:
    resolver = target.resolver
    gives = None if resolver is None else _GIVES.get(resolver.rpartition(".")[2].lower())
    if isinstance(inner, GraphQLEnumType):
        if "defaultValue" in target.config and resolver is None:
            for problem in check_value(inner, target.config["defaultValue"], path=path):
                fit.add(
                    "error",
                    "VALUE_INVALID",
                    path,
                    f"defaultValue {_shown(problem.value)} {_be(problem.reason)}",
                )
        if gives is not None and gives != "String":
            fit.add(
                "warning", "TYPE_MISMATCH", path, f"{resolver} gives {gives}, and {inner.name} is an enum"
            )
        return
    takes = _TAKES.get(inner.name) if isinstance(inner, GraphQLScalarType) else None
    if takes is None:
        return  # a custom scalar: only the server knows
    if gives is not None and gives not in takes and not is_list:
        fit.add("warning", "TYPE_MISMATCH", path, f"{resolver} gives {gives}, and the field is {inner.name}")
    if resolver is None and is_text and target.source is not None and "String" not in takes:
        fit.add(
            "warning",
            "RESOLVER_MISSING",
            path,
            f"without a resolver a text stays text, and {inner.name} takes none: {_fitting(inner.name)}",
        )
    if resolver is None and "defaultValue" in target.config and target.config["defaultValue"] is not None:
        for problem in check_value(inner, target.config["defaultValue"], path=path):
            fit.add(
                "warning",
                "VALUE_INVALID",
                path,
                f"defaultValue {_shown(problem.value)} {_be(problem.reason)}",
            )


def _todo_of(target: Target) -> str | None:
    comment = target.config.get("comment")
    _, todo, said = comment.partition(f"{TODO}:") if isinstance(comment, str) else ("", "", "")
    texts = [target.source, target.resolver, target.config.get("value"), todo + said]
    return next((each for each in texts if isinstance(each, str) and each.startswith(TODO)), None)


def _note_todo(fit: Fit, target: Target, path: str) -> bool:
    found = _todo_of(target)
    if found is not None:
        fit.add("error", "TODO", path, f"waits for your decision: {found}")
    return found is not None


def _source_in(fit: Fit, target: Target, record: GraphQLObjectType, read: set[str]) -> None:
    at: Any = record
    for place, part in enumerate((target.source or "").replace("[*]", "").split(".")):
        name = part.partition("[")[0]
        if name in {"edges", "node"} and isinstance(at, GraphQLObjectType) and name not in at.fields:
            continue
        if not isinstance(at, GraphQLObjectType):
            return  # inside a custom scalar, or of an interface: only a record can tell
        if name not in at.fields:
            fit.suggest("UNKNOWN_SOURCE", target.path, f"{at.name} has no field {name!r}", at.fields, name)
            return
        if place == 0:
            read.add(name)
        at = get_named_type(at.fields[name].type)
    if isinstance(at, GraphQLObjectType) and not target.children:
        fit.add("warning", "SOURCE_IS_OBJECT", target.path, f"{target.source} is an object ({at.name})")


def _brackets(given: Any) -> str:
    return "[]" if isinstance(get_nullable_type(given), GraphQLList) else ""


def _fitting(name: str) -> str:
    return {"Int": "sdk.parseInt", "Float": "sdk.parseFloat", "Boolean": "sdk.boolean"}.get(
        name, "sdk.toString"
    )


def _be(reason: str) -> str:
    return reason if reason.startswith("is ") else f"can't be used: {reason}"


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:59] + "…"
