"""A document as one record, in the shapes of `fc_connect.xml`, within its limits."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any, Final

from fc_connect.errors import ParseError
from fc_connect.xml import ElementPath, Shape, XMLReader

__all__ = ["MAX_BYTES", "MAX_DEPTH", "read_xml", "text_of"]

MAX_BYTES: Final = 64 * 1024 * 1024
"""Of a document that becomes one record."""
MAX_DEPTH: Final = 100
"""Of its nesting."""

_ROOT: Final = ElementPath("*")


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
    reader = XMLReader(
        io.BytesIO(raw),
        path="xml",
        records=_ROOT,
        shape=Shape(coerce=coerce),
        max_depth=max_depth,
        max_record_bytes=max_bytes,
        encoding="utf-8" if isinstance(text, str) else None,
        allows_outer_dtd=True,
    )
    [(name, value, _, _)] = reader
    return {name: value}


def text_of(value: Any) -> Any:
    """Return the text of an element that has attributes too; any other value as it is."""
    return value["#text"] if isinstance(value, Mapping) and "#text" in value else value
