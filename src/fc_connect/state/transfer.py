"""A workflow's state as a file, and back into any store: to move from one backend to another with nothing lost.

The file is JSON Lines: what it is, one entry a line, and last the count and the SHA-256 of all that came before, so
that a file cut short is told from a whole one. Locks aren't in it: nobody may hold one. Fencing tokens are, since they
only grow, for ever.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, BinaryIO

import msgspec

from fc_connect.errors import ConfigurationError, KVCommitUnknownError, StateConflictError, StateError
from fc_connect.kv.base import MAX_COMMIT_KEYS, Entry, Key, KVStore
from fc_connect.state.batches import OWNER_KEPT
from fc_connect.state.jobs import KEPT
from fc_connect.state.lease import LockInfo
from fc_connect.state.records import count_from, from_entry, to_json
from fc_connect.state.schema import SCHEMA, Condition, Schema, StateSchema
from fc_connect.state.service import StateService

__all__ = ["TransferSummary", "export_state", "import_state"]

_FORMAT = "fc-connect-state"
_FORMAT_VERSION = 1
_MAX_ENTRIES = MAX_COMMIT_KEYS - 1  # in one commit: the note of the import is checked too
_MAX_COMMIT_BYTES = 512 * 1024  # of values in one commit: some stores take no more than a few MiB
_ATTEMPTS = 3
_EXPIRY = {"sent": OWNER_KEPT, "job": KEPT}
"""What expires gets its whole time anew: a store doesn't tell how much of it is left."""
_LAST = b'{"entries"'

_encode = msgspec.json.Encoder(order="sorted").encode


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferSummary:
    """What went over."""

    workflow: str
    schema: int
    entries: int
    sha256: str
    """Of the lines with the entries."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Header:
    format: str
    version: int
    workflow: str
    schema: int
    exported_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    key: tuple[str | int, ...]
    """Without the workflow."""
    value: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class _Footer:
    entries: int
    sha256: str


def export_state(state: StateService, file: BinaryIO) -> TransferSummary:
    """Write the state of a workflow to `file`.

    Raises:
        StateConflictError: a worker holds a lock, or took one meanwhile: what was written so far is of no use.
    """
    kv, workflow = state.kv, state.workflow_id
    found = Schema(kv, workflow).get() or StateSchema(version=SCHEMA)
    before = _fences_at_rest(state)
    header = _Header(
        format=_FORMAT,
        version=_FORMAT_VERSION,
        workflow=workflow,
        schema=found.version,
        exported_at=kv.now(),
    )
    file.write(_encode(header) + b"\n")
    digest, count = hashlib.sha256(), 0
    for entry in _entries(kv, workflow):
        line = _line_of(entry)
        digest.update(line)
        count += 1
        file.write(line)
    if _fences_at_rest(state) != before:
        raise StateConflictError(
            f"A worker was at work on {workflow!r} during the export: it isn't of one moment. Stop the workers and "
            "export again."
        )
    file.write(_encode(_Footer(entries=count, sha256=digest.hexdigest())) + b"\n")
    return TransferSummary(workflow=workflow, schema=found.version, entries=count, sha256=digest.hexdigest())


def import_state(kv: KVStore, *, workflow_id: str, file: BinaryIO) -> TransferSummary:
    """Put an exported state into a store in which the workflow has none, and compare it afterwards.

    Nothing is written before all of the file was looked at. An import that was cut short may be run again; until it
    is done, no run begins. The workflow may have had another name. A worker that is at work there, or begins meanwhile,
    is seen, or keeps out.

    Raises:
        ConfigurationError: the file isn't a whole export, or is of a newer version.
        StateConflictError: the workflow has a state already, or another import of it began.
    """
    summary = _verified(file)
    schema = Schema(kv, workflow_id)
    stamp = _close(kv, schema, workflow_id, summary)
    file.seek(0)
    for page in _pages(file):
        _put(kv, workflow_id, page, schema.key, stamp)
    file.seek(0)
    try:
        _demand_same(kv, workflow_id, file)
    except StateError as exc:
        entry = kv.get(schema.key)
        if entry is None or entry.versionstamp != stamp:
            raise _overtaken(schema.key) from exc
        raise
    _note(kv, schema.key, stamp, StateSchema(version=summary.schema))
    return summary


def _close(kv: KVStore, schema: Schema, workflow: str, summary: TransferSummary) -> str:
    """Note the import where nothing else is; return the version of the note, which every write of it checks.

    The workflow is closed first and looked at then: whoever took a lock before that is seen by it, or by what was
    written under it, and whoever takes one later sees the note. Is something there, the workflow is opened again as it
    was. Cut short in between, it stays closed, and the next import looks again.
    """
    entry = kv.get(schema.key)
    found = None if entry is None else from_entry(entry, StateSchema)
    stamp = None if entry is None else entry.versionstamp
    importing = StateSchema(version=summary.schema, condition=Condition.IMPORTING, export=summary.sha256)
    if found is not None and found.condition is Condition.IMPORTING:
        if found.export not in {None, summary.sha256} and not _is_empty(kv, workflow):
            raise StateConflictError(
                f"An import of another file into {workflow!r} was cut short, and this one would mix two: nothing was "
                "changed. Import that file again."
            )
        return _note(kv, schema.key, stamp, importing)
    if found is not None and found.version > SCHEMA:
        schema.demand(found)
    if found is not None and found.condition is Condition.UPGRADING:
        raise _has_state(workflow)
    before = found
    if found is not None and found.condition is Condition.LOOKING:
        before = None if found.before is None else StateSchema(version=found.before)
    looking = StateSchema(
        version=SCHEMA, condition=Condition.LOOKING, before=None if before is None else before.version
    )
    stamp = _note(kv, schema.key, stamp, looking)
    if not _is_empty(kv, workflow):
        _note(kv, schema.key, stamp, before)
        raise _has_state(workflow)
    return _note(kv, schema.key, stamp, importing)


def _is_empty(kv: KVStore, workflow: str) -> bool:
    """Say whether nothing is there but what a worker left that was kept out: fencing tokens, a dead one's lock."""
    for entry in kv.list((workflow,)):
        if entry.key[1] == "lock" and not from_entry(entry, LockInfo).owner.is_dead():
            return False
        if entry.key[1] not in {"lock", "schema", "fence"}:
            return False
    return True


