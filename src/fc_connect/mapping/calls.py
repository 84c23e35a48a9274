"""Resolvers made ready to be called: looked up by name, their options checked, before the first record."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from importlib import import_module
from typing import Any

from pydantic import ConfigDict, ValidationError, validate_call

from fc_connect.errors import ConfigurationError, listed
from fc_connect.mapping.config import ResolverCall
from fc_connect.mapping.resolvers import RESOLVERS, Builtin, resolver_names
from fc_connect.mapping.rules import Call

__all__ = ["own_call", "resolver_call"]


def resolver_call(
    given: ResolverCall, at: str, *, own: Mapping[str, Call], problems: list[str], imports: bool = True
) -> Call:
    """Return a resolver as a mapping names it: built in, one of the user's, or, with `imports`, `module:function`.

    What isn't there, or can't be called so, is added to `problems`; what is returned then does nothing.
    """
    name = given.name
    if (builtin := RESOLVERS.get(name)) is not None:
        return _builtin_call(given, builtin, at, problems) or _nothing(name)
    if given.options:
        problems.append(f"{at}.resolver: options are for the built-in resolvers, and {name!r} is none")
    if name in own:
        return own[name]
    if ":" in name:
        if imports:
            return _imported(name, at, problems) or _nothing(name)
        module = name.partition(":")[0]
        problems.append(
            f"{at}.resolver: {name} isn't loaded: a mapping file names no code that the pipeline file doesn't; "
            f"write `resolvers: {module}` there"
        )
        return _nothing(name)
    known = [*resolver_names(), *own]
    close = get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"known: {listed(known)}"
    problems.append(f"{at}: there is no resolver {name!r}; {hint}")
    return _nothing(name)


def own_call(name: str, function: Callable[..., Any]) -> Call:
    """Return a resolver of the user's, to be called with as many of (value, record, context) as it takes.

    Raises:
        ConfigurationError: it can't be called so, or is asynchronous.
    """
    if not callable(function):
        raise ConfigurationError(f"The resolver {name!r} isn't a function.")
    if inspect.iscoroutinefunction(function):
        raise ConfigurationError(
            f"The resolver {name!r} is asynchronous; mapping isn't: write it with `def`."
        )
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return Call(name=name, function=function, is_own=True)  # a builtin that doesn't tell: the value alone
    positional = [p for p in parameters if p.kind in {p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD}]
    needed = sum(p.default is p.empty for p in positional)
    unfit = any(p.kind is p.KEYWORD_ONLY and p.default is p.empty for p in parameters)
    takes_any = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    if needed > 3 or unfit or (not positional and not takes_any):
        raise ConfigurationError(
            f"The resolver {name!r} must take (value), (value, record) or (value, record, context)."
        )
    arity = 3 if takes_any else min(3, len(positional))
    return Call(name=name, function=function, arity=arity, is_own=True)


def _builtin_call(given: ResolverCall, builtin: Builtin, at: str, problems: list[str]) -> Call | None:
    function, code = builtin.function, builtin.code
    if given.options:
        function, code = _made(builtin.make, given, at, problems), None
    elif function is None:
        problems.append(f"{at}.resolver: {given.name} needs options: {_options_of(builtin.make)}")
    if function is None:
        return None
    return Call(
        name=given.name,
        function=function,
        keeps_none=builtin.keeps_none,
        code=code,
        is_remembered=builtin.is_remembered,
    )


def _made(make: Callable[..., Any] | None, given: ResolverCall, at: str, problems: list[str]) -> Any:
    if make is None:
        problems.append(f"{at}.resolver: {given.name} takes no options")
        return None
    options = {_snake(name): value for name, value in given.options.items()}
    checked = validate_call(config=ConfigDict(strict=True, arbitrary_types_allowed=True))(make)
    try:
        return checked(**options)
    except ValidationError as exc:
        told = "; ".join(f"{'.'.join(map(_camel, fault['loc']))}: {fault['msg']}" for fault in exc.errors())
        problems.append(f"{at}.resolver: {given.name}: {told} ({_options_of(make)})")
    except ValueError as exc:
        problems.append(f"{at}.resolver: {given.name}: {exc}")
    return None


def _imported(name: str, at: str, problems: list[str]) -> Call | None:
    module, _, attribute = name.partition(":")
    try:
        function = getattr(import_module(module), attribute)
    except Exception as exc:  # noqa: BLE001 (a module may raise anything when it is loaded)
        problems.append(f"{at}.resolver: {name} can't be loaded: {type(exc).__name__}: {exc}")
        return None
    try:
        return own_call(name, function)
    except ConfigurationError as exc:
        problems.append(f"{at}: {exc}")
        return None


def _nothing(name: str) -> Call:
    return Call(name=name, function=lambda value: value)


def _options_of(make: Callable[..., Any] | None) -> str:
    if make is None:
        return "none"
    parameters = inspect.signature(make).parameters.values()
    return ", ".join(_camel(p.name) + ("" if p.default is p.empty else "?") for p in parameters)


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name)


def _camel(name: object) -> str:
    first, *rest = str(name).split("_")
    return first + "".join(part.capitalize() for part in rest)
