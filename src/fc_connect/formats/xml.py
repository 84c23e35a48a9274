"""XML: a record is an element, found by its path; read as it comes, at constant memory.

An element with nothing but text is that text; an empty one is None; one with attributes or elements is a dict of these,
attributes as `@name`, its own text as `#text`; what is repeated is a list. Nothing is guessed: `00123` stays `00123`.
White space of XML around a text is layout, and left out, unless `xml:space="preserve"` says otherwise.

The parser is expat, as Python brings it, under rules that leave out what makes XML dangerous: a document type that
declares or refers to anything is refused, so there are no entities but the five of XML itself.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, BinaryIO, Final, Literal
from xml.etree import ElementTree
from xml.parsers import expat

from fc_connect.errors import ConfigurationError, ParseError, listed
from fc_connect.formats.base import BadRecord, Place
from fc_connect.guessing import guessed

__all__ = ["XMLFormat", "XMLRecords"]

_BLOCK_BYTES: Final = 1 << 14
"""Parsed at once. Measured: the elements of larger blocks fall out of the processor's cache before they are read."""
_RAW_CHARACTERS: Final = 1000
_SPACE: Final = " \t\r\n"
_XMLNS: Final = "http://www.w3.org/XML/1998/namespace"
_SEPARATOR: Final = "\x01"  # stands in no name and no namespace: XML has no such character
_NAMES_KEPT: Final = 20

Namespaces = Literal["keep", "strip"] | Mapping[str, str]


class XMLFormat:
    """Reads XML files with these options; holds no file, may be shared and used again.

    Args:
        records: path of the elements that are records, from the root: `items/item`, with `*` for any name;
            `//item` takes them at any depth, but for those inside one.
        namespaces: `keep` leaves names as they are written, with their prefixes; `strip` leaves prefixes out, and
            rejects a record in which two names would become one; a dict of prefix → namespace names them anew,
            whatever the file's own prefixes: `{"": "urn:a"}` leaves that of the main one out.
        lists: names of elements that are lists, also where there is one.
        numbers: `guess` makes numbers and truth values of what looks like one, as the TypeScript SDK does, and loses
            leading zeros with it.
        max_depth: a file with an element deeper than that is refused.
        max_record_bytes: a file with a longer record, or a longer tag, is refused.

    Raises:
        ConfigurationError: names every option whose value can't be used.
    """

    def __init__(
        self,
        *,
        records: str,
        namespaces: Namespaces = "keep",
        lists: Collection[str] = (),
        numbers: Literal["text", "guess"] = "text",
        max_depth: int = 100,
        max_record_bytes: int = 16 << 20,
    ) -> None:
        problems = []
        self.is_anywhere = records.startswith("//")
        self.path = tuple(records.removeprefix("//" if self.is_anywhere else "/").split("/"))
        if not all(self.path) or any(each in {".", ".."} or set(each) & set("[]@() ") for each in self.path):
            problems.append(
                f"records is a path of element names, such as items/item or //item, not {records!r}"
            )
        elif self.is_anywhere and len(self.path) > 1:
            problems.append(f"records: after // comes one name, not {records!r}")
        if isinstance(namespaces, str) and namespaces not in {"keep", "strip"}:
            problems.append(
                f"namespaces is keep, strip, or prefixes with their namespaces, not {namespaces!r}"
            )
        if numbers not in {"text", "guess"}:
            problems.append(f"numbers is text or guess, not {numbers!r}")
        problems += [
            f"{name} must be at least 1, not {value}"
            for name, value in (("max_depth", max_depth), ("max_record_bytes", max_record_bytes))
            if value < 1
        ]
        if problems:
            raise ConfigurationError("The XML format can't be used:", problems=problems)
        self.records = records
        self.namespaces = namespaces
        self.lists = frozenset(lists)
        self.guesses = numbers == "guess"
        self.max_depth = max_depth
        self.max_record_bytes = max_record_bytes

    def read(self, stream: BinaryIO, *, path: str, wanted: Collection[str] | None = None) -> XMLRecords:
        """Return the records, which are read from `stream` as they are asked for; the caller closes it."""
        return XMLRecords(self, stream, path=path)


