"""Lists a source and asks the ledger: which files there are to do, in which order."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice

from fc_connect.faults import point
from fc_connect.pipeline.config import PipelineConfig
from fc_connect.pipeline.result import FileOutcome, FileResult
from fc_connect.sources import Source, SourceFile
from fc_connect.state import FileRecord, FileStatus, StateService

__all__ = ["Candidate", "Listing", "discover"]

_PAGE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A file version that isn't done, as it was listed."""

    file: SourceFile
    record: FileRecord
    """From the ledger, or a new one."""


@dataclass(slots=True, kw_only=True)
class Listing:
    """What a source holds, seen through the ledger."""

    candidates: list[Candidate] = field(default_factory=list)
    """In order of (last modified, path)."""
    done: list[Candidate] = field(default_factory=list)
    """Finished, but still where they were found although the pipeline moves finished files."""
    skipped: list[FileResult] = field(default_factory=list)
    completed_before: int = 0


def discover(config: PipelineConfig, source: Source, state: StateService, *, now: datetime) -> Listing:
    """List the source. Files that the ledger has as finished are only counted: memory holds what is to do.

    Raises:
        SourceError: the source isn't there, or may not be read.
        KVError: the ledger can't be asked, so nothing may be sent.
    """
    listing = Listing()
    point("source.list")
    pruned_before = state.get_sync_state().pruned_before
    files = _wanted(config, source, listing, now=now)
    while page := list(islice(files, _PAGE)):
        records = [_identified(config, source, file) for file in page]
        known = state.files.get_many([record.file_id for record in records])
        for file, new, record in zip(page, records, known, strict=True):
            candidate = Candidate(file=file, record=record or new)
            if record is None and pruned_before is not None and file.last_modified < pruned_before:
                listing.completed_before += 1
            elif record is None or not record.status.is_terminal:
                listing.candidates.append(candidate)
            else:
                _note_finished(listing, candidate, moves=_folder_for(config, record.status) is not None)
    listing.candidates.sort(key=lambda each: each.record.position)
    return listing


def _wanted(
    config: PipelineConfig, source: Source, listing: Listing, *, now: datetime
) -> Iterator[SourceFile]:
    own = [_as_folder(each) for each in (config.after.success, config.after.failure) if each is not None]
    for file in source.list(config.source.pattern):
        if any(file.path.startswith(folder) for folder in own):
            continue
        age = now - file.last_modified
        if config.source.min_age > timedelta(0) and age < config.source.min_age:
            reason = (
                f"is {max(age, timedelta(0)).total_seconds():.0f} s old, `min_age` is {config.source.min_age}"
            )
            listing.skipped.append(FileResult(path=file.path, outcome=FileOutcome.SKIPPED, reason=reason))
            continue
        yield file


def _note_finished(listing: Listing, candidate: Candidate, *, moves: bool) -> None:
    status, path = candidate.record.status, candidate.file.path
    if status is FileStatus.QUARANTINED:
        reason = f"quarantined: {candidate.record.error} Mend it, then: fc-connect state retry {path}"
        listing.skipped.append(FileResult(path=path, outcome=FileOutcome.SKIPPED, reason=reason))
    else:
        listing.completed_before += 1
    if moves:
        listing.done.append(candidate)


def _folder_for(config: PipelineConfig, status: FileStatus) -> str | None:
    return config.after.success if status is FileStatus.COMPLETED else config.after.failure


def _identified(config: PipelineConfig, source: Source, file: SourceFile) -> FileRecord:
    return FileRecord(
        source=source.url,
        file_name=file.path,
        fingerprint=_fingerprint(config, source, file),
        last_modified=file.last_modified,
        file_size=file.size,
        etag=file.etag,
        version_id=file.version_id,
    )


def _fingerprint(config: PipelineConfig, source: Source, file: SourceFile) -> str:
    policy = config.source.fingerprint
    if policy == "name":
        return "name"
    if policy == "sha256":
        digest = hashlib.sha256()
        with source.open(file) as stream:
            while data := stream.read(1 << 18):
                digest.update(data)
        return f"sha256:{digest.hexdigest()}"
    if policy in {"auto", "etag"} and (file.version_id or file.etag):
        return f"version:{file.version_id}" if file.version_id else f"etag:{file.etag}"
    return f"mtime:{file.size}:{file.last_modified.isoformat()}"


def _as_folder(path: str) -> str:
    return path.strip("/").removeprefix("./") + "/"
