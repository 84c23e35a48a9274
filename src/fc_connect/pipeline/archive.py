"""Where finished files go: a folder by outcome and date, with a note of what became of each, for as long as is wished.

The ledger says which files are still to be put away. Each step may be done again: what a crash cut short, the next run
finishes.
"""

from __future__ import annotations

import json
import logging
import re
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

from fc_connect.errors import FileChangedError, SourceError
from fc_connect.faults import point
from fc_connect.pipeline.config import AfterConfig
from fc_connect.pipeline.config.checks import PLACEHOLDERS
from fc_connect.sources import Source, SourceFile
from fc_connect.state import FileRecord, FileStatus

__all__ = ["Archive", "marker_of"]

logger = logging.getLogger(__name__)

_SIDECAR = ".json"
_MAX_SIDECAR = 1 << 20  # bytes: a larger file isn't one of ours


def marker_of(template: str, path: str) -> str:
    """Return the path of the marker that says that the file at `path` is whole."""
    file = PurePosixPath(path)
    return str(file.with_name(template.replace("{name}", file.name).replace("{stem}", file.stem)))


class Archive:
    """The folders of one pipeline's finished files. Safe to share between threads."""

    def __init__(self, config: AfterConfig, *, pipeline: str, marker: str | None) -> None:
        self._config = config
        self._pipeline = pipeline
        self._marker = marker
        self._own = [_matching(each) for each in (config.success, config.failure) if each is not None]

    def wants(self, status: FileStatus) -> bool:
        """Say whether files that ended so are put away."""
        return status.is_terminal and self._folder(status) is not None

    def owns(self, path: str) -> bool:
        """Say whether a path lies in one of the folders."""
        return any(own.match(path) for own in self._own)

    def put_away(self, source: Source, record: FileRecord) -> str | None:
        """Move a finished file to its folder, tell beside it what became of it, and return its new path.

        None where it isn't there any more in the version that was finished.

        Raises:
            SourceError: the source can't do it now; doing it again later finishes it.
        """
        folder = self._folder(record.status)
        ended = record.finished_at
        if folder is None or ended is None:
            return None
        marker = None if self._marker is None else source.stat(marker_of(self._marker, record.file_name))
        point("file.move")
        try:
            path = source.move(_listed(record), f"{_dated(folder, ended)}/{record.file_name}")
        except FileChangedError as exc:
            logger.warning("%s: is %s, and not moved to %s: %s", record.file_name, record.status, folder, exc)
            return None
        point("file.moved")
        if self._config.sidecar:
            note = json.dumps(self._sidecar(source, record, path), ensure_ascii=False, indent=2) + "\n"
            source.write(path + _SIDECAR, note.encode(errors="backslashreplace"), overwrite=True)
            point("file.told")
        if marker is not None and source.stat(marker.path) == marker:
            source.delete(marker.path)
        return path

    def remove_old(self, source: Source, *, now: datetime) -> int:
        """Remove files that have been kept for long enough, with their sidecars; return how many.

        Only what has a sidecar of this pipeline goes: others may use the folders too.
        """
        if self._config.keep is None:
            return 0
        removed = 0
        for folder in sorted({each for each in (self._config.success, self._config.failure) if each}):
            root = folder.partition("{")[0].rpartition("/")[0] if "{" in folder else folder.strip("/")
            for note in source.list(f"{root}/**/*{_SIDECAR}" if root else f"**/*{_SIDECAR}"):
                if not self.owns(note.path) or note.size > _MAX_SIDECAR:
                    continue
                # The sidecar is written when the file is put away; the file may be as old as the hills.
                if now - note.last_modified > self._config.keep and self._is_own(source, note):
                    source.delete(note.path.removesuffix(_SIDECAR))
                    source.delete(note.path)
                    removed += 1
        return removed

    def _folder(self, status: FileStatus) -> str | None:
        return self._config.success if status is FileStatus.COMPLETED else self._config.failure

    def _sidecar(self, source: Source, record: FileRecord, path: str) -> dict[str, Any]:
        return {
            "pipeline": self._pipeline,
            "source": source.url,
            "file": record.file_name,
            "archived_as": path,
            "status": record.status,
            "error": record.error,
            "size": record.file_size,
            "last_modified": _written(record.last_modified),
            "sha256": record.content_digest,
            "md5": record.checksum_md5,
            "started_at": _written(record.started_at),
            "finished_at": _written(record.finished_at),
            "records_read": record.records_read,
            "entities_sent": record.record_count,
            "rejected": record.rejected_count,
            "duplicates": record.duplicate_count,
            "rejects_file": record.rejects_file,
            "job": record.job_id,
            "batch_count": record.batch_count,
            "batches": list(record.batch_ids),
        }

    def _is_own(self, source: Source, note: SourceFile) -> bool:
        try:
            with source.open(note) as stream:
                told = json.loads(stream.read())
        except (SourceError, ValueError, RecursionError) as exc:
            logger.warning("%s: isn't a sidecar that can be read; it stays: %s", note.path, exc)
            return False
        return (
            isinstance(told, dict)
            and told.get("pipeline") == self._pipeline
            and told.get("archived_as") == note.path.removesuffix(_SIDECAR)
        )


def _listed(record: FileRecord) -> SourceFile:
    return SourceFile(
        path=record.file_name,
        size=record.file_size,
        last_modified=record.last_modified,
        etag=record.etag,
        version_id=record.version_id,
    )


def _dated(folder: str, at: datetime) -> str:
    for name, code in PLACEHOLDERS.items():
        folder = folder.replace(name, at.astimezone(UTC).strftime(code))
    return folder.strip("/")


def _matching(folder: str) -> re.Pattern[str]:
    parts = re.split("|".join(map(re.escape, PLACEHOLDERS)), folder.strip("/"))
    return re.compile(r"\d+".join(map(re.escape, parts)) + "/")


def _written(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
