"""Nodes of a mutation mapping: parts of a record that are cut out first, unescaped and parsed, and have a name then.

A payload often carries another one as text: an event whose `body` is XML in entities. A node reads that once, and the
fields read from it as `$name.path`.
"""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from fc_connect.errors import ConfigurationError, FieldProblem, MappingError, ParseError
from fc_connect.mapping.mutation_config import NODE_NAME
from fc_connect.mapping.paths import ORIGINS, Path, parse_path
from fc_connect.mapping.values import ABSENT
from fc_connect.mapping.xml_records import read_xml

__all__ = ["WRAPPERS", "Node", "compile_nodes", "extract_nodes", "read_node"]

WRAPPERS: Final = ("", "completeData.", "body.")
"""Where a node is looked for, one after the other: events wrap what they carry."""
_KNOWN = {"extract", "unescape", "parse", "required", "comment"}
_MAX_CHARACTERS = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One node, ready to be cut out of any record."""

    name: str
    paths: tuple[Path, ...]
    unescape: bool = False
    parse: str | None = None
    required: bool = False


def compile_nodes(config: Any, problems: list[str]) -> tuple[Node, ...]:
    """Return the nodes of a mapping; what can't be meant is added to `problems`."""
    if config is None:
        return ()
    if not isinstance(config, Mapping):
        problems.append("nodes: expected an object of nodes by name")
        return ()
    nodes = []
    for name, each in config.items():
        at = f"nodes.{name}"
        if str(name).startswith(("//", "_comment", "$comment")):
            continue
        if not NODE_NAME.fullmatch(name) or name in ORIGINS:
            problems.append(f"{at}: a name is letters, digits and _, no digit first, and not context or root")
        if not isinstance(each, Mapping) or not isinstance(each.get("extract"), str):
            problems.append(f"{at}: needs the path to `extract`")
            continue
        problems += [f"{at}.{key}: unknown" for key in each if key not in _KNOWN and not key.startswith("_")]
        for key in ("unescape", "required"):
            if not isinstance(each.get(key, False), bool):
                problems.append(f"{at}.{key}: expected true or false")
        if each.get("parse") not in {None, "xml", "json"}:
            problems.append(f"{at}.parse: expected xml or json, not {each['parse']!r}")
        try:
            first = parse_path(each["extract"])
        except ConfigurationError as exc:
            problems.append(f"{at}.extract: {exc}")
            continue
        is_plain = first.origin == "record" and not first.text.startswith(("$", "["))
        others = [parse_path(before + first.text) for before in WRAPPERS[1:]] if is_plain else []
        nodes.append(
            Node(
                name=name,
                paths=(first, *others),
                unescape=each.get("unescape") is True,
                parse=each.get("parse"),
                required=each.get("required") is True,
            )
        )
    return tuple(nodes)


def extract_nodes(
    nodes: Sequence[Node], root: Any, context: Mapping[str, Any], problems: list[FieldProblem]
) -> dict[str, Any]:
    """Return the values of the nodes that a record has; note those it should have."""
    found: dict[str, Any] = {}
    for node in nodes:
        value: Any = ABSENT
        try:
            for path in node.paths:
                value = path.read(context if path.origin == "context" else root)
                if value is not ABSENT and value is not None and value != "":
                    break
            if value is ABSENT or value is None or value == "":
                if node.required:
                    raise MappingError("is required, and is missing or empty")
                continue
            found[node.name] = read_node(value, unescape=node.unescape, parse=node.parse)
        except MappingError as exc:
            problems.append(
                FieldProblem(
                    field=f"${node.name}",
                    source=node.paths[0].text,
                    value=None if value is ABSENT else value,
                    reason=str(exc),
                )
            )
    return found


def read_node(value: Any, *, unescape: bool, parse: str | None, coerce: bool = False) -> Any:
    """Return what a node's text stands for. Entities are decoded once: `&amp;lt;` is `&lt;`, as the sender wrote it.

    Raises:
        MappingError: it isn't what it should be parsed as.
    """
    if not isinstance(value, str):
        return value
    if len(value) > _MAX_CHARACTERS:
        raise MappingError(f"has {len(value):,} characters; {_MAX_CHARACTERS:,} are allowed")
    text = html.unescape(value) if unescape else value
    if parse == "xml":
        try:
            return read_xml(text, coerce=coerce)
        except ParseError as exc:
            raise MappingError(f"can't be read as XML: {exc}") from exc
    if parse == "json":
        try:
            return json.loads(text, parse_constant=_no_constant)
        except (ValueError, RecursionError) as exc:
            raise MappingError(f"can't be read as JSON: {exc}") from exc
    return text


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} isn't JSON")
