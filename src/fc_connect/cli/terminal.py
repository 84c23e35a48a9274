"""What a run looks like: bars on a terminal, plain lines elsewhere, and the summary."""

from __future__ import annotations

import sys
import threading
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

from fc_connect.cli.options import one_line, say
from fc_connect.observe import (
    BatchSent,
    Event,
    FileFinished,
    FileMapped,
    FileSkipped,
    FileStarted,
    RunStarted,
)
from fc_connect.pipeline import FileOutcome, RunResult

__all__ = ["Progress", "show_result"]

_MARKS = {"completed": "✓", "failed": "✗", "quarantined": "✗", "stopped": "…", "held": "·", "skipped": "·"}


class Progress:
    """A listener that draws. Standard error is a terminal: one bar per file; else a line per step."""

    def __init__(self, *, is_quiet: bool) -> None:
        self._is_quiet = is_quiet
        self._lock = threading.Lock()
        self._tasks: dict[str, TaskID] = {}
        self._bars: Bars | None = None
        if not is_quiet and sys.stderr.isatty():
            self._bars = Bars(
                TextColumn("{task.description}", markup=False),  # of files' names
                BarColumn(bar_width=30),
                MofNCompleteColumn(),
                TextColumn("batches"),
                TimeElapsedColumn(),
                console=Console(stderr=True),
            )

    def __enter__(self) -> Self:
        if self._bars is not None:
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()

    def __call__(self, event: Event) -> None:
        if self._is_quiet:
            return
        with self._lock:
            match event:
                case RunStarted():
                    self._line(f"{event.files} files to do, {event.skipped} done before")
                case FileStarted():
                    self._begin(event)
                case FileMapped():
                    self._line(f"  {event.path}: {event.records:,} records read, {event.rejected:,} rejected")
                case BatchSent():
                    self._advance(event)
                case FileSkipped():
                    self._line(f"· {event.path}: {event.reason}")
                case FileFinished():
                    self._finish(event)
                case _:
                    return

    def _begin(self, event: FileStarted) -> None:
        if self._bars is not None:
            self._tasks[event.path] = self._bars.add_task(one_line(event.path), total=None)

    def _advance(self, event: BatchSent) -> None:
        if self._bars is not None and event.path in self._tasks:
            self._bars.update(self._tasks[event.path], advance=1, total=event.of)

    def _finish(self, event: FileFinished) -> None:
        task = self._tasks.pop(event.path, None)
        if self._bars is not None and task is not None:
            self._bars.remove_task(task)
        mark = _MARKS.get(event.outcome, " ")
        is_told_below = event.outcome in {"failed", "quarantined"}  # the summary lists the errors
        tail = f": {event.error}" if event.error and not is_told_below else ""
        rejected = f", {event.rejected:,} rejected" if event.rejected else ""
        self._line(
            f"{mark} {event.path}: {event.outcome}, {event.records_sent:,} records sent{rejected}{tail}"
        )

    def _line(self, text: str) -> None:
        text = one_line(text)
        if self._bars is not None:
            self._bars.console.print(text, markup=False, highlight=False)
        else:
            say(text, err=True)


def show_result(result: RunResult) -> None:
    """Print the summary of a run."""
    parts = [f"{result.files_processed} files processed"]
    if result.files_skipped:
        before = f" ({result.files_completed_before} done before)" if result.files_completed_before else ""
        parts.append(f"{result.files_skipped} skipped{before}")
    failed = sum(each.outcome in {FileOutcome.FAILED, FileOutcome.QUARANTINED} for each in result.files)
    if failed:
        parts.append(f"{failed} failed")
    say(
        f"{'Stopped' if result.stopped else 'Done' if result.success else 'FAILED'}: {', '.join(parts)}; "
        f"{result.records_sent:,} records sent in {result.batches_sent:,} batches, "
        f"{result.records_rejected:,} rejected; {result.duration.total_seconds():.1f} s"
    )
    for file in result.files:
        if file.rejects_file is not None:
            say(f"  rejects of {one_line(file.path)}: {file.rejects_file}")
    for error in result.errors:
        say(f"  error: {error}".replace("\n", "\n    "), err=True)
