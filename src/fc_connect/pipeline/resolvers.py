"""Loads a pipeline's own resolvers: Python functions that the mapping names."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fc_connect.errors import ConfigurationError
from fc_connect.mapping.builder import resolver_names_of

__all__ = ["load_resolvers", "resolvers_digest"]


def load_resolvers(where: str | None, *, base: Path) -> dict[str, Callable[..., Any]]:
    """Return the functions by the name that a mapping gives them.

    `where` is a Python file (relative to `base`) or a module, either with `:attribute` for a mapping of names to
    functions. Without it, what `@resolver` named is one under that name, and every other public function that the file
    or module defines as `custom.<name>`. Those of a module are there as `module:function` too.

    Raises:
        ConfigurationError: it isn't there, fails when loaded, holds no functions, or two of one name.
    """
    if where is None:
        return {}
    place, _, attribute = where.partition(":")
    try:
        module = _load_file(base / place) if place.endswith(".py") else importlib.import_module(place)
    except Exception as exc:
        raise ConfigurationError(
            f"`resolvers: {where}` can't be loaded: {type(exc).__name__}: {exc}"
        ) from exc
    if attribute:
        found = getattr(module, attribute, None)
        if not isinstance(found, Mapping) or not all(callable(each) for each in found.values()):
            raise ConfigurationError(f"`resolvers: {where}`: {attribute} must map names to functions.")
        return {str(name): function for name, function in found.items()}
    functions: dict[str, Callable[..., Any]] = {}
    problems = []
    for attribute_name, value in vars(module).items():
        for name in _names(attribute_name, value, module.__name__):
            if functions.setdefault(name, value) is not value:
                problems.append(f"{name}: is {_called(functions[name])}, and also {_called(value)}")
    if problems:
        raise ConfigurationError(f"`resolvers: {where}`: two functions have one name:", problems=problems)
    if not place.endswith(".py"):
        functions |= {
            f"{place}:{each.__name__}": each for each in functions.values() if hasattr(each, "__name__")
        }
    if not functions:
        raise ConfigurationError(f"`resolvers: {where}` defines no public function.")
    return functions


def _names(attribute: str, value: Any, module: str) -> tuple[str, ...]:
    if not callable(value):
        return ()
    if given := resolver_names_of(value):
        return given
    is_own = getattr(value, "__module__", "") == module
    return (f"custom.{attribute}",) if is_own and not attribute.startswith("_") else ()


def _called(function: Callable[..., Any]) -> str:
    return f"`{getattr(function, '__qualname__', repr(function))}`"


def resolvers_digest(where: str | None, *, base: Path) -> str | None:
    """Name the resolvers as they are now: an edited file is another one. Of a module only the name counts."""
    if where is None:
        return None
    path = base / where.partition(":")[0]
    content = path.read_bytes() if path.suffix == ".py" and path.is_file() else b""
    return hashlib.sha256(where.encode() + b"\0" + content).hexdigest()


def _load_file(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(f"fc_connect_resolvers_{path.stem}", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
