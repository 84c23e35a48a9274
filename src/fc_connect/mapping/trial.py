"""A mapping tried on records of a sample: which are rejected, and which entities the target would refuse."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fc_connect.errors import FieldProblem, MappingError
from fc_connect.mapping.entity_check import check_value
from fc_connect.mapping.fit import Finding

__all__ = ["Trial", "context_names", "try_records"]

_SHOWN = 20
_SHOWN_VALUE = 80
_CONTEXT = re.compile(r"\$context\.([A-Za-z_][A-Za-z0-9_]*)")
_INDEX = re.compile(r"\[[0-9]+\]")


@dataclass(slots=True)
class Trial:
    """What became of the records."""

    records: int = 0
    rejected: int = 0
    misfits: int = 0
    findings: list[Finding] = field(default_factory=list)

    def stats(self) -> dict[str, int]:
        """Return the counts alone."""
        return {"records": self.records, "rejected": self.rejected, "misfits": self.misfits}


def try_records(records: Iterable[Any], produce: Callable[[Any], Any], expected: Mapping[str, Any]) -> Trial:
    """Map each record and hold what comes out against types; faults of one kind are one finding.

    Args:
        produce: makes an entity of a record, or raises MappingError.
        expected: the types of what is produced: that of the entity as '', or those of a mutation's variables.
    """
    trial = Trial()
    rejects: Counter[tuple[str, str]] = Counter()
    misfits: Counter[tuple[str, str]] = Counter()
    first: dict[tuple[str, str], str] = {}
    for number, record in enumerate(records, 1):
        trial.records += 1
        try:
            produced = produce(record)
            counts, problems = misfits, _misfits(produced, expected)
            trial.misfits += bool(problems)
        except MappingError as exc:
            trial.rejected += 1
            counts, problems = rejects, list(exc.problems) or [_whole(exc)]
        for key, problem in {_kind(each): each for each in problems}.items():
            counts[key] += 1
            first.setdefault(key, f"first in record {number}: {_shown(problem.value)}")
    for key, count in rejects.most_common(_SHOWN):
        # Some bad records are the file's fault; where every one is rejected, it is the mapping's.
        severity: Any = "error" if trial.rejected == trial.records else "warning"
        trial.findings.append(_finding(severity, "SAMPLE_REJECTED", key, count, trial.records, first[key]))
    for key, count in misfits.most_common(_SHOWN):
        trial.findings.append(_finding("error", "SAMPLE_MISFIT", key, count, trial.records, first[key]))
    return trial


def context_names(content: Any) -> set[str]:
    """Return the names that a mapping reads of its context, wherever they are written."""
    found: set[str] = set()
    pending = [content]
    while pending:
        value = pending.pop()
        if isinstance(value, Mapping):
            pending += value.values()
        elif isinstance(value, list):
            pending += value
        elif isinstance(value, str):
            found.update(_CONTEXT.findall(value))
    return found


def _misfits(produced: Any, expected: Mapping[str, Any]) -> list[FieldProblem]:
    if "" in expected:
        return check_value(expected[""], produced)
    found = []
    for name, wanted in expected.items():
        prefix = name if len(expected) > 1 else ""
        found += check_value(wanted, produced.get(name), path=prefix)
    return found


def _kind(problem: FieldProblem) -> tuple[str, str]:
    return _INDEX.sub("[]", problem.field), problem.reason


def _whole(exc: MappingError) -> FieldProblem:
    return FieldProblem(field="", source=None, value=None, reason=str(exc))


def _finding(severity: Any, code: str, key: tuple[str, str], count: int, records: int, first: str) -> Finding:
    path, reason = key
    what = "rejected" if code == "SAMPLE_REJECTED" else "would be refused"
    said = f"{count:,} of {records:,} records of the sample {what}: {reason}; {first}"
    return Finding(severity=severity, code=code, path=path, message=said)


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except (ValueError, RecursionError):
        return f"a {type(value).__name__} that can't be shown"
    return text if len(text) <= _SHOWN_VALUE else text[: _SHOWN_VALUE - 1] + "…"
