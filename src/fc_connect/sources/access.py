"""What may be done with a source, found out by doing it."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from functools import partial
from typing import Literal

from fc_connect.errors import FileChangedError, SourceError, SourceUnavailableError
from fc_connect.sources.base import Access, Source, SourceFile
from fc_connect.sources.paths import PARTIAL_MARK

__all__ = ["check_access"]


def check_access(
    source: Source, *, writes: bool, write: Callable[[], str] | None = None
) -> tuple[Access, ...]:
    """List the source, read from its first file, and with `writes` write a file and remove it again.

    `write` does the last where the source knows a way that is less noticed; it returns what was seen.
    """
    return tuple(_looked_at(source, write=(write or partial(_written, source)) if writes else None))


def _looked_at(source: Source, *, write: Callable[[], str] | None) -> Iterator[Access]:
    try:
        file = next(iter(source.list("*")), None)
    except SourceUnavailableError as exc:
        yield Access(name="reachable", is_given=False, detail=str(exc))
        return
    except SourceError as exc:
        yield Access(name="reachable", is_given=True, detail=f"{source.url} answers")
        yield Access(name="readable", is_given=False, detail=str(exc))
        return  # to write into a folder that isn't there would make it
    yield Access(name="reachable", is_given=True, detail=f"{source.url} answers")
    yield _look("readable", lambda: _read(source, file))
    if write is not None:
        yield _look("writable", write)


def _look(name: Literal["readable", "writable"], look: Callable[[], str]) -> Access:
    try:
        return Access(name=name, is_given=True, detail=look())
    except SourceError as exc:
        return Access(name=name, is_given=False, detail=str(exc))


def _read(source: Source, file: SourceFile | None) -> str:
    if file is None:
        return "it can be listed; there is no file to try it with"
    try:
        with source.open(file) as stream:
            stream.read(1)
    except FileChangedError:
        return "it can be listed; its first file was just changed"
    return f"it can be listed; {file.path} was opened"


def _written(source: Source) -> str:
    path = f".check.{secrets.token_hex(6)}{PARTIAL_MARK}"  # never listed, should it be left
    source.write(path, b"written by `fc-connect check`; may be removed\n")
    source.delete(path)
    return "a file was written and removed again"
