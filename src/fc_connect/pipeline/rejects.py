"""The rejects file: every record that wasn't sent, with the line, the field, the value and why.

JSON Lines, one line per problem, so that it opens in `jq`, a spreadsheet or a script:
`{"file", "line", "number", "byte", "field", "source", "value", "reason", "record"}`: line, number in the file and byte
as far as the format can tell them. It holds what customers sent, so other users of the
machine may not read it.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from fc_connect.errors import KVCorruptError, MappingError
from fc_connect.faults import point
from fc_connect.formats import Place
from fc_connect.pipeline.spool import disk_errors

__all__ = ["RejectsFile"]

_MODE = 0o640  # less what the umask takes away
_VALUE_LIMIT = 1000  # characters of a value or record kept for the person who looks


class RejectsFile:
    """Written beside its final name, and renamed once it is whole. Made only if there is something to tell.

    `demand` is called right before what is at the final name changes: it raises where another worker has taken
    the file over. Drafts have names of their own, so that the two never write into one.
    """

    def __init__(self, folder: Path, *, file_name: str, file_id: str, demand: Callable[[], None]) -> None:
        self.path = _path(folder, file_name, file_id)
        self.records = 0
        self._file_name = file_name
        self._demand = demand
        self._draft = self.path.with_name(f"{self.path.name}.{secrets.token_hex(4)}.part")
        self._file: TextIO | None = None

    @classmethod
    def drop_drafts(cls, folder: Path, *, file_name: str, file_id: str) -> None:
        """Remove the drafts of workers that died. Only for who holds the file's lock."""
        _drop_drafts(_path(folder, file_name, file_id))

    def add_mapping_error(self, place: Place, error: MappingError, record: Any) -> None:
        """Note a record that can't be mapped."""
        for problem in error.problems:
            self._write(place, problem.field, problem.source, problem.value, problem.reason, record)
        if not error.problems:
            self._write(place, None, None, None, str(error), record)
        self.records += 1

    def add(self, place: Place | None, reason: str, record: Any, *, field: str | None = None) -> None:
        """Note a record that isn't one, a duplicate, or one that Fluent refused."""
        self._write(place, field, None, None, reason, record)
        self.records += 1

    def note(self, place: Place | None, reason: str, record: Any) -> None:
        """Write a line for a record that is counted elsewhere."""
        self._write(place, None, None, None, reason, record)

    def finish(self) -> Path | None:
        """Put the file in its place, and return it; None where nothing was rejected.

        A file of an earlier attempt is removed: it would tell of rows that are mended.
        """
        with disk_errors(self.path):
            if self._file is None:
                self._demand()
                self.path.unlink(missing_ok=True)
                return None
            self._file.close()
            point("rejects.rename")
            self._demand()
            self._draft.replace(self.path)
            point("rejects.renamed")
        return self.path

    def append(self, path: Path) -> None:
        """Go on with the lines that an earlier step left at `path`.

        Raises:
            KVCorruptError: it isn't this file's; the state named it, and no state may have any file copied here.
        """
        if path.name != self.path.name:
            raise KVCorruptError(
                f"The state names {path} as the rejects of {self._file_name!r}, which are called "
                f"{self.path.name}: something else has written into the state."
            )
        with disk_errors(self.path):
            if path.is_file():
                with path.open(encoding="utf-8") as earlier:
                    shutil.copyfileobj(earlier, self._open())

    def abandon(self) -> None:
        """Remove what isn't whole."""
        if self._file is not None:
            self._file.close()
            self._draft.unlink(missing_ok=True)

    def _open(self) -> TextIO:
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            _drop_drafts(self.path)
            # Made anew: whatever lies there by now, such as a link to another file, isn't written through.
            handle = os.open(self._draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE)
            # Half a surrogate pair, as JSON may hold, is written as JSON escapes it.
            self._file = open(handle, "w", encoding="utf-8", errors="backslashreplace")  # noqa: PTH123, SIM115
            point("rejects.opened")
        return self._file

    def _write(
        self,
        place: Place | None,
        field: str | None,
        source: str | None,
        value: Any,
        reason: str,
        record: Any,
    ) -> None:
        at = place or Place()
        entry = {
            "file": self._file_name,
            "line": at.line,
            "number": at.record,
            "byte": at.byte,
            "field": field,
            "source": source,
            "value": _short(value),
            "reason": _short(reason),
            "record": _short(record),
        }
        with disk_errors(self.path):
            self._open().write(json.dumps(entry, ensure_ascii=False, default=str) + "\n")


def _path(folder: Path, file_name: str, file_id: str) -> Path:
    readable = re.sub(r"[^A-Za-z0-9._-]+", "_", file_name)[-100:]
    return folder / f"{readable}.{file_id[:8]}.rejects.jsonl"


def _drop_drafts(path: Path) -> None:
    for left in path.parent.glob(f"{path.name}.*.part"):
        left.unlink(missing_ok=True)


def _short(value: Any) -> Any:
    if isinstance(value, str):
        return value if len(value) <= _VALUE_LIMIT else value[:_VALUE_LIMIT] + "…"
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, default=str)
    except (ValueError, TypeError, RecursionError):  # NaN, a key that isn't text, a value inside itself
        return _in_words(value)
    return value if len(text) <= 4 * _VALUE_LIMIT else text[: 4 * _VALUE_LIMIT] + "…"


def _in_words(value: Any) -> str:
    try:
        return repr(value)[:_VALUE_LIMIT]
    except (ValueError, RecursionError):  # nested without end; integers of thousands of digits
        return f"a {type(value).__name__} that can't be shown"
