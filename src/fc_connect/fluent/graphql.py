"""Whether a GraphQL document writes: decides if it may be sent twice."""

from __future__ import annotations

import re

__all__ = ["is_query"]

# Block strings, strings, comments, names, and any other character (GraphQL spec, October 2021, section 2.1).
_TOKEN = re.compile(
    r'"""(?:\\"""|[^"]|"(?!""))*"""'
    r'|"(?:\\.|[^"\\\n\r])*"'
    r"|#[^\n\r]*"
    r"|[_A-Za-z][_0-9A-Za-z]*"
    r"|[^\s,\ufeff]"
)
_OPENING, _CLOSING = set("{(["), set("})]")


def is_query(document: str, *, operation_name: str | None = None) -> bool:
    """Say whether the operation that will run is certainly a query; anything unclear counts as a write.

    `operation_name` chooses among several operations; without it, or where none has that name, all of them
    must be queries.
    """
    operations = _operations(document)
    if operations is None:
        return False
    chosen = [kind for kind, name in operations if operation_name is not None and name == operation_name]
    kinds = chosen or [kind for kind, _ in operations]
    return bool(kinds) and all(kind == "query" for kind in kinds)


def _operations(document: str) -> list[tuple[str, str | None]] | None:
    """Return kind and name of each operation at the top level; None where brackets don't match."""
    operations: list[tuple[str, str | None]] = []
    depth = 0
    definition: str | None = None  # the keyword that began the definition we are in
    awaiting_name = False
    for match in _TOKEN.finditer(document):
        lexeme = match.group()
        if lexeme.startswith(("#", '"')):
            if lexeme == '"':
                return None  # a string that doesn't end
            continue
        if lexeme in _OPENING:
            if depth == 0 and lexeme == "{" and definition is None:
                operations.append(("query", None))  # the short form
            awaiting_name = False
            depth += 1
        elif lexeme in _CLOSING:
            depth -= 1
            if depth < 0:
                return None
            if depth == 0 and lexeme == "}":
                definition = None
        elif depth == 0:
            if definition is None:
                definition = lexeme
                awaiting_name = lexeme != "fragment"
                if lexeme != "fragment":
                    operations.append((lexeme, None))
            elif awaiting_name:
                kind, _ = operations.pop()
                operations.append((kind, lexeme if lexeme[0] == "_" or lexeme[0].isalpha() else None))
                awaiting_name = False
    return operations if depth == 0 else None
