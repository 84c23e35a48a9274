"""Says in plain words what pydantic found wrong, where, and what was probably meant."""

from __future__ import annotations

import difflib
import json
import re
import types
from collections.abc import Iterator, Set
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from fc_connect.pipeline.config.document import Document, Location, is_secret

__all__ = ["Found", "dotted", "problems_of"]

Found = tuple[Location, str]

_SHOWN = 60  # characters of a value


def problems_of(
    error: ValidationError, document: Document, *, from_environment: Set[Location]
) -> list[Found]:
    """Return every fault with its location; values of secrets and of the environment are never repeated."""
    found = []
    for each in error.errors(include_url=False):
        at = _real(each["loc"], document.value)
        if each["type"] == "union_tag_invalid":
            at, each["input"] = (*at, "type"), each["input"].get("type")
        found.append((at, _sentence(each, at, document, from_environment)))
    return found


def dotted(at: Location) -> str:
    """Write a location as a person would: `target.batch.size`, `key[0]`."""
    text = ""
    for part in at:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _real(loc: tuple[str | int, ...], value: Any) -> Location:
    """Cut what pydantic adds to a path for the members of a union; a missing last key stays."""
    at: Location = ()
    for place, part in enumerate(loc):
        if isinstance(value, dict):
            if part not in value:
                if place + 1 < len(loc):
                    continue  # names the member
                return (*at, part)
            at, value = (*at, part), value[part]
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            at, value = (*at, part), value[part]
        else:
            break
    return at


def _sentence(error: ErrorDetails, at: Location, document: Document, from_environment: Set[Location]) -> str:
    kind, context = error["type"], error.get("ctx", {})
    got = _got(error["input"], at, document, from_environment)
    if kind == "missing":
        return f"is required{_about(at, document)}"
    if kind == "extra_forbidden":
        return f"there is no such key{_meant_key(at, document)}"
    if kind == "fault":
        return str(context["text"])
    if kind == "value_error":
        reason = str(context["error"])
        return reason if " got " in reason or not reason.startswith("expected") else f"{reason}{got}"
    if kind in {"literal_error", "union_tag_invalid"}:
        is_tag = kind == "union_tag_invalid"
        allowed = re.findall(r"'([^']*)'", str(context["expected_tags" if is_tag else "expected"]))
        written = context["tag"] if is_tag else error["input"]
        is_told = isinstance(written, str) and at not in from_environment
        guess = _closest(written, allowed) if is_told else None
        hint = f" (did you mean {guess!r}?)" if guess else ""
        wanted = f"one of {', '.join(allowed)}" if len(allowed) > 1 else allowed[0]
        return f"expected {wanted}{got}{hint}"
    if kind in {"model_type", "model_attributes_type", "dict_type"}:
        return f"expected a mapping of keys to values{got}"
    if kind in {"tuple_type", "list_type"}:
        return f"expected a list{got}"
    if kind == "string_type":
        return f"expected text{got}{_quote_it(at, document)}"
    if kind == "string_too_short":
        return "is empty: leave it out or give a value"
    if kind == "too_short":
        return "expected at least one item, got an empty list"
    if kind == "string_pattern_mismatch":
        return f"expected {_pattern_in_words(at)}{got}"
    for name, words in (("ge", "at least"), ("le", "at most"), ("gt", "more than"), ("lt", "less than")):
        if name in context:
            return f"expected {words} {context[name]:,}{got}"
    return f"{error['msg'][:1].lower()}{error['msg'][1:]}"


def _got(value: Any, at: Location, document: Document, from_environment: Set[Location]) -> str:
    if is_secret(at):
        return ""
    if at in from_environment:
        return ", got what the environment gave in its place"
    if at in document.texts:
        return f", got {document.texts[at] or 'nothing'}"
    if isinstance(value, dict):
        return ", got a mapping"
    if isinstance(value, list | tuple):
        return ", got a list"
    if value is None:
        return ", got nothing"
    if isinstance(value, str):
        value = re.sub(r"[^/@\s]+@", "***@", value)
        return f", got {value[:_SHOWN] + '…' if len(value) > _SHOWN else value!r}"
    if isinstance(value, bool | int | float):
        return f", got {json.dumps(value)}"
    return f", got {type(value).__name__}"


def _quote_it(at: Location, document: Document) -> str:
    text = None if is_secret(at) else document.texts.get(at)
    return f': write "{text}" in quotes' if text else ""


def _pattern_in_words(at: Location) -> str:
    if at == ("pipeline",):
        return "a name of 1 to 100 letters, digits, `.`, `_` and `-` that begins with none of `.` and `-`"
    return "capital letters, such as UPSERT"


# What a key could have been


def _about(at: Location, document: Document) -> str:
    model = _model_at(at[:-1], document)
    known = {} if model is None else {f.alias or n: f for n, f in model.model_fields.items()}
    field = known.get(str(at[-1])) if at else None
    return f": {field.description.rstrip('.')}" if field is not None and field.description else ""


def _meant_key(at: Location, document: Document) -> str:
    model = _model_at(at[:-1], document)
    siblings = _keys(model) if model is not None else []
    written = str(at[-1])
    if guess := _closest(written, siblings):
        return f" (did you mean {guess!r}?)"
    elsewhere = [path for path in _all_keys(document.model) if path[-1] == written]
    if elsewhere:
        return f" here (did you mean {dotted(elsewhere[0])}?)"
    return f"; known here: {', '.join(siblings)}"


def _closest(written: str, known: list[str]) -> str | None:
    plain = {re.sub(r"[_\-]", "", name).lower(): name for name in known}
    found = difflib.get_close_matches(re.sub(r"[_\-]", "", written).lower(), plain, n=1, cutoff=0.7)
    return plain[found[0]] if found else None


def _keys(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _all_keys(model: type[BaseModel], prefix: Location = ()) -> Iterator[Location]:
    for name, field in model.model_fields.items():
        at = (*prefix, field.alias or name)
        yield at
        for inner in _models_in(field.annotation):
            yield from _all_keys(inner, at)


def _model_at(at: Location, document: Document) -> type[BaseModel] | None:
    """Return the section at a location: of those that it may be, the one whose `type` the value gives."""
    model: type[BaseModel] = document.model
    value = document.value
    for part in at:
        value = value.get(part) if isinstance(value, dict) else None
        fields = {field.alias or name: field for name, field in model.model_fields.items()}
        members = _models_in(fields[part].annotation) if part in fields else []
        if not members:
            return None
        named = value.get("type") if isinstance(value, dict) else None
        model = next((each for each in members if named in _types_of(each)), members[0])
    return model


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if get_origin(annotation) is Annotated:
        return _models_in(get_args(annotation)[0])
    if get_origin(annotation) in {Union, types.UnionType}:
        return [model for member in get_args(annotation) for model in _models_in(member)]
    return [annotation] if isinstance(annotation, type) and issubclass(annotation, BaseModel) else []


def _types_of(model: type[BaseModel]) -> tuple[Any, ...]:
    field = model.model_fields.get("type")
    return () if field is None else get_args(field.annotation)
