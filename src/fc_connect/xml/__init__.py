"""XML as records, for files of any size and for a document inside a record: one reader, one shape."""

from __future__ import annotations

from fc_connect.xml.names import Namespaces
from fc_connect.xml.reader import ElementPath, XMLReader
from fc_connect.xml.values import AmbiguousError, Shape

__all__ = ["AmbiguousError", "ElementPath", "Namespaces", "Shape", "XMLReader"]
