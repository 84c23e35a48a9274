"""Reads TOML, with the line of every key."""

from __future__ import annotations

import re
import tomllib
from typing import Any

from fc_connect.pipeline.config.document import Document, Location, SyntaxFault, demand_shallow

__all__ = ["parse_toml"]

_AT_LINE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")
# Multi-line strings may end in up to two more quotes than the three that close them.
_TOKEN = re.compile(
    r'''(?P<space>[ \t\r]+|\#[^\n]*)|(?P<newline>\n)
      |(?P<string>"""(?:[^\\]|\\.)*?"{3,5}(?!")|\'\'\'.*?'{3,5}(?!')|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')
      |(?P<mark>[\[\]{}=,.])|(?P<bare>[^\s\[\]{}=,."'\#]+)''',
    re.VERBOSE | re.DOTALL,
)


def parse_toml(text: str) -> Document:
    """Return what `text` holds.

    Raises:
        SyntaxFault: it isn't TOML.
    """
    try:
        value = tomllib.loads(text)
    except ValueError as exc:  # also integers of thousands of digits
        found = _AT_LINE.search(str(exc))
        line = None if found is None else int(found[1]) if found[1] else text.rstrip().count("\n") + 1
        raise SyntaxFault(_AT_LINE.sub("", str(exc)), line=line) from exc
    demand_shallow(value)
    document = Document(value=value, lines={(): 1})
    _Lines(text.replace("\r\n", "\n"), document).statements()
    return document


class _Lines:
    """Walks tokens of text that is known to be TOML; the parser itself doesn't tell where things are."""

    def __init__(self, text: str, document: Document) -> None:
        self._lines = document.lines
        self._tokens: list[tuple[str, str, int]] = []
        line = 1
        for match in _TOKEN.finditer(text):
            kind = match.lastgroup or ""
            if kind != "space":
                self._tokens.append((kind, match.group(), line))
            line += match.group().count("\n")
        self._tokens.append(("end", "", line))
        self._at = 0

    @property
    def _kind(self) -> str:
        return self._tokens[self._at][0]

    @property
    def _text(self) -> str:
        return self._tokens[self._at][1]

    @property
    def _line(self) -> int:
        return self._tokens[self._at][2]

    def _is_mark(self, marks: str) -> bool:
        return self._kind == "mark" and self._text in marks

    def statements(self) -> None:
        table: Location = ()
        arrays: dict[Location, int] = {}
        while self._kind != "end":
            if self._kind == "newline":
                self._at += 1
            elif self._is_mark("["):
                table = self._header(arrays)
            else:
                self._pair(table)

    def _header(self, arrays: dict[Location, int]) -> Location:
        line = self._line
        self._at += 1
        is_array = self._is_mark("[")
        self._at += is_array
        at: Location = ()
        keys = self._key()
        for position, key in enumerate(keys):
            at = (*at, key)
            self._lines.setdefault(at, line)
            is_last = position == len(keys) - 1
            if is_array and is_last:
                arrays[at] = arrays.get(at, -1) + 1
            if at in arrays:  # a header goes on with the newest table of an array
                at = (*at, arrays[at])
                self._lines.setdefault(at, line)
        self._at += 2 if is_array else 1
        return at

    def _pair(self, table: Location) -> None:
        line, at = self._line, table
        for key in self._key():
            at = (*at, key)
            self._lines.setdefault(at, line)
        self._at += 1  # =
        self._value(at)

    def _key(self) -> list[str]:
        keys = []
        while True:
            keys.append(_unquoted(self._text) if self._kind == "string" else self._text)
            self._at += 1
            if not self._is_mark("."):
                return keys
            self._at += 1

    def _value(self, at: Location) -> None:
        if self._is_mark("["):
            self._at += 1
            index = 0
            while not self._is_mark("]"):
                if self._kind == "newline" or self._is_mark(","):
                    self._at += 1
                    continue
                self._lines[(*at, index)] = self._line
                self._value((*at, index))
                index += 1
            self._at += 1
        elif self._is_mark("{"):
            self._at += 1
            while not self._is_mark("}"):
                if self._kind == "newline" or self._is_mark(","):
                    self._at += 1
                    continue
                self._pair(at)
            self._at += 1
        else:
            while self._kind not in {"newline", "end"} and not self._is_mark(",]}"):
                self._at += 1


def _unquoted(text: str) -> str:
    key: Any = next(iter(tomllib.loads(f"{text} = 0")))
    return str(key)
