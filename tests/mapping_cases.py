"""The recorded cases of the TypeScript SDK: where they lie, what their markers mean, when two values are one."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fc_connect.mapping.javascript import INVALID_DATE
from fc_connect.mapping.values import ABSENT

__all__ = ["CASES", "cases_of", "decoded", "encoded", "needs_cases", "same"]

CASES = Path(__file__).parents[2] / "shared" / "cases" / "mapping_cases_given.json"

needs_cases = pytest.mark.skipif(not CASES.exists(), reason="the shared cases aren't here")

_MARKED: dict[str, Any] = {
    "undefined": ABSENT,
    "NaN": math.nan,
    "Infinity": math.inf,
    "-Infinity": -math.inf,
    "-0": -0.0,
    "invalid-date": INVALID_DATE,
}


def cases_of(*kinds: str) -> list[dict[str, Any]]:
    """Return the cases of these kinds as they are in the file; none where it is absent."""
    if not CASES.exists():
        return []
    return [case for case in json.loads(CASES.read_text(encoding="utf-8")) if case["kind"] in kinds]


def decoded(value: Any) -> Any:
    """Return the Python value that stands for a JavaScript one: `ABSENT` for undefined, a datetime for a Date."""
    if isinstance(value, list):
        return [decoded(item) for item in value]
    if not isinstance(value, dict):
        return value
    marker = value.get("$js")
    if marker is None:
        return {name: decoded(item) for name, item in value.items()}
    if marker == "date":
        return datetime.fromisoformat(value["iso"])
    if marker == "boxed":
        return decoded(value["value"])
    return (lambda *_: ABSENT) if marker == "function" else _MARKED[marker]


def encoded(value: Any) -> Any:
    """Return a value as the file would have it; the reverse of `decoded`."""
    if isinstance(value, dict):
        return {name: encoded(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [encoded(item) for item in value]
    if value is ABSENT:
        return {"$js": "undefined"}
    if value is INVALID_DATE:
        return {"$js": "invalid-date"}
    if isinstance(value, datetime):
        text = value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return {"$js": "date", "iso": text}
    if isinstance(value, float | Decimal):
        return _encoded_number(float(value))
    return {"$js": "function"} if callable(value) else value


def _encoded_number(number: float) -> Any:
    if number != number:
        return {"$js": "NaN"}
    if math.isinf(number):
        return {"$js": "Infinity" if number > 0 else "-Infinity"}
    if number == 0 and math.copysign(1, number) < 0:
        return {"$js": "-0"}
    return number


def same(ours: Any, theirs: Any) -> bool:
    """Say whether our value is the one that JavaScript has in the file, `theirs`, with its markers.

    5 and 5.0 are one number there; 0 and -0 aren't, nor are true and 1.
    """
    return _same(encoded(ours), theirs)


def _same(ours: Any, theirs: Any) -> bool:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return ours.keys() == theirs.keys() and all(_same(ours[name], theirs[name]) for name in ours)
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(_same, ours, theirs))
    if isinstance(ours, bool) or isinstance(theirs, bool):
        return ours is theirs
    if isinstance(ours, float) and isinstance(theirs, int):
        return ours == float(theirs)  # 2**60 is written 1152921504606847000 there
    return bool(ours == theirs)
