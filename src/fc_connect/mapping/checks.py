"""What a field's value is held against at the end: allowed values, a pattern, a range, a table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from fc_connect.mapping.patterns import compile_pattern
from fc_connect.mapping.resolvers import to_string

if TYPE_CHECKING:
    from fc_connect.mapping.config import FieldConfig, Lookup

__all__ = ["checks_of", "looked_up"]

_LISTED = 10  # allowed values in a message


def checks_of(config: FieldConfig) -> Iterator[Callable[[Any], Any]]:
    """Yield the checks of a field. Each gives the value back, or raises ValueError with what was expected."""
    if config.enum is not None:
        yield _one_of(config.enum)
    if config.pattern is not None:
        yield _like(config.pattern)
    if config.minimum is not None or config.maximum is not None:
        yield _between(config.minimum, config.maximum)
    if config.min_length is not None or config.max_length is not None:
        yield _long(config.min_length or 0, config.max_length)


def _one_of(allowed: tuple[Any, ...]) -> Callable[[Any], Any]:
    told = ", ".join(map(repr, allowed[:_LISTED])) + (", …" if len(allowed) > _LISTED else "")

    def check(value: Any) -> Any:
        for each in allowed:  # not `in`: True and 1 are two things
            if each == value and isinstance(each, bool) is isinstance(value, bool):
                return value
        raise ValueError(f"expected one of {told}")

    return check


def _like(pattern: str) -> Callable[[Any], Any]:
    compiled = compile_pattern(pattern)

    def check(value: Any) -> Any:
        if not compiled.matches(to_string(value)):
            raise ValueError(f"expected text like {pattern}")
        return value

    return check


def _between(minimum: float | None, maximum: float | None) -> Callable[[Any], Any]:
    told = (
        f"at least {minimum}"
        if maximum is None
        else f"at most {maximum}"
        if minimum is None
        else f"{minimum} to {maximum}"
    )

    def check(value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
            raise ValueError(f"expected a number, {told} (sdk.parseInt makes one)")  # noqa: TRY004 (of the data)
        if not (
            (minimum is None or value >= minimum) and (maximum is None or value <= maximum)
        ):  # NaN is neither
            raise ValueError(f"expected a number, {told}")
        return value

    return check


def _long(minimum: int, maximum: int | None) -> Callable[[Any], Any]:
    told = f"at least {minimum}" if maximum is None else f"{minimum} to {maximum}"

    def check(value: Any) -> Any:
        if not isinstance(value, str | list):
            raise ValueError(f"expected text or a list, {told} long")  # noqa: TRY004 (of the data)
        if len(value) < minimum or (maximum is not None and len(value) > maximum):
            raise ValueError(f"expected {told} {'characters' if isinstance(value, str) else 'items'}")
        return value

    return check


def looked_up(lookup: Lookup, table: Mapping[str, Any]) -> Callable[[Any], Any]:
    """Return a function that gives what the table has for a value; what it doesn't have raises ValueError."""

    def find(value: Any) -> Any:
        key = to_string(value)
        if key in table:
            return table[key]
        if lookup.has_otherwise:
            return lookup.otherwise
        raise ValueError(f"expected a value that {lookup.name} knows")

    return find
