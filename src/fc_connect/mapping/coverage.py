"""How much of a type a mapping fills, in figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fc_connect.mapping.fit import FieldState

__all__ = ["Coverage", "coverage_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """What is mapped and what isn't; required and optional fields apart."""

    file: str
    operation: str
    direction: str
    fields: tuple[FieldState, ...]

    @property
    def required(self) -> list[FieldState]:
        return [each for each in self.fields if each.required]

    @property
    def optional(self) -> list[FieldState]:
        return [each for each in self.fields if not each.required]

    @property
    def percent(self) -> float:
        return _percent(self.fields)

    @property
    def required_percent(self) -> float:
        return _percent(self.required)

    @property
    def optional_percent(self) -> float:
        return _percent(self.optional)

    def stats(self) -> dict[str, int]:
        """Return the counts alone."""
        return {
            "totalFields": len(self.fields),
            "requiredFields": len(self.required),
            "optionalFields": len(self.optional),
            "mappedFields": sum(each.mapped for each in self.fields),
            "mappedRequired": sum(each.mapped for each in self.required),
            "mappedOptional": sum(each.mapped for each in self.optional),
            "missingRequired": sum(not each.mapped for each in self.required),
            "missingOptional": sum(not each.mapped for each in self.optional),
        }

    def to_dict(self) -> dict[str, Any]:
        """Return it for JSON; percentages are rounded down, so that 100 means all."""
        return {
            "file": self.file,
            "operation": self.operation,
            "direction": self.direction,
            **self.stats(),
            "missingRequired": [each.to_dict() for each in self.required if not each.mapped],
            "missingOptional": [each.to_dict() for each in self.optional if not each.mapped],
            "coveragePercent": int(self.percent),
            "requiredCoveragePercent": int(self.required_percent),
            "optionalCoveragePercent": int(self.optional_percent),
        }


def coverage_of(
    fields: Sequence[FieldState], *, file: str = "", operation: str = "", direction: str = "ingest"
) -> Coverage:
    """Count what `check_fit` found."""
    return Coverage(file=file, operation=operation, direction=direction, fields=tuple(fields))


def _percent(fields: Sequence[FieldState]) -> float:
    """Return how many of the fields are mapped; of no fields, all are."""
    return 100.0 if not fields else 100 * sum(each.mapped for each in fields) / len(fields)
