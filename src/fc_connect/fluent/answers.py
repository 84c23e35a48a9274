"""What Fluent answers, as values: lenient in what is read, one form in what is given on.

Ids come as `id` or as `jobId` / `batchId`, as numbers or as text; here they are text. `raw` is the answer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = [
    "BatchReceipt",
    "BatchResult",
    "BatchStatus",
    "BatchSummary",
    "Job",
    "JobResults",
    "JobStatus",
]

_DONE = {"COMPLETE", "COMPLETED", "COMPLETED_WITH_ERRORS", "COMPLETE_WITH_ERRORS", "PARTIAL"}
_FAILED = {"FAILED", "ERROR", "EXPIRED"}
_CLOSED = {"CLOSED", "EXPIRED"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job that was created."""

    id: str
    name: str
    retailer_id: str
    raw: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchReceipt:
    """A batch that was accepted; whether its entities are applied is told later."""

    id: str
    job_id: str
    count: int
    """Entities sent."""
    raw: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSummary:
    """One batch in the list of its job."""

    id: str
    status: str
    raw: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStatus:
    """A job as it is now."""

    id: str
    status: str
    batches: tuple[BatchSummary, ...] | None
    """Every batch of the job; None where Fluent doesn't list them, or not all of them."""
    raw: Mapping[str, Any]
    """The first page, where there were more."""

    @property
    def is_closed(self) -> bool:
        """Whether the job takes no more batches."""
        return spelled(self.status) in _CLOSED


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchResult:
    """What became of one entity."""

    entity_id: str | None
    entity_ref: str | None
    response_code: int | None
    message: str | None
    raw: Mapping[str, Any]

    @property
    def is_accepted(self) -> bool:
        """Whether it was applied; a result without a code counts as not."""
        return self.response_code is not None and 200 <= self.response_code < 300


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchStatus:
    """A batch as it is now."""

    id: str
    job_id: str
    status: str
    results: tuple[BatchResult, ...]
    is_complete_list: bool
    """Whether `results` holds every result there is; False while the batch is under way."""
    raw: Mapping[str, Any]
    """The first page, where there were more."""

    @property
    def is_done(self) -> bool:
        """Whether Fluent has finished with the batch, well or not."""
        return is_done(self.status)

    @property
    def is_failed(self) -> bool:
        """Whether the batch failed as a whole."""
        return spelled(self.status) in _FAILED

    @property
    def rejected(self) -> tuple[BatchResult, ...]:
        """The results of entities that weren't applied."""
        return tuple(result for result in self.results if not result.is_accepted)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobResults:
    """The batches of a job in figures, as far as Fluent tells them."""

    id: str
    status: str
    total_batches: int | None
    successful_batches: int | None
    failed_batches: int | None
    batches: tuple[BatchSummary, ...]
    raw: Mapping[str, Any]


def spelled(status: str) -> str:
    """Return a status in one spelling: `Completed with errors` is `COMPLETED_WITH_ERRORS`."""
    return re.sub(r"[^A-Z0-9]+", "_", status.upper()).strip("_")


def is_done(status: str) -> bool:
    """Say whether a batch with `status` is finished, in any of the spellings that are documented or seen."""
    return spelled(status) in _DONE | _FAILED


def id_of(content: Mapping[str, Any], *names: str) -> str | None:
    """Return the first of `names` that holds an id, as text."""
    for name in names:
        value = content.get(name)
        if isinstance(value, bool) or not isinstance(value, str | int):
            continue
        if text := str(value).strip():
            return text
    return None


def integer_of(content: Mapping[str, Any], name: str) -> int | None:
    """Return a whole number, also where it is written as text."""
    value = content.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and re.fullmatch(r"\s*-?[0-9]{1,18}\s*", value):
        return int(value)
    return None


def text_of(content: Mapping[str, Any], name: str) -> str | None:
    """Return text; a number as text."""
    value = content.get(name)
    if value is None or isinstance(value, dict | list | bool):
        return None
    return str(value)


def objects_of(content: Mapping[str, Any], name: str) -> list[dict[str, Any]] | None:
    """Return a list of objects; None where there is no such list."""
    value = content.get(name)
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        return None
    return value


def read_result(content: Mapping[str, Any]) -> BatchResult:
    """Read one result of a batch."""
    return BatchResult(
        entity_id=id_of(content, "entityId"),
        entity_ref=id_of(content, "entityRef"),
        response_code=integer_of(content, "responseCode"),
        message=text_of(content, "message"),
        raw=content,
    )


def read_summaries(items: list[dict[str, Any]]) -> tuple[BatchSummary, ...] | None:
    """Read a job's list of batches; None where one of them has no id, so that it can't be relied on."""
    summaries = []
    for item in items:
        batch_id = id_of(item, "batchId", "id")
        if batch_id is None:
            return None
        summaries.append(BatchSummary(id=batch_id, status=text_of(item, "status") or "", raw=item))
    return tuple(summaries)
