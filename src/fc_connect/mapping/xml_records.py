"""XML as records: elements are keys, attributes `@name`, text `#text`, what is repeated a list.

Read by the parser of the standard library, told to refuse what makes XML dangerous: entities of the document's own,
nesting without end, and size.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from xml.parsers import expat

from fc_connect.errors import ParseError
from fc_connect.guessing import guessed
from fc_connect.mapping.javascript import WHITESPACE, to_string

__all__ = ["MAX_BYTES", "MAX_DEPTH", "read_xml", "text_of"]

MAX_BYTES: Final = 64 * 1024 * 1024
"""Of a document that becomes one record."""
MAX_DEPTH: Final = 100
"""Of its nesting."""


def read_xml(
    text: str | bytes, *, coerce: bool = False, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH
) -> dict[str, Any]:
    """Return a document as `{root: value}`.

    An element with nothing but text is that text, trimmed; an empty one is None; a repeated one is a list. With
    `coerce` numbers and true and false lose their spelling (`0012` is 12), each run of text is trimmed by itself, and a
    CDATA section isn't, as in the TypeScript SDK; without it every text stays as it is written.

    Raises:
        ParseError: it isn't XML, declares entities, or is too large or too deep; says where.
    """
    try:
        raw = text.encode() if isinstance(text, str) else text
    except UnicodeEncodeError as exc:
        raise ParseError("The XML holds half a surrogate pair, which is no character.") from exc
    if len(raw) > max_bytes:
        raise ParseError(f"The XML has {len(raw):,} bytes; {max_bytes:,} are allowed in one record.")
    parser = expat.ParserCreate("utf-8" if isinstance(text, str) else None)
    reader = _Reader(parser, coerce=coerce, max_depth=max_depth)
    try:
        parser.Parse(raw, True)
    except expat.ExpatError as exc:
        reason = expat.ErrorString(exc.code)
        raise ParseError(f"isn't XML: {reason}", path="xml", line=exc.lineno, column=exc.offset + 1) from exc
    except (LookupError, ValueError) as exc:  # an encoding that Python doesn't have
        raise ParseError(f"isn't XML that can be read: {exc}", path="xml") from exc
    return reader.root


def text_of(value: Any) -> Any:
    """Return the text of an element that has attributes too; any other value as it is."""
    return value["#text"] if isinstance(value, Mapping) and "#text" in value else value


class _Element:
    """What was read so far of one that isn't closed yet."""

    __slots__ = ("attributes", "children", "pieces", "text")

    def __init__(self, attributes: dict[str, str], children: dict[str, Any] | None = None) -> None:
        self.attributes = attributes
        self.children: dict[str, Any] = {} if children is None else children
        self.pieces: list[str] = []
        self.text: Any = None

    def taken(self) -> str:
        text = "".join(self.pieces)
        self.pieces = []
        return text

    def add(self, value: Any) -> None:
        """Put a run of text behind those that are there: two numbers make a text of both."""
        if value != "" or value.__class__ is not str:
            self.text = value if self.text is None else to_string(self.text) + to_string(value)


class _Reader:
    """Builds the record while the parser reads."""

    def __init__(self, parser: expat.XMLParserType, *, coerce: bool, max_depth: int) -> None:
        self.root: dict[str, Any] = {}
        self._parser = parser
        self._coerce = coerce
        self._max_depth = max_depth
        self._open = [_Element({}, self.root)]
        parser.buffer_text = True
        if coerce:
            parser.StartCdataSectionHandler = self._end_run
            parser.EndCdataSectionHandler = self._end_section
            parser.ProcessingInstructionHandler = self._end_run
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.EntityDeclHandler = self._entity
        parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self._open) > self._max_depth:
            self._fail(f"is nested more than {self._max_depth} deep")
        self._end_run()
        self._open.append(_Element(attributes))

    def _end(self, name: str) -> None:
        self._end_run()
        value = self._value(self._open.pop())
        above = self._open[-1].children
        if name not in above:
            above[name] = value
        elif isinstance(above[name], list):
            above[name].append(value)
        else:
            above[name] = [above[name], value]

    def _value(self, element: _Element) -> Any:
        children = element.children
        content = element.text
        if self._coerce:
            is_truth = isinstance(content, str) and content.lower() in {"true", "false"}
            content = content.lower() == "true" if is_truth else content
        else:
            text = "".join(element.pieces)
            if element.attributes.get("xml:space") != "preserve":
                text = text.strip(WHITESPACE)
            content = text or None
        if not children and not element.attributes:
            return content
        if content is not None or not children:
            children["#text"] = content
        for name, value in element.attributes.items():
            children[f"@{name}"] = (value.strip(WHITESPACE) or None) if self._coerce else value
        return children

    def _text(self, text: str) -> None:
        self._open[-1].pieces.append(text)

    def _end_run(self, *_: object) -> None:
        """Take what was written up to an element or a CDATA section; a comment parts nothing."""
        if self._coerce and self._open[-1].pieces:
            text = self._open[-1].taken().strip(WHITESPACE)
            self._open[-1].add(guessed(text, text))

    def _end_section(self) -> None:
        if self._open[-1].pieces:
            text = self._open[-1].taken()
            self._open[-1].add(guessed(text.strip(WHITESPACE), text))

    def _entity(self, *_: object) -> None:
        self._fail("declares entities, which aren't read: write what they stand for")

    def _fail(self, what: str) -> None:
        raise ParseError(
            what,
            path="xml",
            line=self._parser.CurrentLineNumber,
            column=self._parser.CurrentColumnNumber + 1,
        )
