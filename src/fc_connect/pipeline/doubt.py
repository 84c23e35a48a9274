"""Finds out whether a batch whose outcome is unknown has arrived.

Fluent has no idempotency key, but it can list a job's batches, and a batch's results name its entities. So a batch in
doubt is compared with those batches of its job that no ledger has: one match is it, no match means that it never
arrived. Two files, or two batches of one file, may name the same entities (the same products in two shops); then a
match proves nothing, and the answer is `UNKNOWN` rather than a guess.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import msgspec

from fc_connect.errors import FluentAPIError, StoppedError
from fc_connect.fluent import BatchStatus, FluentClient
from fc_connect.state import BatchRecord, FileRecord, StateService
from fc_connect.targets import confirm

__all__ = ["Absent", "Arrived", "DoubtResolver", "Unknown", "refs_of"]

_SETTLE = timedelta(seconds=2)
"""A request that was given up this long ago has either reached Fluent's list of batches or never will."""
_PROCESSING = timedelta(seconds=60)
"""How long to wait until a batch under way shows its results."""

Refs = Counter[str]


@dataclass(frozen=True, slots=True)
class Arrived:
    """Fluent has the batch."""

    batch_id: str


@dataclass(frozen=True, slots=True)
class Absent:
    """Fluent surely doesn't have it."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """It can't be told."""

    reason: str


def refs_of(body: bytes) -> Refs:
    """Return how often a body names each entity, as Fluent's results will."""
    entities = msgspec.json.decode(body)["entities"]
    return Counter(str(each.get("ref") or each.get("productRef") or each.get("skuRef")) for each in entities)


class DoubtResolver:
    """Looks up batches of one file. Call it while no other batch of the file is on its way."""

    def __init__(
        self, *, state: StateService, client: FluentClient, file: FileRecord, stop: threading.Event
    ) -> None:
        self._state = state
        self._client = client
        self._file = file
        self._stop = stop

    def resolve(
        self,
        record: BatchRecord,
        refs: Refs,
        *,
        others: Sequence[Refs],
        confirmed: set[tuple[str, str]],
        since: float,
    ) -> Arrived | Absent | Unknown:
        """Say what became of the batch of `record`.

        From `since` on, in seconds of the state's monotonic clock, nobody can have sent it any more: what isn't there
        right after may still come. No step of a wall clock, here or in the store, shortens that wait. `others` are
        the refs of the file's other batches in doubt; `confirmed` are (job, batch) ids that are known to be other
        batches', though the ledger may not have them yet.

        Raises:
            StoppedError: the run was told to stop before it could be told.
        """
        # Counted before the look: it may take long itself, and what it tells is as old as its first answer.
        asked_at = self._state.clock.monotonic()
        left = _SETTLE - timedelta(seconds=asked_at - since)
        answer = self._look(record, refs, others, confirmed)
        if not isinstance(answer, Arrived) and left > timedelta(0):
            # The request may still be on its way through a gateway, whatever an earlier one has left there.
            left -= timedelta(seconds=self._state.clock.monotonic() - asked_at)
            if self._state.clock.wait(self._stop, max(left, timedelta(0))):
                raise self._stopped(record)
            answer = self._look(record, refs, others, confirmed)
        return answer

    def _look(
        self, record: BatchRecord, refs: Refs, others: Sequence[Refs], confirmed: set[tuple[str, str]]
    ) -> Arrived | Absent | Unknown:
        job_id, batches = record.job_id, self._state.batches
        try:
            listed = self._client.get_job_status(job_id).batches
        except FluentAPIError as exc:
            if exc.status == 404:
                return Absent()
            raise
        if listed is None:
            return Unknown("Fluent doesn't list this job's batches")
        candidates = [each.id for each in listed if (job_id, each.id) not in confirmed]
        matches = []
        for batch_id in batches.unowned(job_id, candidates):
            status = self._processed(job_id, batch_id)
            if not status.is_done and self._stop.is_set():
                raise self._stopped(record)
            if not (status.is_done and status.is_complete_list):
                return Unknown(f"its batch {batch_id} is still being processed")
            found = Counter(result.entity_ref or "" for result in status.results)
            if "" in found and found.total() == refs.total():
                return Unknown(f"its batch {batch_id} doesn't name its entities")
            if found == refs:
                matches.append(batch_id)
        if not matches:
            return Absent()
        # In this order: a batch that another file had on its way while we listed is `sending` still, or owned now.
        elsewhere = batches.others_sending(job_id, self._file)
        matches = batches.unowned(job_id, matches)
        disowned = batches.disowned(job_id, matches)
        matches = [each for each in matches if each not in disowned]
        alike = 1 + sum(other == refs for other in others)
        if matches and not elsewhere and len(matches) == alike:
            return Arrived(matches[0])
        if not matches and not disowned:
            return Absent()
        batches.disown(job_id, matches)  # nobody may take them for theirs later
        return Unknown("other batches name the same entities")

    def _stopped(self, record: BatchRecord) -> StoppedError:
        return StoppedError(
            f"{self._file.file_name}: stopped while batch {record.number} was in doubt. The next run looks it up."
        )

    def _processed(self, job_id: str, batch_id: str) -> BatchStatus:
        return confirm(
            self._client,
            job_id,
            batch_id,
            timeout=_PROCESSING,
            first_wait=timedelta(milliseconds=100),
            clock=self._state.clock,
            stop=self._stop,
        )
