"""The sync state of a workflow: its watermark and counts, in one small record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

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