def _has_state(workflow: str) -> StateConflictError:
    return StateConflictError(
        f"The store has a state of {workflow!r} already, or a worker is at it, and an import would mix two: nothing "
        "was changed. Import into an empty store."
    )


def _note(kv: KVStore, key: Key, stamp: str | None, schema: StateSchema | None) -> str:
    """Put `schema` where the record is still the one of `stamp`; None removes it."""
    write = kv.atomic().check(key, stamp)
    result = (write.delete(key) if schema is None else write.set(key, to_json(schema))).commit()
    if not result.ok:
        raise _overtaken(key)
    return result.versionstamp or ""


def _overtaken(key: Key) -> StateConflictError:
    return StateConflictError(
        f"Another import into the state of {key[0]!r}, or a run, began meanwhile; this one stopped. Look which it was, "
        "then import again."
    )


def _demand_same(kv: KVStore, workflow: str, lines: Iterable[bytes]) -> None:
    """Compare what the store gives back with the export, both in the order of their keys.

    Fencing tokens may have grown: a worker that was opened before takes a lock, sees the import, and gives it back.
    """
    found = _entries(kv, workflow)
    for number, line in enumerate(lines):
        if number == 0 or line.startswith(_LAST):
            continue
        wanted = msgspec.json.decode(line, type=_Line)
        entry = next(found, None)
        while entry is not None and entry.key[1:] != wanted.key and entry.key[1] == "fence":
            entry = next(found, None)
        if entry is None or not (_line_of(entry) == line or _has_grown(entry, wanted)):
            raise _differs((workflow, *wanted.key))
    for entry in found:
        if entry.key[1] != "fence":
            raise _differs(entry.key)


def _has_grown(entry: Entry, wanted: _Line) -> bool:
    return entry.key[1:] == wanted.key and entry.key[1] == "fence" and count_from(entry) >= wanted.value