class XMLRecords:
    """The records of one open file, as dicts; may be iterated over once.

    Raises while iterating:
        ParseError: it isn't well-formed XML, or isn't safe, or has no such path. What came before was yielded.
    """

    def __init__(self, options: XMLFormat, stream: BinaryIO, *, path: str) -> None:
        self.columns: tuple[str, ...] | None = None
        self.nested: frozenset[str] = frozenset()
        self.counts: Literal["line", "record"] = "record"
        self._options = options
        self._stream = stream
        self._path = path
        self._begun = (1, 0)
        self._number = 0
        self._reading = _Reading(options, self._fault)

    @property
    def position(self) -> int:
        """Number of the record that was yielded last, 1-based; 0 before the first."""
        return self._number

    def place(self) -> Place:
        """Return where the record that was yielded last begins."""
        line, byte = self._begun
        return Place(record=self._number, line=line, byte=byte)

    def __iter__(self) -> Iterator[Any]:
        reading = self._reading
        is_last = False
        while not is_last:
            data = self._stream.read(_BLOCK_BYTES)
            is_last = not data
            fault: ParseError | None = None
            try:
                reading.parse(data, is_last=is_last)
            except expat.ExpatError as exc:
                fault = self._broken(exc)
            except (LookupError, ValueError) as exc:  # an encoding that Python doesn't have, or not here
                fault = self._fault(f"can't be read: {exc}")
            except ParseError as exc:
                fault = exc
            for element, line, byte in reading.taken():
                self._number += 1
                self._begun = (line, byte)
                try:
                    yield reading.record(element)
                except _AmbiguousError as exc:
                    raw = ElementTree.tostring(element, encoding="unicode").replace(_SEPARATOR, ":")
                    yield BadRecord(place=self.place(), reason=str(exc), raw=raw[:_RAW_CHARACTERS])
            if fault is not None:
                raise fault
        if not self._number and (why := reading.why_nothing()) is not None:
            raise ParseError(why, path=self._path, line=1)

    def _broken(self, exc: expat.ExpatError) -> ParseError:
        what = expat.ErrorString(exc.code)
        return ParseError(
            f"isn't well-formed XML: {what} (byte {self._reading.parser.ErrorByteIndex:,}). Have the file mended at "
            "its source.",
            path=self._path,
            line=exc.lineno,
            column=exc.offset + 1,
        )

    def _fault(self, what: str) -> ParseError:
        parser = self._reading.parser
        return ParseError(
            f"{what} (byte {max(0, parser.CurrentByteIndex):,}).",
            path=self._path,
            line=parser.CurrentLineNumber,
            column=parser.CurrentColumnNumber + 1,
        )


