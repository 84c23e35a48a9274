"""What a file looks like where that isn't what the pipeline file says: for a preview, never for a run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from fc_connect.errors import FCConnectError
from fc_connect.formats.compressed import unpacked
from fc_connect.formats.detect import HEAD_BYTES, hints
from fc_connect.pipeline.config import FormatConfig
from fc_connect.sources import Source, SourceFile

__all__ = ["looks_other", "noted"]

_LOOKED_AT = {"type", "encoding", "delimiter", "quotechar", "escapechar", "comment", "skip_rows"}


def looks_other(source: Source, file: SourceFile, config: FormatConfig) -> tuple[str, ...]:
    """Say where `file` looks other than `config` says, a sentence each; nothing where it can't be opened."""
    try:
        with source.open(file) as stream:
            head = unpacked(
                stream,
                path=file.path,
                compression=config.compression,
                max_bytes=config.max_unpacked_bytes,
                max_ratio=config.max_ratio,
            ).read(HEAD_BYTES)
    except FCConnectError:
        return ()  # whoever reads it says why
    return tuple(hints(head, **config.model_dump(include=_LOOKED_AT)))


@contextmanager
def noted(hints: tuple[str, ...]) -> Iterator[None]:
    """Add the hints to an error that the body raises."""
    try:
        yield
    except FCConnectError as exc:
        for hint in hints:
            exc.add_note(hint)
        raise
