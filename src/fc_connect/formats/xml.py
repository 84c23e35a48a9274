"""XML: a record is an element, found by its path; read as it comes, at constant memory.

An element with nothing but text is that text; an empty one is None; one with attributes or elements is a dict of these,
attributes as `@name`, its own text as `#text`; what is repeated is a list. Nothing is guessed: `00123` stays `00123`.
White space of XML around a text is layout, and left out, unless `xml:space="preserve"` says otherwise.

A document type that declares or refers to anything is refused, so there are no entities but the five of XML itself.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, BinaryIO, Literal

from fc_connect.errors import ConfigurationError
from fc_connect.formats.base import BadRecord, Place
from fc_connect.xml import AmbiguousError, ElementPath, Namespaces, Shape, XMLReader

__all__ = ["XMLFormat", "XMLRecords"]


class XMLFormat:
    """Reads XML files with these options; holds no file, may be shared and used again.

    Args:
        records: path of the elements that are records, from the root: `items/item`, with `*` for any name;
            `//item` takes them at any depth, but for those inside one.
        namespaces: `keep` leaves names as they are written, with their prefixes; `strip` leaves prefixes out, and
            rejects a record in which two names would become one; a dict of prefix → namespace names them anew,
            whatever the file's own prefixes: `{"": "urn:a"}` leaves that of the main one out.
        lists: elements that are lists, also where there is one: their names, or the ends of their paths
            (`lines/line`).
        numbers: `guess` makes numbers and truth values of what looks like one, as the TypeScript SDK does, and loses
            leading zeros with it.
        max_depth: a file with an element deeper than that is refused.
        max_record_bytes: a file with a larger record, or a longer tag or comment, is refused. Each tag and attribute
            counts for 32 bytes at least.

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
        try:
            self.records = ElementPath(records)
        except ValueError as exc:
            problems.append(f"records: {exc}")
        if isinstance(namespaces, str) and namespaces not in {"keep", "strip"}:
            problems.append(
                f"namespaces is keep, strip, or prefixes with their namespaces, not {namespaces!r}"
            )
        problems += [
            f"lists holds names of elements, or ends of their paths, not {each!r}"
            for each in lists
            if not all(each.split("/"))
        ]
        if numbers not in {"text", "guess"}:
            problems.append(f"numbers is text or guess, not {numbers!r}")
        problems += [
            f"{name} must be at least 1, not {value}"
            for name, value in (("max_depth", max_depth), ("max_record_bytes", max_record_bytes))
            if value < 1
        ]
        if problems:
            raise ConfigurationError("The XML format can't be used:", problems=problems)
        self.namespaces = namespaces
        self.lists = tuple(lists)
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
        self._number = 0
        self._begun = (1, 0)
        self._reader = XMLReader(
            stream,
            path=path,
            records=options.records,
            shape=Shape(coerce=options.guesses, lists=options.lists, namespaces=options.namespaces),
            max_depth=options.max_depth,
            max_record_bytes=options.max_record_bytes,
        )

    @property
    def position(self) -> int:
        """Number of the record that was yielded last, 1-based; 0 before the first."""
        return self._number

    def place(self) -> Place:
        """Return where the record that was yielded last begins."""
        line, byte = self._begun
        return Place(record=self._number, line=line, byte=byte)

    def __iter__(self) -> Iterator[Any]:
        for _, value, line, byte in self._reader:
            self._number += 1
            self._begun = (line, byte)
            if isinstance(value, dict):
                yield value
            elif isinstance(value, AmbiguousError):
                yield BadRecord(place=self.place(), reason=str(value), raw=value.raw)
            else:
                yield {} if value is None else {"#text": value}
