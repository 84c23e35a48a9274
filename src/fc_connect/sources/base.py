"""What a source promises: list, open, write, move and delete files below one root."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import BinaryIO, Literal, Protocol, Self

__all__ = ["Access", "Source", "SourceFile"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """One version of one file, as it was listed."""

    path: str
    """Relative to the source's root, `/` between folders."""
    size: int
    """Bytes."""
    last_modified: datetime
    """Aware, in UTC, as fine as the source tells it."""
    etag: str | None = None
    """The source's own tag of this content, without quotes; None where it has none."""
    version_id: str | None = None
    """The version's id where the source keeps versions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Whether one thing may be done with a source."""

    name: Literal["reachable", "readable", "writable"]
    is_given: bool
    detail: str
    """What was seen; where it isn't given, why not and what to do."""


class Source(Protocol):
    """A place that holds files. Safe to share between threads."""

    url: str
    """Canonical and without secrets: it is part of every file's identity in the ledger."""

    def list(self, pattern: str = "*") -> Iterator[SourceFile]:
        """Yield the files that match, in the order of their paths; folders and folder markers are left out.

        `pattern` is matched against the whole relative path: `*` and `?` stay within a folder, `**/` spans
        any number of folders, `[abc]` is a set, `{a,b}` are alternatives. Case counts. A file whose name can't
        be a path here (it isn't UTF-8, or has `//`) is left out with a warning that asks to rename it: it
        doesn't keep the others from being listed.

        Raises:
            SourceError: the root isn't there or may not be read.
            SourceUnavailableError: the source can't be reached now.
        """
        ...

    def stat(self, path: str) -> SourceFile | None:
        """Return the file as it is now, or None where there is none."""
        ...

    def exists(self, path: str) -> bool:
        """Say whether there is a file; what can't be looked at is an error, not an absence."""
        ...

    def open(self, file: SourceFile) -> BinaryIO:
        """Open the listed version for reading, as a stream.

        Raises (here or from a later read):
            FileChangedError: the file was replaced, changed or removed since it was listed, and the source doesn't
                keep the listed version.
        """
        ...

    def write(self, path: str, content: BinaryIO | bytes, *, overwrite: bool = False) -> SourceFile:
        """Write a file so that a reader sees all of it or nothing, and return it.

        Raises:
            SourceError: it exists and `overwrite` is off.
        """
        ...

    def move(self, file: SourceFile, destination: str) -> str:
        """Move a file to `destination` (a path below the root) and return the path taken.

        Nothing is overwritten: where `destination` is taken by other content, a number is put before the
        suffix. Moving again what a crash left half moved finishes the move.
        """
        ...

    def copy(self, file: SourceFile, destination: str) -> str:
        """Copy a file to `destination` and return the path taken, as `move` does.

        The copy's content is its own: a later change of the file doesn't show in it. Copying again what was
        copied, or what a crash cut short, makes no second copy.

        Raises:
            FileChangedError: the file isn't the listed version any more.
        """
        ...

    def check(self, *, writes: bool = True) -> tuple[Access, ...]:
        """Say what may be done here: whether it is reachable, readable, and with `writes` writable.

        Nothing is left behind. What can't be told without something that isn't given is left out.
        """
        ...

    def delete(self, path: str) -> None:
        """Remove a file; an absent one is no fault."""
        ...

    def close(self) -> None:
        """Free connections. Twice is no fault."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
