"""File formats: a stream of bytes becomes a stream of records, at constant memory."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import Any

from fc_connect.errors import ConfigurationError, MissingExtraError
from fc_connect.formats.base import BadRecord, Format, Place, Records, RecordWriter, WriteFormat

__all__ = [
    "BadRecord",
    "Format",
    "Place",
    "RecordWriter",
    "Records",
    "WriteFormat",
    "open_format",
    "open_writer",
]

# type: reader, writer, extra
_FORMATS: dict[str, tuple[str, str | None, str | None]] = {
    "csv": ("csv.CSVFormat", "csv_writer.CSVWriter", None),
    "json": ("json.JSONFormat", "json_writer.JSONWriter", None),
    "jsonl": ("ndjson.NDJSONFormat", "json_writer.NDJSONWriter", None),
    "ndjson": ("ndjson.NDJSONFormat", "json_writer.NDJSONWriter", None),
    "xml": ("xml.XMLFormat", "xml_writer.XMLWriter", None),
    "parquet": ("parquet.ParquetFormat", "parquet_writer.ParquetWriter", "parquet"),
}


def open_format(type: str, **options: Any) -> Format:  # noqa: A002 - the key's name in a pipeline file
    """Return the reader of files of `type`; its module is imported now.

    `options` are those of the reader's class: see `fc_connect.formats.csv.CSVFormat`.

    Raises:
        ConfigurationError: there is no such type or option, or an option's value can't be used.
        MissingExtraError: its library isn't installed.
    """
    opened: Format = _opened(type, options, writes=False)
    return opened


def open_writer(type: str, **options: Any) -> WriteFormat:  # noqa: A002 - likewise
    """Return the writer of files of `type`; its module is imported now.

    `options` are those of the writer's class: see `fc_connect.formats.csv_writer.CSVWriter`.

    Raises:
        ConfigurationError: there is no such type or option, or an option's value can't be used.
        MissingExtraError: its library isn't installed.
    """
    opened: WriteFormat = _opened(type, options, writes=True)
    return opened


def _opened(type: str, options: dict[str, Any], *, writes: bool) -> Any:  # noqa: A002 - likewise
    if type not in _FORMATS:
        raise ConfigurationError(f"There is no format {type!r}. Known: {', '.join(sorted(_FORMATS))}")
    reader, writer, extra = _FORMATS[type]
    place = writer if writes else reader
    if place is None:
        raise ConfigurationError(f"Files of type {type!r} can be read, but not written.")
    module, _, name = place.partition(".")
    try:
        found = getattr(import_module(f"{__name__}.{module}"), name)
    except ModuleNotFoundError as exc:
        if extra is None or (exc.name or "").startswith("fc_connect"):
            raise
        raise MissingExtraError(f"{type} files need a library: pip install 'fc-connect[{extra}]'") from exc
    known = inspect.signature(found).parameters
    if unknown := sorted(options.keys() - known.keys()):
        raise ConfigurationError(
            f"Format {type!r} has no option {', '.join(map(repr, unknown))}. Known: {', '.join(known)}"
        )
    return found(**options)
