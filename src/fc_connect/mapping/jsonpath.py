"""JSONPath as RFC 9535 defines it, with limits on what a query may cost.

The engine is a library; what is ours are the errors, the caps, and the two functions on regular expressions, which give
up after a while: a pattern may come from the record itself, and some take for ever.
"""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache, reduce
from operator import getitem, is_not
from typing import TYPE_CHECKING, Any, Final

from fc_connect.errors import ConfigurationError, MappingError

if TYPE_CHECKING:
    from jsonpath_rfc9535 import JSONPathEnvironment, JSONPathQuery

__all__ = ["MAX_DEPTH", "MAX_FOUND", "find", "is_singular", "singular_steps"]

MAX_FOUND: Final = 100_000
"""Values that one query may find in one record."""
MAX_DEPTH: Final = 200
"""Of what `..` searches; deeper nesting is an error, not a partial answer."""
_REGEX_SECONDS: Final = 0.5
_SHOWN = 80


def find(query: str, document: Any, *, max_found: int = MAX_FOUND) -> list[Any]:
    """Return every value that the query finds, in the order that RFC 9535 defines.

    Raises:
        ConfigurationError: the query isn't one of RFC 9535.
        MappingError: it finds too much, or the document is nested too deeply, or a pattern takes too long.
    """
    from jsonpath_rfc9535 import JSONPathError

    compiled = _compiled(query)
    found: list[Any] = []
    try:
        # The engine compares no Decimal with anything, so a filter is shown floats; what it finds is given as it is.
        shown = _with_floats(document) if "?" in query else document
        for node in compiled.finditer(shown):
            if len(found) == max_found:
                raise MappingError(f"The query {_shown(query)} finds more than {max_found:,} values.")
            found.append(node.value if shown is document else reduce(getitem, node.location, document))
    except TimeoutError as exc:
        raise MappingError(
            f"A pattern in the query {_shown(query)} takes more than {_REGEX_SECONDS:g} s."
        ) from exc
    except (JSONPathError, RecursionError) as exc:
        raise MappingError(f"The query {_shown(query)} fails on this record: {exc}") from exc
    return found


def _with_floats(value: Any) -> Any:
    """Return the value, or a copy in which every `Decimal` is a float, if there are any."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, dict):
        changed = {key: _with_floats(inner) for key, inner in value.items()}
        return changed if any(map(is_not, changed.values(), value.values())) else value
    if isinstance(value, list):
        items = list(map(_with_floats, value))
        return items if any(map(is_not, items, value)) else value
    return value


def is_singular(query: str) -> bool:
    """Say whether a query finds one value at most, by its form.

    Raises:
        ConfigurationError: it isn't a query of RFC 9535.
    """
    return _compiled(query).singular_query()


def singular_steps(query: str) -> tuple[str | int, ...] | None:
    """Return the keys and positions of a singular query; None where there is more to it than text keys.

    A position isn't plain here: RFC 9535 knows no list of one, so only keys can be told by the same steps.
    """
    from jsonpath_rfc9535.selectors import NameSelector

    compiled = _compiled(query)
    if not compiled.singular_query():
        return None
    selectors = [segment.selectors[0] for segment in compiled.segments]
    names = tuple(each.name for each in selectors if isinstance(each, NameSelector))
    # A key of digits would be a position in our dialect, where it meets a list.
    return names if len(names) == len(selectors) and not any(map(str.isdecimal, names)) else None


@lru_cache(maxsize=1024)
def _compiled(query: str) -> JSONPathQuery:
    from jsonpath_rfc9535 import JSONPathError

    try:
        return _environment().compile(query)
    except JSONPathError as exc:
        column = exc.token.index + 1 if exc.token is not None else 1
        reason = Exception.__str__(exc).rstrip(".")
        raise ConfigurationError(
            f"The path {_shown(query)} can't be used: column {column}: {reason}. "
            "A path that begins with $. or $[ is a JSONPath query as RFC 9535 defines it."
        ) from exc
    except (RecursionError, ValueError) as exc:
        raise ConfigurationError(f"The path {_shown(query)} can't be used: {exc}.") from exc


@lru_cache(maxsize=1)
def _environment() -> JSONPathEnvironment:
    import regex
    from iregexp_check import check
    from jsonpath_rfc9535 import JSONPathEnvironment
    from jsonpath_rfc9535.function_extensions import ExpressionType, FilterFunction

    class Pattern(FilterFunction):
        """`match` and `search` on the patterns of RFC 9485."""

        arg_types = [ExpressionType.VALUE, ExpressionType.VALUE]  # noqa: RUF012 (the engine's own form)
        return_type = ExpressionType.LOGICAL

        def __init__(self, *, is_whole: bool) -> None:
            self._run = regex.fullmatch if is_whole else regex.search

        def __call__(self, text: object, pattern: object) -> bool:
            if not isinstance(text, str) or not isinstance(pattern, str) or not check(pattern):
                return False
            try:
                return bool(self._run(_python_pattern(pattern), text, timeout=_REGEX_SECONDS))
            except regex.error:
                return False

    environment = JSONPathEnvironment()
    environment.max_recursion_depth = MAX_DEPTH
    environment.function_extensions["match"] = Pattern(is_whole=True)
    environment.function_extensions["search"] = Pattern(is_whole=False)
    return environment


def _python_pattern(pattern: str) -> str:
    """Return the same pattern for Python: a dot is any character but the two ends of a line."""
    found: list[str] = []
    is_escaped = in_class = False
    for character in pattern:
        if is_escaped:
            is_escaped = False
        elif character == "\\":
            is_escaped = True
        elif character == "[":
            in_class = True
        elif character == "]":
            in_class = False
        elif character == "." and not in_class:
            character = r"[^\r\n]"
        found.append(character)
    return "".join(found)


def _shown(query: str) -> str:
    return repr(query) if len(query) <= _SHOWN else repr(query[:_SHOWN]) + "…"
