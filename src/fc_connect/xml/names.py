"""What elements and attributes are called in a record: prefixes as written, none, or those of the configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

__all__ = ["SEPARATOR", "XML_NAMESPACE", "Names", "Namespaces"]

Namespaces = Literal["keep", "strip"] | Mapping[str, str]

SEPARATOR: Final = "\x01"
"""Between namespace and local name as the parser gives them: XML has no such character."""
XML_NAMESPACE: Final = "http://www.w3.org/XML/1998/namespace"


class Names(dict[str, str]):
    """The key in a record by the parser's name, worked out once for each name.

    With prefixes of the configuration, what belongs to another namespace is called `{namespace}name`. But for `keep`
    two names may have one key: who merges must ask.
    """

    def __init__(self, namespaces: Namespaces, *, lead: str = "") -> None:
        super().__init__()
        self._lead = lead
        self._strips = namespaces == "strip"
        self._prefixes = {} if isinstance(namespaces, str) else {uri: key for key, uri in namespaces.items()}

    def __missing__(self, name: str) -> str:
        key = self[name] = self._lead + self._made(name)
        return key

    def _made(self, name: str) -> str:
        uri, _, local = name.rpartition(SEPARATOR)
        if not uri or self._strips:
            return local
        prefix = self._prefixes.get(uri, "xml" if uri == XML_NAMESPACE else None)
        if prefix is None:
            return f"{{{uri}}}{local}"
        return f"{prefix}:{local}" if prefix else local
