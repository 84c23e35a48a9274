"""Asks the SDK and ourselves the same, and says where the answers differ."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from tests.mapping_cases import same
from tests.peer.answers import answer
from tests.peer.known import known_difference
from tests.peer.mapping_cases import KINDS

__all__ = ["Difference", "compare", "outputs_of"]

_ENGINE_ERRORS = {"TypeError", "RangeError", "SyntaxError", "ReferenceError"}
_ENGINE_WORDING = re.compile(
    r"Cannot |is not a function|is not iterable|undefined$|undefined \(|Invalid array l|not an object|Unexpected"
    r"|Invalid time|object null|at position|Failed to parse XML|not valid JSON|Unterminated"
)
_FIELD = re.compile(r"(Failed to map field '[^']*': )?(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A case whose output isn't the SDK's, and why it needn't be, where that is known."""

    case: dict[str, Any]
    theirs: Any
    ours: Any
    reason: str | None


def compare(kind: str, *, runs: int, seed: int) -> list[Difference]:
    """Return what differs among `runs` random cases of a kind; the same ones for the same seed."""
    random = Random(f"{kind} {seed}")
    cases = [KINDS[kind](random) for _ in range(runs)]
    found = []
    for case, theirs in zip(cases, outputs_of(cases), strict=True):
        ours = answer(case)
        if not agree(ours, theirs):
            reason = known_difference(case, ours, theirs)
            found.append(Difference(case=case, theirs=theirs, ours=ours, reason=reason))
    return found


def outputs_of(cases: Sequence[dict[str, Any]]) -> list[Any]:
    """Return the SDK's outputs for cases."""
    told = subprocess.run(
        ["node", str(Path(__file__).with_name("peer.mjs"))],
        input=json.dumps(cases).encode(),
        capture_output=True,
        check=True,
        timeout=300,
        env={**os.environ, "TZ": "UTC", "FACTS_ENV_VAR": "from-env"},
    ).stdout
    outputs: list[Any] = json.loads(told)
    return outputs


def agree(ours: Any, theirs: Any) -> bool:
    """Say whether two outputs are one, but for the name of an error class and what the engine words."""
    if isinstance(theirs, dict) and "$error" in theirs:
        if not isinstance(ours, dict) or "$error" not in ours:
            return False
        is_worded = theirs["$error"] in _ENGINE_ERRORS or _ENGINE_WORDING.search(theirs["message"])
        return ours["message"] == theirs["message"] or bool(is_worded)
    if same(ours, theirs):
        return True
    if isinstance(theirs, dict) and theirs.get("context") is not None and theirs.get("success") is False:
        # The errors of nodes have stacks and lines of details in them.
        return isinstance(ours, dict) and same({**ours, "errors": 0}, {**theirs, "errors": 0})
    if not isinstance(ours, dict) or not isinstance(theirs, dict) or "errors" not in ours:
        return False
    if "errors" not in theirs or not _worded_alike(ours["errors"], theirs["errors"]):
        return False
    return same({**ours, "errors": 0}, {**theirs, "errors": 0})


def _worded_alike(ours: list[Any], theirs: list[Any]) -> bool:
    return len(ours) == len(theirs) and all(
        one == other or (_ENGINE_WORDING.search(str(other)) is not None and _field(one) == _field(other))
        for one, other in zip(ours, theirs, strict=True)
    )


def _field(message: Any) -> str | None:
    match = _FIELD.match(str(message))
    return match[1] if match else None
