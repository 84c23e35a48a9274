"""The shape of an element in a record: elements are keys, attributes `@name`, text `#text`, what is repeated a list."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final
from xml.etree.ElementTree import Element

from fc_connect.ecmascript import WHITESPACE, float_text
from fc_connect.xml.guessing import guessed
from fc_connect.xml.names import SEPARATOR, XML_NAMESPACE, Names, Namespaces

__all__ = ["RUN", "AmbiguousError", "Shape"]

RUN: Final = "<"
"""Tag of what parts two runs of text in a tree that is coerced: a CDATA section, which holds its text, or a
processing instruction."""

_SPACE: Final = " \t\r\n"
_SPACE_ATTRIBUTES: Final = {"xml:space", f"{XML_NAMESPACE}{SEPARATOR}space"}
_RAW_CHARACTERS: Final = 1000


class AmbiguousError(ValueError):
    """Two names of one element become one; `raw` is how the record begins."""

    def __init__(self, key: str, names: Iterable[str], *, raw: str) -> None:
        spaces = " and ".join(sorted(name.rpartition(SEPARATOR)[0] or "none" for name in names))
        super().__init__(
            f"two names become one, {key!r}: of the namespaces {spaces}. Name their prefixes (`namespaces`)"
        )
        self.raw = raw


class Shape:
    """Makes values of elements.

    An element with nothing but text is that text, without white space of XML around it unless `xml:space` keeps it; an
    empty one is None. One that is repeated is a list, and so is one that `lists` names, by its name or the end of its
    path (`lines/line`). Text before, between and after the elements of one is joined.

    With `coerce` numbers and true and false lose their spelling (`0012` is 12), each run of text is trimmed by itself
    as JavaScript trims, and a CDATA section isn't: as in the TypeScript SDK.
    """

    def __init__(
        self, *, coerce: bool = False, lists: Iterable[str] = (), namespaces: Namespaces = "keep"
    ) -> None:
        self.coerce = coerce
        self.has_namespaces = namespaces != "keep"
        self.names = Names(namespaces)
        self._attribute_names = Names(namespaces, lead="@")
        self._lists: dict[str, list[tuple[str, ...]]] = {}
        for each in lists:
            path = tuple(each.split("/"))
            self._lists.setdefault(path[-1], []).append(path)

    def value(self, top: Element, *, max_depth: int) -> Any:
        """Return the value of an element, which may be nested `max_depth` deep, itself counted.

        Raises:
            RecursionError: it is nested deeper.
            AmbiguousError: elements or attributes of two namespaces would have one key.
        """
        if not top.keys() and not self._has_elements(top):
            return self._text(top, is_kept=False)
        names, lists = self.names, self._lists
        result: dict[str, Any] = {}
        # A list of what is left to do, not a function that calls itself: it takes any depth that is allowed.
        left: list[tuple[Element, dict[str, Any], bool, tuple[str, ...]]]
        left = [(top, result, False, (names[top.tag],))]
        while left:
            element, values, is_kept, path = left.pop()
            attributes = element.items()
            for name, written in attributes:
                if name in _SPACE_ATTRIBUTES:
                    is_kept = written == "preserve"
            is_plain = not is_kept and not self.coerce
            pieces = [element.text]
            # Nearly all of the time goes by in this loop.
            for child in element:
                tag = child.tag
                value: Any
                # To ask for `attrib` would make a dict for every element that has none.
                if len(child) or child.keys():
                    if child.keys() or self._has_elements(child):
                        value = {}
                        left.append((child, value, is_kept, (*path, names[tag])))
                    else:
                        value = self._text(child, is_kept=is_kept)
                elif tag is RUN:
                    continue
                elif not is_plain:
                    value = self._text(child, is_kept=is_kept)
                elif (value := child.text) is not None:
                    value = value.strip(_SPACE) or None
                if (tail := child.tail) is not None:
                    pieces.append(tail)
                key = names[tag]
                if key in values:
                    if (before := values[key]).__class__ is list:
                        before.append(value)
                    else:
                        values[key] = [before, value]
                else:
                    values[key] = [value] if key in lists and self._is_list((*path, key)) else value
            if values and len(path) >= max_depth:
                raise RecursionError
            if self.has_namespaces:
                _check_keys(names, {child.tag for child in element if child.tag is not RUN}, top)
                _check_keys(self._attribute_names, element.keys(), top)
            content = _joined_runs(element) if self.coerce else _joined(pieces, is_kept=is_kept)
            if content is not None or not values:
                values["#text"] = content
            for name, written in attributes:
                values[self._attribute_names[name]] = (
                    (written.strip(WHITESPACE) or None) if self.coerce else written
                )
        return result

    def _is_list(self, path: tuple[str, ...]) -> bool:
        return any(path[-len(each) :] == each for each in self._lists[path[-1]])

    def _text(self, element: Element, *, is_kept: bool) -> Any:
        """Return the text of an element, without that of the elements in it."""
        if self.coerce:
            return _joined_runs(element)
        return _joined([element.text], is_kept=is_kept)

    def _has_elements(self, element: Element) -> bool:
        return len(element) > 0 and (not self.coerce or any(child.tag is not RUN for child in element))


def _joined(pieces: list[str | None], *, is_kept: bool) -> str | None:
    text = "".join(pieces) if pieces[0] is not None else "".join(pieces[1:])  # type: ignore[arg-type]
    return (text if is_kept else text.strip(_SPACE)) or None


def _check_keys(names: Names, tags: Iterable[str], top: Element) -> None:
    known: dict[str, str] = {}
    for tag in tags:
        if (other := known.setdefault(names[tag], tag)) != tag:
            raise AmbiguousError(names[tag], (tag, other), raw=_raw(top, names))


def _raw(top: Element, names: Names) -> str:
    """Return how an element begins, about as it was written."""
    raw = ""
    for element in top.iter():
        raw += f"<{names[element.tag]}>{(element.text or '')[:_RAW_CHARACTERS]}"
        if len(raw) > _RAW_CHARACTERS:
            break
    return raw[:_RAW_CHARACTERS]


def _joined_runs(element: Element) -> Any:
    """Return the runs of text, each read by itself; two numbers make a text of both."""
    content: Any = None
    runs = [(element.text, False)]
    for child in element:
        if child.tag is RUN:
            runs.append((child.text, True))
        runs.append((child.tail, False))
    for text, is_cdata in runs:
        if text is None:
            continue
        trimmed = text.strip(WHITESPACE)
        value = guessed(trimmed, text if is_cdata else trimmed)
        if value != "" or value.__class__ is not str:
            content = value if content is None else _shown(content) + _shown(value)
    if isinstance(content, str) and content.lower() in {"true", "false"}:
        return content.lower() == "true"
    return content


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else float_text(float(value))
