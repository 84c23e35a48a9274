"""File formats: a stream of bytes becomes a stream of records, at constant memory."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import Any

from fc_connect.errors import ConfigurationError
from fc_connect.formats.base import BadRecord, Format, Records

__all__ = ["BadRecord", "Format", "Records", "open_format"]

# type: module, class
_FORMATS = {"csv": ("csv", "CSVFormat")}


def open_format(type: str, **options: Any) -> Format:  # noqa: A002 - the key's name in a pipeline file
    """Return the reader of files of `type`; its module is imported now.

    `options` are those of the reader's class: see `fc_connect.formats.csv.CSVFormat`.

    Raises:
        ConfigurationError: there is no such type or option, or an option's value can't be used.
    """
    if type not in _FORMATS:
        raise ConfigurationError(f"There is no format {type!r}. Known: {', '.join(sorted(_FORMATS))}")
    module, name = _FORMATS[type]
    reader = getattr(import_module(f"{__name__}.{module}"), name)
    known = inspect.signature(reader).parameters
    if unknown := sorted(options.keys() - known.keys()):
        raise ConfigurationError(
            f"Format {type!r} has no option {', '.join(map(repr, unknown))}. Known: {', '.join(known)}"
        )
    opened: Format = reader(**options)
    return opened
