"""Reads elements of a document one after another, at constant memory, and refuses what makes XML dangerous.

The parser is expat, as Python brings it. Inside a record it calls the tree builder's C code, and Python only where an
element ends; what lies outside of records isn't kept.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import Any, BinaryIO, Final
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from fc_connect.errors import ParseError, listed
from fc_connect.xml.names import SEPARATOR
from fc_connect.xml.values import RUN, AmbiguousError, Shape

__all__ = ["ElementPath", "XMLReader"]

_BLOCK_BYTES: Final = 1 << 16
_MAX_TAG_BYTES: Final = 1 << 20
"""Of one tag or comment, which expat holds as a whole, and looks at again with every block."""
_MAX_NAMES_BYTES: Final = 8 << 20
"""Of all names, which expat remembers to the end; each counts for a hundred more than its characters."""
_PART_BYTES: Final = 32
"""What a tag or an attribute counts for at least in a record's size: it takes far more than a byte of memory."""
_MAX_NAMESPACE_CHARACTERS: Final = 1000
"""Of one namespace: expat copies it for every name that is of it."""
_UNKNOWN_ENTITY: Final = re.compile(rb"&(?!(?:amp|lt|gt|quot|apos);|#)[^\s;&<>\"'=]{1,99};")
_OTHERS_KEPT: Final = 20


class ElementPath:
    """Which elements are records: `items/item` from the root, `//item` at any depth; `*` is any name.

    Raises:
        ValueError: it isn't such a path; says why.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.is_anywhere = text.startswith("//")
        self.names = tuple(text.removeprefix("//" if self.is_anywhere else "/").split("/"))
        if not all(self.names) or any(
            each in {".", ".."} or set(each) & set("[]@() ") for each in self.names
        ):
            raise ValueError(f"expected a path of element names, such as items/item or //item, not {text!r}")
        if self.is_anywhere and len(self.names) > 1:
            raise ValueError(f"after // comes one name, not {text!r}")
        self._literal = list(self.names)

    def is_led_to(self, names: list[str]) -> bool:
        """Say whether these names, from the root on, lead to a record."""
        if self.is_anywhere:
            return self.names[0] in {names[-1], "*"}
        return names == self._literal or (len(names) == len(self.names) and self.begins_with(names))

    def begins_with(self, names: list[str]) -> bool:
        """Say whether these names, from the root on, lead to records or are one's."""
        return len(names) <= len(self.names) and all(
            name in {each, "*"} for name, each in zip(self.names, names, strict=False)
        )


