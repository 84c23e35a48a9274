"""Sources: places that hold files, listed, opened, written and moved alike."""

from __future__ import annotations

import inspect
from importlib import import_module
from pathlib import Path
from typing import Any

from fc_connect.errors import ConfigurationError, MissingExtraError
from fc_connect.sources.base import Access, Source, SourceFile

__all__ = ["Access", "Source", "SourceFile", "open_source"]

# scheme: module, class, extra
_SOURCES = {
    "file": ("local", "LocalSource", None),
    "s3": ("s3", "S3Source", "s3"),
    "sftp": ("sftp", "SFTPSource", "sftp"),
}


def open_source(url: str, *, base: Path | None = None, **options: Any) -> Source:
    """Open the source at `url`; its driver is imported now, nothing is connected or looked at yet.

    A plain path, `file:///path`, `s3://bucket/prefix/` or `sftp://user@host/path/`. A relative path is relative to
    `base`, or to the current folder. `options` are those of the source's class, such as `S3Source`;
    a folder has none.

    Raises:
        ConfigurationError: no such kind of source or option, or the URL can't be used.
        MissingExtraError: its driver isn't installed.
    """
    scheme = url.partition("://")[0].lower() if "://" in url else "file"
    if scheme not in _SOURCES:
        known = ", ".join(f"{each}://" for each in _SOURCES)
        raise ConfigurationError(f"There is no source of kind {scheme!r}. Known: a folder's path, {known}")
    module, name, extra = _SOURCES[scheme]
    try:
        backend = getattr(import_module(f"{__name__}.{module}"), name)
    except ModuleNotFoundError as exc:
        if extra is None or (exc.name or "").startswith("fc_connect"):
            raise
        raise MissingExtraError(f"{scheme}:// needs a driver: pip install 'fc-connect[{extra}]'") from exc
    known_options = [
        each.name
        for each in inspect.signature(backend.from_url).parameters.values()
        if each.kind is each.KEYWORD_ONLY
    ]
    if unknown := sorted(options.keys() - set(known_options)):
        fit = ", ".join(each for each in known_options if each != "base") or "none"
        raise ConfigurationError(
            f"A source of kind {scheme}:// has no option {', '.join(map(repr, unknown))}. Known: {fit}"
        )
    if "base" in known_options:
        options["base"] = base
    opened: Source = backend.from_url(url, **options)
    return opened
