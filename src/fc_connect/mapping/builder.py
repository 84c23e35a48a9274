"""Resolvers in Python: named for a mapping, or built up by target path and applied to a whole record.

`@resolver("custom.status")` names a function for the mapping file. `ResolverBuilder` and `ResolverEngine` are those of
the TypeScript SDK: they fill in, or work over, an entity that is there already.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Self, TypeVar

from fc_connect.errors import ConfigurationError, MappingError
from fc_connect.mapping.toolbox import coalesce, ensure_array, get_value, set_value
from fc_connect.mapping.values import ABSENT

__all__ = [
    "Resolution",
    "Resolver",
    "ResolverBuilder",
    "ResolverEngine",
    "combine_resolvers",
    "resolver",
    "resolver_names_of",
]

Resolver = Callable[[Any, Any, Mapping[str, Any], Mapping[str, Any]], Any]
"""Takes the value that the target has now (or `ABSENT`), the source record, the config and the context."""

Function = TypeVar("Function", bound=Callable[..., Any])

_MARK: Final = "__fc_connect_resolver_names__"
_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


def resolver(name: str) -> Callable[[Function], Function]:
    """Name a function for mapping files: `@resolver("custom.status")`. The function itself stays as it is.

    A pipeline finds it in its `resolvers` file or module, whatever the function is called. It may have several names.

    Raises:
        ConfigurationError: the name is empty, or one of a built-in resolver.
    """
    if not name.strip():
        raise ConfigurationError('@resolver needs a name, such as @resolver("custom.status").')
    if name.startswith("sdk."):
        raise ConfigurationError(
            f"{name} is taken: sdk.… are the built-in resolvers. Call it custom.{name[4:]}."
        )

    def marked(function: Function) -> Function:
        try:
            setattr(function, _MARK, (*resolver_names_of(function), name))
        except AttributeError as exc:
            raise ConfigurationError(f"{function!r} can't be named {name}: call it from a `def`.") from exc
        return function

    return marked


def resolver_names_of(function: object) -> tuple[str, ...]:
    """Return the names that `@resolver` gave a function; none where it gave none."""
    names = getattr(function, _MARK, ())
    return names if isinstance(names, tuple) else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """What an engine made of an entity."""

    data: Any
    """The entity, a copy; a target whose resolver failed has the value that it had."""
    errors: tuple[str, ...]
    """One for each resolver that failed: `Resolver failed for <target>: <why>`."""

    @property
    def success(self) -> bool:
        return not self.errors

    def to_dict(self) -> dict[str, Any]:
        """Return it as the TypeScript SDK does."""
        told = {"errors": list(self.errors)} if self.errors else {}
        return {"success": self.success, "data": self.data, **told}


class ResolverBuilder:
    """Collects resolvers by target path; a later one for the same target replaces the earlier.

    Each function is called with as many of its arguments as it takes: `calculate("total", lambda order: …)`.
    """

    def __init__(self) -> None:
        self._resolvers: dict[str, Resolver] = {}

    def field(self, target: str, function: Callable[..., Any]) -> Self:
        """Give the target what the function makes of (current, source, config, context)."""
        return self._add(target, _taking(function, 4))

    def from_(self, target: str, source: str, transform: Callable[..., Any] | None = None) -> Self:
        """Give the target what lies at the source path, or what `transform` makes of it."""
        change = None if transform is None else _taking(transform, 1)

        def resolve(current: Any, record: Any, config: Any, context: Any) -> Any:
            found = get_value(record, source)
            return found if change is None else change(found)

        return self._add(target, resolve)

    def with_default(self, target: str, source: str, default: Any) -> Self:
        """Give the target what lies at the source path, or the default where that is absent or null."""
        return self._add(
            target,
            lambda current, record, config, context: coalesce(get_value(record, source), deepcopy(default)),
        )

    def with_config_fallback(self, target: str, source: str, key: str) -> Self:
        """Give the target what lies at the source path, or at `key` in the config where that is absent or null."""
        return self._add(
            target,
            lambda current, record, config, context: coalesce(
                get_value(record, source), get_value(config, key)
            ),
        )

    def calculate(self, target: str, function: Callable[..., Any]) -> Self:
        """Give the target what the function makes of (source, context)."""
        made = _taking(function, 2)
        return self._add(target, lambda current, record, config, context: made(record, context))

    def map_array(self, target: str, source: str, function: Callable[..., Any]) -> Self:
        """Give the target a list: what the function makes of (item, index, config, context).

        What lies at the source path and is no list is an only item; where nothing does, the list is empty.
        """
        made = _taking(function, 4)

        def resolve(current: Any, record: Any, config: Any, context: Any) -> Any:
            items = ensure_array(get_value(record, source))
            return [made(item, index, config, context) for index, item in enumerate(items)]

        return self._add(target, resolve)

    def when(self, target: str, condition: Callable[..., Any], then: Any, otherwise: Any = None) -> Self:
        """Give the target `then` where the condition holds for the source, else `otherwise`.

        Both may be functions of (source, context).
        """
        holds = _taking(condition, 1)
        branches = [_taking(each, 2) if callable(each) else None for each in (otherwise, then)]

        def resolve(current: Any, record: Any, config: Any, context: Any) -> Any:
            chosen = bool(holds(record))
            branch = branches[chosen]
            return deepcopy((otherwise, then)[chosen]) if branch is None else branch(record, context)

        return self._add(target, resolve)

    def aggregate(self, target: str, sources: Sequence[str], function: Callable[[list[Any]], Any]) -> Self:
        """Give the target what the function makes of the list of values at the source paths."""
        paths = tuple(sources)
        return self._add(
            target,
            lambda current, record, config, context: function([get_value(record, path) for path in paths]),
        )

    def validate(
        self, target: str, function: Callable[..., Any], validator: Callable[[Any], bool | str]
    ) -> Self:
        """Give the target what the function makes of (current, source, config, context), if the validator lets it.

        The validator returns True; or False or why not, which fails the target.
        """
        made = _taking(function, 4)

        def resolve(current: Any, record: Any, config: Any, context: Any) -> Any:
            value = made(current, record, config, context)
            verdict = validator(value)
            if verdict is False:
                raise MappingError(f"Validation failed for {target}")
            if isinstance(verdict, str):
                raise MappingError(f"Validation failed for {target}: {verdict}")
            return value

        return self._add(target, resolve)

    def build(self) -> dict[str, Resolver]:
        """Return the resolvers by target; the builder may go on."""
        return dict(self._resolvers)

    def _add(self, target: str, function: Resolver) -> Self:
        if not target:
            raise ConfigurationError("A resolver needs a target path.")
        self._resolvers[target] = function
        return self


class ResolverEngine:
    """Applies resolvers, in their order, to entities. Holds no state between them."""

    def __init__(
        self,
        resolvers: Mapping[str, Resolver],
        *,
        config: Mapping[str, Any] = _NOTHING,
        context: Mapping[str, Any] = _NOTHING,
    ) -> None:
        self._resolvers = {target: _taking(function, 4) for target, function in resolvers.items()}
        self._config = config
        self._context = context

    def resolve(self, target: Any, source: Any) -> Resolution:
        """Return a copy of the target with what each resolver gives for its path; neither argument changes.

        A resolver that gives `ABSENT` leaves its path as it is. One that fails is told in `errors`; the rest go on.

        Raises:
            MappingError: the target is no object, and so has no paths.
        """
        if not isinstance(target, dict | list):
            raise MappingError(f"Expected an object to resolve into, not a {type(target).__name__}.")
        entity = deepcopy(target)
        errors = []
        for path, function in self._resolvers.items():
            try:
                value = function(get_value(entity, path), source, self._config, self._context)
                if value is not ABSENT:
                    set_value(entity, path, value)
            except Exception as exc:  # noqa: BLE001 (a resolver may raise anything)
                errors.append(f"Resolver failed for {path}: {exc}")
        return Resolution(data=entity, errors=tuple(errors))


def combine_resolvers(*resolvers: Mapping[str, Resolver]) -> dict[str, Resolver]:
    """Return all of them; of two for one target the later."""
    return {target: function for each in resolvers for target, function in each.items()}


def _taking(function: Callable[..., Any], most: int) -> Callable[..., Any]:
    """Return the function as one of `most` arguments, of which it is given as many as it takes."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # a builtin that doesn't tell
        return lambda *arguments: function(arguments[0])
    if any(each.kind is each.VAR_POSITIONAL for each in parameters):
        return function
    takes = sum(each.kind in {each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD} for each in parameters)
    return function if takes == most else lambda *arguments: function(*arguments[:takes])
