"""What of a record a mapping looks at: a file that keeps its columns apart need not be read as a whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from fc_connect.errors import ConfigurationError
from fc_connect.mapping.calls import own_call
from fc_connect.mapping.config import CompatMapping, Condition, FieldConfig, MappingConfig
from fc_connect.mapping.paths import parse_path
from fc_connect.mapping.resolvers import RESOLVERS

__all__ = ["fields_read"]


class _EverythingError(Exception):
    """The mapping may look at anything."""


def fields_read(
    config: MappingConfig | CompatMapping, *, resolvers: Mapping[str, Callable[..., Any]] | None = None
) -> frozenset[str] | None:
    """Return the top-level names that may be looked at; None: any.

    Of a path like `a.b` that is `a`, and `a.b` too, which a column may be called. `resolvers` are your own: one
    that takes the record may look at all of it, and so may whatever isn't known.
    """
    if isinstance(config, CompatMapping):
        return None
    own = {name: own_call(name, function).arity for name, function in (resolvers or {}).items()}
    try:
        return frozenset(_names(config.fields, own, at_top=True))
    except _EverythingError:
        return None


def _names(fields: Mapping[str, FieldConfig], own: Mapping[str, int], *, at_top: bool) -> Iterator[str]:
    for field in fields.values():
        sources = [field.source] if field.source and not field.has_value else []
        sources += _tested(field.when)
        for call in field.resolvers:
            if call.name not in RESOLVERS and call.name != "sdk.concat" and own.get(call.name) != 1:
                raise _EverythingError
            if call.name == "sdk.concat":
                sources += [each for each in call.options.get("sources") or () if isinstance(each, str)]
        for source in sources:
            yield from _first(source, at_top=at_top)
        if field.fields is not None:
            yield from _names(field.fields, own, at_top=at_top and field.source is None)


def _tested(condition: Condition | None) -> list[str]:
    if condition is None:
        return []
    parts = [*(condition.all or ()), *(condition.any or ()), *([condition.no] if condition.no else [])]
    return [source for part in parts for source in _tested(part)] + (
        [condition.source] if condition.source is not None else []
    )


def _first(source: str, *, at_top: bool) -> Iterator[str]:
    try:
        path = parse_path(source)
    except ConfigurationError:  # a column may be called so; whether there is one is seen later
        yield source
        return
    if path.origin == "context" or (path.origin != "root" and not at_top):
        return
    if not path.keys:
        raise _EverythingError
    yield from path.keys
    yield source.removeprefix("$root.")