def _differs(key: Key) -> StateError:
    return StateError(
        f"The store gives back something else at {key!r} than the export holds: a program wrote there meanwhile. No "
        "run begins on it; import into an empty store."
    )


def _line_of(entry: Entry) -> bytes:
    return _encode(_Line(key=entry.key[1:], value=entry.value)) + b"\n"


def _entries(kv: KVStore, workflow: str) -> Iterator[Entry]:
    for entry in kv.list((workflow,)):
        if entry.key[1] not in {"lock", "schema"}:
            yield entry


def _fences_at_rest(state: StateService) -> dict[Key, Any]:
    """Return every fencing token while no lock is held; a lock that is taken afterwards changes one of them."""
    held = [each for each in state.locks.list() if not each.owner.is_dead()]
    if held:
        raise StateConflictError(
            f"{held[0].owner} is at work on {state.workflow_id!r} ({held[0].about or held[0].name}). Stop the workers, "
            "then export: it has to be of one moment."
        )
    return {entry.key: entry.value for entry in state.kv.list((state.workflow_id, "fence"))}


def _verified(lines: Iterable[bytes]) -> TransferSummary:
    digest, count = hashlib.sha256(), 0
    header: _Header | None = None
    footer: _Footer | None = None
    for number, line in enumerate(lines, 1):
        try:
            if footer is not None:
                raise ConfigurationError(f"Line {number} follows the end of the export.")
            if header is None:
                header = msgspec.json.decode(line, type=_Header)
                _demand_known(header)
            elif line.startswith(_LAST):
                footer = msgspec.json.decode(line, type=_Footer)
            else:
                msgspec.json.decode(line, type=_Line)
                digest.update(line)
                count += 1
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
            raise ConfigurationError(f"This isn't an export of a state: line {number}: {exc}.") from exc
    if header is None or footer is None:
        raise ConfigurationError("This export was cut short: its last line is missing. Nothing was changed.")
    if (footer.entries, footer.sha256) != (count, digest.hexdigest()):
        raise ConfigurationError(
            f"This export was changed or damaged: it has {count:,} entries and another checksum than it says. Nothing "
            "was changed."
        )
    return TransferSummary(
        workflow=header.workflow, schema=header.schema, entries=count, sha256=footer.sha256
    )


def _demand_known(header: _Header) -> None:
    if header.format != _FORMAT:
        raise ConfigurationError(f"This is {header.format!r}, not an export of a state.")
    if header.version > _FORMAT_VERSION or header.schema > SCHEMA:
        raise ConfigurationError(
            f"This export was written by a newer version of fc-connect (format {header.version}, schema "
            f"{header.schema}). Upgrade fc-connect; nothing was changed."
        )


def _pages(file: Iterable[bytes]) -> Iterator[list[_Line]]:
    page: list[_Line] = []
    size = 0
    for number, line in enumerate(file):
        if number == 0 or line.startswith(_LAST):
            continue
        if page and (len(page) == _MAX_ENTRIES or size + len(line) > _MAX_COMMIT_BYTES):
            yield page
            page, size = [], 0
        page.append(msgspec.json.decode(line, type=_Line))
        size += len(line)
    if page:
        yield page


def _put(kv: KVStore, workflow: str, page: list[_Line], key: Key, stamp: str) -> None:
    for attempt in range(1, _ATTEMPTS + 1):
        write = kv.atomic().check(key, stamp)
        fences = [(workflow, *line.key) for line in page if line.key[0] == "fence"]
        tokens = {entry.key: count_from(entry) for entry in kv.get_many(fences) if entry is not None}
        for line in page:
            name = (workflow, *line.key)
            # Tokens only grow, for ever.
            value = max(line.value, tokens[name]) if name in tokens else line.value
            write.set(name, value, expire_in=_EXPIRY.get(str(line.key[0])))
        try:
            if not write.commit().ok:
                raise _overtaken(key)
        except KVCommitUnknownError:  # the same keys get the same values: writing them again is safe
            if attempt == _ATTEMPTS:
                raise
        else:
            return
