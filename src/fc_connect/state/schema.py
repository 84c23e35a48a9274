"""Which version a workflow's records are of: older ones are brought up to date, newer ones are left alone.

The version is a record of its own. Whoever takes a lock reads it afterwards, and an upgrade writes it before it looks
for locks: so a worker of an earlier version that is still at work is either seen by the upgrade, or sees it. An import
does the same before it looks whether the store is empty.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from fc_connect.errors import KVCommitUnknownError, KVCorruptError, StateConflictError, StateError
from fc_connect.kv.base import Key, KVStore
from fc_connect.state.lease import Lease, Leases
from fc_connect.state.records import from_entry, to_json

__all__ = ["MIGRATIONS", "SCHEMA", "Condition", "Migration", "Schema", "StateSchema"]

logger = logging.getLogger(__name__)

Migration = Callable[[KVStore, str], None]
"""Brings the records of one workflow one version up. It may be cut short: running it again finishes it."""

SCHEMA = 1
MIGRATIONS: Mapping[int, Migration] = {}
"""By the version that each begins from. There is one for every released version before `SCHEMA`."""

_UPGRADE = "upgrade"
_UPGRADE_LEASE = timedelta(minutes=1)
_ATTEMPTS = 20


class Condition(StrEnum):
    """Whether a workflow's records may be worked with."""

    READY = "ready"
    UPGRADING = "upgrading"
    """Being brought up to date, or cut short in it."""
    LOOKING = "looking"
    """An import is about to look whether anything is there, or was cut short in it: nothing was written yet."""
    IMPORTING = "importing"
    """Being copied from an export, or cut short in it: what isn't there yet would count as never delivered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StateSchema:
    """What a workflow's records are."""

    version: int
    condition: Condition = Condition.READY
    before: int | None = None
    """While an import looks: the version to go back to; None where none was noted."""
    export: str | None = None
    """While importing: the SHA-256 of the export's entries."""


class Schema:
    """The version of one workflow's records."""

    def __init__(
        self,
        kv: KVStore,
        workflow: str,
        *,
        current: int = SCHEMA,
        migrations: Mapping[int, Migration] = MIGRATIONS,
    ) -> None:
        self._kv = kv
        self._workflow = workflow
        self._current = current
        self._migrations = migrations

    @property
    def key(self) -> Key:
        return (self._workflow, "schema")

    def get(self) -> StateSchema | None:
        """Return what is noted, or None where the workflow is new."""
        entry = self._kv.get(self.key)
        return None if entry is None else from_entry(entry, StateSchema)

    def open(self, locks: Leases) -> None:
        """See to it that the records are of the present version: note it where nothing is, upgrade older ones.

        Raises:
            KVCorruptError: they are of a newer version; nothing was changed.
            StateError: an import was cut short.
            StateConflictError: workers of an earlier version are still at work.
        """
        for _ in range(_ATTEMPTS):
            found = self.get()
            if found is None:
                self._note_first()
            elif self._is_to_be_upgraded(found):
                self._upgrade(locks)
            else:
                self.demand(found)
                return
        raise StateConflictError(f"The version of the state of {self._workflow!r} keeps changing; try again.")

    def demand_current(self) -> None:
        """Check that nobody has begun to upgrade or import since the state was opened; errors as `open`."""
        found = self.get()
        if found is not None:  # gone: the workflow was cleared
            self.demand(found)

    def demand(self, found: StateSchema) -> None:
        if found.version > self._current:
            raise KVCorruptError(
                f"The state of {self._workflow!r} was written by a newer version of fc-connect (schema "
                f"{found.version}, this one knows {self._current}). Upgrade fc-connect; nothing was changed."
            )
        if found.condition in {Condition.LOOKING, Condition.IMPORTING}:
            raise StateError(
                f"An import into the state of {self._workflow!r} is under way, or was cut short: what is missing would "
                "count as never delivered. If none is, run `fc-connect state import` with the same file again."
            )
        if found.condition is Condition.UPGRADING or found.version < self._current:
            raise StateConflictError(
                f"The state of {self._workflow!r} is being upgraded right now; try again in a minute."
            )

    def _note_first(self) -> None:
        write = self._kv.atomic().check(self.key, None)
        try:
            write.set(self.key, to_json(StateSchema(version=self._current))).commit()
        except KVCommitUnknownError as exc:
            logger.info("the version of the state is read again: %s", exc)

    def _upgrade(self, locks: Leases) -> None:
        with locks.acquire(
            _UPGRADE,
            timeout=_UPGRADE_LEASE,
            wait=_UPGRADE_LEASE,
            about="upgrading the state",
            is_guarded=False,
        ) as lease:
            found = self.get()
            if found is None or not self._is_to_be_upgraded(found):
                return
            self._note(lease, StateSchema(version=found.version, condition=Condition.UPGRADING))
            at_work = [each for each in locks.list() if each.name != _UPGRADE and not each.owner.is_dead()]
            if at_work:
                self._note(lease, found)  # as it was: records that are upgraded by half stay closed to others
                who = ", ".join(sorted({str(each.owner) for each in at_work}))
                raise StateConflictError(
                    f"The state of {self._workflow!r} has to be upgraded, and workers of an earlier version are still "
                    f"at work: {who}. Stop them, then run again; nothing was changed."
                )
            for version in range(found.version, self._current):
                logger.warning("upgrading the state of %s from schema %d", self._workflow, version)
                self._migrations[version](self._kv, self._workflow)
                self._note(lease, StateSchema(version=version + 1, condition=Condition.UPGRADING))
            self._note(lease, StateSchema(version=self._current))

    def _is_to_be_upgraded(self, found: StateSchema) -> bool:
        """Say whether an upgrade is due, or was cut short: maybe right before its end was noted."""
        if found.condition is Condition.UPGRADING:
            return found.version <= self._current
        return found.version < self._current and found.condition is Condition.READY

    def _note(self, lease: Lease, schema: StateSchema) -> None:
        lease.commit(self._kv.atomic().set(self.key, to_json(schema)))
