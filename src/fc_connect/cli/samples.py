"""Sample files: their first records, read with bounded memory, and what their structure is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from fc_connect.errors import ConfigurationError, MissingExtraError
from fc_connect.formats import BadRecord, open_format

if TYPE_CHECKING:
    from fc_connect.mapping import FieldProfile, SourceProfiler

__all__ = ["FORMATS", "Sample", "read_sample", "sample_options"]

FORMATS = ("csv", "json", "ndjson", "xml", "parquet")
_ENDINGS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".json": "json",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".xml": "xml",
    ".parquet": "parquet",
}
_MAX_DOCUMENT = 64 * 1024 * 1024
_MAX_LINE = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The beginning of a file."""

    path: Path
    format: str
    profiler: SourceProfiler
    is_flat: bool
    """Whether records have columns and nothing below them."""
    has_more: bool
    """Whether there are records that weren't read."""
    bad: tuple[str, ...]
    """Records that can't be read, one sentence each; the first few."""
    bad_count: int
    delimiter: str | None = None
    """Of a CSV file."""
    records_at: str = ""
    """Path of the list in the document that was taken for the records."""
    records: tuple[dict[str, Any], ...] = ()
    """Those that were read, where they were to be kept."""

    @property
    def profiles(self) -> list[FieldProfile]:
        return self.profiler.fields


def read_sample(
    path: Path,
    *,
    file_format: str | None = None,
    delimiter: str | None = None,
    encoding: str = "utf-8",
    records: int = 1000,
    at: str | None = None,
    keep: bool = False,
) -> Sample:
    """Read the first records of a file and profile them.

    Args:
        file_format: one of FORMATS; None goes by the file's name.
        delimiter: of a CSV file; None takes the one that its first lines look to have.
        at: path of the list of records in a JSON or XML document; None takes the one nearest to the top.
        keep: also return the records themselves.

    Raises:
        ConfigurationError: the file can't be read, or holds no records.
        ParseError: it isn't of its format.
    """
    kind = file_format or _ENDINGS.get(path.suffix.lower())
    if kind is None:
        raise ConfigurationError(f"What {path} is can't be told by its name: --format {' | '.join(FORMATS)}")
    from fc_connect.mapping import SourceProfiler

    if kind == "csv" and delimiter is None:
        delimiter = _delimiter_of(path)
    is_flat = kind in {"csv", "parquet"}
    profiler = SourceProfiler(is_flat=kind == "csv")
    bad: list[str] = []
    kept: list[dict[str, Any]] = []
    bad_count = 0
    has_more = False
    source = _Source(path, kind, delimiter=delimiter or ",", encoding=encoding, at=at)
    for each in islice(source.records(), records + 1):
        if profiler.records + bad_count == records:
            has_more = True
        elif isinstance(each, dict):
            profiler.add(each)
            if keep:
                kept.append(each)
        else:
            bad_count += 1
            bad += [each if isinstance(each, str) else f"is {type(each).__name__}, and no object"][
                : 5 - len(bad)
            ]
    if not profiler.fields:
        why = f": {bad[0]}" if bad else ""
        raise ConfigurationError(f"{path} holds no records{why}.")
    return Sample(
        path=path,
        format=kind,
        profiler=profiler,
        is_flat=is_flat,
        has_more=has_more,
        bad=tuple(bad),
        bad_count=bad_count,
        delimiter=delimiter if kind == "csv" else None,
        records_at=source.records_at,
        records=tuple(kept),
    )


def sample_options(command: Any) -> Any:
    """Add the options of how to read a sample file."""
    for option in reversed(
        (
            click.option(
                "--format",
                "file_format",
                type=click.Choice(FORMATS),
                help="Of the sample; without it, what its name ends with.",
            ),
            click.option("--delimiter", help="Of a CSV file; without it, what its first lines look to have."),
            click.option("--encoding", default="utf-8", show_default=True, help="Of a CSV file."),
            click.option(
                "--at",
                help="Path of the list of records in a JSON or XML document; without it, the list nearest to the top.",
            ),
            click.option(
                "--records",
                type=click.IntRange(1, 1_000_000),
                default=1000,
                show_default=True,
                help="How many records to look at.",
            ),
        )
    ):
        command = option(command)
    return command


