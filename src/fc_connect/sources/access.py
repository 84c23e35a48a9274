"""What may be done with a source, found out by doing it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

from fc_connect.errors import FileChangedError, SourceError, SourceUnavailableError
from fc_connect.sources.base import Access, Source

__all__ = ["check_access"]


def check_access(source: Source, *, writes: bool) -> tuple[Access, ...]:
    """List the source, read from its first file, and with `writes` write a file and remove it again."""
    return tuple(_looked_at(source, writes=writes))


def _looked_at(source: Source, *, writes: bool) -> Iterator[Access]:
    try:
        file = next(iter(source.list("**")), None)
    except SourceUnavailableError as exc:
        yield Access(name="reachable", is_given=False, detail=str(exc))
        return
    except SourceError as exc:
        yield Access(name="reachable", is_given=True, detail=f"{source.url} answers")
        yield Access(name="readable", is_given=False, detail=str(exc))
    else:
        yield Access(name="reachable", is_given=True, detail=f"{source.url} answers")
        try:
            if file is not None:
                with source.open(file) as stream:
                    stream.read(1)
            told = "there is no file to try it with" if file is None else f"{file.path} was opened"
            yield Access(name="readable", is_given=True, detail=f"it can be listed; {told}")
        except FileChangedError:
            yield Access(name="readable", is_given=True, detail="it can be listed; its first file just went")
        except SourceError as exc:
            yield Access(name="readable", is_given=False, detail=str(exc))
    if writes:
        yield _written(source)


def _written(source: Source) -> Access:
    # Hidden, so that no pattern but one that asks for it finds it, should it be left.
    path = f".fc-connect-check-{secrets.token_hex(6)}"
    try:
        source.write(path, b"written by `fc-connect check`; may be removed\n")
        source.delete(path)
    except SourceError as exc:
        return Access(name="writable", is_given=False, detail=str(exc))
    return Access(name="writable", is_given=True, detail="a file was written and removed again")
