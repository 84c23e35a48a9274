"""`when`: whether a record has a field at all."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from fc_connect.mapping.patterns import compile_pattern
from fc_connect.mapping.resolvers import to_string
from fc_connect.mapping.rules import Read, is_empty

if TYPE_CHECKING:
    from fc_connect.mapping.config import Condition

__all__ = ["Holds", "condition"]

Holds = Callable[[Any, Any], bool]
"""Takes the record at hand and the whole one."""


def condition(config: Condition, read: Callable[[str], Read]) -> Holds:
    """Compile a condition; `read` makes a reader of a path."""
    parts: list[Holds] = []
    if config.all is not None:
        every = [condition(each, read) for each in config.all]
        parts.append(lambda record, root: all(holds(record, root) for holds in every))
    if config.any is not None:
        some = [condition(each, read) for each in config.any]
        parts.append(lambda record, root: any(holds(record, root) for holds in some))
    if config.no is not None:
        inner = condition(config.no, read)
        parts.append(lambda record, root: not inner(record, root))
    if config.source is not None:
        source, test = read(config.source), _test(config)
        parts.append(lambda record, root: test(source(record, root)))
    return parts[0] if len(parts) == 1 else lambda record, root: all(holds(record, root) for holds in parts)


def _test(config: Condition) -> Callable[[Any], bool]:
    given = config.model_fields_set
    tests: list[Callable[[Any], bool]] = []
    if "equals" in given:
        expected = config.equals
        tests.append(lambda value: _same(value, expected))
    if config.one_of is not None:
        allowed = config.one_of
        tests.append(lambda value: any(_same(value, each) for each in allowed))
    if config.exists is not None:
        wanted = config.exists
        tests.append(lambda value: (not is_empty(value)) is wanted)
    if config.matches is not None:
        pattern = compile_pattern(config.matches)
        tests.append(lambda value: isinstance(value, str | int | date) and pattern.matches(to_string(value)))
    if not tests:
        return lambda value: not is_empty(value)
    return lambda value: all(test(value) for test in tests)


def _same(value: Any, expected: Any) -> bool:
    """Compare as a reader of the file would: a CSV has the text `1` where JSON has the number."""
    if isinstance(value, bool) is isinstance(expected, bool) and (
        value == expected or _as_written(value) == _as_written(expected)
    ):
        return True
    scalar = str | int | float | Decimal | date
    if (
        isinstance(value, str) != isinstance(expected, str)
        and isinstance(value, scalar)
        and isinstance(expected, scalar)
    ):
        return to_string(value) == to_string(expected)
    return False


def _as_written(value: Any) -> Any:
    """Return a number by its digits: 1.1 as a float isn't quite 1.1, but whoever wrote it meant that."""
    return Decimal(repr(value)) if isinstance(value, float) else value
