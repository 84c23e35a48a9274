"""Reads JSON, with the line of every key."""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from typing import Any, NoReturn

from fc_connect.pipeline.config.document import Document, Location, SyntaxFault, demand_shallow

__all__ = ["parse_json"]

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')


def parse_json(text: str) -> Document:
    """Return what `text` holds.

    Raises:
        SyntaxFault: it isn't JSON.
    """
    if not text.strip():
        return Document()
    try:
        value = json.loads(text, parse_constant=_refuse)
    except json.JSONDecodeError as exc:
        raise SyntaxFault(exc.msg, line=exc.lineno) from exc
    except ValueError as exc:
        raise SyntaxFault(str(exc), line=None) from exc
    demand_shallow(value)
    document = Document(value=value)
    _Lines(text, document).walk(())
    return document


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} isn't a number of JSON")


class _Lines:
    """Walks tokens of text that is known to be JSON; the parser itself doesn't tell where things are."""

    def __init__(self, text: str, document: Document) -> None:
        self._document = document
        self._tokens = _TOKEN.finditer(text)
        self._starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self._next()
        document.lines[()] = self._line

    def _next(self) -> str:
        """Step to the next token and return the one before."""
        before: str = getattr(self, "_here", "")
        match = next(self._tokens, None)
        self._here = "" if match is None else match.group()
        if match is not None:
            self._line = bisect_right(self._starts, match.start())
        return before

    def walk(self, at: Location) -> None:
        opened = self._next()
        if opened == "{":
            seen: dict[Any, int] = {}
            while self._here != "}":
                line = self._line
                here = (*at, json.loads(self._next()))
                if here in seen:
                    text = f"is given twice: first in line {seen[here]}, again in {line}"
                    self._document.problems.append((here, text))
                seen[here] = line
                self._document.lines[here] = line
                self._next()  # :
                self.walk(here)
                if self._here == ",":
                    self._next()
            self._next()
        elif opened == "[":
            index = 0
            while self._here != "]":
                self._document.lines[(*at, index)] = self._line
                self.walk((*at, index))
                index += 1
                if self._here == ",":
                    self._next()
            self._next()
