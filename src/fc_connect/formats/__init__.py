"""Formats: a stream of bytes becomes a stream of records, at constant memory."""

from __future__ import annotations

from typing import Any

from fc_connect.errors import ConfigurationError
from fc_connect.formats.base import BadRecord, Format, Records
from fc_connect.formats.csv import CSVFormat

__all__ = ["BadRecord", "CSVFormat", "Format", "Records", "open_format"]

_FORMATS = {"csv": CSVFormat}


def open_format(kind: str, **options: Any) -> Format:
    """Return the reader for files of `kind`; `options` are those of its class.

    Raises:
        ConfigurationError: there is no such kind, or an option can't be used.
    """
    if kind not in _FORMATS:
        raise ConfigurationError(f"There is no format {kind!r}. Known: {', '.join(_FORMATS)}")
    return _FORMATS[kind](**options)
