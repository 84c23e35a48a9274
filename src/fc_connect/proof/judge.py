"""Judges a run that was struck: the sandbox's log and the state must show a world in which nothing ever crashed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from fc_connect.proof.scenario import BAD, FILES, Scenario
from fc_connect.state import FileStatus

__all__ = ["faults_found", "fencing_tokens"]


def faults_found(one: Scenario) -> list[str]:
    """Return in what the world isn't as it should be; nothing, where all is well."""
    return [*_in_fluent(one), *_in_the_state(one), *_on_the_disk(one)]


def fencing_tokens(one: Scenario) -> dict[str, int]:
    """Return the fencing token of every lock: each may only grow."""
    return {str(entry.key[2]): int(entry.value) for entry in one.kv.list((one.state.workflow_id, "fence"))}


def _in_fluent(one: Scenario) -> Iterator[str]:
    deliveries = one.sandbox.deliveries()
    if lost := one.deliveries.keys() - deliveries.keys():
        yield f"{len(lost)} entities lost, such as {min(lost)}"
    if foreign := deliveries.keys() - one.deliveries.keys():
        yield f"{len(foreign)} entities that no file holds, such as {min(foreign)}"
    bodies = Counter(batch.body_sha256 for batch in one.sandbox.batches())
    if repeated := [sha256 for sha256, times in bodies.items() if times > 1]:
        yield f"{len(repeated)} batches repeated, such as the one with SHA-256 {repeated[0][:12]}"
    if not one.kind.may_resend:
        wrong = [key for key, times in one.deliveries.items() if 0 < deliveries[key] != times]
        if wrong:
            key = min(wrong)
            yield (
                f"{len(wrong)} entities delivered more or less often than they should be, such as {key}: "
                f"{deliveries[key]} times, not {one.deliveries[key]}"
            )
    stock = {key[1:]: level.qty for key, level in one.sandbox.stock().items()}
    if stale := [key for key, quantity in one.stock.items() if stock.get(key, quantity) != quantity]:
        yield f"{len(stale)} entities stand at an older quantity, such as {min(stale)}"
    arrived = list(one.sandbox.log.entities())
    warehouses = [delivery.key[0] for delivery in arrived]
    if one.kind.is_ordered and warehouses != sorted(warehouses):
        yield f"files arrived out of order: {' '.join(warehouses)}"
    if one.kind.keeps_duplicates:
        for warehouse, skus in one.orders.items():
            came = [delivery.key[1] for delivery in arrived if delivery.key[0] == warehouse]
            if came != skus:
                yield f"the records of {warehouse} arrived out of order: {' '.join(came)}"


def _in_the_state(one: Scenario) -> Iterator[str]:
    workflow = one.state.workflow_id
    records = list(one.state.files.all())
    completed = [each for each in records if each.status is FileStatus.COMPLETED]
    given_up = {FileStatus.SUPERSEDED, FileStatus.SKIPPED} if one.kind.twist == "file" else set()
    for record in records:
        if record.status is not FileStatus.COMPLETED and record.status not in given_up:
            yield f"{record.file_name} is {record.status}: {record.error}"
    if {record.file_name for record in completed} != {f"{n}.csv" for n in range(1, FILES + 1)}:
        yield f"the ledger has {[record.file_name for record in completed]} as completed"
    if one.kind.twist != "file" and len(records) != FILES:
        yield f"the ledger has {len(records)} files, not {FILES}"
    if next(iter(one.kv.list((workflow, "batch"))), None) is not None:
        yield "batches of completed files are left in the ledger"
    sync = one.state.get_sync_state()
    counted = sum(record.record_count for record in completed)
    if (sync.files_completed, sync.records_completed) != (len(completed), counted):
        yield (
            f"the sync state counts {sync.files_completed} files and {sync.records_completed} records, "
            f"the ledger {len(completed)} and {counted}"
        )
    if not one.kind.may_resend and counted != one.deliveries.total():
        yield f"the ledger counts {counted} records, not {one.deliveries.total()}"
    last = max(completed, key=lambda record: record.position, default=None)
    if last is not None and sync.last_processed_file != last.file_name:
        yield f"the watermark stands at {sync.last_processed_file}, not at {last.file_name}"


def _on_the_disk(one: Scenario) -> Iterator[str]:
    if waiting := sorted(each.name for each in (one.folder / "inbox").glob("*.csv")):
        yield f"files weren't moved away: {', '.join(waiting)}"
    put_away = {each.name for each in (one.folder / "inbox" / "done").glob("*")}
    if untold := sorted(each for each in put_away if f"{each}.json" not in put_away and each[-5:] != ".json"):
        yield f"nothing beside them tells what became of {', '.join(untold)}"
    if due := list(one.state.files.due()):
        yield f"{len(due)} files are still to be put away, says the ledger"
    rejects = list((one.folder / "rejects").glob("*"))
    lines = [line for each in rejects for line in each.read_text().splitlines()]
    # Only the first version of the file holds the bad record, and it may have been replaced before it was read.
    fewest = 0 if one.kind.twist == "file" else 1
    if (
        not fewest <= len(rejects) <= 1
        or len(lines) != len(rejects)
        or not all(BAD in line for line in lines)
    ):
        yield f"the bad record isn't in one rejects file, once: {lines} in {[each.name for each in rejects]}"
    if spools := sorted(str(each.relative_to(one.folder)) for each in (one.folder / "spool").glob("*/*")):
        yield f"spools are left on the disk: {', '.join(spools)}"
