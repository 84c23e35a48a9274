"""What holds for state at every moment: while others write in between, and while answers get lost."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from fc_connect.clock import ManualClock
from fc_connect.errors import KVCommitUnknownError, LockHeldError, LockLostError, StateConflictError
from fc_connect.kv.base import CommitResult
from fc_connect.kv.commit import Commit
from fc_connect.kv.memory import MemoryKV
from fc_connect.state import (
    BatchRecord,
    BatchState,
    FileRecord,
    FileStatus,
    Lease,
    StateService,
    TrackedBatch,
)

DAY = datetime(2026, 1, 15, tzinfo=UTC)


class Interrupted(MemoryKV):
    """A store where something happens right before a commit, and answers or requests get lost."""

    def __init__(self) -> None:
        super().__init__()
        self.before_commit: Callable[[], None] | None = None
        self.lose_request = self.lose_answer = False

    def _apply(self, commit: Commit) -> CommitResult:
        interruption, self.before_commit = self.before_commit, None
        if interruption is not None:
            interruption()
        if self.lose_request:
            self.lose_request = False
            raise KVCommitUnknownError("the request got lost")
        result = super()._apply(commit)
        if self.lose_answer:
            self.lose_answer = False
            raise KVCommitUnknownError("the answer got lost")
        return result


@pytest.fixture
def kv() -> Interrupted:
    return Interrupted()


@pytest.fixture
def state(kv: Interrupted) -> StateService:
    return StateService(kv, workflow_id="w")


def a_file(name: str = "stock.csv", *, minute: int = 0) -> FileRecord:
    return FileRecord(
        source="file:///inbox",
        file_name=name,
        fingerprint="v1",
        last_modified=DAY + timedelta(minutes=minute),
        file_size=100,
        record_count=10,
    )


def a_batch(number: int = 0, *, state: BatchState = BatchState.SENDING, job_id: str = "7") -> BatchRecord:
    return BatchRecord(
        number=number,
        state=state,
        sha256="0" * 64,
        count=10,
        job_id=job_id,
        batch_id=f"b{number}" if state is BatchState.SENT else None,
        at=DAY,
    )


def take_away(state: StateService, lease: Lease) -> None:
    """Let another worker take the lock, as it can once its holder was paused for too long."""
    state.force_release(lease.name, reason="a test")
    state.lock(lease.name)


# Leases


def test_a_lock_whose_answer_got_lost_is_held(kv: Interrupted, state: StateService) -> None:
    kv.lose_answer = True

    with state.lock("stock") as lease:
        assert lease.commit(kv.atomic().set(("w", "x"), 1))


def test_a_lock_whose_request_got_lost_is_not_held(kv: Interrupted, state: StateService) -> None:
    kv.lose_request = True

    with pytest.raises(LockHeldError):
        state.lock("stock")

    assert state.locks.get("stock") is None


def test_a_renewal_whose_answer_got_lost_keeps_the_lock(kv: Interrupted, state: StateService) -> None:
    with state.lock("stock") as lease:
        kv.lose_answer = True
        lease.renew()

        assert lease.commit(kv.atomic().set(("w", "x"), 1))


def test_a_renewal_takes_no_lock_back(state: StateService) -> None:
    with state.lock("stock") as first:
        take_away(state, first)

        with pytest.raises(LockLostError):
            first.renew()

    assert state.locks.get("stock") is not None


def test_a_token_is_given_once_also_where_another_comes_in_between(
    kv: Interrupted, state: StateService
) -> None:
    tokens: list[int] = []

    def be_faster() -> None:
        with state.lock("stock") as other:
            tokens.append(other.token)

    kv.before_commit = be_faster
    with pytest.raises(LockHeldError):
        state.lock("stock")
    with state.lock("stock") as later:
        tokens.append(later.token)

    assert tokens == [1, 2]


@pytest.mark.parametrize("lost", [0, 1])
def test_a_commit_under_two_locks_needs_both(kv: Interrupted, state: StateService, lost: int) -> None:
    leases = [state.lock("file"), state.lock("turn")]
    take_away(state, leases[lost])

    with pytest.raises(LockLostError):
        state.save_batches(a_file(), [a_batch()], *leases)

    assert list(state.batches.of(a_file())) == []
    leases[1 - lost].release()


def test_a_worker_that_lost_its_lock_completes_nothing(state: StateService) -> None:
    lease = state.lock("stock")
    take_away(state, lease)

    with pytest.raises(LockLostError):
        state.complete_file(a_file(), lease)

    assert not state.is_file_processed(a_file())


def test_a_lock_that_is_renewed_at_the_last_moment_is_not_taken_over(kv: Interrupted) -> None:
    kv.has_clock = False  # then a lock is judged by watching it
    clock = ManualClock()
    holder, other = (
        StateService(kv, workflow_id="w", clock=each, random_source=random.Random(1))
        for each in (ManualClock(), clock)
    )
    lease = holder.lock("stock", timeout=timedelta(minutes=1))
    with pytest.raises(LockHeldError):
        other.lock("stock")
    clock.advance(timedelta(minutes=2))

    kv.before_commit = lease.renew
    with pytest.raises(LockHeldError):
        other.lock("stock")

    assert lease.commit(kv.atomic().set(("w", "x"), 1))
    lease.release()


# Files and batches


@pytest.mark.parametrize("what", ["lose_request", "lose_answer"])
def test_a_batch_is_noted_whatever_gets_lost_on_the_way(
    kv: Interrupted, state: StateService, what: str
) -> None:
    with state.lock("stock") as lease:
        setattr(kv, what, True)
        state.save_batches(a_file(), [a_batch()], lease)

    assert [each.number for each in state.batches.of(a_file())] == [0]


@pytest.mark.parametrize("what", ["lose_request", "lose_answer"])
def test_a_mark_counts_once_whatever_gets_lost_on_the_way(
    kv: Interrupted, state: StateService, what: str
) -> None:
    setattr(kv, what, True)

    state.update_sync_state([a_file()])

    assert state.is_file_processed(a_file())
    assert state.get_sync_state().files_completed == 1


def test_a_file_that_changed_before_its_mark_is_looked_at_again(kv: Interrupted, state: StateService) -> None:
    with state.lock("other") as lease:

        def quarantine() -> None:
            state.save_file(replace(a_file(), status=FileStatus.QUARANTINED), lease)

        state.save_file(a_file(), lease)
        kv.before_commit = quarantine
        state.update_sync_state([a_file()])

    assert state.is_file_processed(a_file())
    assert state.get_sync_state().files_completed == 1


def test_a_mark_of_a_file_that_another_completed_meanwhile_counts_once(
    kv: Interrupted, state: StateService
) -> None:
    def complete_alone() -> None:  # the record, as an import or a repair may, without the sync state
        record = a_file().moved_to(FileStatus.COMPLETED, at=DAY)
        kv.set(state.files.key(record.file_id), kv_value(record))

    kv.before_commit = complete_alone
    state.update_sync_state([a_file()])

    assert state.get_sync_state().files_completed == 0


def kv_value(record: FileRecord) -> object:
    from fc_connect.state.records import to_json

    return to_json(record)


def test_a_sent_batch_is_known_to_be_its_files(state: StateService) -> None:
    with state.lock("stock") as lease:
        state.save_batches(a_file(), [a_batch(1, state=BatchState.SENT)], lease)

    assert state.batches.unowned("7", ["b1", "b2"]) == ["b2"]


def test_another_files_batch_on_its_way_is_seen(state: StateService) -> None:
    with state.lock("stock") as lease:
        state.save_batches(a_file("a.csv"), [a_batch()], lease)

    assert state.batches.others_sending("7", a_file("b.csv"))
    assert not state.batches.others_sending("7", a_file("a.csv"))
    assert not state.batches.others_sending("8", a_file("b.csv"))


def test_what_is_not_finished_is_never_pruned(state: StateService) -> None:
    with state.lock("stock") as lease:
        state.save_file(a_file("open.csv", minute=0), lease)
    state.update_sync_state([a_file("old.csv", minute=1), a_file("new.csv", minute=60)])

    state.prune(older_than=timedelta(0))

    assert {each.file_name for each in state.files.all()} == {"open.csv", "old.csv", "new.csv"}
    pruned_before = state.get_sync_state().pruned_before
    assert pruned_before is None or pruned_before <= DAY


# Jobs


def test_who_was_held_up_while_making_the_daily_job_takes_the_one_made_meanwhile(state: StateService) -> None:
    def create_slowly(now: datetime) -> str:
        state.force_release("daily-job", reason="its maker was paused for too long")
        assert state.daily_job(lambda _: "second").job_id == "second"
        return "first"

    job = state.daily_job(create_slowly)

    assert job.job_id == "second"
    assert state.get_daily_job() == job


def test_no_update_of_a_tracked_job_is_lost(state: StateService) -> None:
    state.job_tracker.track("7", name="stock")
    together = threading.Barrier(4)

    def update(number: int) -> None:
        together.wait()
        state.job_tracker.update_batch("7", TrackedBatch(batch_id=str(number), status="COMPLETE"))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(update, range(4)))

    job = state.job_tracker.get("7")
    assert job is not None
    assert sorted(job.batches) == ["0", "1", "2", "3"]


def test_an_update_between_reading_and_writing_is_not_lost(kv: Interrupted, state: StateService) -> None:
    state.job_tracker.track("7", name="stock")
    kv.before_commit = lambda: state.job_tracker.update_batch(  # type: ignore[assignment]
        "7", TrackedBatch(batch_id="a", status="COMPLETE")
    )

    job = state.job_tracker.update_batch("7", TrackedBatch(batch_id="b", status="COMPLETE"))

    assert sorted(job.batches) == ["a", "b"]


def test_a_job_that_is_tracked_already_stays_as_it_is(state: StateService) -> None:
    state.job_tracker.track("7", name="stock")
    state.job_tracker.update("7", status="OPEN")

    again = state.job_tracker.track("7", name="other")

    assert (again.name, again.status) == ("stock", "OPEN")


def test_a_lock_that_changed_just_now_is_not_taken_away(kv: Interrupted, state: StateService) -> None:
    with state.lock("stock") as lease:
        kv.before_commit = lease.renew

        with pytest.raises(StateConflictError):
            state.force_release("stock", reason="a test")

        assert lease.commit(kv.atomic().set(("w", "x"), 1))
