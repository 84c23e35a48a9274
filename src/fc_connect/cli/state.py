"""`fc-connect state`: what the ledger knows, and the few things a person may change in it."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO

import click

from fc_connect.cli.options import json_option, one_line, pipeline_option, print_json, say
from fc_connect.errors import StateError
from fc_connect.mapping.lookups import read_table as read_csv_table
from fc_connect.pipeline import Pipeline
from fc_connect.pipeline.tables import read_table, store_table, table_names
from fc_connect.state import FileRecord, FileStatus, StateService, export_state, import_state

__all__ = ["state"]


@click.group()
def state() -> None:
    """Look into a pipeline's state, and mend it.

    \b
    Examples:
      fc-connect state files --status failed
      fc-connect state retry stock.csv
      fc-connect state locks -p inventory.yaml
    """


@contextmanager
def _opened(pipeline_file: Path) -> Iterator[StateService]:
    pipeline = Pipeline.from_file(pipeline_file)
    with pipeline.open_store() as kv:
        yield pipeline.open_state(kv)


@state.command()
@pipeline_option
@click.option("--status", type=click.Choice([str(each) for each in FileStatus]), help="Only these.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="The latest so many.")
@json_option
def files(pipeline_file: Path, status: str | None, limit: int, as_json: bool) -> int:
    """List the files of the ledger, latest first.

    \b
    Example: fc-connect state files --status quarantined
    """
    with _opened(pipeline_file) as service:
        found = [each for each in service.files.all() if status in {None, each.status}]
    found.sort(key=lambda each: each.position, reverse=True)
    if as_json:
        print_json(found[:limit])
        return 0
    for each in found[:limit]:
        tail = f"  {one_line(each.error)}" if each.error else ""
        say(
            f"{each.status:<12} {each.last_modified:%Y-%m-%d %H:%M:%S}  {each.record_count:>9,} sent "
            f"{each.rejected_count:>6,} rejected  {one_line(each.file_name)}{tail}"
        )
    if not found:
        say("No files.")
    elif len(found) > limit:
        say(f"... and {len(found) - limit:,} more (--limit)")
    return 0


@state.command()
@pipeline_option
@json_option
def locks(pipeline_file: Path, as_json: bool) -> int:
    """List the locks that are held: by whom, for what, until when.

    \b
    Example: fc-connect state locks
    """
    with _opened(pipeline_file) as service:
        held = list(service.locks.list())
    if as_json:
        print_json(held)
        return 0
    for each in held:
        dead = " (that process is gone: the next run takes over)" if each.owner.is_dead() else ""
        say(
            f"{one_line(each.about or each.name)}: {each.owner}{dead}, token {each.token}, "
            f"until {each.expires_at:%H:%M:%S} UTC unless renewed  [{each.name}]"
        )
    if not held:
        say("No locks.")
    return 0


@state.command()
@pipeline_option
@json_option
def jobs(pipeline_file: Path, as_json: bool) -> int:
    """Show today's Fluent job and the jobs made lately.

    \b
    Example: fc-connect state jobs
    """
    with _opened(pipeline_file) as service:
        daily, tracked = service.get_daily_job(), list(service.job_tracker.list())
    if as_json:
        print_json({"daily": daily, "jobs": tracked})
        return 0
    say(f"Today's job: {daily.job_id if daily is not None else 'none yet'}")
    for each in sorted(tracked, key=lambda job: job.created_at, reverse=True):
        say(f"  {each.job_id}  {each.name}  made {each.created_at:%Y-%m-%d %H:%M:%S} UTC")
    return 0


@state.command()
@pipeline_option
@json_option
def watermark(pipeline_file: Path, as_json: bool) -> int:
    """Show how far the pipeline has got.

    \b
    Example: fc-connect state watermark --json
    """
    with _opened(pipeline_file) as service:
        sync = service.get_sync_state()
    if as_json:
        print_json(sync)
    elif sync.last_processed_timestamp is None:
        say("No file completed yet.")
    else:
        say(
            f"{sync.last_processed_timestamp.isoformat()}  {sync.last_processed_file}\n"
            f"{sync.files_completed:,} files, {sync.records_completed:,} records completed; "
            f"last run: {sync.last_sync_result}"
        )
    return 0


@state.command()
@pipeline_option
@click.argument("paths", nargs=-1, required=True)
def retry(pipeline_file: Path, paths: tuple[str, ...]) -> int:
    """Let failed, quarantined, skipped or superseded files be tried again at once, carrying on where they stopped.

    \b
    Example: fc-connect state retry stock.csv
    """

    def free(service: StateService, record: FileRecord) -> str:
        with service.lock(record.lock_name, about=f"retry of {record.file_name}") as lease:
            record = (
                service.files.get(record.file_id) or record
            )  # a run may have finished it since it was listed
            if record.status in {FileStatus.COMPLETED, FileStatus.PENDING, FileStatus.PROCESSING}:
                return f"is {record.status}: nothing to retry"
            again = replace(record.moved_to(FileStatus.PENDING, at=service.kv.now()), attempts=0)
            service.save_file(again, lease)
        return "is tried again by the next run"

    return _each(pipeline_file, paths, free)


@state.command()
@pipeline_option
@click.argument("paths", nargs=-1, required=True)
@click.option("--yes", is_flag=True, help="Don't ask.")
def reset(pipeline_file: Path, paths: tuple[str, ...], yes: bool) -> int:
    """Forget files, so that the next run sends them WHOLE AGAIN, also what was delivered.

    \b
    Example: fc-connect state reset stock.csv
    """
    if not yes:
        click.confirm(
            f"{one_line(', '.join(paths))}: everything is sent again by the next run. Go on?", abort=True
        )

    def forget(service: StateService, record: FileRecord) -> str:
        with service.lock(record.lock_name, about=f"reset of {record.file_name}") as lease:
            service.reset_file(record, lease)
        return "is forgotten: the next run sends it whole"

    return _each(pipeline_file, paths, forget)


@state.command()
@pipeline_option
@click.argument("name")
@click.option("--reason", required=True, help="Why; it is logged.")
def unlock(pipeline_file: Path, name: str, reason: str) -> int:
    """Take a lock away from its holder (a name from `state locks`, or a file's path).

    Only where you know that the holder is gone or stuck. One that still runs may send one more batch with each of its
    sending threads until it notices; the command says how long to wait.

    \b
    Example: fc-connect state unlock stock.csv --reason "host was switched off"
    """
    with _opened(pipeline_file) as service:
        names = [each.name for each in service.locks.list() if name in {each.name, each.about}]
        if not names:
            raise StateError(f"No lock is called {name!r}. See: fc-connect state locks")
        for each in names:
            holder = service.force_release(each, reason=reason)
            say(f"Released {each}, held by {holder.owner if holder else 'nobody'}.")
            if holder is not None and not holder.owner.is_dead():
                timeout = timedelta(seconds=holder.timeout)
                left = min(max(holder.expires_at - service.kv.now(), timedelta(0)), timeout)
                say(
                    f"If it still runs, each of its sending threads may send one more batch: stop it, or wait "
                    f"{math.ceil(left.total_seconds())} s before the next run.",
                    err=True,
                )
    return 0


@state.command()
@pipeline_option
@click.option("--older-than", required=True, help="Such as 90d: by the time of the file's last change.")
def prune(pipeline_file: Path, older_than: str) -> int:
    """Forget old finished files, to keep the state small. They count as done should they still lie in the source.

    \b
    Example: fc-connect state prune --older-than 90d
    """
    match = re.fullmatch(r"([0-9]{1,5})([dh])", older_than)
    if match is None:
        raise click.BadParameter("write a number of days or hours of at most five digits, such as 90d or 12h")
    age = timedelta(days=int(match[1])) if match[2] == "d" else timedelta(hours=int(match[1]))
    pipeline = Pipeline.from_file(pipeline_file)
    with pipeline.open_store() as kv:
        removed = pipeline.open_state(kv).prune(older_than=age, lookback=pipeline.config.lookback)
    say(f"Forgot {removed:,} files.")
    return 0


@state.command("export")
@pipeline_option
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def export_(pipeline_file: Path, file: Path) -> int:
    """Write the pipeline's whole state to a file, to keep it or to move to another store. Stop the workers first.

    \b
    Example: fc-connect state export state.jsonl
    """
    unfinished = file.with_name(f"{file.name}.unfinished")
    try:
        with _opened(pipeline_file) as service, _private(unfinished) as output:
            summary = export_state(service, output)
            output.flush()
            os.fsync(output.fileno())
        unfinished.replace(file)
    except OSError as exc:
        raise StateError(f"{file}: can't be written: {exc.strerror}.") from exc
    finally:
        unfinished.unlink(missing_ok=True)
    say(f"{file}: {summary.entries:,} entries of {summary.workflow!r}, schema {summary.schema}.")
    return 0


@state.command("import")
@pipeline_option
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
def import_(pipeline_file: Path, file: Path) -> int:
    """Put an exported state into the store that the pipeline file names, which must have none of this pipeline yet.

    To move: stop the workers, export, change `state:` in the pipeline file, import, run. What was delivered stays
    delivered; a file that was half sent is carried on.

    \b
    Example: fc-connect state import state.jsonl
    """
    pipeline = Pipeline.from_file(pipeline_file)
    try:
        with pipeline.open_store() as kv, file.open("rb") as source:
            summary = import_state(kv, workflow_id=pipeline.config.pipeline, file=source)
    except OSError as exc:
        raise StateError(f"{file}: can't be read: {exc.strerror}.") from exc
    other = "" if summary.workflow == pipeline.config.pipeline else f" (exported as {summary.workflow!r})"
    say(f"{pipeline.config.pipeline}: {summary.entries:,} entries imported and compared{other}.")
    return 0


def _private(path: Path) -> BinaryIO:
    # Names of files and jobs are nobody else's business.
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")


def _each(pipeline_file: Path, paths: tuple[str, ...], act: Callable[[StateService, FileRecord], str]) -> int:
    missing = 0
    with _opened(pipeline_file) as service:
        known: dict[str, list[FileRecord]] = {}
        for record in service.files.all():
            known.setdefault(record.file_name, []).append(record)
        for path in paths:
            for record in known.get(path, []):
                say(f"{path} {act(service, record)}")
            if path not in known:
                missing += 1
                say(f"{path} isn't in the ledger. See: fc-connect state files", err=True)
    return 1 if missing else 0


@state.command()
@pipeline_option
@click.argument("name", required=False)
@click.option(
    "--from",
    "file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A CSV file with a header.",
)
@click.option("--key", help="The column to look in; the first by default.")
@click.option("--value", help="The column to take; the second by default.")
def table(
    pipeline_file: Path, name: str | None, file: Path | None, key: str | None, value: str | None
) -> int:
    """Put a table for `lookup` into the state store, replacing it as a whole; without a file, list what is there.

    \b
    Examples:
      fc-connect state table
      fc-connect state table stores --from stores.csv --key code --value ref
    """
    with Pipeline.from_file(pipeline_file).open_store() as kv:
        if file is not None and name is not None:
            rows = read_csv_table(file, key=key, value=value)
            store_table(kv, name, rows)
            say(f"{one_line(name)}: {len(rows):,} rows")
            return 0
        if file is not None:
            raise click.UsageError("Name the table that the file is for.")
        if name is not None:
            found = read_table(kv, name)
            if found is None:
                raise StateError(f"There is no table {name!r}. Put it there with --from.")
            for each, told in found.items():
                say(f"{one_line(each)}\t{one_line(str(told))}")
            return 0
        names = table_names(kv)
        for each, count in names.items():
            say(f"{one_line(each)}: {count:,} rows")
        if not names:
            say("No tables.")
    return 0
