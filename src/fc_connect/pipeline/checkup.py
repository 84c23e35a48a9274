"""What `fc-connect check` looks at: each thing that a run needs, whatever became of the others, in bounded time."""

from __future__ import annotations

import os
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fc_connect.errors import (
    AuthenticationError,
    ConfigurationError,
    FCConnectError,
    GraphQLError,
    SourceError,
)
from fc_connect.fluent import FluentClient
from fc_connect.mapping import Expectation, inspect_mapping
from fc_connect.pipeline.entities import preflight

if TYPE_CHECKING:
    from fc_connect.pipeline.pipeline import Pipeline
    from fc_connect.sources import Source

__all__ = ["Check", "checks_of"]

_ROWS = 20
_SHOWN = 3
_KEY_LIFE = timedelta(minutes=5)
_ME = """query Me {
  me {
    id ref username firstName lastName primaryEmail type status country timezone
    roles { role { id name permissions { name } } contexts { contextType contextId } }
    primaryRetailer { id ref tradingName }
    primaryLocation { id ref name }
  }
}"""
_ME_AT_LEAST = "query Me { me { ref } }"
_RETAILER = "query Retailer($id: ID!) { retailerById(id: $id) { id ref tradingName } }"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that a run needs, and whether it is there."""

    name: str
    is_ok: bool
    detail: str
    """What was seen; where it isn't well, what is wrong and what to do."""


_Group = tuple[tuple[str, ...], Callable[[], Iterator[Check]]]


def checks_of(pipeline: Pipeline, *, within: timedelta) -> list[Check]:
    """Look at everything, side by side; what has no answer `within` that time is told as such."""
    fluent = _Fluent(pipeline)
    remote: list[_Group] = [
        (("source", "entities"), lambda: _of_source(pipeline)),
        (("state",), lambda: _one("state", lambda: _state(pipeline))),
        (fluent.names, fluent.look),
    ]
    found = [*_of_mapping(pipeline), *_of_folders(pipeline)]  # nothing here waits for anybody
    until = time.monotonic() + within.total_seconds()
    running = [_Running(names, look) for names, look in remote]
    for group in running:
        found += group.results(until=until, within=within)
    pipeline.stop()  # ends the waits of what is still at it
    order = {
        name: n for n, name in enumerate(("mapping", "source", "archive", "entities", "folders", "state"))
    }
    return sorted(found, key=lambda each: order.get(each.name, len(order)))


class _Running:
    """A group of checks on its own thread, which is left alone if it hangs."""

    def __init__(self, names: tuple[str, ...], look: Callable[[], Iterator[Check]]) -> None:
        self._names = names
        self._look = look
        self._lock = threading.Lock()
        self._found: list[Check] = []
        self._thread = threading.Thread(target=self._run, name=f"check-{names[0]}", daemon=True)
        self._thread.start()

    def results(self, *, until: float, within: timedelta) -> list[Check]:
        self._thread.join(max(until - time.monotonic(), 0))
        with self._lock:
            found = list(self._found)
        told = {each.name for each in found}
        if self._thread.is_alive():
            late = f"no answer within {within.total_seconds():g} s. Check the address, and what lies on the way to it."
            found += [Check(name=name, is_ok=False, detail=late) for name in self._names if name not in told]
        return found

    def _run(self) -> None:
        try:
            for each in self._look():
                with self._lock:
                    self._found.append(each)
        except Exception as exc:  # noqa: BLE001 - a bug in one check must not keep the others from being told
            with self._lock:
                told = {each.name for each in self._found}
                left = next((name for name in self._names if name not in told), self._names[-1])
                # Not its text: of what a driver says nobody knows whether a password is in it.
                detail = f"the check itself failed ({type(exc).__name__}). Please report it."
                self._found.append(Check(name=left, is_ok=False, detail=detail))


def _one(name: str, look: Callable[[], str]) -> Iterator[Check]:
    try:
        yield Check(name=name, is_ok=True, detail=look())
    except FCConnectError as exc:
        yield Check(name=name, is_ok=False, detail=_told(exc))


def _told(error: FCConnectError) -> str:
    return "\n".join([str(error), *getattr(error, "__notes__", ())])


# Mapping and folders: here