class XMLReader:
    """Iterates over the records of one document: name, value, line and byte where each begins.

    A value is an `AmbiguousError` where a record has none. What comes before a fault is yielded.

    Raises while iterating:
        ParseError: it isn't XML, is too large or too deep, isn't safe, or has others where records should be.
    """

    def __init__(
        self,
        stream: BinaryIO,
        *,
        path: str,
        records: ElementPath,
        shape: Shape,
        max_depth: int,
        max_record_bytes: int,
        encoding: str | None = None,
        allows_outer_dtd: bool = False,
    ) -> None:
        self._stream = stream
        self._path = path
        self._records = records
        self._shape = shape
        self._max_depth = max_depth
        self._max_bytes = max_record_bytes
        self._max_tag_bytes = min(_MAX_TAG_BYTES, max_record_bytes)
        self._encoding = encoding
        self._allows_outer_dtd = allows_outer_dtd
        self._has_outer_dtd = False
        self._parser = parser = expat.ParserCreate(encoding, SEPARATOR if shape.has_namespaces else None)
        parser.buffer_text = True
        parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
        parser.XmlDeclHandler = self._declaration
        parser.StartDoctypeDeclHandler = self._doctype
        parser.EntityDeclHandler = self._declares
        if shape.has_namespaces:
            parser.StartNamespaceDeclHandler = self._namespace
        self._fed = 0
        self._begins_with = b""
        self._tail = b""  # of the block before: an entity may begin there
        self._known_names = 0
        self._names_bytes = 0
        self._open: list[str] = []  # around the record, and its own name
        # The record in progress
        self._record: Element | None = None
        self._line, self._byte = 1, 0
        self._parts_bytes = 0
        self._ready: list[tuple[str, Any, int, int]] = []
        # What was found in place of records, as long as there were none
        self._has_records = False
        self._reached = 0  # so many elements of the path are there
        self._others: dict[int, dict[str, None]] = {}
        self._wait()

    def __iter__(self) -> Iterator[tuple[str, Any, int, int]]:
        is_last = False
        while not is_last:
            block = self._next_block()
            is_last = not block
            fault: ParseError | None = None
            try:
                self._parse(block)
            except ParseError as exc:
                fault = exc
            ready, self._ready = self._ready, []
            yield from ready
            if fault is not None:
                raise fault
        self._check_found()

    def _next_block(self) -> bytes:
        """Return a full block, or what is left: nothing depends on how much each read returns."""
        block = self._stream.read(_BLOCK_BYTES)
        while len(block) < _BLOCK_BYTES and (more := self._stream.read(_BLOCK_BYTES - len(block))):
            block += more
        return block

    def _parse(self, block: bytes) -> None:
        began, self._fed = self._fed, self._fed + len(block)
        self._begins_with = self._begins_with or block[:4]
        parser = self._parser
        try:
            parser.Parse(block, not block)
        except expat.ExpatError as exc:
            raise ParseError(
                f"isn't XML: {expat.ErrorString(exc.code)} (byte {parser.ErrorByteIndex:,}). Have it mended at its "
                "source.",
                path=self._path,
                line=exc.lineno,
                column=exc.offset + 1,
            ) from exc
        except (LookupError, ValueError) as exc:  # an encoding that Python doesn't have, or of several bytes
            raise ParseError(
                f"isn't XML that can be read: {exc}. Have it written in UTF-8.", path=self._path, line=1
            ) from exc
        if self._has_outer_dtd:
            self._check_entities(block)
        self._check_sizes(block, began)

    # What expat calls outside of records

    def _wait(self) -> None:
        parser = self._parser
        self._record = None
        parser.StartElementHandler = self._enter
        parser.EndElementHandler = self._leave
        parser.CharacterDataHandler = None
        if self._shape.coerce:
            parser.StartCdataSectionHandler = None
            parser.EndCdataSectionHandler = None
            parser.ProcessingInstructionHandler = None

    def _enter(self, tag: str, attributes: dict[str, str]) -> None:
        open_ = self._open
        name = self._shape.names[tag]
        open_.append(name)
        if len(open_) > self._max_depth:
            raise self._error(f"is nested more than {self._max_depth} deep")
        if self._records.is_led_to(open_):
            self._begin(tag, attributes)
        elif not self._has_records:
            self._note()

    def _leave(self, _: str) -> None:
        self._open.pop()

    # What it calls in a record

    def _begin(self, tag: str, attributes: dict[str, str]) -> None:
        parser, builder = self._parser, TreeBuilder()
        self._has_records = True
        self._line, self._byte = parser.CurrentLineNumber, parser.CurrentByteIndex
        self._parts_bytes = 0
        self._record = record = builder.start(tag, attributes)
        end = builder.end

        def end_inside(tag: str) -> None:
            if end(tag) is record:
                self._finish(record)

        parser.StartElementHandler = builder.start
        parser.EndElementHandler = end_inside
        parser.CharacterDataHandler = builder.data
        if self._shape.coerce:

            def start_run(*_: object) -> None:
                builder.start(RUN, {})

            def end_run(*_: object) -> None:
                builder.end(RUN)

            def part_runs(*_: object) -> None:
                start_run()
                end_run()

            parser.StartCdataSectionHandler = start_run
            parser.EndCdataSectionHandler = end_run
            parser.ProcessingInstructionHandler = part_runs

    def _finish(self, record: Element) -> None:
        if self._parser.CurrentByteIndex - self._byte > self._max_bytes:
            raise self._too_large()
        value: Any
        try:
            value = self._shape.value(record, max_depth=self._max_depth + 1 - len(self._open))
        except AmbiguousError as exc:
            value = exc
        except RecursionError as exc:
            raise self._error(
                f"is nested more than {self._max_depth} deep in the record that ends here"
            ) from exc
        self._ready.append((self._open.pop(), value, self._line, self._byte))
        self._wait()

    # What is refused

    def _declaration(self, version: str, encoding: str | None, standalone: int) -> None:
        """Refuse what expat would read with the wrong characters: it believes the declaration, not the mark."""
        if encoding is None or self._encoding is not None:
            return
        if self._begins_with.startswith(codecs.BOM_UTF8) and encoding.lower() not in {"utf-8", "utf8"}:
            raise self._error(f"says that it is {encoding}, but begins with the byte order mark of UTF-8")

    def _doctype(self, name: str, system: str | None, public: str | None, has_subset: int) -> None:
        if has_subset:
            self._declares()
        if system is not None or public is not None:
            self._has_outer_dtd = True
            if not self._allows_outer_dtd:
                raise self._error("has a document type that refers to another file, which isn't read")

    def _declares(self, *_: object) -> None:
        raise self._error(
            "has a document type that declares entities, elements or attributes, which isn't read: write what "
            "they stand for"
        )

    def _namespace(self, prefix: str | None, uri: str | None) -> None:
        if uri is not None and len(uri) > _MAX_NAMESPACE_CHARACTERS:
            raise self._error(
                f"declares a namespace of {len(uri):,} characters; {_MAX_NAMESPACE_CHARACTERS:,} are allowed"
            )

    def _check_entities(self, block: bytes) -> None:
        """Refuse an entity of a DTD that isn't read: in an attribute expat leaves it out, and tells nobody."""
        text = self._tail + block.replace(b"\0", b"")  # UTF-16 or not: only ASCII is looked for
        if (match := _UNKNOWN_ENTITY.search(text)) is not None:
            self._ready.clear()  # it may be in one of these
            raise self._error(
                f"holds {match[0].decode('utf-8', 'replace')}, of a document type that isn't read: write what it "
                "stands for"
            )
        self._tail = text[-100:]

    def _check_sizes(self, block: bytes, began: int) -> None:
        parser = self._parser
        if len(parser.intern) > self._known_names:
            new = list(parser.intern)[self._known_names :]
            self._known_names += len(new)
            self._names_bytes += sum(100 + len(name or "") for name in new)
            if self._names_bytes > _MAX_NAMES_BYTES:
                raise self._error(
                    f"has {self._known_names:,} different names of elements and attributes: is a value used as one?"
                )
        if block and self._fed - max(0, parser.CurrentByteIndex) > self._max_tag_bytes:
            raise self._error(
                f"has a tag or comment of more than {self._max_tag_bytes:,} bytes (max_record_bytes, but never "
                f"more than {_MAX_TAG_BYTES:,})"
            )
        if (element := self._record) is None:
            return
        here = block[max(0, self._byte - began) :]
        self._parts_bytes += _PART_BYTES * (here.count(b"<") + here.count(b"="))
        if max(self._fed - self._byte, self._parts_bytes) > self._max_bytes:
            raise self._too_large()
        depth = len(self._open)
        while len(element):
            element = element[-1]
            depth += element.tag is not RUN
            if depth > self._max_depth:
                raise self._error(f"is nested more than {self._max_depth} deep")

    def _too_large(self) -> ParseError:
        return ParseError(
            f"the record that begins here has more than {self._max_bytes:,} bytes, of which each tag and attribute "
            f"counts for {_PART_BYTES} at least: raise max_record_bytes if it is right.",
            path=self._path,
            line=self._line,
        )

    def _error(self, what: str) -> ParseError:
        parser = self._parser
        return ParseError(
            f"{what} (byte {max(0, parser.CurrentByteIndex):,}).",
            path=self._path,
            line=parser.CurrentLineNumber,
            column=parser.CurrentColumnNumber + 1,
        )

    # Where no record is

    def _note(self) -> None:
        """Remember what is there in place of records."""
        open_ = self._open
        level = 0
        if not self._records.is_anywhere:
            level = len(open_) - 1
            if self._records.begins_with(open_):
                self._reached = max(self._reached, len(open_))
                return
            if not self._records.begins_with(open_[:-1]):
                return
        elif len(open_) == 1:
            return  # of a root alone nothing is missing
        others = self._others.setdefault(level, {})
        if len(others) < _OTHERS_KEPT:
            others["/".join(open_)] = None

    def _check_found(self) -> None:
        """Refuse a document that has others where records should be: none must be left out unseen."""
        if not self._has_records and (others := self._others.get(self._reached)):
            raise ParseError(
                f"has no element at {self._records.text!r}; found instead: {listed(list(others))}. Mend `records`, "
                "or the file.",
                path=self._path,
                line=1,
            )