class _Source:
    """One sample file, read once."""

    def __init__(self, path: Path, kind: str, *, delimiter: str, encoding: str, at: str | None) -> None:
        self._path = path
        self._kind = kind
        self._delimiter = delimiter
        self._encoding = encoding
        self._at = at
        self.records_at = ""

    def records(self) -> Iterator[Any]:
        """Yield records as dicts; a text in place of one says why it can't be read."""
        if self._kind == "parquet":
            yield from self._parquet()
            return
        try:
            with self._path.open("rb") as stream:
                match self._kind:
                    case "csv":
                        yield from self._csv(stream)
                    case "ndjson":
                        yield from _ndjson(stream)
                    case _:
                        yield from self._document(stream)
        except (OSError, ValueError) as exc:
            if isinstance(exc, OSError):
                raise ConfigurationError(f"{self._path} can't be read: {exc.strerror or exc}") from exc
            raise ConfigurationError(f"{self._path} can't be read as {self._kind}: {exc}") from exc

    def _csv(self, stream: BinaryIO) -> Iterator[Any]:
        found = open_format("csv", delimiter=self._delimiter, encoding=self._encoding)
        records = found.read(stream, path=str(self._path))
        columns = records.columns or ()
        for row in records:
            if isinstance(row, BadRecord):
                yield f"{row.place}: {row.reason}"
            else:
                yield dict(zip(columns, row, strict=True))

    def _document(self, stream: BinaryIO) -> Iterator[Any]:
        raw = stream.read(_MAX_DOCUMENT + 1)
        if len(raw) > _MAX_DOCUMENT:
            raise ConfigurationError(
                f"{self._path} is larger than {_MAX_DOCUMENT >> 20} MiB: give a smaller sample of it."
            )
        from fc_connect.mapping import parse_path, read_xml, records_in

        if self._kind == "xml":
            document: Any = read_xml(raw)
        else:
            try:
                document = json.loads(raw.decode("utf-8-sig"))
            except RecursionError as exc:
                raise ConfigurationError(f"{self._path} is nested too deeply.") from exc
        if self._at is not None:
            self.records_at = self._at
            found = parse_path(self._at).read(document)
            yield from records_in(found)[0] if isinstance(found, list) else [found]
            return
        found, self.records_at = records_in(document)
        yield from found

    def _parquet(self) -> Iterator[Any]:
        try:
            import pyarrow.parquet as parquet  # type: ignore[import-not-found, unused-ignore]
        except ImportError as exc:
            raise MissingExtraError("Parquet files need pyarrow: pip install pyarrow") from exc
        try:
            with parquet.ParquetFile(self._path) as file:
                for batch in file.iter_batches(batch_size=100):
                    yield from batch.to_pylist()
        except (OSError, ValueError) as exc:
            raise ConfigurationError(f"{self._path} can't be read as parquet: {exc}") from exc


def _ndjson(stream: BinaryIO) -> Iterator[Any]:
    number = 0
    while line := stream.readline(_MAX_LINE):
        number += 1
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if not line.strip():
            continue
        if len(line) == _MAX_LINE:
            yield f"line {number}: is longer than {_MAX_LINE >> 20} MiB"
            return
        try:
            yield json.loads(line)
        except (ValueError, RecursionError) as exc:
            yield f"line {number}: isn't JSON: {exc}"


def _delimiter_of(path: Path) -> str:
    """Return the delimiter that a file's first lines look to have; a comma where they have none."""
    from fc_connect.formats.detect import HEAD_BYTES, detect

    try:
        with path.open("rb") as stream:
            return detect(stream.read(HEAD_BYTES)).delimiter or ","
    except OSError as exc:
        raise ConfigurationError(f"{path} can't be read: {exc.strerror or exc}") from exc
