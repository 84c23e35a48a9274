"""The targets of a mapping file as a tree, whichever way the file writes them.

Universal files nest with dots or with `fields`; mutation files have `arguments`, whose nested fields are keys among the
settings. Checks against a schema and coverage look at this tree alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from fc_connect.errors import ConfigurationError
from fc_connect.mapping.mapping_file import read_content
from fc_connect.mapping.mutation_plan import FIELD_OPTIONS

__all__ = ["TODO", "Outline", "Target", "outline_of", "read_outline"]

TODO = "TODO"
"""What a source begins with that a person has yet to decide."""

_PART = re.compile(r"([^\[\]]+)((?:\[[0-9]*\])*)")
_MAX_DEPTH = 100


@dataclass(slots=True)
class Target:
    """One target field, and those below it."""

    path: str
    """From the root of the entity: `items[].sku`."""
    name: str
    config: Mapping[str, Any] = field(default_factory=dict)
    children: dict[str, Target] = field(default_factory=dict)
    is_list: bool = False
    is_set: bool = False
    """Whether it has a source, a value, a default or a resolver of its own."""

    @property
    def is_mapped(self) -> bool:
        return self.is_set or bool(self.children)

    @property
    def has_value(self) -> bool:
        return "value" in self.config and "value" not in self.children

    @property
    def source(self) -> str | None:
        source = self.config.get("source")
        return source if isinstance(source, str) and source else None

    @property
    def resolver(self) -> str | None:
        """Name of the resolver that gives the result: the last of a chain."""
        given = self.config.get("resolver", self.config.get("transform"))
        if isinstance(given, list) and given:
            given = given[-1]
        if isinstance(given, Mapping):
            given = given.get("name")
        return given if isinstance(given, str) else None

    def walk(self) -> Iterator[Target]:
        """Yield it and all below it."""
        yield self
        for child in self.children.values():
            yield from child.walk()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """A mapping file: what kind it is, and its targets."""

    kind: Literal["universal", "mutation"]
    direction: Literal["ingest", "extract"]
    operation: str | None
    """The mutation or query that it is for, where the file says so."""
    type_name: str | None
    """The input type of the entity, or the object type of an extract's records, where the file says so."""
    entity_type: str | None
    source_format: str | None
    roots: Mapping[str, Target]
    """By argument of the mutation; a universal file has one, named ''."""
    types: Mapping[str, str]
    """Of arguments, where the file says them: `CreateOrderInput!`."""

    def targets(self) -> Iterator[Target]:
        """Yield every target."""
        for root in self.roots.values():
            for child in root.children.values():
                yield from child.walk()


def outline_of(content: Mapping[str, Any]) -> Outline:
    """Return the outline of a mapping file that was read already.

    Raises:
        ConfigurationError: it is no mapping: neither `fields` nor `arguments` is an object.
    """
    about = content.get("metadata")
    about = about if isinstance(about, Mapping) else {}
    mutation = content.get("mutation")
    arguments, fields = content.get("arguments"), content.get("fields")
    roots: dict[str, Target] = {}
    types: dict[str, str] = {}
    if isinstance(arguments, Mapping):
        for name, given in arguments.items():
            if _is_note(name):
                continue
            roots[str(name)] = root = Target(path="", name=str(name))
            if isinstance(given, Mapping) and isinstance(given.get("_type"), str):
                types[str(name)] = given["_type"]
            _of_mutation(root, given, 0)
    elif isinstance(fields, Mapping):
        root = Target(path="", name="")
        for name, given in fields.items():
            if _is_note(name):
                continue
            if isinstance(mutation, str):
                _of_mutation(_placed(root, str(name)), given, 0)
            else:
                _universal(root, str(name), given, 0)
        roots["input" if isinstance(mutation, str) else ""] = root
    else:
        raise ConfigurationError(
            "It is no mapping: `fields` must be an object (or `arguments`, for a mutation)."
        )
    direction = content.get("direction")
    return Outline(
        kind="mutation" if isinstance(mutation, str) else "universal",
        direction="extract" if direction == "extract" or _text(about, "query") else "ingest",
        operation=mutation
        if isinstance(mutation, str)
        else _text(about, "mutation") or _text(about, "query"),
        type_name=_text(about, "type"),
        entity_type=_text(content, "entityType"),
        source_format=_text(content, "sourceFormat"),
        roots=roots,
        types=types,
    )


def _universal(parent: Target, written: str, given: Any, depth: int) -> None:
    target = _placed(parent, written)
    if not isinstance(given, Mapping):
        return
    target.config = {**target.config, **given}
    target.is_list = target.is_list or given.get("isArray") is True
    below = given.get("fields")
    if isinstance(below, Mapping):
        for name, each in below.items() if depth < _MAX_DEPTH else ():
            if not _is_note(name):
                _universal(target, str(name), each, depth + 1)
    else:
        target.is_set = target.is_set or _is_set(given)


def _of_mutation(target: Target, given: Any, depth: int) -> None:
    """Read an argument or a field of a mutation file, whose fields are keys among its settings."""
    if isinstance(given, str):
        target.config, target.is_set = {"source": given}, True
        return
    if not isinstance(given, Mapping):
        return
    target.config = given
    target.is_list = target.is_list or given.get("isArray") is True or given.get("_array") is True
    below = given.get("fields", given.get("mapping"))
    if not isinstance(below, Mapping):
        below = {name: each for name, each in given.items() if name not in FIELD_OPTIONS}
        if _is_set(given) and not target.is_list and given.get("_nested") is not True:
            below = {}
    for name, each in below.items() if depth < _MAX_DEPTH else ():
        if not _is_note(name):
            _of_mutation(_placed(target, str(name)), each, depth + 1)
    target.is_set = not target.children and _is_set(given)


def _placed(parent: Target, written: str) -> Target:
    """Return the target of a name with dots and brackets; objects on the way are made."""
    target = parent
    for part in written.split("."):
        match = _PART.fullmatch(part)
        name, brackets = (match[1], match[2]) if match else (part, "")
        target = _child(target, name)
        target.is_list = target.is_list or bool(brackets)
    return target


def _child(parent: Target, name: str) -> Target:
    if name not in parent.children:
        above = f"{parent.path}{'[]' if parent.is_list else ''}." if parent.path else ""
        parent.children[name] = Target(path=above + name, name=name)
    return parent.children[name]


def _is_set(given: Mapping[str, Any]) -> bool:
    if any(isinstance(given.get(key), str) and given[key] for key in ("source", "resolver", "transform")):
        return True
    if isinstance(given.get("resolver"), list | Mapping):
        return True
    return "defaultValue" in given or "value" in given


def _is_note(name: Any) -> bool:
    return str(name).startswith(("_", "//", "$comment"))


def _text(content: Mapping[str, Any], key: str) -> str | None:
    value = content.get(key)
    return value if isinstance(value, str) and value else None


def read_outline(path: Path) -> tuple[Outline, dict[str, Any]]:
    """Read a mapping file, of either kind, and return its outline and its content.

    Raises:
        ConfigurationError: it can't be read, or is no mapping.
    """
    content = read_content(path)
    try:
        return outline_of(content), content
    except ConfigurationError as exc:
        raise ConfigurationError(f"{path} can't be used: {exc}") from exc
