"""Records spread over folders by the values of some columns: `date=2026-01-31/site=W1/part-0.parquet`.

The layout is that of Hive, which query engines read (https://arrow.apache.org/docs/python/dataset.html calls it so): a
folder for each value, its column's name before it. The columns are in the folders' names, and so not in the files.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any, BinaryIO, Final, Self
from urllib.parse import quote

from fc_connect.errors import ConfigurationError, FormatError
from fc_connect.formats.base import RecordWriter, WriteFormat
from fc_connect.formats.plain import plain_text

__all__ = ["PartitionedWriter"]

_NULL: Final = "__HIVE_DEFAULT_PARTITION__"
_MOST_OPEN: Final = 32
_MOST_BYTES: Final = 200  # of a folder's name; file systems take 255


class PartitionedWriter:
    """Writes each record to the file of its partition; as a context manager it finishes all, unless the body fails.

    The same records in the same order make the same files, so what broke off can be written again over itself. A
    partition has several files, `part-0`, `part-1`, …, where more than `max_open` take turns.

    Args:
        open_file: opens a stream for a path, to be written from its beginning; it is closed when its file is finished
            or given up.
        finished: is called with a path and its stream once the file is whole, before the stream is closed; never for a
            file that isn't.
        by: the columns whose values name the folders, from the outside in. Their values are text, numbers, dates, true
            or false; none of them is `__HIVE_DEFAULT_PARTITION__`.
        suffix: of the files, such as `.parquet`.
        max_open: files that are written at the same time; each may take as much memory as a row group.
    """

    def __init__(
        self,
        form: WriteFormat,
        open_file: Callable[[str], BinaryIO],
        *,
        by: Sequence[str],
        suffix: str,
        finished: Callable[[str, BinaryIO], None] = lambda path, stream: None,
        max_open: int = _MOST_OPEN,
    ) -> None:
        if not by or len(set(by)) < len(by) or max_open < 1:
            raise ConfigurationError(
                "Partitions need columns, none of them twice, and one open file at least."
            )
        self._form = form
        self._open_file = open_file
        self._by = tuple(by)
        self._suffix = suffix
        self._finished = finished
        self._max_open = max_open
        self._open: OrderedDict[str, tuple[str, RecordWriter, BinaryIO]] = OrderedDict()
        self._begun: dict[str, int] = {}
        self.paths: list[str] = []
        """Of the files that were begun, in order."""

    def write(self, record: Mapping[str, Any]) -> None:
        """Add a record to the file of its partition.

        Raises:
            FormatError: a value can't name a folder, or the format can't hold one.
        """
        folder = "/".join(_folder(name, record.get(name)) for name in self._by)
        found = self._open.get(folder)
        if found is None:
            if len(self._open) >= self._max_open:
                self._finish(next(iter(self._open)))
            found = self._begin(folder)
        else:
            self._open.move_to_end(folder)
        found[1].write({name: value for name, value in record.items() if name not in self._by})

    def close(self) -> None:
        """Finish every file. Twice is no fault."""
        while self._open:
            self._finish(next(iter(self._open)))

    def _begin(self, folder: str) -> tuple[str, RecordWriter, BinaryIO]:
        number = self._begun.get(folder, 0)
        path = f"{folder}/part-{number}{self._suffix}"
        stream = self._open_file(path)
        self._begun[folder] = number + 1
        self.paths.append(path)
        self._open[folder] = path, self._form.write(stream), stream
        return self._open[folder]

    def _finish(self, folder: str) -> None:
        path, writer, stream = self._open[folder]
        writer.close()
        self._finished(path, stream)
        stream.close()
        del self._open[folder]  # last: what fails is given up with the others

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with ExitStack() as ended:
            ended.callback(self._give_up)
            if kind is None:
                self.close()

    def _give_up(self) -> None:
        """Let go of the files that aren't finished: after `close` there are none, unless it failed."""
        with ExitStack() as ended:
            for _, writer, stream in self._open.values():
                ended.callback(stream.close)
                ended.callback(writer.__exit__, FormatError, FormatError("given up"), None)
            self._open.clear()


def _folder(name: str, value: Any) -> str:
    """Return the name of a folder; what means something in a path, or isn't ASCII, is percent-encoded."""
    if value is None:
        return f"{quote(name, safe=' ')}={_NULL}"
    try:
        text = value if isinstance(value, str) else plain_text(value)
    except FormatError as exc:
        raise FormatError(f"The partition column {name!r} {exc}") from exc
    if text == _NULL or text == "":
        raise FormatError(
            f"The partition column {name!r} is {text!r}, which stands for no value: leave it null."
        )
    folder = f"{quote(name, safe=' ')}={quote(text, safe=' ')}"
    if len(folder) > _MOST_BYTES:
        raise FormatError(
            f"The partition column {name!r} is too long for a folder's name: {text[:50]!r}…. "
            "Choose columns of few, short values."
        )
    return folder
