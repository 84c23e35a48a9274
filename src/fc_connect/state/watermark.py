"""The sync state of a workflow: its watermark and counts, in one small record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from fc_connect.state.files import FileRecord

__all__ = ["SyncState"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncState:
    """How far a workflow has got."""

    is_initialized: bool = False
    """Whether any file was ever completed."""
    last_processed_timestamp: datetime | None = None
    """The watermark, with `last_processed_file`: the greatest (last modified, path) completed. Never moves back."""
    last_processed_file: str | None = None
    last_processed_count: int = 0
    """Entities of the files that were marked last."""
    last_sync_result: str | None = None
    """`success` or `failed`: how the latest run ended."""
    last_sync_at: datetime | None = None
    files_completed: int = 0
    records_completed: int = 0
    pruned_before: datetime | None = None
    """Files older than this count as handled: their records were pruned."""

    @property
    def watermark(self) -> tuple[datetime, str] | None:
        if self.last_processed_timestamp is None:
            return None
        return self.last_processed_timestamp, self.last_processed_file or ""

    @classmethod
    def together(cls, parts: Sequence[SyncState]) -> SyncState:
        """Return what several parts of one state say together; none of them counts a file that another counts."""
        marked = [each for each in parts if each.watermark is not None]
        if not marked:
            return max(parts, key=lambda each: each.last_sync_at is not None, default=cls())
        farthest = max(marked, key=lambda each: each.watermark or ())
        ends = [each for each in parts if each.last_sync_at is not None]
        results = [each for each in ends if each.last_sync_result is not None]
        return cls(
            is_initialized=True,
            last_processed_timestamp=farthest.last_processed_timestamp,
            last_processed_file=farthest.last_processed_file,
            last_processed_count=max(marked, key=_ended).last_processed_count,
            last_sync_result=max(results, key=_ended).last_sync_result if results else None,
            last_sync_at=max(map(_ended, ends)) if ends else None,
            files_completed=sum(each.files_completed for each in parts),
            records_completed=sum(each.records_completed for each in parts),
            pruned_before=max((each.pruned_before for each in parts if each.pruned_before), default=None),
        )

    def after(self, completed: Sequence[FileRecord], *, at: datetime) -> SyncState:
        """Return the state once `completed` are marked; the watermark is the maximum of old and new."""
        if not completed:
            return self
        top = max(each.position for each in completed)
        if self.watermark is not None:
            top = max(top, self.watermark)
        count = sum(each.record_count for each in completed)
        return replace(
            self,
            is_initialized=True,
            last_processed_timestamp=top[0],
            last_processed_file=top[1],
            last_processed_count=count,
            last_sync_at=at,
            files_completed=self.files_completed + len(completed),
            records_completed=self.records_completed + count,
        )


def _ended(state: SyncState) -> datetime:
    return state.last_sync_at or datetime.min.replace(tzinfo=UTC)