def _of_mapping(pipeline: Pipeline) -> Iterator[Check]:
    return _one("mapping", lambda: _mapping(pipeline))


def _mapping(pipeline: Pipeline) -> str:
    mapping, config = pipeline.mapping, pipeline.config
    kind = config.target.batch.entity_type
    shown = (
        "compat: true, read as the TypeScript SDK does" if mapping.compat else f"{len(mapping.fields)} fields"
    )
    if kind != "INVENTORY" or not isinstance(config.mapping, Path):
        return shown
    found = inspect_mapping(config.mapping, Expectation(entity_type=kind))
    lacking = [each for each in found.errors if each.code == "REQUIRED_FIELD_MISSING"]
    if lacking:
        raise ConfigurationError(
            f"The mapping leaves out what {kind} entities need. Map it, or look with `fc-connect mapping validate`.",
            problems=[f"{each.path}: {each.message}" for each in lacking],
        )
    return f"{shown}; fits {kind} entities"


def _of_folders(pipeline: Pipeline) -> Iterator[Check]:
    return _one(
        "folders", lambda: _folders({"rejects": pipeline.config.rejects_path, "spool": pipeline.spool_folder})
    )


def _folders(folders: dict[str, Path]) -> str:
    problems = []
    for name, folder in folders.items():
        there = next(each for each in (folder, *folder.parents) if each.exists())
        if not there.is_dir():
            problems.append(f"{name}: {there} isn't a folder; move it away, or name another")
        elif not os.access(there, os.W_OK | os.X_OK):
            problems.append(
                f"{name}: {there} can't be written to; let this user write there, or name another"
            )
    if problems:
        raise ConfigurationError("A run couldn't keep what it must:", problems=problems)
    return ", ".join(f"{name} in {folder}" for name, folder in folders.items())


# The source


def _of_source(pipeline: Pipeline) -> Iterator[Check]:
    after = pipeline.config.after
    moves = after.success is not None or after.failure is not None
    try:
        with pipeline.open_source() as source:
            rights = {each.name: each for each in source.check(writes=moves)}
            lacking = [each for name, each in rights.items() if not each.is_given and name != "writable"]
            if lacking:
                raise SourceError(" ".join(f"It isn't {each.name}: {each.detail}" for each in lacking))
            if moves and (right := rights.get("writable")) is not None:
                folders = ", ".join(each for each in (after.success, after.failure) if each is not None)
                detail = f"{folders}: {right.detail}"
                yield Check(name="archive", is_ok=right.is_given, detail=detail)
            yield from _one("source", lambda: _readable(pipeline, source))
    except FCConnectError as exc:
        yield Check(name="source", is_ok=False, detail=_told(exc))
        for name in (["archive"] if moves else []) + ["entities"]:
            yield Check(name=name, is_ok=False, detail="not looked at: mend `source` first")
        return
    yield from _one("entities", lambda: _entities(pipeline))


def _readable(pipeline: Pipeline, source: Source) -> str:
    file = next(iter(source.list(pipeline.config.source.pattern)), None)
    if file is None:
        pattern = pipeline.config.source.pattern
        is_ending = re.fullmatch(r"\.\w+", pattern)
        meant = f"; for all files that end so, write '*{pattern}'" if is_ending else ""
        return f"{source.url}: no file matches {pattern!r} now{meant}"
    records, first = pipeline.opened_records(source, file)
    if records.columns is not None:
        return f"{source.url}: {file.path} has the columns that the mapping reads"
    held = "holds no record" if first is None else "can be read, at its first record"
    return f"{source.url}: {file.path} {held}"


def _entities(pipeline: Pipeline) -> str:
    try:
        shown = pipeline.preview(rows=_ROWS)
    except ConfigurationError:
        return "no file to try the mapping with"  # or one that can't be read: `source` says so
    batch = pipeline.config.target.batch
    faults = []
    for number, row in enumerate(shown.rows, 1):
        problems = list(row.problems)
        if row.entity is not None:
            found = preflight([row.entity], entity_type=batch.entity_type, action=batch.action)
            problems += [f"{each.field}: {each.message}" for each in found.errors if each.index is not None]
        if problems:
            faults.append(f"record {number}: {'; '.join(problems)}")
    count = len(shown.rows)
    if faults:
        raise ConfigurationError(
            f"{shown.path}: of its first {count} records {len(faults)} can't be sent. Look with `fc-connect preview`.",
            problems=[*faults[:_SHOWN], *(["…"] if len(faults) > _SHOWN else [])],
        )
    return (
        f"{shown.path}: its first {count} records can be sent" if count else f"{shown.path} holds no record"
    )


