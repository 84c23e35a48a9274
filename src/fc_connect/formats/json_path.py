"""Where the records of a JSON document are: `$.data.items[*]`, the part of JSONPath that can be read as a stream."""

from __future__ import annotations

import re
from typing import Final, Literal

from fc_connect.errors import ConfigurationError

__all__ = ["ALL", "Step", "record_path", "written"]

Step = str | Literal[0]
"""A key, or `ALL`."""

ALL: Final = 0
"""Every element of an array: `[*]`."""

_STEP = re.compile(r"""\.([^\s.\[\]'"*?@$,:()]+)|\['([^'\\]+)'\]|\["([^"\\]+)"\]|(\[\*\])""")


def record_path(text: str) -> tuple[Step, ...]:
    """Return the steps of a path.

    Raises:
        ConfigurationError: it isn't one, or goes other ways than by keys and by all elements of an array.
    """
    steps: list[Step] = []
    at = 1
    while text.startswith("$") and at < len(text) and (match := _STEP.match(text, at)) is not None:
        steps.append(ALL if match[4] else match[1] or match[2] or match[3])
        at = match.end()
    if not text.startswith("$") or at != len(text):
        raise ConfigurationError(
            f"The path {text!r} doesn't say where the records are (from column {at}). Possible are $ (the whole "
            "document is one record), keys (.items or ['line items']) and [*] for each element of an array, such as "
            "$[*], $.data.items[*] or $.data.edges[*].node"
        )
    return tuple(steps)


def written(steps: tuple[Step, ...]) -> str:
    """Return the path of these steps, as people write it."""
    parts = [
        "[*]" if step == ALL else f".{step}" if _STEP.fullmatch(f".{step}") else f"[{step!r}]"
        for step in steps
    ]
    return "$" + "".join(parts)
