"""The value that isn't there: what a path finds where a record has nothing, which is neither null nor empty text."""

from __future__ import annotations

from enum import Enum
from typing import Final, Literal

__all__ = ["ABSENT", "Absent"]


class _Absent(Enum):
    # Of no type that is written as JSON: where it gets into an entity, that is an error and never a text.
    ABSENT = range(0)

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = _Absent.ABSENT
"""There is no value; `undefined` in JavaScript. Falsy, and there is one: compare with `is`."""

Absent = Literal[_Absent.ABSENT]
"""The type of `ABSENT`."""
