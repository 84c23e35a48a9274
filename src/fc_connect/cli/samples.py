"""Sample files: their first records, read with bounded memory, and what their structure is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from fc_connect.errors import ConfigurationError, ParseError
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
_PACKINGS = {".gz", ".zst", ".zip"}
_MAX_DOCUMENT = 64 * 1024 * 1024


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
    suffixes = [suffix.lower() for suffix in path.suffixes]
    ending = next((each for each in reversed(suffixes) if each not in _PACKINGS), "")
    kind = file_format or _ENDINGS.get(ending)
    if kind is None:
        raise ConfigurationError(f"What {path} is can't be told by its name: --format {' | '.join(FORMATS)}")
    from fc_connect.mapping import SourceProfiler

    if kind == "csv" and delimiter is None:
        from fc_connect.formats.detect import detect

        delimiter = detect(_head(path)).delimiter
    delimiter = delimiter or ","
    is_flat = kind in {"csv", "parquet"}
    profiler = SourceProfiler(is_flat=kind == "csv")
    bad: list[str] = []
    kept: list[dict[str, Any]] = []
    bad_count = 0
    has_more = False
    source = _Source(path, kind, delimiter=delimiter, encoding=encoding, at=at)
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
        if self._kind == "csv":
            return self._read(delimiter=self._delimiter, encoding=self._encoding)
        if self._kind == "json":
            return self._json()
        return self._xml() if self._kind == "xml" else self._read()

    def _json(self) -> Iterator[Any]:
        from fc_connect.mapping import records_in

        if self._at is not None:
            self.records_at = self._at
            yield from self._read(records=f"${''.join(f'[{_quoted(step)}]' for step in _steps(self._at))}[*]")
        elif _head(self._path).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"["):
            yield from self._read()
        else:
            self._check_size()
            for document in self._read(records="$", max_record_bytes=_MAX_DOCUMENT):
                if isinstance(document, str):
                    yield document
                    continue
                found, self.records_at = records_in(document)
                yield from found

    def _xml(self) -> Iterator[Any]:
        from fc_connect.mapping import read_xml, records_in

        if self._at is None:
            # Which elements are records is told by the whole document; what they are is told by the reader.
            self._check_size()
            with _opened(self._path) as stream:
                _, self.records_at = records_in(read_xml(stream.read(_MAX_DOCUMENT + 1)))
        else:
            self.records_at = self._at
        yield from self._read(
            records="/".join(_steps(self.records_at)) or "*", max_record_bytes=_MAX_DOCUMENT
        )

    def _read(self, **options: Any) -> Iterator[Any]:
        reader = open_format(self._kind, **options)
        try:
            with _opened(self._path) as stream:
                records = reader.read(stream, path=str(self._path))
                for record in records:
                    if isinstance(record, BadRecord):
                        yield f"{record.place}: {record.reason}"
                    else:
                        yield dict(zip(records.columns, record, strict=True)) if records.columns else record
        except ParseError as exc:
            from fc_connect.formats.detect import hints

            head, encoding, delimiter = _head(self._path), self._encoding, self._delimiter
            for hint in hints(head, type=self._kind, encoding=encoding, delimiter=delimiter):
                exc.add_note(hint)
            raise

    def _check_size(self) -> None:
        if self._path.stat().st_size > _MAX_DOCUMENT:
            raise ConfigurationError(
                f"{self._path} is larger than {_MAX_DOCUMENT >> 20} MiB: say where its records are (--at), or give "
                "a smaller sample of it."
            )


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    from fc_connect.formats.compressed import unpacked

    try:
        with path.open("rb") as stream:
            is_parquet = stream.read(4) == b"PAR1"
            stream.seek(0)
            # Parquet is read from its end: as it lies there, it needs no copy.
            yield stream if is_parquet else unpacked(stream, path=str(path))
    except OSError as exc:
        raise ConfigurationError(f"{path} can't be read: {exc.strerror or exc}") from exc


def _head(path: Path) -> bytes:
    from fc_connect.formats.detect import HEAD_BYTES

    with _opened(path) as stream:
        return stream.read(HEAD_BYTES)


def _steps(path: str) -> tuple[str, ...]:
    """Return the keys that a path goes by."""
    from fc_connect.mapping import parse_path

    steps = parse_path(path).steps if path else ()
    names = tuple(step for step in steps or () if isinstance(step, str))
    if steps is None or len(names) < len(steps):
        raise ConfigurationError(f"--at {path}: expected names with dots between them, such as orders.order.")
    return names


def _quoted(step: str) -> str:
    return f'"{step}"' if "'" in step else f"'{step}'"
