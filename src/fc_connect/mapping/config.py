"""What a mapping says, as values: its fields, their resolvers, conditions, tables and checks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from fc_connect.mapping.lookups import table_digest
from fc_connect.mapping.patterns import compile_pattern

__all__ = [
    "CompatMapping",
    "Condition",
    "FieldConfig",
    "Lookup",
    "MappingConfig",
    "ResolverCall",
]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ResolverCall(_Strict):
    """A resolver and its options."""

    name: str
    options: Mapping[str, Any] = Field(default_factory=dict)


class Condition(_Strict):
    """Whether a field is there: a test of one value, or several conditions together.

    With a `source` and no test, the value must not be empty.
    """

    source: str | None = None
    equals: Any = None
    one_of: tuple[Any, ...] | None = Field(default=None, alias="in")
    exists: bool | None = None
    """Whether it is neither absent nor null nor empty text."""
    matches: str | None = None
    """A regular expression that the whole value must be like."""
    all: tuple[Condition, ...] | None = None
    any: tuple[Condition, ...] | None = None
    no: Condition | None = Field(default=None, alias="not")

    @field_validator("one_of", "all", "any", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value

    @field_validator("matches")
    @classmethod
    def _like(cls, value: str | None) -> str | None:
        return _regular(value)

    @model_validator(mode="after")
    def _says_something(self) -> Condition:
        if self.source is None and self.all is None and self.any is None and self.no is None:
            raise ValueError("a condition needs `source`, `all`, `any` or `not`")
        tests = {"equals", "one_of", "exists", "matches"} & self.model_fields_set
        if tests and self.source is None:
            raise ValueError("a test needs the `source` that it is about")
        return self


class Lookup(_Strict):
    """A table that the value is looked up in."""

    values: Mapping[str, Any] | None = None
    """The table itself."""
    file: str | None = None
    """A CSV file with a header, beside the mapping file."""
    key: str | None = None
    """The column of the file to look in; the first by default."""
    value: str | None = None
    """The column of the file to take; the second by default."""
    kv: str | None = None
    """A table in the state store, by its name."""
    otherwise: Any = None
    """For what the table doesn't have; without it the record is rejected."""

    @property
    def has_otherwise(self) -> bool:
        return "otherwise" in self.model_fields_set

    @property
    def name(self) -> str:
        """As a message calls it."""
        if self.file is not None:
            return f"the table {self.file}"
        return "the lookup" if self.kv is None else f"the table {self.kv!r} in the state store"

    @model_validator(mode="after")
    def _is_one(self) -> Lookup:
        if sum(each is not None for each in (self.values, self.file, self.kv)) != 1:
            raise ValueError("a lookup needs one of `values`, `file` and `kv`")
        if self.file is None and (self.key is not None or self.value is not None):
            raise ValueError("`key` and `value` are columns of a `file`")
        return self


class FieldConfig(_Strict):
    """How one target field gets its value."""

    source: str | None = None
    """Column, or path in the record; `$root.…` and `$context.…` look further."""
    resolvers: tuple[ResolverCall, ...] = Field(default=(), alias="resolver")
    """What the value goes through, one after the other."""
    required: bool = False
    """Whether an absent or empty value rejects the record."""
    default: Any = Field(default=None, alias="defaultValue")
    """In place of an absent or empty value; it goes through the resolvers too."""
    value: Any = None
    """A constant; it wins over `source`."""
    fields: Mapping[str, FieldConfig] | None = None
    """Of a nested object; of each item, with `isArray`."""
    is_array: bool = Field(default=False, alias="isArray")
    when: Condition | None = None
    """Where it doesn't hold, the field is left out."""
    lookup: Lookup | None = None
    """After the resolvers."""
    enum: tuple[Any, ...] | None = None
    pattern: str | None = None
    """A regular expression that the whole value must be like."""
    minimum: int | float | None = None
    maximum: int | float | None = None
    min_length: int | None = Field(default=None, alias="minLength", ge=0)
    max_length: int | None = Field(default=None, alias="maxLength", ge=0)

    @property
    def has_default(self) -> bool:
        return "default" in self.model_fields_set

    @property
    def has_value(self) -> bool:
        return "value" in self.model_fields_set

    @field_validator("resolvers", mode="before")
    @classmethod
    def _chained(cls, value: Any) -> Any:
        if value is None or value == "":
            return ()
        return tuple(_resolver_call(each) for each in (value if isinstance(value, list) else [value]))

    @field_validator("enum", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value

    @field_validator("pattern")
    @classmethod
    def _like(cls, value: str | None) -> str | None:
        return _regular(value)


def _resolver_call(given: Any) -> Any:
    if isinstance(given, str):
        return {"name": given}
    if isinstance(given, Mapping) and isinstance(given.get("name"), str):
        return {"name": given["name"], "options": {k: v for k, v in given.items() if k != "name"}}
    if isinstance(given, ResolverCall):
        return given
    raise ValueError('a resolver is a name, or {"name": …} with its options, or a list of those')


def _regular(pattern: str | None) -> str | None:
    if pattern is not None:
        compile_pattern(pattern)
    return pattern


class MappingConfig(_Strict):
    """A whole mapping."""

    fields: dict[str, FieldConfig] = Field(min_length=1)
    """By target name; a dotted one lies in a nested object."""
    folder: Path = Field(default=Path(), exclude=True)
    """Where the files that it names are looked for."""

    @property
    def compat(self) -> bool:
        return False

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all that decides the outcome, tables in files included; comments and the order of keys inside a
        field don't.

        Raises:
            ConfigurationError: a table can't be read.
        """
        content: list[Any] = [
            (name, field.model_dump(exclude_unset=True)) for name, field in self.fields.items()
        ]
        content += [table_digest(self.folder / each.file) for each in self.lookups if each.file is not None]
        return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()

    @property
    def lookups(self) -> Iterator[Lookup]:
        """The tables that it looks in, in order."""
        return _lookups(self.fields)


def _lookups(fields: Mapping[str, FieldConfig]) -> Iterator[Lookup]:
    for field in fields.values():
        if field.lookup is not None:
            yield field.lookup
        yield from _lookups(field.fields or {})


@dataclass(frozen=True, slots=True)
class CompatMapping:
    """A mapping with `compat: true`: `fields` as they are in the file, whatever they are."""

    fields: Any
    compat: bool = True

    @property
    def lookups(self) -> Iterator[Lookup]:
        return iter(())

    @property
    def digest(self) -> str:
        """SHA-256 of all that may decide the outcome."""
        text = json.dumps(["compat", self.fields], sort_keys=True, default=repr)
        return hashlib.sha256(text.encode()).hexdigest()
