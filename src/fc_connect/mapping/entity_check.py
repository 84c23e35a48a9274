"""An entity against the GraphQL input type that takes it: what the server would refuse, before it is asked."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping
from decimal import Decimal
from difflib import get_close_matches
from typing import Any

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLScalarType,
    GraphQLSchema,
    is_required_input_field,
)

from fc_connect.errors import FieldProblem
from fc_connect.mapping.batch_entities import ALTERNATIVES
from fc_connect.mapping.schema import input_type

__all__ = ["check_entity", "check_value", "is_needed"]

_MAX_PROBLEMS = 100
_MAX_DEPTH = 100
_LARGEST_FLOAT = int(sys.float_info.max)
_INT = range(-(2**31), 2**31)
_LISTED_VALUES = 12


def check_entity(schema: GraphQLSchema, type_name: str, entity: Any) -> list[FieldProblem]:
    """Return what an entity breaks of the input type: at most the first 100 faults, none where it fits.

    Fields are named as paths: `items[2].quantity`. Values of custom scalars are taken as they are.

    Raises:
        ConfigurationError: the schema has no such input type.
    """
    return check_value(input_type(schema, type_name), entity)


def check_value(expected: Any, value: Any, *, path: str = "") -> list[FieldProblem]:
    """Do the same for a value of any input type; `path` is its own."""
    problems = []
    for problem in _faults(expected, value, path, 0):
        problems.append(problem)
        if len(problems) == _MAX_PROBLEMS:
            break
    return problems


def is_needed(field: Any) -> bool:
    """Say whether an input field must be given: it is non-null and has no default."""
    return bool(is_required_input_field(field))


def _faults(expected: Any, value: Any, path: str, depth: int) -> Iterator[FieldProblem]:
    if isinstance(expected, GraphQLNonNull):
        if value is None:
            yield _problem(path, value, f"is null, and {expected} takes no null")
            return
        expected = expected.of_type
    if value is None:
        return
    if depth > _MAX_DEPTH and isinstance(value, Mapping | list | tuple):
        yield _problem(path, "…", "is nested too deeply")
    elif isinstance(expected, GraphQLList):
        # GraphQL takes a value in place of a list of one.
        items = value if isinstance(value, list | tuple) else [value]
        for place, item in enumerate(items):
            at = f"{path}[{place}]" if isinstance(value, list | tuple) else path
            yield from _faults(expected.of_type, item, at, depth + 1)
    elif isinstance(expected, GraphQLInputObjectType):
        yield from _faults_of_object(expected, value, path, depth)
    elif isinstance(expected, GraphQLEnumType):
        if not isinstance(value, str) or value not in expected.values:
            yield _problem(path, value, _enum_reason(expected, value))
    elif isinstance(expected, GraphQLScalarType) and (reason := _scalar_reason(expected.name, value)):
        yield _problem(path, value, reason)


def _faults_of_object(
    expected: GraphQLInputObjectType, value: Any, path: str, depth: int
) -> Iterator[FieldProblem]:
    if not isinstance(value, Mapping):
        yield _problem(path, value, f"expected an object of {expected.name}")
        return
    below = f"{path}." if path else ""
    for name, field in expected.fields.items():
        if name in value:
            yield from _faults(field.type, value[name], f"{below}{name}", depth + 1)
        elif is_needed(field):
            yield _problem(f"{below}{name}", None, f"is missing, and {expected.name} needs it ({field.type})")
    for name in value:
        if name not in expected.fields:
            close = get_close_matches(str(name), expected.fields, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            yield _problem(f"{below}{name}", value[name], f"{expected.name} has no field of that name{hint}")
    for group in ALTERNATIVES.get(expected.name, ()):
        if all(value.get(name) is None for name in group):
            yield _problem(f"{below}{group[0]}", None, f"one of {' and '.join(group)} is needed")
    if getattr(expected, "is_one_of", False) and sum(each is not None for each in value.values()) != 1:
        yield _problem(path, value, f"{expected.name} takes exactly one of its fields")


def _enum_reason(expected: GraphQLEnumType, value: Any) -> str:
    names = list(expected.values)
    close = get_close_matches(str(value).upper(), names, n=1)
    if close:
        return f"is no value of {expected.name}; did you mean {close[0]}?"
    shown = ", ".join(names[:_LISTED_VALUES]) + (", …" if len(names) > _LISTED_VALUES else "")
    return f"is no value of {expected.name}; it has: {shown}"


def _scalar_reason(name: str, value: Any) -> str | None:
    match name:
        case "Int":
            if type(value) is not int:
                return "expected a whole number (Int)"
            if value not in _INT:
                return "is beyond the 32 bits of an Int"
        case "Float":
            is_whole = type(value) is int
            if not is_whole and not (isinstance(value, float | Decimal) and math.isfinite(value)):
                return "expected a number (Float)"
            if is_whole and abs(value) > _LARGEST_FLOAT:
                return "is beyond a Float"
        case "String":
            if not isinstance(value, str):
                return "expected text (String)"
        case "Boolean":
            if not isinstance(value, bool):
                return "expected true or false (Boolean)"
        case "ID":
            if not isinstance(value, str) and type(value) is not int:
                return "expected text or a whole number (ID)"
    return None


def _problem(path: str, value: Any, reason: str) -> FieldProblem:
    return FieldProblem(field=path, source=None, value=value, reason=reason)
