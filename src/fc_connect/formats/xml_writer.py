"""XML out: a record is an element below the root, in the shapes that the reader gives.

Keys are elements, `@name` attributes, `#text` the text, lists repeat their element; None is an empty element. What XML
can't hold (a name with a space, a control character) is refused, never left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO, Final

from fc_connect.errors import ConfigurationError, FormatError
from fc_connect.formats.blocks import BlockWriter
from fc_connect.formats.plain import plain_text

__all__ = ["XMLRecordWriter", "XMLWriter"]

_MAX_DEPTH: Final = 100

# Names and characters of XML 1.0 (https://www.w3.org/TR/xml/#NT-Name, #NT-Char), with at most one prefix.
_START = (
    "A-Z_a-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u02ff\u0370-\u037d\u037f-\u1fff\u200c-\u200d\u2070-\u218f"
    "\u2c00-\u2fef\u3001-\ud7ff\uf900-\ufdcf\ufdf0-\ufffd\U00010000-\U000effff"
)
_LOCAL = f"[{_START}][-.0-9\u00b7\u0300-\u036f\u203f-\u2040{_START}]*"
_NAME: Final = re.compile(f"(?:({_LOCAL}):)?{_LOCAL}")
_NO_CHARACTER: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_IN_TEXT: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})
_IN_ATTRIBUTE: Final = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}
)


class XMLWriter:
    """Writes XML files with these options, in UTF-8; holds no file, may be shared and used again.

    Args:
        root: name of the element around all records.
        record: name of the element of each record.
        namespaces: prefix → namespace, declared at the root; `""` for names without a prefix.
        indent: spaces for each level; None puts a record on a line.
        declaration: whether the file begins with `<?xml …?>`.

    Raises:
        ConfigurationError: names every option whose value can't be used.
    """

    def __init__(
        self,
        *,
        root: str = "root",
        record: str = "record",
        namespaces: Mapping[str, str] | None = None,
        indent: int | None = None,
        declaration: bool = True,
    ) -> None:
        self.namespaces = dict(namespaces or {})
        problems = []
        for prefix, uri in self.namespaces.items():
            if (prefix and not re.fullmatch(_LOCAL, prefix)) or prefix in {"xml", "xmlns"} or not uri:
                problems.append(f"namespaces: {prefix!r} can't stand for {uri!r}")
        for option, name in (("root", root), ("record", record)):
            if (why := self.why_no_name(name)) is not None:
                problems.append(f"{option}: {name!r} {why}")
        if indent is not None and not 0 <= indent <= 8:
            problems.append(f"indent must be from 0 to 8, not {indent}")
        if problems:
            raise ConfigurationError("XML can't be written like that:", problems=problems)
        self.root = root
        self.record = record
        self.indent = indent
        self.declaration = declaration

    def why_no_name(self, name: str) -> str | None:
        """Say why an element or attribute can't be called so; None where it can."""
        match = _NAME.fullmatch(name)
        if match is None:
            return "is no name in XML"
        prefix = match[1]
        if prefix is None or prefix in self.namespaces or prefix == "xml":
            return None
        return f"has the prefix {prefix!r}, which `namespaces` doesn't declare"

    def write(self, stream: BinaryIO) -> XMLRecordWriter:
        """Begin a file."""
        return XMLRecordWriter(self, stream)


class XMLRecordWriter(BlockWriter):
    """Writes the records of one file. Bytes go out in blocks; `close` writes the last."""

    def __init__(self, options: XMLWriter, stream: BinaryIO) -> None:
        super().__init__(stream)
        self._options = options
        head = '<?xml version="1.0" encoding="UTF-8"?>\n' if options.declaration else ""
        declared = "".join(
            f' xmlns{":" if prefix else ""}{prefix}="{uri.translate(_IN_ATTRIBUTE)}"'
            for prefix, uri in options.namespaces.items()
        )
        self._append(f"{head}<{options.root}{declared}>\n".encode())

    def write(self, record: Mapping[str, Any]) -> None:
        """Add a record.

        Raises:
            FormatError: XML can't hold one of its keys or values; says which. The file stays as it was.
        """
        self._demand_open()
        self._append("".join(self._element(self._options.record, record, 1)).encode())

    def _element(self, name: str, value: Any, depth: int) -> Iterator[str]:
        if depth > _MAX_DEPTH:
            raise FormatError(f"{name!r}: is nested more than {_MAX_DEPTH} deep.")
        indent = self._options.indent
        before = " " * (depth * indent) if indent is not None else ""
        after = "\n" if indent is not None or depth == 1 else ""
        if not isinstance(value, Mapping):
            text = None if value is None else self._text(name, value, _IN_TEXT)
            yield f"{before}<{name}/>{after}" if text is None else f"{before}<{name}>{text}</{name}>{after}"
            return
        attributes, elements, text = "", [], ""
        for key, inner in value.items():
            if not isinstance(key, str):
                raise FormatError(f"{name!r}: has the key {key!r}, which isn't text.")
            if key == "#text":
                text = "" if inner is None else self._text(f"{name}.#text", inner, _IN_TEXT)
            elif key.startswith("@"):
                self._check_name(key[1:], key)
                shown = "" if inner is None else self._text(f"{name}.{key}", inner, _IN_ATTRIBUTE)
                attributes += f' {key[1:]}="{shown}"'
            else:
                self._check_name(key, key)
                for each in inner if isinstance(inner, list | tuple) else [inner]:
                    if isinstance(each, list | tuple):
                        raise FormatError(f"{key!r}: is a list in a list, which XML can't tell from one.")
                    elements.append("".join(self._element(key, each, depth + 1)))
        if not elements:
            end = f">{text}</{name}>" if text else "/>"
            yield f"{before}<{name}{attributes}{end}{after}"
            return
        # Layout beside a text would become part of it.
        inside = "\n" if indent is not None and not text else ""
        yield f"{before}<{name}{attributes}>{text}{inside}"
        yield from elements
        yield f"{before if inside else ''}</{name}>{after}"

    def _check_name(self, name: str, key: str) -> None:
        if (why := self._options.why_no_name(name)) is not None:
            raise FormatError(f"{key!r} {why}.")

    def _text(self, name: str, value: Any, table: dict[int, str]) -> str:
        try:
            text = value if isinstance(value, str) else plain_text(value)
        except FormatError as exc:
            raise FormatError(f"{name!r}: {exc}") from exc
        if (wrong := _NO_CHARACTER.search(text)) is not None:
            raise FormatError(f"{name!r}: holds {wrong[0]!r}, which no XML file may hold.")
        return text.translate(table)

    def _ending(self) -> bytes:
        return f"</{self._options.root}>\n".encode()
