"""Reads YAML strictly: what YAML 1.1 would silently turn into something else is refused instead."""

from __future__ import annotations

import re
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from fc_connect.pipeline.config.document import Document, Location, SyntaxFault, demand_shallow, is_secret

__all__ = ["parse_yaml"]

_TAG = "tag:yaml.org,2002:"
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]*)")
_FLOAT = re.compile(r"-?(?:0|[1-9][0-9]*)\.[0-9]+(?:[eE][+-]?[0-9]+)?")
_MAX_DIGITS = 400
_MAX_NODES = 200_000  # aliases let a few lines stand for any number of nodes


def parse_yaml(text: str) -> Document:
    """Return the one document in `text`.

    Raises:
        SyntaxFault: it isn't YAML.
    """
    try:
        root = yaml.compose(
            text, Loader=yaml.SafeLoader
        )  # not the C one: deep nesting is an error, not a crash
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        reason = ", ".join(part for part in (exc.context, exc.problem) if part)
        # What the parser quotes may be a secret that wasn't quoted by its writer: `password: *hunter2`.
        reason = re.sub(r"'(?!<)[^']{3,}'", "'…'", reason)
        raise SyntaxFault(_hinted(reason), line=None if mark is None else mark.line + 1) from exc
    except ValueError as exc:  # an escape beyond Unicode, a version of thousands of digits
        raise SyntaxFault("holds an escape or a number that can't be", line=None) from exc
    except yaml.reader.ReaderError as exc:
        line = text.count("\n", 0, exc.position) + 1 if isinstance(exc.position, int) else None
        raise SyntaxFault("holds a character that YAML doesn't allow", line=line) from exc
    document = Document()
    if root is not None:
        document.lines[()] = root.start_mark.line + 1
        document.value = _Walk(document).value(root, ())
        demand_shallow(document.value)
    return document


def _hinted(reason: str) -> str:
    if "\\t" in reason:
        return f"{reason}: indent with spaces, not with tabs"
    if "mapping values are not allowed" in reason:
        return f"{reason}: a text with `: ` in it must be quoted, and keys of one level be indented alike"
    if "undefined alias" in reason or "undefined tag handle" in reason:
        return f"{reason}: a text that begins with `*`, `&` or `!` must be quoted"
    if "expected a single document" in reason:
        return f"{reason}: one file holds one pipeline"
    return reason


class _Walk:
    def __init__(self, document: Document) -> None:
        self._document = document
        self._open: set[int] = set()
        self._nodes = 0

    def value(self, node: Node, at: Location) -> Any:
        """Turn a node into plain values and note lines and faults."""
        self._nodes += 1
        if self._nodes > _MAX_NODES:
            raise SyntaxFault("aliases make this file too large", line=node.start_mark.line + 1)
        if id(node) in self._open:
            raise SyntaxFault("an alias stands for what it is part of", line=node.start_mark.line + 1)
        if isinstance(node, ScalarNode):
            return self._scalar(node, at)
        self._open.add(id(node))
        try:
            if isinstance(node, SequenceNode) and node.tag == f"{_TAG}seq":
                return self._sequence(node, at)
            if isinstance(node, MappingNode) and node.tag == f"{_TAG}map":
                return self._mapping(node, at)
        finally:
            self._open.discard(id(node))
        self._unknown_tag(at, node)
        return None

    def _sequence(self, node: SequenceNode, at: Location) -> list[Any]:
        items = []
        for index, item in enumerate(node.value):
            self._document.lines[(*at, index)] = item.start_mark.line + 1
            items.append(self.value(item, (*at, index)))
        return items

    def _mapping(self, node: MappingNode, at: Location) -> dict[str, Any]:
        result: dict[str, Any] = {}
        merged: list[Node] = []
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if key_node.tag == f"{_TAG}merge":
                merged += value_node.value if isinstance(value_node, SequenceNode) else [value_node]
                continue
            if not isinstance(key_node, ScalarNode):
                self._fault(at, f"a key of line {line} isn't text")
                continue
            here = (*at, key_node.value)
            if key_node.tag != f"{_TAG}str":
                self._document.lines.setdefault(here, line)
                self._fault(here, f'YAML reads this key as {_reading(key_node)}: write "{key_node.value}"')
                continue
            if key_node.value in result:
                self._fault(
                    here, f"is given twice: first in line {self._document.lines[here]}, again in {line}"
                )
                continue
            self._document.lines[here] = line
            result[key_node.value] = self.value(value_node, here)
        for each in merged:
            result = {**self._merged(each, at, already=result), **result}
        return result

    def _merged(self, node: Node, at: Location, *, already: dict[str, Any]) -> dict[str, Any]:
        if not isinstance(node, MappingNode):
            self._fault(at, "`<<` must name a mapping")
            return {}
        kept = [
            pair for pair in node.value if not (isinstance(pair[0], ScalarNode) and pair[0].value in already)
        ]
        return dict(self.value(MappingNode(node.tag, kept, node.start_mark, node.end_mark), at))

    def _scalar(self, node: ScalarNode, at: Location) -> Any:
        text, kind = node.value, node.tag.removeprefix(_TAG)
        if kind == "str":
            return text
        self._document.texts[at] = text
        if kind == "null":
            return None
        if kind == "bool" and text.lower() in {"true", "false"}:
            return text.lower() == "true"
        if kind == "int" and _INTEGER.fullmatch(text) and len(text) <= _MAX_DIGITS:
            return int(text)
        if kind == "float" and _FLOAT.fullmatch(text) and len(text) <= _MAX_DIGITS:
            return float(text)
        if kind in {"bool", "int", "float", "timestamp"}:
            plain = {
                "bool": ", or true or false",
                "int": ", or a plain number",
                "float": ", or a plain number",
            }
            shown, written = ("this", "it") if is_secret(at) else (text, f'"{text}"')
            self._fault(
                at, f"YAML reads {shown} as {_reading(node)}: write {written} in quotes{plain.get(kind, '')}"
            )
        else:
            self._unknown_tag(at, node)
        return None

    def _unknown_tag(self, at: Location, node: Node) -> None:
        named = "this tag" if is_secret(at) else f"the tag {node.tag!r}"
        self._fault(at, f"{named} isn't supported: a text that begins with `!` must be quoted")

    def _fault(self, at: Location, text: str) -> None:
        self._document.problems.append((at, text))


def _reading(node: ScalarNode) -> str:
    kind = node.tag.removeprefix(_TAG)
    if kind == "bool":
        return "true" if node.value.lower() in {"yes", "on", "true"} else "false"
    return {"int": "a number", "float": "a number", "timestamp": "a date", "null": "nothing"}.get(kind, kind)