class _Reading:
    """The parser and what it has found of the records so far."""

    def __init__(self, options: XMLFormat, fault: Callable[[str], ParseError]) -> None:
        self._options = options
        self._fault = fault
        self._keeps = options.namespaces == "keep"
        parser = expat.ParserCreate(namespace_separator=None if self._keeps else _SEPARATOR)
        parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
        parser.StartDoctypeDeclHandler = self._doctype
        parser.EntityDeclHandler = self._entity
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        self.parser = parser
        self._names = _Names(options.namespaces)
        self._builder = ElementTree.TreeBuilder()
        self._record: ElementTree.Element | None = None
        self._begun = (0, 0)  # line and byte of the record in progress
        self._found: list[tuple[ElementTree.Element, int, int]] = []
        self._fed = 0
        self._open: list[str] = []
        self._on_path = 0  # how many of the open elements are on the path
        self._holds_container = False
        self._others: dict[str, None] = {}
        """Names of elements that lie where records are expected, or on the way there, in order."""

    def parse(self, data: bytes, *, is_last: bool) -> None:
        self._fed += len(data)
        self.parser.Parse(data, is_last)
        limit = self._options.max_record_bytes
        begun = self._begun[1] if self._record is not None else max(0, self.parser.CurrentByteIndex)
        if self._fed - begun > limit + _BLOCK_BYTES:
            what = "a record" if self._record is not None else "a tag or text"
            raise self._fault(
                f"holds {what} of more than {limit:,} bytes: raise max_record_bytes if it is right"
            )

    def taken(self) -> list[tuple[ElementTree.Element, int, int]]:
        found, self._found = self._found, []
        return found

    def why_nothing(self) -> str | None:
        """Say why there was no record; None where there is a place for them, and it is empty."""
        options = self._options
        if self._holds_container and not self._others:
            return None
        if options.is_anywhere and len(self._others) <= 1:
            return None  # the root alone
        names = listed(list(self._others))
        return f"has no element at {options.records!r}; found instead: {names}. Mend `records`, or the file."

    # While expat parses

    def _doctype(self, name: str, system: str | None, public: str | None, has_subset: int) -> None:
        if has_subset or system is not None or public is not None:
            raise self._fault("has a document type that declares or refers to something, which isn't read")

    def _entity(self, *_: object) -> None:
        raise self._fault("declares an entity, which isn't read: write what it stands for")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        depth = len(self._open)
        if depth >= self._options.max_depth:
            raise self._fault(f"is nested more than {self._options.max_depth} deep")
        plain = name if self._keeps else self._names.key(name)
        if self._is_record(plain, depth):
            self._begin(name, attributes)
            return
        path = self._options.path
        if not self._options.is_anywhere:
            is_step = depth == self._on_path < len(path) and path[depth] in {plain, "*"}
            if is_step:
                self._on_path += 1
                self._holds_container = self._holds_container or self._on_path == len(path) - 1
            elif depth == self._on_path:
                self._note(plain)
        else:
            self._note(plain)
        self._open.append(plain)

    def _is_record(self, name: str, depth: int) -> bool:
        path = self._options.path
        if self._options.is_anywhere:
            return path[0] in {name, "*"}
        return depth == self._on_path == len(path) - 1 and path[-1] in {name, "*"}

    def _note(self, name: str) -> None:
        if len(self._others) < _NAMES_KEPT:
            self._others["/".join((*self._open, name))] = None

    def _end(self, name: str) -> None:
        self._open.pop()
        self._on_path = min(self._on_path, len(self._open))

    def _begin(self, name: str, attributes: dict[str, str]) -> None:
        parser, builder = self.parser, self._builder
        self._begun = (parser.CurrentLineNumber, parser.CurrentByteIndex)
        self._record = record = builder.start(name, attributes)
        end = builder.end

        def end_inside(name: str) -> None:
            if end(name) is record:
                self._finish()

        # Inside a record expat calls straight into the builder's C code.
        parser.StartElementHandler = builder.start
        parser.CharacterDataHandler = builder.data
        parser.EndElementHandler = end_inside

    def _finish(self) -> None:
        parser = self.parser
        parser.StartElementHandler = self._start
        parser.CharacterDataHandler = None
        parser.EndElementHandler = self._end
        if self._record is not None:
            self._found.append((self._record, *self._begun))
        self._record = None
        self._builder = ElementTree.TreeBuilder()

    # What a record is

    def record(self, element: ElementTree.Element) -> dict[str, Any]:
        """Return the record that an element is.

        Raises:
            _AmbiguousError: two of its names become one.
        """
        value = self._value(element, len(self._open) + 1, is_kept=False)
        if value is None:
            return {}
        return value if isinstance(value, dict) else {"#text": value}

    def _value(self, element: ElementTree.Element, depth: int, *, is_kept: bool) -> Any:
        text = element.text
        # To ask for `attrib` would make a dict for every element that has none.
        attributes = element.attrib if element.keys() else None
        if not attributes and not len(element):
            return self._text(text, is_kept=is_kept)
        if depth > self._options.max_depth:
            raise self._fault(f"is nested more than {self._options.max_depth} deep")
        if attributes:
            space = attributes.get("xml:space") or attributes.get(_XMLNS + _SEPARATOR + "space")
            is_kept = space == "preserve" if space is not None else is_kept
        values: dict[str, Any] = {}
        keeps, names, lists = self._keeps, self._names, self._options.lists
        is_plain = not self._options.guesses and not is_kept
        written: dict[str, str] = {}
        pieces = [text] if text else []
        for child in element:
            tag = child.tag
            key = tag if keeps else names.key(tag)
            if not keeps and written.setdefault(key, tag) != tag:
                raise _AmbiguousError(key, written[key], tag)
            if is_plain and not len(child) and not child.keys():
                found = child.text
                value: Any = (found.strip(_SPACE) or None) if found else None
            else:
                value = self._value(child, depth + 1, is_kept=is_kept)
            if key in values:
                before = values[key]
                if before.__class__ is list:
                    before.append(value)
                else:
                    values[key] = [before, value]
            else:
                values[key] = [value] if key in lists else value
            if child.tail:
                pieces.append(child.tail)
        content = self._text("".join(pieces), is_kept=is_kept)
        if content is not None or not values:
            values["#text"] = content
        for name, value in (attributes or {}).items():
            key = name if keeps else names.key(name)
            if not keeps and written.setdefault("@" + key, name) != name:
                raise _AmbiguousError("@" + key, written["@" + key], name)
            values["@" + key] = value
        return values

    def _text(self, text: str | None, *, is_kept: bool) -> Any:
        if not text:
            return None
        stripped = text if is_kept else text.strip(_SPACE)
        if not stripped:
            return None
        return guessed(stripped.strip(_SPACE), stripped) if self._options.guesses else stripped


class _AmbiguousError(Exception):
    def __init__(self, key: str, one: str, other: str) -> None:
        names = " and ".join(
            "{}:{}".format(*each.split(_SEPARATOR)) for each in (one, other) if _SEPARATOR in each
        )
        super().__init__(
            f"two names become one, {key!r}: {names or key}. Name their namespaces (`namespaces`)"
        )


class _Names:
    """What names of the namespaces become; each is worked out once."""

    _MOST = 10_000

    def __init__(self, namespaces: Namespaces) -> None:
        self._prefixes = (
            {} if isinstance(namespaces, str) else {uri: prefix for prefix, uri in namespaces.items()}
        )
        self._strips = namespaces == "strip"
        self._known: dict[str, str] = {}

    def key(self, name: str) -> str:
        found = self._known.get(name)
        if found is None:
            found = self._made(name)
            if len(self._known) < self._MOST:
                self._known[name] = found
        return found

    def _made(self, name: str) -> str:
        uri, separator, local = name.rpartition(_SEPARATOR)
        if not separator or self._strips:
            return local
        if uri == _XMLNS:
            return f"xml:{local}"
        prefix = self._prefixes.get(uri)
        if prefix is None:
            return f"{{{uri}}}{local}"
        return f"{prefix}:{local}" if prefix else local
