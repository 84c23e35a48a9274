"""How a CSV file is written: brings lines of unusual dialects to what Python's `csv` reads, and values back."""

from __future__ import annotations

import csv
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final

from fc_connect.errors import listed

__all__ = ["STAND_IN", "CSVDialect", "problems_of_names"]

STAND_IN: Final = "\ufdd0"
"""Stands for a delimiter of several characters on the way through `csv`. No text holds it: Unicode keeps it free."""


class CSVDialect:
    """What is around and between values. Most dialects are `csv`'s own: then `prepares` is False."""

    def __init__(self, *, delimiter: str, quotechar: str | None, escapechar: str | None) -> None:
        self.delimiter = (
            "\t" if delimiter == "\\t" else delimiter
        )  # as people write a tab where they can't type one
        self.quotechar = quotechar
        self.escapechar = escapechar
        self.prepares = len(self.delimiter) > 1 or escapechar is not None
        self._one = self.delimiter if len(self.delimiter) == 1 else STAND_IN
        # `csv` takes the escape away before any character; here it must stay where it escapes nothing (C:\new).
        self._escape = re.compile(re.escape(escapechar or "\0") + r"(?s:(.)?)")
        self._proper = re.compile(self._proper_pattern())
        self._escapable = {each for each in (self._one, quotechar, escapechar) if each is not None}

    def problems(self) -> Iterator[str]:
        """Yield why it can't be used."""
        if not self.delimiter or any(each in self.delimiter for each in f"\r\n\0{STAND_IN}"):
            yield f"delimiter must be text without line ends and NUL, not {self.delimiter!r}"
        for name in ("quotechar", "escapechar"):
            value = getattr(self, name)
            if value is not None and (len(value) != 1 or value in f"\r\n\0{STAND_IN}"):
                yield f"{name} must be one character other than a line end or NUL, not {value!r}"
            elif value == self.delimiter:
                yield f"delimiter and {name} are both {value!r}"
            elif value is not None and value in self.delimiter:
                yield f"{name} {value!r} is also in the delimiter {self.delimiter!r}"
        if self.escapechar is not None and self.escapechar == self.quotechar:
            yield f"escapechar and quotechar are both {self.quotechar!r}: leave escapechar out, doubled quotes are read"

    @property
    def for_csv(self) -> dict[str, Any]:
        """Parameters of `csv.reader`."""
        return {
            "delimiter": self._one,
            "quotechar": self.quotechar,
            "escapechar": self.escapechar,
            "quoting": csv.QUOTE_MINIMAL if self.quotechar is not None else csv.QUOTE_NONE,
            "strict": True,
        }

    def prepared(self, line: str) -> str:
        """Return a line as `csv.reader` is to have it."""
        if self._one is STAND_IN:
            line = line.replace(self.delimiter, STAND_IN)
        if self.escapechar is not None and self.escapechar in line:
            line = self._escape.sub(self._escaped, line)
        return line

    def _escaped(self, found: re.Match[str]) -> str:
        return found[0] if found[1] in self._escapable else f"{self.escapechar}{found[0]}"

    def restored(self, row: list[str]) -> list[str]:
        """Return values as the file holds them: those in quotes may hold the delimiter."""
        if self._one is STAND_IN:
            return [value.replace(STAND_IN, self.delimiter) if STAND_IN in value else value for value in row]
        return row

    def is_proper(self, record: str) -> bool:
        """Say whether every quote is around a value, doubled or escaped inside one."""
        return self.quotechar is None or self.quotechar not in record or bool(self._proper.fullmatch(record))

    def _proper_pattern(self) -> str:
        d, q, e = (re.escape(each or "\0") for each in (self._one, self.quotechar, self.escapechar))
        value = f"(?:{q}(?:[^{q}{e}]|{q}{q}|{e}(?s:.))*+{q}|(?:[^{d}{q}{e}\r\n]|{e}(?s:.))*+)"
        return f"{value}(?:{d}{value})*+[\r\n]*+"


def problems_of_names(names: Sequence[str], limit: int = sys.maxsize) -> list[str]:
    """Return why these can't be the names of a file's columns."""
    problems = []
    if not names:
        problems.append("it names no column")
    if len(names) > limit:
        problems.append(
            f"{len(names):,} columns, more than max_columns ({limit:,}) allows: raise it if they are right"
        )
    unnamed = [str(place) for place, name in enumerate(names, 1) if not name.strip()]
    if unnamed:
        problems.append(
            f"column {listed(unnamed)} of {len(names)} has no name: name it, or take the delimiter away"
        )
    repeated = [name for name, count in Counter(filter(None, names)).items() if count > 1]
    if repeated:
        problems.append(f"the same name for several columns: {listed([repr(each) for each in repeated])}")
    return problems