# The state


def _state(pipeline: Pipeline) -> str:
    with pipeline.open_store() as kv:
        gaps = pipeline.gaps_in(kv)
        key = ("~check", secrets.token_hex(8))  # no pipeline can be called so
        kv.set(key, True, expire_in=_KEY_LIFE)
        kv.delete(key)
        sync = pipeline.open_state(kv).get_sync_state()
        return "; ".join(
            [
                f"written and read; {sync.files_completed} files completed so far",
                *(f"not {gap}" for gap in gaps),
            ]
        )


# Fluent


class _Fluent:
    names = ("fluent", "user", "retailer")

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline

    def look(self) -> Iterator[Check]:
        try:
            with self._pipeline.open_client() as client:
                me, is_whole = _me(client)
                yield Check(
                    name="fluent", is_ok=True, detail=f"{client.base_url}: logged in, the token is taken"
                )
                yield from _one("user", lambda: _user(me, is_whole=is_whole))
                yield from _one("retailer", lambda: _retailer(client, me))
        except FCConnectError as exc:
            yield Check(name="fluent", is_ok=False, detail=_told(exc))
            for name in ("user", "retailer"):
                yield Check(name=name, is_ok=False, detail="not looked at: mend `fluent` first")


def _me(client: FluentClient) -> tuple[dict[str, Any], bool]:
    """Return who is logged in, and whether all of it could be asked."""
    try:
        told, is_whole = client.graphql_answer(_ME, operation_name="Me").data.get("me"), True
    except AuthenticationError:
        raise
    except GraphQLError:
        told, is_whole = client.graphql(_ME_AT_LEAST, operation_name="Me").get("me"), False
    return (told if isinstance(told, dict) else {}), is_whole


def _user(me: dict[str, Any], *, is_whole: bool) -> str:
    if not me:
        raise ConfigurationError(
            "Fluent doesn't say who is logged in. Give a username and password of an API user, beside the client."
        )
    name = me.get("username") or me.get("ref") or me.get("id")
    status = me.get("status")
    if status not in {None, "ACTIVE"}:
        raise ConfigurationError(
            f"The user {name} is {status}. Let it be activated in Fluent, or use another."
        )
    if not is_whole:
        return f"{name}; its roles can't be asked for here"
    roles = [role for each in _objects(me.get("roles")) if isinstance(role := each.get("role"), dict)]
    permissions = {each.get("name") for role in roles for each in _objects(role.get("permissions"))}
    named = ", ".join(sorted({str(role.get("name")) for role in roles})) or "none told"
    return f"{name} ({me.get('type') or 'type not told'}); roles: {named}; {len(permissions)} permissions"


def _retailer(client: FluentClient, me: dict[str, Any]) -> str:
    wanted = client.retailer_id
    if wanted is None:
        raise ConfigurationError(
            "No retailer is named: set `fluent.retailer_id`, or `fluent.retailer` with a profile."
        )
    own = me.get("primaryRetailer")
    if isinstance(own, dict) and str(own.get("id")) == wanted:
        return f"{wanted} ({_named(own)}), the user's own"
    try:
        found = client.graphql(_RETAILER, variables={"id": wanted}, operation_name="Retailer").get(
            "retailerById"
        )
    except GraphQLError as exc:
        return f"{wanted}; whether there is such a one can't be told: {exc}"
    if not isinstance(found, dict):
        raise ConfigurationError(
            f"Fluent knows no retailer {wanted}, or this user may not see it. Set `fluent.retailer_id` to the id of "
            "one of the account's retailers, or ask for a role in it."
        )
    return f"{wanted} ({_named(found)})"


def _named(retailer: dict[str, Any]) -> str:
    return str(retailer.get("tradingName") or retailer.get("ref") or "without a name")


def _objects(value: Any) -> Sequence[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
