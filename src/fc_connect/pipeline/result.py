"""What a run came to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum

__all__ = ["FileOutcome", "FileResult", "RunResult"]


class FileOutcome(StrEnum):
    """What a run did with one file."""

    COMPLETED = "completed"
    """Delivered whole by this run, or what was missing of it."""
    FAILED = "failed"
    QUARANTINED = "quarantined"
    """Failed, and not tried again until a person says so."""
    SKIPPED = "skipped"
    """Left out: `reason` says why."""
    HELD = "held"
    """Another worker has it."""
    STOPPED = "stopped"
    """Cut short; the next run carries on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileResult:
    """One file in one run."""

    path: str
    outcome: FileOutcome
    reason: str | None = None
    """Why it was skipped, held or failed."""
    records_read: int = 0
    records_sent: int = 0
    """Entities in batches that this run sent."""
    records_rejected: int = 0
    duplicates: int = 0
    batches_sent: int = 0
    """By this run: those of an earlier one don't count."""
    rejects_file: str | None = None
    refused: int = 0
    """Entities that Fluent took and then refused, among `records_rejected`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """One run over a source. `success` means that nothing failed, not that there was something to do."""

    success: bool
    files_processed: int
    files_skipped: int
    errors: tuple[str, ...]
    files: tuple[FileResult, ...] = ()
    """What became of every file that isn't long completed."""
    files_completed_before: int = 0
    """Of `files_skipped`: those that an earlier run, or another worker, had completed."""
    records_read: int = 0
    records_sent: int = 0
    records_rejected: int = 0
    batches_sent: int = 0
    duration: timedelta = timedelta(0)
    stopped: bool = False
    """Whether the run was told to stop before it was through."""

    @classmethod
    def of(
        cls,
        files: Sequence[FileResult],
        *,
        completed_before: int = 0,
        errors: Sequence[str] = (),
        duration: timedelta = timedelta(0),
        stopped: bool = False,
    ) -> RunResult:
        """Add up the files of a run; `errors` are those that belong to no file."""
        failed = [each for each in files if each.outcome in {FileOutcome.FAILED, FileOutcome.QUARANTINED}]
        all_errors = (*errors, *(each.reason or f"{each.path} failed" for each in failed))
        skipped = sum(each.outcome in {FileOutcome.SKIPPED, FileOutcome.HELD} for each in files)
        return cls(
            success=not all_errors and not stopped,
            files_processed=sum(each.outcome is FileOutcome.COMPLETED for each in files),
            files_skipped=skipped + completed_before,
            errors=all_errors,
            files=tuple(files),
            files_completed_before=completed_before,
            records_read=sum(each.records_read for each in files),
            records_sent=sum(each.records_sent for each in files),
            records_rejected=sum(each.records_rejected for each in files),
            batches_sent=sum(each.batches_sent for each in files),
            duration=duration,
            stopped=stopped,
        )

    @classmethod
    def merged(cls, results: Sequence[RunResult], *, duration: timedelta) -> RunResult:
        """Join the results of workers that ran side by side: each file counts once, as the one that did most saw it."""
        best: dict[str, FileResult] = {}
        for each in (file for result in results for file in result.files):
            known = best.get(each.path)
            if known is None or _RANK[each.outcome] < _RANK[known.outcome]:
                best[each.path] = each
            elif each.outcome is known.outcome and each.outcome is FileOutcome.COMPLETED:
                best[each.path] = replace(
                    known,
                    records_sent=known.records_sent + each.records_sent,
                    batches_sent=known.batches_sent + each.batches_sent,
                )
        own = {error for result in results for error in result.errors}
        of_files = {each.reason for each in best.values() if each.reason}
        listed = max((r.files_completed_before + len(r.files) for r in results), default=0)
        return cls.of(
            sorted(best.values(), key=lambda each: each.path),
            completed_before=max(0, listed - len(best)),
            errors=sorted(own - of_files),
            duration=duration,
            stopped=any(result.stopped for result in results),
        )


_RANK = {
    FileOutcome.COMPLETED: 0,
    FileOutcome.QUARANTINED: 1,
    FileOutcome.FAILED: 2,
    FileOutcome.STOPPED: 3,
    FileOutcome.HELD: 4,
    FileOutcome.SKIPPED: 5,
}
