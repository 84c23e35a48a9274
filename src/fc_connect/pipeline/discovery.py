"""Lists a source and asks the ledger: which files there are to do, in which order."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice

from fc_connect.clock import Clock
from fc_connect.faults import point
from fc_connect.pipeline.archive import Archive, marker_of
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
    done: list[str] = field(default_factory=list)
    """Ids of files that are finished, but still where they were found although the pipeline puts them away."""
    skipped: list[FileResult] = field(default_factory=list)
    completed_before: int = 0


def discover(
    config: PipelineConfig,
    source: Source,
    state: StateService,
    archive: Archive,
    *,
    clock: Clock,
    stop: threading.Event,
) -> Listing:
    """List the source. Files that the ledger has as finished are only counted: memory holds what is to do.

    Raises:
        SourceError: the source isn't there, or may not be read.
        KVError: the ledger can't be asked, so nothing may be sent.
    """
    listing = Listing()
    point("source.list")
    pruned_before = state.get_sync_state().pruned_before
    files = _wanted(config, source, archive, listing, now=clock.now())
    while page := list(islice(files, _PAGE)):
        records = [_identified(config, source, file) for file in page]
        known = state.files.get_many([record.file_id for record in records])
        for file, new, record in zip(page, records, known, strict=True):
            candidate = Candidate(file=file, record=record or new)
            if record is None and pruned_before is not None and file.last_modified < pruned_before:
                listing.completed_before += 1
            elif record is not None and record.status.is_terminal:
                _note_finished(listing, candidate, moves=archive.wants(record.status))
            elif config.source.marker is None or _is_marked(config.source.marker, source, file, listing):
                listing.candidates.append(candidate)
    if listing.candidates and config.source.settle:
        clock.wait(stop, config.source.settle)
        _drop_unsettled(config, source, listing)
    listing.candidates.sort(key=lambda each: each.record.position)
    return listing


def _wanted(
    config: PipelineConfig, source: Source, archive: Archive, listing: Listing, *, now: datetime
) -> Iterator[SourceFile]:
    marker = config.source.marker
    ending = None if marker is None else marker.rpartition("}")[2]
    for file in source.list(config.source.pattern):
        if archive.owns(file.path) or (ending and file.path.endswith(ending)):
            continue
        age = now - file.last_modified
        if config.source.min_age > timedelta(0) and age < config.source.min_age:
            old = max(age, timedelta(0)).total_seconds()
            _skip(listing, file, f"is {old:.0f} s old, `min_age` is {config.source.min_age}")
            continue
        yield file


def _is_marked(template: str, source: Source, file: SourceFile, listing: Listing) -> bool:
    """Say whether the file's marker is there, and isn't one that an earlier version has left."""
    path = marker_of(template, file.path)
    marker = source.stat(path)
    if marker is not None and marker.last_modified >= file.last_modified:
        return True
    what = "isn't there" if marker is None else "is older than the file"
    _skip(listing, file, f"may still be written to: its marker {path} {what}")
    return False


def _drop_unsettled(config: PipelineConfig, source: Source, listing: Listing) -> None:
    """Look again, and leave out what isn't as it was."""
    wanted = {each.file.path for each in listing.candidates}
    now = {file.path: file for file in source.list(config.source.pattern) if file.path in wanted}
    for candidate in listing.candidates:
        if now.get(candidate.file.path) != candidate.file:
            _skip(listing, candidate.file, f"is still written to: it changed within {config.source.settle}")
    listing.candidates = [each for each in listing.candidates if now.get(each.file.path) == each.file]


def _skip(listing: Listing, file: SourceFile, reason: str) -> None:
    listing.skipped.append(FileResult(path=file.path, outcome=FileOutcome.SKIPPED, reason=reason))


def _note_finished(listing: Listing, candidate: Candidate, *, moves: bool) -> None:
    status, path = candidate.record.status, candidate.file.path
    if status is FileStatus.QUARANTINED:
        _skip(
            listing,
            candidate.file,
            f"quarantined: {candidate.record.error} Mend it, then: fc-connect state retry {path}",
        )
    else:
        listing.completed_before += 1
    if moves:
        listing.done.append(candidate.record.file_id)


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
    if policy in {"auto", "etag"} and file.version_id:
        return f"version:{file.version_id}"
    if policy == "etag" and file.etag:
        return f"etag:{file.etag}"
    if policy == "auto" and file.etag:
        # An etag tells content, not an upload: stock that goes from 5 to 0 and back to 5 has the first one's again.
        return f"etag:{file.etag}:{file.last_modified.isoformat()}"
    return f"mtime:{file.size}:{file.last_modified.isoformat()}"
