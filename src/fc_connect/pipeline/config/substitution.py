"""Puts values of the environment in place of `${VAR}` and `${VAR:-default}`."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import date, time
from typing import Any

from fc_connect.pipeline.config.document import Document, Location

__all__ = ["substitute"]

# `$$` before a brace stands for one `$`; whatever else begins with `${` must be a reference.
_REFERENCE = re.compile(
    r"\$(?P<escaped>\$\{)|\$\{(?:(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<default>:-[^}]*)?\}|(?P<wrong>))"
)


def substitute(document: Document, environ: Mapping[str, str]) -> set[Location]:
    """Replace every reference in `document.value`, and return where there was one.

    Faults are added to the document's. A value is inserted as text and not read again: nothing in it can become
    a key, a list or another reference.
    """
    found: set[Location] = set()
    document.value = _substituted(document.value, (), document, environ, found)
    return found


def _substituted(
    value: Any, at: Location, document: Document, environ: Mapping[str, str], found: set[Location]
) -> Any:
    if isinstance(value, dict):
        return {k: _substituted(v, (*at, k), document, environ, found) for k, v in value.items()}
    if isinstance(value, list):
        return [_substituted(v, (*at, i), document, environ, found) for i, v in enumerate(value)]
    if isinstance(value, date | time):  # TOML has them; a mapping or a setting has no use for one
        document.problems.append((at, f"expected text, got the date or time {value}: write it in quotes"))
        return None
    if isinstance(value, float) and not math.isfinite(value):
        document.problems.append((at, f"expected a number, got {value}"))
        return None
    if not isinstance(value, str) or "${" not in value:
        return value

    def replaced(match: re.Match[str]) -> str:
        if match["escaped"]:
            return "${"
        found.add(at)
        name, default = match["name"], match["default"]
        if name is None:
            text = "`${` must begin ${NAME} or ${NAME:-default}; write $${ for the two characters"
        elif environ.get(name) or (default is None and name in environ):
            return environ[name]
        elif default is not None:
            return default.removeprefix(":-")
        else:
            text = f"the environment has no {name}: set it, or write ${{{name}:-default}}"
        if (at, text) not in document.problems:
            document.problems.append((at, text))
        return ""

    return _REFERENCE.sub(replaced, value)
